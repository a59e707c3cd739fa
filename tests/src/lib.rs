//! The harness that the tests of this package share; each topic is a test file beside `harness/`.

#[path = "../harness/mod.rs"]
mod harness;

pub use harness::*;
