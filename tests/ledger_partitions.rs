//! Partitioned tables as ledgers: one chain for all partitions, whatever way a row takes into them.

use kakunin_tests::ledger::{attach, attach_redactable, faults};
use kakunin_tests::scene::{ask, run, state};
use kakunin_tests::{Checks, Cluster, refusal_of};

/// Two levels, filled; partitions whose columns stand elsewhere, were dropped, or have other storage.
const TREE: &str = "
    create table l (gone int, id int, day date, region text, amount numeric, note text, primary key (id, day, region))
        partition by range (day);
    alter table l drop column gone;
    create table l_2024 (note text, region text not null, dropped int, amount numeric, day date not null, id int not null);
    alter table l_2024 drop column dropped;
    alter table l attach partition l_2024 for values from ('2024-01-01') to ('2025-01-01');
    create table l_2025 partition of l for values from ('2025-01-01') to ('2026-01-01') partition by list (region);
    create table l_2025_eu partition of l_2025 for values in ('eu');
    create table l_2025_us (region text not null, x text, amount numeric, id int not null, note text, day date not null);
    alter table l_2025_us drop column x; alter table l_2025_us alter note set storage external;
    alter table l_2025 attach partition l_2025_us for values in ('us');
    create table l_2025_other partition of l_2025 default;
    create table l_other partition of l default;
    create table l_2030 partition of l for values from ('2030-01-01') to ('2031-01-01') partition by hash (id);
    create table l_2030_0 partition of l_2030 for values with (modulus 2, remainder 0);
    create table l_2030_1 partition of l_2030 for values with (modulus 2, remainder 1);
";

/// `count` rows that go to every partition in turn; `from` keeps ids apart.
fn rows(from: usize, count: usize) -> String {
    format!(
        "insert into l (id, day, region, amount, note)
         select n, (array['2024-05-05', '2025-05-05', '2030-05-05', '1999-01-01'])[n % 4 + 1]::date,
                (array['eu', 'us', 'jp'])[n % 3 + 1], n / 3.0, repeat(md5(n::text), n % 200)
           from generate_series({from}, {}) n",
        from + count - 1
    )
}

#[test]
fn one_chain_holds_the_rows_of_all_partitions() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(&mut client, TREE);
    run(&mut client, &rows(1, 5000));
    attach(&mut client, "l");
    checks.equal("rows that were there", cluster.ledger("l"), "1 entries, 5000 rows");
    run(&mut client, &rows(5001, 5000));
    checks.equal("through the root", cluster.ledger("l"), "2 entries, 10000 rows");

    // Straight into the parts, at each level, in one transaction and in several.
    for (at, part) in ["l_2024", "l_2025", "l_2025_us", "l_2025_eu", "l_other", "l_2030", "l_2030_1"].iter().enumerate()
    {
        let insert = format!(
            "insert into {part} (id, day, region, amount, note)
             select id + 100000 + 1000000 * {at}, day, region, amount, note from {part} where id <= 1000"
        );
        // A hash partition takes only some of the ids, so that an offset which keeps them in it is looked for.
        let insert = if *part == "l_2030_1" {
            "insert into l_2030_1 (id, day, region) select n, '2030-01-01', 'x' from generate_series(9000000, 9000100) n
              where satisfies_hash_partition('l_2030'::regclass, 2, 1, n)"
                .to_owned()
        } else {
            insert
        };
        run(&mut client, &insert);
    }
    let count = ask(&mut client, "select count(*) from l");
    checks.equal("straight into the parts", cluster.ledger("l"), format!("9 entries, {count} rows"));
    run(
        &mut client,
        "begin; insert into l_2025_us (id, day, region) values (20001, '2025-01-01', 'us');
         insert into l_2025 (id, day, region) values (20002, '2025-01-02', 'eu'), (20003, '2025-01-02', 'us');
         savepoint s; insert into l_other (id, day, region) values (20004, '1999-01-01', 'x'); rollback to s;
         insert into l (id, day, region) values (20005, '1999-01-01', 'x'), (20006, '2024-01-01', 'x'); commit",
    );
    let count = ask(&mut client, "select count(*) from l");
    checks.equal("at all levels at once", cluster.ledger("l"), format!("10 entries, {count} rows"));
    checks.equal(
        "a row that fits nowhere there",
        state(&mut client, "insert into l_2024 (id, day, region) values (1, '2025-01-01', 'x')"),
        "23514",
    );
}

#[test]
fn partitions_that_come_later_belong_to_the_ledger() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(&mut client, TREE);
    attach_redactable(&mut client, "l", &["note"]);
    // Made in place, as people do every month; and one level down.
    run(&mut client, "create table l_2026 partition of l for values from ('2026-01-01') to ('2027-01-01')");
    run(&mut client, "create table l_2025_jp partition of l_2025 for values in ('jp')");
    run(
        &mut client,
        "insert into l (id, day, region, note) values (1, '2026-05-05', 'x', 'a'), (2, '2025-05-05', 'jp', 'b')",
    );
    run(&mut client, "insert into l_2026 (id, day, region, note) values (3, '2026-05-05', 'x', 'c')");
    checks.equal("made in place", cluster.ledger("l"), "3 entries, 3 rows");

    // An empty table that was made beside it: with the columns in another order, with and without the defaults.
    run(
        &mut client,
        "create table l_2027 (like l including defaults);
         alter table l attach partition l_2027 for values from ('2027-01-01') to ('2028-01-01');
         create table l_2028 (ledger_salt bytea not null, ledger_row int not null, note text, id int not null,
             day date not null, region text not null, amount numeric, ledger_tx bigint not null);
         alter table l attach partition l_2028 for values from ('2028-01-01') to ('2029-01-01')",
    );
    run(
        &mut client,
        "insert into l (id, day, region, note) select n, d::date, 'x', 'n' || n
           from generate_series(10, 19) n, (values ('2027-05-05'), ('2028-05-05')) v(d)",
    );
    run(&mut client, "insert into l_2027 (id, day, region, note) values (30, '2027-05-05', 'x', 'c')");
    checks.equal("attached", cluster.ledger("l"), "5 entries, 24 rows");
    let direct = "insert into l_2028 (id, day, region, note) values (31, '2028-05-05', 'x', 'c')";
    checks.equal("without the defaults, not directly", state(&mut client, direct), "23502");

    // What comes with rows of its own has no place for them.
    run(
        &mut client,
        "create table full_one (like l including defaults); insert into full_one (id, day, region) values (1, '2040-01-01', 'x')",
    );
    let refusal = refusal_of(
        client
            .batch_execute("alter table l attach partition full_one for values from ('2040-01-01') to ('2041-01-01')"),
    );
    checks.equal("a table with rows", (&*refusal.sqlstate, refusal.slug()), ("23001", "ledger_partition"));
    checks.equal("nothing of it", cluster.ledger("l"), "5 entries, 24 rows");

    // Each partition refuses what the root refuses.
    for part in ["l", "l_2026", "l_2025_jp", "l_2027", "l_2028", "l_2025", "l_2024"] {
        for act in
            [&*format!("update {part} set note = 'x'"), &*format!("delete from {part}"), &*format!("truncate {part}")]
        {
            checks.equal(act, state(&mut client, act), "23001");
        }
    }
    let columns = "alter table l add column later int";
    run(&mut client, columns);
    run(
        &mut client,
        "insert into l (id, day, region, later) select n, '2027-01-01', 'y', n from generate_series(100, 105) n",
    );
    run(&mut client, "insert into l_2025_us (id, day, region, later) values (200, '2025-01-01', 'us', 7)");
    checks.equal("a column that came later", cluster.ledger("l"), "8 entries, 31 rows");
}

#[test]
fn a_copy_into_many_partitions_is_put_in_order() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(
        &mut client,
        "create table l (id int primary key, body text) partition by hash (id);
         do $$ begin
             for n in 0..31 loop
                 execute format('create table l_%s partition of l for values with (modulus 32, remainder %s)', n, n);
             end loop;
         end $$",
    );
    attach(&mut client, "l");
    // More rows than wait, and a batch for each partition.
    run(&mut client, "create table source as select n as id, md5(n::text) as body from generate_series(1, 70000) n");
    let directory = cluster.socket_directory().join("rows");
    run(&mut client, &format!("copy source to '{0}'; copy l (id, body) from '{0}'", directory.display()));
    checks.equal("copied", faults(&mut client, "l"), String::new());
    let order = "select count(*) from (select ledger_row - lag(ledger_row) over (order by id) as step from l) s where step <> 1";
    checks.equal("numbered as they came", ask(&mut client, order), "0");
    let binary = cluster.socket_directory().join("binary");
    run(
        &mut client,
        &format!(
            "copy (select id + 100000, body from source) to '{0}' (format binary); begin; savepoint s;
             copy l (id, body) from '{0}' (format binary); rollback to s; copy l (id, body) from '{0}' (format binary); commit",
            binary.display()
        ),
    );
    checks.equal("copied after a rollback", cluster.ledger("l"), "3 entries, 140000 rows");
}
