//! Makes exports to check: honest ones first, which tests then change.

#![allow(dead_code, missing_docs)]

use std::collections::HashMap;

use kakunin_core::UnixTime;
use kakunin_core::ledger::entry::Column;
use kakunin_core::ledger::export::{Header, RowLines, checkpoint_line, end_line, entry_line, proof_line};
use kakunin_core::ledger::merkle::{EMPTY_ROOT, leaf_hash, root_of};
use kakunin_core::ledger::note::{Checkpoint, VerifierKey};
use kakunin_core::ledger::proof;
use kakunin_core::ledger::row::RowWriter;
use kakunin_core::ledger::tlog_proof::TlogProof;
use kakunin_core::ledger::{Detail, Entry, Hash, Kind, LedgerId};
use ring::signature::{Ed25519KeyPair, KeyPair};

pub const ORIGIN: &str = "ledger.example/7301";
/// The ledgers of a book, by letter.
pub const A: LedgerId = LedgerId([0xa0; 16]);
pub const B: LedgerId = LedgerId([0xb0; 16]);

/// A key that signs.
pub struct Signer(Ed25519KeyPair);

impl Signer {
    pub fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub fn key(&self) -> VerifierKey {
        self.key_named(ORIGIN)
    }

    fn key_named(&self, origin: &str) -> VerifierKey {
        VerifierKey::new(origin, self.0.public_key().as_ref().try_into().unwrap()).unwrap()
    }

    pub fn note(&self, origin: &str, size: u64, root: Hash) -> String {
        let checkpoint = Checkpoint { origin: origin.to_owned(), size, root };
        let signature = self.0.sign(checkpoint.text().as_bytes()).as_ref().try_into().unwrap();
        checkpoint.with_signature(&self.key_named(origin), &signature).unwrap()
    }
}

/// An entry with its rows, as a database holds them.
#[derive(Clone, Debug)]
pub struct Item {
    pub entry: Entry,
    pub rows: Vec<Vec<u8>>,
}

impl Item {
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.bytes())
    }

    /// Entry bytes, also of entries that nobody honest would write.
    pub fn bytes(&self) -> Vec<u8> {
        let entry = &self.entry;
        let certificate = entry.certificate.map_or(vec![0], |hash| [&[32][..], &hash].concat());
        [
            &b"E\x01"[..],
            &entry.ledger.0,
            &entry.seq.to_be_bytes(),
            &[entry.kind as u8],
            &entry.tx.to_be_bytes(),
            &entry.first_row.to_be_bytes(),
            &entry.rows.to_be_bytes(),
            &entry.root,
            &entry.at.0.to_be_bytes(),
            &certificate,
            &(entry.role.len() as u16).to_be_bytes(),
            entry.role.as_bytes(),
            &(entry.detail.len() as u32).to_be_bytes(),
            entry.detail.as_bytes(),
            &entry.previous,
        ]
        .concat()
    }

    /// Makes the entry state its rows.
    pub fn restate(&mut self) {
        self.entry.rows = self.rows.len() as u64;
        self.entry.root = root_of(self.rows.iter().map(|row| leaf_hash(row)));
    }
}

/// A log with its checkpoints.
#[derive(Clone)]
pub struct Book {
    pub items: Vec<Item>,
    pub ledgers: Vec<LedgerId>,
    /// Sizes of the log at which a checkpoint was signed.
    pub checkpoints: Vec<u64>,
    pub keys: Vec<VerifierKey>,
}

impl Book {
    pub fn new(ledgers: &[LedgerId]) -> Self {
        let mut book =
            Self { items: vec![], ledgers: ledgers.to_vec(), checkpoints: vec![], keys: vec![Signer::new(1).key()] };
        for ledger in ledgers {
            let columns = [("id", 1, "bigint"), ("note", 2, "text")];
            let column = |(name, number, r#type): (&str, u16, &str)| Column {
                name: name.to_owned(),
                number,
                redactable: false,
                r#type: r#type.to_owned(),
            };
            let columns = columns.into_iter().map(column).collect();
            let name = format!("public.audit_{:x}", ledger.0[0]);
            book.add(*ledger, Kind::Open, vec![], &Detail::Open { columns, name }.encode().unwrap());
        }
        book
    }

    /// Two ledgers, 12 entries, 3 checkpoints, 2 entries that are not covered yet.
    pub fn usual() -> Self {
        let mut book = Self::new(&[A, B]);
        for number in 0..10 {
            if matches!(number, 3 | 6 | 8) {
                book.checkpoints.push(book.items.len() as u64);
            }
            let ledger = if number % 3 == 2 { B } else { A };
            book.add_rows(ledger, 1 + number % 4);
        }
        book
    }

    pub fn add_rows(&mut self, ledger: LedgerId, count: u64) {
        let seq = self.of(ledger).count() as u64 + 1;
        let rows = (0..count).map(|index| row(ledger, index as i64, &format!("row {index} of entry {seq}")));
        self.add(ledger, Kind::Rows, rows.collect(), "");
    }

    pub fn add(&mut self, ledger: LedgerId, kind: Kind, rows: Vec<Vec<u8>>, detail: &str) {
        let number = self.items.len() as u64;
        let before = self.of(ledger).last();
        let (seq, first_row) =
            before.map_or((1, 0), |item| (item.entry.seq + 1, item.entry.first_row + item.entry.rows));
        let entry = Entry {
            ledger,
            seq,
            kind,
            tx: if rows.is_empty() { 0 } else { 1000 + number },
            first_row,
            rows: 0,
            root: EMPTY_ROOT,
            at: UnixTime(1_767_225_600_000_000 + 1_000_000 * number as i64),
            certificate: (number % 2 == 1).then_some([number as u8; 32]),
            role: "kakunin_agent".to_owned(),
            detail: detail.to_owned(),
            previous: before.map_or([0; 32], Item::hash),
        };
        let mut item = Item { entry, rows };
        item.restate();
        self.items.push(item);
    }

    pub fn of(&self, ledger: LedgerId) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.entry.ledger == ledger)
    }

    /// The item of a ledger with this `seq`.
    pub fn at(&mut self, ledger: LedgerId, seq: u64) -> &mut Item {
        self.items.iter_mut().find(|item| item.entry.ledger == ledger && item.entry.seq == seq).unwrap()
    }

    /// Where that item is in the log.
    pub fn index(&self, ledger: LedgerId, seq: u64) -> usize {
        self.items.iter().position(|item| item.entry.ledger == ledger && item.entry.seq == seq).unwrap()
    }

    /// Numbers and links all entries anew, as one would who wants the chain to look sound.
    pub fn rechain(&mut self) {
        let mut heads: HashMap<LedgerId, (u64, u64, Hash)> = HashMap::new();
        for item in &mut self.items {
            let (seq, rows, previous) = heads.get(&item.entry.ledger).copied().unwrap_or((0, 0, [0; 32]));
            item.entry.seq = seq + 1;
            item.entry.first_row = rows;
            item.entry.previous = previous;
            let head = (seq + 1, rows + item.entry.rows, item.hash());
            heads.insert(item.entry.ledger, head);
        }
    }

    pub fn leaves(&self) -> Vec<Hash> {
        self.items.iter().map(Item::hash).collect()
    }

    /// The checkpoint that is due at a size of the log.
    pub fn note(&self, signer: &Signer, size: u64) -> String {
        signer.note(ORIGIN, size, root_of(self.leaves().into_iter().take(size as usize)))
    }

    pub fn header(&self, whole: bool) -> String {
        let header =
            Header { keys: self.keys.clone(), ledgers: self.ledgers.clone(), origin: ORIGIN.to_owned(), whole };
        header.encode().unwrap()
    }

    /// The whole export, a line each.
    pub fn lines(&self) -> Vec<String> {
        self.lines_with(|size| self.note(&Signer::new(1), size), &[])
    }

    /// With other checkpoints, and without the rows of entries that were pruned.
    pub fn lines_with(&self, note: impl Fn(u64) -> String, pruned: &[(LedgerId, u64)]) -> Vec<String> {
        let mut lines = vec![self.header(true)];
        let (mut rows, mut size) = (0, 0);
        for (number, item) in (1..).zip(&self.items) {
            lines.push(entry_line(&item.bytes()));
            if !pruned.contains(&(item.entry.ledger, item.entry.seq)) {
                lines.extend(rows_lines(&item.rows));
                rows += item.rows.len() as u64;
            }
            size += 1;
            lines.extend(self.checkpoints.iter().filter(|at| **at == number).map(|at| checkpoint_line(&note(*at))));
        }
        lines.push(end_line(size, rows));
        lines
    }

    /// An export of one ledger, proven under a checkpoint of this size.
    pub fn partial_lines(&self, ledger: LedgerId, size: u64, signer: &Signer) -> Vec<String> {
        let leaves = self.leaves();
        let covered = &leaves[..size as usize];
        let part = Self { ledgers: vec![ledger], ..self.clone() };
        let mut lines = vec![part.header(false)];
        let newest = (0..size as usize).rfind(|index| self.items[*index].entry.ledger == ledger).unwrap();
        let (mut entries, mut rows) = (0, 0);
        for (index, item) in self.items.iter().enumerate().filter(|(_, item)| item.entry.ledger == ledger) {
            lines.push(entry_line(&item.bytes()));
            lines.extend(rows_lines(&item.rows));
            entries += 1;
            rows += item.rows.len() as u64;
            if index == newest {
                let path = proof::inclusion(index as u64, size, proof::from_leaves(covered)).unwrap().unwrap();
                let checkpoint = self.note(signer, size);
                let proof = TlogProof { row: None, index: index as u64, path, checkpoint };
                lines.push(proof_line(&proof.encode().unwrap()));
            }
        }
        lines.push(end_line(entries, rows));
        lines
    }
}

/// A row of the tables of a book.
pub fn row(ledger: LedgerId, id: i64, note: &str) -> Vec<u8> {
    let mut writer = RowWriter::new();
    writer.begin(&ledger);
    writer.field(1);
    writer.integer(id);
    writer.field(2);
    writer.text(note);
    writer.bytes().unwrap().to_vec()
}

pub fn rows_lines(rows: &[Vec<u8>]) -> Vec<String> {
    let mut gathered = RowLines::new();
    let mut lines: Vec<_> = rows.iter().filter_map(|row| gathered.push(row)).collect();
    lines.extend(gathered.flush());
    lines
}

/// Lines as a file.
pub fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}
