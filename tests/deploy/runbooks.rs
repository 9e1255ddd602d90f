//! What is written about the alerts, held by the rules, by `promtool` and by the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_yaml::Value;

use crate::rules::{CONTRACT, declared, expression, metrics_named, rules};
use crate::tool::{checkout, succeed, text, tool};

const PROGRAM: &str = env!("CARGO_BIN_EXE_clouddb-backup-exporter");
const ALERTS: &str = "docs/alerts.md";
const RUNBOOKS: &str = "docs/runbooks";
const SECTIONS: [&str; 4] = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"];

fn runbook(alert: &str) -> String {
    text(&format!("{RUNBOOKS}/{alert}.md"))
}

/// The fenced blocks of a page that are in this language.
fn fences(page: &str, language: &str) -> Vec<String> {
    let parts: Vec<&str> = page.split("```").collect();
    let inside = parts.iter().skip(1).step_by(2);
    inside
        .filter_map(|part| part.strip_prefix(&format!("{language}\n")))
        .map(str::to_owned)
        .collect()
}

/// Every page about the alerts, with its name.
fn pages() -> Vec<(&'static str, String)> {
    let runbooks = CONTRACT.iter().map(|(alert, ..)| (*alert, runbook(alert)));
    runbooks.chain([(ALERTS, text(ALERTS))]).collect()
}

#[test]
fn every_alert_names_a_runbook_that_there_is_and_every_runbook_is_of_an_alert() {
    let mut bases = BTreeSet::new();
    for (alert, rule) in rules() {
        let url =
            rule.get("annotations").and_then(|it| it.get("runbook_url")).and_then(Value::as_str);
        let url = url.unwrap_or_else(|| panic!("{alert} has no runbook_url"));
        let base =
            url.strip_suffix(&format!("/{alert}.md")).unwrap_or_else(|| panic!("{alert}: {url}"));
        assert!(base.starts_with("https://"), "{url}");
        bases.insert(base.to_owned());
        let page = runbook(&alert);
        assert!(page.starts_with(&format!("# {alert}\n")), "{alert}");
        let places: Vec<_> =
            SECTIONS.iter().map(|section| page.find(&format!("\n{section}\n"))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{alert}: {places:?}");
    }
    // One base, so that it can be replaced in one go, and the one that the docs say how to replace.
    let base = bases.pop_last().unwrap();
    assert!(bases.is_empty(), "{bases:?}, {base}");
    assert!(text(ALERTS).contains(&format!("'s|{base}|")), "{base}");
    let pages = fs::read_dir(checkout(RUNBOOKS)).unwrap();
    assert_eq!(pages.count(), CONTRACT.len(), "a runbook without an alert");
}

#[test]
fn the_table_of_alerts_has_each_one_with_its_severity_and_its_time() {
    let page = text(ALERTS);
    let rows = page.lines().filter(|line| line.contains("](runbooks/"));
    let rows: Vec<Vec<String>> =
        rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect();
    let told: Vec<[&str; 3]> = rows.iter().map(|row| [&*row[1], &*row[3], &*row[4]]).collect();
    let links: Vec<String> =
        CONTRACT.iter().map(|(alert, ..)| format!("[{alert}](runbooks/{alert}.md)")).collect();
    let expected: Vec<[&str; 3]> = CONTRACT
        .iter()
        .zip(&links)
        .map(|((_, severity, lasting, ..), link)| [&**link, lasting, severity])
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn a_runbook_begins_with_the_severity_of_its_alert() {
    for (alert, severity, ..) in CONTRACT {
        let page = runbook(alert);
        let first = page.lines().nth(2).unwrap().to_lowercase();
        assert!(first.starts_with(&format!("{severity}, after ")), "{alert}: {first}");
    }
}

#[test]
fn the_pages_name_only_metrics_that_exist() {
    for (name, page) in pages() {
        for metric in metrics_named(&page) {
            let family = metric.strip_suffix("_bucket").unwrap_or(metric);
            // `clouddb_poll_*` stands for a family of names.
            let is_known = declared(family).is_some() || metric.ends_with('_');
            assert!(is_known, "{name}: {metric}");
        }
    }
}

#[test]
fn every_runbook_has_a_query() {
    for (alert, ..) in CONTRACT {
        assert!(!fences(&runbook(alert), "promql").is_empty(), "{alert}");
    }
}

#[test]
fn every_command_of_the_program_in_the_pages_is_one_that_it_has() {
    let mut commands = BTreeSet::new();
    for (_, page) in pages() {
        for rest in page.split("clouddb-backup-exporter ").skip(1) {
            let line = rest.split(['\n', '`']).next().unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            let is_named = words.first().is_some_and(|word| ["explain", "plan"].contains(word));
            if words.iter().any(|word| word.starts_with("--")) || is_named {
                commands.insert(words.join(" "));
            }
        }
    }
    assert!(commands.len() >= 3, "{commands:?}");
    for command in commands {
        succeed(Command::new(PROGRAM).args(command.split(' ')).arg("--help"));
    }
}

/// The rules that the page shows, in one file, as a user would take them over.
fn documented(folder: &Path) {
    let rules = fences(&text(ALERTS), "yaml");
    let rules: String =
        rules.iter().flat_map(|rule| rule.lines().map(|line| format!("  {line}\n"))).collect();
    fs::write(folder.join("rules.yml"), format!("groups:\n- name: documented\n  rules:\n{rules}"))
        .unwrap();
}

#[test]
fn the_rules_that_the_docs_show_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    documented(folder.path());
    succeed(
        tool("usr/bin/promtool")
            .args(["check", "rules", "--lint=all", "--lint-fatal"])
            .arg(folder.path().join("rules.yml")),
    );
    let mut files = Vec::new();
    for entry in fs::read_dir(checkout("tests/deploy/rules/documented")).unwrap() {
        let entry = entry.unwrap();
        let file = folder.path().join(entry.file_name());
        fs::copy(entry.path(), &file).unwrap();
        files.push(file);
    }
    assert_eq!(files.len(), 3);
    succeed(tool("usr/bin/promtool").args(["test", "rules"]).args(files));
}

#[test]
fn the_expression_that_the_docs_wrap_is_the_one_that_is_shipped() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, rule) =
        rules().into_iter().find(|(alert, _)| alert == "DatabaseBackupFailing").unwrap();
    let shipped = words(expression(&rule));
    assert_eq!(words(&text(ALERTS)).matches(&shipped).count(), 2, "{shipped}");
}
