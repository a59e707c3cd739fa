//! What cannot become a ledger, and who cannot make one: each refusal says why and what to do, and leaves nothing half
//! attached.

use kakunin_tests::ledger::attach;
use kakunin_tests::scene::{ask, run};
use kakunin_tests::{Checks, Cluster, DATABASE, Refusal, refusal_of};
use postgres::Client;

/// All that attaching changes: our tables, and columns, triggers, indexes and defaults everywhere.
const STATE: &str = "
    select md5(concat_ws('|',
        (select string_agg(l::text, ',' order by number) from kakunin.ledger l),
        (select string_agg(c::text, ',' order by ledger, number) from kakunin.ledger_column c),
        (select string_agg(e::text, ',' order by ledger, seq) from kakunin.ledger_entry e),
        (select string_agg(a::text, ',' order by attrelid, attnum) from pg_attribute a where attrelid > 16384),
        (select string_agg(t::text, ',' order by oid) from pg_trigger t),
        (select string_agg(oid::text, ',' order by oid) from pg_attrdef),
        (select string_agg(concat_ws(' ', oid, relname, relfilenode), ',' order by oid) from pg_class)))";

/// A case: the table, the redactable columns, what DETAIL says behind the table's or column's name.
type Case = (&'static str, &'static str, &'static str);

fn refusal(client: &mut Client, table: &str, redactable: &str) -> Refusal {
    let attach = format!("select kakunin.attach_ledger('{table}', array[{redactable}]::text[])");
    match client.batch_execute(&attach) {
        Ok(()) => panic!("{table} [{redactable}] was attached"),
        refusal => refusal_of(refusal),
    }
}

fn all_refused(checks: &mut Checks, client: &mut Client, slug: &str, hint: &str, cases: &[Case]) {
    for (table, redactable, what) in cases {
        let before = ask(client, STATE);
        let found = refusal(client, table, redactable);
        let name = format!("{table} [{redactable}]");
        checks.equal(&name, (&*found.sqlstate, found.slug()), ("0A000", slug));
        checks.holds(&format!("{name}: detail"), found.detail.contains(what), &found.detail);
        checks.holds(&format!("{name}: hint"), found.hint.contains(hint), &found.hint);
        checks.equal(&format!("{name}: what is left"), ask(client, STATE), before.clone());
        // Caught, it leaves nothing either.
        let caught = format!(
            "do $$ begin perform kakunin.attach_ledger('{table}', array[{redactable}]::text[]);
             exception when feature_not_supported then null; end $$"
        );
        run(client, &caught);
        checks.equal(&format!("{name}: what is left when it is caught"), ask(client, STATE), before);
    }
}

#[test]
fn tables_that_cannot_be_kept_safe_are_refused() {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    run(&mut client, TABLES);
    let mut checks = Checks::new();
    all_refused(
        &mut checks,
        &mut client,
        "ledger_relation_unsuitable",
        "docs/ledger.md",
        &[
            ("no_key", "", "has no primary key"),
            ("no_key_but_unique", "", "has no primary key"),
            ("not_logged", "", "is temporary or unlogged"),
            ("for_a_while", "", "is temporary or unlogged"),
            ("far_away", "", "is a foreign table"),
            ("ruled", "", "has rules"),
            ("parent", "", "by inheritance"),
            ("child", "", "by inheritance"),
            ("tree_1", "", "is a partition"),
            ("tree_2", "", "is a partition"),
            ("looking", "", "is not an ordinary or partitioned table"),
            ("kept", "", "is not an ordinary or partitioned table"),
            ("counting", "", "is not an ordinary or partitioned table"),
            ("plain_pkey", "", "is not an ordinary or partitioned table"),
            ("pair", "", "is not an ordinary or partitioned table"),
            ("typed", "", "is a typed table"),
            ("cascading", "", "has a foreign key whose action would change its rows"),
            ("nulling", "", "has a foreign key whose action would change its rows"),
            ("defaulting", "", "has a foreign key whose action would change its rows"),
            ("renaming", "", "has a foreign key whose action would change its rows"),
            ("tree_fk", "", "has a foreign key whose action would change its rows"),
            ("tree_far", "", "has a partition that is foreign"),
            ("tree_ruled", "", "has a partition with rules"),
            ("tree_unlogged", "", "has a partition that is foreign, temporary, unlogged"),
            ("pg_class", "", "belongs to PostgreSQL or to this extension"),
            ("kakunin.certificate", "", "belongs to PostgreSQL or to this extension"),
            ("kakunin.ledger_entry", "", "belongs to PostgreSQL or to this extension"),
            ("information_schema.sql_features", "", "belongs to PostgreSQL or to this extension"),
        ],
    );
}

#[test]
fn columns_that_cannot_be_chained_are_refused() {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    run(&mut client, TABLES);
    let mut checks = Checks::new();
    let number = "names an object by a number";
    let own = "has a name that the ledger needs";
    all_refused(
        &mut checks,
        &mut client,
        "ledger_column_unsuitable",
        "as text, bytea or jsonb; a redactable column",
        &[
            ("with_class", "", number),
            ("with_type", "", number),
            ("with_role", "", number),
            ("with_classes", "", number),
            ("with_class_inside", "", number),
            ("with_class_domain", "", number),
            ("with_acl", "", "has no binary form"),
            ("with_tx", "", own),
            ("with_row", "", own),
            ("with_salt", "", own),
            ("plain", "'id'", "cannot be redactable: it is NOT NULL"),
            ("plain", "'body', 'must'", "cannot be redactable: it is NOT NULL"),
            ("plain", "'twice'", "cannot be redactable: it is generated"),
            ("plain", "'nobody'", "does not exist"),
            ("plain", "'body', 'gone'", "does not exist"),
            ("plain", "'ctid'", "does not exist"),
            ("plain", "'BODY'", "does not exist"),
            ("plain", "''", "does not exist"),
            ("plain", "'ledger_tx'", "does not exist"),
            ("tree_odd", "", number),
        ],
    );
    // Next to all of these, what can be.
    run(&mut client, "insert into plain (body, must) values ('a', 'b')");
    run(&mut client, "select kakunin.attach_ledger('plain', array['body'])");
    checks.equal("a suitable one", cluster.ledger("plain"), "1 entries, 1 rows");
}

#[test]
fn a_ledger_is_made_once_by_whoever_may() {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    run(&mut client, TABLES);
    run(
        &mut client,
        "create role admin login in role kakunin_admin; create role owner login; create role passer login;
         create role auditor login in role kakunin_auditor;
         create table owned (id int primary key); alter table owned owner to owner;
         create table tree (id int primary key) partition by range (id);
         create table tree_part partition of tree for values from (1) to (2);",
    );
    let mut checks = Checks::new();
    for (who, table, expected) in [
        ("admin", "owned", "42501"),
        ("admin", "plain", "42501"),
        ("owner", "owned", "42501"),
        ("auditor", "owned", "42501"),
        ("passer", "plain", "42501"),
    ] {
        let before = ask(&mut client, STATE);
        let found = refusal(&mut cluster.connect(who, DATABASE), table, "");
        checks.equal(&format!("{who} and {table}"), &*found.sqlstate, expected);
        checks.equal(&format!("{who} and {table}: what is left"), ask(&mut client, STATE), before);
    }
    for (arguments, state, slug) in [
        ("null", "22023", "argument_null"),
        ("'nowhere'", "42P01", ""),
        ("0", "0A000", "ledger_relation_unsuitable"),
        ("4294967295", "0A000", "ledger_relation_unsuitable"),
        ("'plain'::regclass, array[[null, 'x'], ['y', null]]", "0A000", "ledger_column_unsuitable"),
    ] {
        let found = refusal_of(client.batch_execute(&format!("select kakunin.attach_ledger({arguments})")));
        checks.holds(arguments, found.sqlstate != "XX000", &found);
        checks.equal(arguments, (&*found.sqlstate, found.slug()), (state, slug));
    }

    attach(&mut client, "plain");
    attach(&mut client, "tree");
    let before = ask(&mut client, STATE);
    for (table, state, slug) in [
        ("plain", "55000", "ledger_attached"),
        ("tree", "55000", "ledger_attached"),
        ("tree_part", "0A000", "ledger_relation_unsuitable"),
    ] {
        let found = refusal(&mut client, table, "");
        checks.equal(&format!("{table} again"), (&*found.sqlstate, found.slug()), (state, slug));
    }
    let inside = refusal_of(client.batch_execute(
        "begin; create table twice (id int primary key); select kakunin.attach_ledger('twice');
         select kakunin.attach_ledger('twice')",
    ));
    checks.equal("twice in a transaction", inside.slug(), "ledger_attached");
    run(&mut client, "rollback");
    let read_only = refusal_of(client.batch_execute("begin read only; select kakunin.attach_ledger('simple')"));
    checks.equal("in a read only transaction", &*read_only.sqlstate, "25006");
    run(&mut client, "rollback");
    // A cursor of this session is open on it, or a trigger of it waits.
    let open = refusal_of(client.batch_execute(
        "begin; declare c cursor for select * from simple; fetch c; select kakunin.attach_ledger('simple')",
    ));
    checks.equal("with a cursor open", &*open.sqlstate, "55006");
    run(&mut client, "rollback");
    checks.equal("what is left", ask(&mut client, STATE), before);
}

#[test]
fn without_the_preloaded_library_there_is_no_ledger() {
    let cluster = Cluster::builder().without_preload().start();
    let mut client = cluster.superuser();
    run(&mut client, TABLES);
    let mut checks = Checks::new();
    let before = ask(&mut client, STATE);
    let found = refusal(&mut client, "plain", "");
    checks.equal("attaching", (&*found.sqlstate, found.slug()), ("55000", "not_preloaded"));
    checks.holds("attaching: hint", found.hint.contains("shared_preload_libraries"), &found.hint);
    checks.equal("what is left", ask(&mut client, STATE), before);
}

const TABLES: &str = "
    create table plain (id int generated always as identity primary key, body text, gone text, must text not null,
                        twice int generated always as (length(must)) stored);
    alter table plain drop column gone;
    create table simple (id int primary key); insert into simple values (1), (2);
    create table no_key (id int);
    create table no_key_but_unique (id int unique not null);
    create unlogged table not_logged (id int primary key);
    create temp table for_a_while (id int primary key);
    create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
    create foreign table far_away (id int) server nowhere;
    create table ruled (id int primary key); create rule swallow as on insert to ruled do instead nothing;
    create table parent (id int primary key); create table child (primary key (id)) inherits (parent);
    create table tree_0 (id int primary key) partition by range (id);
    create table tree_1 partition of tree_0 for values from (1) to (10) partition by range (id);
    create table tree_2 partition of tree_1 for values from (1) to (5);
    create view looking as select * from plain; create materialized view kept as select 1 as id;
    create sequence counting; create type pair as (a int, b int);
    create table typed of pair (primary key (a));
    create table cascading (id int primary key, r int references simple on delete cascade);
    create table nulling (id int primary key, r int references simple on delete set null);
    create table defaulting (id int primary key, r int references simple on delete set default);
    create table renaming (id int primary key, r int references simple on update cascade);
    create table tree_fk (id int primary key) partition by range (id);
    create table tree_fk_1 partition of tree_fk (foreign key (id) references simple on delete cascade)
        for values from (1) to (10);
    create table tree_far (id int primary key) partition by range (id);
    create table tree_far_1 partition of tree_far for values from (1) to (10);
    alter table tree_far_1 set unlogged;
    create table tree_unlogged (id int primary key) partition by range (id);
    create unlogged table tree_unlogged_1 partition of tree_unlogged for values from (1) to (10);
    create table tree_ruled (id int primary key) partition by range (id);
    create table tree_ruled_1 partition of tree_ruled for values from (1) to (10);
    create rule swallow as on insert to tree_ruled_1 do instead nothing;
    create type with_regclass as (a int, b regclass); create domain class_name as regclass;
    create table with_class (id int primary key, c regclass);
    create table with_type (id int primary key, c regtype);
    create table with_role (id int primary key, c regrole);
    create table with_classes (id int primary key, c regclass[]);
    create table with_class_inside (id int primary key, c with_regclass[]);
    create table with_class_domain (id int primary key, c class_name);
    create table with_acl (id int primary key, c aclitem);
    create table with_tx (id int primary key, ledger_tx text);
    create table with_row (id int primary key, ledger_row int);
    create table with_salt (id int primary key, ledger_salt bytea);
    create table tree_odd (id int primary key, c regclass) partition by range (id);
";
