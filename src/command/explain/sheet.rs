//! What was found, as a person reads it at night.

use std::fmt::Write;

use jiff::Timestamp;

use crate::alert::{self, Condition};
use crate::app::round::Round;
use crate::clock::{age, moment};
use crate::command::asked::{Left, Subject};
use crate::config::duration::{print, print_age};
use crate::error::{Fault, one_line};
use crate::size;
use crate::snapshot::{Shown, ShownType, TargetState};
use crate::status::reason;
use crate::summary::{MOST_RECORDS, Record};

/// The whole text: an instance after the other, and behind them what could not be read at all.
pub(super) fn text(subjects: &[Subject<'_>], round: &Round) -> String {
    let mut sheet = Sheet { text: String::new(), now: round.ended };
    if subjects.is_empty() && round.is_well() {
        sheet.text.push_str("there is no instance, and no backup of one\n");
    }
    for subject in subjects {
        sheet.head(&format!("{} ({})", subject.place(), subject.id()));
        match subject {
            Subject::Watched(shown) => sheet.instance(shown),
            Subject::Left(estate, listed, why) => {
                let engine = listed.engine.as_ref().map(|it| (&*it.name, &*it.version));
                let is_listed = estate.lists(&listed.id);
                sheet.of_instance(
                    engine,
                    listed.status.as_deref(),
                    listed.created,
                    is_listed.into(),
                );
                sheet.line(1, "read", &format!("no, {}", why.why()));
                sheet.conditions(match why {
                    Left::Unmonitored => vec![alert::unmonitored()],
                    Left::Excluded | Left::Replica => Vec::new(),
                });
            }
        }
    }
    for estate in &round.snapshot.estates {
        let told = match &estate.last_fault {
            Some((_, fault)) if estate.failures > 0 => fault_of(fault),
            _ if !estate.is_known() => "no".to_owned(),
            _ => continue,
        };
        sheet.head(&estate.census.to_string());
        sheet.line(1, "read", &told);
    }
    // Nobody stands for a project that has no instance to show.
    for state in &round.snapshot.targets {
        let is_told =
            subjects.iter().filter_map(Subject::state).any(|it| it.target == state.target);
        let is_failed = state.last_poll.as_ref().is_none_or(|poll| poll.fault.is_some());
        if !is_told && is_failed {
            sheet.head(&state.target.to_string());
            sheet.read(state);
        }
    }
    sheet.text
}

/// A text that is being written.
struct Sheet {
    text: String,
    now: Timestamp,
}

impl Sheet {
    fn instance(&mut self, shown: &Shown<'_>) {
        self.read(shown.state);
        self.of_instance(shown.engine, shown.status, shown.created, shown.is_found);
        self.policy(shown);
        self.restore_window(shown.state);
        if shown.types.is_empty() && shown.state.reading.is_some() {
            self.line(1, "backups", "none, and none is expected");
        }
        for of in &shown.types {
            self.backup_type(shown, of);
        }
        self.conditions(alert::conditions(shown, self.now));
    }

    /// How the reading of its list went.
    fn read(&mut self, state: &TargetState) {
        let told = match &state.last_poll {
            None => "no".to_owned(),
            Some(poll) => {
                let whose = match &state.target.instance {
                    Some(_) => "",
                    None => "the list of the project, ",
                };
                let outcome = match (&poll.fault, &state.reading) {
                    (Some(fault), _) => fault_of(fault),
                    (None, Some(reading)) => format!("complete at {}", moment(reading.observed)),
                    (None, None) => "complete".to_owned(),
                };
                let (requests, records) = (poll.requests, poll.records);
                format!("{whose}{requests} requests, {records} records, {outcome}")
            }
        };
        self.line(1, "read", &told);
    }

    fn of_instance(
        &mut self,
        engine: Option<(&str, &str)>,
        status: Option<&str>,
        created: Option<Timestamp>,
        is_found: Option<bool>,
    ) {
        let engine = engine.map(|(name, version)| format!("{name} {version}").trim().to_owned());
        let created = created.map(|created| format!("made at {}", moment(created)));
        let found = match is_found {
            Some(true) => "the cloud has it",
            Some(false) => "the cloud does not have it, or not any more",
            None => "whether the cloud has it is not known",
        };
        let parts = [engine, status.map(str::to_owned), created, Some(found.to_owned())];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|it| !it.is_empty()).collect();
        self.line(1, "instance", &parts.join(", "));
    }

    fn policy(&mut self, shown: &Shown<'_>) {
        let state = shown.state;
        let automated = state.target.product.automated;
        let run = shown.types.iter().find(|of| of.backup_type == automated);
        let begun = run.and_then(|of| of.summary.last_attempt);
        let told = match (&state.policy.last_fault, state.policy.value()) {
            (Some((_, fault)), _) if state.policy.failures > 0 => fault_of(fault),
            (_, None) => return,
            (_, Some(policy)) => match (policy.retention, policy.plan) {
                (None, _) => "off: the cloud makes no backups by itself".to_owned(),
                (Some(kept), plan) => {
                    let next = plan.and_then(|plan| plan.next_run(self.now, begun));
                    let next = next.map(|(from, to)| {
                        format!(", the next backup begins from {} to {}", moment(from), moment(to))
                    });
                    format!("on, backups are kept for {}{}", print(kept), next.unwrap_or_default())
                }
            },
        };
        self.line(1, "policy", &told);
    }

    fn restore_window(&mut self, state: &TargetState) {
        let window = &state.restore_window;
        let told = match (&window.last_fault, window.value()) {
            (Some((_, fault)), _) if window.failures > 0 => fault_of(fault),
            (_, None) => return,
            (_, Some(window)) => match (window.start, window.end) {
                (Some(start), Some(end)) => {
                    let (start, end) = (moment(start), moment(end));
                    let holes = match window.ranges {
                        0 | 1 => String::new(),
                        ranges => format!(", with holes ({ranges} ranges)"),
                    };
                    format!("to any point from {start} to {end}{holes}")
                }
                _ => "to no point in time".to_owned(),
            },
        };
        self.line(1, "restore", &told);
    }

    fn backup_type(&mut self, shown: &Shown<'_>, of: &ShownType<'_>) {
        let summary = of.summary;
        self.line(1, of.backup_type.name, "");
        self.line(2, "objective", &reason::objective(shown.state, shown.id, of));
        let success = match summary.last_success {
            None => "none".to_owned(),
            Some(success) => {
                let age = print_age(age(self.now, success.end));
                let took = success.duration.map(|took| format!(", took {}", print(took)));
                let size = success.bytes.map(|bytes| format!(", {}", size::print(bytes as f64)));
                let usual = summary
                    .size_baseline
                    .map(|it| format!(", the usual size is {}", size::print(it.bytes())));
                let more = [took, size, usual].map(Option::unwrap_or_default).concat();
                format!("{age} old, ended at {}{more}", moment(success.end))
            }
        };
        self.line(2, "last success", &success);
        if let Some(failures) = summary.failures_since_last_success {
            let since = if summary.last_success.is_some() { " since then" } else { "" };
            self.line(2, "failures", &format!("{failures}{since}"));
        }
        self.records(of);
    }

    fn records(&mut self, of: &ShownType<'_>) {
        if of.newest.is_empty() {
            self.line(2, "records", "none");
            return;
        }
        self.line(2, "records", "newest first; `*` counts as the last success");
        let success = of.newest.iter().find(|it| it.is_last_success);
        for record in of.newest {
            self.record(record, success);
        }
        let all: u64 = of.summary.backups.iter().map(|(_, count)| count).sum();
        let told = of.newest.len() as u64;
        match all.saturating_sub(told) {
            // What a widened window brought of commits is not counted.
            0 if of.newest.len() >= MOST_RECORDS && all < told => {
                self.text.push_str("      and perhaps older ones\n");
            }
            0 => {}
            // Writing to a text does not fail.
            more => drop(writeln!(self.text, "      and {more} older ones")),
        }
    }

    fn record(&mut self, record: &Record, success: Option<&Record>) {
        let mark = if record.is_last_success { '*' } else { ' ' };
        let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), moment);
        let (begin, end) = (time(record.begin), time(record.end));
        let size = record.bytes.map_or_else(|| "-".to_owned(), |it| size::print(it as f64));
        let why = reason::passed_over(record, success);
        let why = why.map_or_else(String::new, |why| format!("  {why}"));
        let (status, id) = (record.status.label(), one_line(&record.id.to_string()));
        let line = format!("    {mark} {begin:20}  {end:20}  {status:9}  {size:>10}  {id}{why}\n");
        self.text.push_str(&line);
    }

    fn conditions(&mut self, conditions: Vec<Condition>) {
        if conditions.is_empty() {
            self.line(1, "alerts", "no condition of the shipped alerts holds");
        }
        for Condition { alert, backup_type, why } in conditions {
            let of = backup_type.map(|it| format!(" of {it}")).unwrap_or_default();
            let (name, severity, after) = (alert.name, alert.severity, print(alert.after));
            self.line(1, "alert", &format!("{name}{of}: {why}"));
            let what = format!("{severity}, fires after {after}; runbook {}", alert.runbook());
            self.line(2, "it is", &what);
        }
    }

    /// The name of what the lines below are about.
    fn head(&mut self, name: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text += &one_line(name);
        self.text.push('\n');
    }

    /// What is told goes on one line: it is foreign text.
    fn line(&mut self, depth: usize, what: &str, told: &str) {
        self.text += &"  ".repeat(depth);
        self.text += what;
        self.text.push(':');
        if !told.is_empty() {
            self.text.push(' ');
            self.text += &one_line(told);
        }
        self.text.push('\n');
    }
}

fn fault_of(fault: &Fault) -> String {
    format!("failed: {}: {fault}", fault.reason)
}
