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
        .filter_map(|state| Some((&*state.target.project, state.project_id.as_deref()?)))
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
    use std::sync::Arc;
    use std::time::Duration;

    use prometheus::{GaugeVec, Opts};
    use proptest::prelude::*;

    use super::*;
    use crate::backup::{Backup, BackupId, BackupType, Engine, InstanceId, Status, Times};
    use crate::error::{Fault, Reason};
    use crate::snapshot::PollOutcome;
    use crate::summary::{Median, Success, Summary, summarise};
    use crate::target;

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

    /// The median of 60, 61 and 64 bytes.
    fn baseline() -> Option<Median> {
        let backup_type = BackupType { name: "auto", times: Times::Job };
        let record = |(at, bytes)| Backup {
            id: BackupId::new("x"),
            instance_id: InstanceId::new("db"),
            instance_name: None,
            instance_status: None,
            engine: None,
            backup_type,
            status: Status::Completed,
            begin: Timestamp::from_second(at).ok(),
            end: None,
            bytes: Some(bytes),
            unknown_type: None,
            unknown_status: None,
        };
        let records = [(1, 64), (2, 61), (3, 60), (4, 5)].map(record);
        summarise(backup_type, &records.each_ref(), None).size_baseline
    }

    /// A snapshot in which no two numbers are alike.
    fn snapshot() -> Snapshot {
        let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
        let targets = target::tests::read(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    labels: { team: red }\n    \
             rds:\n      endpoint: https://rds.example\n      \
             instances: [{ id: db, name: orders }, { id: new }]\n  \
             - name: pay\n    project_id: p2\n    credentials: main\n    \
             ddm: { endpoint: https://ddm.example }\n",
        );
        let mut summary = Summary {
            last_success: Some(Success {
                end: at(1),
                bytes: Some(2),
                duration: Some(Duration::from_millis(3500)),
            }),
            last_attempt: Some(at(4)),
            last_attempt_success: Some(false),
            last_failure: Some(at(5)),
            failures_since_last_success: Some(6),
            running_since: Some(at(7)),
            oldest_success: Some(at(8)),
            size_baseline: baseline(),
            ..Summary::default()
        };
        for (amount, status) in (1..).zip(Status::ALL) {
            summary.backups.add(status, 10 + amount);
            summary.bytes.add(status, 20 + amount);
        }
        let known = TypeReading {
            backup_type: BackupType { name: "auto", times: Times::Job },
            summary,
            max_age: Some(Duration::from_secs(31)),
        };
        let unknown = TypeReading {
            backup_type: BackupType::UNKNOWN,
            summary: Summary::default(),
            max_age: None,
        };
        let instance = Instance {
            id: InstanceId::new("db"),
            name: "orders".into(),
            engine: Engine { name: "MySQL".into(), version: "8.0".into() },
            status: Some("ACTIVE".into()),
            types: vec![known, unknown],
        };
        let reading = |instances, unknown_types, unknown_statuses| {
            Arc::new(Reading { observed: at(40), instances, unknown_types, unknown_statuses })
        };
        let outcome = PollOutcome {
            ended: at(41),
            took: Duration::from_millis(42_500),
            requests: 43,
            records: 44,
            fault: Some(Fault::new(Reason::Timeout, "no answer")),
        };
        let states = [
            TargetState {
                last_poll: Some(outcome.clone()),
                last_success: Some(at(45)),
                failures: 46,
                reading: Some(reading(vec![instance], 47, 48)),
                ..TargetState::new(Arc::clone(&targets[0]))
            },
            TargetState {
                last_poll: Some(PollOutcome { fault: None, ..outcome }),
                reading: Some(reading(Vec::new(), 100, 200)),
                ..TargetState::new(Arc::clone(&targets[1]))
            },
            TargetState::new(Arc::clone(&targets[2])),
        ];
        Snapshot { targets: states.map(Arc::new).into() }
    }

    #[test]
    fn each_number_is_shown_under_its_own_name() {
        let now = Timestamp::from_second(1_700_000_051).unwrap();
        let mut text = Text::default();
        backups(&mut text, &snapshot(), now);
        instances(&mut text, &snapshot());
        polls(&mut text, &snapshot());
        let lines: Vec<&str> = text.0.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = include_str!("../tests/data/exposition.prom");
        assert_eq!(lines.join("\n") + "\n", expected);
    }

    #[test]
    fn an_age_grows_from_scrape_to_scrape_and_is_never_below_zero() {
        let age = |second: i64| {
            let mut text = Text::default();
            let now = Timestamp::from_second(1_700_000_000 + second).unwrap();
            backups(&mut text, &snapshot(), now);
            let line = text.0.lines().find(|line| line.contains("_last_success_age_seconds{"));
            line.unwrap().rsplit(' ').next().unwrap().to_owned()
        };
        // The backup ended at second 1: a clock of ours that is late must not make it younger.
        assert_eq!([age(-100), age(0), age(1), age(3), age(90_001)], ["0", "0", "0", "2", "90000"]);
    }
}
