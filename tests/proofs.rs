//! Checkpoints and proofs, checked by other people's code: RFC 6962 trees by `ct-merkle`, Ed25519 by Python's
//! `cryptography`. The bytes of entries are made in SQL, by docs/spec/ledger.md.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use kakunin_core::ledger::note::VerifierKey;
use kakunin_core::ledger::tlog_proof::TlogProof;
use kakunin_tests::scene::{ask, refused, run};
use kakunin_tests::{Checks, Cluster, Python};
use postgres::Client;
use sha2::Sha256;
use std::collections::BTreeMap;

/// Entries in the order of the log: their bytes, the table, and the number of the transaction.
const ENTRIES: &str = r"
select '\x4501'::bytea || uuid_send(l.id) || int8send(e.seq) || substr(int2send(e.kind), 2) || int8send(e.tx)
       || int8send(e.first_row) || int8send(e.rows) || e.root || int8send((extract(epoch from e.at) * 1000000)::bigint)
       || case when e.certificate is null then '\x00'::bytea else '\x20'::bytea || e.certificate end
       || int2send(octet_length(e.role)::smallint) || convert_to(e.role, 'UTF8')
       || int4send(octet_length(e.detail)) || convert_to(e.detail, 'UTF8') || e.previous,
    l.relation::text, e.tx
from kakunin.log_range r
join kakunin.ledger_entry e on e.ledger = r.ledger and e.seq between r.first_seq and r.last_seq
join kakunin.ledger l on l.number = e.ledger
order by r.first_index + e.seq - r.first_seq";

/// Three ledgers that grow in between checkpoints; as many entries as it takes for tiles of two levels to matter.
fn grown() -> Cluster {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    run(&mut client, "select kakunin.name_log('example.org/log')");
    for table in ["a", "b", "c"] {
        let table = format!(
            "create table {table} (id bigint generated always as identity primary key, v text);
            select kakunin.attach_ledger('{table}')"
        );
        run(&mut client, &table);
    }
    run(
        &mut client,
        "create procedure fill(ledger text, entries int) language plpgsql as $$
        begin
            for i in 1..entries loop
                execute format('insert into %I (v) select ''x'' from generate_series(1, $1)', ledger) using i % 7 + 1;
                commit;
            end loop;
        end $$",
    );
    for entries in [0, 1, 1, 100, 153, 1, 300, 2] {
        for table in ["c", "a", "b"] {
            run(&mut client, &format!("call fill('{table}', {entries})"));
        }
        run(&mut client, "select kakunin.checkpoint()");
    }
    // What no checkpoint covers yet.
    run(&mut client, "call fill('a', 3)");
    cluster
}

struct Entry {
    bytes: Vec<u8>,
    table: String,
    tx: i64,
}

fn entries(client: &mut Client) -> Vec<Entry> {
    let rows = client.query(ENTRIES, &[]).expect("a superuser may");
    rows.iter().map(|row| Entry { bytes: row.get(0), table: row.get(1), tx: row.get(2) }).collect()
}

/// The roots of the log at all sizes from 1 on, by somebody else.
fn roots(entries: &[Entry]) -> Vec<RootHash<Sha256>> {
    let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut roots = Vec::new();
    for entry in entries {
        tree.push(entry.bytes.clone());
        roots.push(tree.root());
    }
    roots
}

#[test]
fn checkpoints_state_the_roots_that_others_compute_and_are_signed() {
    let cluster = grown();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    let roots = roots(&entries(&mut client));
    let stored =
        client.query("select size, root, note from kakunin.checkpoint order by size", &[]).expect("it is there");
    checks.equal("checkpoints", stored.len(), 8);
    let mut notes = Vec::new();
    for row in &stored {
        let (size, root, note): (i64, Vec<u8>, String) = (row.get(0), row.get(1), row.get(2));
        checks.equal(&format!("root of {size}"), &root[..], &roots[size as usize - 1].as_bytes()[..]);
        let text = format!("example.org/log\n{size}\n{}\n\n\u{2014} example.org/log ", STANDARD.encode(root));
        checks.holds(&format!("text of {size}"), note.starts_with(&text) && note.ends_with('\n'), &note);
        notes.push(note);
    }
    let key = ask(&mut client, "select kakunin.verifier_key()");
    let good = vec!["good"; notes.len()].join("\n");
    let python = Python::with_packages();
    checks.equal("signatures", python.run_with_input("verify_note.py", &[&key], &notes.join("\0")), good);
    // The same code sees what is wrong.
    let bad =
        [notes[0].replacen('\n', "\n1", 1), notes[0].replace("\u{2014} example.org/log", "\u{2014} example.org/lag")];
    let found = python.run_with_input("verify_note.py", &[&key], &bad.join("\0"));
    checks.equal("bad ones", found, "bad signature\nnot signed".to_owned());
    // What is published is the newest.
    let published = std::fs::read_to_string(cluster.key_directory().join("example.org%2flog.checkpoint"));
    checks.equal("published", published.expect("it is there"), notes.pop().expect("there is one"));
}

#[test]
fn inclusion_proofs_convince_others() {
    let cluster = grown();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    let entries = entries(&mut client);
    let roots = roots(&entries);
    let key: VerifierKey = ask(&mut client, "select kakunin.verifier_key()").parse().expect("it is a key");
    let sizes: Vec<i64> = client
        .query("select size from kakunin.checkpoint", &[])
        .expect("it is there")
        .iter()
        .map(|row| row.get(0))
        .collect();
    let mut proven = 0;
    for (index, entry) in
        entries.iter().enumerate().filter(|(index, entry)| entry.tx > 0 && (index % 37 == 0 || *index < 20))
    {
        for size in sizes.iter().copied().filter(|size| (index as i64) < *size) {
            let proof: String = client
                .query_one(
                    "select kakunin.inclusion_proof($1::text::regclass, $2, null, $3)",
                    &[&entry.table, &entry.tx, &size],
                )
                .expect("it is covered")
                .get(0);
            let proof = TlogProof::parse(&proof).expect("a tlog-proof");
            let path = InclusionProof::<Sha256>::from_bytes(proof.path.concat());
            let verdict = roots[size as usize - 1].verify_inclusion(&entry.bytes, proof.index, &path);
            checks.equal(&format!("entry {index} of {size}"), (proof.index, verdict.is_ok()), (index as u64, true));
            let another = roots[size as usize - 1].verify_inclusion(&b"another".to_vec(), proof.index, &path);
            checks.holds("another entry", another.is_err(), index);
            proven += 1;
        }
        // Rows, under the newest checkpoint.
        let query = format!("select ledger_row, id from {} where ledger_tx = {} order by 1", entry.table, entry.tx);
        for row in client.query(&query, &[]).expect("a superuser may") {
            let (number, id): (i32, i64) = (row.get(0), row.get(1));
            let proof: String = client
                .query_one(
                    "select kakunin.inclusion_proof($1::text::regclass, $2, $3)",
                    &[&entry.table, &entry.tx, &number],
                )
                .expect("it is covered")
                .get(0);
            // Row bytes by the specification: column 1 an integer, column 2 a text.
            let ledger = &entry.bytes[2..18];
            let bytes =
                [b"R\x01", ledger, &[0, 1, 2, 0, 0, 0, 8], &id.to_be_bytes(), &[0, 2, 6, 0, 0, 0, 1], b"x"].concat();
            let proof = TlogProof::parse(&proof).expect("a tlog-proof");
            let found = proof.verify_row(&bytes, &entry.bytes, std::slice::from_ref(&key));
            checks.holds(&format!("row {number} of {}", entry.tx), found.is_ok(), found);
        }
    }
    checks.holds("enough", proven > 100, proven);
}

#[test]
fn consistency_proofs_convince_others() {
    let cluster = grown();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    let roots = roots(&entries(&mut client));
    let newest = roots.len();
    let sizes = [1, 2, 3, 6, 255, 256, 257, 300, 511, 512, 513, 1024, 1200, newest - 1, newest];
    for old in sizes {
        for new in sizes.into_iter().filter(|new| *new >= old) {
            let query = format!("select array_to_string(kakunin.consistency_proof({old}, {new}), ' ')");
            let lines = ask(&mut client, &query);
            let lines = lines.split(' ').filter(|line| !line.is_empty());
            let hashes: Vec<u8> = lines.flat_map(|line| STANDARD.decode(line).expect("base64")).collect();
            let proof = ConsistencyProof::<Sha256>::try_from_bytes(hashes).expect("whole hashes");
            let verdict = roots[new - 1].verify_consistency(&roots[old - 1], &proof);
            checks.holds(&format!("{old} to {new}"), verdict.is_ok(), verdict);
            if old > 1 && new > old {
                let wrong = RootHash::new(*roots[old - 2].as_bytes(), old as u64);
                checks.holds("another root", roots[new - 1].verify_consistency(&wrong, &proof).is_err(), old);
            }
        }
    }
    let without =
        ask(&mut client, &format!("select kakunin.consistency_proof(300) = kakunin.consistency_proof(300, {newest})"));
    checks.equal("to the newest", without, "t");
}

#[test]
fn what_cannot_be_proven_is_said_in_plain_words() {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    run(
        &mut client,
        "create table t (id int primary key); select kakunin.attach_ledger('t'); create table other (id int primary key);
         create role auditor login in role kakunin_auditor; create role agent login in role kakunin_agent;
         insert into t values (1), (2)",
    );
    let mut slugs: BTreeMap<&str, (String, String)> = BTreeMap::new();
    let tx: i64 = client.query_one("select max(ledger_tx) from t", &[]).expect("a superuser may").get(0);
    let mut expect = |client: &mut Client, statement: &str, sqlstate: &str, slug: &'static str| {
        let refusal = refused(client, statement);
        checks.equal(statement, (&*refusal.sqlstate, refusal.slug()), (sqlstate, slug));
        slugs.insert(slug, (refusal.message, refusal.detail));
    };
    let proof = format!("select kakunin.inclusion_proof('t', {tx})");
    expect(&mut client, &proof, "55000", "no_checkpoint");
    expect(&mut client, "select kakunin.consistency_proof(0)", "55000", "no_checkpoint");
    run(&mut client, "select kakunin.checkpoint()");
    run(&mut client, "insert into t values (3)");
    let newer: i64 = client.query_one("select max(ledger_tx) from t", &[]).expect("a superuser may").get(0);
    expect(&mut client, &format!("select kakunin.inclusion_proof('t', {newer})"), "55000", "entry_not_covered");
    expect(&mut client, &format!("select kakunin.inclusion_proof('t', {tx}, 2)"), "22023", "entry_row_unknown");
    expect(&mut client, &format!("select kakunin.inclusion_proof('t', {tx}, -1)"), "22023", "entry_row_unknown");
    expect(&mut client, &format!("select kakunin.inclusion_proof('t', {tx}, null, 7)"), "55000", "no_checkpoint");
    for tx in [0, -1, i64::MAX, i64::MIN] {
        expect(&mut client, &format!("select kakunin.inclusion_proof('t', {tx})"), "22023", "entry_unknown");
    }
    expect(&mut client, "select kakunin.inclusion_proof('other', 1)", "22023", "ledger_unknown");
    expect(&mut client, "select kakunin.inclusion_proof(0, 1)", "22023", "ledger_unknown");
    expect(&mut client, "select kakunin.inclusion_proof(null, 1)", "22023", "argument_null");
    expect(&mut client, "select kakunin.inclusion_proof('t', null)", "22023", "argument_null");
    expect(&mut client, "select kakunin.consistency_proof(null)", "22023", "argument_null");
    for sizes in ["-1", "3", "2, 1", "0, 3", "0, -1", "9223372036854775807"] {
        let statement = format!("select kakunin.consistency_proof({sizes})");
        expect(&mut client, &statement, "22023", "checkpoint_size_invalid");
    }
    let mut agent = cluster.connect("agent", kakunin_tests::DATABASE);
    for statement in [&*proof, "select kakunin.consistency_proof(1)", "select * from kakunin.log_tile"] {
        let refusal = refused(&mut agent, statement);
        assert_eq!(refusal.sqlstate, "42501", "{statement}");
    }
    // Whoever has a note may know the key that verifies it.
    assert!(ask(&mut agent, "select kakunin.verifier_key()").starts_with("test-"));
    let mut auditor = cluster.connect("auditor", kakunin_tests::DATABASE);
    run(&mut auditor, &format!("{proof}; select kakunin.consistency_proof(1); select * from kakunin.checkpoint"));
    assert_eq!(ask(&mut auditor, "select kakunin.consistency_proof(0)"), "{}");
}
