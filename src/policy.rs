//! The automated backup policy of an instance: whether there is one, and when it plans to run.
//! Pure.

use std::time::Duration;

use jiff::Timestamp;

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
    begin: Duration,
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
    /// A plan for days of the week from 1 (Monday) to 7, with the time of day at which the window
    /// begins and its length. None without a day, or with another number.
    pub fn new(
        days: impl IntoIterator<Item = usize>,
        begin: Duration,
        window: Duration,
    ) -> Option<Self> {
        let mut planned = [false; 7];
        for day in days {
            *planned.get_mut(day.checked_sub(1)?)? = true;
        }
        planned.contains(&true).then_some(Self { days: planned, begin, window })
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

    /// Begin and end of the window of the next run: of one that is open, if none has begun in it.
    pub fn next_run(
        &self,
        now: Timestamp,
        last_begun: Option<Timestamp>,
    ) -> Option<(Timestamp, Timestamp)> {
        let (begin, end) = self.next(now)?;
        if last_begun.is_some_and(|last| last >= begin) {
            self.next(end)
        } else {
            Some((begin, end))
        }
    }

    /// Begin and end of the next window, which may have begun already. None at the end of time.
    pub fn next(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let today = now.as_second().div_euclid(SECONDS_A_DAY);
        // From yesterday, whose window may reach into today, to this day next week.
        (today - 1..=today + 7).find_map(|day| {
            let weekday = usize::try_from((day + EPOCH_WEEKDAY).rem_euclid(7)).ok()?;
            let is_planned = self.days.get(weekday)?;
            let midnight = Timestamp::from_second(day * SECONDS_A_DAY).ok()?;
            let begin = midnight.checked_add(self.begin).ok()?;
            let end = begin.checked_add(self.window).ok()?;
            (*is_planned && end > now).then_some((begin, end))
        })
    }
}

const SECONDS_A_DAY: i64 = 24 * 3600;
/// The first day of Unix time was a Thursday; Monday is 0.
const EPOCH_WEEKDAY: i64 = 3;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Most backups end within it; a run that takes longer is late by what it takes longer.
const TO_END: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn gap(days: &[usize]) -> u64 {
        Plan::new(days.iter().copied(), HOUR, HOUR).unwrap().longest_gap().as_secs() / DAY.as_secs()
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
            assert_eq!(Plan::new(days.iter().copied(), HOUR, HOUR), None, "{days:?}");
        }
    }

    #[test]
    fn a_daily_policy_gives_the_objective_that_is_the_default_of_a_product() {
        let retention = Some(DAY * 7);
        let policy = Policy { retention, plan: Plan::new(1..=7, HOUR, HOUR) };
        assert_eq!(policy.max_age(), Some(HOUR * 26));
        assert!(policy.is_enabled());
        let weekly = Policy { plan: Plan::new([7], HOUR, HOUR), ..policy };
        assert_eq!(weekly.max_age(), Some(HOUR * (7 * 24 + 2)));
        let silent = Policy { plan: None, ..policy };
        assert_eq!((silent.is_enabled(), silent.max_age()), (true, None));
        assert!(!Policy::default().is_enabled());
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_next_window_is_that_of_the_next_planned_day_or_the_one_that_is_under_way() {
        // 2025-03-10 is a Monday.
        let plan = Plan::new([1, 4], HOUR * 2, HOUR).unwrap();
        for (now, begin) in [
            ("2025-03-10T00:00:00Z", "2025-03-10T02:00:00Z"),
            ("2025-03-10T02:59:59Z", "2025-03-10T02:00:00Z"),
            ("2025-03-10T03:00:00Z", "2025-03-13T02:00:00Z"),
            ("2025-03-13T12:00:00Z", "2025-03-17T02:00:00Z"),
        ] {
            assert_eq!(plan.next(at(now)), Some((at(begin), at(begin) + HOUR)), "{now}");
        }
        let now = at("2025-03-10T02:30:00Z");
        let (open, after) = (at("2025-03-10T02:00:00Z"), at("2025-03-13T02:00:00Z"));
        for (last, begin) in [(None, open), (Some(open - HOUR), open), (Some(open), after)] {
            assert_eq!(plan.next_run(now, last), Some((begin, begin + HOUR)), "{last:?}");
        }
        let over_midnight = Plan::new([7], HOUR * 47 / 2, HOUR).unwrap();
        let window = (at("2025-03-09T23:30:00Z"), at("2025-03-10T00:30:00Z"));
        assert_eq!(over_midnight.next(at("2025-03-10T00:10:00Z")), Some(window));
        assert_eq!(plan.next(Timestamp::MAX), None);
    }

    proptest! {
        /// Minute by minute.
        #[test]
        fn the_next_window_is_the_first_one_that_has_not_ended(
            days in prop::collection::btree_set(1_usize..=7, 1..=7),
            begin in 0_u64..24 * 60,
            window in 1_u64..=24 * 60,
            now in 1_700_000_000_i64..1_702_000_000,
        ) {
            let minutes = |count: u64| Duration::from_secs(60 * count);
            let plan = Plan::new(days.iter().copied(), minutes(begin), minutes(window)).unwrap();
            let now = Timestamp::from_second(now).unwrap();
            let (first, last) = plan.next(now).unwrap();
            prop_assert!(last > now && last.duration_since(first).as_secs() == 60 * i64::try_from(window).unwrap());
            let is_begin = |at: Timestamp| {
                let zoned = at.to_zoned(jiff::tz::TimeZone::UTC);
                let minute = u64::try_from(zoned.hour()).unwrap() * 60 + u64::try_from(zoned.minute()).unwrap();
                let day = usize::try_from(zoned.weekday().to_monday_one_offset()).unwrap();
                minute == begin && days.contains(&day)
            };
            prop_assert!(is_begin(first));
            let mut earlier = first - minutes(1);
            while earlier + minutes(window) > now {
                prop_assert!(!is_begin(earlier), "{earlier}");
                earlier -= minutes(1);
            }
        }

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
