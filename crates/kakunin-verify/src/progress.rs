//! A bar on the terminal, on standard error, for whoever waits.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Shows how far the reading is, if standard error is a terminal.
pub struct Progress {
    /// None where nobody would see it.
    shown: Option<Shown>,
}

struct Shown {
    size: Option<u64>,
    started: Instant,
    next: Instant,
    drawn: bool,
}

impl Progress {
    /// For an input of `size` bytes, if that is known.
    pub fn new(size: Option<u64>) -> Self {
        let now = Instant::now();
        let shown = Shown { size, started: now, next: now + EVERY, drawn: false };
        Self { shown: io::stderr().is_terminal().then_some(shown) }
    }

    /// After `bytes`; asks for entries and rows only when it draws.
    pub fn show(&mut self, bytes: u64, counts: impl FnOnce() -> (u64, u64)) {
        let Some(shown) = &mut self.shown else { return };
        let now = Instant::now();
        if now < shown.next {
            return;
        }
        shown.next = now + EVERY;
        shown.drawn = true;
        let line = bar(shown.size, bytes, counts(), now - shown.started);
        // A terminal that went away is no reason to stop.
        let _ = write!(io::stderr(), "\r{line}\x1b[K");
    }
}

/// Takes the bar away, so that the report stands alone.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.as_ref().is_some_and(|shown| shown.drawn) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn bar(size: Option<u64>, bytes: u64, (entries, rows): (u64, u64), elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rate = bytes as f64 / seconds;
    let counts = format!("{entries} entries, {rows} rows, {:.0} MB/s", rate / 1e6);
    let Some(size) = size.filter(|size| *size > 0) else { return counts };
    let part = (bytes as f64 / size as f64).min(1.0);
    let full = (part * WIDTH as f64) as usize;
    let left = ((size.saturating_sub(bytes)) as f64 / rate.max(1.0)).ceil();
    let (done, open) = ("#".repeat(full), ".".repeat(WIDTH - full));
    format!("[{done}{open}] {:3.0} %  {counts}, {left:.0} s left", part * 100.0)
}

/// Between two drawings.
const EVERY: Duration = Duration::from_millis(100);
/// Characters of the bar.
const WIDTH: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_says_how_far_it_is() {
        let second = Duration::from_secs(1);
        assert_eq!(
            bar(Some(4_000_000), 1_000_000, (2, 30), second),
            "[######..................]  25 %  2 entries, 30 rows, 1 MB/s, 3 s left"
        );
        assert_eq!(bar(None, 5_000_000, (2, 30), second), "2 entries, 30 rows, 5 MB/s");
        assert!(bar(Some(10), 20, (0, 0), second).starts_with("[########################] 100 %"));
    }
}
