//! Ledgers on standbys, after a promotion, and on a server that came back as of an earlier moment.

use kakunin_tests::estate::{
    self, append, check_export, checkpoint, continues, export, faults, heads, is_guarded, rename, slugs,
};
use kakunin_tests::scene::{ask, refused, run};
use kakunin_tests::{Checks, Cluster};
use std::process::Command;

fn copy_keys(from: &Cluster, to: &Cluster) {
    let _ = std::fs::remove_dir_all(to.key_directory());
    let copied = Command::new("cp").arg("-a").arg(from.key_directory()).arg(to.key_directory()).status();
    assert!(copied.expect("cp runs").success(), "the directory is there");
}

#[test]
fn a_standby_verifies_and_goes_on_when_it_is_promoted() {
    let primary = estate::start(Cluster::builder());
    let (standby, second) = (primary.start_standby(), primary.start_standby());
    let mut checks = Checks::new();
    let mut source = primary.superuser();
    append(&mut source, "streamed");
    let kept = checkpoint(&mut source).expect("a note");
    standby.wait_for_replay(&primary);
    let mut client = standby.superuser();
    checks.equal("on the standby: faults", faults(&mut client), String::new());
    checks.equal("on the standby: heads", heads(&mut client), heads(&mut source));
    checks.holds("on the standby: export", export(&mut client) == export(&mut source), "it differs");
    checks.equal("on the standby: checkpoint", checkpoint(&mut client), Err("25006 server_is_standby".to_owned()));
    for command in ["repair_ledger()", "begin_epoch('x')", "name_log('x')", "close_ledger('app.note', 'x')"] {
        let refusal = refused(&mut client, &format!("select kakunin.{command}"));
        checks.equal(command, refusal.sqlstate, "25006".to_owned());
    }
    let findings = "select finding from kakunin.doctor() where finding ~ 'ledger|worker|signer|checkpoint'";
    checks.equal("on the standby: doctor()", ask(&mut client, findings), String::new());
    run(&mut source, "begin read only");
    for command in ["begin_epoch('x')", "close_ledger('app.note', 'x')"] {
        let refusal = kakunin_tests::scene::refused_inside(&mut source, &format!("select kakunin.{command}"));
        checks.equal(command, refusal.sqlstate, "25006".to_owned());
    }
    run(&mut source, "rollback");
    // The signer's files of the primary, also where they are ahead of what was replayed.
    run(&mut client, "select pg_wal_replay_pause()");
    append(&mut source, "not replayed");
    checkpoint(&mut source).expect("a note");
    copy_keys(&primary, &standby);
    checks.equal("behind the signer's note: faults", faults(&mut client), String::new());
    run(&mut client, "select pg_wal_replay_resume()");
    standby.wait_for_replay(&primary);

    let before = heads(&mut client);
    standby.promote();
    checks.equal("promoted: is not guarded", is_guarded(&mut client), Vec::<String>::new());
    append(&mut client, "promoted");
    checks.equal("promoted: goes on", continues(&mut client, &before), Ok(()));
    run(&mut client, "select kakunin.begin_epoch('promoted')");
    let detail = "select distinct detail::jsonb->>'timeline' from kakunin.ledger_entry where kind = 5";
    checks.equal("promoted: the epoch's timeline", ask(&mut client, detail), "2".to_owned());
    let note = checkpoint(&mut client);
    checks.holds("promoted: checkpoint", note.is_ok(), &note);
    checks.equal("promoted: faults", faults(&mut client), String::new());
    let report = check_export(&export(&mut client), None, &[&kept, &note.unwrap_or_default()]);
    checks.equal("promoted: its log", slugs(&report), Vec::<String>::new());

    // The old primary goes on as if nothing had happened, and the second standby follows it.
    let before = heads(&mut source);
    append(&mut source, "on the old timeline");
    let forked = checkpoint(&mut source).expect("its own files are there");
    second.wait_for_replay(&primary);
    let mut other = second.superuser();
    checks.equal("the old timeline: faults", faults(&mut other), String::new());
    checks.equal("the old timeline: goes on", continues(&mut other, &before), Ok(()));
    // Each is sound by itself. Whoever has a note of both sees that they are two logs of one name.
    let report = check_export(&export(&mut client), None, &[&forked]);
    checks.equal("a note of the old timeline", report.faults.len(), 1);
}

#[test]
fn a_server_that_came_back_as_of_an_earlier_moment_begins_an_epoch_under_another_name() {
    let archive = Cluster::builder().set("archive_mode", "on").set("archive_command", "cp %p ../archive/%f");
    let primary = archive.start();
    std::fs::create_dir(primary.archive()).expect("the directory is new");
    kakunin_tests::give_to_server(&primary.archive(), 0o700);
    estate::build(&primary);
    let mut checks = Checks::new();
    let backup = primary.back_up();
    let mut source = primary.superuser();
    append(&mut source, "kept");
    let past = checkpoint(&mut source).expect("a note");
    let before = heads(&mut source);
    run(&mut source, "select pg_create_restore_point('early')");
    append(&mut source, "abandoned");
    let future = checkpoint(&mut source).expect("a note");
    primary.archive_all();

    let restored = backup.recover(Cluster::builder(), "early");
    copy_keys(&primary, &restored);
    let mut client = restored.superuser();
    checks.equal("heads", heads(&mut client), before.clone());
    // Every chain is sound, but the signer knows of more.
    let found = faults(&mut client);
    checks.holds("faults", found.contains("truncated") && !found.contains("keeper"), &found);
    append(&mut client, "instead");
    checks.equal("goes on", continues(&mut client, &before), Ok(()));
    checks.equal("the old name", checkpoint(&mut client), Err("XX001 checkpoint_inconsistent".to_owned()));
    let key = rename(&mut client, "example.org/after");
    let note = checkpoint(&mut client).expect("under the new name");
    checks.equal("faults, later", faults(&mut client), String::new());
    append(&mut client, "further");
    let newest = checkpoint(&mut client).expect("it goes on");
    let lines = export(&mut client);
    let report = check_export(&lines, Some(&key), &[&past, &note, &newest]);
    checks.equal("notes of before and after", slugs(&report), Vec::<String>::new());
    let report = check_export(&lines, Some(&key), &[&future]);
    checks.equal("a note of what was abandoned", report.faults.len(), 1);
    let report = check_export(&export(&mut source), None, &[&past, &future]);
    checks.equal("the old server", slugs(&report), Vec::<String>::new());
    let old = "select count(*) from kakunin.checkpoint where note like 'example.org/source%'";
    checks.equal("old notes stay", ask(&mut client, old), "3".to_owned());
    checks.equal("faults, at last", faults(&mut client), String::new());
}
