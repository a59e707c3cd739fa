//! How the rows of one table become bytes: worked out once per backend, and again when the table changes.

use super::codec::Codec;
use super::store::{self, Ledger};
use super::{apply, builtin, fault, raw};
use crate::error;
use kakunin_core::Reason;
use kakunin_core::ledger::entry::Column;
use kakunin_core::ledger::row::RowWriter;
use kakunin_core::ledger::{Hash, LedgerId, Malformed};
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// The columns that the extension adds.
pub const TX: &str = "ledger_tx";
/// See [`TX`].
pub const ROW: &str = "ledger_row";
/// See [`TX`]; only where there are redactable columns.
pub const SALT: &str = "ledger_salt";

/// The plan for one table: a ledger's own, or one of its partitions, whose columns may stand elsewhere.
pub struct Plan {
    pub ledger: Ledger,
    pub relation: pg_sys::Oid,
    fields: Vec<Field>,
    tx: usize,
    row: usize,
    salt: Option<usize>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    /// Did a subscription bring the rows when the plan was made?
    pub is_replica: bool,
    /// Of the row that was taken.
    place: Place,
    writer: RowWriter,
}

struct Field {
    number: u16,
    at: usize,
    redactable: bool,
    codec: Codec,
}

/// Where a row says it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub tx: i64,
    pub row: i32,
}

/// The plan for a table whose trigger names this ledger, or for one of ours, whose ledger is opened if there is none.
pub fn of(relation: pg_sys::Relation, id: Option<&LedgerId>) -> Rc<RefCell<Plan>> {
    // SAFETY: the caller has the relation open.
    let oid = unsafe { (*relation).rd_id };
    find(relation, id).unwrap_or_else(|| match id {
        Some(_) => error::raise(Reason::LedgerUnknown { table: fault::table_name(oid) }),
        None => make(relation, builtin::ledger(relation)),
    })
}

/// The same; None if there is no such ledger.
pub fn find(relation: pg_sys::Relation, id: Option<&LedgerId>) -> Option<Rc<RefCell<Plan>>> {
    // SAFETY: the caller has the relation open.
    let oid = unsafe { (*relation).rd_id };
    if let Some(plan) = known(oid) {
        return Some(plan);
    }
    let ledger = match id {
        Some(id) => store::ledger_by_id(id)?,
        None => store::ledger_by_relation(oid)?,
    };
    Some(make(relation, ledger))
}

/// Shared, because a codec can make PostgreSQL take in messages that drop it from the cache.
fn make(relation: pg_sys::Relation, ledger: Ledger) -> Rc<RefCell<Plan>> {
    // SAFETY: the caller has the relation open.
    let oid = unsafe { (*relation).rd_id };
    // Whoever owns a table can give it a trigger that names another's ledger.
    if !belongs(oid, ledger.relation) {
        error::raise(Reason::LedgerUnknown { table: fault::table_name(oid) });
    }
    let generation = GENERATION.get();
    let columns = store::columns(ledger.number);
    let mut plan = Plan::new(relation, ledger, &columns).unwrap_or_else(|reason| error::raise(reason));
    plan.is_replica = apply::is_replica(&raw::inheritors(ledger.relation));
    let plan = Rc::new(RefCell::new(plan));
    // If messages came in while it was made, it may be of a table that is no more.
    if generation == GENERATION.get() {
        PLANS.with_borrow_mut(|plans| plans.insert(oid, Rc::clone(&plan)));
    }
    plan
}

/// The plan for a table, if there is one.
pub fn known(relation: pg_sys::Oid) -> Option<Rc<RefCell<Plan>>> {
    PLANS.with_borrow(|plans| plans.get(&relation).cloned())
}

/// Finds where rows say they stand, without a plan for their table.
pub struct PlaceFinder {
    tx: i32,
    row: i32,
}

impl PlaceFinder {
    /// For rows of this description; None if it is not that of a ledger's table.
    ///
    /// # Safety
    /// The description is valid.
    pub unsafe fn of(description: pg_sys::TupleDesc) -> Option<Self> {
        // SAFETY: by the caller's promise.
        let number = |name| Some(i32::try_from(unsafe { store::attribute_named(description, name) }?).ok()? + 1);
        Some(Self { tx: number(TX)?, row: number(ROW)? })
    }

    /// The place of a row.
    ///
    /// # Safety
    /// The tuple is of the description that this was made for.
    pub unsafe fn place(&self, tuple: pg_sys::HeapTuple, description: pg_sys::TupleDesc) -> Option<Place> {
        let datum = |number| {
            let mut null = true;
            // SAFETY: by the caller's promise.
            let datum = unsafe { pg_sys::heap_getattr(tuple, number, description, &mut null) };
            (!null).then_some(datum)
        };
        Some(Place { tx: datum(self.tx)?.value() as i64, row: datum(self.row)?.value() as i32 })
    }
}

/// Is this the ledger's table, or one of its partitions?
fn belongs(relation: pg_sys::Oid, root: pg_sys::Oid) -> bool {
    relation == root || raw::partition_ancestors(relation).contains(&root)
}

/// Forgets the plan for a relation; zero stands for all. Called while messages are taken in: it must not fail.
pub fn forget(relation: pg_sys::Oid) {
    GENERATION.set(GENERATION.get().wrapping_add(1));
    PLANS.with(|plans| {
        if let Ok(mut plans) = plans.try_borrow_mut() {
            if relation == pg_sys::InvalidOid {
                plans.clear();
            } else {
                plans.remove(&relation);
            }
        }
    });
}

/// Forgets all plans, because a column map was changed.
pub fn forget_all() {
    forget(pg_sys::InvalidOid);
}

impl Plan {
    /// For a table that is open, by the column map of its ledger.
    pub fn new(relation: pg_sys::Relation, ledger: Ledger, columns: &[Column]) -> Result<Self, Reason> {
        // SAFETY: the caller has the relation open, so its description is valid.
        unsafe {
            let (oid, description) = ((*relation).rd_id, (*relation).rd_att);
            let missing = |column: &str| Reason::LedgerColumnUnsuitable {
                table: fault::table_name(oid),
                column: column.to_owned(),
                what: "is not there any more".to_owned(),
            };
            let place = |column: &str| store::attribute_named(description, column).ok_or_else(|| missing(column));
            let mut fields = Vec::with_capacity(columns.len());
            for column in columns {
                let at = place(&column.name)?;
                let codec = Codec::of((*raw::attribute(description, at)).atttypid).map_err(|what| {
                    let (table, column) = (fault::table_name(oid), column.name.clone());
                    Reason::LedgerColumnUnsuitable { table, column, what }
                })?;
                fields.push(Field { number: column.number, at, redactable: column.redactable, codec });
            }
            let width = usize::try_from((*description).natts).unwrap_or(0);
            let salt = if columns.iter().any(|column| column.redactable) { Some(place(SALT)?) } else { None };
            Ok(Self {
                ledger,
                relation: oid,
                fields,
                tx: place(TX)?,
                row: place(ROW)?,
                salt,
                values: vec![pg_sys::Datum::from(0); width],
                nulls: vec![true; width],
                is_replica: false,
                place: Place { tx: 0, row: 0 },
                writer: RowWriter::new(),
            })
        }
    }

    /// Takes a row apart and says where it claims to stand.
    ///
    /// # Safety
    /// The tuple is one of the table, as it is described now.
    pub unsafe fn take(&mut self, tuple: pg_sys::HeapTuple, description: pg_sys::TupleDesc) -> Option<Place> {
        // SAFETY: the buffers have room for each attribute of the description that the plan was made for.
        unsafe {
            if usize::try_from((*description).natts) != Ok(self.values.len()) {
                return None;
            }
            raw::heap_deform_tuple(tuple, description, self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
        }
        let datum = |at: usize| if *self.nulls.get(at)? { None } else { self.values.get(at) };
        self.place = Place { tx: datum(self.tx)?.value() as i64, row: datum(self.row)?.value() as i32 };
        Some(self.place)
    }

    /// The leaf hash of the row that was taken. What it allocates is in the current memory context.
    pub fn leaf(&mut self) -> Result<Hash, Malformed> {
        self.write();
        self.writer.leaf()
    }

    /// The bytes of the row that was taken.
    pub fn bytes(&mut self) -> Result<&[u8], Malformed> {
        self.write();
        self.writer.bytes()
    }

    /// Does the row that was taken have a salt for each redactable column? Without one its value would be hashed as
    /// it is, and one of zeros says that the value was erased.
    pub fn has_whole_salts(&self) -> bool {
        let secrets = self.fields.iter().filter(|field| field.redactable).count();
        let (salts, rest) = self.salts();
        secrets == 0 || salts.len() == secrets && rest.is_empty() && salts.iter().all(|salt| *salt != [0; 16])
    }

    /// The salts of the row that was taken, and what is left of the column behind them; they live as long as the row.
    fn salts<'a>(&self) -> (&'a [[u8; 16]], &'a [u8]) {
        let salts = self.salt.filter(|at| self.nulls.get(*at) == Some(&false)).and_then(|at| self.values.get(at));
        // SAFETY: the salt column is a bytea; its bytes live as long as the row that was taken.
        let salts: &'a [u8] = salts.map_or(&[], |salts| unsafe { raw::payload(*salts) });
        salts.as_chunks::<16>()
    }

    /// The columns of the row that was taken whose value and salt are gone, by number.
    pub fn erased(&self) -> Vec<u16> {
        let (salts, _) = self.salts();
        let secrets = self.fields.iter().filter(|field| field.redactable);
        let gone =
            secrets.zip(salts).filter(|(field, salt)| self.nulls.get(field.at) == Some(&true) && **salt == [0; 16]);
        gone.map(|(field, _)| field.number).collect()
    }

    fn write(&mut self) {
        self.writer.begin(&self.ledger.id);
        let (number, place) = (self.ledger.number, self.place);
        let (salts, _) = self.salts();
        let mut secret = 0;
        for field in &mut self.fields {
            let salt = if field.redactable {
                secret += 1;
                salts.get(secret - 1)
            } else {
                None
            };
            if self.nulls.get(field.at).copied().unwrap_or(true) {
                // A salt of zeros says that there was a value, which was erased with the salt.
                let erased = salt.is_some_and(|salt| *salt == [0; 16]);
                let commitment =
                    if erased { store::commitment(number, place.tx, place.row, field.number) } else { None };
                if let Some(commitment) = commitment {
                    self.writer.field(field.number);
                    self.writer.commitment(&commitment);
                }
                continue;
            }
            let Some(value) = self.values.get(field.at) else { continue };
            self.writer.field(field.number);
            if let Some(salt) = salt {
                self.writer.begin_redactable(salt);
            }
            // SAFETY: the codec was made for the column's type, and the value is that of the row that was taken.
            unsafe { field.codec.write(*value, &mut self.writer) };
            if salt.is_some() {
                self.writer.end();
            }
        }
    }
}

thread_local! {
    static PLANS: RefCell<HashMap<pg_sys::Oid, Rc<RefCell<Plan>>>> = RefCell::new(HashMap::new());
    static GENERATION: Cell<u64> = const { Cell::new(0) };
}
