-- What protect_table writes, what an unbound session sees, and what doctor() says about it.
\pset format unaligned
\pset fieldsep ' | '
\pset footer off
\set SHOW_CONTEXT never

create table note (id int primary key, permitted_agent_serial text not null, body text);
insert into note values (1, '5A01', 'for trader'), (2, '5A02', 'for clerk');
create role regress_kakunin_agent;
grant select, insert, update, delete on note to regress_kakunin_agent;

-- The steps that were taken
select step from kakunin.protect_table('note', create_index => true);
-- Again: the same policies, nothing twice
select step from kakunin.protect_table('note', create_index => true);
select policyname, permissive, roles, cmd, qual, with_check from pg_policies
where tablename = 'note' order by policyname collate "C";
select relrowsecurity, relforcerowsecurity from pg_class where oid = 'note'::regclass;

-- Unbound: no row, and no error
set role regress_kakunin_agent;
select count(*) from note;
update note set body = 'taken';
delete from note;
insert into note values (3, '5A01', 'forged');
-- A claim, a setting: words that anyone can write
select set_config('request.jwt.claims', '{"kakunin_cert_serial":"5A01"}', false);
select count(*) from note;
set kakunin.binding = '5A01';
set kakunin.cert_serial = '5A01';
select kakunin_cert_serial(), kakunin_cert_fingerprint(), kakunin_agent_id(), kakunin_tenant_id(), kakunin_cert_status(),
    kakunin_binding_source(), kakunin_scope(), kakunin_permitted_instruments();
select kakunin_allows('orders:create'), kakunin_allows('orders:create', 1, 'x', 'EURUSD', 'XLON', 'EU'), kakunin_allows(null);
select kakunin.current_binding() is null as unbound;
reset role;

-- A permissive policy that comes later cannot open the table
create policy generous on note using (true);
set role regress_kakunin_agent;
select count(*) from note;
reset role;
drop policy generous on note;

-- What cannot be protected
create view letters as select * from note;
select kakunin.protect_table('letters');
select kakunin.protect_table('note', 'owner');
select kakunin.protect_table('note', 'id');
select kakunin.protect_table('note', identity => 'name');
set role regress_kakunin_agent;
select kakunin.protect_table('note');
reset role;

-- The view reads as its owner: found, and mended by the statement beside it
select severity, finding, object, remedy from kakunin.doctor() where object like 'public.%';
alter view letters set (security_invoker = true);
select severity, finding, object, remedy from kakunin.doctor() where object like 'public.%';

drop table note cascade;
drop role regress_kakunin_agent;
