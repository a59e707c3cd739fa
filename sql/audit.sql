-- The built-in ledger, with the columns that users of the hosted platform know: their forensic queries run as they are.
-- It becomes a ledger when its first row is inserted, so that a restore of a dump, which brings the ledger along, does
-- not find another one there.

create table kakunin.audit_log (
    id uuid primary key default gen_random_uuid(),
    tenant_id uuid,
    event_type text not null check (event_type <> ''),
    actor_type text not null check (actor_type in ('user', 'agent', 'system')),
    actor_id text not null,
    description text not null default '',
    affected_id uuid,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default statement_timestamp(),
    environment text not null default 'production',
    entry_hash text,
    ledger_tx bigint not null default kakunin.ledger_tx(),
    ledger_row integer not null default kakunin.ledger_row(),
    check (tenant_id is not null or actor_type = 'system')
);
create index audit_log_ledger_tx on kakunin.audit_log using brin (ledger_tx) with (pages_per_range = 32);
create index audit_log_created_at on kakunin.audit_log (tenant_id, created_at);
create index audit_log_actor_id on kakunin.audit_log (actor_id, created_at);
comment on table kakunin.audit_log is 'What happened: an append-only ledger with the columns of the platform''s audit log';
comment on column kakunin.audit_log.id is 'Name of the row';
comment on column kakunin.audit_log.tenant_id is 'Whose row it is; NULL for the system''s own';
comment on column kakunin.audit_log.event_type is 'Such as agent.created, certificate.revoked, behavior.<action>';
comment on column kakunin.audit_log.actor_type is 'user, agent or system';
comment on column kakunin.audit_log.actor_id is 'Who did it';
comment on column kakunin.audit_log.description is 'For people';
comment on column kakunin.audit_log.affected_id is 'To what it was done';
comment on column kakunin.audit_log.metadata is 'Facts, by event type';
comment on column kakunin.audit_log.created_at is 'When';
comment on column kakunin.audit_log.environment is 'Such as production or sandbox';
comment on column kakunin.audit_log.entry_hash is 'Not used: the entry of the row''s transaction, kakunin.ledger_entry, holds its hash';
comment on column kakunin.audit_log.ledger_tx is 'The transaction that added the row';
comment on column kakunin.audit_log.ledger_row is 'Its number within the transaction';

create trigger ledger_append after insert on kakunin.audit_log
    for each row execute function kakunin.ledger_append('');
create trigger ledger_refuse before update or delete on kakunin.audit_log
    for each row execute function kakunin.ledger_refuse();
create trigger ledger_refuse_statement before update or delete or truncate on kakunin.audit_log
    for each statement execute function kakunin.ledger_refuse();
alter table kakunin.audit_log enable always trigger ledger_append;
alter table kakunin.audit_log enable always trigger ledger_refuse;
alter table kakunin.audit_log enable always trigger ledger_refuse_statement;

select pg_catalog.pg_extension_config_dump('kakunin.audit_log', '');
