//! The exposition against the library, against a file, and against the clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use prometheus::{GaugeVec, Opts};
use proptest::prelude::*;

use super::*;
use crate::backup::{Backup, BackupId, BackupType, Engine, InstanceId, Origin, Status, Times};
use crate::census;
use crate::error::{Fault, Reason};
use crate::estate::Estate;
use crate::lookup::Looked;
use crate::policy::Plan;
use crate::snapshot::{Instance, PollOutcome, Reading, TypeReading};
use crate::summary::{Median, Success, Summary, fold};
use crate::target;

/// Gauges of the library, by the names of their metrics.
#[derive(Default)]
struct Library(BTreeMap<&'static str, GaugeVec>);

impl Library {
    fn set(&mut self, metric: &'static Metric, values: &[&str], value: impl Into<Option<f64>>) {
        self.set_open(metric, &BTreeMap::new(), values, value);
    }

    /// With labels that are not declared by name behind those that are.
    fn set_open(
        &mut self,
        metric: &'static Metric,
        open: &BTreeMap<String, String>,
        values: &[&str],
        value: impl Into<Option<f64>>,
    ) {
        let Some(value) = value.into() else { return };
        let declared = metric.labels.iter().filter(|name| **name != metric::OPEN_LABELS).copied();
        let names: Vec<&str> = declared.chain(open.keys().map(String::as_str)).collect();
        let values: Vec<&str> =
            values.iter().copied().chain(open.values().map(String::as_str)).collect();
        let new = || GaugeVec::new(Opts::new(metric.name, metric.help), &names).unwrap();
        self.0.entry(metric.name).or_insert_with(new).with_label_values(&values).set(value);
    }

    fn text(&self) -> String {
        let families = self.0.values().flat_map(prometheus::core::Collector::collect);
        TextEncoder::new().encode_to_string(&families.collect::<Vec<_>>()).unwrap()
    }
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

/// Written with so many of the labels ahead.
fn ours(metric: &'static Metric, ahead: usize, values: &[&str], value: f64) -> String {
    let (first, rest) = values.split_at(ahead);
    let mut text = Text::default();
    text.family(metric).sample_with(&Labels::new(&metric.labels[..ahead], first), rest, value);
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
        let mut library = Library::default();
        library.set(metric, &values, value);
        for ahead in 0..=values.len() {
            let ours = ours(metric, ahead, &values, value);
            prop_assert_eq!(sorted(&ours), sorted(&library.text()));
        }
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
    family.sample(&Labels::new(metric::POLLS.labels, &["a", "rds"]), 1.0);
    family.sample(&Labels::new(metric::POLLS.labels, &["b\"\\\n", "rds"]), 2.5);
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
        origin: Origin::bare(InstanceId::new("db")).into(),
        backup_type,
        status: Status::Completed,
        begin: Timestamp::from_second(at).ok(),
        end: None,
        bytes: Some(bytes),
        unknown: None,
    };
    let records = [(1, 64), (2, 61), (3, 60), (4, 5)].map(record);
    fold(backup_type, &records.each_ref(), None).0.size_baseline
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
        plan: Plan::new([1, 4], Duration::ZERO, Duration::from_secs(66)),
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
    let known = TypeReading::of(BackupType { name: "auto", times: Times::Job }, summary);
    let last_success = Some(Success { end: at(9), bytes: None, duration: None });
    let summary = Summary { last_success, ..Summary::default() };
    let unknown = TypeReading::of(BackupType::UNKNOWN, summary);
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

/// The second 51, at which the ages are told.
fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_051).unwrap()
}

/// All that a snapshot tells at a time.
fn told(snapshot: &Snapshot, now: Timestamp) -> String {
    let (mut text, ages) = lasting(snapshot);
    ages.write(&mut text, now);
    text
}

#[test]
fn each_number_is_shown_under_its_own_name() {
    let text = told(&snapshot(), now());
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let expected = include_str!("../../tests/data/exposition.prom");
    let lines = lines.join("\n") + "\n";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write("tests/data/exposition.prom", &lines).unwrap();
    }
    assert_eq!(lines, expected);
}

/// The gauges of a snapshot by the library, each set by itself.
fn by_library(snapshot: &Snapshot, now: Timestamp) -> String {
    let mut library = Library::default();
    let mut unknown: BTreeMap<[&str; 2], [u64; 2]> = BTreeMap::new();
    for state in &snapshot.targets {
        let target = &state.target;
        for shown in state.shown() {
            let labels = [&target.project, target.product.name, shown.id.as_str(), shown.name];
            for of in &shown.types {
                by_library_of_type(&mut library, labels, of, now);
            }
            by_library_of_instance(&mut library, labels, &shown);
        }
        by_library_of_target(&mut library, state);
        let reading = state.reading.as_deref();
        let sums = unknown.entry([&target.project, target.product.name]).or_default();
        sums[0] += reading.map_or(0, |reading| reading.unknown_types);
        sums[1] += reading.map_or(0, |reading| reading.unknown_statuses);
        let project = [&*target.project, target.project_id.known().unwrap()];
        library.set(&metric::PROJECT_INFO, &project, 1.0);
    }
    for ([project, product], [types, statuses]) in unknown {
        library.set(&metric::UNKNOWN_VALUES, &[project, product, "type"], types as f64);
        library.set(&metric::UNKNOWN_VALUES, &[project, product, "status"], statuses as f64);
    }
    for estate in &snapshot.estates {
        let census = &estate.census;
        let [project, product] = [&*census.project, census.product.name];
        library.set(&metric::PROJECT_INFO, &[project, census.project_id.known().unwrap()], 1.0);
        for listed in estate.unmonitored() {
            let id = listed.id.as_str();
            let labels = [project, product, id, listed.name.as_deref().unwrap_or(id)];
            let engine = listed.engine.clone().unwrap_or_default();
            let info = [&labels[..], &[&engine.name, &engine.version]].concat();
            library.set(&metric::INSTANCE_INFO, &info, 1.0);
            let status = [&labels[..], &[listed.status.as_deref().unwrap_or_default()]].concat();
            library.set(&metric::INSTANCE_STATUS, &status, listed.status.is_some().then_some(1.0));
            library.set(&metric::INSTANCE_CREATED, &labels, listed.created.map(seconds));
            library.set(&metric::INSTANCE_MONITORED, &labels, 0.0);
        }
        if estate.is_known() {
            library.set(&metric::INSTANCES, &[project, product], estate.count as f64);
        }
        if estate.was_tried() {
            let labels = [project, product, "", "", census.product.instances.api.name];
            let is_well = if estate.failures == 0 { 1.0 } else { 0.0 };
            library.set(&metric::LOOKUP_SUCCESS, &labels, is_well);
            library.set(&metric::LOOKUP_LAST_SUCCESS, &labels, estate.last_success.map(seconds));
        }
    }
    library.text()
}

fn by_library_of_type(
    library: &mut Library,
    [project, product, id, name]: [&str; 4],
    of: &ShownType<'_>,
    now: Timestamp,
) {
    let labels = [project, product, id, name, of.backup_type.name];
    for (metric, by_status) in
        [(&metric::BACKUPS, of.summary.backups), (&metric::BACKUP_BYTES, of.summary.bytes)]
    {
        for (status, value) in by_status.iter() {
            library.set(metric, &[&labels[..], &[status.label()]].concat(), value as f64);
        }
    }
    let summary = of.summary;
    let last = summary.last_success.as_ref();
    let age = last.map(|last| (now.as_second() - last.end.as_second()) as f64);
    let duration = last.and_then(|last| last.duration);
    let failures = summary.failures_since_last_success;
    let mut set = |metric, value: Option<f64>| library.set(metric, &labels, value);
    set(&metric::OBSERVED, Some(seconds(of.observed)));
    set(&metric::LAST_SUCCESS, last.map(|last| seconds(last.end)));
    set(&metric::LAST_SUCCESS_AGE, age);
    set(&metric::LAST_SUCCESS_SIZE, last.and_then(|last| last.bytes).map(|bytes| bytes as f64));
    set(&metric::LAST_SUCCESS_DURATION, duration.map(|it| it.as_secs_f64()));
    set(&metric::LAST_ATTEMPT, summary.last_attempt.map(seconds));
    set(&metric::LAST_ATTEMPT_SUCCESS, summary.last_attempt_success.map(f64::from));
    set(&metric::LAST_FAILURE, summary.last_failure.map(seconds));
    set(&metric::FAILURES_SINCE_LAST_SUCCESS, failures.map(|it| it as f64));
    set(&metric::RUNNING_SINCE, summary.running_since.map(seconds));
    set(&metric::OLDEST_SUCCESS, summary.oldest_success.map(seconds));
    set(&metric::SIZE_BASELINE, summary.size_baseline.map(Median::bytes));
    set(&metric::EXPECTED, Some(f64::from(of.max_age().is_some())));
    set(&metric::MAX_AGE, of.max_age().map(|age| age.as_secs_f64()));
}

fn by_library_of_instance(library: &mut Library, labels: [&str; 4], shown: &Shown<'_>) {
    if let Some((engine, version)) = shown.engine {
        library.set(&metric::INSTANCE_INFO, &[&labels[..], &[engine, version]].concat(), 1.0);
    }
    if let Some(status) = shown.status {
        library.set(&metric::INSTANCE_STATUS, &[&labels[..], &[status]].concat(), 1.0);
    }
    let open = &shown.state.target.labels;
    let is_labelled = (!open.is_empty()).then_some(1.0);
    library.set_open(&metric::INSTANCE_LABELS, open, &labels, is_labelled);
    let policy = shown.state.policy.value();
    let gap = policy.and_then(|it| it.plan).map(|plan| plan.longest_gap());
    let retention = policy.and_then(|it| it.retention);
    let window = shown.state.restore_window.value();
    let mut set = |metric, value: Option<f64>| library.set(metric, &labels, value);
    set(&metric::INSTANCE_CREATED, shown.created.map(seconds));
    set(&metric::INSTANCE_FOUND, shown.is_found.map(f64::from));
    set(&metric::INSTANCE_MONITORED, shown.is_listed.then_some(1.0));
    set(&metric::POLICY_ENABLED, policy.map(|it| f64::from(it.is_enabled())));
    set(&metric::POLICY_RETENTION, retention.map(|it| it.as_secs_f64()));
    set(&metric::POLICY_INTERVAL, gap.map(|it| it.as_secs_f64()));
    set(&metric::RESTORE_WINDOW_START, window.and_then(|it| it.start).map(seconds));
    set(&metric::RESTORE_WINDOW_END, window.and_then(|it| it.end).map(seconds));
    set(&metric::RESTORE_WINDOWS, window.map(|it| it.ranges as f64));
    set(&metric::RESTORE_WINDOW_OBSERVED, shown.state.restore_window.asked().map(seconds));
}

fn by_library_of_target(library: &mut Library, state: &TargetState) {
    let target = &state.target;
    let [project, product] = [&*target.project, target.product.name];
    let labels = [project, product, target.instance_id(), target.instance_name()];
    let (policy, window) = (&target.product.policy, &target.product.restore_window);
    let lookups = [
        (policy.as_ref().map(|it| it.api.name), state.policy.is_well(), state.policy.asked()),
        (
            window.as_ref().map(|it| it.api.name),
            state.restore_window.is_well(),
            state.restore_window.asked(),
        ),
    ];
    for (api, is_well, asked) in lookups {
        if let Some((api, is_well)) = api.zip(is_well) {
            let labels = [&labels[..], &[api]].concat();
            library.set(&metric::LOOKUP_SUCCESS, &labels, f64::from(is_well));
            library.set(&metric::LOOKUP_LAST_SUCCESS, &labels, asked.map(seconds));
        }
    }
    let last = state.last_poll.as_ref();
    let is_well = last.is_some_and(|last| last.fault.is_none());
    let mut set = |metric, value: Option<f64>| library.set(metric, &labels, value);
    set(&metric::POLL_SUCCESS, Some(f64::from(is_well)));
    set(&metric::POLL_LAST_SUCCESS, state.last_success.map(seconds));
    set(&metric::POLL_LAST_ATTEMPT, last.map(|last| seconds(last.ended)));
    set(&metric::POLL_DURATION, last.map(|last| last.took.as_secs_f64()));
    set(&metric::POLL_REQUESTS, last.map(|last| last.requests as f64));
    set(&metric::POLL_RECORDS, last.map(|last| last.records as f64));
    set(&metric::POLL_INTERVAL, Some(target.interval.as_secs_f64()));
}

/// Its lines, their labels in the order of their names, in an order.
fn lines(text: &str) -> Vec<String> {
    let lines = text.lines();
    let mut lines: Vec<String> = lines
        .map(|line| if line.starts_with('#') { line.to_owned() } else { sorted(line) })
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn series_by_series_it_is_what_the_library_makes_of_the_same_snapshot() {
    let snapshot = snapshot();
    assert_eq!(lines(&told(&snapshot, now())), lines(&by_library(&snapshot, now())));
}

#[test]
fn an_age_grows_from_scrape_to_scrape_and_is_never_below_zero() {
    let age = |second: i64| {
        let now = Timestamp::from_second(1_700_000_000 + second).unwrap();
        let text = told(&snapshot(), now);
        let line = text.lines().find(|line| line.contains("_last_success_age_seconds{"));
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    // The backup ended at second 1: a clock of ours that is late must not make it younger.
    assert_eq!([age(-100), age(0), age(1), age(3), age(90_001)], ["0", "0", "0", "2", "90000"]);
}

/// How many of two bodies' bytes come first and are the same memory.
fn shared(a: &Body, b: &Body) -> usize {
    let [a, b] = [a.first_ref(), b.first_ref()];
    if a.as_ptr() == b.as_ptr() { a.len().min(b.len()) } else { 0 }
}

#[test]
fn scrapes_share_the_bytes_that_were_rendered_ahead() {
    let (snapshot, meters) = (snapshot(), Meters::new().unwrap());
    let rendered = Rendered::new(&snapshot);
    let [one, two] = [0, 1].map(|_| rendered.plain(&meters, now()));
    assert_eq!(shared(&one, &two), lasting(&snapshot).0.len());
    let [one, two] = [0, 1].map(|_| rendered.packed(&meters, now()).unwrap());
    assert!(shared(&one, &two) > one.remaining() / 2);
}
