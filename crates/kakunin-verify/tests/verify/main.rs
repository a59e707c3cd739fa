//! Runs `kakunin-verify` on exports: honest ones, and ones that were changed.

mod book;
mod harness;
mod sound;
mod tampering;
mod usage;
