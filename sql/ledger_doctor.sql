-- What doctor() finds about ledgers. Nothing here reads rows of a ledger: verify_ledger() does.

create function kakunin._ledger_doctor()
    returns table (severity text, finding text, object text, detail text, remedy text)
    language sql stable parallel unsafe
    -- Definer: sees settings and processes that are hidden from ordinary roles; reads catalogues and our own tables only.
    security definer set search_path = pg_catalog, pg_temp
    set standard_conforming_strings = on set quote_all_identifiers = off
as $$
    with recursive
    member (root, oid) as (
        select l.relation::oid, l.relation::oid from kakunin.ledger l
        union all
        select m.root, i.inhrelid
          from member m join pg_class p on p.oid = m.oid join pg_inherits i on i.inhparent = m.oid
         where p.relkind = 'p'
    ),
    -- A partition that was added later has no trigger for statements.
    wanted (relation, name, remedy) as (
        select m.oid, n.name, format('select * from kakunin.repair_ledger(%L);', m.root::regclass)
          from member m
         cross join (values ('ledger_append'), ('ledger_refuse'), ('ledger_refuse_statement')) n (name)
         where n.name <> 'ledger_refuse_statement' or m.oid = m.root
            or exists (select from pg_trigger t where t.tgrelid = m.oid and t.tgname = n.name)
        union all
        select c.oid, n.name, 'select * from kakunin.repair_ledger();'
          from pg_class c
         cross join (values ('entries_restored'), ('ledger_refuse'), ('ledger_refuse_statement')) n (name)
         where c.relnamespace = 'kakunin'::regnamespace
           and c.relname in ('ledger', 'ledger_column', 'ledger_entry', 'ledger_redaction',
                             'log', 'log_range', 'log_tile', 'checkpoint')
           and (n.name <> 'entries_restored' or c.relname in ('ledger', 'ledger_column', 'ledger_entry'))
    ),
    is_preloaded (it) as (
        select exists (
               select from regexp_split_to_table(current_setting('shared_preload_libraries'), '\s*,\s*') name
                where trim(both '"' from name) in ('kakunin', '$libdir/kakunin'))
    ),
    worker_named (it) as (
        select exists (
               select from regexp_split_to_table(coalesce(current_setting('kakunin.databases', true), ''), '\s*,\s*') name
                where trim(both '"' from trim(name)) = current_database())
    ),
    -- The oldest entry of each ledger that no checkpoint covers.
    uncovered (at) as (
        select min(e.at)
          from kakunin.ledger l
         cross join lateral (
               select coalesce(max(r.last_seq), 0) as seq from kakunin.log_range r where r.ledger = l.number) covered
          join kakunin.ledger_entry e on e.ledger = l.number and e.seq = covered.seq + 1
    ),
    -- Entries of two transactions that were written by one came from a dump.
    loaded (ledger, relation, by) as (
        select l.number, l.relation, first.xmin
          from kakunin.ledger l
         cross join lateral (
               select array_agg(e.xmin) as xmins
                 from (select e.xmin from kakunin.ledger_entry e
                        where e.ledger = l.number and e.tx > 0 order by e.seq limit 2) e) two
         cross join lateral (select two.xmins[1] as xmin) first
         where two.xmins[1] = two.xmins[2]
           and not exists (
               select from kakunin.ledger_entry e
                where e.ledger = l.number and e.kind = 5 and e.xmin <> two.xmins[1])
           and not exists (
               select from pg_subscription_rel s where s.srrelid = 'kakunin.ledger_entry'::regclass)
    ),
    finding (severity, finding, object, detail, remedy) as (
        select 'high', 'ledger_trigger_off', w.relation::regclass::text,
               case when t.oid is null then format('Trigger %s is not there.', w.name)
                    else format('Trigger %s does not fire always.', w.name) end,
               w.remedy
          from wanted w
          left join pg_trigger t on t.tgrelid = w.relation and t.tgname = w.name
         where (t.oid is null or t.tgenabled <> 'A') and exists (select from kakunin.ledger)

        union all
        select 'high', 'ledger_unguarded', 'shared_preload_libraries',
               'Rows are chained, but a superuser can drop triggers and tables of ledgers.',
               'Preload kakunin and restart; then select * from kakunin.verify_ledger();'
         where not (select it from is_preloaded) and exists (select from kakunin.ledger)

        union all
        select 'high', 'ledger_numbers_behind', 'sequence kakunin.ledger_tx_number',
               'It would give numbers of transactions again that entries have already.',
               'select kakunin.begin_epoch(''...why...'');'
          from kakunin.ledger_tx_number n
         where exists (
               select from kakunin.ledger l
                cross join lateral (
                      select e.tx from kakunin.ledger_entry e
                       where e.ledger = l.number and e.tx > 0 order by e.seq desc limit 1) newest
                where newest.tx > n.last_value)
           and not exists (
               select from pg_subscription_rel s where s.srrelid = 'kakunin.ledger_entry'::regclass)

        union all
        select 'medium', 'ledger_restored', l.relation::text,
               'Its entries came from a dump, and nothing since says that they were verified.',
               'select * from kakunin.verify_ledger(); select kakunin.begin_epoch(''restored from ...'');'
          from loaded l

        union all
        select 'medium', 'checkpoint_overdue', format('database %I', current_database()),
               'Entries of more than a day ago are in no checkpoint: whoever owns the server could still make them anew.',
               case when (select it from worker_named) then 'select kakunin.checkpoint(); -- and see the server''s log'
                    else 'select kakunin.checkpoint(); -- or name the database in kakunin.databases and restart' end
          from uncovered u
         where u.at < statement_timestamp() - interval '1 day' and not pg_is_in_recovery()

        union all
        select 'medium', 'signer_not_running', 'server', 'No checkpoint can be signed.',
               'See the server''s log; max_worker_processes must have room for it, and a restart starts it.'
         where (select it from is_preloaded) and exists (select from kakunin.ledger)
           and not kakunin._signer_runs()

        union all
        select 'medium', 'worker_not_running', format('database %I', current_database()),
               'kakunin.databases names it, but no process makes its checkpoints.',
               'See the server''s log; max_worker_processes must have room for it, and a restart starts it.'
         where (select it from is_preloaded) and (select it from worker_named) and not pg_is_in_recovery()
           and exists (select from kakunin.ledger)
           and not exists (
               select from pg_stat_activity a
                where a.backend_type = 'kakunin worker' and a.datname = current_database())
    )
    select * from finding
$$;
comment on function kakunin._ledger_doctor() is 'What doctor() finds about ledgers';
comment on function kakunin._signer_runs() is 'Is there a process that signs?';
