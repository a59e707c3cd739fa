-- The database of compose.yaml: one protected table behind PostgREST.
\getenv password AUTHENTICATOR_PASSWORD
create role anon nologin;
create role authenticator login noinherit password :'password';
grant anon to authenticator;

create database app;
\connect app
create extension kakunin;

create schema api;
grant usage on schema api to anon;
create table api.note (
    id uuid primary key default gen_random_uuid(),
    permitted_agent_serial text not null default kakunin_cert_serial(),
    body text not null
);
select step from kakunin.protect_table('api.note', create_index => true);
grant select, insert, update, delete on api.note to anon;

-- What a proof must name as its audience, for clients to ask.
create function api.proof_audience() returns text stable
    begin atomic select kakunin.proof_audience(); end;
