-- One table, and one role with its own policy for each way to write one. All roles read the same pages, so that the
-- ways can be measured in turn. Variables: rows, agents (how many share the rows), serial (of the bound certificate).
\set ON_ERROR_STOP 1
create schema bench;
grant usage on schema bench to public;

-- Serial numbers of other agents: 40 upper-case hexadecimal digits, as 20 octets give.
create function bench.other_serial(agent bigint) returns text
    language sql immutable parallel safe
as $$ select upper(left(encode(sha256(int8send(agent)), 'hex'), 40)) $$;

create table bench.vault as
    select id,
           case when id * 104729 % :agents = 0 then :'serial' else bench.other_serial(id * 104729 % :agents) end
               as permitted_agent_serial,
           (id * 31 % 1000)::int as amount,
           repeat('v', 80) as note
      from generate_series(1::bigint, :rows) id;
alter table bench.vault add primary key (id), alter permitted_agent_serial set not null;
-- Also a small table is to be scanned by two workers.
alter table bench.vault set (parallel_workers = 2);
alter table bench.vault enable row level security;

create function bench.claimed_serial() returns text
    language plpgsql stable parallel safe
as $$ begin return current_setting('request.jwt.claims', true)::json ->> 'kakunin_cert_serial'; end $$;

create role bench_constant login bypassrls;
create role bench_protected login;
create role bench_bare login;
create role bench_claims login;
create role bench_plpgsql login;

-- What protect_table writes, word for word; only whom it applies to is narrowed.
select count(*) as steps from kakunin.protect_table('bench.vault');
alter policy kakunin_access on bench.vault to bench_protected;
alter policy kakunin_binding on bench.vault to bench_protected;

create policy bare on bench.vault to bench_bare using (permitted_agent_serial = kakunin_cert_serial());
create policy claims on bench.vault to bench_claims
    using (permitted_agent_serial = (current_setting('request.jwt.claims', true)::json ->> 'kakunin_cert_serial'));
create policy plpgsql on bench.vault to bench_plpgsql using (permitted_agent_serial = bench.claimed_serial());

-- Binds are measured by these two; the verdict on the chain is kept for one of them.
create role bench_uncached login;
create role bench_cached login;
alter role bench_uncached set kakunin.chain_cache = off;
alter role bench_cached set kakunin.chain_cache = on;
create table bench.proof (proof text not null);

grant select on all tables in schema bench to bench_constant, bench_protected, bench_bare, bench_claims, bench_plpgsql,
    bench_uncached, bench_cached;

-- CPU time of a statement comes from the backend's own getrusage().
do $$
declare
    role_name text;
begin
    for role_name in select rolname from pg_roles where rolname like 'bench\_%' loop
        execute format('alter role %I set log_statement_stats = on', role_name);
        execute format('alter role %I set client_min_messages = log', role_name);
    end loop;
end
$$;

-- Memory of this backend that is not shared, in bytes: as the kernel counts it, and as PostgreSQL does.
create function bench.resident() returns bigint
    language sql volatile
as $$ select substring(pg_read_file('/proc/self/status') from 'RssAnon:\s+(\d+) kB')::bigint * 1024 $$;
create function bench.allocated() returns bigint
    language sql volatile
as $$ select sum(total_bytes)::bigint from pg_backend_memory_contexts $$;

vacuum (analyze, freeze) bench.vault;
