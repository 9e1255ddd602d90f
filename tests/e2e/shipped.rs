//! The files that are shipped, with what a test has to replace in them and nothing else.

use crate::process::shipped;

/// What the rules wait for, in seconds. What keeps firing does so for longer than it takes any alert of the
/// exporter to speak, as in the file.
const RULES: &[(&str, &str)] = &[
    ("\n    for: 5m\n", "\n    for: 2s\n"),
    ("\n    for: 15m\n", "\n    for: 2s\n"),
    ("\n    for: 20m\n", "\n    for: 2s\n"),
    ("\n    for: 25m\n", "\n    for: 2s\n"),
    ("\n    for: 30m\n", "\n    for: 2s\n"),
    ("\n    for: 1h\n", "\n    for: 2s\n"),
    ("\n    for: 2h\n", "\n    for: 2s\n"),
    ("\n    for: 24h\n", "\n    for: 2s\n"),
    ("\n    keep_firing_for: 30m\n", "\n    keep_firing_for: 15s\n"),
];

/// The three hours without a good poll that make blind.
const BLIND: (&str, &str) = (" > 10800\n", " > 8\n");

const ALERTMANAGER: &[(&str, &str)] = &[
    ("group_wait: 1m\n", "group_wait: 1s\n"),
    ("group_interval: 5m\n", "group_interval: 1s\n"),
    ("group_wait: 1h\n", "group_wait: 1s\n"),
];

const PROMETHEUS: &[(&str, &str)] = &[
    ("scrape_interval: 1m\n", "scrape_interval: 1s\n"),
    ("evaluation_interval: 1m\n", "evaluation_interval: 1s\n"),
];

/// The alert rules, impatient.
pub(crate) fn rules() -> String {
    let rules = replaced("deploy/prometheus/rules.yml", RULES);
    let times = rules.lines().filter_map(|line| line.trim().split_once("for: "));
    let times: Vec<&str> =
        times.filter(|(key, _)| ["", "keep_"].contains(key)).map(|it| it.1).collect();
    assert!(times.iter().all(|it| it.ends_with('s')), "not every time is shortened: {times:?}");
    rules
}

/// The same, and soon blind.
pub(crate) fn rules_soon_blind() -> String {
    let rules = rules();
    assert_eq!(rules.matches(BLIND.0).count(), 1, "{}", BLIND.0);
    rules.replace(BLIND.0, BLIND.1)
}

/// The config of Alertmanager, which tells all to this webhook.
pub(crate) fn alertmanager(webhook: &str) -> String {
    let hooks = ("https://hooks.example.com", webhook);
    replaced("deploy/prometheus/alertmanager.yml", &[ALERTMANAGER, &[hooks]].concat())
}

/// The config of Prometheus for these exporters and this Alertmanager.
pub(crate) fn prometheus(exporters: &[&str], alertmanager: &str) -> String {
    let exporters = exporters.join("', '");
    let addresses = [("backup-exporter:19747", &*exporters), ("localhost:9093", alertmanager)];
    replaced("deploy/prometheus/prometheus.yml", &[PROMETHEUS, &addresses].concat())
}

/// The text of a file of the checkout.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(shipped(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text of a file, with each of these that has to be in it replaced.
fn replaced(path: &str, replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(text(path), |text, (from, to)| {
        assert!(text.contains(from), "{path} has no {from:?}: the test replaces it by {to:?}");
        text.replace(from, to)
    })
}
