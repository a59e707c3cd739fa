//! What binds an agent certificate to a database session.
//!
//! A [`proof`] is made by the agent's key and good for one use, which [`replay`] remembers. A gateway's word comes
//! as [`claims`], checked again with [`jwt`] where a key is configured. Both end in a [`binding`].

pub mod binding;
pub mod claims;
mod compact;
pub mod jwt;
pub mod proof;
pub mod replay;

#[cfg(test)]
pub(crate) mod vectors;
