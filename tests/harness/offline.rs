//! Exports of a ledger, and what kakunin-verify says of them.

use super::place::{Scratch, workspace};
use super::python::Python;
use kakunin_verify::arguments::{Arguments, Request};
use postgres::Client;
use serde_json::Value;

/// The lines of `kakunin.export_ledger()`: of one ledger, or of the whole log.
///
/// # Errors
/// The server's refusal.
pub fn export(client: &mut Client, relation: Option<&str>) -> Result<String, postgres::Error> {
    let argument = relation.map_or(String::new(), |relation| format!("'{relation}'"));
    let rows = client.query(&format!("select kakunin.export_ledger({argument})"), &[])?;
    Ok(rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect())
}

/// Runs kakunin-verify over an export, with keys and checkpoints from elsewhere: its report, and its exit status.
///
/// # Panics
/// When its arguments are wrong.
pub fn verify_offline(export: &str, keys: &[&str], checkpoints: &[&str]) -> (Value, i32) {
    let scratch = Scratch::new();
    let file = |name: &str, text: &str| scratch.write(name, text.as_bytes()).to_string_lossy().into_owned();
    let mut words = vec!["--json".to_owned(), "--all".to_owned()];
    for key in keys {
        words.extend(["--key".to_owned(), (*key).to_owned()]);
    }
    for (number, checkpoint) in checkpoints.iter().enumerate() {
        words.extend(["--checkpoint".to_owned(), file(&format!("kept-{number}"), checkpoint)]);
    }
    words.push(file("export", export));
    let Ok(Request::Verify(arguments)) = Arguments::parse(words.into_iter().map(Into::into)) else {
        panic!("the arguments are right");
    };
    let mut out = Vec::new();
    let status = match kakunin_verify::run(&arguments, &mut out) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(_) => 2,
    };
    (serde_json::from_slice(&out).unwrap_or(Value::Null), status)
}

/// The first fault of a report, as `seq word`; `sound` if there is none.
pub fn first_fault(report: &Value) -> String {
    match &report["faults"][0] {
        Value::Null if report["sound"] == true => "sound".to_owned(),
        Value::Null => "no report".to_owned(),
        fault => {
            let seq = fault["seq"].as_u64().map_or("-".to_owned(), |seq| seq.to_string());
            format!("{seq} {}", fault["fault"].as_str().unwrap_or_default())
        }
    }
}

/// What two programs say of an export that must be sound: kakunin-verify, and tests/clients/ledger_export.py, which has
/// nothing but the specification. `N entries, M rows, C covered`; where one finds a fault, or they differ, both.
pub fn sound(python: &Python, export: &str) -> String {
    let (report, status) = verify_offline(export, &[], &[]);
    let covered = if report["whole"] == true {
        report["covered_by_own_key"].as_u64().unwrap_or_default()
    } else {
        report["ledgers"][0]["covered_seq"].as_u64().unwrap_or_default()
    };
    let ours = if status == 0 {
        format!("{} entries, {} rows, {covered} covered", report["entries"], report["rows"])
    } else {
        format!("{status}: {}", report["faults"])
    };
    let scratch = Scratch::new();
    let file = scratch.write("export", export.as_bytes());
    let vectors = workspace().join("crates/kakunin-core/testdata");
    let theirs = python.run("ledger_export.py", &[&vectors.to_string_lossy(), &file.to_string_lossy()]);
    if ours == theirs { ours } else { format!("kakunin-verify: {ours}; python: {theirs}") }
}
