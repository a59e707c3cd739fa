//! Ledgers on a subscriber: rows come with their entries and are not chained again, and what does not fit stops the
//! subscription.

use kakunin_tests::estate::{self, append, faults, heads, is_guarded};
use kakunin_tests::scene::{ask, refused, run};
use kakunin_tests::{Checks, Cluster, DATABASE, Shutdown, wait_until};

struct Pair {
    publisher: Cluster,
    subscriber: Cluster,
}

impl Pair {
    /// A subscriber with the same tables, which has copied what there was.
    fn start() -> Self {
        let publisher = estate::start(Cluster::builder().set("wal_level", "logical"));
        let subscriber = Cluster::builder().without_extension().set("wal_retrieve_retry_interval", "100ms").start();
        let again = "create table keeper.event_again partition of keeper.event
            for values from ('2020-01-01') to ('2021-01-01')";
        run(&mut publisher.superuser(), again);
        let schema = publisher.tool("pg_dump", "postgres", &["--schema-only", DATABASE]);
        assert!(schema.success, "{}", schema.stderr);
        let output = subscriber.psql("postgres", &format!("{};\n{}", estate::ROLES, schema.stdout));
        assert!(output.success, "{}", output.stderr);
        run(&mut publisher.superuser(), PUBLICATION);
        let connection = publisher.connection("postgres", DATABASE).replace('\'', "''");
        let subscribe = format!("create subscription ledgers connection '{connection}' publication ledgers");
        run(&mut subscriber.superuser(), &subscribe);
        let pair = Self { publisher, subscriber };
        pair.wait_until_ready();
        pair
    }

    fn wait_until_ready(&self) {
        let mut client = self.subscriber.superuser();
        let query = "select bool_and(srsubstate = 'r') from pg_subscription_rel";
        wait_until("the first copy is there", || (ask(&mut client, query) == "t").then_some(()));
    }

    /// Waits until the subscriber has all that was committed until now.
    fn catch_up(&self) {
        let mut source = self.publisher.superuser();
        let position = ask(&mut source, "select pg_current_wal_lsn()");
        let query = format!(
            "select coalesce(bool_and(confirmed_flush_lsn >= '{position}'), false) from pg_replication_slots
             where slot_name = 'ledgers'"
        );
        wait_until("the subscriber has caught up", || (ask(&mut source, &query) == "t").then_some(()));
    }

    /// Waits until the subscription has stopped for this reason; then the entry that it said so of is not there.
    fn wait_for_refusal(&self, what: &str) {
        wait_until(what, || {
            let log = self.subscriber.log();
            log.contains(&format!("ledger_replica_differs: {what}")).then_some(())
        });
    }

    /// Leaves the transaction out that the subscription stopped at.
    fn skip(&self) {
        let log = self.subscriber.log();
        let (_, last) = log.rsplit_once("finished at ").expect("the log names the transaction");
        let position: String = last.chars().take_while(|c| c.is_ascii_hexdigit() || *c == '/').collect();
        run(&mut self.subscriber.superuser(), &format!("alter subscription ledgers skip (lsn = '{position}')"));
    }
}

/// Writes to the publisher what nobody could with the library: without triggers, on a server that does not preload it.
fn doctor(pair: &mut Pair, statements: &str) {
    pair.publisher.set("shared_preload_libraries", "");
    pair.publisher.restart(Shutdown::Fast);
    run(&mut pair.publisher.superuser(), statements);
    pair.publisher.set("shared_preload_libraries", "kakunin");
    pair.publisher.restart(Shutdown::Fast);
}

#[test]
fn a_subscriber_has_the_same_ledgers_and_verifies_them() {
    let pair = Pair::start();
    let mut checks = Checks::new();
    let (mut source, mut client) = (pair.publisher.superuser(), pair.subscriber.superuser());
    checks.equal("copied: faults", faults(&mut client), String::new());
    checks.equal("copied: heads", heads(&mut client), heads(&mut source));
    checks.equal("copied: is not guarded", is_guarded(&mut client), Vec::<String>::new());

    append(&mut pair.publisher.connect("other", DATABASE), "replicated");
    run(
        &mut source,
        "begin; insert into app.note (body) select 'x' || n from generate_series(1, 500) n; savepoint a;
         insert into app.note (body) values ('rolled back'); rollback to a; insert into keeper.bare (body) values ('y');
         insert into keeper.event values (70, '2021-02-02', 'z'), (71, '2021-09-09', 'z'); commit",
    );
    // Erasing is an UPDATE, which a subscriber refuses otherwise.
    let redact =
        "select kakunin.redact('keeper.person', ledger_tx, ledger_row, '{name,mail}', 'asked') from keeper.person
        where id = 2";
    checks.equal("erased", ask(&mut source, redact), "2".to_owned());
    // A column comes to the subscriber first, as ever; there it is chained by what the publisher says.
    run(
        &mut client,
        "create table keeper.event_2022 partition of keeper.event for values from ('2022-01-01') to ('2023-01-01')",
    );
    pair.catch_up();
    checks.equal("applied: faults", faults(&mut client), String::new());
    checks.equal("applied: heads", heads(&mut client), heads(&mut source));
    let erased = "select name, mail, note from keeper.person where id = 2";
    checks.equal("applied: erased", ask(&mut client, erased), "NULL|NULL|n2".to_owned());

    // A partition that the subscriber has and does not follow yet: its rows would be lost, and that is seen.
    run(
        &mut source,
        "create table keeper.event_2022 partition of keeper.event for values from ('2022-01-01') to ('2023-01-01')",
    );
    run(&mut source, "insert into keeper.event values (80, '2022-02-02', 'new partition')");
    pair.wait_for_refusal("keeper.event: entry");
    run(&mut client, "alter subscription ledgers refresh publication");
    pair.wait_until_ready();
    append(&mut source, "after the refresh");
    pair.catch_up();
    checks.equal("refreshed: faults", faults(&mut client), String::new());
    checks.equal("refreshed: heads", heads(&mut client), heads(&mut source));
    let findings = "select finding, object from kakunin.doctor() where finding ~ 'ledger|signer|worker'";
    checks.equal("doctor()", ask(&mut client, findings), String::new());

    // When the subscriber takes over, it goes on; numbers of transactions do not come with replication.
    run(&mut client, "drop subscription ledgers");
    let behind = ask(&mut client, findings);
    checks.holds("doctor(), alone", behind.contains("ledger_numbers_behind"), &behind);
    run(&mut client, "select kakunin.begin_epoch('this is the primary now')");
    run(&mut client, "select setval('app.note_id_seq', max(id)) from app.note");
    append(&mut client, "alone");
    checks.equal("alone: faults", faults(&mut client), String::new());
    checks.equal("alone: doctor()", ask(&mut client, findings), String::new());
}

#[test]
fn a_ledger_grows_at_its_publisher_alone() {
    let pair = Pair::start();
    let mut checks = Checks::new();
    let (mut source, mut client) = (pair.publisher.superuser(), pair.subscriber.superuser());
    let before = heads(&mut client);
    for statement in [
        "insert into app.note (id, body) values (-1, 'here')",
        "insert into keeper.event values (-1, '2021-02-02', 'here')",
        "select kakunin.begin_epoch('here')",
        "select kakunin.close_ledger('app.note', 'here')",
        "select kakunin.redact('keeper.person', ledger_tx, ledger_row, '{name}', 'here') from keeper.person where id = 2",
    ] {
        let refusal = refused(&mut client, statement);
        checks.equal(statement, (refusal.sqlstate.as_str(), refusal.slug()), ("55000", "ledger_replica"));
    }
    // A column comes to the subscriber first, as ever with replication, and is chained by what the publisher says.
    run(&mut client, "alter table keeper.bare add column extra text; alter table keeper.event add column extra int");
    checks.equal("nothing was chained", heads(&mut client), before);
    run(&mut source, "alter table keeper.bare add column extra text; alter table keeper.event add column extra int");
    append(&mut source, "after");
    run(
        &mut source,
        "insert into keeper.bare (extra) values ('x'); insert into keeper.event (id, day, extra) values (9, '2021-02-02', 1)",
    );
    // A partition that the publisher has dropped is dropped here by the same function.
    run(&mut source, "insert into keeper.event values (10, '2020-02-02', 'x')");
    pair.catch_up();
    checks.equal("faults", faults(&mut client), String::new());
    checks.equal("heads", heads(&mut client), heads(&mut source));
    let extra = "select extra from keeper.bare where extra is not null";
    checks.equal("the value", ask(&mut client, extra), "x".to_owned());
    run(&mut source, "select kakunin.checkpoint()");
    run(&mut source, "select kakunin.prune_ledger('keeper.event_again', 'its time is over')");
    pair.catch_up();
    checks.equal("pruned there: faults", faults(&mut client), String::new());
    checks.equal(
        "pruned here",
        ask(&mut client, "select kakunin.prune_ledger('keeper.event_again', 'there')"),
        "1".to_owned(),
    );
    checks.equal("pruned here: faults", faults(&mut client), String::new());
    checks.equal("pruned here: heads", heads(&mut client), heads(&mut source));
}

#[test]
fn rows_that_are_not_those_of_their_entry_stop_the_subscription() {
    let mut pair = Pair::start();
    let mut checks = Checks::new();
    let mut client = pair.subscriber.superuser();
    let count = "select count(*) from app.note where body in ('good', 'evil', 'better')";

    // On the way in: a trigger of the subscriber changes what arrives.
    run(
        &mut client,
        "create function public.meddle() returns trigger language plpgsql as
             $$ begin new.body = replace(new.body, 'good', 'evil'); return new; end $$;
         create trigger meddle before insert on app.note for each row execute function public.meddle();
         alter table app.note enable always trigger meddle",
    );
    run(&mut pair.publisher.superuser(), "insert into app.note (body) values ('good')");
    pair.wait_for_refusal("app.note: the 1 rows of entry");
    checks.equal("changed on the way", ask(&mut client, count), "0".to_owned());
    run(&mut client, "drop trigger meddle on app.note");
    pair.catch_up();
    checks.equal("once the trigger is gone", ask(&mut client, count), "1".to_owned());
    checks.equal("faults", faults(&mut client), String::new());
    drop(client);

    // On the publisher: a row that no entry has, an entry that has no row, one that is not its hash, one that skips.
    for (what, statements) in [
        (
            "app.note: 1 rows say that transaction 999999",
            "insert into app.note (body, ledger_tx, ledger_row) values ('evil', 999999, 0)",
        ),
        (
            "app.note: entry",
            "insert into kakunin.ledger_entry select ledger, seq + 1, 1, 888888, first_row + rows, 3, root, at, null, role, '',
                hash, hash from kakunin.ledger_entry where ledger = 1 order by seq desc limit 1",
        ),
    ] {
        doctor(&mut pair, &format!("alter table app.note disable trigger all; {statements};
            alter table app.note enable always trigger ledger_append"));
        pair.wait_for_refusal(what);
        pair.skip();
        pair.catch_up();
    }
    let mut client = pair.subscriber.superuser();
    checks.equal("nothing of it arrived", ask(&mut client, count), "1".to_owned());
    checks.equal("faults, later", faults(&mut client), String::new());
    // Deletes and updates of the publisher's are refused as here.
    doctor(
        &mut pair,
        "alter table keeper.person disable trigger all; update keeper.person set note = 'evil' where id = 3",
    );
    wait_until("the update is refused", || {
        pair.subscriber.log().contains("ledger_append_only: UPDATE of keeper.person").then_some(())
    });
}

const PUBLICATION: &str = "create publication ledgers for table app.note, keeper.bare, keeper.event, keeper.person,
    kakunin.ledger, kakunin.ledger_column, kakunin.ledger_entry, kakunin.ledger_redaction,
    kakunin.log, kakunin.log_range, kakunin.log_tile, kakunin.checkpoint, kakunin.signing_key";
