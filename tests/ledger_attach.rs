//! Tables become ledgers: with and without rows, alone and in the middle of other work.

use kakunin_tests::ledger::attach;
use kakunin_tests::scene::{ask, run, state};
use kakunin_tests::{Checks, Cluster, DATABASE, wait_until};

#[test]
fn an_empty_table_becomes_a_ledger_and_its_owner_is_told_how() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut superuser = cluster.superuser();
    run(
        &mut superuser,
        "create role keeper login in role kakunin_admin; create schema books authorization keeper;
         create role app login; grant usage on schema books to app;",
    );
    let mut keeper = cluster.connect("keeper", DATABASE);
    run(
        &mut keeper,
        "create table books.trade (id bigint generated always as identity primary key, body text, amount numeric(12, 2));
         grant select, insert on books.trade to app",
    );
    let steps = "select step, detail from kakunin.attach_ledger('books.trade', array['body'])";
    let said = keeper.query(steps, &[]).expect("an administrator may, of an own table");
    let said: Vec<(String, String)> = said.iter().map(|row| (row.get(0), row.get(1))).collect();
    let kinds: Vec<&str> = said.iter().map(|(step, _)| step.as_str()).collect();
    let expected =
        ["column", "column", "column", "index", "ledger", "columns", "rows", "trigger", "trigger", "trigger"];
    checks.equal("the steps", kinds, expected);
    let detail = |step: &str| said.iter().find(|(kind, _)| kind == step).map_or("", |(_, detail)| detail);
    checks.holds("the rows", detail("rows").starts_with("0 rows"), detail("rows"));
    checks.equal(
        "the map",
        detail("columns"),
        "1 id bigint; 2 body pg_catalog.text, redactable; 3 amount numeric(12,2)",
    );

    let added = "select string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull,
                        pg_get_expr(adbin, adrelid)), ', ' order by attnum)
                   from pg_attribute join pg_attrdef on adrelid = attrelid and adnum = attnum
                  where attrelid = 'books.trade'::regclass and attname like 'ledger%'";
    let expected = "ledger_tx bigint t kakunin.ledger_tx(), ledger_row integer t kakunin.ledger_row(), \
                    ledger_salt bytea t kakunin.ledger_salts(1)";
    checks.equal("the columns", ask(&mut keeper, added), expected);
    let triggers = "select string_agg(concat_ws(' ', tgname, tgenabled), ', ' order by tgname)
                      from pg_trigger where tgrelid = 'books.trade'::regclass and not tgisinternal";
    checks.equal(
        "the triggers",
        ask(&mut keeper, triggers),
        "ledger_append A, ledger_refuse A, ledger_refuse_statement A",
    );
    let index = "select amname from pg_index join pg_class c on c.oid = indexrelid join pg_am a on a.oid = relam
                  where indrelid = 'books.trade'::regclass and not indisprimary";
    checks.equal("the index", ask(&mut keeper, index), "brin");
    let ledger = "select relation, attached_by, attached_at <= now() from kakunin.ledger";
    checks.equal("the ledger", ask(&mut keeper, ledger), "books.trade|keeper|t");
    let entry = "select seq, kind, tx, first_row, rows, role, certificate is null, encode(previous, 'hex')
                   from kakunin.ledger_entry";
    checks.equal("the entry", ask(&mut keeper, entry), format!("1|2|0|0|0|keeper|t|{}", "00".repeat(32)));
    checks.equal("empty", cluster.ledger("books.trade"), "1 entries, 0 rows");

    let mut app = cluster.connect("app", DATABASE);
    run(&mut app, "insert into books.trade (body, amount) values ('a', 1.1), ('b', null)");
    checks.equal("two rows", cluster.ledger("books.trade"), "2 entries, 2 rows");
    let entry = "select kind, tx > 0, first_row, rows, role, detail = '' from kakunin.ledger_entry where seq = 2";
    checks.equal("their entry", ask(&mut superuser, entry), "1|t|0|2|app|t");
    let names = "select count(*) from kakunin.ledger_entry";
    checks.equal("others do not read entries", state(&mut app, names), "42501");
}

#[test]
fn the_rows_of_a_table_are_in_the_first_entry() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    // More rows than wait to be put in order; names that must be quoted; columns that were dropped; rows that were
    // deleted and updated; a default that PostgreSQL does not store in the rows.
    run(
        &mut client,
        r#"create schema "My ""Books""";
           create table "My ""Books""".pré_Order (gone1 int, "select" int, gone2 text default 'x', "日本" text, "a b" numeric);
           insert into "My ""Books""".pré_Order ("select", "日本", "a b")
               select n, 'row ' || n, n / 7.0 from generate_series(1, 70000) n;
           alter table "My ""Books""".pré_Order drop column gone1, drop column gone2, add primary key ("select");
           alter table "My ""Books""".pré_Order add column later text default 'added later', add column two int default 2;
           delete from "My ""Books""".pré_Order where "select" % 100 = 0;
           update "My ""Books""".pré_Order set "日本" = null where "select" % 99 = 0;
           alter table "My ""Books""".pré_Order drop column two"#,
    );
    let name = r#""My ""Books""".pré_Order"#;
    attach(&mut client, name);
    checks.equal("rows that were there", cluster.ledger(name), "1 entries, 69300 rows");
    let rows = format!(
        "select count(distinct ledger_tx), min(ledger_row), max(ledger_row), sum((later = 'added later')::int) from {name}"
    );
    checks.equal("their places", ask(&mut client, &rows), "1|0|69299|69300");
    run(
        &mut client,
        &format!(r#"insert into {name} ("select", "日本") select n, 'more' from generate_series(100, 70000, 100) n"#),
    );
    checks.equal("rows that came", cluster.ledger(name), "2 entries, 70000 rows");
}

#[test]
fn attaching_is_part_of_its_transaction() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    let count = "select (select count(*) from kakunin.ledger), (select count(*) from kakunin.ledger_entry),
                        (select count(*) from kakunin.ledger_column)";
    let make = |name: &str| {
        format!("create table {name} (id int primary key, body text); insert into {name} values (1, 'a');")
    };
    let attach = |name: &str| format!("select kakunin.attach_ledger('{name}');");

    run(&mut client, &format!("begin; {}{} insert into a values (2, 'b'); rollback", make("a"), attach("a")));
    checks.equal("rolled back", ask(&mut client, count), "0|0|0");

    run(
        &mut client,
        &format!("begin; {} savepoint s; {} insert into a values (2, 'b'); rollback to s", make("a"), attach("a")),
    );
    run(&mut client, "insert into a values (3, 'c'); commit");
    checks.equal("rolled back to a savepoint", ask(&mut client, count), "0|0|0");
    let columns = "select string_agg(attname, ',') from pg_attribute where attrelid = 'a'::regclass and attnum > 0";
    checks.equal("columns", ask(&mut client, columns), "id,body");

    // Once more after it failed, and rows before, between and after, some of them given up.
    run(
        &mut client,
        &format!(
            "begin; savepoint s; {0} insert into a values (4, 'd'); rollback to s; insert into a values (5, 'e');
             savepoint s2; {0} release s2; insert into a values (6, 'f'); savepoint s3; insert into a values (7, 'g');
             rollback to s3; insert into a values (8, 'h'); commit",
            attach("a")
        ),
    );
    checks.equal("attached after a rollback", cluster.ledger("a"), "1 entries, 5 rows");
    run(&mut client, "insert into a values (9, 'i')");
    checks.equal("goes on", cluster.ledger("a"), "2 entries, 6 rows");

    // Several, one that is there already among them, in one transaction, with a second map.
    run(
        &mut client,
        &format!(
            "begin; insert into a values (10, 'j'); {}{}{}{} insert into c values (2, 'x'); insert into a values (11, 'k');
             alter table b add column more int; insert into b values (2, 'y'); commit",
            make("b"), attach("b"), make("c"), attach("c"),
        ),
    );
    checks.equal(
        "in one transaction",
        cluster.ledgers(&["a", "b", "c"]),
        ["3 entries, 8 rows", "2 entries, 2 rows", "1 entries, 2 rows"],
    );

    // An administrator's function attaches, under an isolation level whose snapshot is older than the rows.
    run(&mut client, &make("d"));
    run(&mut client, "begin isolation level repeatable read; select 1");
    run(&mut cluster.superuser(), "insert into d values (2, 'after the snapshot')");
    run(&mut client, "do $$ begin perform kakunin.attach_ledger('d'); end $$; insert into d values (3, 'own'); commit");
    checks.equal("repeatable read", cluster.ledger("d"), "1 entries, 3 rows");
    run(&mut client, &make("e"));
    run(&mut client, &format!("begin isolation level serializable; select * from e; {} commit", attach("e")));
    checks.equal("serializable", cluster.ledger("e"), "1 entries, 1 rows");
}

#[test]
fn sessions_that_knew_the_table_before_go_on_with_the_ledger() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(&mut client, "create table l (id serial primary key, body text)");
    let mut other = cluster.superuser();
    run(
        &mut other,
        "set plan_cache_mode = force_generic_plan; prepare i as insert into l (body) values ($1); execute i('a')",
    );
    run(
        &mut other,
        "create function add() returns int language plpgsql as
             $$ declare n int; begin insert into l (body) values ('f') returning id into n; return n; end $$; select add()",
    );
    // A writer that has not committed holds the attaching up; what it adds is there when that begins.
    run(&mut other, "begin; execute i('b')");
    let mut attaching = cluster.superuser();
    let thread = std::thread::spawn(move || attach(&mut attaching, "l"));
    let waits = "select count(*) from pg_locks where not granted and relation = 'l'::regclass";
    wait_until("attach_ledger waits", || (ask(&mut client, waits) == "1").then_some(()));
    run(&mut other, "select add(); commit");
    thread.join().expect("it was attached");
    checks.equal("attached behind a writer", cluster.ledger("l"), "1 entries, 4 rows");
    for statements in ["execute i('c')", "select add()", "begin; execute i('d'); select add(); commit"] {
        run(&mut other, statements);
    }
    checks.equal("with plans from before", cluster.ledger("l"), "4 entries, 8 rows");
}

#[test]
fn what_the_table_has_already_stays_in_force() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(
        &mut client,
        "create table account (id int primary key); insert into account values (1), (2);
         create table l (id int generated by default as identity primary key, account int references account,
                         amount numeric check (amount > 0), doubled numeric generated always as (amount * 2) stored,
                         made timestamptz default clock_timestamp(), note text, unique (account, amount),
                         exclude using btree (note with =));
         create table child (l int references l on delete cascade on update cascade);
         create index on l (lower(note)); create statistics s on account, amount from l; comment on table l is 'kept';
         create table log (what text);
         create function before() returns trigger language plpgsql as
             $$ begin new.note := upper(new.note); return new; end $$;
         create function after() returns trigger language plpgsql as
             $$ begin insert into log values (tg_op || ' ' || coalesce(new.note, '')); return null; end $$;
         create trigger before before insert or update on l for each row execute function before();
         create trigger after after insert or update or delete on l for each row execute function after();
         alter table l enable row level security; create policy all_of_it on l using (true);
         insert into l (account, amount, note) values (1, 1.5, 'first')",
    );
    attach(&mut client, "l");
    checks.equal("attaching fires no trigger of the table", ask(&mut client, "select * from log"), "INSERT FIRST");
    run(
        &mut client,
        "insert into l (account, amount, note) values (2, 2.5, 'second'); insert into child values (1), (2)",
    );
    checks.equal("rows", ask(&mut client, "select note, doubled from l order by id"), "FIRST|3.0,SECOND|5.0");
    checks.equal("triggers", ask(&mut client, "select count(*) from log"), "2");
    for (statement, expected) in [
        ("insert into l (account, amount) values (3, 1)", "23503"),
        ("insert into l (account, amount) values (1, -1)", "23514"),
        ("insert into l (account, amount) values (1, 1.5)", "23505"),
        ("insert into l (account, amount, note) values (1, 7, 'second')", "23P01"),
        ("insert into l (id, amount, doubled) values (7, 1, 1)", "428C9"),
        ("delete from account where id = 1", "23503"),
    ] {
        checks.equal(statement, state(&mut client, statement), expected);
    }
    checks.equal("after it all", cluster.ledger("l"), "2 entries, 2 rows");
}
