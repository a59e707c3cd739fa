-- Every object of the extension with what it lets whom do. A widened grant, a function that became SECURITY DEFINER,
-- a new setting: each is a line that differs.
\pset format unaligned
\pset fieldsep ' | '
\pset footer off
set search_path = pg_catalog;

-- What the owner can do is left out: the owner can do everything.
create function pg_temp.granted(acl aclitem[], owner oid) returns text
language sql as $$
    select coalesce(string_agg(line, '; ' order by line collate "C"), '-')
    from (
        select case grantee when 0 then 'public' else grantee::regrole::text end || ': '
                || string_agg(lower(privilege_type) || case when is_grantable then '*' else '' end, ','
                    order by privilege_type collate "C") as line
        from aclexplode(acl)
        where grantee <> owner
        group by grantee
    ) as each
$$;

create temp view member as
    select classid, objid from pg_depend
    where refclassid = 'pg_extension'::regclass and deptype = 'e'
        and refobjid = (select oid from pg_extension where extname = 'kakunin');

-- Schemas
select nspname as schema, pg_temp.granted(coalesce(nspacl, acldefault('n', nspowner)), nspowner) as granted,
    obj_description(n.oid, 'pg_namespace') is not null as commented
from pg_namespace n join member on classid = 'pg_namespace'::regclass and objid = n.oid
order by nspname collate "C";

-- Functions
select format('%I.%I(%s)', nspname, proname, pg_get_function_arguments(p.oid)) as function,
    pg_get_function_result(p.oid) as result,
    lanname as language,
    case provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
    case proparallel when 's' then 'parallel safe' when 'r' then 'parallel restricted' else 'parallel unsafe' end as parallel,
    case when prosecdef then 'definer' else 'invoker' end as security,
    case when proisstrict then 'strict' else 'called on null' end as nulls,
    case when proleakproof then 'leakproof' else '-' end as leaks,
    coalesce(array_to_string(proconfig, ', '), '-') as settings,
    pg_temp.granted(coalesce(proacl, acldefault('f', proowner)), proowner) as granted,
    obj_description(p.oid, 'pg_proc') is not null as commented
from pg_proc p
    join member on classid = 'pg_proc'::regclass and objid = p.oid
    join pg_namespace n on n.oid = pronamespace
    join pg_language l on l.oid = prolang
order by format('%I.%I(%s)', nspname, proname, pg_get_function_arguments(p.oid)) collate "C";

-- Tables, views, sequences
select format('%I.%I', nspname, relname) as relation,
    case relkind when 'r' then 'table' when 'v' then 'view' when 'S' then 'sequence' when 'c' then 'type'
        when 'm' then 'materialized view' when 'p' then 'partitioned table' else relkind::text end as kind,
    case when relrowsecurity then 'row security' else '-' end
        || case when relforcerowsecurity then ' forced' else '' end as row_security,
    coalesce(array_to_string(reloptions, ', '), '-') as options,
    case when c.oid = any (extconfig) then 'dumped' else '-' end as dump,
    pg_temp.granted(coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)), relowner)
        as granted,
    obj_description(c.oid, 'pg_class') is not null as commented
from pg_class c
    join member on classid = 'pg_class'::regclass and objid = c.oid
    join pg_namespace n on n.oid = relnamespace
    cross join (select extconfig from pg_extension where extname = 'kakunin') as extension
order by format('%I.%I', nspname, relname) collate "C";

-- Columns: what is in a table, and grants that are narrower than the table's
select format('%I.%I.%I', nspname, relname, attname) as column, format_type(atttypid, atttypmod) as type,
    case when attnotnull then 'not null' else '-' end as nulls,
    pg_temp.granted(attacl, relowner) as granted
from pg_attribute a
    join pg_class c on c.oid = attrelid
    join member on classid = 'pg_class'::regclass and objid = c.oid
    join pg_namespace n on n.oid = relnamespace
where attnum > 0 and not attisdropped and relkind in ('r', 'v', 'm', 'p')
order by nspname collate "C", relname collate "C", attnum;

-- Types
select format('%I.%I', nspname, typname) as type,
    case typtype when 'c' then 'composite' when 'e' then 'enum' when 'd' then 'domain' else 'base' end as kind,
    coalesce(
        (select string_agg(enumlabel, ',' order by enumsortorder) from pg_enum where enumtypid = t.oid),
        (select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
            from pg_attribute where attrelid = typrelid and attnum > 0 and not attisdropped),
        '-') as definition,
    pg_temp.granted(coalesce(typacl, acldefault('T', typowner)), typowner) as granted,
    obj_description(t.oid, 'pg_type') is not null as commented
from pg_type t
    join member on classid = 'pg_type'::regclass and objid = t.oid
    join pg_namespace n on n.oid = typnamespace
where not exists (select from pg_class c where c.oid = typrelid and relkind <> 'c')
    and typelem = 0
order by format('%I.%I', nspname, typname) collate "C";

-- Triggers and policies on the extension's tables
select format('%I.%I', nspname, relname) as relation, tgname as trigger, tgfoid::regprocedure as function,
    case tgenabled when 'A' then 'always' when 'O' then 'origin' when 'R' then 'replica' else 'disabled' end as fires
from pg_trigger t
    join pg_class c on c.oid = tgrelid
    join member on classid = 'pg_class'::regclass and objid = c.oid
    join pg_namespace n on n.oid = relnamespace
where not tgisinternal
order by nspname collate "C", relname collate "C", tgname collate "C";

select schemaname as schema, tablename as table, policyname as policy, permissive, roles, cmd as command, qual, with_check
from pg_policies
where format('%I.%I', schemaname, tablename)::regclass in (select objid from member where classid = 'pg_class'::regclass)
order by schemaname collate "C", tablename collate "C", policyname collate "C";

-- Whatever else belongs to it
select type, identity
from member, pg_identify_object(classid, objid, 0)
where classid not in ('pg_namespace'::regclass, 'pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass)
order by type collate "C", identity collate "C";

-- Roles: none can log in, none is more than a role
select rolname as role, rolsuper as superuser, rolcanlogin as login, rolbypassrls as bypassrls, rolcreaterole as createrole,
    rolcreatedb as createdb, rolreplication as replication,
    coalesce((select string_agg(roleid::regrole::text, ',' order by roleid::regrole::text collate "C")
        from pg_auth_members where member = r.oid), '-') as member_of,
    shobj_description(r.oid, 'pg_authid') is not null as commented
from pg_roles r
where rolname like 'kakunin%'
order by rolname collate "C";

-- Settings: who may change them, and how far
select name as setting, context, vartype as type, coalesce(unit, '-') as unit,
    coalesce(min_val || '..' || max_val, array_to_string(enumvals, ','), '-') as range,
    coalesce(nullif(boot_val, ''), '-') as default
from pg_settings
where name like 'kakunin.%'
order by name collate "C";

-- Default privileges that the script left behind
select count(*) as default_privileges from pg_default_acl;
