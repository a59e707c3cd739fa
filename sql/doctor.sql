-- doctor() looks at the database as an attacker would: each row is one unsafe thing, with the statement that mends
-- it. No row means that nothing known was found. Each check is a query of its own, so that it can be read alone.

create function kakunin.doctor()
    returns table (severity text, finding text, object text, detail text, remedy text)
    language sql stable parallel unsafe
    -- Definer: sees settings that are hidden from ordinary roles; reads catalogues only.
    security definer set search_path = pg_catalog, pg_temp
as $$
    with
    -- Policy functions of ours, by the schema that CREATE EXTENSION chose.
    reader as (
        select p.oid
          from pg_depend d
          join pg_extension e on e.oid = d.refobjid and e.extname = 'kakunin'
          join pg_proc p on p.oid = d.objid
         where d.classid = 'pg_proc'::regclass
           and d.refclassid = 'pg_extension'::regclass
           and d.deptype = 'e'
           and p.proname like 'kakunin\_%'
           and p.pronargs = 0
    ),
    policy as (
        select p.oid, p.polname, p.polrelid, p.polpermissive, p.polroles, c.relname, c.relrowsecurity, c.relforcerowsecurity,
               c.relkind, c.relowner, p.polrelid::regclass as relation,
               coalesce(pg_get_expr(p.polqual, p.polrelid), '') || ' ' || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
                   as condition
          from pg_policy p
          join pg_class c on c.oid = p.polrelid
    ),
    -- Policies that read the binding, and the columns they mention.
    binding_policy as (
        select distinct p.*
          from policy p
          join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_proc'::regclass
         where d.refobjid in (select oid from reader)
    ),
    protected as (
        select distinct polrelid, relation, relowner, relkind, relrowsecurity, relforcerowsecurity from binding_policy
    ),
    -- The oldest minor release of each major that has the fixes row-level security depends on.
    floor (major, version_num, name) as (
        values (15, 150020, '15.20'), (16, 160016, '16.16'), (17, 170012, '17.12'), (18, 180006, '18.6')
    ),
    finding (severity, finding, object, detail, remedy) as (
        select 'high', 'server_below_security_floor', 'server ' || current_setting('server_version'),
               'Row-level security bypasses were fixed in later minor releases.',
               'Upgrade to PostgreSQL ' || f.name || ' or a later minor release.'
          from floor f
         where f.major = current_setting('server_version_num')::int / 10000
           and current_setting('server_version_num')::int < f.version_num

        union all
        select 'high', 'not_preloaded', 'shared_preload_libraries',
               'Without shared memory no session can be bound, and revocations reach nobody.',
               'alter system set shared_preload_libraries = '
                   || quote_literal(concat_ws(',', nullif(current_setting('shared_preload_libraries'), ''), 'kakunin'))
                   || '; -- then restart'
         where not exists (
               select from regexp_split_to_table(current_setting('shared_preload_libraries'), '\s*,\s*') name
                where trim(both '"' from name) in ('kakunin', '$libdir/kakunin'))

        union all
        select 'high', 'policy_reads_setting', format('policy %I on %s', p.polname, p.relation),
               'Any session can write the setting that this policy trusts, with one set_config() in the same SELECT.',
               format('drop policy %I on %s; select kakunin.protect_table(%L);', p.polname, p.relation, p.relation)
          from policy p
         where p.condition ~* 'current_setting\s*\('
            or p.condition ~* 'auth\.(jwt|uid|role)\s*\('

        union all
        select 'medium', 'no_index_for_policy', p.relation::text,
               format('No index leads with the column that %s compares: every query reads the whole table.',
                      string_agg(distinct quote_ident(p.polname), ', ')),
               format('create index concurrently on %s (%I);', p.relation, a.attname)
          from binding_policy p
          join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid
                          and d.refclassid = 'pg_class'::regclass and d.refobjid = p.polrelid and d.refobjsubid > 0
          join pg_attribute a on a.attrelid = p.polrelid and a.attnum = d.refobjsubid
         where not exists (
               select from pg_index i where i.indrelid = p.polrelid and i.indisvalid and i.indkey[0] = a.attnum)
         group by p.relation, a.attname

        union all
        select 'high', 'row_security_off', p.relation::text,
               'The table has binding policies, but row level security is not enabled.',
               format('alter table %s enable row level security;', p.relation)
          from protected p
         where not p.relrowsecurity

        union all
        select 'medium', 'owner_not_forced', p.relation::text,
               format('Owner %s, its views and its definer functions see every row.', p.relowner::regrole),
               format('alter table %s force row level security;', p.relation)
          from protected p
         where p.relrowsecurity and not p.relforcerowsecurity

        union all
        select 'medium', 'no_restrictive_policy', p.relation::text,
               'A permissive policy that someone adds later would open the table.',
               format('select kakunin.protect_table(%L);', p.relation)
          from protected p
         where not exists (select from binding_policy b where b.polrelid = p.polrelid and not b.polpermissive)

        union all
        select 'high', 'permissive_policy_opens', format('policy %I on %s', o.polname, o.relation),
               'It lets rows through beside the binding, which is not restrictive here.',
               format('drop policy %I on %s; -- or: select kakunin.protect_table(%L);', o.polname, o.relation, o.relation)
          from policy o
          join protected p on p.polrelid = o.polrelid
         where o.polpermissive
           and not exists (select from binding_policy b where b.oid = o.oid)
           and not exists (select from binding_policy b where b.polrelid = o.polrelid and not b.polpermissive)

        union all
        select distinct 'high',
               case v.relkind when 'm' then 'materialized_view_copies_rows' else 'view_without_security_invoker' end,
               v.oid::regclass::text,
               format('It reads %s as its owner %s, not as the session.', p.relation, v.relowner::regrole),
               case v.relkind
                   when 'm' then format('revoke all on %s from public; -- and from every agent role', v.oid::regclass)
                   else format('alter view %s set (security_invoker = true);', v.oid::regclass)
               end
          from protected p
          join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = p.polrelid
                          and d.classid = 'pg_rewrite'::regclass
          join pg_rewrite r on r.oid = d.objid
          join pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm') and v.oid <> p.polrelid
         where v.relkind = 'm'
            or not exists (
                select from pg_options_to_table(v.reloptions) o
                 where o.option_name = 'security_invoker' and o.option_value::boolean)

        union all
        select 'high', 'partition_without_row_security', c.oid::regclass::text,
               format('Asked directly, it shows every row: policies of %s do not apply to it.', p.relation),
               format('select kakunin.protect_table(%L);', p.relation)
          from protected p
          cross join lateral pg_partition_tree(p.polrelid) t
          join pg_class c on c.oid = t.relid and c.oid <> p.polrelid
         where not c.relrowsecurity

        union all
        select 'high', 'child_without_row_security', c.oid::regclass::text,
               format('Asked directly, it shows every row: policies of %s do not apply to an inheriting table.', p.relation),
               format('alter table %s no inherit %s; -- or protect it as well', c.oid::regclass, p.relation)
          from protected p
          join pg_inherits i on i.inhparent = p.polrelid
          join pg_class c on c.oid = i.inhrelid and not c.relispartition
         where not c.relrowsecurity

        union all
        select distinct 'medium', 'policy_function_slow_or_stale', f.oid::regprocedure::text,
               case
                   when f.provolatile = 'i' then 'It is IMMUTABLE: a cached plan keeps the first identity it saw.'
                   when f.provolatile = 'v' then 'It is VOLATILE: no index is used for the policy.'
                   when f.prosecdef then 'It is SECURITY DEFINER: it runs for every row, and as its owner.'
                   else 'Its SET clause makes it run for every row, about forty times slower.'
               end,
               case
                   when f.provolatile <> 's' then format('alter function %s stable;', f.oid::regprocedure)
                   when f.prosecdef then format('alter function %s security invoker;', f.oid::regprocedure)
                   else format('alter function %s reset all; -- and qualify the names inside', f.oid::regprocedure)
               end
          from policy p
          join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_proc'::regclass
          join pg_proc f on f.oid = d.refobjid
         where f.prosrc ~* 'kakunin_|current_setting'
           and f.oid not in (select oid from reader)
           and (f.provolatile <> 's' or f.prosecdef or f.proconfig is not null)

        union all
        select 'high', 'role_bypasses_row_security', r.rolname::text,
               case when r.rolcanlogin then 'It can log in and sees every row of every table.'
                    else 'Whoever may SET ROLE to it sees every row of every table.' end,
               format('alter role %I nobypassrls;', r.rolname)
          from pg_roles r
         where r.rolbypassrls and not r.rolsuper
           and exists (select from protected)

        union all
        select 'medium', 'truncate_granted', p.relation::text,
               format('%s may TRUNCATE it; row level security does not apply to that.', g.grantee_name),
               format('revoke truncate on %s from %s;', p.relation, g.grantee_name)
          from protected p
          join pg_class c on c.oid = p.polrelid
          cross join lateral aclexplode(c.relacl) a
          cross join lateral (
               select case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as grantee_name) g
         where a.privilege_type = 'TRUNCATE' and a.grantee <> c.relowner

        union all
        select 'high', 'bare_serial_header_trusted', 'kakunin.trust_serial_header',
               'A serial number is public: whoever reaches the gateway can send it in a header.',
               'alter system set kakunin.trust_serial_header = off; select pg_reload_conf();'
         where current_setting('kakunin.trust_serial_header', true)::boolean
           and coalesce(current_setting('kakunin.trusted_gateways', true), '') <> ''

        union all
        select 'medium', 'gateway_token_not_reverified', 'kakunin.gateway_jwt_key_file',
               'Claims are believed as the gateway wrote them; a function that runs before pre_request() could forge them.',
               'alter system set kakunin.gateway_jwt_key_file = ''…''; select pg_reload_conf();'
         where coalesce(current_setting('kakunin.trusted_gateways', true), '') <> ''
           and coalesce(current_setting('kakunin.gateway_jwt_key_file', true), '') = ''

        union all
        select 'medium', 'gateway_reaches_bypass_role', g.name,
               'Sessions of this login serve many clients, and '
                   || 'roles that it can SET ROLE to bypass row level security: ' || string_agg(r.rolname, ', ' order by r.rolname) || '.',
               'Lock the role at the start of each request: db-pre-request = "kakunin.pre_request".'
          from regexp_split_to_table(coalesce(current_setting('kakunin.trusted_gateways', true), ''), '\s*,\s*') g(name)
          join pg_roles login on login.rolname = trim(both '"' from g.name)
          join pg_roles r on r.rolbypassrls and pg_has_role(login.oid, r.oid, 'MEMBER') and not login.rolsuper
         group by g.name

        union all
        select 'medium', 'temporary_granted', format('database %I', d.datname),
               'On a shared connection a temporary table with a real one''s name takes what later clients write to it.',
               format('revoke temporary on database %I from public;', d.datname)
          from pg_database d
          cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
         where d.datname = current_database() and a.grantee = 0 and a.privilege_type = 'TEMPORARY'
           and exists (select from protected)
           and (coalesce(current_setting('kakunin.trusted_gateways', true), '') <> ''
                or exists (
                    select from pg_db_role_setting r cross join lateral unnest(r.setconfig) as c(setting)
                     where c.setting ~ '^kakunin\.session_binding=(off|false|no|0)$'))

        union all
        select 'high', 'schema_open_to_all', n.nspname::text,
               format('Everyone may create objects in it, and names in %s are searched first by many sessions.', n.nspname),
               format('revoke create on schema %I from public;', n.nspname)
          from pg_namespace n
          cross join lateral aclexplode(n.nspacl) a
         where n.nspname not like 'pg\_temp%' and a.grantee = 0 and a.privilege_type = 'CREATE'
           and exists (select from protected)
    )
    select f.severity, f.finding, f.object, f.detail, f.remedy
      from finding f
     order by case f.severity when 'high' then 0 else 1 end, f.finding, f.object, f.detail
$$;
comment on function kakunin.doctor() is
    'One row per unsafe thing found in this database, with the statement that mends it; no row when nothing was found';
