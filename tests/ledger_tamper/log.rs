//! Ways to tamper with the log and its checkpoints.

use super::scene::Case;

/// With ranges, tiles, notes and keys.
pub const CASES: &[Case] = &[
    Case { name: "a range of the log is gone", sql: "
        delete from kakunin.log_range where first_index = 269", found: &["log 269 missing", "log 272 truncated"], offline: "log_broken" },
    Case { name: "the first range of the log is gone", sql: "delete from kakunin.log_range where first_index = 0", found: &["log 0 missing", "log 269 truncated", "log 272 truncated"], offline: "log_broken" },
    Case { name: "all ranges of the log are gone", sql: "truncate kakunin.log_range", found: &["log 269 truncated", "log 272 truncated"], offline: "log_broken" },
    Case { name: "a range ends early", sql: "update kakunin.log_range set last_seq = last_seq - 1 where first_index = 0", found: &["log 3 missing", "log 269 checkpoint_mismatch", "log 272 truncated"], offline: "log_broken" },
    Case { name: "a range is that of another ledger", sql: "update kakunin.log_range set ledger = 17 where first_index = 0", found: &["log 4 missing", "log 269 truncated", "log 272 truncated"], offline: "log_broken" },
    Case { name: "two ranges exchange their places", sql: "
        update kakunin.log_range set first_index = 999 where first_index = 0;
        update kakunin.log_range set first_index = 0 where first_index = 4;
        update kakunin.log_range set first_index = 4 where first_index = 999", found: &["log 269 checkpoint_mismatch", "log 272 checkpoint_mismatch"], offline: "269 checkpoint_mismatch" },
    Case { name: "a range more", sql: "
        insert into kakunin.log_range select (select max(size) from kakunin.checkpoint), 1, 7, 8", found: &["log 274 extra"], offline: "log_broken" },
    Case { name: "a tile of leaves", sql: "
        update kakunin.log_tile set hashes = overlay(hashes placing sha256('a') from 33) where level = 0", found: &["log - stored_hash_wrong"], offline: "sound" },
    Case { name: "a tile is gone", sql: "delete from kakunin.log_tile", found: &["log - stored_hash_wrong"], offline: "sound" },
    Case { name: "the newest checkpoint is gone", sql: "
        delete from kakunin.checkpoint where size = (select max(size) from kakunin.checkpoint)", found: &["log 272 extra"], offline: "log_broken" },
    Case { name: "an older checkpoint is gone", sql: "
        delete from kakunin.checkpoint where size = (select min(size) from kakunin.checkpoint)", found: &[], offline: "sound" },
    Case { name: "all checkpoints are gone", sql: "truncate kakunin.checkpoint", found: &["log 272 extra"], offline: "no_checkpoint" },
    Case { name: "a note states another root", sql: "
        update kakunin.checkpoint set note = replace(note, encode(root, 'base64'), encode(sha256('a'), 'base64'))
         where size = (select max(size) from kakunin.checkpoint)", found: &["log 272 bad_signature", "log 272 stored_hash_wrong"], offline: "272 bad_signature" },
    Case { name: "a note of another log", sql: "update kakunin.checkpoint set note = 'x' || note", found: &["log 269 foreign_ledger", "log 272 foreign_ledger"], offline: "269 foreign_ledger" },
    Case { name: "a note is none", sql: "
        update kakunin.checkpoint set note = 'forged' where size = (select max(size) from kakunin.checkpoint)", found: &["log 272 stored_hash_wrong", "log - malformed"], offline: "- malformed" },
    Case { name: "the signature of a note", sql: "
        update kakunin.checkpoint set note = overlay(note placing 'AAAA' from length(note) - 40) where size = (select max(size) from kakunin.checkpoint)",
        found: &["log 272 bad_signature"], offline: "272 bad_signature" },
    Case { name: "a note is the older one", sql: "
        update kakunin.checkpoint set note = (select note from kakunin.checkpoint order by size limit 1)
         where size = (select max(size) from kakunin.checkpoint)", found: &["log 269 checkpoint_mismatch", "log 272 stored_hash_wrong"], offline: "269 checkpoint_mismatch" },
    Case { name: "a root beside its note", sql: "
        update kakunin.checkpoint set root = sha256('a') where size = (select max(size) from kakunin.checkpoint)", found: &["log 272 stored_hash_wrong"], offline: "sound" },
    Case { name: "a frontier beside its note", sql: "
        update kakunin.checkpoint set frontier = overlay(frontier placing sha256('a') from 1)
         where size = (select max(size) from kakunin.checkpoint)", found: &["log 272 stored_hash_wrong"], offline: "sound" },
    Case { name: "a checkpoint of another size", sql: "update kakunin.checkpoint set size = size + 1
         where size = (select max(size) from kakunin.checkpoint)", found: &["log 273 stored_hash_wrong"], offline: "log_broken" },
    Case { name: "the log has another name", sql: "update kakunin.log set origin = 'elsewhere'", found: &["log 269 foreign_ledger", "log 272 foreign_ledger"], offline: "sound" },
    Case { name: "the log has no name", sql: "truncate kakunin.log", found: &["log 272 missing"], offline: "no_checkpoint" },
    Case { name: "the log's key is gone", sql: "truncate kakunin.signing_key", found: &["log 269 unsigned", "log 272 unsigned", "log - unsigned"], offline: "key_unknown" },
    Case { name: "the log's key is another", sql: "update kakunin.signing_key set public_key = sha256('a')", found: &["log 269 unsigned", "log 272 unsigned"], offline: "sound" },
    Case { name: "the log has no checkpoint, no name and no key", sql: "
        truncate kakunin.log, kakunin.log_range, kakunin.log_tile, kakunin.checkpoint, kakunin.signing_key, kakunin.outbox",
        found: &[], offline: "no_checkpoint" },
];
