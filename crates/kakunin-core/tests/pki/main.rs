//! The threat list for certificates and signatures, through the public interface. A test's name begins with the
//! number of its threat: encoding and names 1 to 9, serial numbers 10 to 13, algorithms and keys 14 to 18, time 20 to
//! 23, chains and revocation 24 to 27.

mod algorithms;
mod chain;
mod encoding;
mod names;
mod recipe;
mod revocation;
mod rsa;
mod serial;
mod time;
