//! Waiting for what happens in another process, with an end.

use std::time::{Duration, Instant};

/// How long a test waits for another process before it fails. Generous: it is only reached when something is
/// wrong, and a busy machine is not wrong.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Asks again every 10 ms until `ask` has an answer, and returns it.
///
/// # Panics
/// After [`DEADLINE`], with `what` in the message.
pub fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < DEADLINE, "waited {} s in vain: {what}", DEADLINE.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}
