//! Ledgers where few people look: wide tables, hundreds of ledgers in one transaction, copies of a database, and
//! maintenance of the extension's own tables.

use kakunin_tests::ledger::{attach, faults};
use kakunin_tests::scene::{ask, run, state};
use kakunin_tests::{Checks, Cluster, DATABASE};

#[test]
fn ledgers_hold_in_the_corners_of_postgresql() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    let columns = |count: usize| (1..=count).map(|n| format!(", c{n} int")).collect::<String>();
    run(&mut client, &format!("create table wide (id int primary key{})", columns(1590)));
    attach(&mut client, "wide");
    run(&mut client, "insert into wide (id, c7, c1590) values (1, 2, 3)");
    checks.equal("as wide as a table can be", cluster.ledger("wide"), "2 entries, 1 rows");
    run(&mut client, &format!("create table wider (id int primary key{})", columns(1598)));
    let wider = "select kakunin.attach_ledger('wider')";
    checks.equal("with no room for our columns", state(&mut client, wider), "54011");
    let named = "create table named (id int primary key); create function noop() returns trigger language plpgsql as
                     'begin return null; end'; create trigger ledger_append after insert on named
                     for each row execute function noop(); select kakunin.attach_ledger('named')";
    checks.equal("with a trigger of our name", state(&mut client, named), "42710");

    // Rows that a policy hides from the owner are there all the same.
    run(
        &mut client,
        "create role keeper login in role kakunin_admin; grant create on schema public to keeper; set role keeper;
         create table hidden (id int primary key) partition by range (id);
         create table hidden_1 partition of hidden for values from (0) to (3);
         create table hidden_2 partition of hidden for values from (3) to (9);
         insert into hidden select generate_series(1, 5);
         alter table hidden_1 enable row level security; alter table hidden_1 force row level security; reset role",
    );
    run(&mut cluster.connect("keeper", DATABASE), "select kakunin.attach_ledger('hidden')");
    checks.equal("hidden by row security", cluster.ledger("hidden"), "1 entries, 5 rows");

    let file = cluster.socket_directory().join("rows");
    run(&mut client, &format!("copy (select n from generate_series(1, 100) n) to '{}'", file.display()));
    let frozen = "begin; create table frozen (id int primary key); select kakunin.attach_ledger('frozen');
                  copy frozen (id) from 'FILE' with (freeze); commit";
    run(&mut client, &frozen.replace("FILE", &file.to_string_lossy()));
    checks.equal("frozen at once", cluster.ledger("frozen"), "1 entries, 100 rows");

    run(
        &mut client,
        "do $$ begin for n in 1..200 loop execute format('create table t%s (id int primary key)', n);
             perform kakunin.attach_ledger(('t' || n)::regclass); end loop; end $$",
    );
    run(
        &mut client,
        "do $$ begin for n in reverse 200..1 loop execute format('insert into t%s values (1)', n); end loop; end $$",
    );
    checks.equal("many ledgers in one transaction", cluster.ledgers(&["t1", "t200"]), ["2 entries, 1 rows"; 2]);

    // The chain's newest entry is known by the file that it is in; each of these makes another one, or takes it back.
    run(&mut client, "create table l (id int generated always as identity primary key)");
    attach(&mut client, "l");
    for (at, statement) in [
        "vacuum full kakunin.ledger_entry",
        "cluster kakunin.ledger_entry using ledger_entry_pkey",
        "begin; cluster kakunin.ledger_entry using ledger_entry_pkey; insert into l default values; rollback",
        "begin; cluster kakunin.ledger_entry using ledger_entry_pkey; commit",
        "reindex table kakunin.ledger_entry",
        "vacuum (freeze, analyze) kakunin.ledger_entry",
    ]
    .iter()
    .enumerate()
    {
        run(&mut client, statement);
        run(&mut client, "insert into l default values");
        checks.equal(statement, cluster.ledger("l"), format!("{} entries, {} rows", at + 2, at + 1));
    }
    checks.equal("all of them", ask(&mut client, "select count(*) from kakunin.verify_ledger()"), "0");

    // A copy of the database has files of the same numbers. Each goes on by itself.
    drop(client);
    run(&mut cluster.connect("postgres", "postgres"), &format!("create database copy template {DATABASE}"));
    let (mut here, mut there) = (cluster.superuser(), cluster.connect("postgres", "copy"));
    for in_copy in [false, true, true, false, true] {
        run(if in_copy { &mut there } else { &mut here }, "insert into l default values");
    }
    checks.equal("here", cluster.ledger("l"), "9 entries, 8 rows");
    checks.equal("in the copy", cluster.ledger_in("copy", "l"), "10 entries, 9 rows");
    checks.equal("faults in the copy", faults(&mut there, "t1"), String::new());
}
