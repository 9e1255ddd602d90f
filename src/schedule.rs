//! When something that is done again and again is due. Pure.
//!
//! The first poll comes at once, so that a restart is not blind for an interval. Later ones come
//! at the phase of the target, which its stable hash gives: spread over the interval, and the same
//! in the next process, so that a restart does not move them. The second poll is due at least half
//! an interval after the first.

use std::time::Duration;

use jiff::Timestamp;

/// How long after `first` the next one is due: at the first phase point at least `least` later. From
/// then on one is due every interval.
pub fn next(first: Timestamp, least: Duration, interval: Duration, hash: u64) -> Duration {
    let in_millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let interval = in_millis(interval).max(1);
    let least = in_millis(least);
    let first = u64::try_from(first.as_millisecond()).unwrap_or(0);
    let phase = hash % interval;
    let earliest = first.saturating_add(least);
    let wait = (interval + phase - earliest % interval) % interval;
    Duration::from_millis(least.saturating_add(wait))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(300);

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).unwrap()
    }

    proptest! {
        #[test]
        fn the_next_one_is_at_its_phase_and_at_least_so_long_after_the_first(
            first in 0..4_000_000_000_000_i64,
            least in 0..100_000_000_u64,
            interval in 1..100_000_000_u64,
            hash: u64,
        ) {
            let in_millis = Duration::from_millis;
            let delay = next(at(first), in_millis(least), in_millis(interval), hash);
            let delay = u64::try_from(delay.as_millis()).unwrap();
            prop_assert!(delay >= least);
            prop_assert!(delay < least + interval);
            prop_assert_eq!((first.unsigned_abs() + delay) % interval, hash % interval);
        }
    }

    #[test]
    fn a_restart_does_not_move_the_phase() {
        let due = |first: i64| {
            let delay = next(at(first), INTERVAL / 2, INTERVAL, 123_456_789).as_millis();
            (u128::from(first.unsigned_abs()) + delay) % INTERVAL.as_millis()
        };
        assert_eq!(due(1_700_000_000_000), due(1_700_000_123_457));
    }

    #[test]
    fn targets_are_spread_over_the_interval() {
        let hash = |target: u64| target.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut tenths = [0; 10];
        for target in 0..1000 {
            let delay = next(at(1_700_000_000_000), INTERVAL / 2, INTERVAL, hash(target));
            let tenth = (delay.as_millis() - INTERVAL.as_millis() / 2) * 10 / INTERVAL.as_millis();
            tenths[usize::try_from(tenth).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|count| (50..200).contains(count)), "{tenths:?}");
    }
}
