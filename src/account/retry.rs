//! The one place that decides on trying again. Pure: how the wait is spent is the client's.
//!
//! Both clouds throttle per minute (Huawei Cloud publishes 60 calls a minute and user), so after a
//! 429 a useful wait is tens of seconds; after other faults it is the next moment.

use std::time::Duration;

use crate::error::Reason;

/// How often and after which waits a request is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Tries of one request in all.
    pub tries: u32,
    /// The wait before the second try; it doubles with each further one.
    pub first_wait: Duration,
    /// The pause of all that shares the credential after a first 429; it doubles with each in a row.
    pub first_pause: Duration,
    /// The longest of those pauses.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 4,
            first_wait: Duration::from_secs(1),
            first_pause: Duration::from_secs(20),
            longest_pause: Duration::from_secs(120),
        }
    }
}

/// What to do about a failed try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// It is the failure of the request.
    GiveUp,
    /// Everything that shares the credential waits, and this request is then tried again.
    PauseAll,
    /// This request is tried again after a wait of its own.
    Wait(Duration),
}

impl Patience {
    /// After the `failed`th try (from 1) failed for a reason. `jitter` is from 0 to 1; `retry_after`
    /// is what the cloud asks for, and a floor.
    pub(super) fn next(
        &self,
        reason: Reason,
        failed: u32,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> Next {
        if failed >= self.tries {
            return Next::GiveUp;
        }
        match reason {
            Reason::Throttled => Next::PauseAll,
            Reason::Connect | Reason::Http5xx | Reason::Timeout => {
                let doubled = self.first_wait.saturating_mul(1 << (failed - 1).min(16));
                // From half of it to all of it: those that failed together do not come back so.
                let wait = doubled.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
                // Not for longer than after a 429: the poll waits, and is not seen to fail.
                let asked = retry_after.unwrap_or_default().min(self.longest_pause);
                Next::Wait(asked.max(wait))
            }
            _ => Next::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        tries: 4,
        first_wait: Duration::from_secs(1),
        first_pause: Duration::from_secs(20),
        longest_pause: Duration::from_secs(120),
    };

    #[test]
    fn connection_faults_time_outs_and_5xx_are_tried_four_times_with_growing_waits() {
        for reason in [Reason::Connect, Reason::Http5xx, Reason::Timeout] {
            for (failed, longest) in [(1, 1), (2, 2), (3, 4)] {
                let longest = Duration::from_secs(longest);
                assert_eq!(PATIENCE.next(reason, failed, None, 1.0), Next::Wait(longest));
                assert_eq!(PATIENCE.next(reason, failed, None, 0.0), Next::Wait(longest / 2));
            }
            assert_eq!(PATIENCE.next(reason, 4, None, 0.5), Next::GiveUp);
        }
    }

    #[test]
    fn a_429_pauses_all_that_shares_the_credential() {
        assert_eq!(PATIENCE.next(Reason::Throttled, 1, None, 0.5), Next::PauseAll);
        assert_eq!(PATIENCE.next(Reason::Throttled, 3, None, 0.5), Next::PauseAll);
        assert_eq!(PATIENCE.next(Reason::Throttled, 4, None, 0.5), Next::GiveUp);
    }

    #[test]
    fn nothing_else_is_tried_again() {
        let again = [Reason::Connect, Reason::Http5xx, Reason::Timeout, Reason::Throttled];
        for reason in Reason::ALL.into_iter().filter(|reason| !again.contains(reason)) {
            assert_eq!(PATIENCE.next(reason, 1, None, 0.5), Next::GiveUp, "{reason}");
        }
    }

    #[test]
    fn what_the_cloud_asks_for_is_a_floor() {
        let next = |asked| PATIENCE.next(Reason::Http5xx, 1, Some(Duration::from_secs(asked)), 1.0);
        assert_eq!(next(7), Next::Wait(Duration::from_secs(7)));
        assert_eq!(next(0), Next::Wait(Duration::from_secs(1)));
        assert_eq!(next(86_400), Next::Wait(PATIENCE.longest_pause));
    }
}
