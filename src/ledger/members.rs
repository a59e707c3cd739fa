//! The tables that hold a ledger's rows.

use super::fault;
use super::store::Ledger;
use pgrx::prelude::*;

/// The ledger's own table and its partitions, at every level: number, whether it holds rows.
pub fn of(ledger: Ledger) -> Vec<(pg_sys::Oid, bool)> {
    below(ledger.relation)
}

/// The same of one of its partitions.
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
