-- All grants, on one page. Everything is taken from PUBLIC, then given by role.

revoke all on all functions in schema kakunin from public;
revoke all on all tables in schema kakunin from public;
revoke all on schema kakunin from public;

-- Anyone may name our objects; what they may do with them is said below.
grant usage on schema kakunin to public;

-- Anyone may ask about bytes that they hold: pure functions of their arguments.
grant execute on function
    kakunin.check_path(bytea, bytea[], timestamptz, bytea[], bytea[]),
    kakunin.check_certificate(bytea, bytea[], timestamptz, bytea[], bytea[]),
    kakunin.verify_signature(text, bytea, bytea, bytea),
    kakunin.pem_decode(text),
    kakunin.pem_encode(bytea, text),
    kakunin.normalize_serial(text),
    kakunin.model_hash(bytea),
    kakunin.model_hash_json(jsonb),
    kakunin._model_hash_json(text)
to public;

-- Anyone may try to prove who they are, give that up, and pin the role: a gateway's roles are the operator's own.
grant execute on function
    kakunin.session_challenge(),
    kakunin.proof_audience(),
    kakunin.bind_session(text),
    kakunin.bind_transaction(text),
    kakunin.unbind_session(),
    kakunin.current_binding(),
    kakunin.pre_request(),
    kakunin.lock_role()
to public;

-- Writing policies needs ownership of the table anyway.
grant execute on function kakunin.protect_table(regclass, name, text, boolean, boolean) to public;

-- Whoever may insert into a ledger runs its defaults; whoever owns a table may name its trigger functions, which refuse
-- to be called otherwise.
grant execute on function
    kakunin.ledger_tx(),
    kakunin.ledger_row(),
    kakunin.ledger_salts(integer),
    kakunin.ledger_append(),
    kakunin.ledger_refuse(),
    kakunin._number_row(),
    kakunin._new_salts(integer)
to public;

-- Only an administrator makes ledgers, of tables that the administrator owns: nobody can drop one later.
grant execute on function
    kakunin.attach_ledger(regclass, text[]),
    kakunin.redact(regclass, bigint, integer, text[], text),
    kakunin.prune_ledger(regclass, text),
    kakunin.repair_ledger(regclass),
    kakunin.close_ledger(regclass, text),
    kakunin.begin_epoch(text)
to kakunin_admin;
grant select on kakunin.ledger, kakunin.ledger_column, kakunin.ledger_entry, kakunin.ledger_redaction
to kakunin_auditor, kakunin_admin;
grant execute on function kakunin.verify_ledger(regclass, bigint, bigint, integer, boolean), kakunin.export_ledger(regclass)
to kakunin_auditor, kakunin_admin;

-- An administrator writes to the built-in ledger, an auditor reads it.
grant insert, select on kakunin.audit_log to kakunin_admin;
grant select on kakunin.audit_log to kakunin_auditor;

-- An agent may ask about a certificate whose serial number it was given.
grant execute on function kakunin.verify_certificate(text) to kakunin_agent, kakunin_auditor, kakunin_admin;

-- An auditor reads everything and changes nothing.
grant select on kakunin.trust_anchor, kakunin.certificate, kakunin.revocation to kakunin_auditor, kakunin_admin;
grant execute on function kakunin.doctor(), kakunin.used_proofs() to kakunin_auditor, kakunin_admin;

-- An administrator decides who is trusted, through functions that check what they write.
grant execute on function
    kakunin.add_trust_anchor(bytea, text),
    kakunin.remove_trust_anchor(bytea),
    kakunin.import_certificate(bytea, bytea[], text, text, text, boolean),
    kakunin.revoke_certificate(text, text, text, bytea),
    kakunin.revoke_issuer(bytea, text, text)
to kakunin_admin;

-- Keys: an administrator has them made, an auditor sees their public halves. Nobody needs what is sealed.
grant execute on function kakunin.create_signing_key(text, text) to kakunin_admin;
grant select (name, algorithm, public_key, created_at, created_by) on kakunin.signing_key
    to kakunin_auditor, kakunin_admin;

-- The log: an administrator names it and has checkpoints made, an auditor reads it and has proofs made. What is signed is
-- public by nature, and so is the key that verifies it.
grant execute on function kakunin.name_log(text) to kakunin_admin;
grant execute on function kakunin.checkpoint() to kakunin_admin, kakunin_worker;
grant execute on function kakunin.verifier_key() to public;
grant select on kakunin.log, kakunin.log_range, kakunin.log_tile, kakunin.checkpoint, kakunin.outbox
    to kakunin_auditor, kakunin_admin;
grant execute on function
    kakunin.inclusion_proof(regclass, bigint, integer, bigint),
    kakunin.consistency_proof(bigint, bigint)
to kakunin_auditor, kakunin_admin;
