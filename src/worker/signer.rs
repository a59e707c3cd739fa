//! The signer: the one process that loads keys. It has no database, and does nothing but answer requests.

use super::{keys, mind_requests, mind_signals};
use crate::slots;
use kakunin_core::Reason;
use kakunin_core::signer::Signer;
use kakunin_core::signer::memory::{self, Plan, Verdict};
use kakunin_core::signer::message::{Refusal, Request, Response, SignCheckpoint};
use kakunin_core::signer::softkms::{SealedKey, scrub_stack};
use pgrx::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Where the postmaster starts the process.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn kakunin_signer_main(_argument: pg_sys::Datum) {
    mind_signals();
    let queue = slots::queue().expect("the process is registered only where shared memory is made");
    queue.serve_from_now_on();
    // Not fatal: the server and its ledgers work without keys. Each request says the same again.
    if let Err(reason) = keys::Directory::open() {
        pgrx::log!("{}: {}", reason.message(), reason.detail());
    }
    loop {
        mind_requests();
        if queue.answer(answer) == 0 {
            slots::sleep(IDLE);
        }
    }
}

/// Never fails: what goes wrong is an answer too.
fn answer(message: &[u8]) -> Vec<u8> {
    let decided = catch_unwind(AssertUnwindSafe(|| {
        let malformed = |what| Reason::SignerFailed { what: format!("the request cannot be read: {what}") };
        decide(Request::decode(message).map_err(malformed)?)
    }));
    scrub_stack();
    let outcome = decided.unwrap_or_else(|_| Err(Reason::SignerFailed { what: "an internal error".into() }));
    let refused = |reason: Reason| match Refusal::try_from(reason) {
        Ok(refusal) => refusal,
        Err(reason) => Refusal::SignerFailed(format!("{}: {}", reason.message(), reason.detail())),
    };
    outcome.unwrap_or_else(|reason| Response::Refused(refused(reason))).encode()
}

fn decide(request: Request) -> Result<Response, Reason> {
    let directory = keys::Directory::open()?;
    match request {
        Request::MakeKey { name, algorithm, first } => {
            let kek = if first { directory.kek_or_new()? } else { directory.kek()? };
            let (seed, nonce) = (keys::random()?, keys::random()?);
            Ok(Response::Key(SealedKey::make(&name, algorithm, &seed, **nonce, &kek)?))
        }
        Request::LastCheckpoint { origin } => {
            let stem = memory::file_stem(&origin);
            let Some(note) = directory.note(&stem)? else { return Ok(Response::Last(None)) };
            let last = memory::last(note, directory.plans(&stem).as_deref());
            let damaged =
                |what: kakunin_core::ledger::Malformed| Reason::CheckpointMemoryDamaged { what: what.to_string() };
            Ok(Response::Last(Some(last.map_err(damaged)?)))
        }
        Request::SignCheckpoint(request) => sign_checkpoint(&directory, &request).map(Response::Note),
    }
}

/// The order matters: the plan, then the note, which is the memory; and both before anybody gets the signature.
fn sign_checkpoint(directory: &keys::Directory, request: &SignCheckpoint) -> Result<String, Reason> {
    let stem = memory::file_stem(&request.origin);
    let remembered = directory.note(&stem)?;
    match memory::judge(remembered.as_deref(), request)? {
        Verdict::Repeat(note) => {
            // Written again all the same: its time shows that the log is alive.
            directory.write_note(&stem, &note)?;
            Ok(note)
        }
        Verdict::Sign(key, checkpoint) => {
            let signature = request.key.open(&directory.kek()?)?.sign(checkpoint.text().as_bytes())?;
            let malformed = || Reason::SignerFailed { what: "the signature has another length".into() };
            let signature = <[u8; 64]>::try_from(signature).map_err(|_| malformed())?;
            let note = checkpoint.with_signature(&key, &signature);
            let note = note.map_err(|what| Reason::SignerFailed { what: what.to_string() })?;
            let current = remembered.zip(directory.plans(&stem));
            let current = current.and_then(|(note, plans)| memory::plan_of(&note, &plans));
            directory.write_plans(&stem, &memory::plans(current.as_ref(), &Plan::of(request)))?;
            directory.write_note(&stem, &note)?;
            Ok(note)
        }
    }
}

/// How long it sleeps when nobody wakes it.
const IDLE: Duration = Duration::from_secs(60);
