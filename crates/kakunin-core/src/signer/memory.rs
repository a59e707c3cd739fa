//! What the signer remembers of a log, and whether the next checkpoint continues it.
//!
//! Per log there are two files. `<stem>.checkpoint` is the last note that was signed: the signer's memory, and the
//! publication of the log in one. `<stem>.plan` says where the entries of that note came from, because a transaction can
//! fail after its checkpoint was signed: the order of the log is then known here only. A plan is written before the note
//! it belongs to, and keeps the plan of the note before, so that whichever note is there after a crash has its own.

use sha2::{Digest, Sha256};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::message::{Last, SignCheckpoint};
use crate::Reason;
use crate::ledger::merkle::EMPTY_ROOT;
use crate::ledger::note::{Checkpoint, Note, Unverified, VerifierKey, check_origin, decimal};
use crate::ledger::proof::verify_consistency;
use crate::ledger::{Hash, Malformed};
use crate::limits::CHECKPOINT_RANGES_MAX;

/// Entries of one ledger that follow each other in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// `kakunin.ledger.number`
    pub ledger: u32,
    /// How many.
    pub entries: u64,
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what was signed last: here is the note.
    Repeat(String),
    /// Sign it.
    Sign(VerifierKey, Checkpoint),
}

/// May this be signed after the note that is remembered, if there is one?
pub fn judge(remembered: Option<&str>, request: &SignCheckpoint) -> Result<Verdict, Reason> {
    let inconsistent = |what: String| Reason::CheckpointInconsistent { what };
    check_origin(&request.origin).map_err(|_| Reason::OriginInvalid)?;
    let key = <[u8; 32]>::try_from(&*request.key.public_key).ok();
    let key = key.and_then(|key| VerifierKey::new(&request.origin, key).ok());
    let key = key.ok_or_else(|| Reason::SealedKeyMalformed { name: request.key.name.clone() })?;
    let base = match (remembered, &request.known) {
        (Some(note), _) => Some(read_remembered(note, &key)?),
        // Without a memory, only what this very key has signed is believed.
        (None, Some(note)) => {
            let own = Note::parse(note).ok().filter(|read| read.verify(std::slice::from_ref(&key)).is_ok());
            let checkpoint = own.and_then(|read| Checkpoint::parse(read.text()).ok());
            let checkpoint = checkpoint.filter(|read| read.origin == request.origin);
            Some(
                checkpoint
                    .ok_or_else(|| inconsistent("the newest note of the database was not signed by its key".into()))?,
            )
        }
        (None, None) => None,
    };
    let (old_size, old_root) = base.as_ref().map_or((0, EMPTY_ROOT), |last| (last.size, last.root));
    let Checkpoint { size, root, .. } = Checkpoint { origin: String::new(), size: request.size, root: request.root };
    if size < old_size {
        return Err(inconsistent(format!("a checkpoint of {old_size} entries was signed, this one has {size}")));
    }
    if request.old_size != old_size {
        let what = format!("{old_size} entries were signed last, this one continues {}", request.old_size);
        return Err(inconsistent(what));
    }
    if !verify_consistency(old_size, size, &old_root, &root, &request.proof) {
        return Err(inconsistent(format!("the first {old_size} of its {size} entries are not those that were signed")));
    }
    if request.ranges.iter().try_fold(request.from, |sum, range| sum.checked_add(range.entries)) != Some(size) {
        return Err(Reason::SignerFailed { what: "the ranges of the request do not add up".into() });
    }
    if let (Some(note), Some(last)) = (remembered, &base)
        && last.size == size
        && is_by(note, &key)
    {
        return Ok(Verdict::Repeat(note.to_owned()));
    }
    Ok(Verdict::Sign(key, Checkpoint { origin: request.origin.clone(), size, root }))
}

fn read_remembered(note: &str, key: &VerifierKey) -> Result<Checkpoint, Reason> {
    let damaged = |what: String| Reason::CheckpointMemoryDamaged { what };
    let read = Note::parse(note).map_err(|what| damaged(what.to_string()))?;
    let checkpoint = Checkpoint::parse(read.text()).map_err(|what| damaged(what.to_string()))?;
    if checkpoint.origin != key.name() {
        return Err(damaged("it is of another log".into()));
    }
    // By another key is no damage: the log may have had another one.
    if read.verify(std::slice::from_ref(key)) == Err(Unverified::BadSignature) {
        return Err(damaged("its signature does not verify".into()));
    }
    Ok(checkpoint)
}

fn is_by(note: &str, key: &VerifierKey) -> bool {
    Note::parse(note).is_ok_and(|read| read.verify(std::slice::from_ref(key)).is_ok())
}

/// How a log came to a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
    /// Where `ranges` begin.
    pub from: u64,
    /// The entries from there on.
    pub ranges: Vec<Range>,
}

impl Plan {
    /// Of a checkpoint that is to be signed.
    pub fn of(request: &SignCheckpoint) -> Self {
        Self { size: request.size, root: request.root, from: request.from, ranges: request.ranges.clone() }
    }

    /// A line: size, root, from, and `ledger:entries` for each range.
    fn line(&self) -> String {
        let ranges: Vec<String> =
            self.ranges.iter().map(|range| format!("{}:{}", range.ledger, range.entries)).collect();
        format!("{} {} {} {}\n", self.size, STANDARD.encode(self.root), self.from, ranges.join(","))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(' ');
        let size = decimal(parts.next()?)?;
        let root = STANDARD.decode(parts.next()?).ok()?.try_into().ok()?;
        let from = decimal(parts.next()?)?;
        let ranges = parts.next()?.split(',').filter(|range| !range.is_empty());
        let ranges = ranges.map(|range| {
            let (ledger, entries) = range.split_once(':')?;
            Some(Range { ledger: u32::try_from(decimal(ledger)?).ok()?, entries: decimal(entries)? })
        });
        let ranges: Vec<Range> = ranges.collect::<Option<_>>()?;
        (parts.next().is_none() && ranges.len() <= CHECKPOINT_RANGES_MAX).then_some(Self { size, root, from, ranges })
    }
}

/// The file of plans: that of the note that is there, and that of the note that comes.
pub fn plans(current: Option<&Plan>, next: &Plan) -> String {
    let current = current.filter(|plan| *plan != next).map(Plan::line).unwrap_or_default();
    format!("{PLANS}{current}{}", next.line())
}

/// The plan of a note in the file of plans. It only helps; a file that cannot be read has none.
pub fn plan_of(note: &str, plans: &str) -> Option<Plan> {
    let checkpoint = Checkpoint::parse(Note::parse(note).ok()?.text()).ok()?;
    let lines = plans.strip_prefix(PLANS)?.lines();
    lines.filter_map(Plan::parse).find(|plan| plan.size == checkpoint.size && plan.root == checkpoint.root)
}

/// What a backend is told about a note and the file of plans beside it.
pub fn last(note: String, plans: Option<&str>) -> Result<Last, Malformed> {
    let size = Checkpoint::parse(Note::parse(&note)?.text())?.size;
    let plan = plans.and_then(|plans| plan_of(&note, plans));
    let (from, ranges) = plan.map_or((size, Vec::new()), |plan| (plan.from, plan.ranges));
    Ok(Last { note, from, ranges })
}

/// The name of a log's files without its end: the origin, with every byte but letters, digits, `-`, `_` and `.` behind
/// the first written as `%xx`. A long one ends in its hash. Two origins never share one.
pub fn file_stem(origin: &str) -> String {
    let mut stem = String::new();
    for (at, byte) in origin.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || (byte == b'.' && at > 0);
        if plain { stem.push(byte.into()) } else { stem.push_str(&format!("%{byte:02x}")) }
    }
    if stem.len() > STEM_BYTES_MAX {
        stem.truncate(STEM_BYTES_MAX - 65);
        stem.push('~');
        Sha256::digest(origin).iter().for_each(|byte| stem.push_str(&format!("{byte:02x}")));
    }
    stem
}

/// The first line of a file of plans.
const PLANS: &str = "kakunin plans 1\n";
/// A file's name has at most 255 bytes, and ends are added.
const STEM_BYTES_MAX: usize = 200;
