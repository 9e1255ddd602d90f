//! Snapshot and counters → the text format of Prometheus, version 0.0.4. What follows from the
//! snapshot alone is rendered when it is published; a scrape adds the ages and the counters, which
//! are those of the moment.

mod ages;
mod gzip;
mod json;
mod latest;
mod rendered;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use prometheus::TextEncoder;

use crate::clock::seconds;
use crate::instance::ListedInstance;
use crate::meter::Meters;
use crate::metric::{self, Metric};
use crate::policy::Policy;
use crate::restore::RestoreWindow;
use crate::snapshot::{Shown, ShownType, Snapshot, TargetState};
use crate::summary::ByStatus;
use ages::Ages;
use text::{Labels, Text};

pub use json::json;
pub use latest::{GAP, Latest};
pub use rendered::{Body, Rendered};

/// The content type of the exposition.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The whole exposition.
pub fn render(snapshot: &Snapshot, meters: &Meters, now: Timestamp) -> String {
    let (mut text, ages) = lasting(snapshot);
    add_moment(&mut text, &ages, meters, now);
    text
}

/// The exposition of a process that ends: without what is about the process itself, and with the ages at
/// a time, if there is one. Without a time they are left out, since they would stand still.
pub fn render_once(snapshot: &Snapshot, meters: &Meters, ages_at: Option<Timestamp>) -> String {
    let (mut text, ages) = lasting(snapshot);
    if let Some(now) = ages_at {
        ages.write(&mut text, now);
    }
    let mut families = meters.gather();
    families.retain(|family| !family.name().starts_with("process_"));
    // The counters have a sample whenever they are listed, so encoding does not fail.
    TextEncoder::new().encode_utf8(&families, &mut text).ok();
    text
}

/// What is as it is until something else is published, and the ages that go with it.
fn lasting(snapshot: &Snapshot) -> (String, Ages) {
    let mut text = Text::default();
    let states = snapshot.targets.iter();
    let shown: Vec<Labelled<'_>> =
        states.flat_map(|state| state.shown()).map(Labelled::new).collect();
    backups(&mut text, &shown);
    instances(&mut text, snapshot, &shown);
    projects(&mut text, snapshot);
    lookups(&mut text, snapshot);
    polls(&mut text, snapshot);
    (text.0, Ages::new(&shown))
}

/// What is of the moment.
fn add_moment(text: &mut String, ages: &Ages, meters: &Meters, now: Timestamp) {
    ages.write(text, now);
    // The counters have a sample whenever they are listed, so encoding does not fail.
    TextEncoder::new().encode_utf8(&meters.gather(), text).ok();
}

/// An instance with its labels, written once for all of its series.
struct Labelled<'a> {
    shown: Shown<'a>,
    labels: Labels,
    /// Those of each type.
    of_types: Vec<Labels>,
}

impl<'a> Labelled<'a> {
    fn new(shown: Shown<'a>) -> Self {
        let target = &shown.state.target;
        let values = [&target.project, target.product.name, shown.id.as_str(), shown.name];
        let labels = Labels::new(metric::TARGET, &values);
        let [project, product, id, name] = values;
        let of_type = |of: &ShownType<'_>| {
            Labels::new(metric::BACKUP, &[project, product, id, name, of.backup_type.name])
        };
        let of_types = shown.types.iter().map(of_type).collect();
        Self { shown, labels, of_types }
    }

    /// Its types, with their labels.
    fn types(&self) -> impl Iterator<Item = (&Labels, &ShownType<'a>)> {
        self.of_types.iter().zip(&self.shown.types)
    }
}

/// A metric of one type with at most one sample, and how it is read.
type TypeMetric = (&'static Metric, fn(&ShownType<'_>) -> Option<f64>);

static TYPE_METRICS: [TypeMetric; 13] = [
    (&metric::OBSERVED, |of| Some(seconds(of.observed))),
    (&metric::LAST_SUCCESS, |of| Some(seconds(of.summary.last_success?.end))),
    (&metric::LAST_SUCCESS_SIZE, |of| Some(of.summary.last_success?.bytes? as f64)),
    (&metric::LAST_SUCCESS_DURATION, |of| Some(of.summary.last_success?.duration?.as_secs_f64())),
    (&metric::LAST_ATTEMPT, |of| of.summary.last_attempt.map(seconds)),
    (&metric::LAST_ATTEMPT_SUCCESS, |of| of.summary.last_attempt_success.map(flag)),
    (&metric::LAST_FAILURE, |of| of.summary.last_failure.map(seconds)),
    (&metric::FAILURES_SINCE_LAST_SUCCESS, |of| {
        of.summary.failures_since_last_success.map(|failures| failures as f64)
    }),
    (&metric::RUNNING_SINCE, |of| of.summary.running_since.map(seconds)),
    (&metric::OLDEST_SUCCESS, |of| of.summary.oldest_success.map(seconds)),
    (&metric::SIZE_BASELINE, |of| Some(of.summary.size_baseline?.bytes())),
    (&metric::EXPECTED, |of| Some(flag(of.max_age().is_some()))),
    (&metric::MAX_AGE, |of| Some(of.max_age()?.as_secs_f64())),
];

fn backups(text: &mut Text, shown: &[Labelled<'_>]) {
    for (metric, by_status) in
        [(&metric::BACKUPS, by_count as fn(&ShownType<'_>) -> _), (&metric::BACKUP_BYTES, by_bytes)]
    {
        let mut family = text.family(metric);
        for (labels, of) in shown.iter().flat_map(Labelled::types) {
            for (status, value) in by_status(of).iter() {
                family.sample_with(labels, &[status.label()], value as f64);
            }
        }
    }
    for (metric, read) in &TYPE_METRICS {
        let mut family = text.family(metric);
        for (labels, of) in shown.iter().flat_map(Labelled::types) {
            if let Some(value) = read(of) {
                family.sample(labels, value);
            }
        }
    }
}

/// A metric of an instance with at most one sample, and how it is read.
type InstanceMetric = (&'static Metric, fn(&Shown<'_>) -> Option<f64>);

static INSTANCE_METRICS: [InstanceMetric; 7] = [
    (&metric::POLICY_ENABLED, |it| Some(flag(policy(it)?.is_enabled()))),
    (&metric::POLICY_RETENTION, |it| Some(policy(it)?.retention?.as_secs_f64())),
    (&metric::POLICY_INTERVAL, |it| Some(policy(it)?.plan?.longest_gap().as_secs_f64())),
    (&metric::RESTORE_WINDOW_START, |it| restore_window(it)?.start.map(seconds)),
    (&metric::RESTORE_WINDOW_END, |it| restore_window(it)?.end.map(seconds)),
    (&metric::RESTORE_WINDOWS, |it| Some(restore_window(it)?.ranges as f64)),
    (&metric::RESTORE_WINDOW_OBSERVED, |it| it.state.restore_window.asked().map(seconds)),
];

fn policy<'a>(shown: &Shown<'a>) -> Option<&'a Policy> {
    shown.state.policy.value()
}

fn restore_window<'a>(shown: &Shown<'a>) -> Option<&'a RestoreWindow> {
    shown.state.restore_window.value()
}

fn instances(text: &mut Text, snapshot: &Snapshot, shown: &[Labelled<'_>]) {
    let unmonitored: Vec<(Labels, &ListedInstance)> = unmonitored(snapshot).collect();
    let mut family = text.family(&metric::INSTANCE_INFO);
    for it in shown {
        if let Some((engine, version)) = it.shown.engine {
            family.sample_with(&it.labels, &[engine, version], 1.0);
        }
    }
    for (labels, listed) in &unmonitored {
        let engine = listed.engine.as_ref();
        let (engine, version) = engine.map_or(("", ""), |engine| (&*engine.name, &*engine.version));
        family.sample_with(labels, &[engine, version], 1.0);
    }
    let mut family = text.family(&metric::INSTANCE_LABELS);
    for it in shown {
        let open = &it.shown.state.target.labels;
        if !open.is_empty() {
            family.open_sample(&it.labels, open, 1.0);
        }
    }
    let mut family = text.family(&metric::INSTANCE_STATUS);
    let monitored = shown.iter().map(|it| (&it.labels, it.shown.status));
    let others = unmonitored.iter().map(|(labels, it)| (labels, it.status.as_deref()));
    for (labels, status) in monitored.chain(others) {
        if let Some(status) = status {
            family.sample_with(labels, &[status], 1.0);
        }
    }
    let mut family = text.family(&metric::INSTANCE_CREATED);
    let monitored = shown.iter().map(|it| (&it.labels, it.shown.created));
    let others = unmonitored.iter().map(|(labels, it)| (labels, it.created));
    for (labels, created) in monitored.chain(others) {
        if let Some(created) = created {
            family.sample(labels, seconds(created));
        }
    }
    let mut family = text.family(&metric::INSTANCE_FOUND);
    for it in shown {
        if let Some(is_found) = it.shown.is_found {
            family.sample(&it.labels, flag(is_found));
        }
    }
    let mut family = text.family(&metric::INSTANCE_MONITORED);
    for it in shown.iter().filter(|it| it.shown.is_listed) {
        family.sample(&it.labels, 1.0);
    }
    for (labels, _) in &unmonitored {
        family.sample(labels, 0.0);
    }
    for (metric, read) in &INSTANCE_METRICS {
        let mut family = text.family(metric);
        for it in shown {
            if let Some(value) = read(&it.shown) {
                family.sample(&it.labels, value);
            }
        }
    }
}

/// The instances that nobody watches, as far as they are ours to tell of, with their labels.
fn unmonitored(snapshot: &Snapshot) -> impl Iterator<Item = (Labels, &ListedInstance)> {
    snapshot.estates.iter().flat_map(|estate| {
        let census = &estate.census;
        let ours = estate.unmonitored().filter(|listed| estate.is_ours(&listed.id));
        ours.map(move |listed| {
            let id = listed.id.as_str();
            let name = listed.name.as_deref().unwrap_or(id);
            let values = [&*census.project, census.product.name, id, name];
            (Labels::new(metric::TARGET, &values), listed)
        })
    })
}

fn projects(text: &mut Text, snapshot: &Snapshot) {
    let mut family = text.family(&metric::INSTANCES);
    for estate in snapshot.estates.iter().filter(|estate| estate.is_known()) {
        let census = &estate.census;
        let values = [&*census.project, census.product.name];
        family.sample_with(&Labels::NONE, &values, estate.count as f64);
    }
    let targets = snapshot.targets.iter();
    let targets = targets.map(|state| (&*state.target.project, state.project_id.as_deref()));
    let estates = snapshot.estates.iter();
    let estates = estates.map(|estate| (&*estate.census.project, estate.project_id.as_deref()));
    let projects: BTreeSet<(&str, &str)> =
        targets.chain(estates).filter_map(|(project, id)| Some((project, id?))).collect();
    let mut family = text.family(&metric::PROJECT_INFO);
    for (project, project_id) in projects {
        family.sample_with(&Labels::NONE, &[project, project_id], 1.0);
    }
}

/// How a call beside the backup lists went: its labels, whether it is well, its last success.
type LookupSample = (Labels, bool, Option<Timestamp>);

fn lookups(text: &mut Text, snapshot: &Snapshot) {
    let mut samples: Vec<LookupSample> = Vec::new();
    for estate in snapshot.estates.iter().filter(|estate| estate.was_tried()) {
        let census = &estate.census;
        let api = census.product.instances.api.name;
        let values = [&*census.project, census.product.name, "", "", api];
        let labels = Labels::new(metric::LOOKUP, &values);
        samples.push((labels, estate.failures == 0, estate.last_success));
    }
    for state in snapshot.targets.iter().filter(|state| state.is_named()) {
        let product = state.target.product;
        let policy = &state.policy;
        let window = &state.restore_window;
        let calls = [
            (product.policy.as_ref().map(|it| &it.api), policy.is_well(), policy.asked()),
            (product.restore_window.as_ref().map(|it| &it.api), window.is_well(), window.asked()),
        ];
        for (api, is_well, asked) in calls {
            if let (Some(api), Some(is_well)) = (api, is_well) {
                let [project, product, id, name] = target_labels(state);
                let values = [project, product, id, name, api.name];
                samples.push((Labels::new(metric::LOOKUP, &values), is_well, asked));
            }
        }
    }
    let mut family = text.family(&metric::LOOKUP_SUCCESS);
    for (labels, is_well, _) in &samples {
        family.sample(labels, flag(*is_well));
    }
    let mut family = text.family(&metric::LOOKUP_LAST_SUCCESS);
    for (labels, _, last_success) in &samples {
        if let Some(last_success) = last_success {
            family.sample(labels, seconds(*last_success));
        }
    }
}

/// A metric of a target with at most one sample, and how it is read.
type TargetMetric = (&'static Metric, fn(&TargetState) -> Option<f64>);

static TARGET_METRICS: [TargetMetric; 7] = [
    (&metric::POLL_SUCCESS, |it| {
        Some(flag(it.last_poll.as_ref().is_some_and(|poll| poll.fault.is_none())))
    }),
    (&metric::POLL_LAST_SUCCESS, |it| it.last_success.map(seconds)),
    (&metric::POLL_LAST_ATTEMPT, |it| Some(seconds(it.last_poll.as_ref()?.ended))),
    (&metric::POLL_DURATION, |it| Some(it.last_poll.as_ref()?.took.as_secs_f64())),
    (&metric::POLL_REQUESTS, |it| Some(it.last_poll.as_ref()?.requests as f64)),
    (&metric::POLL_RECORDS, |it| Some(it.last_poll.as_ref()?.records as f64)),
    (&metric::POLL_INTERVAL, |it| Some(it.target.interval.as_secs_f64())),
];

fn polls(text: &mut Text, snapshot: &Snapshot) {
    let named = snapshot.targets.iter().filter(|state| state.is_named());
    let named: Vec<(Labels, &TargetState)> =
        named.map(|state| (Labels::new(metric::TARGET, &target_labels(state)), &**state)).collect();
    for (metric, read) in &TARGET_METRICS {
        let mut family = text.family(metric);
        for (labels, state) in &named {
            if let Some(value) = read(state) {
                family.sample(labels, value);
            }
        }
    }
    let mut unknown: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for state in &snapshot.targets {
        let key = (&*state.target.project, state.target.product.name);
        let (types, statuses) = unknown.entry(key).or_default();
        if let Some(reading) = &state.reading {
            *types += reading.unknown_types;
            *statuses += reading.unknown_statuses;
        }
    }
    let mut family = text.family(&metric::UNKNOWN_VALUES);
    for ((project, product), (types, statuses)) in unknown {
        family.sample_with(&Labels::NONE, &[project, product, "status"], statuses as f64);
        family.sample_with(&Labels::NONE, &[project, product, "type"], types as f64);
    }
}

fn by_count(of: &ShownType<'_>) -> ByStatus {
    of.summary.backups
}

fn by_bytes(of: &ShownType<'_>) -> ByStatus {
    of.summary.bytes
}

/// The labels of a target's own series.
fn target_labels(state: &TargetState) -> [&str; 4] {
    let target = &state.target;
    [&target.project, target.product.name, target.instance_id(), target.instance_name()]
}

fn flag(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests;
