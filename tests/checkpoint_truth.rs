//! Checkpoints of a database that was changed, restored or copied: no two that contradict each other are signed.

use kakunin_tests::log::{insert, note, outcome, published, sound, start};
use kakunin_tests::scene::{ask, run};
use kakunin_tests::{Checks, DATABASE, Shutdown};

#[test]
fn a_ledger_that_contradicts_itself_is_not_signed() {
    for (name, change, slug) in [
        ("another role", "update kakunin.ledger_entry set role = 'x' where ledger = 1 and seq = 3", "ledger_broken"),
        ("another root", "update kakunin.ledger_entry set root = hash where ledger = 1 and seq = 3", "ledger_broken"),
        ("another hash", "update kakunin.ledger_entry set hash = root where ledger = 1 and seq = 3", "ledger_broken"),
        ("one gone", "delete from kakunin.ledger_entry where ledger = 1 and seq = 3", "ledger_broken"),
        ("a row more", "update kakunin.ledger_entry set rows = 2 where ledger = 1 and seq = 4", "ledger_broken"),
        (
            "a kind that is none",
            "update kakunin.ledger_entry set kind = 99 where ledger = 1 and seq = 4",
            "ledger_broken",
        ),
        ("a short root", "update kakunin.ledger_entry set root = '' where ledger = 1 and seq = 4", "ledger_broken"),
        ("what was signed", "update kakunin.ledger_entry set role = 'x' where ledger = 1 and seq = 1", "ledger_broken"),
        (
            "what was signed, hash",
            "update kakunin.ledger_entry set hash = root where ledger = 1 and seq = 1",
            "log_broken",
        ),
        ("what was signed is gone", "delete from kakunin.ledger_entry where ledger = 2 and seq = 1", "log_broken"),
        ("a frontier", "update kakunin.checkpoint set frontier = sha256('x')", "log_broken"),
        ("a root", "update kakunin.checkpoint set root = sha256('x')", "log_broken"),
        ("a range", "delete from kakunin.log_range where ledger = 2", "log_broken"),
    ] {
        let mut checks = Checks::new();
        let mut cluster = start();
        let mut client = cluster.superuser();
        note(&mut client);
        for _ in 0..4 {
            insert(&mut client, "a");
        }
        drop(client);
        let tables = ["kakunin.ledger_entry", "kakunin.checkpoint", "kakunin.log_range"];
        cluster.tamper(&tables, change);
        let mut client = cluster.superuser();
        checks.equal(name, outcome(&mut client), format!("XX001 {slug}"));
        checks.equal(&format!("{name}: published"), published(&cluster).size, 2);
        checks.equal(&format!("{name}: stored"), ask(&mut client, "select max(size) from kakunin.checkpoint"), "2");
        // Appending goes on, where there is something to append to.
        insert(&mut client, if name == "what was signed is gone" { "a" } else { "b" });
    }
}

/// Makes the chain of ledger 1 anew from its first entry on, as whoever may write everything can.
const REWRITE: &str = r"
do $$
declare
    e kakunin.ledger_entry;
    last bytea := '\x0000000000000000000000000000000000000000000000000000000000000000';
begin
    update kakunin.ledger_entry set role = 'somebody else' where ledger = 1;
    for e in select * from kakunin.ledger_entry where ledger = 1 order by seq loop
        e.previous := last;
        last := sha256('\x00'::bytea || '\x4501'::bytea || uuid_send((select id from kakunin.ledger where number = 1))
            || int8send(e.seq) || substr(int2send(e.kind), 2) || int8send(e.tx) || int8send(e.first_row)
            || int8send(e.rows) || e.root || int8send((extract(epoch from e.at) * 1000000)::bigint) || '\x00'::bytea
            || int2send(octet_length(e.role)::smallint) || convert_to(e.role, 'UTF8')
            || int4send(octet_length(e.detail)) || convert_to(e.detail, 'UTF8') || e.previous);
        update kakunin.ledger_entry set previous = e.previous, hash = last where ledger = 1 and seq = e.seq;
    end loop;
end $$;
";

#[test]
fn a_superuser_who_rewrites_everything_gets_no_signature_for_it() {
    let tables = ["kakunin.ledger_entry", "kakunin.checkpoint", "kakunin.log_range", "kakunin.log_tile"];
    for (name, more, expected) in [
        ("the ledger", "", "XX001 log_broken"),
        (
            "the ledger, and no log is left",
            "delete from kakunin.checkpoint; delete from kakunin.log_range; delete from kakunin.log_tile",
            "XX001 checkpoint_inconsistent",
        ),
        (
            "the ledger, and a log of the newest checkpoint",
            "delete from kakunin.checkpoint where size < 6; delete from kakunin.log_range",
            "XX001 log_broken",
        ),
        (
            "the ledger, and an older log",
            "delete from kakunin.checkpoint where size > 2; delete from kakunin.log_range where first_index > 1",
            "XX001 log_broken",
        ),
    ] {
        let mut checks = Checks::new();
        let mut cluster = start();
        let mut client = cluster.superuser();
        note(&mut client);
        for _ in 0..4 {
            insert(&mut client, "a");
        }
        let signed = note(&mut client);
        drop(client);
        cluster.tamper(&tables, &format!("{REWRITE} {more}"));
        let mut client = cluster.superuser();
        checks.equal(name, outcome(&mut client), expected);
        insert(&mut client, "a");
        checks.equal(&format!("{name}, and more"), outcome(&mut client), expected);
        checks.equal(&format!("{name}: published"), published(&cluster), signed);
    }
    // What nothing outside has seen cannot be told from what was always so.
    let mut cluster = start();
    for _ in 0..4 {
        insert(&mut cluster.superuser(), "a");
    }
    cluster.tamper(&tables, REWRITE);
    assert_eq!(outcome(&mut cluster.superuser()), "6");
}

#[test]
fn a_database_that_lost_what_was_signed_is_not_signed_for() {
    let mut cluster = start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    insert(&mut client, "a");
    note(&mut client);
    drop(client);
    cluster.stop(Shutdown::Fast);
    let (data, copy) = (cluster.data_directory(), cluster.socket_directory().join("copy"));
    let copied = |from: &std::path::Path, to: &std::path::Path| {
        let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
        assert!(done.expect("cp runs").success());
    };
    copied(&data, &copy);
    cluster.start_server();
    let mut client = cluster.superuser();
    insert(&mut client, "b");
    let signed = note(&mut client);
    drop(client);
    // Restored to the earlier state.
    cluster.stop(Shutdown::Fast);
    std::fs::remove_dir_all(&data).expect("the test may");
    copied(&copy, &data);
    cluster.start_server();
    let mut client = cluster.superuser();
    checks.equal("restored", outcome(&mut client), "XX001 checkpoint_inconsistent");
    insert(&mut client, "b");
    insert(&mut client, "b");
    checks.equal("restored, and more", outcome(&mut client), "XX001 checkpoint_inconsistent");
    checks.equal("published", published(&cluster), signed);
    // The way on is not in SQL.
    run(&mut client, "select kakunin.begin_epoch('restored')");
    checks.equal("with an epoch", outcome(&mut client), "XX001 checkpoint_inconsistent");
    for file in ["example.org.checkpoint", "example.org.plan"] {
        let kept = cluster.socket_directory().join(file);
        std::fs::rename(cluster.key_directory().join(file), kept).expect("the test may");
    }
    checks.equal("from what the database has", outcome(&mut client), "7");
    checks.equal("faults", ask(&mut client, "select * from kakunin.verify_ledger()"), "");
}

#[test]
fn two_copies_of_a_database_cannot_both_continue_its_log() {
    let cluster = start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    insert(&mut client, "a");
    note(&mut client);
    drop(client);
    let dump = cluster.socket_directory().join("dump").to_string_lossy().into_owned();
    let output = cluster.tool("pg_dump", "postgres", &["-Fc", "-f", &dump, DATABASE]);
    assert!(output.success && output.stderr.is_empty(), "{}", output.stderr);
    run(&mut cluster.connect("postgres", "postgres"), "create database copy template template0");
    let output = cluster.tool("pg_restore", "postgres", &["-d", "copy", "--exit-on-error", &dump]);
    assert!(output.success, "{}", output.stderr);
    let (mut client, mut copy) = (cluster.superuser(), cluster.connect("postgres", "copy"));
    let content = "select (select string_agg(c::text, ',' order by size) from kakunin.checkpoint c),
        (select string_agg(r::text, ',' order by first_index) from kakunin.log_range r), (select l::text from kakunin.log l),
        (select string_agg(k::text, ',' order by name) from kakunin.signing_key k),
        (select string_agg(o::text, ',' order by id) from kakunin.outbox o)";
    checks.equal("content", ask(&mut copy, content), ask(&mut client, content));
    checks.equal("the same note", outcome(&mut copy), "3");
    checks.equal("sound", sound(&mut copy), "t");
    // Only one of them goes on.
    insert(&mut copy, "a");
    checks.equal("the copy", outcome(&mut copy), "4");
    insert(&mut client, "b");
    checks.equal("the first one", outcome(&mut client), "XX001 checkpoint_inconsistent");
    checks.equal("the copy again", outcome(&mut copy), "4");
    checks.equal("sound again", sound(&mut copy), "t");
}
