//! Proofs that must be refused, one after the other in one session, each by name.

use super::checks::Checks;
use super::client::{Refusal, refusal_of};
use super::stage::{Stage, bind, serial_seen};

/// A session to which proofs are presented. What failed is reported when it goes out of scope.
pub struct Refusals<'a> {
    stage: &'a Stage,
    /// The session.
    pub client: postgres::Client,
    /// For checks beside.
    pub checks: Checks,
    remembered: i64,
}

impl<'a> Refusals<'a> {
    /// In a new session.
    pub fn new(stage: &'a Stage) -> Self {
        Self { stage, client: stage.connect(), checks: Checks::new(), remembered: stage.used_proofs() }
    }

    /// Presents a proof that must be refused with 28000, and looks that the refusal repeats nothing of it, leaves the
    /// session unbound and is not remembered as a use.
    pub fn refused(&mut self, name: &str, slug: &str, proof: &str) {
        let result = bind(&mut self.client, proof);
        if result.is_ok() {
            self.checks.holds(name, false, "it was accepted");
        } else {
            let refusal = refusal_of(result);
            self.checks.equal(name, (&*refusal.sqlstate, refusal.slug()), ("28000", slug));
            self.checks.holds(&format!("{name}: repeats the proof"), repeated(&refusal, proof).is_none(), &refusal);
            self.checks.holds(&format!("{name}: no message"), !refusal.message.is_empty(), &refusal);
        }
        self.checks.equal(&format!("{name}: bound"), serial_seen(&mut self.client), None);
        // Time may have passed, so that earlier uses are forgotten.
        let remembered = self.stage.used_proofs();
        self.checks.holds(&format!("{name}: remembered"), remembered <= self.remembered, remembered);
        self.remembered = remembered;
    }

    /// The nearest thing that is allowed.
    pub fn accepted(&mut self, name: &str, proof: &str) {
        let result = bind(&mut self.client, proof);
        let found = result.map_err(|error| refusal_of::<()>(Err(error)));
        self.checks.equal(name, found, Ok(()));
        self.remembered = self.stage.used_proofs();
    }
}

/// Twelve consecutive characters of the proof in what the server said, if there are any.
fn repeated(refusal: &Refusal, proof: &str) -> Option<String> {
    let said: Vec<char> = refusal.text().chars().collect();
    said.windows(12).map(|window| window.iter().collect::<String>()).find(|window| proof.contains(&**window))
}
