-- Triggers, defaults and comments of the ledger.

create function kakunin.ledger_append() returns trigger
    language c as 'MODULE_PATHNAME', 'kakunin_ledger_append';
comment on function kakunin.ledger_append() is 'Trigger of a ledger: takes the leaf of a row that was inserted';

create function kakunin.ledger_refuse() returns trigger
    language c as 'MODULE_PATHNAME', 'kakunin_ledger_refuse';
comment on function kakunin.ledger_refuse() is 'Trigger of a ledger: refuses every change of its rows';

create function kakunin._entries_restored() returns trigger
    language c as 'MODULE_PATHNAME', 'kakunin_entries_restored';
comment on function kakunin._entries_restored() is 'Trigger of our own tables: forgets what is remembered of them';

-- The same function as ledger_row(), but volatile, so that ADD COLUMN calls it for each row that there is.
create function kakunin._number_row() returns integer
    language c volatile parallel unsafe as 'MODULE_PATHNAME', 'ledger_row_wrapper';
comment on function kakunin._number_row() is 'ledger_row() for the rows that a table has when it becomes a ledger';

-- The same of ledger_salts().
create function kakunin._new_salts(count integer) returns bytea
    language c volatile strict parallel restricted as 'MODULE_PATHNAME', 'ledger_salts_wrapper';
comment on function kakunin._new_salts(integer) is 'ledger_salts() for the rows that a table has when it becomes a ledger';

comment on function kakunin.ledger_salts(integer) is 'Default of ledger_salt: a random salt of 16 bytes for each redactable column';
comment on function kakunin.ledger_tx() is 'Default of ledger_tx: the number of this transaction';
comment on function kakunin.ledger_row() is 'Default of ledger_row: the next row''s number within its transaction';
comment on function kakunin.attach_ledger(regclass, text[]) is
    'Makes a table append-only and chains its rows; says what it did, a row for each step';
comment on function kakunin.verify_ledger(regclass, bigint, bigint, integer, boolean) is
    'A row for each fault of a ledger, or of all of them; none if they are sound';
comment on function kakunin.redact(regclass, bigint, integer, text[], text) is
    'Erases values of redactable columns of one row; its hash holds commitments to them, which stay';
comment on function kakunin.prune_ledger(regclass, text) is
    'Drops a partition of a ledger that a checkpoint covers, and chains an entry that says so; returns its rows';
comment on function kakunin.repair_ledger(regclass) is
    'Puts back what guards a ledger, or all of them: triggers and defaults; says what it did, a row for each step';
comment on function kakunin.close_ledger(regclass, text) is
    'Ends a ledger: nothing can be added to it any more';
comment on function kakunin.begin_epoch(text) is
    'Says in every ledger that the server was restored, promoted or moved; returns how many ledgers there are';

create function kakunin.export_ledger(relation regclass default null) returns setof text
    language c volatile parallel unsafe
    -- Definer: reads rows and entries that its caller may have no right to read.
    security definer set search_path = pg_catalog, pg_temp
    as 'MODULE_PATHNAME', 'kakunin_export_ledger';
comment on function kakunin.export_ledger(regclass) is
    'The log, or one ledger, as lines for kakunin-verify: entries, rows, checkpoints and proofs';

create function kakunin._index_fault(index regclass) returns text
    language plpgsql volatile parallel unsafe set search_path = pg_catalog, pg_temp
as $$
declare
    home name;
begin
    select n.nspname into home
      from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'amcheck';
    if home is null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'extension amcheck is not installed',
            detail = 'amcheck_missing: It looks whether indexes lack rows.',
            hint = 'CREATE EXTENSION amcheck, or leave indexes => true out.';
    end if;
    execute pg_catalog.format('select %I.bt_index_check($1, true)', home) using index;
    return null;
exception
    when index_corrupted or data_corrupted then
        return sqlerrm;
end
$$;
comment on function kakunin._index_fault(regclass) is 'What amcheck finds wrong with a B-tree, and whether it lacks rows; NULL if nothing';
