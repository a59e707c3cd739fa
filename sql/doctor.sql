-- doctor() looks at the database as an attacker would: each row is one unsafe thing, with the statement that mends
-- it. No row means that nothing known was found. Each check is a query of its own, so that it can be read alone.

create function kakunin.doctor()
    returns table (severity text, finding text, object text, detail text, remedy text)
    language sql stable parallel unsafe
    -- Definer: sees settings that are hidden from ordinary roles; reads catalogues only.
    security definer set search_path = pg_catalog, pg_temp
    -- Whatever its caller has set: the text below is read anew in each session, and names are compared as printed.
    set standard_conforming_strings = on set quote_all_identifiers = off
as $$
    with recursive
    -- Policy functions of ours, by the schema that CREATE EXTENSION chose, and what protect_table calls the identity.
    reader (oid, identity, rank) as (
        select p.oid, i.identity, i.rank
          from pg_depend d
          join pg_extension e on e.oid = d.refobjid and e.extname = 'kakunin'
          join pg_proc p on p.oid = d.objid
          left join (values ('kakunin_cert_serial', 'serial', 1), ('kakunin_cert_fingerprint', 'fingerprint', 2),
                            ('kakunin_agent_id', 'agent_id', 3), ('kakunin_tenant_id', 'tenant_id', 4))
                 as i (name, identity, rank) on i.name = p.proname
         where d.classid = 'pg_proc'::regclass
           and d.refclassid = 'pg_extension'::regclass
           and d.deptype = 'e'
           and p.proname like 'kakunin\_%'
    ),
    -- What each policy calls, also behind views and behind functions. The body of a function is a text: a function
    -- counts as called where its name stands before a parenthesis, whatever its arguments.
    calls (policy, class, oid) as (
        select d.objid, d.refclassid, d.refobjid
          from pg_depend d
         where d.classid = 'pg_policy'::regclass
           and d.refclassid in ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_operator'::regclass)
        union
        select c.policy, e.class, e.oid
          from calls c
          cross join lateral (
                select d.refclassid as class, d.refobjid as oid
                  from pg_depend d
                 where c.class = 'pg_proc'::regclass and d.classid = c.class and d.objid = c.oid
                   and d.refclassid in ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_operator'::regclass)
                union all
                select 'pg_proc'::regclass, o.oprcode
                  from pg_operator o
                 where c.class = 'pg_operator'::regclass and o.oid = c.oid
                union all
                select d.refclassid, d.refobjid
                  from pg_rewrite r
                  join pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm')
                  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
                 where c.class = 'pg_class'::regclass and r.ev_class = c.oid
                   and d.refclassid in ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_operator'::regclass)
                union all
                select 'pg_proc'::regclass, g.oid
                  from pg_proc f
                  join pg_proc g on strpos(lower(f.prosrc), lower(g.proname)) > 0
                 where c.class = 'pg_proc'::regclass and f.oid = c.oid
                   and f.prolang not in (select l.oid from pg_language l where l.lanname in ('internal', 'c'))
                   and g.pronamespace <> 'pg_catalog'::regnamespace
                   and f.prosrc ~* ('(^|[^[:alnum:]_$])' || regexp_replace(g.proname, '([^[:alnum:]_])', '\\\1', 'g')
                                    || '"?\s*\(')
               ) e
    ),
    policy as (
        select p.oid, p.polname, p.polrelid, p.polcmd, p.polpermissive, p.polroles, c.relrowsecurity,
               c.relforcerowsecurity, c.relkind, c.relowner, c.relispartition, p.polrelid::regclass as relation,
               coalesce(p.polqual::text, '') || coalesce(p.polwithcheck::text, '') as condition,
               pg_get_expr(p.polwithcheck, p.polrelid) as with_check
          from pg_policy p
          -- Nobody can mend another session's temporary tables, and nobody else can reach them.
          join pg_class c on c.oid = p.polrelid and not pg_is_other_temp_schema(c.relnamespace)
    ),
    -- Functions and views behind policies, with their text.
    called (policy, class, oid, body) as (
        select c.policy, c.class, c.oid, f.prosrc || coalesce(pg_get_function_sqlbody(f.oid), '')
          from calls c
          join pg_proc f on c.class = 'pg_proc'::regclass and f.oid = c.oid
         where f.pronamespace <> 'pg_catalog'::regnamespace and f.oid not in (select oid from reader)
        union all
        select c.policy, c.class, c.oid, pg_get_viewdef(v.oid)
          from calls c
          join pg_class v on c.class = 'pg_class'::regclass and v.oid = c.oid and v.relkind in ('v', 'm')
    ),
    -- Policies that read the binding.
    binding_policy as (
        select p.*
          from policy p
         where exists (
               select from calls c
                where c.policy = p.oid and c.class = 'pg_proc'::regclass and c.oid in (select oid from reader))
    ),
    -- What restrictive policies hold: the commands and the roles that they name, and no others. A check that is always
    -- true checks nothing.
    held (polrelid, command, roles) as (
        select b.polrelid, k.command, b.polroles
          from binding_policy b
          cross join unnest(array['r', 'a', 'w', 'd']::"char"[]) k(command)
         where not b.polpermissive and b.polcmd in ('*', k.command)
           and (k.command in ('r', 'd') or b.with_check is distinct from 'true')
    ),
    protected as (
        select distinct polrelid, relation, relowner, relkind, relrowsecurity, relforcerowsecurity, relispartition
          from binding_policy
    ),
    -- Columns that policies mention: with what they are compared cannot be asked of a catalogue. Texts come first.
    mentioned (polrelid, attnum, attname, textual, plain, binds, ours) as (
        select p.polrelid, a.attnum, a.attname, bool_or(y.typcategory = 'S'),
               bool_or(a.atttypid in ('text'::regtype, 'varchar'::regtype)),
               bool_or(p.oid in (select oid from binding_policy)), bool_or(p.polname = 'kakunin_binding')
          from policy p
          join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid
                          and d.refclassid = 'pg_class'::regclass and d.refobjid = p.polrelid and d.refobjsubid > 0
          join pg_attribute a on a.attrelid = p.polrelid and a.attnum = d.refobjsubid
          join pg_type y on y.oid = a.atttypid
         group by p.polrelid, a.attnum, a.attname
    ),
    -- The arguments with which protect_table keeps the column and the identity that a table's policies have now.
    arguments (polrelid, list) as (
        select r.polrelid,
               coalesce((select format(', serial_column => %L', m.attname)
                           from (select m.* from mentioned m
                                  where m.polrelid = r.polrelid and m.plain
                                  order by m.ours desc, m.binds desc, m.attname = 'permitted_agent_serial' desc, m.attnum
                                  limit 1) m
                          where m.attname <> 'permitted_agent_serial'), '')
            || coalesce((select format(', identity => %L', i.identity)
                           from (select i.identity
                                   from binding_policy b
                                   join calls c on c.policy = b.oid and c.class = 'pg_proc'::regclass
                                   join reader i on i.oid = c.oid and i.identity is not null
                                  where b.polrelid = r.polrelid
                                  order by b.polname = 'kakunin_binding' desc, i.rank
                                  limit 1) i
                          where i.identity <> 'serial'), '')
          from (select distinct polrelid from policy) r
    ),
    -- The oldest minor release of each major that has the fixes row-level security depends on.
    floor (major, version_num, name) as (
        values (15, 150020, '15.20'), (16, 160016, '16.16'), (17, 170012, '17.12'), (18, 180006, '18.6')
    ),
    -- Views that read a protected table, at whatever distance. A view with security_invoker asks as the session even
    -- behind one without; what stands behind a materialized view is a copy.
    reading_view (oid, relkind, direct, base) as (
        select v.oid, v.relkind, true, p.polrelid
          from protected p
          join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = p.polrelid
                          and d.classid = 'pg_rewrite'::regclass
          join pg_rewrite r on r.oid = d.objid
          join pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm') and v.oid <> p.polrelid
                         and not pg_is_other_temp_schema(v.relnamespace)
        union
        select v.oid, v.relkind, w.relkind = 'm', w.oid
          from reading_view w
          join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = w.oid
                          and d.classid = 'pg_rewrite'::regclass
          join pg_rewrite r on r.oid = d.objid
          join pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm') and v.oid <> w.oid
                         and not pg_is_other_temp_schema(v.relnamespace)
    ),
    -- Whoever else may read a materialized view, or some of its columns.
    copy_reader (oid, names) as (
        select m.oid, string_agg(distinct case when g.grantee = 0 then 'public'
                                               else quote_ident(pg_get_userbyid(g.grantee)) end, ', ')
          from (select distinct oid from reading_view where relkind = 'm') v
          join pg_class m on m.oid = v.oid
          cross join lateral (
                select a.grantee from aclexplode(m.relacl) a where a.privilege_type = 'SELECT'
                union
                select a.grantee from pg_attribute t cross join lateral aclexplode(t.attacl) a
                 where t.attrelid = m.oid and a.privilege_type = 'SELECT') g
         where g.grantee <> m.relowner
         group by m.oid
    ),
    -- Tables that inherit from a protected one, at whatever distance, with the parent that they hang on.
    child (oid, parent, base) as (
        select i.inhrelid, i.inhparent, p.polrelid
          from protected p join pg_inherits i on i.inhparent = p.polrelid
        union
        select i.inhrelid, i.inhparent, c.base
          from child c join pg_inherits i on i.inhparent = c.oid
    ),
    -- Tables that a protected one hangs on, at whatever distance.
    parent (oid, base) as (
        select i.inhparent, p.polrelid
          from protected p join pg_inherits i on i.inhrelid = p.polrelid
        union
        select i.inhparent, t.base
          from parent t join pg_inherits i on i.inhrelid = t.oid
    ),
    -- Logins that gateways use, as the server reads the setting.
    gateway (name) as (
        select n.name
          from regexp_split_to_table(coalesce(current_setting('kakunin.trusted_gateways', true), ''), ',') part
          cross join lateral (select trim(both '"' from regexp_replace(part, '^\s+|\s+$', '', 'g')) as name) n
         where n.name <> ''
    ),
    finding (severity, finding, object, detail, remedy) as (
        select 'high', 'server_below_security_floor', 'server ' || current_setting('server_version'),
               'Row-level security bypasses were fixed in later minor releases.',
               'Upgrade to PostgreSQL ' || f.name || ' or a later minor release.'
          from floor f
         where f.major = current_setting('server_version_num')::int / 10000
           and current_setting('server_version_num')::int < f.version_num

        union all
        -- Each name is a literal of its own: the server takes one literal with commas for one name.
        select 'high', 'not_preloaded', 'shared_preload_libraries',
               'Without shared memory no session can be bound, and revocations reach nobody.',
               'alter system set shared_preload_libraries = '
                   || coalesce((select string_agg(quote_literal(trim(both '"' from n.name)), ', ' order by n.place) || ', '
                                  from regexp_split_to_table(current_setting('shared_preload_libraries'), '\s*,\s*')
                                       with ordinality n (name, place)
                                 where n.name <> ''), '')
                   || '''kakunin''; -- then restart'
         where not exists (
               select from regexp_split_to_table(current_setting('shared_preload_libraries'), '\s*,\s*') name
                where trim(both '"' from name) in ('kakunin', '$libdir/kakunin'))

        union all
        select 'high', 'policy_reads_setting', format('policy %I on %s', p.polname, p.relation),
               'Any session can write the setting that this policy trusts, with one set_config() in the same SELECT.',
               format('drop policy %I on %s; select kakunin.protect_table(%L%s);', p.polname, p.relation, p.relation, a.list)
          from policy p
          join arguments a on a.polrelid = p.polrelid
         -- The parsed condition names functions by number: a literal or a column cannot look like a call.
         where exists (
               select from pg_proc f
                where f.pronamespace = 'pg_catalog'::regnamespace and f.proname in ('current_setting', 'pg_show_all_settings')
                  and strpos(p.condition, ':funcid ' || f.oid || ' ') > 0)
            or exists (
               select from calls c join pg_proc f on c.class = 'pg_proc'::regclass and f.oid = c.oid
                where c.policy = p.oid and f.pronamespace = to_regnamespace('auth')
                  and f.proname in ('jwt', 'uid', 'role', 'email'))
            or exists (
               select from called c
                -- As it is written, and without comments.
                cross join lateral (values (c.body), (regexp_replace(
                          regexp_replace(c.body, '/\*.*?\*/', ' ', 'g'), '--[^\n]*', ' ', 'g'))) b (body)
                where c.policy = p.oid
                  and b.body ~* '\m(current_setting|pg_show_all_settings)"?\s*\(|\mshow\s+"?[[:alpha:]_]\w*"?\s*\.')

        union all
        -- An index on a partitioned table serves the partitions, and cannot be made concurrently.
        select 'medium', 'no_index_for_policy', p.relation::text,
               format('No index leads with the column that %s compares: every query reads the whole table.',
                      (select string_agg(distinct quote_ident(b.polname), ', ')
                         from binding_policy b where b.polrelid = p.polrelid)),
               format('create index %son %s (%I);', case p.relkind when 'p' then '' else 'concurrently ' end, p.relation, m.attname)
          from protected p
          cross join lateral (
                select m.attname from mentioned m
                 where m.polrelid = p.polrelid and m.binds
                 order by m.ours desc, m.textual desc, m.attname = 'permitted_agent_serial' desc, m.attnum
                 limit 1) m
         where exists (
               select from binding_policy b
                 join calls c on c.policy = b.oid and c.class = 'pg_proc'::regclass
                 join reader i on i.oid = c.oid and i.identity is not null
                where b.polrelid = p.polrelid)
           and not exists (
               select from pg_index i
                 join mentioned a on a.polrelid = i.indrelid and a.binds
                  and (a.textual or not exists (
                       select from mentioned t where t.polrelid = a.polrelid and t.binds and t.textual))
                where i.indrelid = p.polrelid and i.indisvalid and i.indpred is null
                  and (i.indkey[0] = a.attnum
                       or i.indkey[0] = 0 and exists (
                          select from pg_depend d
                           where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
                             and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid
                             and d.refobjsubid = a.attnum)))
           and not (p.relispartition and exists (
               select from pg_partition_ancestors(p.polrelid) t
                where t.relid <> p.polrelid and t.relid in (select polrelid from protected)))

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
               format('select kakunin.protect_table(%L%s);', p.relation, a.list)
          from protected p
          join arguments a on a.polrelid = p.polrelid
         where exists (
               select from unnest(array['r', 'a', 'w', 'd']::"char"[]) k(command)
                where not exists (
                      select from held h where h.polrelid = p.polrelid and h.command = k.command and 0 = any (h.roles)))

        union all
        select 'high', 'permissive_policy_opens', format('policy %I on %s', o.polname, o.relation),
               'It lets rows through beside the binding, which is not restrictive here.',
               format('drop policy %I on %s; -- or protect the table', o.polname, o.relation)
          from policy o
          join protected p on p.polrelid = o.polrelid
         where o.polpermissive
           and not exists (select from binding_policy b where b.oid = o.oid)
           and exists (
               select from unnest(array['r', 'a', 'w', 'd']::"char"[]) k(command)
                where o.polcmd in ('*', k.command)
                  and not exists (
                      select from held h
                       where h.polrelid = o.polrelid and h.command = k.command
                         and (0 = any (h.roles) or h.roles @> o.polroles)))

        union all
        select distinct 'high', 'view_without_security_invoker', v.oid::regclass::text,
               format('It reads %s as its owner %s, not as the session.', w.base::regclass, v.relowner::regrole),
               format('alter view %s set (security_invoker = true);', v.oid::regclass)
          from reading_view w
          join pg_class v on v.oid = w.oid and w.relkind = 'v' and w.direct
         where not exists (
               select from pg_options_to_table(v.reloptions) o
                where o.option_name = 'security_invoker' and o.option_value::boolean)

        union all
        select 'high', 'materialized_view_copies_rows', c.oid::regclass::text,
               format('It holds rows of a protected table, has no policies, and can be read by: %s.', c.names),
               format('revoke all on %s from %s cascade;', c.oid::regclass, c.names)
          from copy_reader c

        union all
        -- protect_table on the topmost protected table covers all levels.
        select distinct on (c.oid) 'high', 'partition_without_row_security', c.oid::regclass::text,
               format('Asked directly, it shows rows of every agent: policies of %s do not apply to it.', t.base::regclass),
               case c.relkind
                   when 'f' then format('alter table %s detach partition %s;', t.parent::regclass, c.oid::regclass)
                   else format('select kakunin.protect_table(%L%s);', t.base::regclass, a.list)
               end
          from child t
          join pg_class c on c.oid = t.oid and c.relispartition
          join arguments a on a.polrelid = t.base
         where c.oid not in (select polrelid from protected)
           and (not c.relrowsecurity or exists (select from policy o where o.polrelid = c.oid and o.polpermissive))
           and not exists (select from child above where above.oid = t.base)

        union all
        select distinct on (c.oid) 'high', 'child_without_row_security', c.oid::regclass::text,
               format('Asked directly, it shows rows of every agent: policies of %s do not apply to an inheriting table.',
                      t.base::regclass),
               case c.relkind
                   when 'f' then format('alter foreign table %s no inherit %s;', c.oid::regclass, t.parent::regclass)
                   else format('select kakunin.protect_table(%L%s);', c.oid::regclass, a.list)
               end
          from child t
          join pg_class c on c.oid = t.oid and not c.relispartition
          join arguments a on a.polrelid = t.base
         where c.oid not in (select polrelid from protected)
           and (not c.relrowsecurity or exists (select from policy o where o.polrelid = c.oid and o.polpermissive))

        union all
        -- A parent that has no such column cannot be protected by it.
        select distinct on (c.oid) 'high', 'parent_without_row_security', c.oid::regclass::text,
               format('Asked through it, %s shows rows of every agent: only policies of the table in the query apply.',
                      t.base::regclass),
               case when exists (
                         select from mentioned m join pg_attribute n on n.attrelid = c.oid and n.attname = m.attname
                          where m.polrelid = t.base and m.binds and m.textual and not n.attisdropped)
                    then format('select kakunin.protect_table(%L%s);', c.oid::regclass, a.list)
                    else format('alter table %s no inherit %s;', t.base::regclass, c.oid::regclass)
               end
          from parent t
          join pg_class c on c.oid = t.oid
          join arguments a on a.polrelid = t.base
         where c.oid not in (select polrelid from protected)
           and (not c.relrowsecurity or exists (select from policy o where o.polrelid = c.oid and o.polpermissive))

        union all
        select distinct 'medium', 'policy_function_slow_or_stale', f.oid::regprocedure::text,
               case
                   when f.provolatile = 'i' then 'It is IMMUTABLE: a cached plan keeps the first identity it saw.'
                   when f.provolatile = 'v' then 'It is VOLATILE: no index is used for the policy.'
                   when f.prosecdef then 'It is SECURITY DEFINER: it runs for every row, and as its owner.'
                   else 'Its SET clause makes it run for every row, about forty times slower.'
               end,
               format('alter function %s%s%s%s;%s', f.oid::regprocedure,
                      case when f.provolatile <> 's' then ' stable' else '' end,
                      case when f.prosecdef then ' security invoker' else '' end,
                      case when f.proconfig is not null then ' reset all' else '' end,
                      case when f.proconfig is not null then ' -- and qualify the names inside' else '' end)
          from called c
          join pg_proc f on c.class = 'pg_proc'::regclass and f.oid = c.oid
         where f.prokind = 'f'
           and c.body ~* 'kakunin_|current_setting'
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
        -- What a grantee granted on goes with the grant.
        select 'medium', 'truncate_granted', p.relation::text,
               format('%s may TRUNCATE it; row level security does not apply to that.', g.grantee_name),
               format('revoke truncate on %s from %s%s;', p.relation, g.grantee_name,
                      case when a.is_grantable then ' cascade' else '' end)
          from protected p
          join pg_class c on c.oid = p.polrelid
          cross join lateral aclexplode(c.relacl) a
          cross join lateral (
               select case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as grantee_name) g
         where a.privilege_type = 'TRUNCATE' and a.grantee <> c.relowner and a.grantor = c.relowner

        union all
        select 'high', 'bare_serial_header_trusted', 'kakunin.trust_serial_header',
               'A serial number is public: whoever reaches the gateway can send it in a header.',
               'alter system set kakunin.trust_serial_header = off; select pg_reload_conf();'
         where current_setting('kakunin.trust_serial_header', true) = 'on'
           and exists (select from gateway)

        union all
        select 'medium', 'gateway_token_not_reverified', 'kakunin.gateway_jwt_key_file',
               'Claims are believed as the gateway wrote them; a function that runs before pre_request() could forge them.',
               'Name the file with the key that verifies the gateway''s tokens in kakunin.gateway_jwt_key_file, and reload.'
         where coalesce(current_setting('kakunin.gateway_jwt_key_file', true), '') = ''
           and exists (select from gateway)

        union all
        select 'medium', 'gateway_reaches_bypass_role', quote_ident(g.name),
               'Sessions of this login serve many clients, and '
                   || 'roles that it can SET ROLE to bypass row level security: '
                   || string_agg(quote_ident(r.rolname), ', ' order by r.rolname) || '.',
               'Lock the role at the start of each request: db-pre-request = "kakunin.pre_request".'
          from gateway g
          join pg_roles login on login.rolname = g.name
          join pg_roles r on (r.rolbypassrls or r.rolsuper) and pg_has_role(login.oid, r.oid, 'MEMBER')
         where not login.rolsuper
         group by g.name

        union all
        select 'medium', 'temporary_granted', format('database %I', d.datname),
               'On a shared connection a temporary table with a real one''s name takes what later clients write to it.',
               format('revoke temporary on database %I from public;', d.datname)
          from pg_database d
          cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
         where d.datname = current_database() and a.grantee = 0 and a.privilege_type = 'TEMPORARY'
           and exists (select from protected)
           and (exists (select from gateway)
                or current_setting('kakunin.session_binding', true) = 'off'
                or exists (
                    select from pg_db_role_setting r cross join lateral unnest(r.setconfig) as c(setting)
                     where c.setting ~* '^kakunin\.session_binding=(off?|f(a(l(se?)?)?)?|no?|0)$'))

        union all
        select 'high', 'registry_trigger_off', t.tgrelid::regclass::text,
               format('Trigger %I does not fire for every change: revocations may not reach sessions that are bound.',
                      t.tgname),
               format('alter table %s enable always trigger %I;', t.tgrelid::regclass, t.tgname)
          from pg_trigger t
          join pg_proc f on f.oid = t.tgfoid and f.proname = 'trust_changed' and f.pronamespace = 'kakunin'::regnamespace
         where t.tgenabled <> 'A'

        union all
        select 'high', 'schema_open_to_all', quote_ident(n.nspname),
               format('Everyone may create objects in it, and names in %I are searched first by many sessions.', n.nspname),
               format('revoke create on schema %I from public;', n.nspname)
          from pg_namespace n
          cross join lateral aclexplode(n.nspacl) a
         where n.nspname not like 'pg\_temp%' and n.nspname not like 'pg\_toast\_temp%'
           and a.grantee = 0 and a.privilege_type = 'CREATE' and a.grantor = n.nspowner
           and exists (select from protected)

        union all
        select l.severity, l.finding, l.object, l.detail, l.remedy from kakunin._ledger_doctor() l
    )
    select f.severity, f.finding, f.object, f.detail, f.remedy
      from finding f
     order by case f.severity when 'high' then 0 else 1 end, f.finding, f.object, f.detail
$$;
comment on function kakunin.doctor() is
    'One row per unsafe thing found in this database, with the statement that mends it; no row when nothing was found';
