-- Schema, roles, types and tables. Everything but the policy functions lives in schema kakunin; the schema is
-- created without IF NOT EXISTS, so that nobody can prepare one with objects of their own in it.

do $$
begin
    if pg_catalog.getdatabaseencoding() <> 'UTF8' then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'kakunin needs a database in UTF8',
            detail = pg_catalog.format('encoding_unsupported: This database is in %s; scopes, proofs and names are UTF-8 texts.',
                                       pg_catalog.getdatabaseencoding()),
            hint = 'Create the database with ENCODING ''UTF8'', from template0.';
    end if;
end
$$;

create schema kakunin;
comment on schema kakunin is 'X.509 identities for AI agents: registry, session binding, policies';

-- Roles belong to the cluster, not to a database: a second database finds them already there.
do $$
declare
    role_name text;
    purpose text;
begin
    for role_name, purpose in values
        ('kakunin_admin', 'kakunin: registers trust anchors, imports and revokes certificates'),
        ('kakunin_auditor', 'kakunin: reads the registry, the findings of doctor() and the use of shared memory'),
        ('kakunin_agent', 'kakunin: asks for the status of a certificate'),
        ('kakunin_worker', 'kakunin: what the worker of a database acts as; makes checkpoints')
    loop
        if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
            execute pg_catalog.format('create role %I nologin', role_name);
            execute pg_catalog.format('comment on role %I is %L', role_name, purpose);
        end if;
    end loop;
end
$$;

create type kakunin.path_verdict as (
    valid boolean,
    reason text,
    detail text
);
comment on type kakunin.path_verdict is 'Outcome of RFC 5280 path validation; reason is a slug of docs/errors.md';

create type kakunin.certificate_verdict as (
    valid boolean,
    reason text,
    detail text,
    serial text,
    agent_id text,
    subject text,
    issuer text,
    not_before timestamptz,
    not_after timestamptz,
    fingerprint bytea,
    scope jsonb,
    model_hash text
);
comment on type kakunin.certificate_verdict is 'Outcome of checking an agent certificate, with what it says';

-- A root (or any CA certificate) that paths may end at. Removing a row cuts off every agent below it.
create table kakunin.trust_anchor (
    fingerprint bytea primary key check (octet_length(fingerprint) = 32),
    certificate bytea not null,
    subject text not null,
    not_before timestamptz not null,
    not_after timestamptz not null,
    label text,
    added_at timestamptz not null default statement_timestamp(),
    added_by text not null default session_user
);
comment on table kakunin.trust_anchor is 'CA certificates that agent certificates may chain to';
comment on column kakunin.trust_anchor.fingerprint is 'SHA-256 of the DER certificate';
comment on column kakunin.trust_anchor.certificate is 'DER';
comment on column kakunin.trust_anchor.subject is 'Distinguished name, RFC 4514';
comment on column kakunin.trust_anchor.not_before is 'Start of validity';
comment on column kakunin.trust_anchor.not_after is 'End of validity, inclusive';
comment on column kakunin.trust_anchor.label is 'What the operator calls it';
comment on column kakunin.trust_anchor.added_at is 'When it was registered';
comment on column kakunin.trust_anchor.added_by is 'Login role that registered it';

-- An agent certificate that sessions may bind to. Rows are never changed; kakunin.revocation ends their use.
create table kakunin.certificate (
    fingerprint bytea primary key check (octet_length(fingerprint) = 32),
    serial text not null check (serial ~ '^([0-9A-F]{2}){1,20}$'),
    issuer text not null,
    issuer_der bytea not null,
    subject text not null,
    agent_id text not null check (agent_id <> ''),
    tenant_id text,
    agent_name text,
    model_hash text,
    scope jsonb,
    not_before timestamptz not null,
    not_after timestamptz not null,
    certificate bytea not null,
    chain bytea[] not null,
    imported_at timestamptz not null default statement_timestamp(),
    imported_by text not null default session_user,
    unique (issuer_der, serial)
);
create index certificate_serial on kakunin.certificate (serial);
create index certificate_agent_id on kakunin.certificate (agent_id);
comment on table kakunin.certificate is 'Agent certificates that sessions may bind to';
comment on column kakunin.certificate.fingerprint is 'SHA-256 of the DER certificate';
comment on column kakunin.certificate.serial is 'Serial number, upper-case hexadecimal without separators';
comment on column kakunin.certificate.issuer is 'Distinguished name of the issuer, RFC 4514';
comment on column kakunin.certificate.issuer_der is 'The same name in DER; a serial number is unique within it';
comment on column kakunin.certificate.subject is 'Distinguished name, RFC 4514; never used as an identity';
comment on column kakunin.certificate.agent_id is 'From the SPIFFE or URN name, else given at import';
comment on column kakunin.certificate.tenant_id is 'From the SPIFFE name or, for a URN name, the subject''s organisation';
comment on column kakunin.certificate.agent_name is 'For people only';
comment on column kakunin.certificate.model_hash is 'sha256:<hex> of the model, from the certificate';
comment on column kakunin.certificate.scope is 'What the agent may do, from the certificate; NULL binds identity only';
comment on column kakunin.certificate.not_before is 'Start of validity';
comment on column kakunin.certificate.not_after is 'End of validity, inclusive';
comment on column kakunin.certificate.certificate is 'DER';
comment on column kakunin.certificate.chain is 'DER of the intermediates, leaf''s issuer first';
comment on column kakunin.certificate.imported_at is 'When it was registered';
comment on column kakunin.certificate.imported_by is 'Login role that registered it';

-- Any certificate by fingerprint: an agent's, an intermediate's, an anchor's. A row ends its use for good.
create table kakunin.revocation (
    fingerprint bytea primary key check (octet_length(fingerprint) = 32),
    serial text not null,
    reason text not null default 'unspecified' check (reason in (
        'unspecified', 'keyCompromise', 'cACompromise', 'affiliationChanged', 'superseded',
        'cessationOfOperation', 'privilegeWithdrawn', 'aACompromise')),
    detail text,
    revoked_at timestamptz not null default statement_timestamp(),
    revoked_by text not null default session_user
);
comment on table kakunin.revocation is 'Certificates whose use has ended; read by every bind, and by every session after a change';
comment on column kakunin.revocation.fingerprint is 'SHA-256 of the DER certificate';
comment on column kakunin.revocation.serial is 'Its serial number, for people';
comment on column kakunin.revocation.reason is 'CRLReason of RFC 5280 section 5.3.1; a hold is not offered here';
comment on column kakunin.revocation.detail is 'Why, in the operator''s words';
comment on column kakunin.revocation.revoked_at is 'When';
comment on column kakunin.revocation.revoked_by is 'Login role that revoked it';

select pg_catalog.pg_extension_config_dump('kakunin.trust_anchor', '');
select pg_catalog.pg_extension_config_dump('kakunin.certificate', '');
select pg_catalog.pg_extension_config_dump('kakunin.revocation', '');

create type kakunin.session_binding as (
    source text,
    serial text,
    fingerprint bytea,
    agent_id text,
    tenant_id text,
    model_hash text,
    scope jsonb,
    not_before timestamptz,
    not_after timestamptz,
    bound_at timestamptz,
    session_scoped boolean
);
comment on type kakunin.session_binding is 'Who the session is bound to, how that was proven, and until when it can last';
