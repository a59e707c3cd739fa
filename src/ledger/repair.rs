//! `kakunin.repair_ledger`: puts back what guards ledgers, after a restore without triggers or a server without kakunin.
//!
//! It touches definitions only. What was done to rows while they were not guarded, verify_ledger() tells.

use super::store::{self, Ledger};
use super::{fault, owner, plan, run};
use crate::backend;
use crate::error::{self, Result};
use crate::hooks::guard;
use pgrx::prelude::*;

/// Puts back triggers and defaults of one ledger, or of all of them and of kakunin's own tables; says what it did, a row
/// for each step, none if nothing was to be done.
// Definer: what it puts back is fixed, and put back as each table's owner.
#[pg_extern(sql = r#"
create function kakunin.repair_ledger(relation regclass default null)
    returns table (step text, detail text)
    language c volatile parallel unsafe
    security definer set search_path = pg_catalog, pg_temp
    as 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn repair_ledger(
    relation: Option<pg_sys::Oid>,
) -> Result<TableIterator<'static, (name!(step, String), name!(detail, String))>> {
    backend::refuse_read_only(c"kakunin.repair_ledger()");
    let mut steps = Vec::new();
    match relation {
        Some(relation) => repair(super::ledger_of(relation).map_err(error::report)?, &mut steps),
        None => {
            steps.extend(mend(OWN_TRIGGERS, &[]));
            store::ledgers().into_iter().for_each(|ledger| repair(ledger, &mut steps));
        }
    }
    plan::forget_all();
    Ok(TableIterator::new(steps))
}

type Step = (String, String);

fn repair(ledger: Ledger, steps: &mut Vec<Step>) {
    // The id is the only text that gets into statements from a table, and is one of a uuid.
    let query = |text: &str| text.replace("MEMBERS", MEMBERS).replace("LEDGER", &ledger.id.to_string());
    run(&format!("lock table {} in access exclusive mode", fault::table_name(ledger.relation)));
    owner::act_as(ledger.relation, || {
        for part in [DEFAULTS, ROW_TRIGGERS, STATEMENT_TRIGGERS, ENABLE] {
            steps.extend(mend(&query(part), &[ledger.relation]));
        }
    });
}

/// Runs the statements that a query gives, each with its step and detail.
fn mend(query: &str, arguments: &[pg_sys::Oid]) -> Vec<Step> {
    let arguments: Vec<_> = arguments.iter().map(|relation| (*relation).into()).collect();
    let found = Spi::connect(|client| {
        let rows = client.select(query, None, &arguments)?;
        rows.map(|row| Ok((row.get::<Vec<String>>(1)?, row.get::<String>(2)?, row.get::<String>(3)?)))
            .collect::<std::result::Result<Vec<_>, pgrx::spi::Error>>()
    });
    let found = found.unwrap_or_else(|failure| fault::broken(&failure.to_string()));
    let mut steps = Vec::new();
    for (statements, step, detail) in found {
        let (Some(statements), Some(step), Some(detail)) = (statements, step, detail) else { continue };
        guard::allowed(|| statements.iter().for_each(|statement| run(statement)));
        steps.push((step, detail));
    }
    steps
}

/// The ledger's table and its partitions, with their level.
const MEMBERS: &str = "
    member(oid, level) as (
        select $1::oid, 0 union all
        select i.inhrelid, m.level + 1
          from member m join pg_class p on p.oid = m.oid join pg_inherits i on i.inhparent = m.oid
         where p.relkind = 'p'
    )";

const DEFAULTS: &str = "
    with recursive MEMBERS,
    wanted(name, function) as (
        values ('ledger_tx', 'kakunin.ledger_tx()'), ('ledger_row', 'kakunin.ledger_row()'),
               ('ledger_salt', (select format('kakunin.ledger_salts(%s)', count(*)) from kakunin.ledger_column c
                                  join kakunin.ledger l on l.number = c.ledger
                                 where l.relation = $1::oid and c.redactable))
    )
    select array[format('alter table only %s alter column %I set default %s', m.oid::regclass, w.name, w.function)],
           'default',
           format('%s of %s is %s again', w.name, m.oid::regclass, w.function)
      from member m
     cross join wanted w
      join pg_attribute a on a.attrelid = m.oid and a.attname = w.name and not a.attisdropped
      left join pg_attrdef d on d.adrelid = m.oid and d.adnum = a.attnum
     where pg_get_expr(d.adbin, d.adrelid) is distinct from w.function
     order by m.level, m.oid, a.attnum";

/// Those of partitions are copies of those of the table, which can only be dropped together. One that is wrong anywhere is
/// made anew everywhere.
const ROW_TRIGGERS: &str = r"
    with recursive MEMBERS,
    wanted(name, events, call, kind, function, arguments) as (
        values ('ledger_append', 'after insert', 'kakunin.ledger_append(''LEDGER'')', 1 | 4, 'ledger_append',
                'LEDGER\000'::bytea),
               ('ledger_refuse', 'before update or delete', 'kakunin.ledger_refuse()', 1 | 2 | 8 | 16, 'ledger_refuse', ''::bytea)
    ),
    state as (
        select m.oid, m.level, w.name, w.events, w.call, t.oid as trigger, t.tgparentid,
               (t.tgtype = w.kind and t.tgqual is null and t.tgattr = ''::int2vector and t.tgargs = w.arguments
                and t.tgfoid = to_regproc('kakunin.' || w.function)) is true as sound
          from member m cross join wanted w
          left join pg_trigger t on t.tgrelid = m.oid and t.tgname = w.name
    )
    select array_agg(format('drop trigger %I on %s', name, oid::regclass) order by level, oid)
               filter (where trigger is not null and tgparentid = 0)
           || format('create trigger %I %s on %s for each row execute function %s',
                     name, events, $1::oid::regclass, call),
           'trigger', format('%s of %s was made anew', name, $1::oid::regclass)
      from state
     group by name, events, call
    having not bool_and(sound) and bool_or(trigger is not null and tgparentid = 0)
     union all
    select array[format('create trigger %I %s on %s for each row execute function %s',
                        name, events, $1::oid::regclass, call)],
           'trigger', format('%s of %s was missing', name, $1::oid::regclass)
      from state
     group by name, events, call
    having not bool_or(trigger is not null and tgparentid = 0)";

const STATEMENT_TRIGGERS: &str = "
    with recursive MEMBERS
    select array_remove(array[
               case when t.oid is not null then format('drop trigger ledger_refuse_statement on %s', m.oid::regclass) end,
               format('create trigger ledger_refuse_statement before update or delete or truncate on %s
                           for each statement execute function kakunin.ledger_refuse()', m.oid::regclass)], null),
           'trigger',
           format('ledger_refuse_statement of %s was %s', m.oid::regclass,
                  case when t.oid is null then 'missing' else 'made anew' end)
      from member m
      left join pg_trigger t on t.tgrelid = m.oid and t.tgname = 'ledger_refuse_statement'
     where (t.tgtype = 2 | 8 | 16 | 32 and t.tgqual is null and t.tgattr = ''::int2vector
            and t.tgfoid = to_regproc('kakunin.ledger_refuse')) is not true
     order by m.level, m.oid";

const ENABLE: &str = "
    with recursive MEMBERS
    select array[format('alter table only %s enable always trigger %I', m.oid::regclass, t.tgname)], 'trigger',
           format('%s of %s fires always again', t.tgname, m.oid::regclass)
      from member m
      join pg_trigger t on t.tgrelid = m.oid and t.tgenabled <> 'A'
       and t.tgname in ('ledger_append', 'ledger_refuse', 'ledger_refuse_statement')
     order by m.level, m.oid, t.tgname";

const OWN_TRIGGERS: &str = "
    select array_remove(array[
               case when not is_sound.it and t.oid is not null then format('drop trigger %I on kakunin.%I', n.name, n.own) end,
               case when not is_sound.it then
                    format('create trigger %I %s on kakunin.%I for each %s execute function kakunin.%I()', n.name,
                           case n.name when 'entries_restored' then 'after insert'
                                       when 'ledger_refuse' then 'before update or delete'
                                       else 'before update or delete or truncate' end,
                           n.own, case when n.kind & 1 = 1 then 'row' else 'statement' end, n.function) end,
               format('alter table kakunin.%I enable always trigger %I', n.own, n.name)], null),
           'trigger',
           format('%s of kakunin.%s %s', n.name, n.own,
                  case when t.oid is null then 'was missing' when is_sound.it then 'fires always again'
                       else 'was made anew' end)
      from (select t.own, w.*
              from (values ('ledger'), ('ledger_column'), ('ledger_entry'), ('ledger_redaction'),
                           ('log'), ('log_range'), ('log_tile'), ('checkpoint')) t(own)
             cross join (values ('ledger_refuse', 'ledger_refuse', 1 | 2 | 8 | 16),
                                ('ledger_refuse_statement', 'ledger_refuse', 2 | 8 | 16 | 32),
                                ('entries_restored', '_entries_restored', 1 | 4)) w(name, function, kind)
             where w.name <> 'entries_restored' or t.own in ('ledger', 'ledger_column', 'ledger_entry')) n
      left join pg_trigger t on t.tgrelid = to_regclass('kakunin.' || n.own) and t.tgname = n.name
     cross join lateral (
           select (t.tgtype = n.kind and t.tgqual is null and t.tgattr = ''::int2vector
                   and t.tgfoid = to_regproc('kakunin.' || n.function)) is true) is_sound(it)
     where t.oid is null or t.tgenabled <> 'A' or not is_sound.it
     order by n.own, n.name";
