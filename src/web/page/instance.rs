//! The page of one instance: what is known of it, and the newest records of each type.

use jiff::Timestamp;
use maud::{Markup, html};

use super::frame;
use super::overview::{about, errors, polls, unexpected};
use super::text::{ago, marks, short, time};
use super::timeline::timeline;
use crate::alert::Condition;
use crate::backup::{Status as State, Times};
use crate::clock::age;
use crate::config::duration::print;
use crate::size;
use crate::status::{Entry, EntryType, Status, reason};
use crate::summary::{MOST_RECORDS, Record};

/// The page of an instance.
pub(in crate::web) fn instance(
    status: &Status<'_>,
    entry: &Entry<'_>,
    telemetry_path: &str,
) -> Markup {
    let now = status.now;
    let content = html! {
        p { a href="/" { "All instances" } }
        h1 { (entry.name) " " (marks(entry.marks, entry.conditions.iter())) }
        p { "Times are UTC; this page is of " (time(now)) "." }
        (facts(status, entry))
        @if entry.state.is_none() {
            p.notice { "Nobody watches this instance: it is neither configured nor discovered." }
        }
        (alerts(entry))
        @for it in &entry.types { (section(now, entry, it)) }
    };
    frame(&format!("{} · clouddb-backup-exporter", entry.name), telemetry_path, &content)
}

fn facts(status: &Status<'_>, entry: &Entry<'_>) -> Markup {
    let now = status.now;
    html! {
        dl {
            dt { "Project, product" } dd { (entry.project) "/" (entry.product) }
            dt { "Id" } dd { code { (entry.id()) } }
            @if let Some((engine, version)) = entry.engine {
                dt { "Engine" } dd { (engine) " " (version) }
            }
            @if let Some(reported) = entry.status { dt { "State" } dd { (reported) } }
            @if let Some(created) = entry.created { dt { "Created" } dd { (ago(now, created)) } }
            @if let Some(state) = entry.state {
                @for (name, value) in &state.target.labels { dt { (name) } dd { (value) } }
                @if let Some(policy) = state.policy.value() {
                    dt { "Automated backups" }
                    dd {
                        @match policy.retention {
                            None => span.late { "switched off" },
                            Some(kept) => { "kept for " (short(kept)) }
                        }
                        @if let Some((begin, end)) = entry.next_planned(now) {
                            br; "next between " (time(begin)) " and " (time(end))
                        }
                    }
                }
                @if let Some((asked, window)) = &state.restore_window.answer {
                    dt { "Can be restored to" }
                    dd {
                        @match window.start.zip(window.end) {
                            None => span.late { "no point in time" },
                            Some((start, end)) => {
                                (time(start)) " to " (time(end)) ", " (short(age(*asked, end)))
                                " before that was asked"
                            }
                        }
                        @if window.ranges > 1 { br; span.late { (window.ranges) " ranges: there are holes" } }
                    }
                }
                dt { "Polls" } dd { (polls(status, state)) }
                @if state.last_fault.is_some() || state.policy.failures + state.restore_window.failures > 0 {
                    dt { "Last error" } dd { (errors(now, state)) }
                }
            }
        }
    }
}

/// The conditions that hold, for whoever got a message with the name of an alert.
fn alerts(entry: &Entry<'_>) -> Markup {
    html! {
        @if !entry.conditions.is_empty() {
            h2 { "Conditions of alerts that hold" }
            ul {
                @for Condition { alert, backup_type, why } in &entry.conditions {
                    li {
                        strong { (alert.name) }
                        @if let Some(backup_type) = backup_type { " of " (backup_type) }
                        ": " (why) " "
                        small { (alert.severity) ", fires after " (print(alert.after)) }
                    }
                }
            }
        }
    }
}

fn section(now: Timestamp, entry: &Entry<'_>, typed: &EntryType<'_>) -> Markup {
    let (of, summary) = (&typed.of, typed.of.summary);
    let objective = of.objective.and_then(|it| it.max_age.zip(Some(it.origin)));
    let counts: Vec<String> = summary
        .backups
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(status, count)| format!("{count} {}", status.label()))
        .collect();
    html! {
        section {
            h2 { (of.backup_type) " " (marks(typed.marks, about(entry, Some(typed)))) }
            p {
                @match summary.last_success {
                    None => "No completed backup",
                    Some(success) => {
                        "The last success is " (short(age(now, success.end))) " old"
                    }
                }
                @if let Some((max_age, origin)) = objective {
                    "; at most " (print(max_age)) " (" (origin) ")"
                } @else {
                    "; none is expected"
                    @if let Some(why) = unexpected(entry, typed) { ", " (why) }
                }
                @if let Some(failures @ 1..) = summary.failures_since_last_success {
                    "; " (failures) " failed since"
                }
                ". Read " (short(age(now, of.observed))) " ago"
                @if !counts.is_empty() { ": " (counts.join(", ")) }
                "."
            }
            @if !of.newest.is_empty() {
                (timeline(of, now))
                (records(of.newest, of.backup_type.times))
            }
        }
    }
}

fn records(records: &[Record], times: Times) -> Markup {
    let success = records.iter().find(|it| it.is_last_success);
    html! {
        table.records role="table" {
            caption { "The newest records, at most " (MOST_RECORDS) }
            thead role="rowgroup" {
                tr role="row" {
                    @for column in ["Begin", "End", "Took", "Status", "Size", "Id"] {
                        th role="columnheader" scope="col" { (column) }
                    }
                }
            }
            tbody role="rowgroup" {
                @for record in records {
                    tr role="row" {
                        td role="cell" data-label="Begin" { @if let Some(begin) = record.begin { (time(begin)) } }
                        td role="cell" data-label="End" { @if let Some(end) = record.end { (time(end)) } }
                        td role="cell" data-label="Took" {
                            @if let (Times::Job, Some(took)) = (times, record.took()) { (short(took)) }
                        }
                        td role="cell" data-label="Status" .late[record.status == State::Failed] {
                            (record.status.label())
                            @if record.is_last_success { ", " strong { "the last success" } }
                            @if let Some(why) = reason::passed_over(record, success) { br; small { (why) } }
                        }
                        td role="cell" data-label="Size" { @if let Some(count) = record.bytes { (size::print(count as f64)) } }
                        td role="cell" data-label="Id" { code { (record.id) } }
                    }
                }
            }
        }
    }
}
