//! Which utility statements are running, one inside the other, and which of them the extension issued itself.
//!
//! A frame holds no pointer: an error jumps past us without destructors, and what it leaves behind is only cut off when
//! its (sub)transaction aborts.

use super::kind::Kind;
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};

/// Lets the utility statements through that `act` issues directly, by SPI. Not those that they bring about in turn, such
/// as a user's function in a check constraint, or an event trigger; and no UPDATE or DELETE.
pub fn allowed<T>(act: impl FnOnce() -> T) -> T {
    let allowance = Allowance { depth: depth(), level: transaction_level() };
    let _restored = Restore(ALLOWANCE.replace(Some(allowance)));
    act()
}

/// A transaction ended without success: nothing that ran in it runs on, but a procedure that rolled back, whose frame
/// says nothing that is needed after that.
pub fn at_abort() {
    FRAMES.with_borrow_mut(Vec::clear);
    ALLOWANCE.set(None);
    super::column::forget(0);
    super::partition::forget(0);
}

/// A savepoint or a block with an exception handler was rolled back, and with it what was begun in it.
pub fn at_subtransaction_abort() {
    let level = transaction_level();
    FRAMES.with_borrow_mut(|frames| {
        while frames.last().is_some_and(|frame| frame.level >= level) {
            frames.pop();
        }
    });
    if ALLOWANCE.get().is_some_and(|allowance| allowance.level >= level) {
        ALLOWANCE.set(None);
    }
    super::column::forget(level);
    super::partition::forget(level);
}

/// A statement begins. Answers how many are around it.
pub fn enter(kind: Kind) -> usize {
    let level = transaction_level();
    FRAMES.with_borrow_mut(|frames| {
        frames.push(Frame { kind, level });
        frames.len() - 1
    })
}

/// It ended, and all that was begun in it.
pub fn leave(depth: usize) {
    FRAMES.with_borrow_mut(|frames| frames.truncate(depth));
}

/// A mark of the innermost statement, for what is to be looked at when it ends, and not before.
pub fn mark() -> Mark {
    Mark { depth: depth().saturating_sub(1), level: transaction_level() }
}

/// Which statement it was, and in which (sub)transaction.
#[derive(Clone, Copy)]
pub struct Mark {
    depth: usize,
    level: i32,
}

impl Mark {
    /// Has it ended, when the statement at this depth has?
    pub fn ended_with(self, depth: usize) -> bool {
        self.depth >= depth
    }

    /// Is it undone, when a (sub)transaction at this level is?
    pub fn undone_with(self, level: i32) -> bool {
        self.level >= level
    }
}

/// The innermost statement.
pub fn innermost() -> Kind {
    FRAMES.with_borrow(|frames| frames.last().map_or(Kind::Other, |frame| frame.kind))
}

/// May the statement that is about to begin do as it likes?
pub fn statement_is_allowed() -> bool {
    is_allowed_at(depth())
}

/// May the statement that is running do as it likes?
pub fn object_is_allowed() -> bool {
    depth().checked_sub(1).is_some_and(is_allowed_at)
}

/// May an UPDATE or DELETE be executed now?
pub fn write_is_allowed() -> bool {
    is_own_script_at(depth())
}

fn is_allowed_at(depth: usize) -> bool {
    ALLOWANCE.get().is_some_and(|allowance| allowance.depth == depth) || is_own_script_at(depth)
}

/// Is what happens at this depth a statement of an install or upgrade script of this extension?
fn is_own_script_at(depth: usize) -> bool {
    let inside = FRAMES.with_borrow(|frames| {
        depth.checked_sub(1).and_then(|outer| frames.get(outer)).is_some_and(|frame| frame.kind == Kind::Extension)
    });
    // SAFETY: reads two variables of this backend.
    inside && unsafe { pg_sys::creating_extension && pg_sys::CurrentExtensionObject == super::look::extension() }
}

fn depth() -> usize {
    FRAMES.with_borrow(Vec::len)
}

fn transaction_level() -> i32 {
    // SAFETY: reads a variable of this backend.
    unsafe { pg_sys::GetCurrentTransactionNestLevel() }
}

struct Frame {
    kind: Kind,
    level: i32,
}

#[derive(Clone, Copy)]
struct Allowance {
    depth: usize,
    level: i32,
}

/// Puts the allowance back that was there before. Dropped on unwinding too.
struct Restore(Option<Allowance>);

impl Drop for Restore {
    fn drop(&mut self) {
        ALLOWANCE.set(self.0);
    }
}

thread_local! {
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
    static ALLOWANCE: Cell<Option<Allowance>> = const { Cell::new(None) };
}
