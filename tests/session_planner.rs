//! The planner hook: what plans it makes, and that a statement ends as it does with the values in place of the calls.

mod session {
    pub mod worlds;
}

use kakunin_tests::scene::{Scene, ask, begin_as, bind_session, run, state, touched};
use kakunin_tests::{Checks, wait_until};
use postgres::Client;
use session::worlds::{CALLING, Who, Worlds, outcome};

/// A table for each way to write the policy, large enough to be worth a parallel plan.
fn scene_with_forms() -> Scene {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    for (table, policy) in [
        ("bare", Some("s = kakunin_cert_serial()")),
        ("wrapped", Some("s = (select kakunin_cert_serial())")),
        ("protected", None),
    ] {
        run(
            &mut superuser,
            &format!(
                "create table {table} as select g as id, (array['4A', '4B', '4C', '4D'])[1 + g % 4] as s, g % 100 as x
                   from generate_series(1, 40000) g;
                 alter table {table} add primary key (id);
                 create index on {table} (s, x);
                 grant select, insert, update, delete on {table} to app;
                 analyze {table};"
            ),
        );
        match policy {
            Some(condition) => run(
                &mut superuser,
                &format!(
                    "alter table {table} enable row level security; create policy own on {table} using ({condition})"
                ),
            ),
            None => run(&mut superuser, &format!("select from kakunin.protect_table('{table}', 's')")),
        }
    }
    scene
}

const FORMS: [&str; 3] = ["bare", "wrapped", "protected"];

const PARALLEL: &str = "set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0;
    set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0; set min_parallel_index_scan_size = 0";

fn plan(client: &mut Client, query: &str) -> String {
    ask(client, &format!("explain (costs off) {query}"))
}

#[test]
fn a_look_up_by_key_calls_and_a_scan_asks_once() {
    let scene = scene_with_forms();
    let mut app = scene.app();
    bind_session(&mut app, &scene.a);
    run(&mut app, "set max_parallel_workers_per_gather = 0");
    let mut checks = Checks::new();
    for form in FORMS {
        for query in [
            format!("select * from {form} where id = 3"),
            format!("select id from {form} where id = 3 for update"),
            format!("select count(*) from {form} where id = 3"),
            format!("select * from {form} where id = 3 order by x limit 1"),
            format!("delete from {form} where id = 3 returning *"),
        ] {
            let plan = plan(&mut app, &query);
            let calls = plan.contains("s = kakunin_cert_serial()") && !plan.contains("InitPlan");
            checks.holds(&format!("calls: {query}"), calls, &plan);
        }
        for query in [
            format!("select * from {form}"),
            format!("select count(*) from {form} where x < 50"),
            format!("select * from {form} order by x"),
            format!("update {form} set x = x + 1"),
            format!("select (select count(*) from {form})"),
            format!("with c as materialized (select * from {form}) table c"),
            format!("select * from {form} a join {form} b using (id)"),
        ] {
            let plan = plan(&mut app, &query);
            let once = plan.contains("InitPlan") && !plan.contains("s = kakunin_cert_serial()");
            checks.holds(&format!("asks once: {query}"), once, &plan);
        }
        // An index on the column is used, with the value as its condition.
        let plan = plan(&mut app, &format!("select * from {form} where x = 3"));
        checks.holds(&format!("index of {form}"), plan.contains("Index Cond: ((s = $"), &plan);
    }
    let plan_of_update = plan(&mut app, "update bare set x = 1 where id = 3");
    checks.holds("calls: update by key", !plan_of_update.contains("InitPlan"), &plan_of_update);
    // What a user writes outside of policies stays as it is.
    let plan = plan(&mut app, "select * from t.bare where secret = kakunin_cert_serial() or id = 1");
    checks.holds("a user's own call", plan.contains("secret = kakunin_cert_serial()"), &plan);
}

#[test]
fn a_parallel_plan_is_kept() {
    let scene = scene_with_forms();
    let mut app = scene.app();
    run(&mut app, PARALLEL);
    let mut checks = Checks::new();
    for who in [&scene.a, &scene.b] {
        begin_as(&mut app, who);
        for form in FORMS {
            for query in
                [format!("select count(*) from {form}"), format!("select max(id) from {form} where id > 7 group by s")]
            {
                let plan = plan(&mut app, &query);
                checks.holds(&format!("two workers: {query}"), plan.contains("Workers Planned: 2"), &plan);
            }
            for settings in ["", "set local parallel_leader_participation = off", "set local force_parallel_mode = on"]
            {
                run(&mut app, settings);
                let count = ask(&mut app, &format!("select count(*) from {form}"));
                checks.equal(&format!("T27 T28: {form}, {settings}"), &*count, "10000");
                let point = ask(&mut app, &format!("select count(*) from {form} where id in (3, 4)"));
                checks.equal(
                    &format!("T27 T28: {form} by key, {settings}"),
                    &*point,
                    if std::ptr::eq(who, &scene.a) { "1" } else { "0" },
                );
            }
        }
        run(&mut app, "commit");
    }
    for form in FORMS {
        checks.equal(&format!("unbound: {form}"), ask(&mut app, &format!("select count(*) from {form}")), "0");
    }
}

#[test]
fn prepared_statements_follow_each_transaction() {
    let scene = scene_with_forms();
    let mut app = scene.app();
    let mut checks = Checks::new();
    for mode in ["force_generic_plan", "force_custom_plan", "auto"] {
        run(&mut app, &format!("set plan_cache_mode = {mode}"));
        for form in FORMS {
            run(
                &mut app,
                &format!(
                    "prepare point(int) as select count(*) from {form} where id between $1 and $1;
                     prepare scan(int) as select count(*) from {form} where x <> $1;
                     prepare change(int) as update {form} set x = x where id = $1"
                ),
            );
            // Row 4 is A's, row 1 is B's.
            let counts = |app: &mut Client| {
                let changed = touched(app, "execute change(4)") + 10 * touched(app, "execute change(1)");
                format!(
                    "{} {} {} {changed}",
                    ask(app, "execute point(4)"),
                    ask(app, "execute point(1)"),
                    ask(app, "execute scan(1)"),
                )
            };
            for round in 0..3 {
                begin_as(&mut app, &scene.a);
                checks.equal(&format!("A, {form}, {mode}, round {round}"), counts(&mut app), "1 0 10000 1");
                run(&mut app, "commit");
                begin_as(&mut app, &scene.b);
                checks.equal(&format!("B, {form}, {mode}, round {round}"), counts(&mut app), "0 1 9600 10");
                run(&mut app, "commit");
                checks.equal(&format!("unbound, {form}, {mode}, round {round}"), counts(&mut app), "0 0 0 0");
            }
            run(&mut app, "deallocate all");
        }
    }
    // After a revocation, on plans that were used before.
    bind_session(&mut app, &scene.a);
    run(&mut app, "set plan_cache_mode = force_generic_plan");
    for form in FORMS {
        run(&mut app, &format!("prepare point_{form} as select count(*) from {form} where id = 4"));
        run(&mut app, &format!("prepare scan_{form} as select count(*) from {form}"));
        checks.equal(&format!("before: {form} by key"), ask(&mut app, &format!("execute point_{form}")), "1");
        checks.equal(&format!("before: {form}"), ask(&mut app, &format!("execute scan_{form}")), "10000");
    }
    run(&mut scene.superuser(), "select kakunin.revoke_certificate('4A')");
    for form in FORMS {
        checks.equal(&format!("revoked: {form} by key"), ask(&mut app, &format!("execute point_{form}")), "0");
        checks.equal(&format!("revoked: {form}"), ask(&mut app, &format!("execute scan_{form}")), "0");
    }
}

/// Every statement in every schema, for each identity.
#[test]
fn a_statement_ends_as_with_the_values_in_place() {
    // The settings make other plans, which depend little on who asks.
    for settings in &SETTINGS[1..] {
        require_same(Who::A, settings);
    }
}

#[test]
fn a_statement_ends_as_with_the_values_in_place_whoever_asks() {
    for who in Who::ALL {
        require_same(who, SETTINGS[0]);
    }
}

fn require_same(who: Who, settings: &str) {
    let worlds = Worlds::new();
    let mut session = worlds.session(who);
    let mut checks = Checks::new();
    for statement in STATEMENTS {
        let expected = outcome(&mut session, who.fixed(), settings, statement);
        for world in CALLING {
            let found = outcome(&mut session, world, settings, statement);
            checks.equal(&format!("{who:?}, {world}, {settings:?}: {statement}"), found, &*expected);
        }
    }
}

const SETTINGS: [&str; 4] = [
    "",
    "set local enable_seqscan = off; set local enable_hashjoin = off",
    "set local enable_indexscan = off; set local enable_nestloop = off; set local enable_mergejoin = off",
    "set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0; set local min_parallel_table_scan_size = 0;
     set local max_parallel_workers_per_gather = 1",
];

const STATEMENTS: &[&str] = &[
    // scans, point queries and what stands above them
    "table note",
    "table trade",
    "table deed",
    "table shut",
    "select * from note where id = 6",
    "select * from note where id = 2 for update",
    "select * from note where id in (1, 2, 3, 6, 7) order by body desc limit 2",
    "select id from note where id between 5 and 9 for no key update of note skip locked",
    "select grp, count(*), count(*) filter (where s is null) from note group by rollup (grp) having count(*) > 1",
    "select id, row_number() over (order by id), sum(id) over (partition by grp) from note",
    "select distinct on (grp) grp, id from note order by grp, id",
    "select s, x from wide where s = '4A' and x = 3 and id < 300",
    "select count(*), min(x), max(x) from wide",
    "select id from note tablesample system (100)",
    "select ctid is not null, tableoid::regclass::text = '' from note where ctid = '(0,6)'",
    // joins, laterals, subqueries, common table expressions
    "select n.id, i.id from note n join item i on i.note_id = n.id",
    "select n.id, i.id from note n left join item i on i.note_id = n.id and i.amount > 5",
    "select n.id, i.id from item i right join note n on i.note_id = n.id where i.id is null",
    "select count(*) from note n full join item i on i.note_id = n.id",
    "select a.id from note a join note b on a.id = b.id + 1",
    "select n.id, d.id, p.id from note n, deed d, part p where n.id = d.id and d.id = p.id",
    "select n.id, l.* from note n, lateral (select i.id, n.grp from item i where i.note_id = n.id order by i.id limit 1) l",
    "select n.id, l.n from note n left join lateral (select count(*) as n from deed d where d.x < n.id) l on true where n.grp = 1",
    "select id, (select count(*) from item i where i.note_id = n.id), (select max(id) from trade) from note n",
    "select id from note where id in (select note_id from item)",
    "select id from note where id not in (select note_id from item where amount > 2)",
    "select id from note n where exists (select from item i where i.note_id = n.id)",
    "select id from note n where not exists (select from item i where i.note_id = n.id)",
    "select id from note where id > all (select x from shut)",
    "select id from trade where qty = any (array(select amount from item))",
    "with c as (select id from note), d as materialized (select id from deed) select * from c join d using (id)",
    "with recursive r as (select id from note where id = 6 union select n.id from r join note n on n.id = r.id + 6) table r",
    "select count(*) from note where id < (select avg(id) from item where s = note.s)",
    "select * from (select id from note limit 5 offset 2) x join item using (id)",
    "values ((select count(*) from note), (select count(*) from deed))",
    "select case when exists (table shut) then 1 else (select count(*) from part) end",
    // set operations, views, functions
    "select id from note union select id from item union all select id from deed",
    "select id from note intersect select id from item except select id from deed",
    "table everything",
    "select id, k from everything where id = 7",
    "select s, count(*) from everything group by s",
    "select * from barrier where body like 'note 1%'",
    "select b.id, c.n from barrier b join counted c using (grp) where b.id < 40",
    "select * from of_group(3)",
    "select * from of_group_plpgsql(3) where id < 60",
    "select id, items_of(id) from note where id < 20",
    "select f.id from note n, of_group(n.grp) f where n.id = 6",
    // partitions
    "table part",
    "select * from part where id = 8",
    "select * from part where s = '4A'",
    "select * from part where s is null",
    "select * from part where s in ('4A', '4C') order by id limit 7",
    "select p.id, q.id from part p join part q on p.s = q.s and p.id = q.id + 4",
    "select tableoid::regclass::text like '%part_a', count(*) from part group by 1",
    // changes
    "update note set body = 'x' where id = 6",
    "update note set body = 'x' where id = 6 returning *",
    "update note set grp = grp + 1 returning id, grp",
    "update note set s = '4B' where id = 6",
    "update note n set body = i.id::text from item i where i.note_id = n.id returning n.id",
    "update part set x = x + 1 where id < 20 returning id, x",
    "update part set s = '4B' where id = 4",
    "update deed set x = 0 where id between 10 and 20 returning id",
    "update trade set qty = qty + 1 where id = any (array[1, 2, 3, 4, 5, 6]) returning id",
    "update wide set pad = '' where x = 9 returning id",
    "update everything set k = 1",
    "update barrier set body = 'y' where id < 30 returning id",
    "delete from note where id = 6 returning id",
    "delete from note where grp = 2",
    "delete from item using note where note.id = item.note_id returning item.id",
    "delete from shut returning x",
    "delete from part where x = 3 returning id",
    "insert into note values (1000, '4A', 1, 'new') returning id",
    "insert into note values (1000, '4B', 1, 'new') returning id",
    "insert into note values (1000, null, 1, 'new')",
    "insert into note select id + 1000, s, grp, body from note returning id",
    "insert into deed values (1000, '4A', false, 1) returning id",
    "insert into deed values (1000, '4A', true, 1)",
    "insert into part values (1000, '4A', 1), (1001, '4A', 2) returning id",
    "insert into part values (1000, '4C', 1)",
    "insert into note values (6, '4A', 1, 'again') on conflict (id) do update set body = excluded.body returning id, body",
    "insert into note values (6, '4A', 1, 'again') on conflict (id) do update set body = 'x' where note.grp > 3 returning id",
    "insert into note values (2, '4A', 1, 'again') on conflict (id) do update set body = excluded.body",
    "insert into note values (2, '4A', 1, 'again'), (1001, '4A', 1, 'new') on conflict do nothing returning id",
    "insert into note select id, s, grp, 'copied' from note on conflict (id) do update set body = excluded.body returning id",
    "merge into note n using item i on n.id = i.note_id and i.amount = 5 when matched then update set body = 'merged'",
    "merge into note n using (values (6), (2), (1002)) v(id) on n.id = v.id
       when matched and n.grp = 1 then delete when matched then update set body = 'm'
       when not matched then insert values (v.id, '4A', 0, 'merged')",
    "merge into part p using (select 8 as id) v on p.id = v.id when matched then update set x = 77",
    "with gone as (delete from note where grp = 1 returning id) insert into item select id + 5000, id, '4A', 1 from gone returning id",
    "with changed as (update note set grp = 9 returning id) select n.id, n.grp from note n join changed using (id)",
    "create temp table copied on commit drop as select * from note; select count(*), min(id) from copied",
    // plans made once
    "prepare q(int) as select id from note where id = $1; execute q(6); execute q(2); deallocate q",
    "set local plan_cache_mode = force_generic_plan; prepare q(int) as select count(*) from everything where id < $1;
       execute q(30); execute q(3); deallocate q",
    "prepare q(int) as update note set body = 'p' where id = $1 returning id; execute q(6); execute q(2); deallocate q",
    "do $$ declare r record; begin for r in select id from note where grp = 1 loop
         update item set amount = 1 where note_id = r.id; end loop; end $$",
    // cursors
    "declare c scroll cursor for select id from note order by id; fetch 3 from c; fetch backward 2 from c; fetch last from c;
       fetch absolute 2 from c; close c",
    "declare c cursor for select id from note; fetch 2 from c; move 1 from c; fetch all from c",
    "declare c cursor for select id from note where id < 50 for update; fetch 2 from c;
       update note set body = 'current' where current of c; fetch 1 from c; delete from note where current of c",
    "declare c cursor for select id, x from part order by id; fetch 5 from c; fetch 5 from c",
    "declare c no scroll cursor for select id from note where id = 6; fetch all from c; fetch all from c",
];

/// A row that somebody else changed while the statement waited is looked at again, by the same policy.
#[test]
fn a_row_changed_by_somebody_else_is_looked_at_again() {
    let worlds = Worlds::new();
    let mut checks = Checks::new();
    let statements = [
        "update note set body = 'mine' where id = 6 returning id, grp",
        "update note set body = 'mine' where grp = 1 returning id, grp",
        "delete from note where id = 6 returning id, grp",
        "select id, grp from note where id = 6 for update",
        "select n.id, n.grp from note n join item i on i.note_id = n.id where n.id = 6 order by i.id for update of n",
        "update note n set body = 'mine' from item i where i.note_id = n.id and n.id = 6 returning n.id, n.grp",
        "merge into note n using (select 6 as id) v on n.id = v.id when matched then update set body = 'mine'",
        "insert into note values (6, '4A', 0, 'x') on conflict (id) do update set body = 'mine' returning id, grp",
        "with c as (select id from note where id = 6 for update) update note set body = 'mine' from c where c.id = note.id
           returning note.id, grp",
    ];
    let changes = [
        "update {world}.note set s = '4B' where id = 6",
        "update {world}.note set s = null where id = 6",
        "update {world}.note set grp = 4 where id = 6",
        "update {world}.note set body = 'theirs' where id = 6",
        "delete from {world}.note where id = 6",
    ];
    for statement in statements {
        for change in changes {
            let mut expected = String::new();
            for world in [Who::A.fixed(), "bare", "wrapped", "behind"] {
                let found = meet(&worlds, world, &change.replace("{world}", world), statement);
                if world == Who::A.fixed() {
                    expected = found;
                } else {
                    checks.equal(&format!("{world}: {change}: {statement}"), found, &*expected);
                }
            }
        }
    }
}

/// Runs a statement as A that has to wait for a change, which is then committed; the tables are put back afterwards.
fn meet(worlds: &Worlds, world: &str, change: &str, statement: &str) -> String {
    let mut other = worlds.scene.superuser();
    let before = ask(&mut other, &format!("select s, grp, body from {world}.note where id = 6"));
    let before: Vec<String> = before.split('|').map(|value| format!("'{value}'")).collect();
    let mut mine = worlds.session(Who::A);
    let process = ask(&mut mine, "select pg_backend_pid()");
    run(&mut other, &format!("begin; {change}"));
    let found = std::thread::scope(|scope| {
        let waiting = scope.spawn(move || outcome(&mut mine, world, "", statement));
        let mut watcher = worlds.scene.superuser();
        let blocked = format!("select wait_event_type = 'Lock' from pg_stat_activity where pid = {process}");
        wait_until("the statement waits for the row", || (ask(&mut watcher, &blocked) == "t").then_some(()));
        run(&mut other, "commit");
        waiting.join().expect("the statement ends")
    });
    let restore =
        format!("delete from {world}.note where id = 6; insert into {world}.note values (6, {})", before.join(", "));
    run(&mut other, &restore);
    found
}

#[test]
fn an_expression_too_deep_for_the_stack_is_an_error_and_no_crash() {
    let worlds = Worlds::new();
    let mut session = worlds.session(Who::A);
    let mut checks = Checks::new();
    for depth in [500, 100_000] {
        for world in ["fixed_a", "bare", "wrapped"] {
            let sum = vec!["id"; depth].join(" + ");
            let end = outcome(&mut session, world, "", &format!("select count(*) from note where {sum} > 0"));
            let fine = if depth < 10_000 { !end.starts_with("54001") } else { end.starts_with("54001") };
            checks.holds(&format!("{depth} additions in {world}"), fine, end);
        }
    }
    let nested =
        (0..200).fold("select id from note".to_owned(), |inner, n| format!("select id from ({inner} offset 0) x{n}"));
    let expected = outcome(&mut session, "fixed_a", "", &nested);
    for world in CALLING {
        checks.equal(&format!("200 levels in {world}"), outcome(&mut session, world, "", &nested), &*expected);
    }
    let many = vec!["select id from note"; 300].join(" union all ");
    let expected = outcome(&mut session, "fixed_a", "", &format!("select count(*), sum(id) from ({many}) x"));
    for world in CALLING {
        let found = outcome(&mut session, world, "", &format!("select count(*), sum(id) from ({many}) x"));
        checks.equal(&format!("300 branches in {world}"), found, &*expected);
    }
    checks.equal("the session goes on", state(&mut session, "select 1"), "00000");
}
