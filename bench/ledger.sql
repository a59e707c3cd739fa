-- The database that the ledger's benchmarks copy: the same table four times, of which three are chained. Rows have
-- about 200 bytes.
\set ON_ERROR_STOP 1
create extension kakunin;
create extension pgcrypto;
create schema bench;

create table bench.plain (
    id bigint primary key generated always as identity,
    request uuid not null,
    actor text not null,
    action text not null,
    amount numeric(14, 2) not null,
    payload jsonb not null,
    at timestamptz not null default clock_timestamp()
);
create table bench.ledger (like bench.plain including all);
create table bench.held (like bench.plain including all);
select count(*) as steps from kakunin.attach_ledger('bench.ledger');
select count(*) as steps from kakunin.attach_ledger('bench.held');

-- What somebody who knows the traps writes in plpgsql. The lock has a statement of its own: in one statement with the
-- query, the query would see what there was before the wait, and the chain would fork. The head is found by the primary
-- key, the number is given under the lock, and what is hashed is a jsonb array, whose members cannot run into each other.
create table bench.chain (
    id bigint primary key,
    request uuid not null,
    actor text not null,
    action text not null,
    amount numeric(14, 2) not null,
    payload jsonb not null,
    at timestamptz not null default clock_timestamp(),
    previous bytea not null,
    hash bytea not null
);

create function bench.chain_append() returns trigger
    language plpgsql
as $$
begin
    perform pg_advisory_xact_lock(7301, tg_relid::int);
    select c.id + 1, c.hash into new.id, new.previous from bench.chain c order by c.id desc limit 1;
    if not found then
        new.id := 1;
        new.previous := decode(repeat('00', 32), 'hex');
    end if;
    new.hash := digest(new.previous || convert_to(jsonb_build_array(new.id, new.request, new.actor, new.action,
        new.amount, new.payload, extract(epoch from new.at))::text, 'UTF8'), 'sha256');
    return new;
end
$$;

create function bench.chain_refuse() returns trigger
    language plpgsql
as $$ begin raise 'rows of the chain cannot be changed' using errcode = '42501'; end $$;

create trigger chain_append before insert on bench.chain for each row execute function bench.chain_append();
create trigger chain_refuse before update or delete on bench.chain for each row execute function bench.chain_refuse();
create trigger chain_refuse_truncate before truncate on bench.chain
    for each statement execute function bench.chain_refuse();


-- Fills a ledger: `entries` transactions of so many rows each.
create procedure bench.fill(entries int, rows int)
    language plpgsql
as $$
begin
    for i in 1..entries loop
        insert into bench.ledger (request, actor, action, amount, payload)
        select md5(n::text)::uuid, 'agent-' || n % 1000, 'payment.execute', (n * 7 % 10000000)::numeric / 100,
               jsonb_build_object('order', 'o-' || n, 'venue', 'XNAS', 'currency', 'EUR', 'risk', 0.12,
                                  'approved', true)
          from generate_series(i * rows, i * rows + rows - 1) n;
        commit;
    end loop;
end
$$;

-- High-water mark and size of this backend's address space, in kB. Shared memory is in it from the start, so that what
-- it grows by is the backend's own: how many shared buffers were looked at does not count.
create function bench.address_space(line text) returns bigint
    language sql volatile
as $$ select substring(pg_read_file('/proc/self/status') from line || ':\s+(\d+) kB')::bigint $$;
