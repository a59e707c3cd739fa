//! Real clusters, real clients and real tools for tests from outside.
//!
//! A test starts what it needs and drops it: [`Cluster`] a PostgreSQL with the extension (half a second),
//! [`Pooler`] a pgbouncer, [`Postgrest`] a PostgREST, [`Pki`] certificates made by the `openssl` program,
//! [`Python`] and [`Node`] other people's libraries. Nothing is shared between tests, so that they run side by
//! side, in one process or in many. `make private` builds the extension and puts it where a cluster finds it.

mod checks;
mod client;
mod clock;
mod cluster;
pub mod estate;
mod gateway;
pub mod ledger;
pub mod log;
mod node;
mod node_session;
pub mod offline;
mod pki;
mod place;
mod pooler;
mod postgrest;
mod process;
mod proof;
mod psql;
mod python;
mod refusals;
mod registry;
pub mod scene;
mod signer;
pub mod stage;
mod standby;
mod tool;
mod wait;

pub use checks::Checks;
pub use client::{DATABASE, Refusal, refusal_of, sqlstate_of};
pub use clock::Clock;
pub use cluster::{Builder, Cluster, ServerTls, Shutdown};
pub use gateway::{Answer, Gateway, GatewayBuilder, Request};
pub use node::Node;
pub use node_session::NodeSession;
pub use pki::{Authority, CaRequest, Identity, KeyType, LeafRequest, Pki};
pub use place::{Scratch, workspace};
pub use pooler::{PoolMode, Pooler};
pub use postgrest::{Postgrest, PostgrestSettings, http_get};
pub use process::give_to_server;
pub use proof::{claims, thumbprint};
pub use psql::{Output, PsqlSession, Reply};
pub use python::Python;
pub use refusals::Refusals;
pub use standby::Backup;
pub use wait::{DEADLINE, wait_until};
