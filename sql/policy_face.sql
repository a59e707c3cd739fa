-- protect_table writes the policies that bind a table to the session's certificate.

create function kakunin.protect_table(
    relation regclass,
    serial_column name default 'permitted_agent_serial',
    identity text default 'serial',
    force boolean default true,
    create_index boolean default false
) returns table (protected regclass, step text)
    language plpgsql volatile parallel unsafe
    -- Invoker: whoever may alter the table may protect it.
    set search_path = pg_catalog, pg_temp
as $$
declare
    missing text;
    reader text;
    kind "char";
    column_number int2;
    column_type oid;
    column_collation oid;
    home regnamespace;
    condition text;
    member regclass;
    members regclass[] := '{}';
    named text;
    policy_name name;
begin
    missing := case
        when relation is null then 'relation'
        when serial_column is null then 'serial_column'
        when force is null then 'force'
        when create_index is null then 'create_index'
    end;
    if missing is not null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'argument must not be null',
            detail = format('argument_null: Argument %s is null.', missing);
    end if;
    reader := case identity
        when 'serial' then 'kakunin_cert_serial'
        when 'fingerprint' then 'kakunin_cert_fingerprint'
        when 'agent_id' then 'kakunin_agent_id'
        when 'tenant_id' then 'kakunin_tenant_id'
    end;
    if reader is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'identity is not known',
            detail = format('identity_unknown: %s.', quote_literal(left(coalesce(identity, 'null'), 64))),
            hint = 'Use serial, fingerprint, agent_id or tenant_id.';
    end if;
    select c.relkind into kind from pg_class c where c.oid = relation;
    if kind is null or kind not in ('r', 'p') then
        raise exception using
            errcode = 'wrong_object_type',
            message = format('%s is not a table', relation),
            detail = 'not_a_table: Row-level security exists for tables and partitioned tables.',
            hint = 'Protect the table below a view, and give the view security_invoker.';
    end if;
    -- Before anything is looked at: what another transaction renames, retypes or attaches meanwhile is seen then. A
    -- partition is a table of its own: asked directly, its parent's policies do not apply.
    member := relation;
    while member is not null loop
        loop
            named := member::text;
            execute pg_catalog.format('lock table only %s in access exclusive mode', named);
            exit when member::text = named;
        end loop;
        members := members || member;
        select min(t.relid::oid)::regclass into member from pg_partition_tree(relation) t where t.relid <> all (members);
    end loop;
    select a.attnum, a.atttypid, a.attcollation into column_number, column_type, column_collation
      from pg_attribute a where a.attrelid = relation and a.attname = serial_column and a.attnum > 0 and not a.attisdropped;
    if column_number is null then
        raise exception using
            errcode = 'undefined_column',
            message = format('table %s has no column %s', relation, quote_ident(serial_column)),
            detail = 'column_unknown: The policies compare this column with the certificate of the session.',
            hint = 'Name the column: kakunin.protect_table(relation, serial_column => NAME).';
    end if;
    if column_type not in ('text'::regtype, 'varchar'::regtype) then
        raise exception using
            errcode = 'datatype_mismatch',
            message = format('column %s must be of type text', quote_ident(serial_column)),
            detail = format('column_type: It is of type %s.', format_type(column_type, null));
    end if;
    -- Agents named "bob" and "BOB" are two, whatever a collation makes of them.
    if exists (select from pg_collation c where c.oid = column_collation and not c.collisdeterministic) then
        raise exception using
            errcode = 'datatype_mismatch',
            message = format('column %s must tell all texts apart', quote_ident(serial_column)),
            detail = format('column_type: Its collation %s takes different texts for equal.', column_collation::regcollation),
            hint = 'Give the column a deterministic collation, for instance "C".';
    end if;

    -- Asked for, because the schema of the policy functions can be renamed.
    select p.pronamespace::regnamespace into strict home
      from pg_depend d
      join pg_extension e on e.oid = d.refobjid and e.extname = 'kakunin'
      join pg_proc p on p.oid = d.objid and p.proname = reader and p.pronargs = 0
     where d.classid = 'pg_proc'::regclass and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e';
    condition := format('%I = (select %s.%I())', serial_column, home, reader);
    foreach member in array members loop
        protected := member;
        execute pg_catalog.format('alter table %s enable row level security', member);
        step := 'row level security enabled';
        return next;
        if force then
            execute pg_catalog.format('alter table %s force row level security', member);
            step := 'forced for the owner too';
            return next;
        end if;
        foreach policy_name in array array['kakunin_access', 'kakunin_binding']::name[] loop
            if exists (select from pg_policy p where p.polrelid = member and p.polname = policy_name) then
                execute pg_catalog.format('drop policy %I on %s', policy_name, member);
            end if;
        end loop;
        execute pg_catalog.format('create policy kakunin_access on %s as permissive for all to public using (%s)', member, condition);
        execute pg_catalog.format('comment on policy kakunin_access on %s is %L', member, 'Lets a bound session reach its own rows');
        step := format('policy kakunin_access lets %s through', condition);
        return next;
        execute pg_catalog.format('create policy kakunin_binding on %s as restrictive for all to public using (%s) with check (%s)',
                       member, condition, condition);
        execute pg_catalog.format('comment on policy kakunin_binding on %s is %L', member,
                       'Holds beside every other policy: rows belong to the certificate of the session');
        step := 'restrictive policy kakunin_binding holds beside any later policy';
        return next;
    end loop;

    protected := relation;
    if exists (select from pg_index i where i.indrelid = relation and i.indisvalid and i.indpred is null
                  and i.indkey[0] = column_number and i.indcollation[0] = column_collation) then
        step := 'an index on the column is there';
    elsif create_index then
        execute pg_catalog.format('create index on %s (%I)', relation, serial_column);
        step := 'index on the column created';
    else
        step := format('no index leads with the column; for large tables: create index concurrently on %s (%I)',
                       relation, serial_column);
    end if;
    return next;
end
$$;
comment on function kakunin.protect_table(regclass, name, text, boolean, boolean) is
    'Enables and forces row level security on a table and its partitions, and binds their rows to the certificate of the session';

comment on function @extschema@.kakunin_cert_serial() is
    'Serial number of the certificate this session is bound to; NULL when unbound, expired or revoked';
comment on function @extschema@.kakunin_cert_fingerprint() is
    'SHA-256 of that certificate in hexadecimal: unlike a serial number, unique across issuers';
comment on function @extschema@.kakunin_agent_id() is
    'Agent that the certificate names';
comment on function @extschema@.kakunin_tenant_id() is
    'Tenant that the certificate names';
comment on function @extschema@.kakunin_cert_status() is
    'active while the binding counts, else NULL';
comment on function @extschema@.kakunin_binding_source() is
    'How the session proved who it is: proof, tls or gateway';
comment on function @extschema@.kakunin_scope() is
    'Scope that the certificate carries';
comment on function @extschema@.kakunin_permitted_instruments() is
    'Instruments that the scope permits; NULL when it names none';
comment on function @extschema@.kakunin_allows(text, numeric, text, text, text, text) is
    'Does the scope permit this action, with this amount, counterparty, instrument, venue, region, now';
