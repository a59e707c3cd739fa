-- Triggers and comments of the log.

-- It only grows, whoever asks. A restore inserts, which is allowed.
do $$
declare
    own text;
begin
    foreach own in array array['log', 'log_range', 'log_tile', 'checkpoint'] loop
        execute pg_catalog.format('create trigger ledger_refuse before update or delete on kakunin.%I
                            for each row execute function kakunin.ledger_refuse()', own);
        execute pg_catalog.format('create trigger ledger_refuse_statement before update or delete or truncate on kakunin.%I
                            for each statement execute function kakunin.ledger_refuse()', own);
        execute pg_catalog.format('alter table kakunin.%I enable always trigger ledger_refuse', own);
        execute pg_catalog.format('alter table kakunin.%I enable always trigger ledger_refuse_statement', own);
    end loop;
end
$$;

comment on function kakunin.name_log(text) is
    'Names the log of this database before its first checkpoint, and again after an epoch has begun; returns the key that verifies it';
comment on function kakunin.verifier_key() is
    'The public key of the log, as C2SP signed-note writes it; NULL while the log has no name';
comment on function kakunin.checkpoint() is
    'Adds the new entries of all ledgers to the log, has it signed, and returns the signed note';
comment on function kakunin.inclusion_proof(regclass, bigint, integer, bigint) is
    'That a row, or all that a transaction added to a ledger, is in the signed log: a C2SP tlog-proof';
comment on function kakunin.consistency_proof(bigint, bigint) is
    'That the log of one size is a prefix of that of another: RFC 6962 hashes in base64';
