-- Keys that the signer signs with, sealed: docs/spec/key.md says how. What is here opens nothing without the file kek of
-- kakunin.key_directory, which is not in the database and not in a backup of it.

create table kakunin.signing_key (
    name text primary key check (name ~ '^[a-z0-9_-]{1,63}$'),
    algorithm text not null,
    public_key bytea not null,
    sealed bytea not null,
    created_at timestamptz not null default statement_timestamp(),
    created_by text not null default session_user
);
comment on table kakunin.signing_key is 'Keys of the signer, named softkms:NAME elsewhere';
comment on column kakunin.signing_key.name is 'Lower-case letters, digits, underscores and dashes';
comment on column kakunin.signing_key.algorithm is 'Ed25519';
comment on column kakunin.signing_key.public_key is 'The public half, raw';
comment on column kakunin.signing_key.sealed is 'The private half, sealed under the key-encryption key';
comment on column kakunin.signing_key.created_at is 'When';
comment on column kakunin.signing_key.created_by is 'Login role that had it made';

comment on function kakunin.create_signing_key(text, text) is
    'Has the signer make a key, and returns its public half';

select pg_catalog.pg_extension_config_dump('kakunin.signing_key', '');
