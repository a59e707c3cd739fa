//! Checkpoints: the log over all ledgers grows by what is new, and the signer signs its size and root.
//!
//! The order of steps is what makes a note true for ever: what is signed was read, checked against its own hashes, is
//! on disk and on the synchronous standby; and the signer has what it needs to go on from there even if this transaction
//! fails after all.

mod append;
mod durable;
pub mod log;
pub mod proofs;

use crate::error::{self, Result};
use crate::{backend, signer, slots};
use append::{Appender, candidates};
use kakunin_core::Reason;
use kakunin_core::ledger::growth::{Growth, subtree};
use kakunin_core::ledger::note::{Checkpoint, Note, VerifierKey, check_origin};
use kakunin_core::ledger::{Frontier, proof};
use kakunin_core::limits::CHECKPOINT_RANGES_MAX;
use kakunin_core::signer::memory::Range;
use kakunin_core::signer::message::{Last, Request, Response, SignCheckpoint};
use kakunin_core::signer::softkms::SealedKey;
use kakunin_core::signer::{Algorithm, KeyUri};
use log::{Stored, StoredLog};
use pgrx::prelude::*;

/// Signs what there is. Returns the note.
// Definer: writes the log, which no role may write directly.
#[pg_extern(schema = "kakunin", volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn checkpoint() -> Result<String> {
    backend::writable().and_then(|()| slots::queue().map(|_| ())).map_err(error::report)?;
    // One at a time. What is read from here on is read as it is now, whatever the transaction's snapshot.
    Spi::run("lock table kakunin.log in share row exclusive mode").map_err(error::spi)?;
    let log = match log::named() {
        Some(log) => log,
        None => name(1, &default_origin())?,
    };
    let key = signer::key_of(&log.key)?;
    sign(&log, key).map_err(error::report)
}

/// Names the log, and makes a key for it. A restored or moved database gets another name, once its epoch has begun: what was
/// signed under the old one may go on elsewhere, or may have gone further.
// Definer: writes kakunin.log and kakunin.signing_key.
#[pg_extern(schema = "kakunin", volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn name_log(origin: Option<&str>) -> Result<String> {
    let origin = origin.ok_or_else(|| error::report(Reason::ArgumentNull { what: "origin".into() }))?;
    check_origin(origin).map_err(|_| error::report(Reason::OriginInvalid))?;
    backend::writable().map_err(error::report)?;
    Spi::run("lock table kakunin.log in share row exclusive mode").map_err(error::spi)?;
    let names = log::names();
    if names.iter().any(|log| log.origin == origin) {
        return Err(error::report(Reason::LogNameUsed { origin: origin.to_owned() }));
    }
    let number = match names.first() {
        Some(log) if !epoch_began()? => {
            return Err(error::report(Reason::LogNamed { origin: log.origin.clone() }));
        }
        newest => newest.map_or(0, |log| log.number) + 1,
    };
    let log = name(number, origin)?;
    verifier_key_of(&log)
}

/// Does a ledger have an epoch that no checkpoint covers?
fn epoch_began() -> Result<bool> {
    let found = Spi::get_one::<bool>(
        "select exists (
             select from kakunin.ledger l
              cross join lateral (select coalesce(max(r.last_seq), 0) as seq
                                    from kakunin.log_range r where r.ledger = l.number) covered
               join kakunin.ledger_entry e on e.ledger = l.number and e.seq > covered.seq and e.kind = 5)",
    );
    found.map(|found| found.unwrap_or(false)).map_err(error::spi)
}

/// The public key of the log.
// Definer: reads kakunin.log and kakunin.signing_key for those who may know the key.
#[pg_extern(schema = "kakunin", stable, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn verifier_key() -> Result<Option<String>> {
    log::named().map(|log| verifier_key_of(&log)).transpose()
}

fn verifier_key_of(log: &StoredLog) -> Result<String> {
    key_that_signs(log).map(|key| key.to_string())
}

/// The public key of the log's own.
pub fn key_that_signs(log: &StoredLog) -> Result<VerifierKey> {
    let key = signer::key_of(&log.key)?;
    let malformed = || error::report(Reason::SealedKeyMalformed { name: key.name.clone() });
    let public_key = key.public_key.clone().try_into().map_err(|_| malformed())?;
    VerifierKey::new(&*log.origin, public_key).map_err(|_| malformed())
}

/// Every name gets a key of its own: the one before may be in other hands.
fn name(number: i32, origin: &str) -> Result<StoredLog> {
    let key = if number == 1 { KEY.to_owned() } else { format!("{KEY}-{number}") };
    if signer::find_key(&key)?.is_none() {
        // In another cluster there is no key-encryption key yet, although keys were sealed elsewhere.
        signer::make_key(&key, Algorithm::Ed25519, number > 1)?;
    }
    let log = StoredLog { number, origin: origin.to_owned(), key: KeyUri::SoftKms(key).to_string() };
    let arguments = [log.number.into(), log.origin.clone().into(), log.key.clone().into()];
    Spi::run_with_args("insert into kakunin.log (number, origin, key) values ($1, $2, $3)", &arguments)
        .map_err(error::spi)?;
    Ok(log)
}

/// What the signer remembers of a log, once no checkpoint is being made: None if it remembers nothing, or does not run.
pub fn settled_last(origin: &str) -> Option<Last> {
    let ask = || match slots::call(&Request::LastCheckpoint { origin: origin.to_owned() }) {
        Ok(Response::Last(last)) => last,
        _ => None,
    };
    let size = |last: &Last| {
        let note = Note::parse(&last.note).ok()?;
        Checkpoint::parse(note.text()).ok().map(|checkpoint| checkpoint.size)
    };
    let last = ask()?;
    if size(&last) > log::newest().map(|newest| newest.size) {
        if backend::is_standby() {
            // It was signed by the primary, whose WAL has not come this far.
            return None;
        }
        // Signed, and perhaps not committed yet: whoever makes checkpoints holds this lock.
        log::wait_for_others();
        return ask();
    }
    Some(last)
}

/// The database's name, and something that no other log has.
fn default_origin() -> String {
    let plain = |character: char| {
        let refused = character.is_whitespace() || character.is_control() || character == '+';
        if refused { '-' } else { character }
    };
    let name: String = backend::database_name().chars().map(plain).collect();
    format!("{name}-{}", &backend::random_text()[..16])
}

/// Gathers what the signer needs to be convinced, and stores what it answers.
fn sign(log: &StoredLog, key: SealedKey) -> std::result::Result<String, Reason> {
    let last = log::newest();
    let remembered = match slots::call(&Request::LastCheckpoint { origin: log.origin.clone() })? {
        Response::Last(remembered) => remembered,
        _ => return Err(Reason::SignerFailed { what: "its answer is of another kind".into() }),
    };
    let (size, frontier) = match &last {
        None => (0, Frontier::new()),
        Some(stored) => (stored.size, stored.frontier()?),
    };
    let mut kept = log::KeptHashes::default();
    let growth = Growth::resume(frontier, &mut kept)?;
    let growth = growth.ok_or_else(|| Reason::LogBroken {
        what: format!("the entries behind number {} are not those that were signed", size & !255),
    })?;
    let mut appender = Appender::new(growth, kept);
    let mut plan = plan_so_far(last.as_ref(), size, remembered.as_ref());
    // Under another name, what was signed before is no checkpoint of this log's.
    let known = match &last {
        Some(stored) if checkpoint_of(&stored.note)?.origin != log.origin => None,
        last => last.as_ref(),
    };
    let (mut old_size, mut caught_up) = (known.map_or(0, |stored| stored.size), None);
    if let Some(remembered) = &remembered {
        let signed = checkpoint_of(&remembered.note)?;
        old_size = signed.size;
        if signed.size > size {
            plan.ranges.extend(catch_up(&mut appender, remembered, &signed)?);
            log::store_checkpoint(&remembered.note, appender.frontier());
            caught_up = Some(signed.size);
        }
    }
    let budget = CHECKPOINT_RANGES_MAX.saturating_sub(plan.ranges.len());
    for ledger in candidates(budget) {
        let entries = appender.append(ledger, None)?;
        if entries > 0 {
            plan.ranges.push(Range { ledger: ledger.number.cast_unsigned(), entries });
        }
    }
    let (frontier, mut kept) = appender.finish();
    durable::wait()?;
    let new_size = frontier.size();
    let path = proof::consistency(old_size, new_size, |level, index| subtree(&mut kept, new_size, level, index))?;
    let request = SignCheckpoint {
        key,
        origin: log.origin.clone(),
        size: new_size,
        root: frontier.root(),
        old_size,
        proof: path.unwrap_or_default(),
        known: known.filter(|_| remembered.is_none()).map(|stored| stored.note.clone()),
        from: plan.from,
        ranges: plan.ranges,
    };
    let note = match slots::call(&Request::SignCheckpoint(Box::new(request)))? {
        Response::Note(note) => note,
        _ => return Err(Reason::SignerFailed { what: "its answer is of another kind".into() }),
    };
    let is_new = last.is_none_or(|stored| stored.size != new_size);
    if is_new && caught_up != Some(new_size) {
        log::store_checkpoint(&note, &frontier);
    }
    log::publish(&note, is_new);
    Ok(note)
}

/// The way from the size that the database has for good to the one that it has now.
struct Way {
    from: u64,
    ranges: Vec<Range>,
}

/// A checkpoint that this very transaction made is not there for good: if it is rolled back, the signer must still know the
/// way to it.
fn plan_so_far(last: Option<&Stored>, size: u64, remembered: Option<&Last>) -> Way {
    if let (Some(stored), Some(remembered)) = (last, remembered)
        && stored.is_own
    {
        let (mut at, mut ranges) = (remembered.from, Vec::new());
        for range in &remembered.ranges {
            if at < size {
                at = at.saturating_add(range.entries);
                ranges.push(*range);
            }
        }
        if at == size {
            return Way { from: remembered.from, ranges };
        }
    }
    Way { from: size, ranges: Vec::new() }
}

/// The signer has signed more than the database knows: a transaction failed after its checkpoint was signed. The log must
/// continue in the very order that was signed.
fn catch_up(
    appender: &mut Appender,
    remembered: &Last,
    signed: &Checkpoint,
) -> std::result::Result<Vec<Range>, Reason> {
    let inconsistent = |what: &str| Reason::CheckpointInconsistent { what: what.to_owned() };
    let lost = "a checkpoint of more entries was signed than the database knows of, and their order is not known";
    let mut at = remembered.from;
    let mut ranges = Vec::new();
    for range in &remembered.ranges {
        let start = at;
        at = at.checked_add(range.entries).ok_or_else(|| inconsistent(lost))?;
        if at <= appender.frontier().size() {
            continue;
        }
        if start != appender.frontier().size() {
            return Err(inconsistent(lost));
        }
        let ledger = append::ledger(range.ledger).ok_or_else(|| inconsistent("a ledger that was signed is gone"))?;
        if appender.append(ledger, Some(range.entries))? != range.entries {
            return Err(inconsistent("entries that were signed are gone"));
        }
        ranges.push(*range);
    }
    let reached = appender.frontier();
    if reached.size() != signed.size {
        return Err(inconsistent(lost));
    }
    if reached.root() != signed.root {
        return Err(inconsistent("entries that were signed have changed"));
    }
    Ok(ranges)
}

fn checkpoint_of(note: &str) -> std::result::Result<Checkpoint, Reason> {
    let read = Note::parse(note).and_then(|note| Checkpoint::parse(note.text()));
    read.map_err(|what| Reason::CheckpointMemoryDamaged { what: what.to_string() })
}

/// Name of the key that a log gets.
const KEY: &str = "log";
