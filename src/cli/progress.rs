//! The line on stderr while a slow round runs.

use std::{cell::Cell, convert::Infallible, time::Duration};

use tokio::time::{Instant, interval_at};

use super::screen;
use crate::round::Progress;

/// A line that is drawn over itself, once a round takes longer than a second. Cleared when dropped.
pub(super) struct Line {
    seen: Cell<Progress>,
    drawn: Cell<bool>,
    deadline: Duration,
}

impl Line {
    /// A line for a round with this deadline; nothing is drawn yet.
    pub(super) const fn new(deadline: Duration) -> Self {
        Self { seen: Cell::new(Progress::Discovering), drawn: Cell::new(false), deadline }
    }

    /// Takes note of how far the round is.
    pub(super) fn note(&self, progress: Progress) {
        self.seen.set(progress);
    }

    /// Draws the line again and again; never ends. On anything but a terminal it draws nothing.
    pub(super) async fn draw(&self) -> Infallible {
        if !screen::can_animate() {
            return std::future::pending().await;
        }
        let start = Instant::now();
        let mut ticks = interval_at(start + FIRST, EVERY);
        loop {
            ticks.tick().await;
            let text = text(self.seen.get(), start.elapsed(), self.deadline);
            screen::say_raw(&format!("\r\x1b[K{text}"));
            self.drawn.set(true);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.drawn.get() {
            screen::say_raw("\r\x1b[K");
        }
    }
}

fn text(progress: Progress, elapsed: Duration, deadline: Duration) -> String {
    let time = format!("{} s of {} s", elapsed.as_secs(), deadline.as_secs_f64());
    match progress {
        Progress::Discovering => format!("reading the host's facts... {time}"),
        Progress::Probing { done, targets } => format!("probing... {done} of {targets} targets done, {time}"),
    }
}

const FIRST: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::text;
    use crate::round::Progress;

    #[test]
    fn the_line_says_how_far_the_round_is() {
        let said =
            text(Progress::Probing { done: 4, targets: 6 }, Duration::from_millis(3_400), Duration::from_secs(10));
        assert_eq!(said, "probing... 4 of 6 targets done, 3 s of 10 s");
    }
}
