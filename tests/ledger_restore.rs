//! Ledgers in dumps, in moved clusters, and on servers that do not preload the library: the chain goes on, and what was
//! done to it on the way is seen.

use kakunin_tests::estate::{
    self, append, check_export, checkpoint, continues, export, faults, heads, is_guarded, rename, slugs,
};
use kakunin_tests::scene::{ask, refused, run};
use kakunin_tests::{Checks, Cluster, DATABASE, Shutdown};
use std::process::Command;

fn dump(cluster: &Cluster, file: &str, options: &[&str]) -> String {
    let path = cluster.socket_directory().join(file).to_string_lossy().into_owned();
    let output = cluster.tool("pg_dump", "postgres", &[options, &["-f", &path, DATABASE]].concat());
    assert!(output.success, "{}", output.stderr);
    path
}

/// Restores into a new database. What is not a format of pg_restore's goes through psql.
fn restore(cluster: &Cluster, database: &str, runs: &[&[&str]]) {
    run(&mut cluster.connect("postgres", "postgres"), &format!("create database {database} template template0"));
    for arguments in runs {
        let output = match arguments {
            [script] if script.ends_with(".sql") => {
                cluster.psql_over(&cluster.connection("postgres", database), &format!("\\i {script}"))
            }
            _ => cluster.tool("pg_restore", "postgres", &[&["-d", database, "--exit-on-error"], *arguments].concat()),
        };
        assert!(output.success, "{database} {arguments:?}: {}", output.stderr);
    }
}

/// The file of another cluster where this one's tools can read it.
fn bring(from: &Cluster, file: &str, to: &Cluster) -> String {
    let content = std::fs::read(file).expect("it was written");
    let name = std::path::Path::new(file).file_name().expect("a file").to_string_lossy().into_owned();
    let _ = from;
    to.private_file(&name, &content).to_string_lossy().into_owned()
}

fn copy_keys(from: &Cluster, to: &Cluster) {
    let _ = std::fs::remove_dir_all(to.key_directory());
    let copied = Command::new("cp").arg("-a").arg(from.key_directory()).arg(to.key_directory()).status();
    assert!(copied.expect("cp runs").success(), "the directory is there");
}

#[test]
fn a_ledger_comes_back_from_a_dump_in_every_format_and_goes_on() {
    let cluster = estate::start(Cluster::builder());
    let mut checks = Checks::new();
    let mut source = cluster.superuser();
    checks.equal("the source", faults(&mut source), String::new());
    let (before, lines) = (heads(&mut source), export(&mut source));
    let custom = dump(&cluster, "custom", &["-Fc"]);
    let plain = dump(&cluster, "plain.sql", &["-Fp"]);
    let inserts = dump(&cluster, "inserts.sql", &["-Fp", "--inserts"]);
    let clean = dump(&cluster, "clean.sql", &["-Fp", "--clean", "--if-exists"]);
    let directory = dump(&cluster, "directory", &["-Fd", "-j", "2"]);
    let schema = dump(&cluster, "schema", &["-Fc", "--schema-only"]);
    let data = dump(&cluster, "data_only", &["-Fd", "--data-only"]);
    let data_script = dump(&cluster, "data_only.sql", &["-Fp", "--data-only"]);
    let by_root = dump(&cluster, "by_root", &["-Fd", "--load-via-partition-root"]);
    for (name, runs) in [
        ("custom", &[&[&*custom][..]][..]),
        ("plain", &[&[&*plain]]),
        ("inserts", &[&[&*inserts]]),
        ("clean", &[&[&*clean]]),
        ("parallel", &[&["-j", "3", &*directory]]),
        ("single", &[&["--single-transaction", &*custom]]),
        (
            "sections",
            &[
                &["--section=pre-data", &*directory],
                &["--section=data", "-j", "2", &*directory],
                &["--section=post-data", "-j", "2", &*directory],
            ],
        ),
        ("parts", &[&[&*schema], &["-j", "3", &*data]]),
        ("parts_script", &[&[&*schema], &[&*data_script]]),
        ("by_root", &[&["-j", "2", &*by_root]]),
    ] {
        restore(&cluster, name, runs);
        let mut client = cluster.connect("postgres", name);
        checks.equal(&format!("{name}: faults"), faults(&mut client), String::new());
        checks.equal(&format!("{name}: heads"), heads(&mut client), before.clone());
        checks.holds(&format!("{name}: the export is the same"), export(&mut client) == lines, "it differs");
        checks.equal(&format!("{name}: is not guarded"), is_guarded(&mut client), Vec::<String>::new());
        checks.equal(&format!("{name}: nothing to repair"), repairs(&mut client), "");
        append(&mut cluster.connect("other", name), name);
        checks.equal(&format!("{name}: goes on"), continues(&mut client, &before), Ok(()));
        let redact =
            "select kakunin.redact('keeper.person', ledger_tx, ledger_row, '{mail}', 'asked') from keeper.person
            where id = 2";
        checks.equal(&format!("{name}: erases"), ask(&mut client, redact), "1".to_owned());
        checks.equal(&format!("{name}: faults, later"), faults(&mut client), String::new());
        // Nobody has said so far that somebody looked.
        let restored = "select object from kakunin.doctor() where finding = 'ledger_restored'";
        let epoch = "select kakunin.begin_epoch('restored')";
        // A script that inserts rows one by one leaves no trace of that.
        let found = ask(&mut client, restored);
        checks.holds(&format!("{name}: doctor()"), found.contains("app.note") != (name == "inserts"), found);
        checks.equal(&format!("{name}: an epoch"), ask(&mut client, epoch), "4".to_owned());
        checks.equal(&format!("{name}: doctor(), later"), ask(&mut client, restored), String::new());
        checks.equal(&format!("{name}: faults, at last"), faults(&mut client), String::new());
    }
    checks.equal("doctor() of the source", ask(&mut source, FINDINGS), String::new());
}

fn repairs(client: &mut postgres::Client) -> String {
    // A partition that was added later gets its trigger for statements, too.
    let found = ask(client, "select detail from kakunin.repair_ledger()");
    let parts: Vec<&str> =
        found.split(',').filter(|part| !part.contains("ledger_refuse_statement of keeper.event_new_2")).collect();
    parts.join(",")
}

#[test]
fn a_dump_over_a_ledger_that_is_there_changes_nothing() {
    let cluster = estate::start(Cluster::builder());
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    let before = heads(&mut client);
    let clean = dump(&cluster, "clean", &["-Fc"]);
    let data = dump(&cluster, "data_only", &["-Fc", "--data-only"]);
    for (name, arguments) in [("--clean", vec!["--clean", "--if-exists", &*clean]), ("--data-only", vec![&*data])] {
        let arguments = [vec!["-d", DATABASE, "--single-transaction"], arguments].concat();
        let output = cluster.tool("pg_restore", "postgres", &arguments);
        checks.holds(name, !output.success, output.stderr);
        checks.equal(name, heads(&mut client), before.clone());
        checks.equal(name, faults(&mut client), String::new());
    }
    // Without a transaction around it, the same: every row has a key.
    let output = cluster.tool("pg_restore", "postgres", &["-d", DATABASE, &data]);
    checks.holds("twice", !output.success, output.stderr);
    checks.equal("twice", heads(&mut client), before);
    checks.equal("twice", faults(&mut client), String::new());
}

#[test]
fn a_copy_of_a_log_is_another_log_and_gets_another_name() {
    let cluster = estate::start(Cluster::builder());
    let mut checks = Checks::new();
    let mut source = cluster.superuser();
    let custom = dump(&cluster, "custom", &["-Fc"]);
    let old_key = ask(&mut source, "select kakunin.verifier_key()");
    let kept = ask(&mut source, "select note from kakunin.checkpoint order by size desc limit 1");
    restore(&cluster, "copy", &[&[&*custom]]);
    let mut copy = cluster.connect("postgres", "copy");
    append(&mut copy, "in the copy");
    // The source moves on first; the copy has another history.
    append(&mut source, "in the source");
    let future = checkpoint(&mut source).expect("the source goes on");
    checks.equal("the copy", checkpoint(&mut copy), Err("XX001 checkpoint_inconsistent".to_owned()));
    let found = faults(&mut copy);
    checks.holds("the copy's log", found.contains("signer's last checkpoint"), &found);
    let name = "select kakunin.name_log('example.org/copy')";
    let refusal = refused(&mut copy, name);
    checks.equal("without an epoch", (refusal.sqlstate.as_str(), refusal.slug()), ("55000", "log_named"));
    run(&mut copy, "select kakunin.begin_epoch('a copy for tests')");
    let refusal = refused(&mut copy, "select kakunin.name_log('example.org/source')");
    checks.equal("the old name", (refusal.sqlstate.as_str(), refusal.slug()), ("22023", "log_name_used"));
    let key = ask(&mut copy, name);
    checks.holds("another key", key.starts_with("example.org/copy+") && key != old_key, &key);
    checks.equal("its log before a checkpoint", faults(&mut copy), String::new());
    // Rolled back, the signer remembers the note and goes on from there.
    run(&mut copy, "begin; select kakunin.checkpoint(); rollback");
    append(&mut copy, "after a rollback");
    let note = checkpoint(&mut copy);
    checks.holds("under the new name", note.as_ref().is_ok_and(|note| note.starts_with("example.org/copy\n")), &note);
    checks.equal("its log", faults(&mut copy), String::new());
    checks.equal("once more", checkpoint(&mut copy), note.clone());
    let refusal = refused(&mut copy, "select kakunin.name_log('example.org/again')");
    checks.equal("the epoch is covered", refusal.slug(), "log_named");
    append(&mut copy, "later");
    let newest = checkpoint(&mut copy).expect("it goes on");

    let lines = export(&mut copy);
    let note = note.expect("it was made");
    let report = check_export(&lines, Some(&key), &[&kept, &note, &newest]);
    checks.equal("by the new key and notes of both names", slugs(&report), Vec::<String>::new());
    checks.equal("covered", report.coverage.pinned, Some(report.entries));
    let report = check_export(&lines, Some(&old_key), &[]);
    checks.holds("by the old key", slugs(&report).iter().all(|slug| slug.starts_with("unsigned")), slugs(&report));
    let report = check_export(&lines, Some(&key), &[&future]);
    checks.equal("a note of the source's future", report.faults.len(), 1);
    checks.equal("the source", faults(&mut source), String::new());
    append(&mut source, "last");
    checks.holds("the source goes on", checkpoint(&mut source).is_ok(), "it is refused");
    let proof = "select kakunin.inclusion_proof('app.note', min(ledger_tx)) from app.note";
    checks.holds("a proof of an old entry", ask(&mut copy, proof).contains("example.org/copy"), "no proof");
}

#[test]
fn in_another_cluster_a_ledger_goes_on_with_its_key_or_with_a_new_one() {
    let source = estate::start(Cluster::builder());
    let mut checks = Checks::new();
    let target = Cluster::builder().fresh().without_extension().start();
    run(&mut target.connect("postgres", "postgres"), estate::ROLES);
    let custom = bring(&source, &dump(&source, "custom", &["-Fc"]), &target);
    let before = heads(&mut source.superuser());
    let old_key = ask(&mut source.superuser(), "select kakunin.verifier_key()");
    let kept = checkpoint(&mut source.superuser()).expect("a note");

    restore(&target, "keyless", &[&[&*custom]]);
    let mut client = target.connect("postgres", "keyless");
    checks.equal("keyless: faults", faults(&mut client), String::new());
    append(&mut client, "moved");
    checks.equal("keyless: goes on", continues(&mut client, &before), Ok(()));
    checks.equal("keyless: no key", checkpoint(&mut client), Err("58030 key_encryption_key_missing".to_owned()));
    let key = rename(&mut client, "example.org/moved");
    let note = checkpoint(&mut client).expect("with a key of its own");
    checks.equal("keyless: faults, later", faults(&mut client), String::new());
    let report = check_export(&export(&mut client), Some(&key), &[&note, &kept]);
    checks.equal("keyless: by its key", slugs(&report), Vec::<String>::new());

    // With the files of the signer it is the same log.
    copy_keys(&source, &target);
    restore(&target, "keyed", &[&[&*custom]]);
    let mut client = target.connect("postgres", "keyed");
    append(&mut client, "moved");
    let note = checkpoint(&mut client).expect("the key is there");
    let report = check_export(&export(&mut client), Some(&old_key), &[&note, &kept]);
    checks.equal("keyed: by its key", slugs(&report), Vec::<String>::new());
    checks.equal("keyed: faults", faults(&mut client), String::new());
    let file = std::fs::read_to_string(target.key_directory().join("example.org%2fsource.checkpoint"));
    checks.equal("keyed: what the signer remembers", file.ok(), Some(note));
}

#[test]
fn pg_upgrade_takes_ledgers_along() {
    let mut source = estate::start(Cluster::builder());
    let mut checks = Checks::new();
    let before = heads(&mut source.superuser());
    let lines = export(&mut source.superuser());
    let mut target = Cluster::builder().fresh().without_extension().start();
    run(&mut target.connect("postgres", "postgres"), &format!("drop database {DATABASE}"));
    target.upgrade_from(&mut source);
    let mut client = target.superuser();
    checks.equal("faults", faults(&mut client), String::new());
    checks.equal("is not guarded", is_guarded(&mut client), Vec::<String>::new());
    checks.holds("the export is the same", export(&mut client) == lines, "it differs");
    append(&mut client, "upgraded");
    checks.equal("goes on", continues(&mut client, &before), Ok(()));
    // The directory of the signer is not in the data directory: it must be brought along.
    checks.equal("without the key", checkpoint(&mut client), Err("58030 key_encryption_key_missing".to_owned()));
    copy_keys(&source, &target);
    let note = checkpoint(&mut client);
    checks.holds("with the key", note.as_ref().is_ok_and(|note| note.starts_with("example.org/source\n")), &note);
    checks.equal("faults, later", faults(&mut client), String::new());
}

#[test]
fn what_is_done_without_preloading_is_seen_and_repaired() {
    let mut cluster = estate::start(Cluster::builder());
    let mut checks = Checks::new();
    let data = dump(&cluster, "data_only", &["-Fc", "--data-only", "-t", "keeper.bare"]);
    let before = heads(&mut cluster.superuser());
    // While it is preloaded, this is refused.
    let arguments = ["-d", DATABASE, "--disable-triggers", &data];
    let output = cluster.tool("pg_restore", "postgres", &arguments);
    checks.holds("preloaded", output.stderr.contains("ledger_trigger"), &output.stderr);
    run(&mut cluster.superuser(), "create table t (a int)");
    cluster.set("shared_preload_libraries", "");
    cluster.restart(Shutdown::Fast);
    let mut client = cluster.superuser();
    // Rows are chained all the same, from several sessions too.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| append(&mut cluster.connect("other", DATABASE), "not preloaded"));
        }
    });
    checks.equal("goes on", continues(&mut client, &before), Ok(()));
    let finding = |client: &mut postgres::Client, name: &str| {
        ask(client, &format!("select object from kakunin.doctor() where finding = '{name}'"))
    };
    checks.equal("doctor()", finding(&mut client, "ledger_unguarded"), "shared_preload_libraries".to_owned());
    checks.holds("not preloaded", !faults(&mut client).contains("keeper.person|3"), "before the change");
    run(&mut client, BREAK);
    let found = faults(&mut client);
    for part in [
        "trigger ledger_append of app.note is not enabled always",
        "trigger ledger_refuse_statement of app.note is not enabled always",
        "keeper.event_new_1 has no trigger ledger_append",
        "trigger ledger_refuse of keeper.person is not",
        "keeper.person|2|altered",
    ] {
        checks.holds(part, found.contains(part), &found);
    }
    let off = finding(&mut client, "ledger_trigger_off");
    for part in ["app.note", "keeper.event", "keeper.event_new_1", "kakunin.ledger_entry", "kakunin.log"] {
        checks.holds(part, off.split(',').any(|object| object == part), &off);
    }
    drop(client);

    cluster.set("shared_preload_libraries", "kakunin");
    cluster.restart(Shutdown::Fast);
    // An administrator repairs it, as its owner; nobody else does.
    let mut keeper = cluster.connect("keeper", DATABASE);
    let refusal = refused(&mut cluster.connect("other", DATABASE), "select kakunin.repair_ledger()");
    checks.equal("somebody", refusal.sqlstate, "42501".to_owned());
    let steps = ask(&mut keeper, "select step, detail from kakunin.repair_ledger('app.note')");
    checks.equal(
        "one ledger",
        steps,
        "trigger|ledger_append of app.note fires always again,trigger|ledger_refuse of app.note fires always again,\
         trigger|ledger_refuse_statement of app.note fires always again"
            .to_owned(),
    );
    let steps = ask(&mut keeper, "select step, detail from kakunin.repair_ledger()");
    for part in [
        "trigger|ledger_append of keeper.event was missing",
        "trigger|ledger_refuse_statement of keeper.event_new was missing",
        "trigger|ledger_refuse of keeper.person was made anew",
        "default|ledger_tx of keeper.bare is kakunin.ledger_tx() again",
        "trigger|ledger_refuse of kakunin.ledger_entry was missing",
        "trigger|entries_restored of kakunin.ledger_column fires always again",
    ] {
        checks.holds(part, steps.contains(part), &steps);
    }
    checks.equal("nothing is left", ask(&mut keeper, "select kakunin.repair_ledger()"), String::new());
    let mut client = cluster.superuser();
    let found = faults(&mut client);
    checks.equal("what was done to rows stays", found.split('|').nth(2), Some("altered"));
    checks.holds("and nothing else", !found.contains("trigger"), &found);
    checks.equal("is not guarded", is_guarded(&mut client), Vec::<String>::new());
    let owners = "select distinct relowner::regrole from pg_class where relnamespace = 'keeper'::regnamespace";
    checks.equal("owners", ask(&mut client, owners), "keeper".to_owned());
    let refusal = refused(&mut client, "truncate kakunin.ledger_entry");
    checks.equal("our own tables", refusal.slug(), "ledger_append_only");
    append(&mut cluster.connect("other", DATABASE), "repaired");
    checks.equal("faults, later", faults(&mut client), found);
    checks.equal("doctor(), later", ask(&mut client, FINDINGS), String::new());
}

#[test]
fn a_checkpoint_whose_transaction_a_crash_ended_is_continued() {
    let mut cluster = estate::start(Cluster::builder());
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(&mut client, "begin");
    let lost = checkpoint(&mut client).expect("it is signed");
    cluster.restart(Shutdown::Immediate);
    let mut client = cluster.superuser();
    let count = "select count(*) from kakunin.checkpoint";
    checks.equal("the crash undid it", ask(&mut client, count), "2".to_owned());
    checks.equal("faults", faults(&mut client), String::new());
    append(&mut client, "after the crash");
    let note = checkpoint(&mut client).expect("it goes on");
    checks.equal("both are there", ask(&mut client, count), "4".to_owned());
    let report = check_export(&export(&mut client), None, &[&lost, &note]);
    checks.equal("the log continues both", slugs(&report), Vec::<String>::new());
    checks.equal("faults, later", faults(&mut client), String::new());
}

const FINDINGS: &str = "select finding, object, detail from kakunin.doctor() where finding ~ 'ledger|signer|worker'";

const BREAK: &str = "
    alter table app.note disable trigger all;
    alter table app.note enable trigger all;
    drop trigger ledger_append on keeper.event;
    drop trigger ledger_refuse_statement on keeper.event_new;
    create or replace trigger ledger_refuse before update or delete on keeper.person
        for each row when (old.id < 0) execute function kakunin.ledger_refuse();
    alter table keeper.bare alter ledger_tx set default 5;
    drop trigger ledger_refuse on kakunin.ledger_entry;
    alter table kakunin.ledger_column disable trigger user;
    alter table kakunin.log disable trigger user;
    begin;
    alter table keeper.person disable trigger ledger_refuse_statement;
    update keeper.person set note = 'x' where id = 2;
    alter table keeper.person enable always trigger ledger_refuse_statement;
    commit;
";
