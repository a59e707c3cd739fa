-- The tables that ledgers are kept in only grow, whoever asks. A restore may fill them, and what is remembered of them is
-- forgotten then.

do $$
declare
    own text;
begin
    foreach own in array array['ledger', 'ledger_column', 'ledger_entry'] loop
        execute pg_catalog.format('create trigger entries_restored after insert on kakunin.%I
                            for each row execute function kakunin._entries_restored()', own);
        execute pg_catalog.format('alter table kakunin.%I enable always trigger entries_restored', own);
    end loop;
    foreach own in array array['ledger', 'ledger_column', 'ledger_entry', 'ledger_redaction', 'log', 'log_range', 'log_tile',
                               'checkpoint'] loop
        execute pg_catalog.format('create trigger ledger_refuse before update or delete on kakunin.%I
                            for each row execute function kakunin.ledger_refuse()', own);
        execute pg_catalog.format('create trigger ledger_refuse_statement before update or delete or truncate on kakunin.%I
                            for each statement execute function kakunin.ledger_refuse()', own);
        execute pg_catalog.format('alter table kakunin.%I enable always trigger ledger_refuse', own);
        execute pg_catalog.format('alter table kakunin.%I enable always trigger ledger_refuse_statement', own);
    end loop;
end
$$;
