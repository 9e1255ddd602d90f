//! The status as JSON: the contract of `/api/v1/status`. Every key is always there; what is not known is
//! `null`, never 0. Keys may be added, and none is renamed or taken away within `v1`.
//!
//! `docs/status.schema.json` is made from these types, their comments included.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Entry, EntryType, Mark, Selection, Status};
use crate::alert::Condition;
use crate::build;
use crate::clock::age;
use crate::error::Fault;
use crate::estate::Estate;
use crate::snapshot::TargetState;
use crate::summary::{ByStatus, Median};

/// What the exporter knows of the backups, at the time of the answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Report<'a> {
    /// The version of the exporter.
    version: &'static str,
    /// When this was told.
    time: Time,
    /// Which part of the targets is polled here: all else is of these alone, but for how many instances
    /// a list has.
    shard: Part,
    /// Counted over all instances, whatever was asked for.
    totals: Totals,
    /// The instance lists that are read.
    instance_lists: Vec<InstanceList<'a>>,
    /// How many instances match what was asked for, on all pages.
    found: usize,
    /// Which page this is, from 1.
    page: usize,
    /// How many pages there are.
    pages: usize,
    /// The instances of this page, in the order that was asked for.
    instances: Vec<Instance<'a>>,
}

/// One of several exporters that share the targets.
#[derive(Debug, Serialize, JsonSchema)]
struct Part {
    /// Which one, from 0.
    index: u32,
    /// How many there are.
    count: u32,
}

/// How many instances are in which state. One may be in several.
#[derive(Debug, Serialize, JsonSchema)]
struct Totals {
    /// Instances that are polled.
    instances: usize,
    /// Those with the state `stale`.
    stale: usize,
    /// Those with the state `failing`.
    failing: usize,
    /// Those with the state `running`.
    running: usize,
    /// Those with the state `blind`. The list of a project of which no instance is known counts as one.
    blind: usize,
    /// Those with the state `unmonitored`.
    unmonitored: usize,
}

/// RFC 3339, in UTC.
#[derive(Debug, JsonSchema)]
#[schemars(transparent)]
struct Time(#[schemars(with = "String", extend("format" = "date-time"))] Timestamp);

impl Serialize for Time {
    /// To the millisecond: more digits are more than some readers take.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.3}", self.0))
    }
}

/// An instance list of a project and product.
#[derive(Debug, Serialize, JsonSchema)]
struct InstanceList<'a> {
    /// The label of the project.
    project: &'a str,
    /// `rds` or `ddm`.
    product: &'static str,
    /// When it was read last.
    last_success: Option<Time>,
    /// How many instances it had then.
    instances: Option<u64>,
    /// How many of them nobody watches.
    unmonitored: usize,
    /// How often in a row it could not be read since then.
    failures: u64,
    /// Why it could not be read last, whatever came after it.
    last_error: Option<Error<'a>>,
}

/// Something that could not be had from the cloud.
#[derive(Debug, Serialize, JsonSchema)]
struct Error<'a> {
    /// When.
    time: Time,
    /// The word of the label `reason`.
    reason: &'static str,
    /// What happened, with the words of the cloud.
    message: &'a str,
}

/// An instance; or the list of a project, while no instance of it is known.
#[derive(Debug, Serialize, JsonSchema)]
struct Instance<'a> {
    /// The label of its project.
    project: &'a str,
    /// `rds` or `ddm`.
    product: &'static str,
    /// Its id; empty for a list.
    id: &'a str,
    /// Its name; empty for a list.
    name: &'a str,
    /// Its engine.
    engine: Option<Engine<'a>>,
    /// The state that the cloud reports.
    status: Option<&'a str>,
    /// When it was made.
    created: Option<Time>,
    /// What is to be said of it or of any of its types, the worst first: `failing`, `stale`,
    /// `alerting`, `blind`, `poll_failing`, `not_found`, `unmonitored`, `running`, `waiting`.
    states: Vec<&'static str>,
    /// The conditions of the shipped alerts that hold for it now. An alert fires when its condition has
    /// held for a while.
    alerts: Vec<Alert>,
    /// How it is read; null if nobody watches it.
    poll: Option<Poll<'a>>,
    /// The window of the next automated backup, by the instance's own policy.
    next_planned: Option<Window>,
    /// What the instance can be restored to.
    restore_window: Option<RestoreWindow>,
    /// Its types of backups: those that are expected, and those with a record.
    backups: Vec<Backups>,
}

/// A condition that holds.
#[derive(Debug, Serialize, JsonSchema)]
struct Alert {
    /// The name of its alert.
    name: &'static str,
    /// The severity of that.
    severity: &'static str,
    /// The type that it is about; null if it is about the instance.
    backup_type: Option<&'static str>,
    /// Why it holds.
    why: String,
    /// How long it has to hold before the alert fires.
    fires_after_seconds: f64,
}

/// The engine of an instance.
#[derive(Debug, Serialize, JsonSchema)]
struct Engine<'a> {
    /// Such as `MySQL`.
    name: &'a str,
    /// Such as `8.0`.
    version: &'a str,
}

/// The polls of a target.
#[derive(Debug, Serialize, JsonSchema)]
struct Poll<'a> {
    /// How often.
    interval_seconds: f64,
    /// The last one; null before the first one ended.
    last: Option<LastPoll>,
    /// When one succeeded last.
    last_success: Option<Time>,
    /// How many failed since then.
    failures: u64,
    /// Why one failed last, whatever came after it.
    last_error: Option<Error<'a>>,
    /// Why its backup policy could not be had, while that is so.
    policy_error: Option<Error<'a>>,
    /// Why the times to restore to could not be had, while that is so.
    restore_window_error: Option<Error<'a>>,
    /// When the next one is due.
    next: Option<Time>,
    /// How long requests of the project still wait because the cloud asked for it or refused the
    /// credential.
    backoff_seconds: f64,
}

/// How a poll went.
#[derive(Debug, Serialize, JsonSchema)]
struct LastPoll {
    /// When it ended.
    ended: Time,
    /// Whether all of it was read.
    success: bool,
    /// How long it took.
    duration_seconds: f64,
    /// How many requests it made.
    requests: u64,
    /// How many records it read.
    records: u64,
}

/// A window of time.
#[derive(Debug, Serialize, JsonSchema)]
struct Window {
    /// Its begin.
    begin: Time,
    /// Its end.
    end: Time,
}

/// What an instance can be restored to.
#[derive(Debug, Serialize, JsonSchema)]
struct RestoreWindow {
    /// When that was asked.
    observed: Time,
    /// How many ranges there are; more than one means holes.
    ranges: u64,
    /// The first point of the oldest one.
    start: Option<Time>,
    /// The last point of the newest one.
    end: Option<Time>,
}

/// The backups of one type, from the last successful poll.
#[derive(Debug, Serialize, JsonSchema)]
struct Backups {
    /// Which type.
    r#type: &'static str,
    /// What is to be said of it: `failing`, `stale`, `alerting`, `running`.
    states: Vec<&'static str>,
    /// When the listing behind it was complete.
    observed: Time,
    /// The objective; null if the type is not expected.
    objective: Option<Objective>,
    /// The newest completed backup.
    last_success: Option<Success>,
    /// The newest attempt (of incrementals there is no time).
    last_attempt: Option<Time>,
    /// Whether the newest finished attempt completed.
    last_attempt_success: Option<bool>,
    /// Begin of the newest failed one.
    last_failure: Option<Time>,
    /// Failed ones that began after the last success did.
    failures_since_last_success: Option<u64>,
    /// Begin of the oldest one that is being made.
    running_since: Option<Time>,
    /// End of the oldest completed one.
    oldest_success: Option<Time>,
    /// The median size of up to seven before the last success.
    size_baseline_bytes: Option<f64>,
    /// The size of the last success, by the baseline.
    size_ratio: Option<f64>,
    /// How many records are in which status.
    counts: BTreeMap<&'static str, u64>,
    /// The sum of their known sizes.
    bytes: BTreeMap<&'static str, u64>,
}

/// How old the last success may become.
#[derive(Debug, Serialize, JsonSchema)]
struct Objective {
    /// That age.
    max_age_seconds: f64,
    /// Who says so: `default`, `config of the product`, `config of the instance`, `backup policy`.
    origin: String,
}

/// A backup that can be restored.
#[derive(Debug, Serialize, JsonSchema)]
struct Success {
    /// When it ended; of incrementals its recovery point.
    end: Time,
    /// Its age at the time of the answer.
    age_seconds: f64,
    /// Its size.
    size_bytes: Option<u64>,
    /// How long it took.
    duration_seconds: Option<f64>,
}

/// The JSON Schema (2020-12) of the report, for those who read it.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Report<'_>>().to_value()
}

impl<'a> Report<'a> {
    /// What a page of the status comes to.
    pub fn new(status: &Status<'a>, selection: &Selection<'_, 'a>) -> Self {
        let super::Totals { instances, stale, failing, running, blind, unmonitored } =
            status.totals;
        Self {
            version: build::VERSION,
            time: Time(status.now),
            shard: Part { index: status.shard.index(), count: status.shard.count() },
            totals: Totals { instances, stale, failing, running, blind, unmonitored },
            instance_lists: status.estates.iter().map(|it| InstanceList::new(it)).collect(),
            found: selection.found,
            page: selection.page,
            pages: selection.pages,
            instances: selection
                .entries
                .iter()
                .map(|entry| Instance::new(status, entry, selection))
                .collect(),
        }
    }
}

impl<'a> InstanceList<'a> {
    fn new(estate: &'a Estate) -> Self {
        Self {
            project: &estate.census.project,
            product: estate.census.product.name,
            last_success: estate.last_success.map(Time),
            instances: estate.is_known().then_some(estate.count),
            unmonitored: estate.unmonitored().filter(|it| estate.is_ours(&it.id)).count(),
            failures: estate.failures,
            last_error: estate.last_fault.as_ref().map(Error::new),
        }
    }
}

impl<'a> Error<'a> {
    fn new((time, fault): &'a (Timestamp, Fault)) -> Self {
        Self { time: Time(*time), reason: fault.reason.label(), message: &fault.message }
    }
}

impl<'a> Instance<'a> {
    fn new(status: &Status<'a>, entry: &Entry<'a>, selection: &Selection<'_, 'a>) -> Self {
        let window = entry.state.and_then(|state| state.restore_window.answer.as_ref());
        Self {
            project: entry.project,
            product: entry.product,
            id: entry.id(),
            name: entry.name,
            engine: entry.engine.map(|(name, version)| Engine { name, version }),
            status: entry.status,
            created: entry.created.map(Time),
            states: entry.marks.iter().map(Mark::word).collect(),
            alerts: entry.conditions.iter().map(Alert::new).collect(),
            poll: entry.state.map(|state| Poll::new(status, state)),
            next_planned: entry
                .next_planned(status.now)
                .map(|(begin, end)| Window { begin: Time(begin), end: Time(end) }),
            restore_window: window.map(|(observed, window)| RestoreWindow {
                observed: Time(*observed),
                ranges: window.ranges,
                start: window.start.map(Time),
                end: window.end.map(Time),
            }),
            backups: selection.types(entry).map(|it| Backups::new(status.now, it)).collect(),
        }
    }
}

impl Alert {
    fn new(condition: &Condition) -> Self {
        let Condition { alert, backup_type, why } = condition;
        Self {
            name: alert.name,
            severity: alert.severity,
            backup_type: backup_type.map(|it| it.name),
            why: why.clone(),
            fires_after_seconds: seconds(alert.after),
        }
    }
}

impl<'a> Poll<'a> {
    fn new(status: &Status<'a>, state: &'a TargetState) -> Self {
        let policy = state.policy.last_fault.as_ref().filter(|_| state.policy.failures > 0);
        let window = &state.restore_window;
        let window = window.last_fault.as_ref().filter(|_| window.failures > 0);
        Self {
            interval_seconds: seconds(state.target.interval),
            last: state.last_poll.as_ref().map(|poll| LastPoll {
                ended: Time(poll.ended),
                success: poll.fault.is_none(),
                duration_seconds: seconds(poll.took),
                requests: poll.requests,
                records: poll.records,
            }),
            last_success: state.last_success.map(Time),
            failures: state.failures,
            last_error: state.last_fault.as_ref().map(Error::new),
            policy_error: policy.map(Error::new),
            restore_window_error: window.map(Error::new),
            next: status
                .until_next_poll(state)
                .and_then(|wait| status.now.checked_add(wait).ok())
                .map(Time),
            backoff_seconds: seconds(status.backoff(&state.target.project)),
        }
    }
}

impl Backups {
    fn new(now: Timestamp, typed: &EntryType<'_>) -> Self {
        let (of, summary) = (&typed.of, typed.of.summary);
        let objective = of.objective.and_then(|it| it.max_age.zip(Some(it.origin)));
        Self {
            r#type: of.backup_type.name,
            states: typed.marks.iter().map(Mark::word).collect(),
            observed: Time(of.observed),
            objective: objective.map(|(max_age, origin)| Objective {
                max_age_seconds: seconds(max_age),
                origin: origin.to_string(),
            }),
            last_success: summary.last_success.map(|success| Success {
                end: Time(success.end),
                age_seconds: seconds(age(now, success.end)),
                size_bytes: success.bytes,
                duration_seconds: success.duration.map(seconds),
            }),
            last_attempt: summary.last_attempt.map(Time),
            last_attempt_success: summary.last_attempt_success,
            last_failure: summary.last_failure.map(Time),
            failures_since_last_success: summary.failures_since_last_success,
            running_since: summary.running_since.map(Time),
            oldest_success: summary.oldest_success.map(Time),
            size_baseline_bytes: summary.size_baseline.map(Median::bytes),
            size_ratio: typed.size_ratio(),
            counts: by_status(&summary.backups),
            bytes: by_status(&summary.bytes),
        }
    }
}

/// To the millisecond.
fn seconds(duration: Duration) -> f64 {
    (1000.0 * duration.as_secs_f64()).round() / 1000.0
}

fn by_status(values: &ByStatus) -> BTreeMap<&'static str, u64> {
    values.iter().map(|(status, value)| (status.label(), value)).collect()
}
