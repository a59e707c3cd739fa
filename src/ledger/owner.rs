//! Acting as the owner of a table, whose triggers and functions may run: never as whoever owns the extension.

use pgrx::prelude::*;

/// Acts as the owner of the table, in the way that PostgreSQL does for maintenance: the role cannot be changed. Row-level
/// security that is forced on owners does not count, as in PostgreSQL's own checks of foreign keys.
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
        let restricted = (pg_sys::SECURITY_LOCAL_USERID_CHANGE
            | pg_sys::SECURITY_RESTRICTED_OPERATION
            | pg_sys::SECURITY_NOFORCE_RLS) as i32;
        pg_sys::SetUserIdAndSecContext(owner, context | restricted);
        let result = act();
        pg_sys::SetUserIdAndSecContext(user, context);
        result
    }
}
