-- Rows of many types with random values, and who writes them: for the count of false alarms. Variable: pool, how many
-- different rows there are.
\set ON_ERROR_STOP 1
create type bench.state as enum ('open', 'held', 'done', 'a label with spaces, ü');
create type bench.pair as (a integer, b text);
create domain bench.short_text as varchar(20);

create function bench.random_text(longest int) returns text
    language sql volatile
as $$
    select left(repeat((array['abc', 'déjà ', '日本 ', E'\t\n', '"quoted" ', '\back ', '€', '😀'])[1 + (random() * 7)::int]
        || md5(random()::text), 1 + longest / 32), (random() * longest)::int)
$$;

create table bench.pool as
    select n,
           (random() < 0.5)::bool as boolean,
           (random() * 60000 - 30000)::int::smallint as "smallint",
           ((random() - 0.5) * 4e9)::int as "integer",
           ((random() - 0.5) * 1e18)::bigint as "bigint",
           (random() * 4e9)::bigint::oid as "oid",
           (array['NaN', 'Infinity', '-0', random()::text, (random() * 1e30)::text])[1 + (random() * 4)::int]::real as "real",
           (array['NaN', '-Infinity', '0', random()::text, (random() * 1e-200)::text])[1 + (random() * 4)::int]::float8
               as double,
           (array['NaN', '0.00', random()::text, (random() * 1e20)::text, '-1e-12'])[1 + (random() * 4)::int]::numeric
               as "numeric",
           round((random() * 1e9)::numeric, 2)::numeric(14, 2) as money_like,
           bench.random_text(80) as text,
           bench.random_text(30)::varchar(30) as varied,
           left(md5(random()::text), (random() * 9)::int)::char(10) as fixed,
           left(bench.random_text(20), 20)::bench.short_text as short,
           decode(md5(random()::text), 'hex') as bytea,
           (array['infinity', '-infinity', '2026-02-28 23:59:60+00', '0044-03-15 12:00 BC',
                  (now() + random() * interval '9 years')::text])[1 + (random() * 4)::int]::timestamptz as stamp_zone,
           (now() - random() * interval '900 years')::timestamp as stamp,
           (date '2000-01-01' + (random() * 9000)::int) as date,
           (interval '1 day' * random())::time as time,
           ((interval '1 day' * random())::time::text || '+05:30')::timetz as time_zone,
           make_interval(months => (random() * 99)::int, days => (random() * 99)::int, secs => random() * 1e6) as interval,
           gen_random_uuid() as uuid,
           jsonb_build_object('a', random(), bench.random_text(9), jsonb_build_array(null, true, n, bench.random_text(20)),
                              'z', 1e25::numeric) as jsonb,
           json_build_object('b', random(), 'a', null) as json,
           (array['open', 'held', 'done', 'a label with spaces, ü'])[1 + (random() * 3)::int]::bench.state as state,
           array[n, null, (random() * 99)::int] as integers,
           array[[bench.random_text(9), 'x'], [null, 'NULL']] as texts,
           row(n, bench.random_text(12))::bench.pair as pair,
           int8range(n, n + (random() * 3)::int) as range,
           tstzmultirange(tstzrange(now(), now() + interval '1 hour' * random(), '[]')) as ranges,
           (n * 2654435761)::bit(37) as bits,
           left((n * 2654435761)::bit(40)::text, (random() * 40)::int)::varbit as varied_bits,
           ('10.0.' || n % 256 || '.0/24')::inet as inet,
           to_tsvector('simple', md5(random()::text)) as vector
      from generate_series(1, :pool) n;
-- Each value is NULL in one row of twenty.
do $$
begin
    execute (
        select format('update bench.pool set %s', string_agg(
                   format('%1$I = case when random() >= 0.05 then %1$I end', attname), ', '))
          from pg_attribute where attrelid = 'bench.pool'::regclass and attnum > 1);
end
$$;
alter table bench.pool add primary key (n);

create table bench.honest (like bench.pool including defaults, id bigint primary key generated always as identity);
select count(*) as steps from kakunin.attach_ledger('bench.honest');

-- Writes so many rows in transactions of random size. Now and then a savepoint or a whole transaction is taken
-- back, or rows come one by one.
create procedure bench.write_honest(wanted bigint)
    language plpgsql
as $$
declare
    written bigint := 0;
    batch bigint;
    start bigint;
    pool_rows bigint := (select count(*) from bench.pool);
begin
    while written < wanted loop
        batch := least(wanted - written, 1 + (random() * random() * 600)::bigint);
        start := (random() * (pool_rows - 600))::bigint;
        if random() < 0.2 then
            begin
                insert into bench.honest select p.* from bench.pool p where n between start and start + 20;
                raise 'taken back' using errcode = 'KT001';
            exception
                when sqlstate 'KT001' then null;
            end;
        end if;
        if batch < 4 then
            for i in 1..batch loop
                insert into bench.honest select p.* from bench.pool p where n = start + i;
            end loop;
        else
            insert into bench.honest select p.* from bench.pool p where n between start + 1 and start + batch;
        end if;
        if random() < 0.1 then
            rollback;
        else
            commit;
            written := written + batch;
        end if;
    end loop;
end
$$;
