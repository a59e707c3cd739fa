//! Ways to tamper with the rows of a ledger's table.

use super::scene::Case;

/// With values, rows and their places.
pub const CASES: &[Case] = &[
    Case { name: "nothing", sql: "", found: &[], offline: "sound" },
    Case { name: "a text", sql: "update app.note set body = 'forged' where id = 6", found: &["note 3 altered"], offline: "3 altered" },
    Case { name: "a text of one row among three", sql: "update app.note set body = 'forged' where id = 4", found: &["note 2 altered"], offline: "2 altered" },
    Case { name: "an integer", sql: "update app.note set count = 7 where id = 6", found: &["note 3 altered"], offline: "3 altered" },
    Case { name: "a numeric of the first entry", sql: "update app.note set amount = 2 where id = 1", found: &["note 1 altered"], offline: "1 altered" },
    Case { name: "a boolean", sql: "update app.note set flag = false where id = 1", found: &["note 1 altered"], offline: "1 altered" },
    Case { name: "a time by a microsecond", sql: "update app.note set at = at + interval '1 microsecond' where id = 1", found: &["note 1 altered"], offline: "1 altered" },
    Case { name: "a jsonb", sql: "update app.note set data = '{\"a\": 1.5}' where id = 1", found: &["note 1 altered"], offline: "1 altered" },
    Case { name: "a bytea", sql: "update app.note set bytes = '\\x0100' where id = 1", found: &["note 1 altered"], offline: "1 altered" },
    Case { name: "an array's lower bound", sql: "update app.note set parts = '[0:1]={1,2}' where id = 1", found: &["note 1 altered"], offline: "1 altered" },
    Case { name: "an enum", sql: "update app.note set mood = 'cross' where id = 1", found: &["note 1 altered"], offline: "1 altered" },
    Case { name: "an enum's label", sql: "alter type app.mood rename value 'calm' to 'kind'", found: &["note 1 altered"], offline: "1 altered" },
    Case { name: "a type without a tag of its own", sql: "update app.note set place = '(1,2.5)' where id = 1", found: &["note 1 altered"], offline: "1 altered" },
    Case { name: "a range's bound", sql: "update app.note set span = '[1,4)' where id = 1", found: &["note 1 altered"], offline: "1 altered" },
    Case { name: "a NULL to an empty text", sql: "update app.note set secret = '' where id = 6", found: &["note 3 altered"], offline: "3 altered" },
    Case { name: "a value to NULL", sql: "update app.note set body = null where id = 6", found: &["note 3 altered"], offline: "3 altered" },
    Case { name: "a redactable value", sql: "update app.note set secret = 'forged' where id = 4", found: &["note 2 altered"], offline: "2 altered" },
    Case { name: "a salt", sql: "update app.note set ledger_salt = overlay(ledger_salt placing '\\xff00' from 3) where id = 4", found: &["note 2 altered"], offline: "2 altered" },
    Case { name: "no salts", sql: "update app.note set ledger_salt = '' where id = 4", found: &["note 2 altered"], offline: "2 altered" },
    Case { name: "a value erased without an entry", sql: "
        insert into kakunin.ledger_redaction
        select forge.number('app.note'), ledger_tx, ledger_row, 13,
               sha256('\\x4301'::bytea || substr(ledger_salt, 1, 16) || '\\x000d06' || convert_to(secret, 'UTF8'))
          from app.note where id = 4;
        update app.note set secret = null, ledger_salt = overlay(ledger_salt placing decode(repeat('00', 16), 'hex') from 1)
         where id = 4", found: &["note 2 altered"], offline: "sound" },
    Case { name: "a commitment of an erased value", sql: "update kakunin.ledger_redaction set commitment = sha256('')", found: &["note 2 altered"], offline: "2 altered" },
    Case { name: "the commitment of an erased value is gone", sql: "delete from kakunin.ledger_redaction", found: &["note 2 altered"], offline: "2 altered" },
    Case { name: "a value put where one was erased", sql: "update app.note set secret = 's3' where id = 3", found: &["note 2 altered"], offline: "2 altered" },
    Case { name: "the first row deleted", sql: "delete from app.note where id = 1", found: &["note 1 missing"], offline: "1 missing" },
    Case { name: "a middle row deleted", sql: "delete from app.note where id = 4", found: &["note 2 missing"], offline: "2 missing" },
    Case { name: "the last row deleted", sql: "delete from app.note where id = 11", found: &["note 8 pruned_without_entry"], offline: "8 pruned_without_entry" },
    Case { name: "the only row of an entry deleted", sql: "delete from app.note where id = 6", found: &["note 3 pruned_without_entry"], offline: "3 pruned_without_entry" },
    Case { name: "all rows of two entries deleted", sql: "delete from app.note where id between 3 and 6", found: &["note 2 pruned_without_entry"], offline: "2 pruned_without_entry" },
    Case { name: "the table emptied", sql: "delete from app.note", found: &["note 1 pruned_without_entry", "note 6 pruned_without_entry"], offline: "1 pruned_without_entry" },
    Case { name: "a row of a transaction that nobody had", sql: "insert into app.note (id, body, ledger_tx, ledger_row) values (50, 'forged', 9999, 0)", found: &["note - extra"], offline: "sound, with a warning" },
    Case { name: "a row of a transaction that was rolled back", sql: "
        insert into app.note (id, body, ledger_tx, ledger_row)
        select 50, 'forged', ledger_tx - 1, 0 from app.note where id = 6", found: &["note - extra"], offline: "sound, with a warning" },
    Case { name: "a row of a transaction below zero", sql: "insert into app.note (id, body, ledger_tx, ledger_row) values (50, 'forged', -1, -1)", found: &["note - extra"], offline: "sound, with a warning" },
    Case { name: "a row more in an entry", sql: "
        insert into app.note (id, body, ledger_tx, ledger_row)
        select 50, 'forged', ledger_tx, 3 from app.note where id = 4", found: &["note 2 extra"], offline: "2 extra" },
    Case { name: "a row of another ledger's transaction", sql: "
        insert into app.note (id, body, ledger_tx, ledger_row)
        select 50, 'forged', ledger_tx, 0 from app.event where id = 2", found: &["note - extra"], offline: "sound, with a warning" },
    Case { name: "a row twice", sql: "
        alter table app.note drop constraint note_pkey;
        insert into app.note select * from app.note where id = 4", found: &["note 2 duplicated"], offline: "2 extra" },
    Case { name: "the only row of an entry twice", sql: "
        alter table app.note drop constraint note_pkey;
        insert into app.note select * from app.note where id = 6", found: &["note 3 duplicated"], offline: "3 extra" },
    Case { name: "the values of two rows swapped", sql: "
        update app.note n set body = o.body, count = o.count from app.note o where n.id in (6, 9) and o.id in (6, 9) and n.id <> o.id",
        found: &["note 3 altered", "note 6 altered"], offline: "3 altered" },
    Case { name: "the numbers of two rows swapped", sql: "update app.note set ledger_row = 3 - ledger_row where id in (4, 5)", found: &["note 2 altered"], offline: "2 altered" },
    Case { name: "the numbers of all rows of an entry moved", sql: "update app.note set ledger_row = ledger_row + 5 where id in (3, 4, 5)", found: &["note 2 altered"], offline: "2 altered" },
    Case { name: "a row moved to another entry", sql: "
        update app.note set ledger_tx = (select ledger_tx from app.note where id = 6), ledger_row = 1 where id = 4", found: &["note 2 missing", "note 3 extra"], offline: "2 missing" },
    Case { name: "the rows of two entries exchanged", sql: "
        update app.note n set ledger_tx = o.ledger_tx from app.note o where n.id in (6, 9) and o.id in (6, 9) and n.id <> o.id",
        found: &["note 3 altered", "note 6 altered"], offline: "3 altered" },
    Case { name: "a row in a partition", sql: "update app.event set body = 'forged' where id = 3", found: &["event 4 altered"], offline: "4 altered" },
    Case { name: "a row moved to another partition", sql: "update app.event set day = '2023-02-02' where id = 2", found: &["event 3 altered"], offline: "3 altered" },
    Case { name: "a partition emptied", sql: "truncate app.event_2", found: &["event 4 pruned_without_entry"], offline: "4 pruned_without_entry" },
];
