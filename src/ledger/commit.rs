//! What happens at the end of a transaction that has added to ledgers.
//!
//! Before its commit record, each chain is locked, its newest entry is read, and one more is written. The lock is
//! dropped right after the commit record is inserted and before it is flushed (early lock release), so that many
//! transactions share one flush. That is sound because of the order of WAL: whoever locks next commits behind us, a
//! flush is a prefix of WAL, and so no crash, standby or subscriber has the later entry without ours. The client is
//! answered only after the flush, as ever.

mod lock;

use super::head;
use super::pending::{self, Chain};
use super::store::{self, Table};
use super::{apply, fault};
use crate::{backend, config, error, shmem};
use kakunin_core::Reason;
use kakunin_core::ledger::chain::Head;
use kakunin_core::ledger::merkle::EMPTY_ROOT;
use kakunin_core::ledger::{Entry, Kind};
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};

/// Before the commit record: links what was added. May raise.
pub fn before_commit() {
    apply::before_commit();
    let mut work = None;
    pending::with(|pending| {
        if pending.has_work() {
            work = Some((pending.known_tx(), pending.certificate(), pending.take_chains()));
        }
    });
    let Some((tx, certificate, chains)) = work else { return };
    let mut pieces: Vec<Piece> = chains.into_iter().map(Piece::new).collect();
    let role = backend::session_user();
    // SAFETY: the table exists while a ledger does; both are closed below, or by PostgreSQL after an error.
    unsafe {
        let Some(heap) = store::open(Table::Entry, pg_sys::RowExclusiveLock) else {
            fault::broken("kakunin.ledger_entry is not there")
        };
        let indexes = pg_sys::CatalogOpenIndexes(heap);
        let file = (*heap).rd_node.relNode;
        for piece in &mut pieces {
            let ledger = piece.ledger;
            let held = lock::acquire(ledger.number, file);
            HELD.with_borrow_mut(|all| all.push(Held { lock: held, file, ledger: ledger.number, head: None }));
            let mut head = head::get(file, ledger.number).or_else(|| store::head(ledger.number));
            for mut entry in piece.entries(&role, certificate, tx) {
                link(&mut entry, head.as_ref(), ledger.relation);
                let (_, hash) = entry.encode_and_hash().unwrap_or_else(|what| fault::broken(&what.to_string()));
                store::insert_entry(heap, indexes, ledger.number, &entry, &hash);
                head = Some(Head {
                    seq: entry.seq,
                    hash,
                    rows: entry.first_row + entry.rows,
                    at: entry.at,
                    closed: entry.kind == Kind::Close,
                });
            }
            HELD.with_borrow_mut(|all| all.iter_mut().last().map(|held| held.head = head));
        }
        pg_sys::CatalogCloseIndexes(indexes);
        // The lock on the table is kept, as for every write.
        pg_sys::table_close(heap, pg_sys::NoLock as i32);
        postpone_flush();
    }
}

/// Before a PREPARE: refused, because COMMIT PREPARED would run none of this. May raise.
pub fn before_prepare() {
    apply::before_commit();
    if pending::with(|pending| pending.has_work()) {
        error::raise(Reason::LedgerPrepare);
    }
}

/// After the commit record is inserted and the transaction is visible. Must not fail.
pub fn at_commit() {
    pending::try_with(pending::Pending::clear);
    apply::clear();
    HELD.with(|all| {
        let Ok(mut all) = all.try_borrow_mut() else { return };
        for held in all.drain(..) {
            if let Some(head) = &held.head {
                head::publish(held.file, held.ledger, head);
            }
            held.lock.release();
        }
    });
    restore_setting();
}

/// The transaction is gone; PostgreSQL drops the locks. Must not fail.
pub fn at_abort() {
    pending::try_with(pending::Pending::clear);
    apply::clear();
    HELD.with(|all| {
        let Ok(mut all) = all.try_borrow_mut() else { return };
        all.drain(..).for_each(|held| held.lock.forget());
    });
    restore_setting();
    FLUSH.set(false);
}

/// Registers for the moment when the locks of a committed transaction are gone; called once from `_PG_init`.
pub fn install() {
    // SAFETY: registered once per process, and the library is never unloaded.
    unsafe { pg_sys::RegisterResourceReleaseCallback(Some(on_release), std::ptr::null_mut()) };
}

/// The rows of one chain on their way into an entry.
struct Piece {
    ledger: store::Ledger,
    notes: Vec<pending::Note>,
    rows: u64,
    root: [u8; 32],
}

impl Piece {
    fn new(chain: Chain) -> Self {
        let ledger = chain.ledger;
        let (notes, tree) = chain.finish();
        Self { ledger, notes, rows: tree.size(), root: tree.root() }
    }

    /// The entries, without what depends on those before: the notes first, then the rows. Those of the transaction
    /// that opens a ledger are in its first entry.
    fn entries(&mut self, role: &str, certificate: Option<[u8; 32]>, tx: Option<i64>) -> Vec<Entry> {
        let blank = Entry {
            ledger: self.ledger.id,
            seq: 0,
            kind: Kind::Rows,
            tx: 0,
            first_row: 0,
            rows: 0,
            root: EMPTY_ROOT,
            at: shmem::now(),
            certificate,
            role: role.to_owned(),
            detail: String::new(),
            previous: [0; 32],
        };
        let mut entries: Vec<Entry> = std::mem::take(&mut self.notes)
            .into_iter()
            .map(|note| Entry { kind: note.kind, detail: note.detail, ..blank.clone() })
            .collect();
        if self.rows > 0 {
            let opens = entries.first().is_some_and(|entry| entry.kind == Kind::Open);
            if !opens {
                entries.push(blank);
            }
            let at = if opens { 0 } else { entries.len() - 1 };
            if let Some(entry) = entries.get_mut(at) {
                entry.tx = tx.and_then(|tx| u64::try_from(tx).ok()).unwrap_or(0);
                entry.rows = self.rows;
                entry.root = self.root;
            }
        }
        entries
    }
}

fn link(entry: &mut Entry, head: Option<&Head>, relation: pg_sys::Oid) {
    match head {
        Some(head) if head.closed => error::raise(Reason::LedgerClosed { table: fault::table_name(relation) }),
        Some(head) => {
            entry.seq = head.seq + 1;
            entry.first_row = head.rows;
            entry.at = entry.at.max(head.at);
            entry.previous = head.hash;
        }
        None => entry.seq = 1,
    }
}

/// Turns off the flush inside the commit itself, to do it once the locks are gone. Not for remote_apply, whose commit
/// record asks the standby for an answer by the same variable.
fn postpone_flush() {
    // SAFETY: a variable of this backend, restored in `at_commit` and `at_abort`.
    unsafe {
        let wanted = pg_sys::synchronous_commit;
        let postponable = wanted > OFF && wanted < REMOTE_APPLY;
        if config::early_lock_release() && postponable && !HELD.with_borrow(Vec::is_empty) {
            SAVED.set(Some(wanted));
            pg_sys::synchronous_commit = OFF;
            FLUSH.set(true);
        }
    }
}

fn restore_setting() {
    if let Some(wanted) = SAVED.take() {
        // SAFETY: a variable of this backend.
        unsafe { pg_sys::synchronous_commit = wanted };
    }
}

// Called with interrupts held, after the commit: an error here would take the server down, so nothing is called that
// raises one. XLogFlush panics where it cannot write, as it does within any commit.
unsafe extern "C-unwind" fn on_release(
    phase: pg_sys::ResourceReleasePhase::Type,
    is_commit: bool,
    is_top_level: bool,
    _argument: *mut core::ffi::c_void,
) {
    if phase == pg_sys::ResourceReleasePhase::RESOURCE_RELEASE_AFTER_LOCKS && is_commit && is_top_level && FLUSH.take()
    {
        // SAFETY: the end of the commit record that was just inserted; the setting is restored, so the wait is the
        // one that the session asked for.
        unsafe {
            raw::XLogFlush(pg_sys::XactLastCommitEnd);
            raw::SyncRepWaitForLSN(pg_sys::XactLastCommitEnd, true);
        }
    }
}

/// A chain that is locked until the commit record is inserted.
struct Held {
    lock: lock::Lock,
    file: pg_sys::Oid,
    ledger: i32,
    /// What its newest entry is once we are committed.
    head: Option<Head>,
}

mod raw {
    unsafe extern "C-unwind" {
        pub fn XLogFlush(position: u64);
        pub fn SyncRepWaitForLSN(position: u64, commit: bool);
    }
}

thread_local! {
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
    static SAVED: Cell<Option<i32>> = const { Cell::new(None) };
    static FLUSH: Cell<bool> = const { Cell::new(false) };
}
const OFF: i32 = pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_OFF as i32;
const REMOTE_APPLY: i32 = pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_REMOTE_APPLY as i32;
