//! Ways to tamper with the chain of a ledger.

use super::scene::Case;

/// With entries, and with what is known of ledgers.
pub const CASES: &[Case] = &[
    Case { name: "the entries' trigger is off", sql: "-- triggers on
        alter table kakunin.ledger_entry disable trigger ledger_refuse", found: &["log - trigger_disabled"], offline: "sound" },
    Case { name: "the entries' trigger is gone", sql: "-- triggers on
        drop trigger ledger_refuse_statement on kakunin.ledger_entry", found: &["log - trigger_disabled"], offline: "sound" },
    Case { name: "entries in a child table", sql: "
        create table app.child () inherits (kakunin.ledger_entry)", found: &["log - child_table"], offline: "sound" },
    Case { name: "an entry's transaction", sql: "update kakunin.ledger_entry set tx = 9999 where ledger = 1 and seq = 3", found: &["note 3 altered", "note 3 pruned_without_entry", "note - extra"], offline: "3 altered, with a warning" },
    Case { name: "an entry's count of rows", sql: "update kakunin.ledger_entry set rows = 2 where ledger = 1 and seq = 3", found: &["note 3 altered", "note 3 missing"], offline: "3 missing" },
    Case { name: "an entry's first row", sql: "update kakunin.ledger_entry set first_row = 9 where ledger = 1 and seq = 3", found: &["note 3 altered", "note 3 miscounted"], offline: "3 miscounted" },
    Case { name: "an entry's root", sql: "update kakunin.ledger_entry set root = sha256('') where ledger = 1 and seq = 3", found: &["note 3 altered"], offline: "3 altered" },
    Case { name: "an entry's time", sql: "update kakunin.ledger_entry set at = at - interval '1 second' where ledger = 1 and seq = 3", found: &["note 3 altered", "note 3 time_reversed"], offline: "3 time_reversed" },
    Case { name: "an entry's role", sql: "update kakunin.ledger_entry set role = 'someone' where ledger = 1 and seq = 3", found: &["note 3 altered"], offline: "3 altered" },
    Case { name: "an entry's certificate", sql: "update kakunin.ledger_entry set certificate = sha256('a') where ledger = 1 and seq = 3", found: &["note 3 altered"], offline: "3 altered" },
    Case { name: "an entry's kind", sql: "update kakunin.ledger_entry set kind = 7 where ledger = 1 and seq = 3", found: &["note 3 malformed"], offline: "ledger_entry_malformed" },
    Case { name: "an entry's detail", sql: "update kakunin.ledger_entry set detail = replace(detail, 'asked for', 'not asked') where ledger = 1 and seq = 5", found: &["note 5 altered"], offline: "5 altered" },
    Case { name: "an entry's previous hash", sql: "update kakunin.ledger_entry set previous = sha256('a') where ledger = 1 and seq = 3", found: &["note 3 altered"], offline: "3 altered" },
    Case { name: "an entry's stored hash", sql: "update kakunin.ledger_entry set hash = sha256('a') where ledger = 1 and seq = 3", found: &["note 3 stored_hash_wrong", "log 269 checkpoint_mismatch", "log 272 checkpoint_mismatch"], offline: "sound" },
    Case { name: "the last entry's stored hash", sql: "update kakunin.ledger_entry set hash = sha256('a') where ledger = 1 and seq = 8", found: &["note 8 altered"], offline: "sound" },
    Case { name: "an entry's role, and its hash with it", sql: "
        update kakunin.ledger_entry set role = 'someone' where ledger = 1 and seq = 3;
        update kakunin.ledger_entry e set hash = forge.hash(e) where ledger = 1 and seq = 3", found: &["note 3 altered", "log 269 checkpoint_mismatch", "log 272 checkpoint_mismatch"], offline: "3 altered" },
    Case { name: "the last entry's role, and its hash with it", sql: "
        update kakunin.ledger_entry set role = 'someone' where ledger = 1 and seq = 8;
        update kakunin.ledger_entry e set hash = forge.hash(e) where ledger = 1 and seq = 8", found: &[], offline: "sound" },
    Case { name: "a member that no entry can have", sql: "update kakunin.ledger_entry set root = '\\x00' where ledger = 1 and seq = 3", found: &["note 3 malformed"], offline: "ledger_entry_malformed" },
    Case { name: "an entry's time that no clock shows", sql: "update kakunin.ledger_entry set at = 'infinity' where ledger = 1 and seq = 3", found: &["note 3 malformed"], offline: "ledger_entry_malformed" },
    Case { name: "an entry's role of a kilobyte times seventy", sql: "update kakunin.ledger_entry set role = repeat('x', 70000) where ledger = 1 and seq = 3", found: &["note 3 malformed"], offline: "ledger_entry_malformed" },
    Case { name: "the first entry deleted", sql: "delete from kakunin.ledger_entry where ledger = 1 and seq = 1", found: &["note 1 missing", "note - extra", "log 269 checkpoint_mismatch", "log 272 truncated"], offline: "1 missing, with a warning" },
    Case { name: "a middle entry deleted", sql: "delete from kakunin.ledger_entry where ledger = 1 and seq = 3", found: &["note 3 missing", "note - extra", "log 269 checkpoint_mismatch", "log 272 truncated"], offline: "3 missing, with a warning" },
    Case { name: "a middle entry deleted with its row", sql: "
        delete from kakunin.ledger_entry where ledger = 1 and seq = 3; delete from app.note where id = 6", found: &["note 3 missing", "log 269 checkpoint_mismatch", "log 272 truncated"], offline: "3 missing" },
    Case { name: "the last entry deleted", sql: "delete from kakunin.ledger_entry where ledger = 1 and seq = 8", found: &["note - extra"], offline: "sound, with a warning" },
    Case { name: "all entries of a ledger deleted", sql: "delete from kakunin.ledger_entry where ledger = 1", found: &["note - altered", "note - extra", "note - missing", "log 269 truncated", "log 272 truncated"], offline: "1 missing, with a warning" },
    Case { name: "all entries of all ledgers deleted", sql: "truncate kakunin.ledger_entry", found: &["event - extra", "event - missing", "mini - extra", "mini - missing", "note - altered", "note - extra", "note - missing", "log 269 truncated", "log 272 truncated"], offline: "1 missing, with a warning" },
    Case { name: "two entries exchange their numbers", sql: "
        update kakunin.ledger_entry set seq = 100 where ledger = 1 and seq = 3;
        update kakunin.ledger_entry set seq = 3 where ledger = 1 and seq = 4;
        update kakunin.ledger_entry set seq = 4 where ledger = 1 and seq = 100", found: &["note 3 altered", "note 3 forked", "note 4 altered", "log 269 checkpoint_mismatch", "log 272 checkpoint_mismatch"], offline: "3 forked" },
    Case { name: "entries numbered from two on", sql: "
        update kakunin.ledger_entry set seq = seq + 1000 where ledger = 1;
        update kakunin.ledger_entry set seq = seq - 999 where ledger = 1", found: &["note 1 missing", "note 2 malformed", "note 3 altered", "note 4 altered", "note 5 altered", "note 6 altered", "note 7 altered", "note 8 altered", "note 9 altered", "log 269 checkpoint_mismatch", "log 272 truncated"], offline: "ledger_entry_malformed" },
    Case { name: "the last entry numbered later", sql: "update kakunin.ledger_entry set seq = 12 where ledger = 1 and seq = 8", found: &["note 8 missing", "note 12 altered"], offline: "8 missing" },
    Case { name: "two entries of one number", sql: "
        alter table kakunin.ledger_entry drop constraint ledger_entry_pkey;
        create index ledger_entry_pkey on kakunin.ledger_entry (ledger, seq);
        insert into kakunin.ledger_entry select f.* from (select * from kakunin.ledger_entry where ledger = 1 and seq = 3) e,
            lateral (select e.ledger, e.seq, e.kind, e.tx, e.first_row, e.rows, e.root, e.at, e.certificate, 'someone' as role,
                            e.detail, e.previous, e.hash) f;
        update kakunin.ledger_entry e set hash = forge.hash(e) where ledger = 1 and seq = 3 and role = 'someone'",
        found: &["note 3 forked", "log 269 checkpoint_mismatch", "log 272 checkpoint_mismatch"], offline: "3 forked" },
    Case { name: "an entry twice", sql: "
        alter table kakunin.ledger_entry drop constraint ledger_entry_pkey;
        create index ledger_entry_pkey on kakunin.ledger_entry (ledger, seq);
        insert into kakunin.ledger_entry select * from kakunin.ledger_entry where ledger = 1 and seq = 3", found: &["note 3 duplicated", "log 269 checkpoint_mismatch", "log 272 checkpoint_mismatch"], offline: "3 duplicated" },
    Case { name: "an entry put in between, numbered anew without hashes", sql: "
        update kakunin.ledger_entry set seq = seq + 1000 where ledger = 1 and seq > 3;
        update kakunin.ledger_entry set seq = seq - 999 where ledger = 1 and seq > 1000;
        insert into kakunin.ledger_entry
        select ledger, 4, 5, 0, first_row + 1, 0, sha256(''), at, null, role,
               '{\"reason\":\"x\",\"system\":\"1\",\"timeline\":1}', hash, hash
          from kakunin.ledger_entry where ledger = 1 and seq = 3;
        update kakunin.ledger_entry e set hash = forge.hash(e) where ledger = 1 and seq = 4", found: &["note 4 altered", "note 5 altered", "note 6 altered", "note 7 altered", "note 8 altered", "note 9 altered", "log 269 checkpoint_mismatch", "log 272 checkpoint_mismatch"], offline: "269 checkpoint_mismatch" },
    Case { name: "an entry of a transaction that another has", sql: "
        insert into kakunin.ledger_entry
        select ledger, 9, 1, e.tx, first_row + 1, 1, root, at, null, role, '', hash, hash
          from kakunin.ledger_entry f, (select tx from kakunin.ledger_entry where ledger = 1 and seq = 3) e
         where ledger = 1 and seq = 8;
        update kakunin.ledger_entry e set hash = forge.hash(e) where ledger = 1 and seq = 9", found: &["note 9 transaction_reused"], offline: "9 transaction_reused" },
    Case { name: "a forged entry behind the last", sql: "
        insert into app.mini (id, body, ledger_tx, ledger_row) values (301, 'forged', 9999, 0);
        insert into kakunin.ledger_entry
        select ledger, seq + 1, 1, 9999, first_row + rows, 1, forge.leaf(m), at, null, 'agent', '', hash, hash
          from kakunin.ledger_entry, app.mini m where ledger = 3 and seq = 262 and m.id = 301;
        update kakunin.ledger_entry e set hash = forge.hash(e) where ledger = 3 and seq = 263", found: &[], offline: "sound" },
    Case { name: "a row with all hashes made anew", sql: "
        update app.mini set body = 'forged' where id = 100;
        update kakunin.ledger_entry e set root = forge.leaf(m) from app.mini m
         where m.id = 100 and e.ledger = 3 and e.tx = m.ledger_tx;
        select forge.chain('app.mini')", found: &["log 269 checkpoint_mismatch", "log 272 checkpoint_mismatch"], offline: "269 checkpoint_mismatch" },
    Case { name: "a row with all hashes made anew, behind the checkpoint", sql: "
        update app.mini set body = 'forged' where id = 300;
        update kakunin.ledger_entry e set root = forge.leaf(m) from app.mini m
         where m.id = 300 and e.ledger = 3 and e.tx = m.ledger_tx;
        select forge.chain('app.mini')", found: &[], offline: "sound" },
    Case { name: "an entry and its row deleted, and all made anew", sql: "
        delete from app.mini where id = 100;
        delete from kakunin.ledger_entry where ledger = 3 and seq = 101;
        select forge.chain('app.mini')", found: &["log 269 checkpoint_mismatch", "log 272 checkpoint_mismatch"], offline: "269 checkpoint_mismatch" },
    Case { name: "the newest entries and their rows deleted", sql: "
        delete from app.note where id in (9, 10, 11); delete from kakunin.ledger_entry where ledger = 1 and seq > 5",
        found: &["log 272 truncated"], offline: "272 truncated" },
    Case { name: "the newest entries deleted, behind the checkpoint", sql: "
        delete from app.note where id in (10, 11); delete from kakunin.ledger_entry where ledger = 1 and seq > 6",
        found: &[], offline: "sound" },
    Case { name: "an erasure whose entry is gone, and all made anew", sql: "
        delete from kakunin.ledger_entry where ledger = 1 and seq = 5; select forge.chain('app.note')", found: &["note 2 altered", "log 272 checkpoint_mismatch"], offline: "272 checkpoint_mismatch" },
    Case { name: "a prune entry that nothing covers", sql: "
        delete from app.note where id = 11;
        insert into kakunin.ledger_entry
        select ledger, 9, 4, 0, first_row + 1, 0, sha256(''), at, null, role,
               '{\"checkpoint\":5,\"first\":8,\"last\":8,\"reason\":\"x\"}', hash, hash
          from kakunin.ledger_entry where ledger = 1 and seq = 8;
        update kakunin.ledger_entry e set hash = forge.hash(e) where ledger = 1 and seq = 9", found: &["note 9 prune_not_covered"], offline: "9 prune_not_covered" },
    Case { name: "a prune entry of what a checkpoint covers", sql: "
        delete from app.note where id = 6;
        insert into kakunin.ledger_entry
        select ledger, 9, 4, 0, first_row + 1, 0, sha256(''), at, null, role,
               '{\"checkpoint\":' || (select max(size) from kakunin.checkpoint) || ',\"first\":3,\"last\":3,\"reason\":\"x\"}', hash, hash
          from kakunin.ledger_entry where ledger = 1 and seq = 8;
        update kakunin.ledger_entry e set hash = forge.hash(e) where ledger = 1 and seq = 9", found: &[], offline: "sound" },
    Case { name: "a close entry before the last", sql: "
        update kakunin.ledger_entry
           set kind = 7, tx = 0, rows = 0, root = sha256(''), detail = '{\"reason\":\"x\"}' where ledger = 1 and seq = 7;
        delete from app.note where id = 10;
        select forge.chain('app.note')", found: &["note 8 after_close"], offline: "8 after_close" },
    Case { name: "clocks that run back, and all made anew", sql: "
        update kakunin.ledger_entry set at = at - interval '1 day' where ledger = 1 and seq = 8; select forge.chain('app.note')",
        found: &["note 8 time_reversed"], offline: "8 time_reversed" },
    Case { name: "rows counted wrongly, with hashes", sql: "
        update kakunin.ledger_entry set first_row = 3 where ledger = 1 and seq = 8;
        update kakunin.ledger_entry e set hash = forge.hash(e) where ledger = 1 and seq = 8", found: &["note 8 miscounted"], offline: "8 miscounted" },
    Case { name: "the ledger is not in the list", sql: "
        delete from kakunin.ledger where number = 1", found: &["log 4 missing", "log 271 missing"], offline: "269 truncated" },
    Case { name: "the ledger has another name", sql: "update kakunin.ledger set id = gen_random_uuid() where number = 1", found: &["note 1 altered", "note 2 altered", "note 3 altered", "note 4 altered", "note 5 altered", "note 6 altered", "note 7 altered", "note 8 altered", "note - trigger_disabled"], offline: "1 altered" },
    Case { name: "the ledger has another number", sql: "
        update kakunin.ledger set number = 17 where number = 1", found: &["note - extra", "note - missing", "log 4 missing", "log 271 missing"], offline: "1 missing, with a warning" },
    Case { name: "nothing of the ledger is left", sql: "
        delete from kakunin.ledger where number = 1; delete from kakunin.ledger_column where ledger = 1;
        delete from kakunin.ledger_entry where ledger = 1; delete from kakunin.ledger_redaction;
        drop table app.note", found: &["log 4 missing", "log 269 truncated", "log 271 missing", "log 272 truncated"], offline: "269 truncated" },
];
