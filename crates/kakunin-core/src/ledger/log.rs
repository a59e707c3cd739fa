//! Checks the log: that checkpoints state the size and root of the entries that were fed, and who signed them.

use super::merkle::{Frontier, Hash};
use super::note::{Checkpoint, Note, Unverified, VerifierKey};
use super::tlog_proof::TlogProof;
use super::{FaultKind, Faults, LedgerId, Malformed};

/// Keys that a checkpoint may be signed by.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Those that whoever checks brought along. If there are any, the newest checkpoint must be signed by one of them.
    pub pinned: Vec<VerifierKey>,
    /// Those that the ledger itself names. They prove nothing about who signed.
    pub own: Vec<VerifierKey>,
}

/// A checkpoint that whoever checks kept from earlier. The log must continue it, whatever else it says.
#[derive(Clone, Debug)]
pub struct Kept {
    name: String,
    note: String,
    checkpoint: Checkpoint,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Waiting,
    Matches,
    Differs,
}

impl Kept {
    /// Reads a signed note; `name` is repeated in faults, such as that of its file.
    pub fn parse(name: impl Into<String>, note: impl Into<String>) -> Result<Self, Malformed> {
        let (name, note) = (name.into(), note.into());
        let checkpoint = Checkpoint::parse(Note::parse(&note)?.text())?;
        Ok(Self { name, note, checkpoint, state: State::Waiting })
    }

    /// What it states.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

/// How much of a log is vouched for, in entries from the first on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Entries that were fed.
    pub entries: u64,
    /// Checkpoints that were signed and agreed.
    pub checkpoints: u64,
    /// Size of the newest that was signed by a pinned key.
    pub pinned: Option<u64>,
    /// Size of the newest that was signed by one of the ledger's own keys.
    pub own: Option<u64>,
    /// Size of the newest kept checkpoint that the log continues.
    pub kept: Option<u64>,
    /// Kept checkpoints that could not be compared: smaller than that of a proof.
    pub kept_unchecked: u64,
}

impl Coverage {
    /// What is covered by something from outside the ledger: a pinned key, or a checkpoint that was kept.
    pub fn trusted(&self) -> Option<u64> {
        self.pinned.max(self.kept)
    }

    /// What is covered by any checkpoint.
    pub fn any(&self) -> Option<u64> {
        self.trusted().max(self.own)
    }
}

/// Takes entry hashes and checkpoints in the order of the log.
#[derive(Clone, Debug)]
pub struct LogVerifier {
    origin: String,
    keys: Keys,
    kept: Vec<Kept>,
    next_kept: usize,
    tree: Frontier,
    /// Since a checkpoint did not fit, none can.
    broken: bool,
    last: Option<(u64, Hash)>,
    /// A checkpoint that no pinned key signed, and no later one makes up for: its size and line.
    unpinned: Option<(u64, u64)>,
    coverage: Coverage,
}

enum Signer {
    Pinned,
    Own,
}

impl LogVerifier {
    /// For the log of this name from its first entry on.
    pub fn new(origin: impl Into<String>, keys: Keys, kept: Vec<Kept>, faults: &mut Faults) -> Self {
        Self::resume(origin, keys, kept, Frontier::new(), faults)
    }

    /// For what follows a tree that is known. A kept checkpoint smaller than that is not compared.
    pub fn resume(
        origin: impl Into<String>,
        keys: Keys,
        mut kept: Vec<Kept>,
        tree: Frontier,
        faults: &mut Faults,
    ) -> Self {
        let origin = origin.into();
        kept.retain(|kept| {
            let foreign = !is_name(&kept.checkpoint.origin, &origin, &keys);
            if foreign {
                let detail =
                    format!("{} is a checkpoint of {}, the log is {origin}", kept.name, kept.checkpoint.origin);
                faults.log(None, 1, FaultKind::ForeignLedger, detail);
            }
            !foreign && kept.checkpoint.size >= tree.size()
        });
        kept.sort_by_key(|kept| kept.checkpoint.size);
        let mut log = Self {
            origin,
            keys,
            kept,
            next_kept: 0,
            tree,
            broken: false,
            last: None,
            unpinned: None,
            coverage: Coverage::default(),
        };
        for kept in &log.kept {
            let known = Note::parse(&kept.note).map(|note| note.verify(&log.all_keys()));
            if known == Ok(Err(Unverified::BadSignature)) {
                let detail = format!("the signature of {} is not that of its key", kept.name);
                faults.log(Some(kept.checkpoint.size), 1, FaultKind::BadSignature, detail);
            }
        }
        log.compare_kept();
        log
    }

    /// Takes the hash of the next entry.
    pub fn entry(&mut self, hash: &Hash) {
        self.tree.push(*hash);
        self.compare_kept();
    }

    /// Number of entries so far.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Was a key brought along?
    pub fn has_pinned(&self) -> bool {
        !self.keys.pinned.is_empty()
    }

    /// How much is vouched for so far.
    pub fn coverage(&self) -> Coverage {
        Coverage { entries: self.tree.size(), ..self.coverage }
    }

    /// Takes a signed note that stands where the log has its size. `line` is repeated in faults.
    pub fn checkpoint(&mut self, note: &str, line: u64, faults: &mut Faults) {
        let Some((Checkpoint { size, root, .. }, signer)) = self.signed(note, line, faults) else { return };
        if self.broken {
            return;
        }
        if let Some((_, other)) = self.last.filter(|last| last.0 == size && last.1 != root) {
            let detail = format!("two signed checkpoints of size {size} have different roots{}", shown(&other, &root));
            return faults.log(Some(size), line, FaultKind::InconsistentCheckpoints, detail);
        }
        let entries = self.tree.size();
        let (kind, detail) = if size > entries {
            (FaultKind::Truncated, format!("the checkpoint covers {size} entries, there are {entries} before it"))
        } else if size < entries {
            let detail = format!("the checkpoint covers {size} entries, there are {entries} before it");
            (FaultKind::CheckpointMismatch, detail)
        } else {
            let found = self.tree.root();
            if found == root {
                return self.cover(size, root, signer, line);
            }
            let since = self.last.map_or(0, |last| last.0);
            let detail = format!("entries {since} to {size} of the log are not those that were signed");
            (FaultKind::CheckpointMismatch, format!("{detail}{}", shown(&root, &found)))
        };
        self.broken = true;
        faults.log(Some(size), line, kind, detail);
    }

    /// Takes a proof for an entry of a partial export. Gives the size of the log under which it is proven, and whether
    /// something from outside vouches for that: a pinned key, or where there is none a kept checkpoint.
    pub fn proof(
        &mut self,
        proof: &TlogProof,
        entry: Hash,
        (ledger, seq, line): (LedgerId, u64, u64),
        faults: &mut Faults,
    ) -> Option<(u64, bool)> {
        let (checkpoint, signer) = self.signed(&proof.checkpoint, line, faults)?;
        let (size, root) = (checkpoint.size, checkpoint.root);
        if !proof.leads_to(entry, &checkpoint) {
            let detail = "its proof does not lead to the root of the checkpoint";
            faults.ledger((ledger, seq, line), None, FaultKind::BadProof, detail);
            return None;
        }
        if self.last.is_some_and(|last| last.0 == size && last.1 != root) {
            let detail = format!("two signed checkpoints of size {size} have different roots");
            faults.log(Some(size), line, FaultKind::InconsistentCheckpoints, detail);
            return None;
        }
        for kept in self.kept.iter_mut().filter(|kept| kept.checkpoint.size == size) {
            kept.state = if kept.checkpoint.root == root { State::Matches } else { State::Differs };
            if kept.state == State::Matches {
                self.coverage.kept = self.coverage.kept.max(Some(size));
            }
        }
        let trusted = match signer {
            Signer::Pinned => true,
            Signer::Own => !self.has_pinned() && self.coverage.kept == Some(size),
        };
        self.cover(size, root, signer, line);
        Some((size, trusted))
    }

    /// Ends the log, of which all entries were fed.
    pub fn finish(self, line: u64, faults: &mut Faults) -> Coverage {
        self.end(true, line, faults)
    }

    /// Ends a partial export: kept checkpoints that are smaller than those of the proofs were not compared.
    pub fn finish_partial(self, line: u64, faults: &mut Faults) -> Coverage {
        self.end(false, line, faults)
    }

    fn end(mut self, whole: bool, line: u64, faults: &mut Faults) -> Coverage {
        let newest = self.last.map_or(0, |last| last.0);
        for kept in &self.kept {
            let Kept { name, checkpoint: Checkpoint { size, .. }, state, .. } = kept;
            let (kind, detail) = match state {
                State::Matches => continue,
                State::Waiting if !whole && *size <= newest => {
                    self.coverage.kept_unchecked += 1;
                    continue;
                }
                State::Waiting => {
                    let entries = if whole { self.tree.size() } else { newest };
                    (FaultKind::Truncated, format!("{name} covers {size} entries, the log has {entries}"))
                }
                // Behind the newest checkpoint entries are not in the order of the log.
                State::Differs if whole && *size > newest && !self.broken => {
                    (FaultKind::Truncated, format!("{name} covers {size} entries, the newest checkpoint here {newest}"))
                }
                State::Differs if self.is_signed(kept) && *size <= newest => {
                    let detail = format!("{name} and a checkpoint here are signed, and not of one log that only grew");
                    (FaultKind::InconsistentCheckpoints, detail)
                }
                State::Differs => (
                    FaultKind::CheckpointMismatch,
                    format!("the log of size {size} has not the root that {name} states"),
                ),
            };
            faults.log(Some(*size), line, kind, detail);
        }
        // Of a partial export each ledger has a proof of its own, and whoever calls looks at those.
        if whole && self.has_pinned() {
            if self.coverage.pinned.is_none() && self.tree.size() > 0 {
                faults.log(None, line, FaultKind::Unsigned, "no checkpoint is signed by a key that was given");
            } else if let Some((size, line)) = self.unpinned {
                let detail = "the checkpoint, and none after it, is signed by a key that was given";
                faults.log(Some(size), line, FaultKind::Unsigned, detail);
            }
        }
        self.coverage()
    }

    /// Reads a note and says what it states and who signed it; None with a fault told if nobody did that counts.
    fn signed(&self, note: &str, line: u64, faults: &mut Faults) -> Option<(Checkpoint, Signer)> {
        let parsed = Note::parse(note).and_then(|note| Ok((Checkpoint::parse(note.text())?, note)));
        let (checkpoint, note) = match parsed {
            Ok(parsed) => parsed,
            Err(refused) => {
                faults.log(None, line, FaultKind::Malformed, refused.to_string());
                return None;
            }
        };
        let size = Some(checkpoint.size);
        if !is_name(&checkpoint.origin, &self.origin, &self.keys) {
            let detail = format!("the checkpoint is of {}, the log is {}", checkpoint.origin, self.origin);
            faults.log(size, line, FaultKind::ForeignLedger, detail);
            return None;
        }
        let own = || note.verify(&self.keys.own).map(|_| Signer::Own);
        let signer = match note.verify(&self.keys.pinned) {
            Ok(_) => Ok(Signer::Pinned),
            Err(Unverified::BadSignature) => Err(Unverified::BadSignature),
            Err(Unverified::Unsigned) => own(),
        };
        match signer {
            Ok(signer) => return Some((checkpoint, signer)),
            Err(Unverified::BadSignature) => {
                let detail = "a signature is not that of its key over this checkpoint";
                faults.log(size, line, FaultKind::BadSignature, detail);
            }
            Err(Unverified::Unsigned) => {
                faults.log(size, line, FaultKind::Unsigned, "the checkpoint is not signed by any key that is known");
            }
        }
        None
    }

    fn cover(&mut self, size: u64, root: Hash, signer: Signer, line: u64) {
        self.coverage.checkpoints += 1;
        if self.last.is_none_or(|last| last.0 <= size) {
            self.last = Some((size, root));
        }
        match signer {
            Signer::Pinned => {
                self.coverage.pinned = self.coverage.pinned.max(Some(size));
                self.unpinned = self.unpinned.filter(|unpinned| unpinned.0 > size);
            }
            Signer::Own => {
                self.coverage.own = self.coverage.own.max(Some(size));
                if self.coverage.pinned.is_none_or(|pinned| pinned < size) {
                    self.unpinned = Some((size, line));
                }
            }
        }
    }

    fn compare_kept(&mut self) {
        let size = self.tree.size();
        while let Some(kept) = self.kept.get_mut(self.next_kept).filter(|kept| kept.checkpoint.size == size) {
            self.next_kept += 1;
            if kept.checkpoint.root == self.tree.root() {
                kept.state = State::Matches;
                self.coverage.kept = Some(size);
            } else {
                kept.state = State::Differs;
            }
        }
    }

    fn is_signed(&self, kept: &Kept) -> bool {
        Note::parse(&kept.note).is_ok_and(|note| note.verify(&self.all_keys()).is_ok())
    }

    fn all_keys(&self) -> Vec<VerifierKey> {
        self.keys.pinned.iter().chain(&self.keys.own).cloned().collect()
    }
}

/// Does the log have this name, or had it before? An earlier name is known by its key.
fn is_name(name: &str, origin: &str, keys: &Keys) -> bool {
    name == origin || keys.pinned.iter().chain(&keys.own).any(|key| key.name() == name)
}

/// The first bytes of two roots, to tell them apart in a sentence.
fn shown(stated: &Hash, found: &Hash) -> String {
    let short = |hash: &Hash| hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
    format!(": root {}… is stated, {}… is found", short(stated), short(found))
}

#[cfg(test)]
mod tests;
