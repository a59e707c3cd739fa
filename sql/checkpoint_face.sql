-- Comments of the log.

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
