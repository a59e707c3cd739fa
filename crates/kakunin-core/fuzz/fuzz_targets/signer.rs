//! What the signer reads from shared memory and from its files. What is accepted is written back as it was, and no request
//! that a stranger made up is signed after a checkpoint that it does not continue.
#![no_main]

use kakunin_core::ledger::note::{Checkpoint, Note};
use kakunin_core::signer::memory::{Verdict, judge, last, plan_of};
use kakunin_core::signer::message::{Request, Response};
use libfuzzer_sys::fuzz_target;

const NOTE: &str = include_str!("../seeds/note/checkpoint_of_9");

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = Request::decode(bytes) {
        assert_eq!(Request::decode(&request.encode()).as_ref(), Ok(&request));
        if let Request::SignCheckpoint(request) = request {
            let remembered = Checkpoint::parse(Note::parse(NOTE).unwrap().text()).unwrap();
            match judge(Some(NOTE), &request) {
                // Whoever has the size and the root has the note, and gets it once more.
                Ok(Verdict::Repeat(note)) => assert_eq!(note, NOTE),
                Ok(Verdict::Sign(_, checkpoint)) => assert!(checkpoint.size >= remembered.size),
                Err(_) => {}
            }
            let _ = judge(None, &request);
        }
    }
    if let Ok(response) = Response::decode(bytes) {
        assert_eq!(Response::decode(&response.encode()), Ok(response));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(plan_of(NOTE, text).is_none_or(|plan| plan.size == 9));
        let _ = last(text.to_owned(), Some(text));
    }
});
