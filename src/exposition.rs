//! Snapshot and counters → the text format of Prometheus, version 0.0.4. Reads memory only; the
//! ages are those of the moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

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

/// The content type of [`render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The whole exposition.
pub fn render(snapshot: &Snapshot, meters: &Meters, now: Timestamp) -> String {
    let mut text = Text::default();
    let shown = shown(snapshot);
    backups(&mut text, &shown, now);
    instances(&mut text, snapshot, &shown);
    projects(&mut text, snapshot);
    lookups(&mut text, snapshot);
    polls(&mut text, snapshot);
    // The counters have a sample whenever they are listed, so encoding does not fail.
    TextEncoder::new().encode_utf8(&meters.gather(), &mut text.0).ok();
    text.0
}

/// All instances that are shown.
fn shown(snapshot: &Snapshot) -> Vec<Shown<'_>> {
    snapshot.targets.iter().flat_map(|state| state.shown()).collect()
}

/// A metric of one type with at most one sample, and how it is read at a time.
type TypeMetric = (&'static Metric, fn(&ShownType<'_>, Timestamp) -> Option<f64>);

static TYPE_METRICS: [TypeMetric; 14] = [
    (&metric::OBSERVED, |of, _| Some(seconds(of.observed))),
    (&metric::LAST_SUCCESS, |of, _| Some(seconds(of.summary.last_success?.end))),
    (&metric::LAST_SUCCESS_AGE, |of, now| {
        let age = now.duration_since(of.summary.last_success?.end);
        Some(age.as_secs_f64().max(0.0))
    }),
    (&metric::LAST_SUCCESS_SIZE, |of, _| Some(of.summary.last_success?.bytes? as f64)),
    (&metric::LAST_SUCCESS_DURATION, |of, _| {
        Some(of.summary.last_success?.duration?.as_secs_f64())
    }),
    (&metric::LAST_ATTEMPT, |of, _| of.summary.last_attempt.map(seconds)),
    (&metric::LAST_ATTEMPT_SUCCESS, |of, _| of.summary.last_attempt_success.map(flag)),
    (&metric::LAST_FAILURE, |of, _| of.summary.last_failure.map(seconds)),
    (&metric::FAILURES_SINCE_LAST_SUCCESS, |of, _| {
        of.summary.failures_since_last_success.map(|failures| failures as f64)
    }),
    (&metric::RUNNING_SINCE, |of, _| of.summary.running_since.map(seconds)),
    (&metric::OLDEST_SUCCESS, |of, _| of.summary.oldest_success.map(seconds)),
    (&metric::SIZE_BASELINE, |of, _| Some(of.summary.size_baseline?.bytes())),
    (&metric::EXPECTED, |of, _| Some(flag(of.max_age().is_some()))),
    (&metric::MAX_AGE, |of, _| Some(of.max_age()?.as_secs_f64())),
];

fn backups(text: &mut Text, shown: &[Shown<'_>], now: Timestamp) {
    for (metric, by_status) in
        [(&metric::BACKUPS, by_count as fn(&ShownType<'_>) -> _), (&metric::BACKUP_BYTES, by_bytes)]
    {
        let mut family = text.family(metric);
        for instance in shown {
            for of in &instance.types {
                for (status, value) in by_status(of).iter() {
                    let [project, product, id, name] = labels(instance);
                    let backup_type = of.backup_type.name;
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
        for instance in shown {
            for of in &instance.types {
                if let Some(value) = read(of, now) {
                    let [project, product, id, name] = labels(instance);
                    family.sample(&[project, product, id, name, of.backup_type.name], value);
                }
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

fn instances(text: &mut Text, snapshot: &Snapshot, shown: &[Shown<'_>]) {
    let unmonitored: Vec<([&str; 4], &ListedInstance)> = unmonitored(snapshot).collect();
    let mut family = text.family(&metric::INSTANCE_INFO);
    for instance in shown {
        if let Some((engine, version)) = instance.engine {
            let [project, product, id, name] = labels(instance);
            family.sample(&[project, product, id, name, engine, version], 1.0);
        }
    }
    for ([project, product, id, name], listed) in &unmonitored {
        let engine = listed.engine.as_ref();
        let engine = engine.map_or(("", ""), |engine| (&*engine.name, &*engine.version));
        family.sample(&[project, product, id, name, engine.0, engine.1], 1.0);
    }
    let mut family = text.family(&metric::INSTANCE_LABELS);
    for instance in shown {
        let open = &instance.state.target.labels;
        if !open.is_empty() {
            family.open_sample(&labels(instance), open, 1.0);
        }
    }
    let mut family = text.family(&metric::INSTANCE_STATUS);
    for instance in shown {
        if let Some(status) = instance.status {
            let [project, product, id, name] = labels(instance);
            family.sample(&[project, product, id, name, status], 1.0);
        }
    }
    for ([project, product, id, name], listed) in &unmonitored {
        if let Some(status) = listed.status.as_deref() {
            family.sample(&[project, product, id, name, status], 1.0);
        }
    }
    let mut family = text.family(&metric::INSTANCE_CREATED);
    let created = shown.iter().map(|instance| (labels(instance), instance.created));
    let created = created.chain(unmonitored.iter().map(|(labels, it)| (*labels, it.created)));
    for (labels, created) in created {
        if let Some(created) = created {
            family.sample(&labels, seconds(created));
        }
    }
    let mut family = text.family(&metric::INSTANCE_FOUND);
    for instance in shown {
        if let Some(is_found) = instance.is_found {
            family.sample(&labels(instance), flag(is_found));
        }
    }
    let mut family = text.family(&metric::INSTANCE_MONITORED);
    for instance in shown.iter().filter(|instance| instance.is_listed) {
        family.sample(&labels(instance), 1.0);
    }
    for (labels, _) in &unmonitored {
        family.sample(labels, 0.0);
    }
    for (metric, read) in &INSTANCE_METRICS {
        let mut family = text.family(metric);
        for instance in shown {
            if let Some(value) = read(instance) {
                family.sample(&labels(instance), value);
            }
        }
    }
}

/// The instances that nobody watches, with their labels.
fn unmonitored(snapshot: &Snapshot) -> impl Iterator<Item = ([&str; 4], &ListedInstance)> {
    snapshot.estates.iter().flat_map(|estate| {
        let census = &estate.census;
        estate.unmonitored().map(move |listed| {
            let id = listed.id.as_str();
            let name = listed.name.as_deref().unwrap_or(id);
            ([&*census.project, census.product.name, id, name], listed)
        })
    })
}

fn projects(text: &mut Text, snapshot: &Snapshot) {
    let mut family = text.family(&metric::INSTANCES);
    for estate in snapshot.estates.iter().filter(|estate| estate.is_known()) {
        let census = &estate.census;
        family.sample(&[&census.project, census.product.name], estate.count as f64);
    }
    let targets = snapshot.targets.iter();
    let targets = targets.map(|state| (&*state.target.project, state.project_id.as_deref()));
    let estates = snapshot.estates.iter();
    let estates = estates.map(|estate| (&*estate.census.project, estate.project_id.as_deref()));
    let projects: BTreeSet<(&str, &str)> =
        targets.chain(estates).filter_map(|(project, id)| Some((project, id?))).collect();
    let mut family = text.family(&metric::PROJECT_INFO);
    for (project, project_id) in projects {
        family.sample(&[project, project_id], 1.0);
    }
}

/// How a call beside the backup lists went: its labels, whether it is well, its last success.
type LookupSample<'a> = ([&'a str; 5], bool, Option<Timestamp>);

fn lookups(text: &mut Text, snapshot: &Snapshot) {
    let mut samples: Vec<LookupSample<'_>> = Vec::new();
    for estate in snapshot.estates.iter().filter(|estate| estate.was_tried()) {
        let census = &estate.census;
        let api = census.product.instances.api.name;
        let labels = [&*census.project, census.product.name, "", "", api];
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
                samples.push(([project, product, id, name, api.name], is_well, asked));
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
    for (metric, read) in &TARGET_METRICS {
        let mut family = text.family(metric);
        for state in snapshot.targets.iter().filter(|state| state.is_named()) {
            if let Some(value) = read(state) {
                family.sample(&target_labels(state), value);
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

fn by_count(of: &ShownType<'_>) -> ByStatus {
    of.summary.backups
}

fn by_bytes(of: &ShownType<'_>) -> ByStatus {
    of.summary.bytes
}

/// The labels of an instance.
fn labels<'a>(shown: &Shown<'a>) -> [&'a str; 4] {
    let target = &shown.state.target;
    [&target.project, target.product.name, shown.id.as_str(), shown.name]
}

/// The labels of a target's own series.
fn target_labels(state: &TargetState) -> [&str; 4] {
    let target = &state.target;
    [&target.project, target.product.name, target.instance_id(), target.instance_name()]
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
    use crate::census;
    use crate::error::{Fault, Reason};
    use crate::estate::Estate;
    use crate::lookup::Looked;
    use crate::policy::Plan;
    use crate::snapshot::{Instance, PollOutcome, Reading, TypeReading};
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

    /// An instance of an instance list.
    fn listed(id: &str, name: Option<&str>, second: i64) -> ListedInstance {
        ListedInstance {
            id: InstanceId::new(id),
            name: name.map(Into::into),
            status: Some(format!("STATE {id}").into()),
            engine: Some(Engine { name: "MySQL".into(), version: id.into() }),
            created: Timestamp::from_second(1_700_000_000 - second).ok(),
            is_replica: false,
        }
    }

    /// A snapshot in which no two numbers are alike.
    fn snapshot() -> Snapshot {
        let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
        let config = target::tests::config(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    labels: { team: red }\n    \
             rds:\n      endpoint: https://rds.example\n      discover: true\n      \
             restore_window: true\n      \
             instances: [{ id: db, name: orders, max_age: { auto: 31s } }, { id: new }]\n  \
             - name: pay\n    project_id: p2\n    credentials: main\n    \
             rds: { endpoint: https://rds.example, audit: true }\n    \
             ddm: { endpoint: https://ddm.example }\n",
        );
        let [shop, pay, ddm] = <[_; 3]>::try_from(census::censuses(&config)).unwrap();
        let fault = || Fault::new(Reason::Timeout, "no answer");
        let replica = ListedInstance { is_replica: true, ..listed("copy", None, 90) };
        let shop = Estate::new(Arc::new(shop))
            .after(at(60), Ok(vec![listed("db", Some("at the cloud"), 61), replica]))
            .after(at(62), Err(fault()));
        let pay = Estate::new(Arc::new(pay)).after(at(63), Ok(vec![listed("lost", None, 64)]));
        let estates = [shop, pay, Estate::new(Arc::new(ddm))].map(Arc::new);
        let targets = target::targets(&config, &estates);
        let policy = Policy {
            retention: Some(Duration::from_secs(65)),
            plan: Plan::new([1, 4], Duration::from_secs(66)),
        };
        let window = RestoreWindow { ranges: 67, start: Some(at(68)), end: Some(at(69)) };
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
        let known =
            TypeReading { backup_type: BackupType { name: "auto", times: Times::Job }, summary };
        let unknown = TypeReading { backup_type: BackupType::UNKNOWN, summary: Summary::default() };
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
            fault: Some(fault()),
        };
        let states = [
            TargetState {
                last_poll: Some(outcome.clone()),
                last_success: Some(at(45)),
                failures: 46,
                reading: Some(reading(vec![instance], 47, 48)),
                estate: Some(Arc::clone(&estates[0])),
                policy: Looked::default().after(at(70), &Ok(policy)),
                restore_window: Looked::default()
                    .after(at(71), &Ok(window))
                    .after(at(72), &Err(fault())),
                ..TargetState::new(Arc::clone(&targets[0]))
            },
            TargetState {
                last_poll: Some(PollOutcome { fault: None, ..outcome }),
                reading: Some(reading(Vec::new(), 100, 200)),
                estate: Some(Arc::clone(&estates[0])),
                policy: Looked::default().after(at(73), &Err(fault())),
                ..TargetState::new(Arc::clone(&targets[1]))
            },
            TargetState::new(Arc::clone(&targets[2])),
        ];
        Snapshot { targets: states.map(Arc::new).into(), estates: estates.into() }
    }

    #[test]
    fn each_number_is_shown_under_its_own_name() {
        let now = Timestamp::from_second(1_700_000_051).unwrap();
        let snapshot = snapshot();
        let mut text = Text::default();
        backups(&mut text, &shown(&snapshot), now);
        instances(&mut text, &snapshot, &shown(&snapshot));
        projects(&mut text, &snapshot);
        lookups(&mut text, &snapshot);
        polls(&mut text, &snapshot);
        let lines: Vec<&str> = text.0.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = include_str!("../tests/data/exposition.prom");
        let lines = lines.join("\n") + "\n";
        if std::env::var_os("BLESS").is_some() {
            std::fs::write("tests/data/exposition.prom", &lines).unwrap();
        }
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_age_grows_from_scrape_to_scrape_and_is_never_below_zero() {
        let age = |second: i64| {
            let mut text = Text::default();
            let now = Timestamp::from_second(1_700_000_000 + second).unwrap();
            backups(&mut text, &shown(&snapshot()), now);
            let line = text.0.lines().find(|line| line.contains("_last_success_age_seconds{"));
            line.unwrap().rsplit(' ').next().unwrap().to_owned()
        };
        // The backup ended at second 1: a clock of ours that is late must not make it younger.
        assert_eq!([age(-100), age(0), age(1), age(3), age(90_001)], ["0", "0", "0", "2", "90000"]);
    }
}
