//! Exports of a ledger, and what kakunin-verify says of them.

use super::place::Scratch;
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
