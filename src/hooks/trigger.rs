//! The trigger on the tables of trust. Written by hand, because one that is called as a plain function must say so in
//! PostgreSQL's words.

use crate::registry;
use pgrx::prelude::*;

/// `kakunin.trust_changed()`; sql/registry_face.sql declares it.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn kakunin_trust_changed(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: PostgreSQL passes a valid call; its context, if any, is a node with a tag.
    let is_trigger = unsafe {
        let context = (*call).context;
        !context.is_null() && (*context).type_ == pg_sys::NodeTag::T_TriggerData
    };
    if !is_trigger {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            "function \"trust_changed\" was not called by trigger manager",
            "trigger_only: It announces changes of the tables it is a trigger of."
        );
    }
    registry::trust_changes();
    // The result of an AFTER trigger is ignored.
    pg_sys::Datum::from(0)
}

/// How PostgreSQL learns the calling convention.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_kakunin_trust_changed() -> &'static pg_sys::Pg_finfo_record {
    &pg_sys::Pg_finfo_record { api_version: 1 }
}
