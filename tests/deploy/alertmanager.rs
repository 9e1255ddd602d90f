//! The example for Alertmanager, held by `amtool`. That an alert mutes another is its own doing; here is
//! held that the config says so, and of alerts that there are.

use serde_yaml::Value;

use crate::rules::CONTRACT;
use crate::tool::{succeed, text, tool};

const CONFIG: &str = "deploy/prometheus/alertmanager.yml";

fn amtool(arguments: &[&str]) -> String {
    succeed(tool("usr/bin/amtool").args(arguments))
}

#[test]
fn amtool_takes_the_example_for_alertmanager() {
    let said = amtool(&["check-config", CONFIG]);
    assert!(said.contains("6 inhibit rules"), "{said}");
}

#[test]
fn an_alert_goes_to_the_team_of_its_instance_else_by_its_severity() {
    let file = format!("--config.file={CONFIG}");
    for (labels, receiver) in [
        (&["severity=critical"][..], "page"),
        (&["severity=warning"], "chat"),
        (&["severity=info"], "mail"),
        (&["severity=critical", "label_team=shop"], "shop-page"),
        (&["severity=warning", "label_team=shop"], "shop-chat"),
        (&["severity=info", "label_team=shop"], "shop-chat"),
        (&["severity=critical", "label_team=other"], "page"),
    ] {
        let verify = format!("--verify.receivers={receiver}");
        let mut arguments = vec!["config", "routes", "test", &file, &verify, "project=shop-prod"];
        arguments.extend(labels);
        amtool(&arguments);
    }
}

/// The names of alerts that a matcher of the example selects: `alertname="X"` or `alertname=~"A.+|B(C|D)"`.
fn selected(matcher: &str) -> Vec<&'static str> {
    let names = || CONTRACT.iter().map(|(alert, ..)| *alert);
    let Some(pattern) = matcher.strip_prefix("alertname=~") else {
        let name =
            matcher.strip_prefix("alertname=").expect("a matcher of the name").trim_matches('"');
        return names().filter(|alert| *alert == name).collect();
    };
    let pattern = pattern.trim_matches('"').replace("Database.+", "Database");
    let (database, rest) = match pattern.strip_prefix("Database|") {
        Some(rest) => (true, rest.to_owned()),
        None => (false, pattern),
    };
    let exporters: Vec<String> = match rest.split_once('(') {
        Some((head, tails)) => {
            tails.trim_end_matches(')').split('|').map(|tail| format!("{head}{tail}")).collect()
        }
        None => vec![rest],
    };
    for name in &exporters {
        assert!(names().any(|alert| alert == name), "{name} is no alert");
    }
    names()
        .filter(|alert| {
            (database && alert.starts_with("Database")) || exporters.iter().any(|it| it == alert)
        })
        .collect()
}

fn words<'a>(rule: &'a Value, key: &str) -> Vec<&'a str> {
    let words = rule.get(key).and_then(Value::as_sequence).map_or(&[][..], Vec::as_slice);
    words.iter().map(|it| it.as_str().unwrap()).collect()
}

#[test]
fn what_is_blind_mutes_what_it_cannot_see_and_nothing_else_is_muted_by_less() {
    let config: Value = serde_yaml::from_str(&text(CONFIG)).unwrap();
    let rules = config.get("inhibit_rules").and_then(Value::as_sequence).unwrap();
    let told: Vec<_> = rules
        .iter()
        .map(|rule| {
            let sources = words(rule, "source_matchers");
            let [target] = words(rule, "target_matchers")[..] else { panic!("{rule:?}") };
            let [source] = selected(sources[0])[..] else { panic!("{rule:?}") };
            (source, sources[1..].to_vec(), selected(target), words(rule, "equal"))
        })
        .collect();
    let databases =
        || CONTRACT.iter().map(|(alert, ..)| *alert).filter(|it| it.starts_with("Database"));
    let and = |more: &[&'static str]| databases().chain(more.iter().copied()).collect::<Vec<_>>();
    let of_a_type = vec!["project", "product", "instance_id", "backup_type"];
    assert_eq!(
        told,
        [
            (
                "BackupExporterDown",
                vec![],
                and(&[
                    "BackupExporterShardMissing",
                    "BackupExporterBlind",
                    "BackupExporterPollFailing",
                    "BackupExporterAuthFailing"
                ]),
                vec![]
            ),
            (
                "BackupExporterBlind",
                vec!["product=\"rds\""],
                and(&["BackupExporterPollFailing"]),
                vec!["project", "product", "instance_id"]
            ),
            (
                "BackupExporterBlind",
                vec!["product=\"ddm\""],
                and(&["BackupExporterPollFailing"]),
                vec!["project", "product"]
            ),
            ("DatabaseBackupVeryStale", vec![], vec!["DatabaseBackupStale"], of_a_type.clone()),
            ("DatabaseBackupFailing", vec![], vec!["DatabaseBackupFailed"], of_a_type),
            (
                "BackupExporterAuthFailing",
                vec![],
                vec!["BackupExporterBlind", "BackupExporterPollFailing"],
                vec!["project"]
            ),
        ]
    );
    // A warning must not silence a page.
    for (source, _, targets, _) in &told {
        let severity = |name: &str| CONTRACT.iter().find(|(alert, ..)| *alert == name).unwrap().1;
        let warns = severity(source) != "critical";
        assert!(!warns || targets.iter().all(|it| severity(it) != "critical"), "{source}");
    }
}
