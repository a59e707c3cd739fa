//! Tables that become partitions of a ledger.

use super::{frame, look};
use crate::ledger::table_name;
use crate::{error, ledger};
use kakunin_core::Reason;
use pgrx::prelude::*;
use std::cell::RefCell;

/// What becomes a partition of a ledger brings no rows, and keeps those that come.
pub fn joins(child: pg_sys::Oid) {
    for member in look::descendants(child) {
        let found = look::class(member, |class| {
            (class.relkind as u8, class.relpersistence as u8, class.relhasrules, class.relam)
        });
        let what = match found {
            Some((b'p', ..)) => None,
            Some((b'r', b'p', true, _)) => Some("has a rule"),
            Some((b'r', b'p', false, HEAP)) => {
                look::has_rows(member).then_some("has rows already, which no entry names")
            }
            Some((b'r', b'p', ..)) => Some("is not stored as a heap"),
            Some((b'r', ..)) => Some("is not a permanent table"),
            _ => Some("is not a table of this database"),
        };
        if let Some(what) = what {
            error::raise(Reason::LedgerPartition { partition: table_name(member), what });
        }
        JOINED.with_borrow_mut(|joined| joined.push(Joined { partition: member, mark: frame::mark() }));
    }
}

/// The statement at this depth has ended: partitions that it made or attached get what PostgreSQL does not copy from the
/// ledger's table, the trigger for statements.
pub fn complete(depth: usize) {
    let joined: Vec<Joined> = JOINED.with_borrow_mut(|joined| {
        let (ended, open) = std::mem::take(joined).into_iter().partition(|joined| joined.mark.ended_with(depth));
        *joined = open;
        ended
    });
    if !joined.is_empty() {
        // SAFETY: between the statement and the end of it; what it did becomes visible here instead of there.
        unsafe { pg_sys::CommandCounterIncrement() };
        joined.into_iter().for_each(|joined| ledger::partition_joined(joined.partition));
    }
}

/// What joined within a (sub)transaction of this level or deeper has not.
pub fn forget(level: i32) {
    JOINED.with_borrow_mut(|joined| joined.retain(|joined| !joined.mark.undone_with(level)));
}

struct Joined {
    partition: pg_sys::Oid,
    mark: frame::Mark,
}

thread_local! {
    static JOINED: RefCell<Vec<Joined>> = const { RefCell::new(Vec::new()) };
}
/// Row of pg_am that initdb makes with a fixed number.
const HEAP: pg_sys::Oid = pg_sys::Oid::from_u32(2);
