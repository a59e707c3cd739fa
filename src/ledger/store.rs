//! The ledger's own tables, read and written directly. As in [`crate::catalog`], not through SPI: whoever inserts into a
//! ledger must not need a privilege on them, and a head must be read as it is now, whatever the transaction's snapshot.

mod tuple;

use super::{fault, raw};
use kakunin_core::UnixTime;
use kakunin_core::ledger::chain::Head;
use kakunin_core::ledger::entry::Column;
use kakunin_core::ledger::{Entry, Kind, LedgerId};
use pgrx::prelude::*;
use std::cell::RefCell;
use std::ffi::CStr;

pub use tuple::{Fields, Values};

use crate::shmem::POSTGRES_EPOCH_MICROS;

/// One of our tables, by name: its number, looked up once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Ledger,
    LedgerId,
    LedgerRelation,
    Column,
    ColumnKey,
    Entry,
    EntryKey,
    Redaction,
    RedactionKey,
    TxNumber,
    LedgerNumber,
    Log,
    LogRange,
    LogRangeKey,
    LogRangeLedger,
    LogTile,
    LogTileKey,
    Checkpoint,
    CheckpointKey,
}

impl Table {
    fn name(self) -> &'static CStr {
        match self {
            Self::Ledger => c"ledger",
            Self::LedgerId => c"ledger_id_key",
            Self::LedgerRelation => c"ledger_relation_key",
            Self::Column => c"ledger_column",
            Self::ColumnKey => c"ledger_column_pkey",
            Self::Entry => c"ledger_entry",
            Self::EntryKey => c"ledger_entry_pkey",
            Self::Redaction => c"ledger_redaction",
            Self::RedactionKey => c"ledger_redaction_pkey",
            Self::TxNumber => c"ledger_tx_number",
            Self::LedgerNumber => c"ledger_number_seq",
            Self::Log => c"log",
            Self::LogRange => c"log_range",
            Self::LogRangeKey => c"log_range_pkey",
            Self::LogRangeLedger => c"log_range_ledger_first_seq_key",
            Self::LogTile => c"log_tile",
            Self::LogTileKey => c"log_tile_pkey",
            Self::Checkpoint => c"checkpoint",
            Self::CheckpointKey => c"checkpoint_pkey",
        }
    }

    /// Its number; zero while there is none.
    pub fn oid(self) -> pg_sys::Oid {
        let known = OIDS.with_borrow(|oids| oids.iter().find(|(table, _)| *table == self).map(|(_, oid)| *oid));
        if let Some(oid) = known {
            return oid;
        }
        // SAFETY: catalogue lookups; unknown names give zero.
        let oid = unsafe {
            let schema = pg_sys::get_namespace_oid(c"kakunin".as_ptr(), true);
            pg_sys::get_relname_relid(self.name().as_ptr(), schema)
        };
        if oid != pg_sys::InvalidOid {
            OIDS.with_borrow_mut(|oids| oids.push((self, oid)));
        }
        oid
    }
}

/// Forgets what is known of a relation; zero stands for all. Called while messages are taken in: it must not fail.
pub fn forget(relation: pg_sys::Oid) {
    OIDS.with(|oids| {
        if let Ok(mut oids) = oids.try_borrow_mut() {
            oids.retain(|(_, oid)| relation != pg_sys::InvalidOid && *oid != relation);
        }
    });
}

/// Does this relation come with the extension?
pub fn is_ours(relation: pg_sys::Oid) -> bool {
    // SAFETY: catalogue lookups; unknown names give zero.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"kakunin".as_ptr(), true);
        schema != pg_sys::InvalidOid && pg_sys::get_rel_namespace(relation) == schema
    }
}

/// A ledger, as kakunin.ledger has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub number: i32,
    pub id: LedgerId,
    pub relation: pg_sys::Oid,
}

/// The ledger of this id.
pub fn ledger_by_id(id: &LedgerId) -> Option<Ledger> {
    let mut bytes = id.0;
    let key = Key::equal(LEDGER_ID, pg_sys::F_UUID_EQ, pg_sys::Datum::from(bytes.as_mut_ptr()));
    one_ledger(Table::LedgerId, key)
}

/// The ledger whose table this is.
pub fn ledger_by_relation(relation: pg_sys::Oid) -> Option<Ledger> {
    let key = Key::equal(LEDGER_RELATION, pg_sys::F_OIDEQ, pg_sys::Datum::from(relation));
    one_ledger(Table::LedgerRelation, key)
}

/// All of them, by number.
pub fn ledgers() -> Vec<Ledger> {
    let mut ledgers = Vec::new();
    scan(Table::Ledger, None, &[], &mut |fields| ledgers.extend(ledger(fields)));
    ledgers.sort_by_key(|ledger: &Ledger| ledger.number);
    ledgers
}

/// The column map of a ledger, by number.
pub fn columns(ledger: i32) -> Vec<Column> {
    let key = Key::integer(1, ledger);
    let mut columns = Vec::new();
    scan(Table::Column, Some(Table::ColumnKey), &[key], &mut |fields| {
        columns.extend((|| {
            Some(Column {
                number: u16::try_from(fields.integer(2)?).ok()?,
                name: fields.name(3)?,
                r#type: fields.text(4)?,
                redactable: fields.boolean(5)?,
            })
        })());
    });
    columns.sort_by_key(|column: &Column| column.number);
    columns
}

/// What stands for an erased value: of this ledger, transaction, row and column.
pub fn commitment(ledger: i32, tx: i64, row: i32, number: u16) -> Option<[u8; 32]> {
    let number = i32::from(number);
    let keys = [Key::integer(1, ledger), Key::bigint(2, tx), Key::integer(3, row), Key::integer(4, number)];
    let mut found = None;
    scan(Table::Redaction, Some(Table::RedactionKey), &keys, &mut |fields| {
        found = fields.bytes(5).and_then(|bytes| bytes.try_into().ok());
    });
    found
}

/// Transaction, row and column of each value of a ledger that was erased.
///
/// # Safety
/// The snapshot is registered.
pub unsafe fn redactions_as_of(ledger: i32, snapshot: pg_sys::Snapshot) -> Vec<(u64, u64, u16)> {
    let mut found = Vec::new();
    let key = [Key::integer(1, ledger)];
    let mut visit = |fields: &Fields<'_>| {
        found.extend((|| {
            let (tx, row) = (fields.bigint(2)?, fields.integer(3)?);
            Some((u64::try_from(tx).ok()?, u64::try_from(row).ok()?, u16::try_from(fields.integer(4)?).ok()?))
        })());
        true
    };
    // SAFETY: by the caller's promise.
    unsafe { in_order_as_of(Table::Redaction, Table::RedactionKey, &key, Order::Ascending, snapshot, &mut visit) };
    found
}

/// The newest entry of a ledger, as it is committed now.
pub fn head(ledger: i32) -> Option<Head> {
    let mut found = None;
    // SAFETY: the relations are open and locked during the scan; SnapshotSelf sees what is committed at this moment,
    // and what this transaction wrote. The tuple is read before the scan ends.
    unsafe {
        let heap = open(Table::Entry, pg_sys::AccessShareLock)?;
        let index = pg_sys::index_open(Table::EntryKey.oid(), pg_sys::AccessShareLock as i32);
        let mut key = Key::integer(1, ledger).scan_key();
        let scan = pg_sys::index_beginscan(heap, index, &raw mut pg_sys::SnapshotSelfData, 1, 0);
        pg_sys::index_rescan(scan, &mut key, 1, std::ptr::null_mut(), 0);
        let slot = pg_sys::table_slot_create(heap, std::ptr::null_mut());
        if pg_sys::index_getnext_slot(scan, pg_sys::ScanDirection::BackwardScanDirection, slot) {
            let mut owned = false;
            let tuple = pg_sys::ExecFetchSlotHeapTuple(slot, false, &mut owned);
            found = Fields::of(tuple, (*heap).rd_att).and_then(|fields| head_of(&fields));
        }
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::index_endscan(scan);
        pg_sys::index_close(index, pg_sys::AccessShareLock as i32);
        pg_sys::table_close(heap, pg_sys::AccessShareLock as i32);
    }
    found
}

/// Entries of a ledger in order of `seq`, from one on, until `visit` says false.
///
/// # Safety
/// The snapshot is registered.
pub unsafe fn entries_as_of(
    ledger: i32,
    from: i64,
    snapshot: pg_sys::Snapshot,
    visit: &mut dyn FnMut(&Fields<'_>) -> bool,
) {
    let keys = [Key::integer(1, ledger), Key::bigint_from(2, from)];
    // SAFETY: by the caller's promise.
    unsafe { in_order_as_of(Table::Entry, Table::EntryKey, &keys, Order::Ascending, snapshot, visit) };
}

/// Rows in the order of an index, until `visit` says false, as they are now. The columns of keys are the index's.
pub fn in_order(table: Table, index: Table, keys: &[Key], order: Order, visit: &mut dyn FnMut(&Fields<'_>) -> bool) {
    // SAFETY: the snapshot is registered until the scan is over; after an error, PostgreSQL's resource owner drops it.
    unsafe {
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        in_order_as_of(table, index, keys, order, snapshot, visit);
        pg_sys::UnregisterSnapshot(snapshot);
    }
}

/// Rows in the order of an index, until `visit` says false, as the snapshot sees them.
///
/// # Safety
/// The snapshot is registered.
pub unsafe fn in_order_as_of(
    table: Table,
    index: Table,
    keys: &[Key],
    order: Order,
    snapshot: pg_sys::Snapshot,
    visit: &mut dyn FnMut(&Fields<'_>) -> bool,
) {
    // SAFETY: as in `head`.
    unsafe {
        let Some(heap) = open(table, pg_sys::AccessShareLock) else { return };
        let index = pg_sys::index_open(index.oid(), pg_sys::AccessShareLock as i32);
        let mut keys: Vec<pg_sys::ScanKeyData> = keys.iter().map(Key::scan_key).collect();
        let scan = pg_sys::index_beginscan(heap, index, snapshot, keys.len() as i32, 0);
        pg_sys::index_rescan(scan, keys.as_mut_ptr(), keys.len() as i32, std::ptr::null_mut(), 0);
        let slot = pg_sys::table_slot_create(heap, std::ptr::null_mut());
        let mut fields = Fields::room((*heap).rd_att);
        let direction = match order {
            Order::Ascending => pg_sys::ScanDirection::ForwardScanDirection,
            Order::Descending => pg_sys::ScanDirection::BackwardScanDirection,
        };
        while pg_sys::index_getnext_slot(scan, direction, slot) {
            pg_sys::check_for_interrupts!();
            let mut owned = false;
            fields.fill(pg_sys::ExecFetchSlotHeapTuple(slot, false, &mut owned));
            if !visit(&fields) {
                break;
            }
        }
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::index_endscan(scan);
        pg_sys::index_close(index, pg_sys::AccessShareLock as i32);
        pg_sys::table_close(heap, pg_sys::AccessShareLock as i32);
    }
}

/// The way through an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// A row of kakunin.ledger_entry as the entry that it states, and the hash that is stored with it. None where a
/// column holds what no entry can.
pub fn entry(fields: &Fields<'_>, ledger: LedgerId) -> Option<(Entry, [u8; 32])> {
    let unsigned = |column| fields.bigint(column).and_then(|value| u64::try_from(value).ok());
    let entry = Entry {
        ledger,
        seq: unsigned(2)?,
        kind: Kind::from_number(u8::try_from(fields.smallint(3)?).ok()?)?,
        tx: unsigned(4)?,
        first_row: unsigned(5)?,
        rows: unsigned(6)?,
        root: fields.bytes(7)?.try_into().ok()?,
        at: UnixTime(fields.bigint(8)?.checked_add(POSTGRES_EPOCH_MICROS)?),
        certificate: match fields.bytes(9) {
            None => None,
            Some(hash) => Some(hash.try_into().ok()?),
        },
        role: fields.text(10)?,
        detail: fields.text(11)?,
        previous: fields.bytes(12)?.try_into().ok()?,
    };
    Some((entry, fields.bytes(13)?.try_into().ok()?))
}

/// Opens one of our tables; None while the extension is not there.
///
/// # Safety
/// The caller closes it.
pub unsafe fn open(table: Table, lock: u32) -> Option<pg_sys::Relation> {
    let oid = table.oid();
    // SAFETY: the table exists, or the lookup gave zero.
    (oid != pg_sys::InvalidOid).then(|| unsafe { pg_sys::table_open(oid, lock as i32) })
}

fn one_ledger(index: Table, key: Key) -> Option<Ledger> {
    let mut found = None;
    scan(Table::Ledger, Some(index), &[key], &mut |fields| found = ledger(fields));
    found
}

fn ledger(fields: &Fields<'_>) -> Option<Ledger> {
    Some(Ledger {
        number: fields.integer(1)?,
        id: LedgerId(fields.uuid(2)?),
        relation: pg_sys::Oid::from(fields.integer(3)?.cast_unsigned()),
    })
}

fn head_of(fields: &Fields<'_>) -> Option<Head> {
    // The ledger's id is not in the row, and does not matter for a head.
    let (entry, hash) = entry(fields, LedgerId::default())?;
    Some(Head {
        seq: entry.seq,
        hash,
        rows: entry.first_row.checked_add(entry.rows)?,
        at: entry.at,
        closed: entry.kind == Kind::Close,
    })
}

/// What a scan asks of a column.
pub struct Key {
    column: i16,
    strategy: u32,
    function: u32,
    value: pg_sys::Datum,
}

impl Key {
    fn equal(column: i16, function: u32, value: pg_sys::Datum) -> Self {
        Self { column, strategy: pg_sys::BTEqualStrategyNumber, function, value }
    }

    /// An integer column is this.
    pub fn integer(column: i16, value: i32) -> Self {
        Self::equal(column, pg_sys::F_INT4EQ, pg_sys::Datum::from(value))
    }

    /// A smallint column is this.
    pub fn smallint(column: i16, value: i16) -> Self {
        Self::equal(column, pg_sys::F_INT2EQ, pg_sys::Datum::from(value))
    }

    /// A bigint column is this.
    pub fn bigint(column: i16, value: i64) -> Self {
        Self::equal(column, pg_sys::F_INT8EQ, pg_sys::Datum::from(value))
    }

    /// A bigint column is this or more.
    pub fn bigint_from(column: i16, value: i64) -> Self {
        let strategy = pg_sys::BTGreaterEqualStrategyNumber;
        Self { column, strategy, function: pg_sys::F_INT8GE, value: pg_sys::Datum::from(value) }
    }

    /// A bigint column is this or less.
    pub fn bigint_to(column: i16, value: i64) -> Self {
        let strategy = pg_sys::BTLessEqualStrategyNumber;
        Self { column, strategy, function: pg_sys::F_INT8LE, value: pg_sys::Datum::from(value) }
    }

    fn scan_key(&self) -> pg_sys::ScanKeyData {
        // SAFETY: a comparison on the column's type, and its strategy.
        unsafe {
            let mut key: pg_sys::ScanKeyData = std::mem::zeroed();
            let function = pg_sys::Oid::from(self.function);
            pg_sys::ScanKeyInit(&mut key, self.column, self.strategy as u16, function, self.value);
            key
        }
    }
}

/// Calls `visit` for each row, with a snapshot taken now.
pub fn scan(table: Table, index: Option<Table>, keys: &[Key], visit: &mut dyn FnMut(&Fields<'_>)) {
    // SAFETY: the relation stays open and locked during the scan; a NULL snapshot makes systable_beginscan take a
    // fresh one; each tuple is read before the next is fetched.
    unsafe {
        let Some(heap) = open(table, pg_sys::AccessShareLock) else { return };
        let mut scan_keys: Vec<pg_sys::ScanKeyData> = keys.iter().map(Key::scan_key).collect();
        let scan = pg_sys::systable_beginscan(
            heap,
            index.map_or(pg_sys::InvalidOid, Table::oid),
            index.is_some(),
            std::ptr::null_mut(),
            scan_keys.len() as i32,
            scan_keys.as_mut_ptr(),
        );
        let mut fields = Fields::room((*heap).rd_att);
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            fields.fill(tuple);
            visit(&fields);
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(heap, pg_sys::AccessShareLock as i32);
    }
}

/// Adds a row to one of our tables.
///
/// # Safety
/// `fill` gives the values of its columns, in order.
pub unsafe fn insert(table: Table, fill: impl FnOnce(&mut Values)) {
    let mut values = Values::new();
    fill(&mut values);
    // SAFETY: by the caller's promise that the values fit the table.
    unsafe {
        let Some(heap) = open(table, pg_sys::RowExclusiveLock) else {
            fault::broken("a table of the extension is not there")
        };
        let indexes = pg_sys::CatalogOpenIndexes(heap);
        values.insert(heap, indexes);
        pg_sys::CatalogCloseIndexes(indexes);
        pg_sys::table_close(heap, pg_sys::NoLock as i32);
    }
}

/// Adds an entry to kakunin.ledger_entry, which the caller has open with its indexes.
///
/// # Safety
/// Both are open, in a transaction.
pub unsafe fn insert_entry(
    heap: pg_sys::Relation,
    indexes: pg_sys::CatalogIndexState,
    ledger: i32,
    entry: &Entry,
    hash: &[u8; 32],
) {
    let signed =
        |value: u64| i64::try_from(value).unwrap_or_else(|_| fault::broken("a number of an entry is beyond 63 bits"));
    let mut values = Values::new();
    values.integer(ledger);
    values.bigint(signed(entry.seq));
    values.smallint(entry.kind as i16);
    values.bigint(signed(entry.tx));
    values.bigint(signed(entry.first_row));
    values.bigint(signed(entry.rows));
    values.bytes(&entry.root);
    values.bigint(entry.at.0 - POSTGRES_EPOCH_MICROS);
    match &entry.certificate {
        Some(hash) => values.bytes(hash),
        None => values.null(),
    }
    values.bytes(entry.role.as_bytes());
    values.bytes(entry.detail.as_bytes());
    values.bytes(&entry.previous);
    values.bytes(hash);
    // SAFETY: the values are of the table's columns, in order (pg_test/sql/schema.sql fails when they move).
    unsafe { values.insert(heap, indexes) };
}

/// A fresh number for a transaction.
pub fn next_transaction() -> i64 {
    next_value(Table::TxNumber)
}

/// The next value of one of our sequences.
pub fn next_value(sequence: Table) -> i64 {
    mod symbol {
        use pgrx::prelude::*;
        unsafe extern "C-unwind" {
            pub fn nextval_internal(relation: pg_sys::Oid, check_permissions: bool) -> i64;
        }
    }
    let sequence = sequence.oid();
    // SAFETY: the sequence exists while a function of the extension runs; without a check of privileges, because
    // whoever may insert may do this. An error inside is carried over by the guard.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| symbol::nextval_internal(sequence, false)) }
}

/// Where an attribute of this name is, from 0.
///
/// # Safety
/// The description is valid.
pub unsafe fn attribute_named(description: pg_sys::TupleDesc, name: &str) -> Option<usize> {
    // SAFETY: within the number of attributes; a name is NUL-terminated.
    unsafe {
        (0..usize::try_from((*description).natts).unwrap_or(0)).find(|at| {
            let attribute = raw::attribute(description, *at);
            !(*attribute).attisdropped
                && CStr::from_ptr((*attribute).attname.data.as_ptr()).to_bytes() == name.as_bytes()
        })
    }
}

thread_local! {
    static OIDS: RefCell<Vec<(Table, pg_sys::Oid)>> = const { RefCell::new(Vec::new()) };
}
// Positions of columns in sql/ledger.sql.
const LEDGER_ID: i16 = 2;
const LEDGER_RELATION: i16 = 3;
