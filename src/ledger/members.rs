//! The tables that hold a ledger's rows.

use super::fault;
use super::store::Ledger;
use pgrx::prelude::*;

/// The ledger's own table and its partitions, at every level: number, whether it holds rows.
pub fn of(ledger: Ledger) -> Vec<(pg_sys::Oid, bool)> {
    below(ledger.relation)
}

/// Locks them against every change of what they are, until the transaction ends. Called before a snapshot is taken, so that
/// what is read then is described by that snapshot: a partition that is pruned meanwhile would look like rows that are gone.
/// False if the ledger's own table is not there.
pub fn hold(ledger: Ledger) -> bool {
    for (member, _) in of(ledger) {
        // SAFETY: takes a lock on a number, whether or not a relation of it is left when it is granted.
        unsafe { pg_sys::LockRelationOid(member, pg_sys::AccessShareLock as i32) };
    }
    of(ledger).iter().any(|(member, _)| *member == ledger.relation)
}

/// A partition, and its own at every level.
pub fn below(relation: pg_sys::Oid) -> Vec<(pg_sys::Oid, bool)> {
    let query = "
        with recursive member(oid) as (
            select $1::oid union all
            select i.inhrelid from member m join pg_class p on p.oid = m.oid join pg_inherits i on i.inhparent = m.oid
             where p.relkind = 'p'
        )
        select m.oid, c.relkind = 'r' from member m join pg_class c on c.oid = m.oid order by m.oid";
    Spi::connect(|client| {
        let rows = client.select(query, None, &[relation.into()])?;
        rows.map(|row| Ok(row.get::<pg_sys::Oid>(1)?.zip(row.get::<bool>(2)?)))
            .collect::<Result<Vec<_>, pgrx::spi::Error>>()
    })
    .unwrap_or_else(|failure| fault::broken(&failure.to_string()))
    .into_iter()
    .flatten()
    .collect()
}
