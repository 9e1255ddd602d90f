//! The time of the simulated cloud. Everything that has an age there (tokens, signatures, schedules,
//! rate limits) asks this clock, so one `advance` moves all of it.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};

use super::lock;

/// A clock that can be read by many and moved by a test. Clones share the time.
#[derive(Clone)]
pub struct Clock {
    source: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    hand: Arc<Mutex<Hand>>,
}

#[derive(Clone, Copy, Default)]
struct Hand {
    frozen: Option<Timestamp>,
    offset: SignedDuration,
}

impl Clock {
    /// The real time.
    pub fn real() -> Self {
        Self::from_fn(wall_time)
    }

    /// A time that stands still until it is moved.
    pub fn fixed(now: Timestamp) -> Self {
        let clock = Self::real();
        clock.set(now);
        clock
    }

    /// The time that a function gives, such as one that follows a runtime's paused time.
    pub fn from_fn(source: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { source: Arc::new(source), hand: Arc::default() }
    }

    /// Stops the clock at this time.
    pub fn set(&self, now: Timestamp) {
        *lock(&self.hand) = Hand { frozen: Some(now), offset: SignedDuration::ZERO };
    }

    /// Moves the time on, or back with a negative step; a running clock keeps running.
    pub fn advance(&self, step: SignedDuration) {
        let mut hand = lock(&self.hand);
        match &mut hand.frozen {
            Some(frozen) => *frozen = moved(*frozen, step),
            None => hand.offset = hand.offset.saturating_add(step),
        }
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        // Not held while the source is asked, which may take its time.
        let hand = *lock(&self.hand);
        let running = || moved((self.source)(), hand.offset);
        hand.frozen.unwrap_or_else(running)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// A time moved by a step; beyond the ends of the calendar it stays where it was.
pub(super) fn moved(time: Timestamp, step: SignedDuration) -> Timestamp {
    time.checked_add(step).unwrap_or(time)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the simulated cloud looks at the wall clock"
)]
fn wall_time() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told_and_its_clones_with_it() {
        let start = Timestamp::UNIX_EPOCH;
        let clock = Clock::fixed(start);
        let clone = clock.clone();
        assert_eq!(clone.now(), start);
        clock.advance(SignedDuration::from_mins(5));
        assert_eq!(clone.now().as_second(), 300);
    }

    #[test]
    fn a_running_clock_keeps_its_offset() {
        let clock = Clock::from_fn(|| Timestamp::UNIX_EPOCH);
        clock.advance(SignedDuration::from_secs(10));
        clock.advance(SignedDuration::from_secs(-3));
        assert_eq!(clock.now().as_second(), 7);
    }
}
