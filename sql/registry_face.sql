-- What people and triggers do with the registry. Definer functions write tables that no role may write directly;
-- each pins its search path and names its objects in full.

create function kakunin.trust_changed() returns trigger
    language c as 'MODULE_PATHNAME', 'kakunin_trust_changed';

create trigger trust_changed
    after insert or update or delete on kakunin.trust_anchor
    for each row execute function kakunin.trust_changed();
create trigger trust_changed
    after insert or update or delete on kakunin.certificate
    for each row execute function kakunin.trust_changed();
create trigger trust_changed
    after insert or update or delete on kakunin.revocation
    for each row execute function kakunin.trust_changed();
-- Also under session_replication_role = replica, and for rows that logical replication applies.
alter table kakunin.trust_anchor enable always trigger trust_changed;
alter table kakunin.certificate enable always trigger trust_changed;
alter table kakunin.revocation enable always trigger trust_changed;

create trigger trust_emptied
    after truncate on kakunin.trust_anchor
    for each statement execute function kakunin.trust_changed();
create trigger trust_emptied
    after truncate on kakunin.certificate
    for each statement execute function kakunin.trust_changed();
create trigger trust_emptied
    after truncate on kakunin.revocation
    for each statement execute function kakunin.trust_changed();
alter table kakunin.trust_anchor enable always trigger trust_emptied;
alter table kakunin.certificate enable always trigger trust_emptied;
alter table kakunin.revocation enable always trigger trust_emptied;

create function kakunin._revocation_reason(reason text) returns text
    language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$
begin
    if coalesce(reason, 'unspecified') not in (
        'unspecified', 'keyCompromise', 'cACompromise', 'affiliationChanged', 'superseded', 'cessationOfOperation',
        'privilegeWithdrawn', 'aACompromise')
    then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'revocation reason is not known',
            detail = format('revocation_reason_unknown: %s.', quote_literal(left(reason, 64))),
            hint = 'Use unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, '
                || 'cessationOfOperation, privilegeWithdrawn or aACompromise.';
    end if;
    return coalesce(reason, 'unspecified');
end
$$;
comment on function kakunin._revocation_reason(text) is
    'The reason if RFC 5280 section 5.3.1 knows it, unspecified for NULL';

create function kakunin.revoke_certificate(
    serial text,
    reason text default 'unspecified',
    detail text default null,
    fingerprint bytea default null
) returns kakunin.revocation
    language plpgsql volatile parallel unsafe
    -- Definer: writes kakunin.revocation, which no role may write directly.
    security definer set search_path = pg_catalog, pg_temp
as $$
declare
    -- Unlike the arguments, these cannot be mistaken for columns.
    wanted_serial text := kakunin.normalize_serial(serial);
    wanted_reason text := kakunin._revocation_reason(reason);
    wanted_detail text := detail;
    wanted_fingerprint bytea := fingerprint;
    known bytea[];
    result kakunin.revocation;
begin
    if wanted_serial is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'argument must not be null',
            detail = 'argument_null: Argument serial is null.';
    end if;
    select array_agg(c.fingerprint) into known
      from kakunin.certificate c
     where c.serial = wanted_serial
       and (wanted_fingerprint is null or c.fingerprint = wanted_fingerprint);
    if known is null then
        raise exception using
            errcode = 'undefined_object',
            message = 'certificate is not registered',
            detail = format('certificate_unknown: serial %s.', wanted_serial),
            hint = 'kakunin.certificate lists what is registered; kakunin.revoke_issuer() revokes a CA certificate.';
    end if;
    if cardinality(known) > 1 then
        raise exception using
            errcode = 'ambiguous_parameter',
            message = 'serial number names more than one certificate',
            detail = format('serial_ambiguous: serial %s was used by %s issuers.', wanted_serial, cardinality(known)),
            hint = 'Pass fingerprint => VALUE as kakunin.certificate shows it.';
    end if;
    insert into kakunin.revocation as r (fingerprint, serial, reason, detail)
    values (known[1], wanted_serial, wanted_reason, wanted_detail)
    on conflict on constraint revocation_pkey do nothing;
    select r.* into strict result from kakunin.revocation r where r.fingerprint = known[1];
    return result;
end
$$;
comment on function kakunin.revoke_certificate(text, text, text, bytea) is
    'Ends the use of a registered certificate; the next statement of every session sees it. A second call changes nothing.';

create function kakunin.revoke_issuer(certificate bytea, reason text default 'cACompromise', detail text default null)
    returns kakunin.revocation
    language plpgsql volatile parallel unsafe
    -- Definer: writes kakunin.revocation, which no role may write directly.
    security definer set search_path = pg_catalog, pg_temp
as $$
declare
    verdict kakunin.certificate_verdict := kakunin.check_certificate(certificate);
    result kakunin.revocation;
begin
    if certificate is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'argument must not be null',
            detail = 'argument_null: Argument certificate is null.';
    end if;
    if verdict.fingerprint is null then
        raise exception using
            errcode = 'invalid_binary_representation',
            message = 'certificate cannot be decoded',
            detail = verdict.reason || ': ' || verdict.detail,
            hint = 'Pass one DER certificate; kakunin.pem_decode() turns PEM into DER.';
    end if;
    insert into kakunin.revocation as r (fingerprint, serial, reason, detail)
    values (verdict.fingerprint, verdict.serial, kakunin._revocation_reason(revoke_issuer.reason), revoke_issuer.detail)
    on conflict on constraint revocation_pkey do nothing;
    select r.* into strict result from kakunin.revocation r where r.fingerprint = verdict.fingerprint;
    return result;
end
$$;
comment on function kakunin.revoke_issuer(bytea, text, text) is
    'Ends the use of a CA certificate (DER) and with it of every agent certificate below it';

create function kakunin.remove_trust_anchor(fingerprint bytea) returns boolean
    language sql volatile parallel unsafe
    -- Definer: writes kakunin.trust_anchor, which no role may write directly.
    security definer set search_path = pg_catalog, pg_temp
begin atomic
    with removed as (
        delete from kakunin.trust_anchor a where a.fingerprint = remove_trust_anchor.fingerprint returning 1
    )
    select exists (select from removed);
end;
comment on function kakunin.remove_trust_anchor(bytea) is
    'Stops trusting a CA certificate; sessions bound below it are cut off. False when it was no anchor.';

create function kakunin.verify_certificate(serial text) returns jsonb
    language plpgsql stable parallel restricted
    -- Definer: reads the registry for roles that may ask about one certificate but not list them.
    security definer set search_path = pg_catalog, pg_temp
as $$
declare
    wanted text := kakunin.normalize_serial(serial);
    found kakunin.certificate;
    gone kakunin.revocation;
    verdict kakunin.certificate_verdict;
    state text;
    actions jsonb;
begin
    select c.* into found from kakunin.certificate c where c.serial = wanted
     order by c.imported_at desc, c.fingerprint limit 1;
    if found.fingerprint is null then
        return jsonb_build_object('error', 'certificate not found');
    end if;
    select r.* into gone from kakunin.revocation r where r.fingerprint = found.fingerprint;
    verdict := kakunin.check_certificate(found.certificate, found.chain, statement_timestamp());
    state := case
        when gone.fingerprint is not null or verdict.reason = 'certificate_revoked' then 'revoked'
        when not verdict.valid then 'expired'
        else 'active'
    end;
    actions := coalesce(found.scope -> 'allowed_actions', '[]'::jsonb);
    return jsonb_build_object('data', jsonb_build_object(
        'serial_number', found.serial,
        'serial', found.serial,
        'status', state,
        'certificate_status', state,
        'valid', state = 'active',
        'revoked', state = 'revoked',
        'reason', verdict.reason,
        'issued_at', found.not_before,
        'expires_at', found.not_after,
        'valid_from', found.not_before,
        'valid_until', found.not_after,
        'issuer', found.issuer,
        'fingerprint', encode(found.fingerprint, 'hex'),
        'agent_id', found.agent_id,
        'agent_name', coalesce(found.agent_name, found.agent_id),
        'operator_org', found.tenant_id,
        'model_hash', found.model_hash,
        'permitted_actions', actions,
        'financial_scope', found.scope,
        'halt_receipt', null,
        'revoked_at', gone.revoked_at,
        'revocation_reason', gone.reason,
        'agent', jsonb_build_object(
            'id', found.agent_id,
            'name', coalesce(found.agent_name, found.agent_id),
            'model', null,
            'model_hash', found.model_hash,
            'version', null,
            'operator_org', found.tenant_id,
            'permitted_actions', actions,
            'financial_scope', found.scope)));
end
$$;
comment on function kakunin.verify_certificate(text) is
    'Status of a registered certificate by serial number, in the shape that SDKs read; {"error": "..."} when unknown';

comment on function kakunin.trust_changed() is
    'Row trigger: after commit, every session looks its certificate up again';
comment on function kakunin.add_trust_anchor(bytea, text) is
    'Registers a CA certificate (DER) that agent certificates may chain to; returns its fingerprint';
comment on function kakunin.import_certificate(bytea, bytea[], text, text, text, boolean) is
    'Registers an agent certificate (DER) of any PKI whose root is a trust anchor, so that sessions can bind to it';
