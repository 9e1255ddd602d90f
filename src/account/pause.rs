//! How long a credential is left alone after the cloud refused it. Pure.
//!
//! Wrong passwords lock the user for 15 minutes, more than five refused signatures lock the access
//! key for five (Huawei Cloud, IAM login policy and API signing FAQ): asking on would keep the
//! account of an operator locked who has just mended it.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(5 * 60);
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The refusals in a row, and until when nothing is asked.
#[derive(Debug, Default)]
pub struct Pause {
    refusals: u32,
    until: Option<Instant>,
}

impl Pause {
    /// The cloud refused the credential: the pause begins, or grows.
    pub fn refused(&mut self, now: Instant) {
        // Requests that were under way together are refused together, and count once.
        if self.remaining(now).is_some() {
            return;
        }
        let length = FIRST.saturating_mul(1 << self.refusals.min(10)).min(LONGEST);
        self.refusals = self.refusals.saturating_add(1);
        self.until = Some(now + length);
    }

    /// The cloud accepted the credential. During a pause that is the answer to an older request,
    /// and says nothing of the refusal.
    pub fn accepted(&mut self, now: Instant) {
        if self.remaining(now).is_none() {
            *self = Self::default();
        }
    }

    /// Whether there is a pause that lasts, or has run out unseen.
    pub fn has_begun(&self) -> bool {
        self.until.is_some()
    }

    /// True once after a pause has run out.
    pub fn has_ended(&mut self, now: Instant) -> bool {
        self.remaining(now).is_none() && self.until.take().is_some()
    }

    /// How long the pause still lasts.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        let remaining = self.until?.saturating_duration_since(now);
        (!remaining.is_zero()).then_some(remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(60 * count)
    }

    #[test]
    fn the_pause_doubles_from_five_minutes_to_an_hour() {
        let mut now = Instant::now();
        let mut pause = Pause::default();
        for expected in [5, 10, 20, 40].into_iter().chain([60; 100]) {
            assert_eq!(pause.remaining(now), None);
            pause.refused(now);
            assert_eq!(pause.remaining(now), Some(minutes(expected)));
            now += minutes(expected);
        }
    }

    #[test]
    fn refusals_of_requests_under_way_together_count_once() {
        let now = Instant::now();
        let mut pause = Pause::default();
        for _ in 0..10 {
            pause.refused(now);
        }
        assert_eq!(pause.remaining(now), Some(minutes(5)));
    }

    #[test]
    fn an_accepted_credential_starts_afresh() {
        let now = Instant::now();
        let mut pause = Pause::default();
        pause.refused(now);
        pause.accepted(now);
        assert_eq!(pause.remaining(now), Some(minutes(5)), "an older request");
        let later = now + minutes(5);
        pause.accepted(later);
        pause.refused(later);
        assert_eq!(pause.remaining(later), Some(minutes(5)));
    }
}
