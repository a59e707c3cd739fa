//! The decisions of kakunin, without PostgreSQL.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no randomness, no `unsafe`. The
//! extension ("the face") fetches bytes, time and settings, calls in here, and acts on the answer. That is why
//! every rule can be tested without a server, and why the same code can run in an offline checker.

pub mod certificate;
pub mod json;
pub mod ledger;
pub mod limits;
pub mod model_hash;
pub mod reason;
pub mod scope;
pub mod session;
pub mod signer;
pub mod time;

pub use reason::{Class, Reason};
pub use time::UnixTime;
