//! Numbers and words as people read them.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

use crate::alert::Condition;
use crate::clock::{age, moment};
use crate::error::Fault;
use crate::status::{Mark, Marks};

/// The two largest units: `3d 4h`, `5m 10s`, `0s`.
pub(super) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let at = units.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(units.len() - 1);
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, name) in units.iter().skip(at).take(2) {
        if left >= *unit || parts.is_empty() {
            parts.push(format!("{}{name}", left / unit));
        }
        left %= unit;
    }
    parts.join(" ")
}

/// To the second, in UTC.
pub(super) fn time(time: Timestamp) -> Markup {
    html! { time datetime=(moment(time)) { (time.strftime("%Y-%m-%d %H:%M:%S")) } }
}

/// How long ago, with the time below.
pub(super) fn ago(now: Timestamp, then: Timestamp) -> Markup {
    html! { (short(age(now, then))) " ago" br; small { (time(then)) } }
}

/// Words in boxes; each says what it means. Of other alerts than those that a word stands for there are
/// the names, without what they all begin with.
pub(super) fn marks<'a>(marks: Marks, conditions: impl Iterator<Item = &'a Condition>) -> Markup {
    let others = conditions.filter(|it| Mark::of_alert(it.alert) == Mark::Alerting);
    let others: Vec<&Condition> = others.collect();
    html! {
        @for mark in marks.iter() {
            @if mark == Mark::Alerting {
                @for Condition { alert, why, .. } in &others {
                    span class={ "mark " (class(mark)) } title=(why) { (alert.name.trim_start_matches("Database")) } " "
                }
            } @else {
                span class={ "mark " (class(mark)) } title=(mark.meaning()) { (word(mark)) } " "
            }
        }
    }
}

/// A word for people.
pub(super) fn word(mark: Mark) -> String {
    mark.word().replace('_', " ")
}

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Failing | Mark::Stale | Mark::Blind | Mark::NotFound => "bad",
        Mark::Alerting | Mark::PollFailing | Mark::Unmonitored => "warn",
        Mark::Running | Mark::Waiting => "calm",
    }
}

/// What went wrong last, if anything did, and whether it still does.
pub(super) fn last_fault(
    last: Option<&(Timestamp, Fault)>,
    failures: u64,
    now: Timestamp,
) -> Markup {
    html! {
        @if let Some((ended, fault)) = last {
            span.late[failures > 0] { code { (fault.reason) } ": " (fault) } br;
            small {
                (short(age(now, *ended))) " ago, "
                @if failures > 0 { (failures) " in a row" } @else { "over by now" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_shows_its_two_largest_units() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (310, "5m 10s"),
            (3600, "1h"),
            (3 * 86_400 + 4 * 3600 + 59, "3d 4h"),
        ];
        for (seconds, text) in cases {
            assert_eq!(short(Duration::from_secs(seconds)), text);
        }
    }
}
