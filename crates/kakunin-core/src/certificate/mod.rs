//! X.509: strict parsing, path validation (RFC 5280 section 6), the agent profile, signatures.
//!
//! | file | idea |
//! |---|---|
//! | `der` | one encoding per value |
//! | `parse`, `extensions`, `names`, `general_name`, `key` | what a certificate says |
//! | `path` | which certificates lead from a target to an anchor |
//! | `rules`, `name_constraints`, `policy` | whether such a path is valid |
//! | `opinion` | the same question put to rustls-webpki |
//! | `anchor` | what may be registered as an anchor |
//! | `crl`, `revocation` | whether anything on it was revoked |
//! | `profile`, `spiffe` | whom an agent certificate names |
//! | `signature` | raw signatures, also of certificates |
//! | `pem`, `serial` | texts |

mod anchor;
mod crl;
mod der;
mod extensions;
mod general_name;
mod key;
mod name_constraints;
mod names;
mod opinion;
mod parse;
mod path;
pub mod pem;
mod policy;
mod profile;
mod revocation;
mod rules;
pub mod serial;
pub mod signature;
mod spiffe;

pub use anchor::check_anchor;
pub use parse::Certificate;
pub use path::{Path, check_parsed_path, check_path};
pub use profile::{Agent, AgentNames, NameSource, Profile, check_agent, read_agent};
