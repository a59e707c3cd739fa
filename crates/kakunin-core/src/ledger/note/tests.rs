use ring::signature::{Ed25519KeyPair, KeyPair};

use super::*;
use crate::ledger::tests::{hash, unhex, vectors};

// The keys and notes that Go publishes with its package sumdb/note.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const BY_PETER: &str = "— PeterNeumann \
    x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const BY_ENOCH: &str = "— EnochRoot \
    rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn key(text: &str) -> VerifierKey {
    text.parse().unwrap()
}

#[test]
fn notes_that_go_signed_verify() {
    let note = format!("{TEXT}\n{BY_PETER}{BY_ENOCH}");
    let note = Note::parse(&note).unwrap();
    assert_eq!(note.text(), TEXT);
    assert_eq!(note.verify(&[key(PETER)]), Ok(0));
    assert_eq!(note.verify(&[key(ENOCH)]), Ok(0));
    assert_eq!(note.verify(&[key(ENOCH), key(PETER)]), Ok(1), "the first signature's key");
    assert_eq!(note.verify(&[]), Err(Unverified::Unsigned));
}

#[test]
fn a_bad_signature_by_a_known_key_spoils_the_note_and_one_by_an_unknown_key_does_not() {
    let text = TEXT.replace("answer", "Answer");
    let note = format!("{text}\n{BY_PETER}{BY_ENOCH}");
    assert_eq!(Note::parse(&note).unwrap().verify(&[key(PETER)]), Err(Unverified::BadSignature));
    let other_key = BY_ENOCH.replace("rwz+", "rwz/");
    let note = format!("{TEXT}\n{other_key}{BY_PETER}");
    assert_eq!(Note::parse(&note).unwrap().verify(&[key(PETER), key(ENOCH)]), Ok(0), "another key hash is another key");
    let bad = BY_ENOCH.replace("BzmZa0S", "BzmZa0T");
    let note = format!("{TEXT}\n{BY_PETER}{bad}");
    assert_eq!(Note::parse(&note).unwrap().verify(&[key(PETER), key(ENOCH)]), Err(Unverified::BadSignature));
    assert_eq!(Note::parse(&note).unwrap().verify(&[key(PETER)]), Ok(0));
}

#[test]
fn a_verifier_key_has_one_spelling() {
    assert_eq!(key(PETER).to_string(), PETER);
    assert_eq!((key(PETER).name(), key(PETER).hash()), ("PeterNeumann", [0xc7, 0x4f, 0x20, 0xa3]));
    for start in 0..PETER.len() {
        for end in start..=PETER.len() {
            assert!((start, end) == (0, PETER.len()) || PETER[start..end].parse::<VerifierKey>().is_err());
        }
        let mut changed = PETER.as_bytes().to_vec();
        changed[start] += 1;
        assert!(String::from_utf8(changed).unwrap().parse::<VerifierKey>().is_err(), "character {start}");
    }
    for refused in [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        &PETER.replace("c74f20a3", "C74F20A3"),
    ] {
        assert!(refused.parse::<VerifierKey>().is_err(), "{refused}");
    }
}

#[test]
fn the_vectors_come_out() {
    for record in vectors("checkpoint") {
        let signer = Ed25519KeyPair::from_seed_unchecked(&unhex(record.get("Seed"))).unwrap();
        let public = hash(record.get("PublicKey"));
        assert_eq!(signer.public_key().as_ref(), public);
        let verifier = VerifierKey::new(record.get("Origin"), public).unwrap();
        assert_eq!((verifier.to_string().as_str(), verifier.public_key()), (record.get("VerifierKey"), &public));
        let checkpoint = Checkpoint {
            origin: record.get("Origin").to_owned(),
            size: record.get("Size").parse().unwrap(),
            root: hash(record.get("Root")),
        };
        let signature = signer.sign(checkpoint.text().as_bytes()).as_ref().try_into().unwrap();
        let note = checkpoint.with_signature(&verifier, &signature).unwrap();
        assert_eq!(serde_json::from_str::<String>(record.get("Note")).unwrap(), note);
        let parsed = Note::parse(&note).unwrap();
        assert_eq!(parsed.verify(&[verifier]), Ok(0));
        assert_eq!(Checkpoint::parse(parsed.text()), Ok(checkpoint));
    }
}

#[test]
fn what_is_not_a_note_is_refused() {
    for refused in [
        TEXT,
        &format!("{TEXT}\n"),
        &format!("{TEXT}\n{}", BY_PETER.trim_end()),
        &format!("\u{1}{TEXT}\n{BY_PETER}"),
        &format!("{TEXT}\r\n{BY_PETER}"),
        &format!("{TEXT}\n{BY_PETER}\n"),
        &format!("{TEXT}\n{}", BY_PETER.replace("PeterNeumann", "Bad Name")),
        &format!("{TEXT}\n{}", BY_PETER.replace("PeterNeumann", "Bad+Name")),
        &format!("{TEXT}\n{}", BY_PETER.replace("PeterNeumann", "Bad\u{2003}Name")),
        &format!("{TEXT}\n{}", BY_PETER.replace('—', "-")),
        &format!("{TEXT}\n{}", BY_PETER.replace("JnAM=", "JnAM")),
        &format!("{TEXT}\n{BY_PETER}Unexpected line.\n"),
        &format!("{TEXT}\n— name x08gow==\n"),
        "\n\n",
        "",
    ] {
        assert!(Note::parse(refused).is_err(), "{refused:?}");
    }
}

#[test]
fn signatures_and_bytes_are_read_up_to_their_limits() {
    let note = |count: usize| format!("{TEXT}\n{}", BY_PETER.repeat(count));
    assert_eq!(Note::parse(&note(NOTE_SIGNATURES_MAX)).unwrap().verify(&[key(PETER)]), Ok(0));
    assert!(Note::parse(&note(NOTE_SIGNATURES_MAX + 1)).is_err());
    let rest = TEXT.len() + 1 + BY_PETER.len();
    let note = |bytes: usize| format!("{}{TEXT}\n{BY_PETER}", "x".repeat(bytes - rest));
    assert!(Note::parse(&note(NOTE_BYTES_MAX)).is_ok());
    assert!(Note::parse(&note(NOTE_BYTES_MAX + 1)).is_err());
    assert!(check_origin(&"x".repeat(255)).is_ok());
    assert!(check_origin(&"x".repeat(256)).is_err());
}

#[test]
fn what_is_not_a_checkpoint_is_refused() {
    let root = STANDARD.encode([7; 32]);
    assert!(Checkpoint::parse(&format!("log.example/1\n18446744073709551615\n{root}\n")).is_ok());
    for refused in [
        format!("log.example/1\n5\n{root}"),
        format!("log.example/1\n5\n{root}\nmore\n"),
        format!("log.example/1\n5\n{root}\n\n"),
        format!("\n5\n{root}\n"),
        format!("log example\n5\n{root}\n"),
        format!("log.example/1\n05\n{root}\n"),
        format!("log.example/1\n+5\n{root}\n"),
        format!("log.example/1\n-5\n{root}\n"),
        format!("log.example/1\n18446744073709551616\n{root}\n"),
        format!("log.example/1\n5\n{}\n", STANDARD.encode([7; 31])),
        format!("log.example/1\n5\n{}\n", root.trim_end_matches('=')),
        // The last character before the padding has two bits that must be zero.
        format!("log.example/1\n5\n{}\n", root.replace("c=", "d=")),
    ] {
        assert!(Checkpoint::parse(&refused).is_err(), "{refused:?}");
    }
    let key = VerifierKey::new("another.example", [7; 32]).unwrap();
    let checkpoint = Checkpoint { origin: "log.example/1".to_owned(), size: 5, root: [7; 32] };
    assert!(checkpoint.with_signature(&key, &[0; 64]).is_err());
}
