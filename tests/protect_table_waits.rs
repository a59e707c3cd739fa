//! `kakunin.protect_table` beside other people's transactions: what it looked at may be another thing when it gets its
//! lock.

use kakunin_tests::scene::{Scene, ask, bind_session, run, seen, touched, try_ask};
use kakunin_tests::{Checks, refusal_of, wait_until};

/// Runs `call` while another transaction has made `change` and not yet committed; what `call` ends with after that.
fn beside(scene: &Scene, change: &str, call: &str) -> Result<String, postgres::Error> {
    let (mut mine, mut other) = (scene.superuser(), scene.superuser());
    let process = ask(&mut mine, "select pg_backend_pid()");
    run(&mut other, &format!("begin; {change}"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || try_ask(&mut mine, call));
        let mut watcher = scene.superuser();
        let blocked = format!("select wait_event_type = 'Lock' from pg_stat_activity where pid = {process}");
        wait_until("protect_table waits for the table", || (ask(&mut watcher, &blocked) == "t").then_some(()));
        run(&mut other, "commit");
        waiting.join().expect("it ends")
    })
}

/// What `protect_table` says it protected, each once.
fn call(table: &str) -> String {
    format!(
        "select string_agg(distinct protected::text, ' ') from kakunin.protect_table('{table}', create_index => true)"
    )
}

/// Row security, whether it is forced, and the number of policies, for each table.
fn states(scene: &Scene, tables: &[&str]) -> String {
    let names: Vec<String> = tables.iter().map(|table| format!("'{table}'")).collect();
    let query = format!(
        "select relname, relrowsecurity, relforcerowsecurity, (select count(*) from pg_policy where polrelid = c.oid)
         from pg_class c where relname in ({}) order by relname",
        names.join(", ")
    );
    ask(&mut scene.superuser(), &query)
}

#[test]
fn the_table_that_was_named_is_protected_though_it_is_renamed_meanwhile() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create table asked (id int, permitted_agent_serial text);
         insert into asked values (1, '4A'), (2, '4B');
         create table bystander as table asked;
         grant select on asked, bystander to app",
    );
    let mut checks = Checks::new();
    let swap = "alter table asked rename to moved; alter table bystander rename to asked";
    checks.equal("what it says", beside(&scene, swap, &call("asked")).ok(), Some("moved".to_owned()));
    checks.equal("the tables", states(&scene, &["asked", "moved"]), "asked|f|f|0,moved|t|t|2");
    let mut app = scene.app();
    checks.equal("unbound, the table that was asked for", seen(&mut app, "moved"), "");
    checks.equal("unbound, the bystander", seen(&mut app, "asked"), "1,2");
    bind_session(&mut app, &scene.a);
    checks.equal("bound", seen(&mut app, "moved"), "1");
}

#[test]
fn a_partition_that_is_attached_meanwhile_is_protected() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create table whole (id int, permitted_agent_serial text) partition by range (id);
         create table low partition of whole for values from (0) to (10) partition by range (id);
         create table high (id int, permitted_agent_serial text);
         create table lowest (like high);
         insert into high values (11, '4A'), (12, '4B');
         insert into lowest values (1, '4A'), (2, '4B');
         grant select on whole, low, high, lowest to app",
    );
    let mut checks = Checks::new();
    let attach = "alter table whole attach partition high for values from (10) to (20)";
    checks.equal("to the table", beside(&scene, attach, &call("whole")).ok(), Some("high low whole".to_owned()));
    let attach = "alter table low attach partition lowest for values from (0) to (5)";
    let told = beside(&scene, attach, &call("whole"));
    checks.equal("to a partition of it", told.ok(), Some("high low lowest whole".to_owned()));
    let all = ["whole", "low", "high", "lowest"];
    checks.equal("the tables", states(&scene, &all), "high|t|t|2,low|t|t|2,lowest|t|t|2,whole|t|t|2");
    let mut app = scene.app();
    for table in all {
        checks.equal(&format!("{table}, unbound"), seen(&mut app, table), "");
    }
    bind_session(&mut app, &scene.a);
    checks.equal("bound", seen(&mut app, "whole"), "1,11");
}

#[test]
fn a_column_that_changes_meanwhile_is_looked_at_as_it_is() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create collation careless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create table deed (id int, permitted_agent_serial text)",
    );
    let mut checks = Checks::new();
    for (change, expected) in [
        ("alter table deed alter permitted_agent_serial type char(4)", "42804 column_type"),
        ("alter table deed alter permitted_agent_serial type text collate careless", "42804 column_type"),
        ("alter table deed rename permitted_agent_serial to whose", "42703 column_unknown"),
    ] {
        match beside(&scene, change, &call("deed")) {
            Ok(told) => checks.holds(change, false, told),
            refusal => {
                let refusal = refusal_of(refusal);
                checks.equal(change, format!("{} {}", refusal.sqlstate, refusal.slug()), expected);
            }
        }
        checks.equal(&format!("{change}: the table is as it was"), states(&scene, &["deed"]), "deed|f|f|0");
    }
    let back = "alter table deed rename whose to permitted_agent_serial;
        alter table deed alter permitted_agent_serial type text collate \"default\"";
    checks.equal("a column that is there by then", beside(&scene, back, &call("deed")).ok(), Some("deed".to_owned()));
}

#[test]
fn two_who_protect_one_table_do_not_disturb_each_other_or_its_agents() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create table pair (id int, permitted_agent_serial text);
         insert into pair values (1, '4A'), (2, '4B');
         grant select, update on pair to app",
    );
    let mut checks = Checks::new();
    checks.equal("the second", beside(&scene, &call("pair"), &call("pair")).ok(), Some("pair".to_owned()));
    checks.equal("the table", states(&scene, &["pair"]), "pair|t|t|2");
    let indexes = "select count(*) from pg_index where indrelid = 'pair'::regclass";
    checks.equal("one index", ask(&mut scene.superuser(), indexes), "1");
    // An agent in the middle of a transaction goes on by the new policies, which say the same.
    let mut app = scene.app();
    bind_session(&mut app, &scene.a);
    let mut superuser = scene.superuser();
    run(&mut superuser, "begin");
    run(&mut superuser, &call("pair"));
    std::thread::scope(|scope| {
        let process = ask(&mut app, "select pg_backend_pid()");
        let waiting = scope.spawn(|| touched(&mut app, "update pair set id = id"));
        let mut watcher = scene.superuser();
        let blocked = format!("select wait_event_type = 'Lock' from pg_stat_activity where pid = {process}");
        wait_until("the agent waits for the table", || (ask(&mut watcher, &blocked) == "t").then_some(()));
        run(&mut superuser, "commit");
        checks.equal("the agent's update", waiting.join().expect("it ends"), 1);
    });
}

#[test]
fn an_index_of_another_collation_is_no_help() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create table sorted (id int, permitted_agent_serial text);
         create index other_order on sorted (permitted_agent_serial collate \"C\");
         insert into sorted select n, 'x' || n from generate_series(1, 20000) n;
         grant select on sorted to app",
    );
    let mut checks = Checks::new();
    let last = "select step from kakunin.protect_table('sorted', create_index => true) offset 4";
    checks.equal("the first time", ask(&mut scene.superuser(), last), "index on the column created");
    checks.equal("again", ask(&mut scene.superuser(), last), "an index on the column is there");
    run(&mut scene.superuser(), "analyze sorted");
    let plan = ask(&mut scene.app(), "explain (costs off) select * from sorted");
    checks.holds("it is used", plan.contains("sorted_permitted_agent_serial_idx"), &plan);
}
