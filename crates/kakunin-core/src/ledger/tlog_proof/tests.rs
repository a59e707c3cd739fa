use super::*;
use crate::ledger::tests::{unhex, vectors};

fn proof_of(record: &crate::session::vectors::Record) -> String {
    serde_json::from_str(record.get("Proof")).unwrap()
}

#[test]
fn the_vectors_are_read_written_and_proven() {
    for record in vectors("proof") {
        let text = proof_of(&record);
        let proof = TlogProof::parse(&text).unwrap();
        assert_eq!(proof.encode().unwrap(), text, "{}", record.get("Name"));
        let keys = [record.get("VerifierKey").parse().unwrap()];
        let entry = unhex(record.get("Entry"));
        let checkpoint = proof.verify_entry(leaf_hash(&entry), &keys).unwrap();
        assert!(proof.leads_to(leaf_hash(&entry), &checkpoint));
        assert_eq!(proof.verify_entry(leaf_hash(&entry), &[]), Err(Unproven::Note(Unverified::Unsigned)));
        assert_eq!(proof.verify_entry(leaf_hash(b"other"), &keys), Err(Unproven::Entry));
        match record.find("Row").map(unhex) {
            None => assert_eq!(proof.verify_row(b"", &entry, &keys), Err(Unproven::Row)),
            Some(row) => {
                assert_eq!(proof.verify_row(&row, &entry, &keys), Ok(checkpoint));
                let mut other = row.clone();
                *other.last_mut().unwrap() ^= 1;
                assert_eq!(proof.verify_row(&other, &entry, &keys), Err(Unproven::Row));
                let mut moved = proof.clone();
                moved.row.as_mut().unwrap().rows += 1;
                assert_eq!(moved.verify_row(&row, &entry, &keys), Err(Unproven::Row));
            }
        }
    }
}

#[test]
fn a_proof_under_a_changed_checkpoint_proves_nothing() {
    let record = &vectors("proof")[0];
    let keys = [record.get("VerifierKey").parse().unwrap()];
    let text = proof_of(record).replace("\n5\n", "\n6\n");
    let proof = TlogProof::parse(&text).unwrap();
    let entry = leaf_hash(&unhex(record.get("Entry")));
    assert_eq!(proof.verify_entry(entry, &keys), Err(Unproven::Note(Unverified::BadSignature)));
}

#[test]
fn what_is_not_a_proof_is_refused() {
    let text = proof_of(&vectors("proof")[1]);
    for refused in [
        String::new(),
        text.replace("@v1", "@v2"),
        text.replace("index 1\n", "index 01\n"),
        text.replace("index 1\n", ""),
        text.replace("index", "Index"),
        text.replace("extra ", "extra  "),
        text.replace("index 1\n", "index 1\nbm8=\n"),
        text.replace("index 1\n", &format!("index 1\n{}", format!("{}\n", STANDARD.encode([0; 32])).repeat(64))),
        text.replace("\n\n", "\n"),
        format!("{text}\n"),
        text.trim_end().to_owned(),
    ] {
        assert!(TlogProof::parse(&refused).is_err(), "{refused}");
    }
    let mut proof = TlogProof::parse(&text).unwrap();
    proof.row = Some(RowProof { index: 0, rows: 1, path: vec![[0; 32]; 127] });
    assert_eq!(TlogProof::parse(&proof.encode().unwrap()).as_ref(), Ok(&proof), "4,080 bytes");
    proof.row = Some(RowProof { index: 0, rows: 1, path: vec![[0; 32]; 128] });
    assert!(proof.encode().is_err(), "4,112 bytes");
}
