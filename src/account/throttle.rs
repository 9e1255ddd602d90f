//! How long everything that shares a credential pauses after the cloud said 429. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::retry::Patience;

/// The longest that a `Retry-After` is believed: a typing error of a gateway must not blind a
/// project for a day.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// A `Retry-After` of 0 is no wish for the next request at once.
const SHORTEST_ASKED: Duration = Duration::from_secs(1);

/// The throttlings in a row, and until when nothing is asked.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    in_a_row: u32,
    until: Option<Instant>,
}

impl Throttle {
    /// The cloud said 429, and perhaps for how long to wait. `jitter` is from 0 to 1.
    pub(super) fn throttled(
        &mut self,
        patience: &Patience,
        retry_after: Option<Duration>,
        jitter: f64,
        now: Instant,
    ) {
        let asked = retry_after.map(|asked| now + asked.clamp(SHORTEST_ASKED, LONGEST_ASKED));
        // Requests that were under way together are throttled together, and count once.
        if self.remaining(now).is_some() {
            self.until = self.until.max(asked);
            return;
        }
        let doubled = patience.first_pause.saturating_mul(1 << self.in_a_row.min(16));
        self.in_a_row = self.in_a_row.saturating_add(1);
        // Up to a tenth more, so that two exporters of one user do not come back together.
        let guess =
            doubled.min(patience.longest_pause).mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 10.0);
        self.until = Some(asked.unwrap_or(now + guess));
    }

    /// The cloud answered.
    pub(super) fn answered(&mut self, now: Instant) {
        if self.remaining(now).is_none() {
            *self = Self::default();
        }
    }

    /// How long the pause still lasts.
    pub(super) fn remaining(&self, now: Instant) -> Option<Duration> {
        let remaining = self.until?.saturating_duration_since(now);
        (!remaining.is_zero()).then_some(remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn throttled(throttle: &mut Throttle, asked: Option<u64>, now: Instant) -> Option<Duration> {
        let asked = asked.map(|seconds| SECOND * u32::try_from(seconds).unwrap());
        throttle.throttled(&Patience::default(), asked, 0.0, now);
        throttle.remaining(now)
    }

    #[test]
    fn the_pause_grows_from_twenty_seconds_to_two_minutes() {
        let mut now = Instant::now();
        let mut throttle = Throttle::default();
        for expected in [20, 40, 80, 120, 120] {
            assert_eq!(throttled(&mut throttle, None, now), Some(SECOND * expected));
            now += SECOND * expected;
            assert_eq!(throttle.remaining(now), None);
        }
    }

    #[test]
    fn jitter_only_makes_it_longer() {
        let now = Instant::now();
        let mut throttle = Throttle::default();
        throttle.throttled(&Patience::default(), None, 1.0, now);
        assert_eq!(throttle.remaining(now), Some(SECOND * 22));
    }

    #[test]
    fn what_the_cloud_asks_for_is_kept_and_one_hour_is_the_most() {
        let now = Instant::now();
        assert_eq!(throttled(&mut Throttle::default(), Some(0), now), Some(SECOND));
        assert_eq!(throttled(&mut Throttle::default(), Some(3), now), Some(SECOND * 3));
        assert_eq!(throttled(&mut Throttle::default(), Some(90), now), Some(SECOND * 90));
        assert_eq!(throttled(&mut Throttle::default(), Some(86_400), now), Some(SECOND * 3600));
    }

    #[test]
    fn a_throttling_during_the_pause_only_makes_it_longer_if_the_cloud_asks_for_that() {
        let now = Instant::now();
        let mut throttle = Throttle::default();
        throttled(&mut throttle, None, now);
        assert_eq!(throttled(&mut throttle, None, now), Some(SECOND * 20));
        assert_eq!(throttled(&mut throttle, Some(5), now), Some(SECOND * 20));
        assert_eq!(throttled(&mut throttle, Some(50), now), Some(SECOND * 50));
        let later = now + SECOND * 50;
        assert_eq!(throttled(&mut throttle, None, later), Some(SECOND * 40), "the second in a row");
    }

    #[test]
    fn an_answer_ends_the_row_but_not_a_pause_that_lasts() {
        let now = Instant::now();
        let mut throttle = Throttle::default();
        throttled(&mut throttle, None, now);
        throttle.answered(now);
        assert_eq!(throttle.remaining(now), Some(SECOND * 20), "an older request");
        let later = now + SECOND * 20;
        throttle.answered(later);
        assert_eq!(throttled(&mut throttle, None, later), Some(SECOND * 20));
    }
}
