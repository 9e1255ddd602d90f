//! Snapshot and counters → the text format of Prometheus, version 0.0.4. Reads memory only; the
//! ages are those of the moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use jiff::Timestamp;
use prometheus::TextEncoder;

use crate::clock::seconds;
use crate::meter::Meters;
use crate::metric::{self, Metric};
use crate::snapshot::{Instance, Reading, Snapshot, TargetState, TypeReading};

/// The content type of [`render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The whole exposition.
pub fn render(snapshot: &Snapshot, meters: &Meters, now: Timestamp) -> String {
    let mut text = Text::default();
    backups(&mut text, snapshot, now);
    instances(&mut text, snapshot);
    polls(&mut text, snapshot);
    // The counters have a sample whenever they are listed, so encoding does not fail.
    TextEncoder::new().encode_utf8(&meters.gather(), &mut text.0).ok();
    text.0
}

/// One type of one instance, and what stands around it.
struct TypeSample<'a> {
    reading: &'a Reading,
    instance: &'a Instance,
    of: &'a TypeReading,
    now: Timestamp,
}

/// A metric of one type with at most one sample, and how it is read.
type TypeMetric = (&'static Metric, fn(&TypeSample<'_>) -> Option<f64>);

static TYPE_METRICS: [TypeMetric; 14] = [
    (&metric::OBSERVED, |it| Some(seconds(it.reading.observed))),
    (&metric::LAST_SUCCESS, |it| Some(seconds(it.of.summary.last_success?.end))),
    (&metric::LAST_SUCCESS_AGE, |it| {
        let age = it.now.duration_since(it.of.summary.last_success?.end);
        Some(age.as_secs_f64().max(0.0))
    }),
    (&metric::LAST_SUCCESS_SIZE, |it| Some(it.of.summary.last_success?.bytes? as f64)),
    (&metric::LAST_SUCCESS_DURATION, |it| {
        Some(it.of.summary.last_success?.duration?.as_secs_f64())
    }),
    (&metric::LAST_ATTEMPT, |it| it.of.summary.last_attempt.map(seconds)),
    (&metric::LAST_ATTEMPT_SUCCESS, |it| it.of.summary.last_attempt_success.map(flag)),
    (&metric::LAST_FAILURE, |it| it.of.summary.last_failure.map(seconds)),
    (&metric::FAILURES_SINCE_LAST_SUCCESS, |it| {
        it.of.summary.failures_since_last_success.map(|failures| failures as f64)
    }),
    (&metric::RUNNING_SINCE, |it| it.of.summary.running_since.map(seconds)),
    (&metric::OLDEST_SUCCESS, |it| it.of.summary.oldest_success.map(seconds)),
    (&metric::SIZE_BASELINE, |it| Some(it.of.summary.size_baseline?.bytes())),
    (&metric::EXPECTED, |it| Some(flag(it.of.max_age.is_some()))),
    (&metric::MAX_AGE, |it| Some(it.of.max_age?.as_secs_f64())),
];

fn backups(text: &mut Text, snapshot: &Snapshot, now: Timestamp) {
    for (metric, of) in
        [(&metric::BACKUPS, by_count as fn(&TypeReading) -> _), (&metric::BACKUP_BYTES, by_bytes)]
    {
        let mut family = text.family(metric);
        for (state, _, instance) in read_instances(snapshot) {
            for kind in &instance.types {
                for (status, value) in of(kind).iter() {
                    let [project, product, id, name] = labels(state, instance);
                    let backup_type = kind.backup_type.name;
                    family.sample(
                        &[project, product, id, name, backup_type, status.label()],
                        value as f64,
                    );
                }
            }
        }
    }
    for (metric, read) in &TYPE_METRICS {
        let mut family = text.family(metric);
        for (state, reading, instance) in read_instances(snapshot) {
            for of in &instance.types {
                let sample = TypeSample { reading, instance, of, now };
                if let Some(value) = read(&sample) {
                    let [project, product, id, name] = labels(state, sample.instance);
                    family.sample(&[project, product, id, name, of.backup_type.name], value);
                }
            }
        }
    }
}

fn instances(text: &mut Text, snapshot: &Snapshot) {
    let mut family = text.family(&metric::INSTANCE_INFO);
    for (state, _, instance) in read_instances(snapshot) {
        let [project, product, id, name] = labels(state, instance);
        let engine = &instance.engine;
        family.sample(&[project, product, id, name, &engine.name, &engine.version], 1.0);
    }
    let mut family = text.family(&metric::INSTANCE_LABELS);
    for (state, _, instance) in read_instances(snapshot) {
        if !state.target.labels.is_empty() {
            family.open_sample(&labels(state, instance), &state.target.labels, 1.0);
        }
    }
    let mut family = text.family(&metric::INSTANCE_STATUS);
    for (state, _, instance) in read_instances(snapshot) {
        if let Some(status) = &instance.status {
            let [project, product, id, name] = labels(state, instance);
            family.sample(&[project, product, id, name, status], 1.0);
        }
    }
    let projects: BTreeSet<(&str, &str)> = snapshot
        .targets
        .iter()
        .map(|state| (&*state.target.project, &*state.target.project_id))
        .collect();
    let mut family = text.family(&metric::PROJECT_INFO);
    for (project, project_id) in projects {
        family.sample(&[project, project_id], 1.0);
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
    for (metric, read) in &TARGET_METRICS {
        let mut family = text.family(metric);
        for state in &snapshot.targets {
            let target = &state.target;
            if let Some(value) = read(state) {
                family.sample(
                    &[
                        &target.project,
                        target.product.name,
                        target.instance_id(),
                        target.instance_name(),
                    ],
                    value,
                );
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
        family.sample(&[project, product, "status"], statuses as f64);
        family.sample(&[project, product, "type"], types as f64);
    }
}

fn by_count(of: &TypeReading) -> crate::summary::ByStatus {
    of.summary.backups
}

fn by_bytes(of: &TypeReading) -> crate::summary::ByStatus {
    of.summary.bytes
}

fn read_instances(
    snapshot: &Snapshot,
) -> impl Iterator<Item = (&TargetState, &Reading, &Instance)> {
    snapshot.targets.iter().flat_map(|state| {
        let readings = state.reading.iter();
        readings.flat_map(move |reading| {
            reading.instances.iter().map(move |instance| (&**state, &**reading, instance))
        })
    })
}

fn labels<'a>(state: &'a TargetState, instance: &'a Instance) -> [&'a str; 4] {
    [&state.target.project, state.target.product.name, instance.id.as_str(), &instance.name]
}

fn flag(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

/// The text so far.
#[derive(Default)]
struct Text(String);

impl Text {
    /// A family to add samples to; without any it leaves no trace.
    fn family(&mut self, metric: &'static Metric) -> Family<'_> {
        Family { text: &mut self.0, metric, begun: false }
    }
}

struct Family<'a> {
    text: &'a mut String,
    metric: &'static Metric,
    begun: bool,
}

impl Family<'_> {
    /// A sample with the values of the declared labels, in their order.
    fn sample(&mut self, values: &[&str], value: f64) {
        self.open_sample(values, &BTreeMap::new(), value);
    }

    /// The same with labels that are not declared by name behind them.
    fn open_sample(&mut self, values: &[&str], open: &BTreeMap<String, String>, value: f64) {
        let Metric { name, help, kind, labels } = self.metric;
        // Writing to a string does not fail.
        if !self.begun {
            self.begun = true;
            writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.word()).ok();
        }
        self.text.push_str(name);
        let declared = labels.iter().copied().zip(values.iter().copied());
        let open = open.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut separator = '{';
        for (label, value) in declared.chain(open) {
            self.text.push(separator);
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(self.text, value);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        writeln!(self.text, " {value}").ok();
    }
}

/// What a label value may not have as it is.
fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            _ => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{GaugeVec, Opts};
    use proptest::prelude::*;

    use super::*;

    /// The same family by the library.
    fn by_library(metric: &Metric, values: &[&str], value: f64) -> String {
        let gauges = GaugeVec::new(Opts::new(metric.name, metric.help), metric.labels).unwrap();
        gauges.with_label_values(values).set(value);
        let families = prometheus::core::Collector::collect(&gauges);
        TextEncoder::new().encode_to_string(&families).unwrap()
    }

    /// Labels in the order of their names, as the library prints them.
    fn sorted(text: &str) -> String {
        let (head, rest) = text.rsplit_once('{').unwrap();
        let (labels, value) = rest.rsplit_once('}').unwrap();
        let mut labels: Vec<&str> = labels.split_inclusive("\",").collect();
        labels.sort_unstable_by_key(|label| label.trim_end_matches(',').to_owned());
        let labels: Vec<&str> = labels.iter().map(|label| label.trim_end_matches(',')).collect();
        format!("{head}{{{}}}{value}", labels.join(","))
    }

    fn ours(metric: &'static Metric, values: &[&str], value: f64) -> String {
        let mut text = Text::default();
        text.family(metric).sample(values, value);
        text.0
    }

    proptest! {
        #[test]
        fn a_sample_is_written_as_the_library_writes_it(
            project in "[^{}\",]*",
            project_id in any::<String>().prop_map(|text| text.replace(['{', '}', ','], "\"")),
            value in any::<f64>().prop_filter("Prometheus has its own word", |it| it.is_finite()),
        ) {
            let values = [project.as_str(), project_id.as_str()];
            let metric = &metric::PROJECT_INFO;
            prop_assert_eq!(
                sorted(&ours(metric, &values, value)),
                sorted(&by_library(metric, &values, value))
            );
        }
    }

    #[test]
    fn a_family_without_samples_leaves_no_trace() {
        let mut text = Text::default();
        text.family(&metric::PROJECT_INFO);
        assert_eq!(text.0, "");
    }

    #[test]
    fn a_family_has_its_head_once_and_a_help_that_needs_no_escape() {
        let mut text = Text::default();
        let mut family = text.family(&metric::POLLS);
        family.sample(&["a", "rds"], 1.0);
        family.sample(&["b\"\\\n", "rds"], 2.5);
        assert_eq!(
            text.0,
            "# HELP clouddb_polls_total Polls that ended, of any outcome.\n\
             # TYPE clouddb_polls_total counter\n\
             clouddb_polls_total{project=\"a\",product=\"rds\"} 1\n\
             clouddb_polls_total{project=\"b\\\"\\\\\\n\",product=\"rds\"} 2.5\n"
        );
        assert!(metric::ALL.iter().all(|metric| !metric.help.contains(['\\', '\n'])));
    }
}
