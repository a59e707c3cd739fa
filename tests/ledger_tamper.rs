//! Whoever gets past the extension and changes a ledger is found out: each kind of tampering has its word and its place.

mod ledger_tamper {
    pub mod entries;
    pub mod log;
    pub mod rows;
    pub mod scene;
    pub mod tables;
}
use kakunin_tests::offline::{export, first_fault, verify_offline};
use kakunin_tests::scene::{ask, run};
use kakunin_tests::{Checks, Shutdown};
use ledger_tamper::{entries, log, rows, scene, tables};
use scene::Scene;
use std::fs;

#[test]
fn attack_02_whoever_changes_rows_is_found_out() {
    scene::check(rows::CASES);
}

#[test]
fn attack_02_whoever_changes_entries_is_found_out() {
    scene::check(entries::CASES);
}

#[test]
fn attack_02_whoever_changes_the_log_is_found_out() {
    scene::check(log::CASES);
}

#[test]
fn attack_02_whoever_changes_a_table_is_found_out() {
    scene::check(tables::CASES);
}

#[test]
fn attack_02_whoever_signs_everything_anew_is_found_out_by_what_was_kept_elsewhere() {
    let mut scene = Scene::new();
    let mut checks = Checks::new();
    let origin = ask(&mut scene.cluster.superuser(), "select origin from kakunin.log");
    let tables = [
        "app.mini",
        "kakunin.ledger_entry",
        "kakunin.log",
        "kakunin.log_range",
        "kakunin.log_tile",
        "kakunin.checkpoint",
    ];
    let key_directory = scene.cluster.key_directory();
    scene.cluster.tamper(
        &tables,
        "update app.mini set body = 'forged' where id = 100;
         update kakunin.ledger_entry e set root = forge.leaf(m) from app.mini m
          where m.id = 100 and e.ledger = 3 and e.tx = m.ledger_tx;
         select forge.chain('app.mini');
         truncate kakunin.log, kakunin.log_range, kakunin.log_tile, kakunin.checkpoint, kakunin.signing_key, kakunin.outbox",
    );
    scene.cluster.stop(Shutdown::Fast);
    // Who can do this can also make the signer forget.
    fs::remove_dir_all(key_directory).expect("the signer has one");
    scene.cluster.start_server();
    let mut client = scene.cluster.superuser();
    let always = " alter table {} enable always trigger ledger_refuse_statement;
                  alter table {} enable always trigger ledger_refuse;";
    checks.holds("a trigger that is not on is seen", scene::found(&mut client).contains("trigger_disabled"), "nothing");
    drop(client);
    let own = tables[1..].iter().map(|table| always.replace("{}", table)).collect::<String>();
    scene.cluster.tamper(
        &[],
        &format!(
            "{}; {own} alter table app.mini enable always trigger ledger_append",
            always.replace("{}", "app.mini")
        ),
    );

    let mut client = scene.cluster.superuser();
    run(&mut client, &format!("select kakunin.name_log('{origin}')"));
    let forged = ask(&mut client, "select kakunin.checkpoint()");
    checks.equal("the database cannot tell", scene::found(&mut client), "");
    let export = export(&mut client, None).expect("a superuser may");
    let offline = |keys: &[&str], checkpoints: &[&str]| {
        let (report, status) = verify_offline(&export, keys, checkpoints);
        (first_fault(&report), status)
    };
    checks.equal("nor can whoever has nothing", offline(&[], &[]), ("sound".to_owned(), 0));
    let forged = forged.replace("|", "");
    checks.holds("it is of the same log", forged.starts_with(&origin), &forged);
    let (by_key, status) = offline(&[&scene.key], &[]);
    checks.holds("the key that was kept", by_key.ends_with("unsigned") && status == 1, by_key);
    checks.equal(
        "the checkpoint that was kept",
        offline(&[], &[&scene.checkpoint]),
        ("272 checkpoint_mismatch".to_owned(), 1),
    );
}
