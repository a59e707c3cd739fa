-- The registry as src/catalog.rs reads it: tables and indexes by name, columns by position and type. When a line here
-- changes, the constants at the end of that file must change with it, and an upgrade step must keep both true.
\pset format unaligned
\pset fieldsep ' | '
\pset footer off

select relname as relation, attnum as position, attname as column, format_type(atttypid, atttypmod) as type, attnotnull as not_null
from pg_attribute a join pg_class c on c.oid = attrelid
where relnamespace = 'kakunin'::regnamespace and relkind = 'r' and attnum > 0
order by relname collate "C", attnum;

-- Found by name; keys of one column, compared by the default operator and, for text, the default collation
select c.relname as table, i.relname as index, amname as method, indisunique as unique,
    array(select attname from unnest(indkey) with ordinality as each (key, at)
        join pg_attribute on attrelid = indrelid and attnum = key order by at)::text as columns,
    array(select opcname from unnest(indclass) with ordinality as each (class, at)
        join pg_opclass o on o.oid = class order by at)::text as operators,
    indcollation::oid[]::text as collations,
    indpred is null and indexprs is null as plain
from pg_index join pg_class c on c.oid = indrelid join pg_class i on i.oid = indexrelid join pg_am a on a.oid = i.relam
where c.relnamespace = 'kakunin'::regnamespace
order by c.relname collate "C", i.relname collate "C";

-- What holds in the tables, whoever writes them; NOT NULL is above, and PostgreSQL 18 would list it here as well
select conrelid::regclass as table, conname as constraint, pg_get_constraintdef(oid) as definition
from pg_constraint
where connamespace = 'kakunin'::regnamespace and contype <> 'n'
order by conrelid::regclass::text collate "C", conname collate "C";

-- All of a dump: no row is left out
select c::regclass as table, coalesce(nullif(w, ''), 'all rows') as dumped
from pg_extension, unnest(extconfig, extcondition) as each (c, w)
where extname = 'kakunin'
order by c::regclass::text collate "C";
