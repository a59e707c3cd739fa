//! Values of every type, as they are stored, become the bytes of docs/spec/ledger.md. A program that has nothing but
//! that page hashes them again.

mod ledger_types {
    pub mod values;
}

use kakunin_tests::ledger::{attach, attach_redactable, faults};
use kakunin_tests::scene::{ask, run};
use kakunin_tests::{Checks, Cluster};
use ledger_types::values::{COLUMNS, SCHEMA};

fn column(at: usize) -> String {
    format!("c{at}")
}

/// All columns but those that PostgreSQL fills.
fn columns() -> String {
    let names: Vec<String> = (0..COLUMNS.len()).map(column).collect();
    format!("n, {}", names.join(", "))
}

fn table(name: &str, index: &str) -> String {
    let columns: Vec<String> =
        COLUMNS.iter().enumerate().map(|(at, (r#type, _))| format!("{} {type}", column(at))).collect();
    let columns = columns.join(", ");
    format!(
        "create table {name} (id bigint generated always as identity primary key, n integer,
                              twice bigint generated always as (n * 2) stored, {columns});
         {index};"
    )
}

/// One row for each value, and one that has none.
fn fill(name: &str) -> String {
    let rows = COLUMNS.iter().map(|(_, values)| values.len()).max().unwrap_or(0) + 1;
    let mut script = String::new();
    for row in 0..rows {
        let (mut names, mut values) = ("n".to_owned(), row.to_string());
        for (at, (_, all)) in COLUMNS.iter().enumerate() {
            let Some(value) = all.get(row) else { continue };
            names.push_str(&format!(", {}", column(at)));
            values.push_str(&format!(", {value}"));
        }
        script.push_str(&format!("insert into {name} ({names}) values ({values});\n"));
    }
    script
}

fn rows() -> usize {
    COLUMNS.iter().map(|(_, values)| values.len()).max().unwrap_or(0) + 1
}

fn place(name: &str) -> usize {
    COLUMNS.iter().position(|(r#type, _)| *r#type == name).expect("the type is in the list")
}

#[test]
fn values_of_every_type_are_hashed_as_the_specification_says_whatever_the_settings() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(&mut client, SCHEMA);
    run(&mut client, &table("source", "select"));
    run(&mut client, &fill("source"));
    let copy = |into: &str| format!("insert into {into} ({0}) select {0} from source order by n", columns());

    run(&mut client, &table("plain", "select"));
    run(&mut client, &copy("plain"));
    attach(&mut client, "plain");
    checks.equal("there were rows", cluster.ledger("plain"), format!("1 entries, {} rows", rows()));
    // Compressed in another way, and never compressed: what is hashed is not how it is stored.
    let text = column(place("text"));
    for (name, storage) in [
        ("lz4", format!("alter table lz4 alter {text} set compression lz4")),
        ("external", format!("alter table external alter {text} set storage external")),
    ] {
        run(&mut client, &table(name, &storage));
        attach(&mut client, name);
        run(
            &mut client,
            &format!("insert into {name} (n, {text}) select n, {text} from source where {text} is not null"),
        );
        let texts = COLUMNS[place("text")].1.len();
        checks.equal(&format!("{name}: rows came"), cluster.ledger(name), format!("2 entries, {texts} rows"));
    }

    // Without the largest, which make no difference here.
    run(&mut client, &table("l", "select"));
    run(&mut client, "delete from source where pg_column_size(source.*) > 10000");
    let small: usize = ask(&mut client, "select count(*) from source").parse().expect("a number");
    attach(&mut client, "l");
    for setting in SETTINGS {
        let mut session = cluster.superuser();
        run(&mut session, &format!("set {setting}"));
        run(&mut session, &copy("public.l").replace("from source", "from public.source"));
        checks.equal(&format!("verified under {setting}"), faults(&mut session, "public.l"), String::new());
    }
    let (entries, rows) = (SETTINGS.len() + 1, SETTINGS.len() * small);
    checks.equal("under other settings", cluster.ledger("l"), format!("{entries} entries, {rows} rows"));
    let columns = COLUMNS.len() + 3;
    checks.equal(
        "columns",
        ask(&mut client, "select count(*) from kakunin.ledger_column where ledger = 4"),
        columns.to_string(),
    );
}

#[test]
fn a_commitment_stands_for_the_value_of_a_redactable_column() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(&mut client, SCHEMA);
    run(&mut client, &table("l", "select"));
    run(&mut client, &fill("l"));
    let secrets: Vec<String> = (0..COLUMNS.len()).step_by(2).map(column).collect();
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    attach_redactable(&mut client, "l", &secrets);
    checks.equal("there were rows", cluster.ledger("l"), format!("1 entries, {} rows", rows()));
    run(&mut client, &format!("begin; {}; commit", fill("l")));
    checks.equal("rows came", cluster.ledger("l"), format!("2 entries, {} rows", 2 * rows()));

    let salts = format!(
        "select count(distinct substr(ledger_salt, 16 * at + 1, 16)) = {} * count(distinct id)
                           from l, generate_series(0, {}) at",
        secrets.len(),
        secrets.len() - 1
    );
    checks.equal("no salt serves twice", ask(&mut client, &salts), "t");
    let length = format!("select count(*) from l where length(ledger_salt) <> 16 * {}", secrets.len());
    checks.equal("a salt for each", ask(&mut client, &length), "0");
}

const SETTINGS: &[&str] = &[
    "timezone = 'Asia/Kathmandu'",
    "datestyle = 'SQL, DMY'",
    "client_encoding = 'LATIN1'",
    "client_encoding = 'SJIS'",
    "extra_float_digits = -15",
    "bytea_output = 'escape'",
    "intervalstyle = 'iso_8601'",
    "xmloption = 'document'",
    "search_path = ''",
    "default_toast_compression = 'lz4'",
];
