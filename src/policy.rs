//! The automated backup policy of an instance: whether there is one, and when it plans to run.
//! Pure.

use std::time::Duration;

/// What the cloud says that it will do by itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    /// How long backups are kept; none if nothing is backed up by itself.
    pub retention: Option<Duration>,
    /// When; none if the cloud does not say, or if there is no retention.
    pub plan: Option<Plan>,
}

/// The days of a week on which a backup begins within a window, in UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Plan {
    days: [bool; 7],
    window: Duration,
}

impl Policy {
    /// Whether backups are made automatically.
    pub fn is_enabled(&self) -> bool {
        self.retention.is_some()
    }

    /// How old the last success may become while everything goes as planned: the longest gap
    /// between two planned runs, the window within which a run begins, and an hour for it to end.
    pub fn max_age(&self) -> Option<Duration> {
        self.plan.map(|plan| plan.longest_gap() + plan.window + TO_END)
    }
}

impl Plan {
    /// A plan for days of the week from 1 (Monday) to 7. None without a day, or with another number.
    pub fn new(days: impl IntoIterator<Item = usize>, window: Duration) -> Option<Self> {
        let mut planned = [false; 7];
        for day in days {
            *planned.get_mut(day.checked_sub(1)?)? = true;
        }
        planned.contains(&true).then_some(Self { days: planned, window })
    }

    /// The longest time between the begins of two planned runs.
    pub fn longest_gap(&self) -> Duration {
        let mut longest = 0;
        let mut gap = 0;
        // Twice round the week, for the gap over its end.
        for is_planned in self.days.into_iter().chain(self.days) {
            gap += 1;
            if is_planned {
                longest = longest.max(gap);
                gap = 0;
            }
        }
        DAY * longest.min(7)
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Most backups end within it; a run that takes longer is late by what it takes longer.
const TO_END: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn gap(days: &[usize]) -> u64 {
        Plan::new(days.iter().copied(), HOUR).unwrap().longest_gap().as_secs() / DAY.as_secs()
    }

    #[test]
    fn the_longest_gap_is_counted_over_the_end_of_the_week() {
        assert_eq!(gap(&[1, 2, 3, 4, 5, 6, 7]), 1);
        assert_eq!(gap(&[1, 3, 5]), 3, "Friday to Monday");
        assert_eq!(gap(&[6, 7]), 6, "Sunday to Saturday");
        assert_eq!(gap(&[2, 3]), 6, "Wednesday to Tuesday");
        for day in 1..=7 {
            assert_eq!(gap(&[day]), 7);
        }
    }

    #[test]
    fn a_plan_has_a_day_and_only_days_of_the_week() {
        for days in [&[][..], &[0], &[8], &[1, 9]] {
            assert_eq!(Plan::new(days.iter().copied(), HOUR), None, "{days:?}");
        }
    }

    #[test]
    fn a_daily_policy_gives_the_objective_that_is_the_default_of_a_product() {
        let retention = Some(DAY * 7);
        let policy = Policy { retention, plan: Plan::new(1..=7, HOUR) };
        assert_eq!(policy.max_age(), Some(HOUR * 26));
        assert!(policy.is_enabled());
        let weekly = Policy { plan: Plan::new([7], HOUR), ..policy };
        assert_eq!(weekly.max_age(), Some(HOUR * (7 * 24 + 2)));
        let silent = Policy { plan: None, ..policy };
        assert_eq!((silent.is_enabled(), silent.max_age()), (true, None));
        assert!(!Policy::default().is_enabled());
    }

    proptest! {
        /// The same by looking from each planned day for the next one.
        #[test]
        fn the_longest_gap_is_that_from_some_day_to_the_next(days in prop::collection::btree_set(1_usize..=7, 1..=7)) {
            let next = |day: usize| (1..=7).find(|gap| days.contains(&((day + gap - 1) % 7 + 1)));
            let expected = days.iter().filter_map(|day| next(*day)).max();
            let days: Vec<usize> = days.iter().copied().collect();
            prop_assert_eq!(Some(gap(&days)), expected.map(|gap| gap as u64));
        }
    }
}
