//! The threat list for certificates and signatures, through the public interface. A test's name begins with the
//! number of its threat: encoding and names 1 to 9, serial numbers 10 to 13, algorithms and keys 14 to 18, time 20 to
//! 23, chains and revocation 24 to 27. Proofs and scopes have their numbers, 14 and 32 to 39, in the unit tests beside
//! them. Numbers 12, 19 and 28 to 31 are about issuing certificates, lists and answers and about rows in a table, of
//! which this crate knows nothing.

mod algorithms;
mod chain;
mod constraints;
mod encoding;
mod keys;
mod names;
mod recipe;
mod revocation;
mod rsa;
mod serial;
mod time;
