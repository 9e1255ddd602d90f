//! Which conditions of the shipped alerts about databases hold now: what their expressions in
//! `deploy/prometheus/rules.yml` say of the numbers of one exporter. Pure; a test asks `promtool` about
//! the same numbers.
//!
//! How long a condition has to hold before its alert fires is told and not judged: that takes more than
//! one reading.

use std::time::Duration;

use jiff::Timestamp;

use crate::backup::BackupType;
use crate::clock::{moment, seconds};
use crate::config::duration::{print, print_age};
use crate::size;
use crate::snapshot::{Shown, ShownType};

/// An alert that can be judged from one reading.
#[derive(Debug, Eq, PartialEq)]
pub struct Alert {
    /// Its name.
    pub name: &'static str,
    /// The label `severity`.
    pub severity: &'static str,
    /// How long its condition has to hold before it fires.
    pub after: Duration,
}

/// A condition that holds.
#[derive(Debug, Eq, PartialEq)]
pub struct Condition {
    /// Of which alert.
    pub alert: &'static Alert,
    /// The type of backup, if it is about one.
    pub backup_type: Option<BackupType>,
    /// What it is about, with the numbers; a sentence without a full stop.
    pub why: String,
}

/// The alerts, in the order of the file.
pub static ALL: [&Alert; 12] = [
    &FAILED,
    &FAILING,
    &STALE,
    &VERY_STALE,
    &MISSING,
    &RUNNING_TOO_LONG,
    &SIZE_DROPPED,
    &SIZE_GREW,
    &POLICY_DISABLED,
    &RESTORE_POINT_LAGGING,
    &NOT_FOUND,
    &NOT_MONITORED,
];

/// Those that cannot be judged so, and why.
pub static NOT_JUDGED: [(&str, &str); 1] = [(
    "DatabaseInstancesVanished",
    "it is about a project, and compares the length of its instance list with yesterday's",
)];

/// The conditions that hold for an instance, in the order of the alerts.
pub fn conditions(shown: &Shown<'_>, now: Timestamp) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for judge in OF_TYPES {
        for of in &shown.types {
            conditions.extend(judge(&Known { of, created: shown.created, now }));
        }
    }
    for judge in OF_INSTANCES {
        conditions.extend(judge(shown));
    }
    conditions
}

/// The condition that holds for an instance of the list that is neither configured nor discovered.
pub fn unmonitored() -> Condition {
    let why = "the cloud has it, and the config neither names it nor discovers it";
    hold(&NOT_MONITORED, why.to_owned())
}

/// What is known of a type and goes into its conditions.
struct Known<'a> {
    of: &'a ShownType<'a>,
    created: Option<Timestamp>,
    now: Timestamp,
}

type OfType = fn(&Known<'_>) -> Option<Condition>;

const OF_TYPES: [OfType; 8] =
    [failed, failing, stale, very_stale, missing, running_too_long, size_dropped, size_grew];

type OfInstance = fn(&Shown<'_>) -> Option<Condition>;

const OF_INSTANCES: [OfInstance; 3] = [policy_disabled, restore_point_lagging, not_found];

impl Known<'_> {
    /// In seconds, as Prometheus has it.
    fn max_age(&self) -> Option<f64> {
        self.of.max_age().map(|it| it.as_secs_f64())
    }

    /// How old the last success was when last observed.
    fn age(&self) -> Option<f64> {
        let success = self.of.summary.last_success?;
        Some(between(success.end, self.of.observed))
    }

    /// How old the instance was then.
    fn instance_age(&self) -> Option<f64> {
        self.created.map(|created| between(created, self.of.observed))
    }

    /// Nobody repeats a type that is made on demand: its last failure counts for a day.
    fn is_old(&self) -> bool {
        let is_on_demand = !REPEATED.contains(&self.of.backup_type.name);
        let failure = self.of.summary.last_failure.filter(|_| is_on_demand);
        let is_past = failure.is_some_and(|failure| between(failure, self.now) > DAY);
        is_past && self.max_age().is_none()
    }

    fn hold(&self, alert: &'static Alert, why: String) -> Condition {
        Condition { backup_type: Some(self.of.backup_type), ..hold(alert, why) }
    }
}

/// The last finished attempt failed.
pub static FAILED: Alert = warning("DatabaseBackupFailed", HOUR);

fn failed(known: &Known<'_>) -> Option<Condition> {
    let holds = known.of.summary.last_attempt_success == Some(false) && !known.is_old();
    holds.then(|| {
        let failure = known.of.summary.last_failure;
        let when = failure.map(|it| format!(", which began at {},", moment(it)));
        known.hold(&FAILED, format!("the last finished attempt{} failed", when.unwrap_or_default()))
    })
}

/// Three or more attempts failed in a row.
pub static FAILING: Alert = critical("DatabaseBackupFailing", 15 * MINUTE);

fn failing(known: &Known<'_>) -> Option<Condition> {
    let failures = known.of.summary.failures_since_last_success.filter(|it| *it >= 3)?;
    let holds = !known.is_old();
    holds.then(|| {
        let since = match known.of.summary.last_success {
            Some(_) => "since the last success",
            None => "and there is no success",
        };
        known.hold(&FAILING, format!("{failures} attempts failed {since}"))
    })
}

/// The last success is older than its objective.
pub static STALE: Alert = warning("DatabaseBackupStale", 15 * MINUTE);

fn stale(known: &Known<'_>) -> Option<Condition> {
    let (age, most) = (known.age()?, known.max_age()?);
    (age > most).then(|| {
        let (age, most) = (length(age), objective(most));
        let why = format!(
            "the last success was {age} old when last observed, more than the objective of {most}"
        );
        known.hold(&STALE, why)
    })
}

/// It is older than twice that.
pub static VERY_STALE: Alert = critical("DatabaseBackupVeryStale", 15 * MINUTE);

fn very_stale(known: &Known<'_>) -> Option<Condition> {
    let (age, most) = (known.age()?, known.max_age()?);
    (age > 2.0 * most).then(|| {
        let (age, most) = (length(age), objective(most));
        let why = format!(
            "the last success was {age} old when last observed, more than twice the objective of \
             {most}"
        );
        known.hold(&VERY_STALE, why)
    })
}

/// There is no success, although one is expected.
pub static MISSING: Alert = critical("DatabaseBackupMissing", 25 * MINUTE);

fn missing(known: &Known<'_>) -> Option<Condition> {
    let most = known.max_age()?;
    let age = known.instance_age();
    let is_young = age.is_some_and(|age| age < YOUNG || age < most);
    let holds = known.of.summary.last_success.is_none() && !is_young;
    holds.then(|| {
        let since = age.map(|age| format!(", and the instance was {} old", length(age)));
        let why = format!(
            "there was no completed backup when last observed, although one is expected every {}{}",
            objective(most),
            since.unwrap_or_default()
        );
        known.hold(&MISSING, why)
    })
}

/// One does not end.
pub static RUNNING_TOO_LONG: Alert = warning("DatabaseBackupRunningTooLong", 15 * MINUTE);

fn running_too_long(known: &Known<'_>) -> Option<Condition> {
    let running = between(known.of.summary.running_since?, known.of.observed);
    let last = known.of.summary.last_success.and_then(|it| it.duration);
    let last = last.map(|it| it.as_secs_f64());
    let is_usual = last.is_some_and(|last| running - 2.0 * last < 0.0);
    let is_far_longer = last.is_some_and(|last| running > 4.0 * last);
    let holds = (running > 6.0 * 3600.0 && !is_usual) || (is_far_longer && running > 3600.0);
    holds.then(|| {
        let usual = match last {
            Some(last) => format!("the last success took {}", length(last)),
            None => "how long one takes is not known".to_owned(),
        };
        let running = length(running);
        let why = format!("one had been running for {running} when last observed, and {usual}");
        known.hold(&RUNNING_TOO_LONG, why)
    })
}

/// Of the last success and the usual one in bytes, if both are known. Manual backups are made at odd
/// moments, and incrementals are as large as what was written.
fn sizes(of: &ShownType<'_>) -> Option<(f64, f64)> {
    let size = of.summary.last_success?.bytes?;
    let usual = of.summary.size_baseline?.bytes();
    (of.backup_type.name == SIZED).then_some((size as f64, usual))
}

/// The last success is much smaller than usual.
pub static SIZE_DROPPED: Alert = warning("DatabaseBackupSizeDropped", 15 * MINUTE);

fn size_dropped(known: &Known<'_>) -> Option<Condition> {
    let (size, usual) = sizes(known.of)?;
    (size / usual < 0.5).then(|| {
        let (size, usual) = (size::print(size), size::print(usual));
        let why = format!("the last success has {size}, less than half of the usual {usual}");
        known.hold(&SIZE_DROPPED, why)
    })
}

/// It is much larger.
pub static SIZE_GREW: Alert = info("DatabaseBackupSizeGrew", 15 * MINUTE);

fn size_grew(known: &Known<'_>) -> Option<Condition> {
    let (size, usual) = sizes(known.of)?;
    (size / usual > 3.0).then(|| {
        let (size, usual) = (size::print(size), size::print(usual));
        let why = format!("the last success has {size}, more than three times the usual {usual}");
        known.hold(&SIZE_GREW, why)
    })
}

/// The cloud makes no backups by itself.
pub static POLICY_DISABLED: Alert = critical("DatabaseBackupPolicyDisabled", HOUR);

fn policy_disabled(shown: &Shown<'_>) -> Option<Condition> {
    let policy = shown.state.policy.value()?;
    let holds = !policy.is_enabled();
    holds.then(|| hold(&POLICY_DISABLED, "its automated backup policy is off".to_owned()))
}

/// The newest point to restore to lags.
pub static RESTORE_POINT_LAGGING: Alert = warning("DatabaseRestorePointLagging", 30 * MINUTE);

fn restore_point_lagging(shown: &Shown<'_>) -> Option<Condition> {
    let (asked, window) = shown.state.restore_window.answer.as_ref()?;
    let lag = window.end.map(|end| between(end, *asked));
    if let Some(lag) = lag.filter(|lag| *lag > 3600.0) {
        let why = format!("the newest point to restore to was {} old when asked", length(lag));
        return Some(hold(&RESTORE_POINT_LAGGING, why));
    }
    let is_young = shown.created.is_some_and(|created| between(created, *asked) < YOUNG);
    let holds = window.ranges == 0 && !is_young;
    holds.then(|| {
        let why = "there was no point in time to restore to when asked";
        hold(&RESTORE_POINT_LAGGING, why.to_owned())
    })
}

/// The cloud does not have the instance.
pub static NOT_FOUND: Alert = warning("DatabaseInstanceNotFound", HOUR);

fn not_found(shown: &Shown<'_>) -> Option<Condition> {
    let holds = shown.is_found == Some(false);
    holds.then(|| hold(&NOT_FOUND, "the cloud does not have it, or not any more".to_owned()))
}

/// Nobody watches it.
pub static NOT_MONITORED: Alert = info("DatabaseInstanceNotMonitored", 24 * HOUR);

impl Alert {
    /// The name of its runbook's file.
    pub fn runbook(&self) -> String {
        format!("{}.md", self.name)
    }
}

const fn critical(name: &'static str, after: u64) -> Alert {
    Alert { name, severity: "critical", after: Duration::from_secs(after) }
}

const fn info(name: &'static str, after: u64) -> Alert {
    Alert { name, severity: "info", after: Duration::from_secs(after) }
}

const fn warning(name: &'static str, after: u64) -> Alert {
    Alert { name, severity: "warning", after: Duration::from_secs(after) }
}

fn hold(alert: &'static Alert, why: String) -> Condition {
    Condition { alert, backup_type: None, why }
}

/// In seconds, as Prometheus counts.
fn between(from: Timestamp, to: Timestamp) -> f64 {
    seconds(to) - seconds(from)
}

/// As the config writes it.
fn objective(seconds: f64) -> String {
    print(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// To the second: of two times that are near each other, the part of a minute decides.
fn length(seconds: f64) -> String {
    print_age(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: f64 = 86_400.0;
/// A younger instance need not have a backup yet.
const YOUNG: f64 = 2.0 * DAY;
/// The type whose sizes can be compared.
const SIZED: &str = "auto";
/// The types that are made again if they fail.
const REPEATED: [&str; 3] = ["auto", "auto_metadata", "incremental"];

#[cfg(test)]
mod tests;
