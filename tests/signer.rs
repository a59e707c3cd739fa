//! The signer: keys that nobody but it can use, and what becomes of requests when it ends.

use kakunin_tests::scene::{ask, refused, run};
use kakunin_tests::{Checks, Cluster, DATABASE, Python, Refusal, Shutdown, refusal_of, wait_until};
use postgres::Client;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

fn make_key(client: &mut Client, name: &str) -> Result<Vec<u8>, postgres::Error> {
    client.query_one("select kakunin.create_signing_key($1)", &[&name]).map(|row| row.get(0))
}

fn kind(refusal: &Refusal) -> (&str, &str) {
    (&refusal.sqlstate, refusal.slug())
}

fn send(signal: &str, process: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -s {signal} {process}")]).status();
    assert!(status.expect("sh runs").success(), "the process is there");
}

/// Makes a checkpoint; the outcome as SQLSTATE and slug.
fn checkpoint(client: &mut Client) -> (String, String) {
    match client.batch_execute("select kakunin.checkpoint()") {
        Ok(()) => ("00000".into(), String::new()),
        refusal => {
            let refusal = refusal_of(refusal);
            (refusal.sqlstate.clone(), refusal.slug().to_owned())
        }
    }
}

fn outcome(sqlstate: &str, slug: &str) -> (String, String) {
    (sqlstate.to_owned(), slug.to_owned())
}

/// Where any of the needles is in the readable memory of a process.
fn found_in_memory(process: u32, needles: &[Vec<u8>]) -> Vec<String> {
    use std::os::unix::fs::FileExt;
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("the process is there");
    let memory = fs::File::open(format!("/proc/{process}/mem")).expect("its memory can be read");
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (start, end) = line.split_once(' ').and_then(|(range, _)| range.split_once('-')).expect("a range");
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).expect("an address"));
        let mut content = vec![0; (end - start) as usize];
        if memory.read_exact_at(&mut content, start).is_ok() && contains_any(&content, needles) {
            found.push(line.to_owned());
        }
    }
    found
}

fn contains_any(content: &[u8], needles: &[Vec<u8>]) -> bool {
    needles.iter().any(|needle| memchr::memmem::find(content, needle).is_some())
}

/// The files below a directory that contain any of the needles.
fn found_in_files(directory: &Path, needles: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("it can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(found_in_files(&path, needles));
        } else if fs::read(&path).is_ok_and(|content| contains_any(&content, needles)) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

#[test]
fn the_private_half_of_a_key_is_nowhere_in_the_open() {
    let python = Python::with_packages();
    let cluster = Cluster::builder().set("log_statement", "all").set("log_min_messages", "debug1").start();
    let mut client = cluster.superuser();
    run(&mut client, "create table t (id int primary key); select kakunin.attach_ledger('t')");
    for _ in 0..3 {
        run(&mut client, "insert into t select coalesce(max(id), 0) + 1 from t; select kakunin.checkpoint()");
    }
    let mut checks = Checks::new();
    let row = "select encode(public_key, 'hex') || '|' || encode(sealed, 'hex') from kakunin.signing_key";
    let row = ask(&mut client, row);
    let (public_key, sealed) = row.split_once('|').expect("two columns");
    let kek_file = cluster.key_directory().join("kek");
    let secrets = python.run("unseal.py", &[&kek_file.to_string_lossy(), "log", public_key, sealed]);
    let needles: Vec<Vec<u8>> = secrets.split(' ').map(unhex).collect();
    assert_eq!(needles.len(), 4);
    let kek = vec![fs::read(&kek_file).expect("the test may read it")];
    assert_eq!(kek[0].len(), 32);
    run(&mut client, "checkpoint");

    let backend: i32 = client.query_one("select pg_backend_pid()", &[]).expect("a plain query").get(0);
    let processes =
        [("signer", cluster.signer()), ("backend", backend.cast_unsigned()), ("postmaster", cluster.process())];
    for (name, process) in processes {
        // The public half is there, so the search can find something.
        if name == "signer" {
            let public = [unhex(public_key)];
            checks.holds("the search finds what is there", !found_in_memory(process, &public).is_empty(), name);
        }
        checks.equal(&format!("{name}: key"), found_in_memory(process, &needles), Vec::<String>::new());
        checks.equal(&format!("{name}: key-encryption key"), found_in_memory(process, &kek), Vec::<String>::new());
    }
    let data = cluster.data_directory();
    checks.holds("the sealed key is in the files", !found_in_files(&data, &[unhex(sealed)]).is_empty(), "nowhere");
    checks.equal("files", found_in_files(&data, &[needles, kek].concat()), Vec::<String>::new());
    let mode = fs::metadata(&kek_file).expect("it is there").permissions().mode();
    checks.equal("mode of the key-encryption key", mode & 0o777, 0o600);
    let mode = fs::metadata(cluster.key_directory()).expect("it is there").permissions().mode();
    checks.equal("mode of the directory", mode & 0o777, 0o700);
}

#[test]
fn a_key_is_made_by_administrators_and_gone_after_a_rollback() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut superuser = cluster.superuser();
    run(
        &mut superuser,
        "create role admin login in role kakunin_admin; create role auditor login in role kakunin_auditor;
         create role agent login in role kakunin_agent; create role anybody login",
    );
    for role in ["auditor", "agent", "anybody"] {
        let mut client = cluster.connect(role, DATABASE);
        for refused_here in [
            "select kakunin.create_signing_key('k')",
            "select kakunin.checkpoint()",
            "select kakunin.name_log('l')",
            "select sealed from kakunin.signing_key",
            "select * from kakunin.signing_key",
            "insert into kakunin.signing_key values ('k', 'Ed25519', '', '')",
            "insert into kakunin.checkpoint values (1, '', '', '')",
            "insert into kakunin.log values (1, 'a', 'b')",
            "do $$ begin lock table kakunin.log; end $$",
            "delete from kakunin.outbox",
        ] {
            checks.equal(&format!("{role}: {refused_here}"), refused(&mut client, refused_here).sqlstate, "42501");
        }
    }
    let mut admin = cluster.connect("admin", DATABASE);
    run(&mut admin, "begin; select kakunin.create_signing_key('k'); rollback");
    checks.equal("rolled back", ask(&mut superuser, "select count(*) from kakunin.signing_key"), "0");
    let first = make_key(&mut admin, "k").expect("an administrator may");
    checks.equal("public half", first.len(), 32);
    checks.equal("again", kind(&refusal_of(make_key(&mut admin, "k"))), ("22023", "key_exists"));
    checks.holds("another", make_key(&mut admin, "l").expect("a new name") != first, "the same");
    for (name, algorithm, slug) in [
        ("'A'", "'Ed25519'", "key_name_invalid"),
        ("''", "'Ed25519'", "key_name_invalid"),
        ("repeat('a', 64)", "'Ed25519'", "key_name_invalid"),
        ("'../kek'", "'Ed25519'", "key_name_invalid"),
        ("'m'", "'rsa'", "key_algorithm_unknown"),
        ("null", "'Ed25519'", "argument_null"),
        ("'m'", "null", "argument_null"),
    ] {
        let statement = format!("select kakunin.create_signing_key({name}, {algorithm})");
        checks.equal(&statement, kind(&refused(&mut admin, &statement)), ("22023", slug));
    }
    let visible = "select name from kakunin.signing_key order by name";
    checks.equal("to auditors", ask(&mut cluster.connect("auditor", DATABASE), visible), "k,l");
    run(&mut admin, "select kakunin.create_signing_key(repeat('a', 63))");
}

#[test]
fn requests_survive_the_end_of_the_signer() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(&mut client, "create table t (id int primary key); select kakunin.attach_ledger('t')");
    checks.equal("before", checkpoint(&mut client), outcome("00000", ""));
    for (round, signal) in ["TERM", "INT", "TERM"].into_iter().enumerate() {
        if signal == "INT" {
            send("INT", cluster.signer());
        } else {
            cluster.end_signer(signal);
        }
        run(&mut client, &format!("insert into t values ({round})"));
        // It waits for the process that the postmaster starts a second later.
        checks.equal(&format!("after {signal}"), checkpoint(&mut client), outcome("00000", ""));
    }
    let terminate = "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'kakunin signer'";
    run(&mut client, terminate);
    run(&mut client, "insert into t values (9)");
    checks.equal("after pg_terminate_backend", checkpoint(&mut client), outcome("00000", ""));

    // By PostgreSQL's design a process that dies so takes the others with it.
    cluster.kill_backend(cluster.signer().cast_signed());
    let mut client = cluster.superuser();
    run(&mut client, "insert into t values (10)");
    checks.equal("after SIGKILL", checkpoint(&mut client), outcome("00000", ""));
    checks.equal("entries", ask(&mut client, "select max(size) from kakunin.checkpoint"), "6");
    checks.equal("faults", ask(&mut client, "select * from kakunin.verify_ledger()"), String::new());
}

#[test]
fn a_signer_that_does_not_answer_blocks_nobody_for_long() {
    let cluster = Cluster::builder().set("kakunin.signer_deadline", "300ms").start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(&mut client, "create table t (id int primary key); select kakunin.attach_ledger('t')");
    run(&mut client, "select kakunin.checkpoint()");
    let signer = cluster.signer();
    send("STOP", signer);
    run(&mut client, "insert into t values (1)");
    checks.equal("too slow", checkpoint(&mut client), outcome("58030", "signer_too_slow"));
    run(&mut client, "insert into t values (2)");
    run(&mut client, "set statement_timeout = '100ms'");
    checks.equal("cancelled", checkpoint(&mut client), outcome("57014", ""));
    run(&mut client, "set statement_timeout = 0");
    send("CONT", signer);
    for _ in 0..100 {
        // Slots that were left come back.
        checks.equal("again", checkpoint(&mut client), outcome("00000", ""));
    }
    checks.equal("covered", ask(&mut client, "select max(size) from kakunin.checkpoint"), "3");
}

#[test]
fn too_many_requests_at_once_are_refused_and_their_places_come_back() {
    let cluster = Cluster::builder().set("kakunin.signer_deadline", "60s").set("max_connections", "60").start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(&mut client, "select kakunin.create_signing_key('first')");
    let signer = cluster.signer();
    send("STOP", signer);
    // Making keys is one at a time in a database; so each waits in a database of its own.
    run(&mut cluster.connect("postgres", "postgres"), "create database seed");
    run(&mut cluster.connect("postgres", "seed"), "create extension kakunin");
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Extension' and state = 'active'";
    let mut cancels = Vec::new();
    let mut waiters = Vec::new();
    for number in 0..32 {
        let database = format!("d{number}");
        run(&mut cluster.connect("postgres", "postgres"), &format!("create database {database} template seed"));
        let mut waiter = cluster.connect("postgres", &database);
        let process: i32 = waiter.query_one("select pg_backend_pid()", &[]).expect("a plain query").get(0);
        cancels.push((process, waiter.cancel_token()));
        waiters.push(std::thread::spawn(move || make_key(&mut waiter, "k").is_ok()));
    }
    wait_until("all wait", || (ask(&mut client, waiting) == "32").then_some(()));
    checks.equal(
        "one more",
        kind(&refused(&mut client, "select kakunin.create_signing_key('k')")),
        ("53000", "signer_queue_full"),
    );
    // One is cancelled, one is ended, and their places are free.
    cancels[0].1.cancel_query(postgres::NoTls).expect("a cancel request");
    run(&mut client, &format!("select pg_terminate_backend({})", cancels[1].0));
    wait_until("two have left", || (ask(&mut client, waiting) == "30").then_some(()));
    run(&mut client, "set statement_timeout = '200ms'");
    checks.equal("a place", refused(&mut client, "select kakunin.create_signing_key('k')").sqlstate, "57014");
    run(&mut client, "set statement_timeout = 0");
    send("CONT", signer);
    let made = waiters.into_iter().map(|waiter| waiter.join().expect("no panic")).filter(|made| *made).count();
    checks.equal("the others have their keys", made, 30);
    run(&mut client, "select kakunin.create_signing_key('k')");
}

#[test]
fn a_directory_that_others_could_use_is_refused() {
    let mut cluster = Cluster::start();
    let mut checks = Checks::new();
    let own = |path: &Path| {
        let user = fs::metadata(cluster_data(path)).expect("the data directory is there");
        use std::os::unix::fs::MetadataExt;
        chown(path, Some(user.uid()), Some(user.gid())).expect("the test may");
    };
    let beside = cluster.socket_directory().join("keys");
    fs::create_dir(&beside).expect("the scratch directory can be written");
    own(&beside);
    let inside = cluster.data_directory().join("keys");
    let link = cluster.socket_directory().join("link");
    std::os::unix::fs::symlink(cluster.data_directory(), &link).expect("a link");
    let file = cluster.private_file("file", b"x");
    let cases = [
        (inside.display().to_string(), "key_directory_refused", "inside the data directory"),
        (cluster.data_directory().display().to_string(), "key_directory_refused", "inside the data directory"),
        (link.join("base").display().to_string(), "key_directory_refused", "inside the data directory"),
        (link.join("new").display().to_string(), "key_directory_refused", "inside the data directory"),
        ("keys".into(), "key_directory_refused", "not an absolute path"),
        (file.display().to_string(), "key_directory_refused", "not a directory"),
        (beside.join("no/such").display().to_string(), "key_directory_refused", "cannot be made"),
    ];
    for (path, slug, word) in cases {
        cluster.set("kakunin.key_directory", &path);
        cluster.restart(Shutdown::Fast);
        let refusal = refusal_of(make_key(&mut cluster.superuser(), "k"));
        checks.equal(&path, kind(&refusal), ("58030", slug));
        checks.holds(&path, refusal.detail.contains(word) && !refusal.hint.is_empty(), &refusal);
        // It is said once at the start, too.
        checks.holds(&format!("{path}: log"), cluster.log().contains(word), "nothing");
    }
    checks.holds("nothing was made inside", !inside.exists(), &inside);

    cluster.set("kakunin.key_directory", &beside.display().to_string());
    cluster.restart(Shutdown::Fast);
    for mode in [0o770, 0o702] {
        fs::set_permissions(&beside, Permissions::from_mode(mode)).expect("the test may");
        let refusal = refusal_of(make_key(&mut cluster.superuser(), "k"));
        checks.equal(&format!("{mode:o}"), kind(&refusal), ("58030", "key_directory_refused"));
    }
    fs::set_permissions(&beside, Permissions::from_mode(0o755)).expect("the test may");
    make_key(&mut cluster.superuser(), "k").expect("others may look at what is public");
}

/// The data directory that lies beside a path of the scratch directory.
fn cluster_data(path: &Path) -> std::path::PathBuf {
    path.parent().expect("it is in the scratch directory").join("data")
}

#[test]
fn keys_open_only_with_the_file_that_they_were_sealed_with() {
    let mut cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(
        &mut client,
        "create table t (id int primary key); select kakunin.attach_ledger('t'); select kakunin.checkpoint()",
    );
    let kek = cluster.key_directory().join("kek");
    let good = fs::read(&kek).expect("the test may read it");
    let mut row = 0;
    // A checkpoint of the same size needs no key.
    let mut next = |client: &mut Client| {
        row += 1;
        run(client, &format!("insert into t values ({row})"));
        checkpoint(client)
    };
    let write = |content: &[u8]| fs::write(&kek, content).expect("the test may write it");
    write(&[7; 32]);
    checks.equal("another key", next(&mut client), outcome("58030", "key_encryption_key_wrong"));
    for length in [0, 31, 33, 64] {
        write(&vec![7; length]);
        checks.equal(&format!("{length} bytes"), next(&mut client), outcome("58030", "key_file_unusable"));
    }
    write(&good);
    for mode in [0o640, 0o604, 0o666] {
        fs::set_permissions(&kek, Permissions::from_mode(mode)).expect("the test may");
        checks.equal(&format!("mode {mode:o}"), next(&mut client), outcome("58030", "key_file_unusable"));
    }
    fs::remove_file(&kek).expect("the test may");
    checks.equal("gone", next(&mut client), outcome("58030", "key_encryption_key_missing"));
    // A new one would be of no use to the key that is there.
    let refusal = refusal_of(make_key(&mut client, "other"));
    checks.equal("no new one beside it", kind(&refusal), ("58030", "key_encryption_key_missing"));
    checks.holds("no file", !kek.exists(), "it was made");
    fs::create_dir(&kek).expect("the test may");
    checks.equal("a directory", next(&mut client), outcome("58030", "key_file_unusable"));
    fs::remove_dir(&kek).expect("the test may");
    let back = cluster.private_file("data.kakunin/kek", &good);
    checks.equal("put back", next(&mut client), outcome("00000", ""));
    assert_eq!(back, kek);

    let before = ask(&mut client, "select encode(sealed, 'hex') from kakunin.signing_key");
    drop(client);
    for (name, change, expected) in [
        ("sealed", "sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1)", "sealed_key_malformed"),
        ("cut off", "sealed = substr(sealed, 1, 30)", "sealed_key_malformed"),
        ("empty", "sealed = ''", "sealed_key_malformed"),
        ("public half", "public_key = set_byte(public_key, 0, get_byte(public_key, 0) # 1)", "sealed_key_malformed"),
        ("short public half", "public_key = '\\x00'", "sealed_key_malformed"),
        ("huge", "sealed = decode(repeat('00', 100000), 'hex')", "signer_failed"),
    ] {
        let keep = "create table if not exists kept as select * from kakunin.signing_key;";
        cluster.tamper(&["kakunin.signing_key"], &format!("{keep} update kakunin.signing_key set {change}"));
        let found = next(&mut cluster.superuser());
        let sqlstate = if expected == "signer_failed" { "58030" } else { "22P03" };
        checks.equal(name, found, outcome(sqlstate, expected));
        let back = "update kakunin.signing_key s set sealed = k.sealed, public_key = k.public_key from kept k";
        cluster.tamper(&["kakunin.signing_key"], back);
    }
    let mut client = cluster.superuser();
    checks.equal("as before", ask(&mut client, "select encode(sealed, 'hex') from kakunin.signing_key"), before);
    checks.equal("good again", next(&mut client), outcome("00000", ""));
}

#[test]
fn without_preloading_nothing_is_signed() {
    let cluster = Cluster::builder().without_preload().start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    for statement in
        ["select kakunin.checkpoint()", "select kakunin.create_signing_key('k')", "select kakunin.name_log('l')"]
    {
        checks.equal(statement, kind(&refused(&mut client, statement)), ("55000", "not_preloaded"));
    }
    checks.equal("no key", ask(&mut client, "select count(*) from kakunin.signing_key"), "0");
    checks.holds("no directory", !cluster.key_directory().exists(), cluster.key_directory());
}
