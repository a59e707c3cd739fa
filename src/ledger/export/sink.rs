//! The rows of a result, which PostgreSQL keeps in memory or in a temporary file.

use super::super::store::Values;
use pgrx::prelude::*;

/// Takes line after line.
pub struct Sink {
    store: *mut pg_sys::Tuplestorestate,
    description: pg_sys::TupleDesc,
}

impl Sink {
    /// For the result of a call that returns a set of texts. Raises where the caller cannot take a set.
    ///
    /// # Safety
    /// The call is PostgreSQL's.
    pub unsafe fn new(call: pg_sys::FunctionCallInfo) -> Self {
        // SAFETY: by the caller's promise; PostgreSQL checks the context and makes both.
        unsafe {
            pg_sys::InitMaterializedSRF(call, pg_sys::MAT_SRF_USE_EXPECTED_DESC);
            let result = (*call).resultinfo.cast::<pg_sys::ReturnSetInfo>();
            Self { store: (*result).setResult, description: (*result).setDesc }
        }
    }

    /// Adds a line.
    pub fn line(&mut self, line: &str) {
        let mut values = Values::new();
        values.bytes(line.as_bytes());
        // SAFETY: one text, as the result has.
        unsafe { values.put(self.store, self.description) };
    }
}
