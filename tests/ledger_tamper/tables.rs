//! Ways to tamper with a ledger's table: its definition, and what guards it.

use super::scene::Case;

/// With triggers, columns, partitions, indexes, and what hides or shows other rows.
pub const CASES: &[Case] = &[
    Case { name: "a trigger is off", sql: "-- triggers on
        alter table app.note disable trigger ledger_refuse", found: &["note - trigger_disabled"], offline: "sound" },
    Case { name: "a trigger is on for the origin only", sql: "-- triggers on
        alter table app.note enable trigger ledger_append", found: &["note - trigger_disabled"], offline: "sound" },
    Case { name: "the trigger of a partition is off", sql: "-- triggers on
        alter table app.event_2 disable trigger ledger_append", found: &["event - trigger_disabled"], offline: "sound" },
    Case { name: "a trigger is gone", sql: "-- triggers on
        drop trigger ledger_append on app.note", found: &["note - trigger_disabled"], offline: "sound" },
    Case { name: "a trigger with a condition", sql: "-- triggers on
        do $$ declare id text; begin
            select l.id into id from kakunin.ledger l where number = 1;
            drop trigger ledger_append on app.note;
            execute format('create trigger ledger_append after insert on app.note for each row when (new.id < 100)
                                execute function kakunin.ledger_append(%L)', id);
            alter table app.note enable always trigger ledger_append;
        end $$", found: &["note - trigger_disabled"], offline: "sound" },
    Case { name: "a trigger for one column", sql: "-- triggers on
        drop trigger ledger_refuse on app.note;
        create trigger ledger_refuse before update of flag or delete on app.note for each row
            execute function kakunin.ledger_refuse();
        alter table app.note enable always trigger ledger_refuse", found: &["note - trigger_disabled"], offline: "sound" },
    Case { name: "a trigger of another function", sql: "-- triggers on
        create function app.ledger_refuse() returns trigger language plpgsql as 'begin return new; end';
        drop trigger ledger_refuse on app.note;
        create trigger ledger_refuse before update or delete on app.note for each row execute function app.ledger_refuse();
        alter table app.note enable always trigger ledger_refuse", found: &["note - trigger_disabled"], offline: "sound" },
    Case { name: "a trigger that names another ledger", sql: "-- triggers on
        do $$ declare id text; begin
            select l.id into id from kakunin.ledger l where number = 3;
            drop trigger ledger_append on app.note;
            execute format('create trigger ledger_append after insert on app.note for each row
                                execute function kakunin.ledger_append(%L)', id);
            alter table app.note enable always trigger ledger_append;
        end $$", found: &["note - trigger_disabled"], offline: "sound" },
    Case { name: "a trigger that is deferred", sql: "-- triggers on
        do $$ declare id text; begin
            select l.id into id from kakunin.ledger l where number = 1;
            drop trigger ledger_append on app.note;
            execute format('create constraint trigger ledger_append after insert on app.note deferrable initially deferred
                                for each row execute function kakunin.ledger_append(%L)', id);
            alter table app.note enable always trigger ledger_append;
        end $$", found: &["note - trigger_disabled"], offline: "sound" },
    Case { name: "the table says that it has no triggers", sql: "
        set allow_system_table_mods = on;
        update pg_class set relhastriggers = false where oid = 'app.note'::regclass", found: &["note - trigger_disabled"], offline: "sound" },
    Case { name: "a trigger's function is replaced", sql: "
        create or replace function kakunin.ledger_refuse() returns trigger language plpgsql as 'begin return new; end'",
        found: &["event - trigger_disabled", "mini - trigger_disabled", "note - trigger_disabled"], offline: "sound" },
    Case { name: "a trigger's function takes its code elsewhere", sql: "
        set allow_system_table_mods = on;
        update pg_proc set prosrc = 'kakunin_ledger_refuse' where oid = 'kakunin.ledger_append'::regproc", found: &["event - trigger_disabled", "mini - trigger_disabled", "note - trigger_disabled"], offline: "sound" },
    Case { name: "a default is gone", sql: "alter table app.note alter column ledger_tx drop default", found: &["note - columns_changed"], offline: "sound" },
    Case { name: "salts that are always the same", sql: "
        alter table app.note alter column ledger_salt set default decode(repeat('11', 32), 'hex')", found: &["note - columns_changed"], offline: "sound" },
    Case { name: "a column of the map has another name", sql: "
        update kakunin.ledger_column set name = 'corpus' where ledger = 1 and name = 'body'", found: &["note - columns_changed"], offline: "ledger_column_unsuitable" },
    Case { name: "a column of the map is gone", sql: "delete from kakunin.ledger_column where ledger = 1 and name = 'body'", found: &["note - columns_changed"], offline: "1 altered" },
    Case { name: "two columns of the map exchange their numbers", sql: "
        update kakunin.ledger_column set number = 99 where ledger = 1 and name = 'secret';
        update kakunin.ledger_column set number = 13 where ledger = 1 and name = 'other';
        update kakunin.ledger_column set number = 14 where ledger = 1 and name = 'secret'", found: &["note - columns_changed"], offline: "1 altered" },
    Case { name: "a column of the map can be erased", sql: "
        update kakunin.ledger_column set redactable = true where ledger = 1 and name = 'mood'", found: &["note - columns_changed"], offline: "1 altered" },
    Case { name: "a column is dropped", sql: "alter table app.note drop column flag", found: &["note - columns_changed"], offline: "ledger_column_unsuitable" },
    Case { name: "a column has another name", sql: "alter table app.note rename column body to corpus", found: &["note - columns_changed"], offline: "ledger_column_unsuitable" },
    Case { name: "two columns exchange their names", sql: "
        alter table app.note rename column body to passing;
        alter table app.note rename column secret to body;
        alter table app.note rename column passing to secret", found: &["note 1 altered", "note 2 altered", "note 3 altered", "note 4 altered", "note 6 altered", "note 7 altered", "note 8 altered"], offline: "1 altered" },
    Case { name: "a column has another type", sql: "alter table app.note alter column count type bigint", found: &["note - columns_changed"], offline: "sound" },
    Case { name: "a column has another length", sql: "alter table app.note alter column body type varchar(10)", found: &["note - columns_changed"], offline: "sound" },
    Case { name: "a column is added that is not chained", sql: "alter table app.note add column remark text default 'forged'", found: &["note - columns_changed"], offline: "sound" },
    Case { name: "row security is forced", sql: "
        alter table app.note enable row level security; alter table app.note force row level security", found: &[], offline: "sound" },
    Case { name: "row security is forced on a partition", sql: "
        alter table app.event_2 enable row level security; alter table app.event_2 force row level security", found: &[], offline: "sound" },
    Case { name: "a rule in place of an insert", sql: "create rule swallow as on insert to app.note do instead nothing", found: &["note - rule_present"], offline: "sound" },
    Case { name: "a rule of a partition", sql: "create rule swallow as on insert to app.event_1 do instead nothing", found: &["event - rule_present"], offline: "sound" },
    Case { name: "a child table", sql: "create table app.child () inherits (app.note); insert into app.child (id, body) values (77, 'forged')", found: &["note - child_table"], offline: "sound" },
    Case { name: "a child table of a table that has children no more", sql: "
        create table app.child () inherits (app.note);
        set allow_system_table_mods = on;
        update pg_class set relhassubclass = false where oid = 'app.note'::regclass", found: &["note - child_table"], offline: "sound" },
    Case { name: "a partition is detached", sql: "alter table app.event detach partition app.event_2", found: &["event 4 pruned_without_entry"], offline: "4 pruned_without_entry" },
    Case { name: "a partition is dropped", sql: "drop table app.event_2", found: &["event 4 pruned_without_entry"], offline: "4 pruned_without_entry" },
    Case { name: "a partition is replaced by an empty one", sql: "
        drop table app.event_2;
        create table app.event_2 partition of app.event for values from ('2022-01-01') to ('2023-01-01')", found: &["event 4 pruned_without_entry"], offline: "4 pruned_without_entry" },
    Case { name: "a partition on another server", sql: "
        alter table app.event drop constraint event_pkey;
        create foreign data wrapper elsewhere; create server elsewhere foreign data wrapper elsewhere;
        create foreign table app.far partition of app.event for values from ('2030-01-01') to ('2031-01-01') server elsewhere",
        found: &["event - child_table"], offline: "sound" },
    Case { name: "a table attached as a partition", sql: "
        create table app.other (like app.event_2 including all);
        alter table app.event attach partition app.other for values from ('2030-01-01') to ('2031-01-01');
        alter table app.other enable always trigger ledger_append; alter table app.other enable always trigger ledger_refuse;
        insert into app.other values (9, '2030-05-05', 'forged', 9999, 0)", found: &["event - extra"], offline: "sound, with a warning" },
    Case { name: "the table is dropped", sql: "drop table app.note", found: &["gone - missing"], offline: "1 pruned_without_entry" },
    Case { name: "the table is another of the same name", sql: "
        alter table app.note rename to note_before; create table app.note (like app.note_before including all);
        insert into app.note select * from app.note_before where id <> 4;
        drop table app.note_before", found: &["gone - missing"], offline: "1 pruned_without_entry" },
    Case { name: "the ledger points at a table that was filled anew", sql: "
        create table app.copy (like app.note including all); insert into app.copy select * from app.note where id <> 4;
        update kakunin.ledger set relation = 'app.copy' where number = 1", found: &["copy 2 missing", "copy - trigger_disabled"], offline: "2 missing" },
    Case { name: "the ledger points at nothing", sql: "update kakunin.ledger set relation = 999999 where number = 1", found: &["gone - missing"], offline: "1 pruned_without_entry" },
    Case { name: "an index that lacks a row", sql: "
        set allow_system_table_mods = on;
        update pg_index set indisready = false where indexrelid = 'app.mini_body'::regclass;
        update app.mini set body = 'passing' where id = 100;
        update app.mini set body = 'mini 100' where id = 100;
        update pg_index set indisready = true where indexrelid = 'app.mini_body'::regclass", found: &["mini - index_wrong"], offline: "sound" },
    Case { name: "an index of entries that lacks one", sql: "
        set allow_system_table_mods = on;
        update pg_index set indisready = false where indexrelid = 'kakunin.ledger_entry_pkey'::regclass;
        update kakunin.ledger_entry set seq = 9999 where ledger = 1 and seq = 4;
        update kakunin.ledger_entry set seq = 4 where ledger = 1 and seq = 9999;
        update pg_index set indisready = true where indexrelid = 'kakunin.ledger_entry_pkey'::regclass", found: &["note 4 missing", "note - extra", "log 269 checkpoint_mismatch", "log 272 truncated", "log - index_wrong"], offline: "269 truncated, with a warning" },
    Case { name: "an index of erasures that lacks one", sql: "
        set allow_system_table_mods = on;
        update pg_index set indisready = false where indexrelid = 'kakunin.ledger_redaction_pkey'::regclass;
        update kakunin.ledger_redaction set tx = -1;
        update kakunin.ledger_redaction set tx = (select ledger_tx from app.note where id = 3);
        update pg_index set indisready = true where indexrelid = 'kakunin.ledger_redaction_pkey'::regclass", found: &["note 2 altered", "log - index_wrong"], offline: "2 altered" },
    Case { name: "an index that is not valid", sql: "
        set allow_system_table_mods = on;
        update pg_index set indisvalid = false where indexrelid = 'app.note_body'::regclass", found: &["note - index_wrong"], offline: "sound" },
    Case { name: "an index of a partition that is not valid", sql: "
        set allow_system_table_mods = on;
        update pg_index set indisvalid = false where indexrelid = 'app.event_2_pkey'::regclass", found: &["event - index_wrong"], offline: "sound" },
];
