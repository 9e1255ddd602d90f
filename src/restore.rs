//! What an instance can be restored to. Pure.

use jiff::Timestamp;

/// The ranges of time to whose every point an instance can be restored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RestoreWindow {
    /// How many ranges there are; more than one means holes.
    pub ranges: u64,
    /// The first point of the oldest one.
    pub start: Option<Timestamp>,
    /// The last point of the newest one.
    pub end: Option<Timestamp>,
}

impl RestoreWindow {
    /// The window of these ranges, in any order.
    pub fn of(ranges: impl IntoIterator<Item = (Timestamp, Timestamp)>) -> Self {
        let mut window = Self::default();
        for (start, end) in ranges {
            window.ranges += 1;
            window.start = Some(window.start.map_or(start, |earliest| earliest.min(start)));
            window.end = window.end.max(Some(end));
        }
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_window_reaches_from_the_first_to_the_last_point_whatever_the_order() {
        let ranges = [(at(50), at(60)), (at(10), at(40)), (at(70), at(90))];
        let whole = RestoreWindow { ranges: 3, start: Some(at(10)), end: Some(at(90)) };
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            assert_eq!(RestoreWindow::of(order.map(|at: usize| ranges[at])), whole);
        }
    }

    #[test]
    fn without_a_range_there_is_no_point() {
        assert_eq!(RestoreWindow::of([]), RestoreWindow::default());
    }
}
