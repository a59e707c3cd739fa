use super::memory::{Plan, Range, Verdict, file_stem, judge, last, plan_of, plans};
use super::message::{Last, Refusal, Request, Response, SignCheckpoint};
use super::softkms::{Kek, SealedKey};
use super::*;
use crate::ledger::merkle::{EMPTY_ROOT, leaf_hash, root_of};
use crate::ledger::note::{Checkpoint, VerifierKey};
use crate::ledger::tests::unhex;
use crate::ledger::{Hash, proof};
use crate::session::vectors::{Record, records};
use zeroize::Zeroizing;

const ORIGIN: &str = "example.org/log";

fn of_vector(record: &Record) -> (Kek, SealedKey) {
    let key = SealedKey {
        name: record.get("Name").into(),
        algorithm: Algorithm::Ed25519,
        public_key: unhex(record.get("PublicKey")),
        sealed: unhex(record.get("Sealed")),
    };
    (Kek::new(&unhex(record.get("Kek"))).unwrap(), key)
}

fn key() -> (Kek, SealedKey) {
    of_vector(&records(include_str!("../../testdata/sealed_key.txt"))[0])
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

/// A request that continues `old` entries, of a log whose leaves are these.
fn request(leaves: &[Hash], old: u64) -> SignCheckpoint {
    let size = leaves.len() as u64;
    let proof = proof::consistency(old, size, proof::from_leaves(leaves)).unwrap().unwrap_or_default();
    let ranges = if size >= old { vec![Range { ledger: 1, entries: size - old }] } else { vec![] };
    let (key, root) = (key().1, root_of(leaves.iter().copied()));
    let from = size.min(old);
    SignCheckpoint { key, origin: ORIGIN.into(), size, root, old_size: old, proof, known: None, from, ranges }
}

fn sign(request: &SignCheckpoint, remembered: Option<&str>) -> Result<String, Reason> {
    match judge(remembered, request)? {
        Verdict::Repeat(note) => Ok(note),
        Verdict::Sign(key, checkpoint) => {
            let signature = self::key().1.open(&self::key().0)?.sign(checkpoint.text().as_bytes())?;
            Ok(checkpoint.with_signature(&key, &signature.try_into().unwrap()).unwrap())
        }
    }
}

fn slug<T>(result: Result<T, Reason>) -> &'static str {
    result.map_or_else(|reason| reason.slug(), |_| "ok")
}

#[test]
fn keys_are_sealed_and_opened_as_the_vectors_say() {
    for record in records(include_str!("../../testdata/sealed_key.txt")) {
        let (kek, key) = of_vector(&record);
        let seed = Box::new(Zeroizing::new(unhex(record.get("Seed")).try_into().unwrap()));
        let nonce = unhex(record.get("Nonce")).try_into().unwrap();
        assert_eq!(SealedKey::make(&key.name, key.algorithm, &seed, nonce, &kek).unwrap(), key);
        let opened = key.open(&kek).unwrap();
        assert_eq!(opened.public_key(), key.public_key);
        assert_eq!(opened.sign(&unhex(record.get("Message"))).unwrap(), unhex(record.get("Signature")));
    }
}

#[test]
fn a_sealed_key_opens_whole_and_under_its_own_name_only() {
    let (kek, key) = key();
    for at in 0..key.sealed.len() {
        let mut other = key.clone();
        other.sealed[at] ^= 1;
        // The bytes that name the key-encryption key say that it is another one.
        let expected = if (2..10).contains(&at) { "key_encryption_key_wrong" } else { "sealed_key_malformed" };
        assert_eq!(slug(other.open(&kek)), expected, "byte {at}");
    }
    for length in 0..key.sealed.len() {
        let other = SealedKey { sealed: key.sealed[..length].to_vec(), ..key.clone() };
        assert_eq!(slug(other.open(&kek)), "sealed_key_malformed", "{length} bytes");
    }
    for at in 0..32 {
        let mut other = key.clone();
        other.public_key[at] ^= 1;
        assert_eq!(slug(other.open(&kek)), "sealed_key_malformed");
    }
    let longer = SealedKey { sealed: [&*key.sealed, &[0]].concat(), ..key.clone() };
    assert_eq!(slug(longer.open(&kek)), "sealed_key_malformed");
    assert_eq!(slug(SealedKey { name: "log2".into(), ..key.clone() }.open(&kek)), "sealed_key_malformed");
    assert_eq!(slug(key.open(&Kek::new(&[7; 32]).unwrap())), "key_encryption_key_wrong");
    assert_eq!(slug(key.open(&kek)), "ok");
    assert!(Kek::new(&[7; 31]).is_none() && Kek::new(&[7; 33]).is_none());
}

#[test]
fn keys_are_named_in_one_way() {
    assert_eq!("softkms:log-1_a".parse::<KeyUri>().unwrap().to_string(), "softkms:log-1_a");
    let long = format!("softkms:{}", "a".repeat(63));
    assert!(long.parse::<KeyUri>().is_ok());
    for refused in ["", "log", "softkms", "softkms:", "softkms:A", "softkms:a b", "softkms:../a", &format!("{long}a")] {
        assert!(refused.parse::<KeyUri>().is_err(), "{refused}");
    }
    assert_eq!(slug("awskms:///x?region=y".parse::<KeyUri>()), "key_uri_unknown");
    assert_eq!(slug("ed25519".parse::<Algorithm>()), "key_algorithm_unknown");
}

#[test]
fn messages_are_read_as_they_were_written() {
    let mut sign = request(&leaves(7), 3);
    sign.known = Some("a note".into());
    sign.ranges = (0..1024).map(|ledger| Range { ledger, entries: u64::MAX }).collect();
    let requests = [
        Request::MakeKey { name: "log".into(), algorithm: Algorithm::Ed25519, first: true },
        Request::LastCheckpoint { origin: ORIGIN.into() },
        Request::SignCheckpoint(Box::new(request(&leaves(3), 0))),
        Request::SignCheckpoint(Box::new(sign)),
    ];
    for request in requests {
        let bytes = request.encode();
        assert!(bytes.len() <= crate::limits::SIGNER_MESSAGE_BYTES_MAX);
        assert_eq!(Request::decode(&bytes), Ok(request));
        assert!((0..bytes.len()).all(|length| Request::decode(&bytes[..length]).is_err()));
        assert!(Request::decode(&[&*bytes, &[0]].concat()).is_err());
    }
    let ranges = vec![Range { ledger: 1, entries: 2 }; 1024];
    let responses = [
        Response::Key(key().1),
        Response::Last(None),
        Response::Last(Some(Last { note: "n".repeat(2000), from: 5, ranges })),
        Response::Note("note".into()),
        Response::Refused(Refusal::CheckpointInconsistent("so".into())),
        Response::Refused(Refusal::SignerFailed(String::new())),
    ];
    for response in responses {
        let bytes = response.encode();
        assert!(bytes.len() <= crate::limits::SIGNER_MESSAGE_BYTES_MAX);
        assert_eq!(Response::decode(&bytes), Ok(response));
        assert!((0..bytes.len()).all(|length| Response::decode(&bytes[..length]).is_err()));
    }
    let too_many = SignCheckpoint { ranges: vec![Range { ledger: 1, entries: 0 }; 1025], ..request(&leaves(3), 0) };
    assert!(Request::decode(&Request::SignCheckpoint(Box::new(too_many)).encode()).is_err());
}

#[test]
fn a_checkpoint_that_continues_the_last_one_is_signed() {
    let all = leaves(600);
    let mut note: Option<String> = None;
    let mut old = 0;
    for size in [0, 0, 1, 1, 2, 7, 8, 9, 255, 256, 257, 600] {
        let request = request(&all[..size], old);
        let signed = sign(&request, note.as_deref()).unwrap();
        let key = VerifierKey::new(ORIGIN, request.key.public_key.clone().try_into().unwrap()).unwrap();
        assert!(crate::ledger::note::Note::parse(&signed).unwrap().verify(&[key]).is_ok());
        if old as usize == size {
            assert!(note.as_ref().is_none_or(|note| *note == signed), "the same again is the same note");
        }
        (note, old) = (Some(signed), size as u64);
    }
}

#[test]
fn a_checkpoint_that_contradicts_the_last_one_is_refused() {
    let all = leaves(20);
    let note = sign(&request(&all[..9], 0), None).unwrap();
    let mut other = all.clone();
    other[4] = [9; 32];
    let refused = |request: &SignCheckpoint| slug(sign(request, Some(&note)));
    assert_eq!(refused(&request(&all[..8], 9)), "checkpoint_inconsistent");
    assert_eq!(refused(&request(&all[..8], 8)), "checkpoint_inconsistent");
    assert_eq!(refused(&request(&all[..8], 0)), "checkpoint_inconsistent");
    assert_eq!(refused(&request(&[], 0)), "checkpoint_inconsistent");
    assert_eq!(refused(&request(&all, 0)), "checkpoint_inconsistent");
    assert_eq!(refused(&request(&all, 8)), "checkpoint_inconsistent");
    assert_eq!(refused(&request(&other[..9], 9)), "checkpoint_inconsistent");
    assert_eq!(refused(&request(&other, 9)), "checkpoint_inconsistent");
    assert_eq!(refused(&request(&other[..9], 0)), "checkpoint_inconsistent");
    let mut claims = request(&all, 9);
    claims.root = request(&other, 9).root;
    assert_eq!(refused(&claims), "checkpoint_inconsistent");
    assert_eq!(refused(&request(&all, 9)), "ok");
    assert_eq!(refused(&request(&all[..9], 9)), "ok");
    let another = SignCheckpoint { origin: "example.org/other".into(), ..request(&all, 9) };
    assert_eq!(refused(&another), "checkpoint_memory_damaged");
    let unnamed = SignCheckpoint { origin: "a b".into(), ..request(&all, 9) };
    assert_eq!(refused(&unnamed), "origin_invalid");
    let ranges = SignCheckpoint { ranges: vec![Range { ledger: 1, entries: 10 }], ..request(&all, 9) };
    assert_eq!(refused(&ranges), "signer_failed");
}

#[test]
fn a_damaged_memory_is_not_overwritten() {
    let all = leaves(20);
    let note = sign(&request(&all[..9], 0), None).unwrap();
    for at in (0..note.len()).filter(|at| note.is_char_boundary(*at) && note.is_char_boundary(at + 1)) {
        let mut bytes = note.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(damaged) = String::from_utf8(bytes) else { continue };
        // A key's name and hash that are damaged look like another key's.
        let found = slug(sign(&request(&all, 9), Some(&damaged)));
        assert!(["checkpoint_memory_damaged", "checkpoint_inconsistent", "ok"].contains(&found), "{at}: {found}");
        if at < note.find('\u{2014}').unwrap() {
            assert_ne!(found, "ok", "byte {at}");
        }
    }
    assert_eq!(slug(sign(&request(&all, 9), Some(""))), "checkpoint_memory_damaged");
}

#[test]
fn without_a_memory_only_the_keys_own_note_is_continued() {
    let all = leaves(20);
    let note = sign(&request(&all[..9], 0), None).unwrap();
    let known = |note: &str, request: SignCheckpoint| SignCheckpoint { known: Some(note.into()), ..request };
    assert_eq!(slug(sign(&known(&note, request(&all, 9)), None)), "ok");
    assert_eq!(slug(sign(&known(&note, request(&all, 0)), None)), "checkpoint_inconsistent");
    assert_eq!(slug(sign(&request(&all, 9), None)), "checkpoint_inconsistent");
    let forged = Checkpoint { origin: ORIGIN.into(), size: 9, root: request(&all[..9], 0).root };
    let stranger = VerifierKey::new(ORIGIN, [3; 32]).unwrap();
    let forged = forged.with_signature(&stranger, &[0; 64]).unwrap();
    assert_eq!(slug(sign(&known(&forged, request(&all, 9)), None)), "checkpoint_inconsistent");
    // What is remembered counts, whatever the database says.
    let later = sign(&request(&all[..12], 9), Some(&note)).unwrap();
    assert_eq!(slug(sign(&known(&note, request(&all, 9)), Some(&later))), "checkpoint_inconsistent");
}

#[test]
fn the_plan_of_the_note_that_is_there_is_found() {
    let all = leaves(30);
    let (first, second) = (request(&all[..9], 0), request(&all, 9));
    let note = sign(&first, None).unwrap();
    let (plan, next) = (Plan::of(&first), Plan::of(&second));
    let file = plans(None, &plan);
    assert_eq!(plan_of(&note, &file), Some(plan.clone()));
    // A crash after the file of plans was written, and before the note.
    let file = plans(Some(&plan), &next);
    assert_eq!(plan_of(&note, &file), Some(plan.clone()));
    let later = sign(&second, Some(&note)).unwrap();
    assert_eq!(plan_of(&later, &file), Some(next.clone()));
    assert_eq!(plans(Some(&next), &next), plans(None, &next));
    let told = last(later.clone(), Some(&file)).unwrap();
    assert_eq!(told, Last { note: later.clone(), from: 9, ranges: second.ranges });
    for nothing in
        [None, Some(""), Some("kakunin plans 2\n"), Some(&*plans(None, &plan)), Some(&file[..file.len() - 4])]
    {
        assert_eq!(last(later.clone(), nothing).unwrap(), Last { note: later.clone(), from: 30, ranges: vec![] });
    }
    assert!(last("no note".into(), None).is_err());
}

#[test]
fn two_logs_never_share_a_file() {
    assert_eq!(file_stem("example.org/log"), "example.org%2flog");
    assert_eq!(file_stem("..%2f"), "%2e.%252f");
    let long = "x".repeat(255);
    let stem = file_stem(&long);
    assert_eq!(stem.len(), 200);
    assert_ne!(stem, file_stem(&"x".repeat(254)));
    // A name that looks like a long one's is written otherwise.
    assert_ne!(file_stem(&stem), stem);
    assert!(file_stem(&"\u{e9}".repeat(127)).len() <= 200);
}

#[test]
fn an_empty_log_has_a_checkpoint_too() {
    let mut empty = request(&[], 0);
    assert_eq!(slug(sign(&empty, None)), "ok");
    assert_eq!(empty.root, EMPTY_ROOT);
    empty.root = [1; 32];
    assert_eq!(slug(sign(&empty, None)), "checkpoint_inconsistent");
}
