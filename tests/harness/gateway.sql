-- A database as Supabase shapes it: what stands behind PostgREST in the gateway tests.

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
-- The same rights, but nobody has named it in kakunin.trusted_gateways.
create role other_login login noinherit;
grant anon, authenticated, service_role to authenticator, other_login;

create schema api;
grant usage on schema api to anon, authenticated, service_role;

create table api.note (
    id int primary key,
    permitted_agent_serial text not null,
    body text
);
insert into api.note values (1, '0A01', 'alpha one'), (2, '0A01', 'alpha two'), (3, '0B02', 'bravo one');
grant select, insert, update, delete on api.note to anon, authenticated, service_role;
select from kakunin.protect_table('api.note');

-- A policy as the platform's article shows it, and one as its SDK documents it.
create table api.vault (like api.note including all);
insert into api.vault select * from api.note;
grant select on api.vault to anon, authenticated, service_role;
alter table api.vault enable row level security;
create policy vault_isolation on api.vault for all to authenticated, anon
    using (permitted_agent_serial = current_setting('request.jwt.claims', true)::json ->> 'kakunin_cert_serial');

create table api.ledger (id int primary key, agent_id text not null);
insert into api.ledger values (1, 'agent-alpha'), (2, 'agent-bravo');
grant select on api.ledger to anon, authenticated, service_role;
alter table api.ledger enable row level security;
create policy ledger_subject on api.ledger for all to authenticated, anon
    using (agent_id = current_setting('request.jwt.claims', true)::json ->> 'sub');

create table api."my note" (id int primary key);
insert into api."my note" values (1);
grant select on api."my note" to anon, authenticated;

-- What a request is: whoever asks gets its own.
create function api.whoami() returns json language sql stable as $$
    select json_build_object(
        'role', current_user,
        'login', session_user,
        'serial', kakunin_cert_serial(),
        'agent', kakunin_agent_id(),
        'tenant', kakunin_tenant_id(),
        'status', kakunin_cert_status(),
        'source', kakunin_binding_source(),
        'read_only', current_setting('transaction_read_only'),
        'path', current_setting('request.path', true))
$$;

create function api.proof_audience() returns text stable
    begin atomic select kakunin.proof_audience(); end;

create function api.noop() returns int language sql volatile as 'select 1';

create function api.fail(code text) returns int language plpgsql volatile as $$
begin
    raise exception 'as asked' using errcode = code;
end $$;

-- Arbitrary SQL, which is what an agent with a generic tool has.
create function api.run(statement text) returns json language plpgsql volatile as $$
declare
    answer json;
begin
    execute format('select json_agg(t) from (%s) t', statement) into answer;
    return answer;
end $$;

-- The same, without a result: for what is no query.
create function api.perform(statement text) returns void language plpgsql volatile as $$
begin
    execute statement;
end $$;

-- The platform's documents set the identity by a call of its own.
create function api.set_config(setting text, value text, is_local boolean) returns text
    language sql volatile as 'select pg_catalog.set_config(setting, value, is_local)';

-- Says that it is somebody else, wherever something might listen, and then reads.
create function api.spoof(victim text) returns json language plpgsql volatile as $$
declare
    answer json;
begin
    perform set_config('request.jwt.claims', json_build_object(
        'kakunin_cert_serial', victim, 'app_metadata', json_build_object('cert_serial', victim))::text, true);
    perform set_config('request.headers', json_build_object('x-kakunin-cert-serial', victim)::text, true);
    select json_agg(id order by id) into answer from api.note;
    return answer;
end $$;

create function api.escalate() returns json language plpgsql volatile as $$
declare
    answer json;
begin
    perform set_config('role', 'service_role', true);
    select json_agg(id order by id) into answer from api.note;
    return answer;
end $$;

create function api.own_proof() returns text language sql stable as
    $$ select current_setting('request.headers', true)::json ->> 'x-kakunin-proof' $$;

-- Sequences keep their value when a transaction is rolled back, so this knows how often it was run.
create sequence api.calls;
grant usage on sequence api.calls to anon, authenticated;
create function api.flaky(failures int, code text) returns json language plpgsql volatile as $$
declare
    run bigint := nextval('api.calls');
    ids json;
begin
    if run <= failures then
        raise exception 'again' using errcode = code;
    end if;
    select json_agg(id order by id) into ids from api.note;
    return json_build_object('run', run, 'ids', ids);
end $$;

-- Functions that an operator might put before pre_request(), or around it.
create function api.forging_claims() returns void language plpgsql volatile as $$
begin
    perform set_config('request.jwt.claims', '{"kakunin_cert_serial":"0B02","exp":4000000000}', true);
    perform kakunin.pre_request();
end $$;

create function api.forging_token() returns void language plpgsql volatile as $$
begin
    perform set_config('request.headers', json_build_object('authorization',
        current_setting('request.headers')::json ->> 'x-forged')::text, true);
    perform kakunin.pre_request();
end $$;

create function api.as_definer() returns void language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp as $$
begin
    perform kakunin.pre_request();
end $$;

create function api.as_invoker() returns void language plpgsql volatile as $$
begin
    perform kakunin.pre_request();
end $$;
