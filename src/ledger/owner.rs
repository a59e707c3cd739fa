//! Acting as the owner of a table, whose triggers and functions may run: never as whoever owns the extension.

use pgrx::prelude::*;

/// Acts as the owner of the table, in the way that PostgreSQL does for maintenance: the role cannot be changed.
pub fn act_as<T>(relation: pg_sys::Oid, act: impl FnOnce() -> T) -> T {
    // SAFETY: the context before is put back; after an error, PostgreSQL does that.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, pg_sys::Datum::from(relation));
        if tuple.is_null() {
            super::fault::broken("a ledger's table is not there");
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(tuple);
        let (mut user, mut context) = (pg_sys::InvalidOid, 0);
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        let restricted = (pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION) as i32;
        pg_sys::SetUserIdAndSecContext(owner, context | restricted);
        let result = act();
        pg_sys::SetUserIdAndSecContext(user, context);
        result
    }
}

/// The same for a query, which row-level security may not answer with fewer rows: it fails instead.
pub fn read_as<T>(relation: pg_sys::Oid, query: impl FnOnce() -> T) -> T {
    act_as(relation, || {
        // SAFETY: the setting is put back below; after an error, PostgreSQL does that.
        unsafe {
            let level = pg_sys::NewGUCNestLevel();
            pg_sys::set_config_option(
                c"row_security".as_ptr(),
                c"off".as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
            let result = query();
            pg_sys::AtEOXact_GUC(true, level);
            result
        }
    })
}
