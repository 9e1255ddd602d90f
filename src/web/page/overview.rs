//! The page that one steers by: what is wrong on top, then every instance and type.

use std::collections::BTreeSet;
use std::time::Duration;

use form_urlencoded::Serializer;
use jiff::Timestamp;
use maud::{Markup, html};

use super::frame;
use super::text::{ago, last_fault, marks, short, time, word};
use crate::alert::Condition;
use crate::clock::age;
use crate::config::duration::print;
use crate::estate::Estate;
use crate::shard::Shard;
use crate::size;
use crate::snapshot::TargetState;
use crate::status::reason::nothing_expected;
use crate::status::{Entry, EntryType, Mark, Query, Selection, Sort, Status};

/// The page of what was asked for.
pub(in crate::web) fn overview(status: &Status<'_>, query: &Query, telemetry_path: &str) -> Markup {
    let selection = query.select(status);
    let content = html! {
        h1 { "Backups" }
        (totals(status, query))
        (unread(status))
        (form(status, query))
        (table(status, &selection))
        (pages(query, &selection))
        (lists(status))
    };
    frame("Backups · clouddb-backup-exporter", telemetry_path, &content)
}

/// Each number finds what it counts.
fn totals(status: &Status<'_>, query: &Query) -> Markup {
    let totals = status.totals;
    let counts = [
        (totals.failing, Mark::Failing),
        (totals.stale, Mark::Stale),
        (totals.blind, Mark::Blind),
        (totals.running, Mark::Running),
        (totals.unmonitored, Mark::Unmonitored),
    ];
    let is_everything = *query == Query::default();
    html! {
        ul.totals aria-label="How many instances" {
            li {
                a href="/" aria-current=[is_everything.then_some("true")] {
                    strong { (totals.instances) } " instances"
                }
            }
            @for (count, mark) in counts {
                li .bad[count > 0 && mark.is_problem()] {
                    a href={ "/?state=" (mark) } title=(mark.meaning())
                        aria-current=[(query.state == Some(mark)).then_some("true")] {
                        strong { (count) } " " (word(mark))
                    }
                }
            }
        }
    }
}

/// What keeps all of this from being all that there is.
fn unread(status: &Status<'_>) -> Markup {
    let waiting = status.entries.iter().filter(|entry| entry.marks.has(Mark::Waiting)).count();
    let failing: Vec<String> = status
        .estates
        .iter()
        .filter(|estate| estate.failures > 0)
        .map(|estate| format!("{}/{}", estate.census.project, estate.census.product.name))
        .collect();
    html! {
        @if status.shard != Shard::WHOLE {
            p.notice {
                "This is shard " (status.shard.index()) " of " (status.shard.count())
                ", counted from 0: the other shards have the other instances."
            }
        }
        @if !failing.is_empty() {
            p.notice {
                "The instance list of " (failing.join(", "))
                " cannot be read: instances that are new or gone are not seen. The reason is below."
            }
        }
        @if status.entries.is_empty() {
            p.notice { "Nothing is polled here." }
        }
        @if waiting > 0 {
            p.notice { (waiting) " not polled yet: the first round is under way." }
        }
    }
}

fn form(status: &Status<'_>, query: &Query) -> Markup {
    let projects: BTreeSet<&str> = status.entries.iter().map(|entry| entry.project).collect();
    let products: BTreeSet<&str> = status.entries.iter().map(|entry| entry.product).collect();
    let types = status.entries.iter().flat_map(|entry| &entry.types);
    let types: BTreeSet<&str> = types.map(|it| it.of.backup_type.name).collect();
    html! {
        form action="/" method="get" role="search" {
            label { "Find " input type="search" name="q" value=(query.words) placeholder="name, id, project"; }
            label {
                "State "
                select name="state" {
                    option value="" { "any" }
                    @for mark in Mark::ALL {
                        option value=(mark) selected[query.state == Some(mark)] { (word(mark)) }
                    }
                }
            }
            (choice("Project ", "project", &query.project, projects))
            (choice("Product ", "product", &query.product, products))
            (choice("Type ", "type", &query.backup_type, types))
            label {
                "Sort by "
                select name="sort" {
                    @for sort in Sort::ALL {
                        option value=(sort.word()) selected[query.sort == sort] { (sort.word()) }
                    }
                }
            }
            @if query.per_page != Query::default().per_page {
                input type="hidden" name="per_page" value=(query.per_page);
            }
            button { "Show" }
        }
    }
}

fn choice<'a>(label: &str, name: &str, chosen: &'a str, mut values: BTreeSet<&'a str>) -> Markup {
    // What is chosen may be gone from what there is, and still holds.
    if !chosen.is_empty() {
        values.insert(chosen);
    }
    html! {
        label {
            (label)
            select name=(name) {
                option value="" { "any" }
                @for value in values {
                    option value=(value) selected[value == chosen] { (value) }
                }
            }
        }
    }
}

/// The heads of the columns. On a phone each stands before its value.
const COLUMNS: [&str; 10] = [
    "Instance",
    "Type",
    "Last success",
    "Objective",
    "Next planned",
    "Last attempt",
    "Failures since",
    "Size",
    "Polls",
    "Last error",
];

fn table(status: &Status<'_>, selection: &Selection<'_, '_>) -> Markup {
    html! {
        p #count aria-live="polite" {
            (selection.entries.len()) " of " (selection.found) " instances, page " (selection.page)
            " of " (selection.pages) ". Times are UTC; this page is of " (time(status.now)) "."
        }
        // Told by roles as well: on a phone the cells are no table any more.
        table role="table" {
            caption { "Instances and their types of backups" }
            thead role="rowgroup" {
                tr role="row" {
                    @for column in COLUMNS { th role="columnheader" scope="col" { (column) } }
                }
            }
            @for entry in &selection.entries { (group(status, selection, entry)) }
        }
    }
}

/// The rows of an instance.
fn group(status: &Status<'_>, selection: &Selection<'_, '_>, entry: &Entry<'_>) -> Markup {
    let types: Vec<&EntryType<'_>> = selection.types(entry).collect();
    let rows = types.len().max(1);
    let is_bad = entry.marks.iter().any(Mark::is_problem);
    html! {
        tbody role="rowgroup" .problem[is_bad] {
            @for at in 0..rows {
                tr role="row" {
                    @if at == 0 { (named(entry, rows)) }
                    @match types.get(at) {
                        Some(it) => (cells(status.now, entry, it)),
                        None => td role="cell" colspan="7" data-label="Backups" {
                            @match entry.state {
                                Some(_) if entry.marks.has(Mark::Waiting) => "nothing known yet",
                                Some(state) if state.reading.is_none() => "nothing known",
                                Some(_) => "none, and none is expected",
                                None if entry.instance.is_none() => "the instance list was never read",
                                None => {},
                            }
                        },
                    }
                    @if at == 0 {
                        td role="cell" rowspan=(rows) data-label="Polls" {
                            @if let Some(state) = entry.state { (polls(status, state)) }
                        }
                        td role="cell" rowspan=(rows) data-label="Last error" {
                            @if let Some(state) = entry.state { (errors(status.now, state)) }
                        }
                    }
                }
            }
        }
    }
}

fn named(entry: &Entry<'_>, rows: usize) -> Markup {
    html! {
        th role="rowheader" scope="rowgroup" rowspan=(rows) {
            @if entry.instance.is_none() {
                "the list of the project"
            } @else {
                a href=(link(entry)) { (entry.name) }
            }
            br; small { (entry.project) "/" (entry.product) br; (entry.id()) }
            @if let Some(status) = entry.status { small { " " (status) } }
            br; (marks(entry.own, about(entry, None)))
        }
    }
}

/// Where the page of an instance is.
fn link(entry: &Entry<'_>) -> String {
    let path = "/instance?".to_owned();
    let start = path.len();
    let mut query = Serializer::for_suffix(path, start);
    query.append_pair("project", entry.project);
    query.append_pair("product", entry.product);
    query.append_pair("id", entry.id());
    query.finish()
}

fn cells(now: Timestamp, entry: &Entry<'_>, typed: &EntryType<'_>) -> Markup {
    let summary = typed.of.summary;
    let is_stale = typed.marks.has(Mark::Stale);
    // The cloud plans one type; which one that is, the state knows.
    let is_planned =
        entry.state.is_some_and(|it| it.target.product.automated == typed.of.backup_type);
    let planned = entry.next_planned(now).filter(|_| is_planned);
    html! {
        td role="cell" data-label="Type" { (typed.of.backup_type) br; (marks(typed.marks, about(entry, Some(typed)))) }
        td role="cell" data-label="Last success" .late[is_stale] {
            @match summary.last_success {
                Some(success) => (ago(now, success.end)),
                None => "none",
            }
        }
        td role="cell" data-label="Objective" {
            @if let Some((max_age, origin)) = typed.of.objective.and_then(|it| it.max_age.zip(Some(it.origin))) {
                "at most " (print(max_age)) br; small { (origin) }
            } @else {
                small title=[unexpected(entry, typed)] { "not expected" }
            }
        }
        td role="cell" data-label="Next planned" {
            @if let Some((begin, end)) = planned { (window(now, begin, end)) }
        }
        td role="cell" data-label="Last attempt" { (attempt(now, typed)) }
        td role="cell" data-label="Failures since" .late[summary.failures_since_last_success > Some(0)] {
            @if let Some(failures) = summary.failures_since_last_success { (failures) }
        }
        td role="cell" data-label="Size" { (size(typed)) }
    }
}

/// The conditions that are about a type, or about none.
pub(super) fn about<'e>(
    entry: &'e Entry<'_>,
    typed: Option<&EntryType<'_>>,
) -> impl Iterator<Item = &'e Condition> {
    let backup_type = typed.map(|it| it.of.backup_type);
    entry.conditions.iter().filter(move |it| it.backup_type == backup_type)
}

/// Why nothing is expected of a type.
pub(super) fn unexpected(entry: &Entry<'_>, typed: &EntryType<'_>) -> Option<String> {
    Some(nothing_expected(entry.state?, entry.instance?, &typed.of))
}

fn window(now: Timestamp, begin: Timestamp, end: Timestamp) -> Markup {
    html! {
        @if begin <= now { "now, until " (time(end)) }
        @else { "in " (short(age(begin, now))) br; small { (time(begin)) } }
    }
}

fn attempt(now: Timestamp, typed: &EntryType<'_>) -> Markup {
    let summary = typed.of.summary;
    html! {
        @if let Some(since) = summary.running_since {
            "one runs for " (short(age(now, since))) br;
        }
        @match summary.last_attempt_success {
            Some(true) => "completed",
            Some(false) => span.late { "failed" },
            None => {},
        }
        @if let Some(begin) = summary.last_attempt {
            @if summary.last_attempt_success.is_some() { br; }
            small { "begun " (time(begin)) }
        }
    }
}

fn size(typed: &EntryType<'_>) -> Markup {
    html! {
        @if let Some(count) = typed.of.summary.last_success.and_then(|it| it.bytes) {
            (size::print(count as f64))
            @if let Some(ratio) = typed.size_ratio() {
                br; small { (format!("{:.0} %", ratio * 100.0)) " of the baseline" }
            }
        }
    }
}

pub(super) fn polls(status: &Status<'_>, state: &TargetState) -> Markup {
    let now = status.now;
    let backoff = status.backoff(&state.target.project);
    html! {
        @match &state.last_poll {
            None => "not yet",
            Some(poll) => {
                @if poll.fault.is_some() { span.late { "failed " } } @else { "ok " }
                (short(age(now, poll.ended))) " ago"
            }
        }
        @if state.failures > 0 {
            br;
            @match state.last_success {
                Some(ended) => { "last ok " (short(age(now, ended))) " ago" },
                None => "never ok",
            }
        }
        @if let Some(wait) = status.until_next_poll(state) { br; small { "next in " (short(wait)) } }
        @if backoff > Duration::ZERO { br; span.late { "pauses for " (short(backoff)) } }
    }
}

pub(super) fn errors(now: Timestamp, state: &TargetState) -> Markup {
    let lookups = [
        ("backup policy", state.policy.failures, state.policy.last_fault.as_ref()),
        ("restore times", state.restore_window.failures, state.restore_window.last_fault.as_ref()),
    ];
    html! {
        (last_fault(state.last_fault.as_ref(), state.failures, now))
        @for (what, failures, fault) in lookups {
            @if failures > 0 { div { (what) ": " (last_fault(fault, failures, now)) } }
        }
    }
}

fn pages(query: &Query, selection: &Selection<'_, '_>) -> Markup {
    let link = |page: usize| format!("/?{}", query.at(page));
    html! {
        @if selection.pages > 1 || selection.page > 1 {
            nav.pages aria-label="Pages" {
                @if selection.page > 1 {
                    a rel="prev" href=(link(selection.pages.min(selection.page - 1))) { "previous page" }
                }
                @if selection.page < selection.pages {
                    a rel="next" href=(link(selection.page + 1)) { "next page" }
                }
            }
        }
    }
}

fn lists(status: &Status<'_>) -> Markup {
    html! {
        @if !status.estates.is_empty() {
            h2 { "Instance lists" }
            table role="table" {
                caption { "Instance lists" }
                thead role="rowgroup" {
                    tr role="row" {
                        @for column in ["List", "Last successful reading", "Instances", "Last error"] {
                            th role="columnheader" scope="col" { (column) }
                        }
                    }
                }
                @for estate in status.estates { (list(estate, status.now)) }
            }
        }
    }
}

fn list(estate: &Estate, now: Timestamp) -> Markup {
    let unmonitored = estate.unmonitored().filter(|it| estate.is_ours(&it.id)).count();
    html! {
        tbody role="rowgroup" .problem[estate.failures > 0] {
            tr role="row" {
                th role="rowheader" scope="row" { (estate.census.project) "/" (estate.census.product.name) }
                td role="cell" data-label="Last successful reading" {
                    @match estate.last_success { None => "never", Some(ended) => (ago(now, ended)) }
                }
                td role="cell" data-label="Instances" {
                    @if estate.is_known() { (estate.count) }
                    @if unmonitored > 0 { ", " (unmonitored) " of them not monitored" }
                }
                td role="cell" data-label="Last error" {
                    (last_fault(estate.last_fault.as_ref(), estate.failures, now))
                }
            }
        }
    }
}
