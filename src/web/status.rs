//! The status page: each target with its last success, what is late, its last error, its next
//! poll. Plain HTML; nothing on it runs or is fetched.

use std::time::Duration;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use tokio::time::Instant;

use crate::build;
use crate::snapshot::{Snapshot, TargetState, TypeReading};

/// The page at a moment (`now` by the wall clock, `instant` by the one that schedules).
pub(super) fn page(
    snapshot: &Snapshot,
    telemetry_path: &str,
    now: Timestamp,
    instant: Instant,
) -> Markup {
    let failing = snapshot.targets.iter().filter(|state| is_failing(state)).count();
    let untried = snapshot.targets.iter().filter(|state| state.last_poll.is_none()).count();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "clouddb-backup-exporter" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { "clouddb-backup-exporter" }
                p {
                    "Version " (build::VERSION) ", commit " (build::REVISION) ". "
                    a href=(telemetry_path) { "Metrics" } " · "
                    a href="/-/healthy" { "Healthy" } " · "
                    a href="/-/ready" { "Ready" }
                }
                p {
                    (snapshot.targets.len()) " targets, " (failing) " failing, "
                    (untried) " not polled yet. Times are UTC; this page is of " (time(now)) "."
                }
                table {
                    thead {
                        tr {
                            th { "Target" } th { "Last poll" } th { "Last successful poll" }
                            th { "Backups" } th { "Last error" } th { "Next poll" }
                        }
                    }
                    tbody {
                        @for state in &snapshot.targets { (row(state, now, instant)) }
                    }
                }
            }
        }
    }
}

fn row(state: &TargetState, now: Timestamp, instant: Instant) -> Markup {
    let target = &state.target;
    html! {
        tr.bad[is_failing(state)] {
            td { (target) @if !target.instance_id().is_empty() { br; small { (target.instance_id()) } } }
            td {
                @match &state.last_poll {
                    None => "not yet",
                    Some(poll) => {
                        @if poll.fault.is_some() { "failed " } @else { "ok " }
                        (ago(now, poll.ended)) br;
                        small { (poll.requests) " requests, " (poll.records) " records, " (short(poll.took)) }
                    }
                }
            }
            td {
                @match state.last_success { None => "never", Some(ended) => (ago(now, ended)) }
            }
            td {
                @if let Some(reading) = &state.reading {
                    @for instance in &reading.instances {
                        @if target.instance.is_none() { strong { (instance.name) } br; }
                        @for of in &instance.types { (backups(of, now)) br; }
                    }
                }
            }
            td {
                @if let Some((ended, fault)) = &state.last_fault {
                    code { (fault.reason) } ": " (fault) br;
                    small {
                        (short(age(now, *ended))) " ago"
                        @if state.failures > 0 { ", " (state.failures) " in a row" }
                    }
                }
            }
            td {
                @if let Some(next) = state.next_poll {
                    "in " (short(next.saturating_duration_since(instant)))
                }
            }
        }
    }
}

fn backups(of: &TypeReading, now: Timestamp) -> Markup {
    let summary = &of.summary;
    let old = summary.last_success.map(|success| age(now, success.end));
    let late = of.max_age.is_some_and(|max_age| old.is_none_or(|old| old > max_age));
    html! {
        span.late[late] {
            (of.backup_type) ": "
            @match old { None => "no completed backup", Some(old) => { (short(old)) " old" } }
            @if let Some(max_age) = of.max_age { ", at most " (short(max_age)) }
            @if let Some(failures @ 1..) = summary.failures_since_last_success {
                ", " (failures) " failed since"
            }
            @if let Some(since) = summary.running_since { ", one runs for " (short(age(now, since))) }
        }
    }
}

fn is_failing(state: &TargetState) -> bool {
    state.last_poll.as_ref().is_some_and(|poll| poll.fault.is_some())
}

fn age(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

fn ago(now: Timestamp, then: Timestamp) -> Markup {
    html! { (short(age(now, then))) " ago" br; small { (time(then)) } }
}

fn time(time: Timestamp) -> String {
    let whole = time.round(jiff::Unit::Second).unwrap_or(time);
    whole.to_string()
}

/// The two largest units: `3d 4h`, `5m 10s`, `0s`.
fn short(duration: Duration) -> String {
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

const STYLE: &str = "body{font:14px/1.4 sans-serif;margin:2em}table{border-collapse:collapse}\
th,td{border:1px solid #bbb;padding:.4em .6em;text-align:left;vertical-align:top}\
small{color:#555}.bad{background:#fdecea}.late{color:#b00020;font-weight:bold}";

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
