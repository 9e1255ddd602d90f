//! The alert rules: each promise of theirs is a file of `promtool test rules` in `rules/`. Here they are
//! run, and held against the contract and against what the program says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use clouddb_backup_exporter::metric::{self, BACKUP, LOOKUP, Metric, TARGET};
use serde_yaml::Value;

use crate::tool::{checkout, run, succeed, text, tool};

pub(crate) const RULES: &str = "deploy/prometheus/rules.yml";
const TESTS: &str = "tests/deploy/rules";

const NONE: &[&str] = &[];
const PROJECT: &[&str] = &["project"];
const PRODUCT: &[&str] = &["project", "product"];
const API: &[&str] = &["project", "api"];
const FIELD: &[&str] = &["project", "product", "field"];
const SHARD: &[&str] = &["shard"];

/// What a rule may match and aggregate by. Of what is in no list, the pod for one, an alert knows nothing.
const LABEL_LISTS: [&[&str]; 8] = [TARGET, BACKUP, LOOKUP, PRODUCT, PROJECT, API, FIELD, SHARD];

/// Name, severity, `for`, `keep_firing_for`, and the labels that an alert may have.
type Promise =
    (&'static str, &'static str, &'static str, Option<&'static str>, &'static [&'static str]);

#[rustfmt::skip]
pub(crate) const CONTRACT: [Promise; 23] = [
    ("DatabaseBackupFailed", "warning", "1h", Some("30m"), BACKUP),
    ("DatabaseBackupFailing", "critical", "15m", Some("30m"), BACKUP),
    ("DatabaseBackupStale", "warning", "15m", Some("30m"), BACKUP),
    ("DatabaseBackupVeryStale", "critical", "15m", Some("30m"), BACKUP),
    ("DatabaseBackupMissing", "critical", "25m", Some("30m"), BACKUP),
    ("DatabaseBackupRunningTooLong", "warning", "15m", Some("30m"), BACKUP),
    ("DatabaseBackupSizeDropped", "warning", "15m", Some("30m"), BACKUP),
    ("DatabaseBackupSizeGrew", "info", "15m", Some("30m"), BACKUP),
    ("DatabaseBackupPolicyDisabled", "critical", "1h", Some("30m"), TARGET),
    ("DatabaseRestorePointLagging", "warning", "30m", Some("30m"), TARGET),
    ("DatabaseInstanceNotFound", "warning", "1h", Some("30m"), TARGET),
    ("DatabaseInstanceNotMonitored", "info", "24h", Some("30m"), TARGET),
    ("DatabaseInstancesVanished", "critical", "15m", Some("30m"), PRODUCT),
    ("BackupExporterDown", "critical", "15m", None, NONE),
    ("BackupExporterShardMissing", "critical", "15m", None, NONE),
    ("BackupExporterBlind", "critical", "1h", None, TARGET),
    ("BackupExporterPollFailing", "warning", "20m", None, LOOKUP),
    ("BackupExporterAuthFailing", "critical", "15m", None, PROJECT),
    ("BackupExporterThrottled", "warning", "30m", None, API),
    ("BackupExporterPollOverrun", "warning", "2h", None, PRODUCT),
    ("BackupExporterConfigReloadFailed", "warning", "5m", None, NONE),
    ("BackupExporterClockSkew", "warning", "30m", None, PROJECT),
    ("BackupExporterUnknownValues", "info", "15m", None, FIELD),
];

/// What goes wrong with alerts on backups, each a file of its own.
const TRAPS: [&str; 25] = [
    "api-down-while-fresh",
    "api-down-while-stale",
    "credential-mended-then-another-fault",
    "ddm-without-instance",
    "deleted-instance-with-discovery",
    "deleted-instance-without-discovery",
    "empty-instance-list",
    "failed-then-mended-by-the-cloud",
    "first-event-of-a-counter",
    "incrementals-stop",
    "interval-of-six-hours",
    "large-estate",
    "last-success-expires",
    "manual-backup-failed",
    "never-backed-up",
    "never-polled",
    "new-instance",
    "renamed-instance",
    "restart-while-api-is-down",
    "restart-while-api-is-up",
    "rollout",
    "shut-down-instance",
    "two-replicas-one-frozen",
    "two-replicas-one-without-the-cloud",
    "weekly-policy",
];

/// What all of the exporter's replicas say alike, and has no label.
const WITHOUT_LABELS: [&str; 3] = [
    "count(count by (shard)",
    "max(clouddb_exporter_shards)",
    "min(clouddb_exporter_config_last_reload_successful)",
];

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_sequence).map_or(&[], Vec::as_slice)
}

fn word<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The shipped rules by their alerts, in order.
pub(crate) fn rules() -> Vec<(String, Value)> {
    let groups = yaml(RULES);
    let rules = list(&groups, "groups").iter().flat_map(|group| list(group, "rules"));
    let named = |rule: &Value| (word(rule, "alert").expect("an alert").to_owned(), rule.clone());
    rules.map(named).collect()
}

pub(crate) fn expression(rule: &Value) -> &str {
    word(rule, "expr").expect("an expression")
}

/// The words of a text that may be names of metrics of this program.
pub(crate) fn metrics_named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("clouddb_")).collect()
}

/// The metric of this program that has this name, `_bucket` and the like included.
pub(crate) fn declared(name: &str) -> Option<&'static Metric> {
    metric::ALL.iter().copied().find(|it| it.name == name)
}

/// The files with tests of the shipped rules.
fn test_files() -> Vec<PathBuf> {
    let entries = fs::read_dir(checkout(TESTS)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    files
}

fn stem(file: &std::path::Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}

#[test]
fn promtool_has_nothing_to_complain_of_in_the_rules() {
    succeed(tool("usr/bin/promtool").args(["check", "rules", "--lint=all", "--lint-fatal", RULES]));
}

#[test]
fn promtool_takes_the_example_of_a_config_with_the_rules() {
    let file = "deploy/prometheus/prometheus.yml";
    let said = succeed(tool("usr/bin/promtool").args(["check", "config", file]));
    assert!(said.contains("1 rule files found"), "{said}");
}

#[test]
fn the_rules_fire_and_stay_silent_as_each_file_of_tests_says() {
    let files = test_files();
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let left = Mutex::new(files.iter());
    let red = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(file) = left.lock().unwrap().next() else { break };
                    let (output, said) =
                        run(tool("usr/bin/promtool").args(["test", "rules"]).arg(file));
                    if !output.status.success() {
                        red.lock().unwrap().push(said);
                    }
                }
            });
        }
    });
    let red = red.into_inner().unwrap();
    assert!(red.is_empty(), "{}", red.join("\n"));
}

#[test]
fn the_alerts_are_those_of_the_contract_with_its_severities_and_times() {
    let rules = rules();
    let told: Vec<_> = rules
        .iter()
        .map(|(alert, rule)| {
            let severity = rule.get("labels").and_then(|labels| word(labels, "severity"));
            let lasting = word(rule, "for").expect("a `for`");
            (&**alert, severity.expect("a severity"), lasting, word(rule, "keep_firing_for"))
        })
        .collect();
    assert_eq!(
        told,
        CONTRACT.map(|(alert, severity, lasting, kept, _)| (alert, severity, lasting, kept))
    );
}

#[test]
fn every_alert_says_in_words_what_it_is_about() {
    for ((alert, rule), (.., labels)) in rules().iter().zip(CONTRACT) {
        let annotations = rule.get("annotations").expect("annotations");
        let summary = word(annotations, "summary").expect("a summary");
        let description = word(annotations, "description").expect("a description");
        assert!(description.len() > summary.len(), "{alert}: {description}");
        for label in labels {
            let told = description.contains(&format!("$labels.{label}"));
            assert!(told, "{alert}: the description does not tell {label}: {description}");
        }
    }
}

#[test]
fn the_shipped_expressions_name_only_metrics_that_exist() {
    for (alert, rule) in rules() {
        let named = metrics_named(expression(&rule));
        assert!(!named.is_empty(), "{alert}");
        let unknown: Vec<_> = named.iter().filter(|name| declared(name).is_none()).collect();
        assert!(unknown.is_empty(), "{alert}: {unknown:?}");
    }
}

#[test]
fn what_is_compared_or_summed_is_so_by_the_labels_of_the_contract_only() {
    for (alert, rule) in rules() {
        let expression = expression(&rule);
        let words: Vec<&str> = expression.split_whitespace().collect();
        for key in ["by (", "on ("] {
            for rest in expression.split(key).skip(1) {
                let labels: Vec<&str> = rest.split(')').next().unwrap().split(", ").collect();
                assert!(LABEL_LISTS.contains(&&*labels), "{alert}: {key}{labels:?})");
            }
        }
        for word in ["without", "ignoring", "group_right"] {
            assert!(!words.contains(&word), "{alert}: {word}");
        }
        let known =
            WITHOUT_LABELS.iter().fold(expression.to_owned(), |text, it| text.replace(it, ""));
        for aggregation in ["max(", "min(", "sum(", "count(", "avg("] {
            assert!(!known.contains(aggregation), "{alert}: {aggregation} drops every label");
        }
    }
}

#[test]
fn every_alert_and_every_trap_has_a_file_of_tests() {
    let expected = CONTRACT.iter().map(|(alert, ..)| *alert).chain(TRAPS);
    let expected: BTreeSet<String> = expected.map(str::to_owned).collect();
    let files: BTreeSet<String> = test_files().iter().map(|file| stem(file)).collect();
    assert_eq!(files, expected);
}

/// Tests could hold any rule, with series that no program makes.
#[test]
fn the_series_of_the_tests_are_those_that_prometheus_would_have_scraped() {
    let label_lists: BTreeMap<&str, BTreeSet<&str>> = metric::ALL
        .iter()
        .map(|it| (it.name, it.labels.iter().copied().chain(["job", "instance", "pod"]).collect()))
        .collect();
    for file in test_files() {
        let tests: Value = serde_yaml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        for series in list(&tests, "tests").iter().flat_map(|test| list(test, "input_series")) {
            let place = format!("{}: {series:?}", file.display());
            let (name, labels) = word(series, "series").unwrap().split_once('{').expect(&place);
            let labels: BTreeSet<&str> = labels
                .trim_end_matches('}')
                .split(',')
                .map(|it| it.split('=').next().unwrap())
                .collect();
            match label_lists.get(name) {
                Some(expected) => assert_eq!(&labels, expected, "{place}"),
                None => assert_eq!(name, "up", "{place}"),
            }
            // A series ends by a marker, and begins late at most: a gap would be neither.
            let mut before = "stale";
            for word in word(series, "values").unwrap().split(' ') {
                assert!(!word.starts_with('_') || before == "stale", "{place}");
                before = word;
            }
            assert_eq!(before, "stale", "{place}");
        }
    }
}
