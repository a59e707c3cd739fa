//! Checkpoints and standbys: what is signed is on the synchronous one first, and a promoted one goes on.

use kakunin_tests::log::{insert, outcome, published};
use kakunin_tests::scene::{ask, refused, run};
use kakunin_tests::{Checks, Cluster, Shutdown, wait_until};

fn primary() -> Cluster {
    let cluster = Cluster::builder()
        .set("kakunin.databases", "test")
        .set("kakunin.checkpoint_interval", "0")
        .set("wal_sender_timeout", "0")
        .start();
    let mut client = cluster.superuser();
    run(&mut client, "create table a (id bigint generated always as identity primary key, v text)");
    run(&mut client, "select kakunin.attach_ledger('a')");
    run(&mut client, "select kakunin.name_log('example.org')");
    cluster
}

#[test]
fn while_the_synchronous_standby_is_silent_nothing_is_signed() {
    let mut cluster = primary();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    checks.equal("alone", outcome(&mut client), "1");
    let mut standby = cluster.start_standby();
    cluster.set("synchronous_standby_names", "*");
    cluster.reload();
    wait_until("it is synchronous", || {
        (ask(&mut client, "select sync_state from pg_stat_replication") == "sync").then_some(())
    });
    let mut client = cluster.superuser();
    insert(&mut client, "a");
    checks.equal("with the standby", outcome(&mut client), "2");

    standby.stop(Shutdown::Fast);
    // Whoever made the entry did not wait, and whoever asks for the checkpoint does not want to.
    for asynchronous in ["local", "off", "remote_write"] {
        run(&mut client, "set synchronous_commit = local");
        insert(&mut client, "a");
        run(&mut client, &format!("set synchronous_commit = {asynchronous}; set statement_timeout = '300ms'"));
        checks.equal(asynchronous, outcome(&mut client), "57014 ");
        run(&mut client, "set statement_timeout = 0");
        checks.equal(&format!("{asynchronous}: published"), published(&cluster).size, 2);
        let stored = ask(&mut client, "select max(size) from kakunin.checkpoint");
        checks.equal(&format!("{asynchronous}: stored"), stored, "2");
    }
    // Another session waits, is seen, and gets its note when the standby is there again.
    let mut waiter = cluster.superuser();
    let waiting = std::thread::spawn(move || outcome(&mut waiter));
    let seen = "select count(*) from pg_stat_activity where query ~ '^select kakunin.checkpoint' and wait_event_type = 'Extension'";
    wait_until("it waits", || (ask(&mut client, seen) == "1").then_some(()));
    checks.equal("while it waits", published(&cluster).size, 2);
    standby.start_server();
    checks.equal("with the standby again", waiting.join().expect("no panic"), "5");
    checks.equal("published", published(&cluster).size, 5);

    // One that waits when the standby is given up must be asked for again, and can be had then.
    standby.stop(Shutdown::Fast);
    run(&mut client, "set synchronous_commit = local");
    insert(&mut client, "a");
    let mut waiter = cluster.superuser();
    let waiting = std::thread::spawn(move || outcome(&mut waiter));
    wait_until("it waits", || (ask(&mut client, seen) == "1").then_some(()));
    cluster.set("synchronous_standby_names", "");
    cluster.reload();
    checks.equal("given up", waiting.join().expect("no panic"), "55000 checkpoint_not_durable");
    checks.equal("asked for again", outcome(&mut cluster.superuser()), "6");
    checks.equal("sound", ask(&mut client, "select * from kakunin.verify_ledger()"), "");
}

#[test]
fn a_standby_proves_but_signs_nothing_and_signs_when_it_is_promoted() {
    let mut cluster = primary();
    cluster.set("kakunin.checkpoint_interval", "1");
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    insert(&mut client, "a");
    checks.equal("on the primary", outcome(&mut client), "2");
    let standby = cluster.start_standby();
    let mut there = standby.superuser();
    let refusal = refused(&mut there, "select kakunin.checkpoint()");
    checks.equal("a checkpoint", (&*refusal.sqlstate, refusal.slug()), ("25006", "server_is_standby"));
    for statement in ["select kakunin.name_log('x')", "select kakunin.create_signing_key('x')"] {
        checks.equal(statement, refused(&mut there, statement).sqlstate, "25006");
    }
    for statement in [
        "select kakunin.inclusion_proof('a', (select max(ledger_tx) from a))",
        "select kakunin.inclusion_proof('a', (select max(ledger_tx) from a), 0)",
        "select kakunin.consistency_proof(1)",
        "select kakunin.verifier_key()",
    ] {
        checks.equal(statement, ask(&mut there, statement), ask(&mut client, statement));
    }
    checks.equal("its workers", standby.workers(), Vec::<u32>::new());
    checks.equal("its keys", standby.key_directory().join("kek").exists(), false);

    standby.promote();
    wait_until("it has a worker", || (standby.workers().len() == 1).then_some(()));
    // The database brings the newest note, but nothing that opens the key.
    insert(&mut there, "a");
    checks.equal("without the key", outcome(&mut there), "58030 key_encryption_key_missing");
    wait_until("it complains", || standby.log().contains("key-encryption key is missing").then_some(()));
    let kek = std::fs::read(cluster.key_directory().join("kek")).expect("the test may read it");
    let brought = standby.private_file("data.kakunin/kek", &kek);
    checks.equal("the file", brought, standby.key_directory().join("kek"));
    wait_until("the worker goes on", || {
        (ask(&mut there, "select max(size) from kakunin.checkpoint") == "3").then_some(())
    });
    insert(&mut there, "a");
    checks.equal("a checkpoint there", outcome(&mut there), "4");
    checks.equal("published there", published(&standby).size, 4);
    checks.equal("sound", ask(&mut there, "select * from kakunin.verify_ledger()"), "");
}
