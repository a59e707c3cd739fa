//! The triggers of a ledger: they stay what attach_ledger() made them, and fire always.

use super::family::{self, Standing};
use super::kind::Kind;
use super::look::{self, Row};
use super::{frame, refusal};
use crate::error;
use crate::ledger::table_name;
use kakunin_core::Reason;
use pgrx::prelude::*;
use std::ffi::CStr;

/// A trigger was made, altered, or is about to be dropped.
pub fn check(access: pg_sys::ObjectAccessType::Type, trigger: pg_sys::Oid) {
    let Some(row) = look::row(look::TRIGGERS, trigger) else { return };
    let Some(relation) = row.oid(c"tgrelid") else { return };
    match family::standing(relation) {
        Standing::Stranger => {}
        Standing::Ledger(root) => {
            if is_ours(&row) && !may_be(access, &row, root) {
                let trigger = row.name(c"tgname").unwrap_or_default().to_string_lossy().into_owned();
                error::raise(Reason::LedgerTrigger { trigger, table: table_name(relation) });
            }
        }
        standing => {
            // Foreign keys that point to a table have triggers on it.
            if row.bool(c"tgisinternal") != Some(true) {
                refusal::definition("CREATE, ALTER or DROP TRIGGER", relation, standing);
            }
        }
    }
}

fn is_ours(row: &Row) -> bool {
    let function = function_of(row);
    OURS.iter().any(|ours| row.name(c"tgname").as_deref() == Some(ours.name) || function == Some(ours.function))
}

/// Is this what attach_ledger() makes, or what is about to become that?
fn may_be(access: pg_sys::ObjectAccessType::Type, row: &Row, root: pg_sys::Oid) -> bool {
    let enabled = match access {
        // A restore makes the trigger first, and then has it fire always.
        pg_sys::ObjectAccessType::OAT_POST_CREATE => frame::innermost() != Kind::CreateTrigger { replaces: true },
        pg_sys::ObjectAccessType::OAT_POST_ALTER => row.char(c"tgenabled") == Some(b'A'),
        _ => false,
    };
    let name = row.name(c"tgname");
    let Some(ours) = OURS.iter().find(|ours| name.as_deref() == Some(ours.name)) else { return false };
    let arguments = if ours.named { uuid_text(root) } else { Some(Vec::new()) };
    enabled
        && function_of(row) == Some(ours.function)
        && row.int2(c"tgtype") == Some(ours.events)
        && row.bytes(c"tgargs") == arguments
        && row.bool(c"tgdeferrable") == Some(false)
        && !row.has(c"tgqual")
        && row.columns(c"tgattr") == Some(0)
}

/// The function's name, if it is one of ours.
fn function_of(row: &Row) -> Option<&'static CStr> {
    let function = row.oid(c"tgfoid")?;
    // SAFETY: an unknown function gives 0 and NULL.
    unsafe {
        if Some(pg_sys::get_func_namespace(function)) != look::schema() {
            return None;
        }
        let name = pg_sys::get_func_name(function);
        if name.is_null() {
            return None;
        }
        OURS.iter().map(|ours| ours.function).find(|ours| *ours == CStr::from_ptr(name))
    }
}

/// The ledger's id as a trigger's only argument.
fn uuid_text(root: pg_sys::Oid) -> Option<Vec<u8>> {
    let id = family::id_of(root)?;
    let mut text = String::new();
    for (position, byte) in id.iter().enumerate() {
        if [4, 6, 8, 10].contains(&position) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('\0');
    Some(text.into_bytes())
}

/// A trigger that attach_ledger() makes.
struct Ours {
    name: &'static CStr,
    function: &'static CStr,
    /// pg_trigger.tgtype
    events: i16,
    /// Is the ledger's id its argument?
    named: bool,
}

// Bits of tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate.
const OURS: [Ours; 3] = [
    Ours { name: c"ledger_append", function: c"ledger_append", events: 1 | 4, named: true },
    Ours { name: c"ledger_refuse", function: c"ledger_refuse", events: 1 | 2 | 8 | 16, named: false },
    Ours { name: c"ledger_refuse_statement", function: c"ledger_refuse", events: 2 | 8 | 16 | 32, named: false },
];
