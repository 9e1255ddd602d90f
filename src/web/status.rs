//! The status page: each target with its last success, what is late, its last error, its next
//! poll; and the instance lists. Plain HTML; nothing on it runs or is fetched.

use std::time::Duration;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use tokio::time::Instant;

use crate::build;
use crate::error::Fault;
use crate::estate::Estate;
use crate::lookup::Looked;
use crate::snapshot::{ShownType, Snapshot, TargetState};

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
                @if !snapshot.estates.is_empty() {
                    table {
                        thead {
                            tr {
                                th { "Instance list" } th { "Last successful reading" }
                                th { "Instances" } th { "Last error" }
                            }
                        }
                        tbody { @for estate in &snapshot.estates { (list(estate, now)) } }
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
                @for instance in state.shown() {
                    @if target.instance.is_none() { strong { (instance.name) } br; }
                    @if instance.is_found == Some(false) { span.late { "the cloud does not have it" } br; }
                    @for of in &instance.types { (backups(of, now)) br; }
                }
            }
            td {
                (last_fault(state.last_fault.as_ref(), state.failures, now))
                (failing_lookup("backup policy", &state.policy, now))
                (failing_lookup("restore times", &state.restore_window, now))
            }
            td {
                @if let Some(next) = state.next_poll {
                    "in " (short(next.saturating_duration_since(instant)))
                }
            }
        }
    }
}

/// An instance list that is read.
fn list(estate: &Estate, now: Timestamp) -> Markup {
    let unmonitored = estate.unmonitored().count();
    html! {
        tr.bad[estate.failures > 0] {
            td { (estate.census.project) "/" (estate.census.product.name) }
            td {
                @match estate.last_success { None => "never", Some(ended) => (ago(now, ended)) }
            }
            td {
                @if estate.is_known() { (estate.count) }
                @if unmonitored > 0 { ", " (unmonitored) " of them not monitored" }
            }
            td { (last_fault(estate.last_fault.as_ref(), estate.failures, now)) }
        }
    }
}

/// What went wrong last, if anything did, and whether it still does.
fn last_fault(last: Option<&(Timestamp, Fault)>, failures: u64, now: Timestamp) -> Markup {
    html! {
        @if let Some((ended, fault)) = last {
            code { (fault.reason) } ": " (fault) br;
            small {
                (short(age(now, *ended))) " ago"
                @if failures > 0 { ", " (failures) " in a row" }
            }
        }
    }
}

/// A call beside the backup list, while it fails.
fn failing_lookup<T>(what: &str, looked: &Looked<T>, now: Timestamp) -> Markup {
    html! {
        @if looked.failures > 0 {
            div { (what) ": " (last_fault(looked.last_fault.as_ref(), looked.failures, now)) }
        }
    }
}

fn backups(of: &ShownType<'_>, now: Timestamp) -> Markup {
    let summary = of.summary;
    let old = summary.last_success.map(|success| age(now, success.end));
    let objective = of.objective.and_then(|it| Some((it.max_age?, it.origin)));
    let late = objective.is_some_and(|(max_age, _)| old.is_none_or(|old| old > max_age));
    html! {
        span.late[late] {
            (of.backup_type) ": "
            @match old { None => "no completed backup", Some(old) => { (short(old)) " old" } }
            @if let Some((max_age, origin)) = objective { ", at most " (short(max_age)) " (" (origin) ")" }
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
    use std::sync::Arc;

    use super::*;
    use crate::backup::{BackupType, Engine, InstanceId, Times};
    use crate::error::{Fault, Reason};
    use crate::snapshot::{Instance, PollOutcome, Reading, TypeReading};
    use crate::summary::{Success, Summary};
    use crate::target;

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

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn of(name: &'static str, summary: Summary) -> TypeReading {
        let times = if name == "incremental" { Times::Commit } else { Times::Job };
        let backup_type = BackupType { name, times };
        TypeReading::of(backup_type, summary)
    }

    fn ended(end: i64) -> Summary {
        let success = Success { end: at(end), bytes: None, duration: None };
        Summary { last_success: Some(success), ..Summary::default() }
    }

    /// The page of three targets at second 7200: one fails, one is well, one was not polled yet.
    fn shown() -> String {
        let targets = target::tests::read(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    rds:\n      \
             endpoint: https://rds.example\n      \
             instances:\n        - id: db\n          name: orders\n          \
             max_age: { auto: 1h, fragment: 1h, incremental: 1h }\n        \
             - { id: new, name: sandbox }\n    \
             ddm: { endpoint: https://ddm.example, max_age: { auto_metadata: 2h } }\n",
        );
        let reading = |name: &str, types| Reading {
            observed: at(0),
            instances: vec![Instance {
                id: InstanceId::new("db"),
                name: name.into(),
                engine: Engine::default(),
                status: None,
                types,
            }],
            unknown_types: 0,
            unknown_statuses: 0,
        };
        let troubled = Summary {
            failures_since_last_success: Some(1),
            running_since: Some(at(5400)),
            ..ended(0)
        };
        let failing = reading(
            "orders",
            vec![
                of("auto", troubled),
                of("manual", ended(0)),
                of("fragment", Summary::default()),
                // The clock of the cloud is ahead of ours.
                of("incremental", ended(9000)),
            ],
        );
        let poll = PollOutcome {
            ended: at(7140),
            took: Duration::from_secs(5),
            requests: 11,
            records: 12,
            fault: Some(Fault::new(Reason::Timeout, "no answer")),
        };
        let instant = Instant::now();
        let states = [
            TargetState {
                last_fault: poll.fault.clone().map(|fault| (poll.ended, fault)),
                last_poll: Some(poll.clone()),
                last_success: Some(at(3600)),
                failures: 3,
                reading: Some(Arc::new(failing)),
                next_poll: Some(instant + Duration::from_secs(240)),
                ..TargetState::new(Arc::clone(&targets[0]))
            },
            TargetState::new(Arc::clone(&targets[1])),
            TargetState {
                last_poll: Some(PollOutcome { fault: None, ..poll }),
                last_success: Some(at(7140)),
                reading: Some(Arc::new(reading("router", vec![of("auto_metadata", ended(0))]))),
                ..TargetState::new(Arc::clone(&targets[2]))
            },
        ];
        let snapshot = Snapshot { targets: states.map(Arc::new).into(), estates: Vec::new() };
        page(&snapshot, "/metrics", at(7200), instant).into_string()
    }

    /// The text of the row of a target, cells parted by `|`.
    fn row_of(target: &str) -> String {
        let page = shown();
        let row = page.split("<tr").find(|row| row.contains(target)).expect(target);
        row.split("</tr>").next().unwrap().replace(" class=\"\"", "").replace("</td><td>", "|")
    }

    #[test]
    fn the_page_counts_the_targets_that_fail_and_those_that_were_not_polled_yet() {
        assert!(shown().contains("3 targets, 1 failing, 1 not polled yet."));
    }

    #[test]
    fn a_failing_target_is_marked_with_its_error_and_keeps_its_last_success_and_its_backups() {
        let row = row_of("shop/rds/orders");
        let cells: Vec<&str> = row.split('|').collect();
        assert!(cells[0].starts_with(" class=\"bad\"><td>shop/rds/orders"), "{row}");
        assert!(cells[1].starts_with("failed 1m ago"), "{row}");
        assert!(cells[1].contains("11 requests, 12 records, 5s"), "{row}");
        assert!(cells[2].starts_with("1h ago"), "{row}");
        assert!(cells[4].starts_with("<code>timeout</code>: no answer"), "{row}");
        assert!(cells[4].contains(", 3 in a row"), "{row}");
        assert!(cells[5].starts_with("in 4m"), "{row}");
        let backups: Vec<&str> = cells[3].split("<br>").collect();
        assert_eq!(
            backups,
            [
                "<span class=\"late\">auto: 2h old, at most 1h (config of the instance), 1 failed since, one runs for 30m</span>",
                "<span class=\"late\">fragment: no completed backup, at most 1h (config of the instance)</span>",
                "<span>incremental: 0s old, at most 1h (config of the instance)</span>",
                "<span>manual: 2h old</span>",
                ""
            ]
        );
    }

    #[test]
    fn a_target_that_is_well_is_not_marked_and_a_project_names_its_instances() {
        let row = row_of("shop/ddm");
        assert!(row.starts_with("><td>shop/ddm|ok 1m ago"), "{row}");
        // An age that equals the objective is not late.
        assert!(row.contains("|<strong>router</strong><br><span>auto_metadata: 2h old, at most 2h (config of the product)</span>"));
        let new = row_of("shop/rds/sandbox");
        assert!(new.contains("|not yet|never||"), "{new}");
    }
}
