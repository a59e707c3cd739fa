-- The log over the entries of all ledgers, and the checkpoints that were signed of it. kakunin.checkpoint() writes all
-- of this; nobody else does, but for a restore of a dump. docs/spec/ledger.md says what is hashed and signed.

create table kakunin.log (
    number integer primary key check (number > 0),
    origin text not null unique,
    key text not null,
    named_at timestamptz not null default statement_timestamp(),
    named_by text not null default session_user
);
comment on table kakunin.log is 'The log of this database: its name, and the key that signs for it';
comment on column kakunin.log.number is 'Its names in order: the highest counts; it gets another one after an epoch has begun';
comment on column kakunin.log.origin is 'Name of the log and of its key, in every checkpoint';
comment on column kakunin.log.key is 'softkms:NAME of kakunin.signing_key';
comment on column kakunin.log.named_at is 'When it got its name';
comment on column kakunin.log.named_by is 'Login role that gave it';

-- Where the entries of the log are: a row for each ledger that had new entries at a checkpoint.
create table kakunin.log_range (
    first_index bigint primary key check (first_index >= 0),
    ledger integer not null,
    first_seq bigint not null check (first_seq > 0),
    last_seq bigint not null check (last_seq >= first_seq),
    unique (ledger, first_seq)
);
comment on table kakunin.log_range is 'Which entries of which ledger stand where in the log';
comment on column kakunin.log_range.first_index is 'Number in the log of the first of them, from 0';
comment on column kakunin.log_range.ledger is 'kakunin.ledger.number';
comment on column kakunin.log_range.first_seq is 'kakunin.ledger_entry.seq of the first';
comment on column kakunin.log_range.last_seq is 'That of the last';

-- Full tiles only. What is right of them is made from the entries.
create table kakunin.log_tile (
    level smallint not null check (level >= 0),
    index bigint not null check (index >= 0),
    hashes bytea not null check (octet_length(hashes) = 8192),
    primary key (level, index)
);
-- Hashes do not compress.
alter table kakunin.log_tile alter column hashes set storage external;
comment on table kakunin.log_tile is 'Full tiles of the log, as C2SP tlog-tiles has them';
comment on column kakunin.log_tile.level is '0 holds leaf hashes';
comment on column kakunin.log_tile.index is 'From 0, within the level';
comment on column kakunin.log_tile.hashes is '256 hashes';

create table kakunin.checkpoint (
    size bigint primary key check (size >= 0),
    root bytea not null check (octet_length(root) = 32),
    note text not null,
    frontier bytea not null,
    at timestamptz not null default statement_timestamp()
);
comment on table kakunin.checkpoint is 'What was signed of the log';
comment on column kakunin.checkpoint.size is 'Number of entries';
comment on column kakunin.checkpoint.root is 'Root of the tree over them';
comment on column kakunin.checkpoint.note is 'The signed note: C2SP tlog-checkpoint';
comment on column kakunin.checkpoint.frontier is 'Roots of the complete subtrees, the smallest and last first';
comment on column kakunin.checkpoint.at is 'When it was signed';

-- What is to be told to others. Whoever tells it removes it.
create table kakunin.outbox (
    id bigint primary key generated always as identity,
    topic text not null,
    payload text not null,
    created_at timestamptz not null default statement_timestamp()
);
comment on table kakunin.outbox is 'Messages that wait for delivery';
comment on column kakunin.outbox.id is 'In order';
comment on column kakunin.outbox.topic is 'checkpoint: the payload is a signed note';
comment on column kakunin.outbox.payload is 'The message';
comment on column kakunin.outbox.created_at is 'When';

comment on sequence kakunin.outbox_id_seq is 'Numbers of messages';

select pg_catalog.pg_extension_config_dump('kakunin.log', '');
select pg_catalog.pg_extension_config_dump('kakunin.log_range', '');
select pg_catalog.pg_extension_config_dump('kakunin.log_tile', '');
select pg_catalog.pg_extension_config_dump('kakunin.checkpoint', '');
select pg_catalog.pg_extension_config_dump('kakunin.outbox', '');
select pg_catalog.pg_extension_config_dump('kakunin.outbox_id_seq', '');
