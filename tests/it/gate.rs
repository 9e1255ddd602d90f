//! `gate`, as a pipeline runs it: its exit codes, its lines, and its JUnit XML as another program reads it.

use std::env;
use std::fs;
use std::process::Output;

use clouddb_backup_exporter::sim::{
    AccessKey, Cloud, DdmBackup, DdmInstance, Estate, Fault, Policy, RdsBackup, RdsInstance,
    Service, estate,
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::daemon::{Setup, keys};
use crate::explain::{ORDERS, PAY, add, ago, ask, cloud, completed, discovering, two};
use crate::running::{run, stderr, stdout};

const ROUTER: &str = "e48e43ff268f4c0e879652d65e63d0fbin09";

/// The exit code, and the lines with the ages in whole hours, since time passes.
async fn gate(arguments: &[&str], config: &str) -> (Option<i32>, Vec<String>) {
    let output = ask(&[&["gate"], arguments].concat(), config).await;
    (output.status.code(), lines(&output))
}

fn lines(output: &Output) -> Vec<String> {
    let whole_hours = |line: &str| match line.split_once(" old, ") {
        Some((before, behind)) => {
            let (hours, _) = before.rsplit_once('h').expect("an age of hours");
            format!("{hours}h old, {behind}")
        }
        None => line.to_owned(),
    };
    stdout(output).lines().map(whole_hours).collect()
}

fn failed(cloud: &Cloud, id: &str, kind: &str, hours: i64) -> RdsBackup {
    RdsBackup::failed(id, kind, ago(cloud, hours), ago(cloud, hours))
}

#[tokio::test]
async fn it_is_0_if_everything_that_is_expected_is_fresh_and_was_made_at_the_last_attempt() {
    let cloud = two().await;
    // What nobody expects may fail.
    add(&cloud, [failed(&cloud, PAY, "manual", 1)]);
    let text = discovering(&cloud).text(&cloud);
    let (code, lines) = gate(&["shop"], &text).await;
    assert_eq!(
        lines,
        [
            "ok shop/rds/orders auto: 5h old, at most 26h (backup policy); last attempt completed",
            "ok shop/rds/pay auto: 5h old, at most 26h (backup policy); last attempt completed",
        ]
    );
    assert_eq!(code, Some(0));
    // By it nothing is judged.
    assert_eq!(cloud.count(|seen| seen.path.ends_with("/restore-time")), 0);
    let (code, lines) = gate(&["shop/pay"], &text).await;
    assert_eq!((code, lines.len()), (Some(0), 1), "{lines:?}");
}

#[tokio::test]
async fn it_is_1_if_something_expected_is_old_or_failed_or_was_never_made() {
    let estate = Estate::new()
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_rds(RdsInstance::new(PAY, "pay"))
        .with_ddm(DdmInstance::new(ROUTER, "router"));
    let cloud = cloud(estate).await;
    add(&cloud, [completed(&cloud, ORDERS, "auto", 31)]);
    let begin = ago(&cloud, 6);
    let end = begin + SignedDuration::from_hours(1);
    let router = DdmBackup::normal(ROUTER, "router", "auto_metadata", begin, end);
    cloud.change(|estate| estate.projects[0].ddm_backups.push(router));
    let text = discovering(&cloud).with_ddm().text(&cloud);
    let (code, lines) = gate(&["shop"], &text).await;
    assert_eq!(
        lines,
        [
            "failed shop/rds/orders auto: 30h old, at most 26h (backup policy); last attempt completed",
            "failed shop/rds/pay auto: no success, at most 26h (backup policy); no finished attempt",
            "ok shop/ddm/router auto_metadata: 5h old, at most 26h (default); last attempt completed",
        ]
    );
    assert_eq!(code, Some(1));
    // Fresh, and the newest attempt failed.
    add(&cloud, [completed(&cloud, ORDERS, "auto", 6), failed(&cloud, ORDERS, "auto", 2)]);
    let (code, lines) = gate(&["shop/orders"], &text).await;
    let line =
        "failed shop/rds/orders auto: 5h old, at most 26h (backup policy); last attempt failed";
    assert_eq!((code, &*lines), (Some(1), &[line.to_owned()][..]));
}

#[tokio::test]
async fn another_age_replaces_every_objective_and_makes_none() {
    let cloud = two().await;
    add(&cloud, [completed(&cloud, ORDERS, "manual", 6)]);
    let text = discovering(&cloud).text(&cloud);
    let line = |word: &str, most: &str| {
        format!(
            "{word} shop/rds/orders auto: 5h old, at most {most} (--max-age); last attempt completed"
        )
    };
    for (age, word, code) in [("4h", "failed", 1), ("1d", "ok", 0)] {
        let told = gate(&["shop/orders", "--max-age", age], &text).await;
        assert_eq!(told, (Some(code), vec![line(word, age)]));
    }
    for age in ["0s", "1", "", "1.5h", "off"] {
        let output = ask(&["gate", "shop", "--max-age", age], &text).await;
        assert_eq!(output.status.code(), Some(2), "{age}");
        assert!(output.stdout.is_empty() && stderr(&output).contains("--max-age"), "{age}");
    }
}

#[tokio::test]
async fn it_is_2_if_something_could_not_be_read_unless_something_else_is_not_so() {
    let estate = Estate { keys: Vec::new(), ..Estate::new() };
    let key = AccessKey::new(estate::ACCESS_KEY, estate::SECRET_KEY).denying("rds:backup:list");
    let estate = estate
        .with_key(key)
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_ddm(DdmInstance::new(ROUTER, "router"));
    let cloud = cloud(estate).await;
    let setup = Setup { credential: keys(), ..discovering(&cloud) };
    let (code, lines) = gate(&["shop/orders"], &setup.text(&cloud)).await;
    assert_eq!((code, lines.len()), (Some(2), 1), "{lines:?}");
    let begin = "unknown shop/rds/orders backups: cannot be read: forbidden: ";
    assert!(lines[0].starts_with(begin), "{lines:?}");
    assert!(lines[0].contains("permission `rds:backup:list`"), "{lines:?}");
    // That of the router is missing, which is known.
    let (code, lines) = gate(&["shop"], &setup.with_ddm().text(&cloud)).await;
    assert_eq!((code, lines.len()), (Some(1), 2), "{lines:?}");
    assert!(lines[1].starts_with("failed shop/ddm/router auto_metadata: no success"), "{lines:?}");
}

#[tokio::test]
async fn every_call_that_fails_is_told() {
    let cloud = two().await;
    let text = discovering(&cloud).with_ddm().text(&cloud);
    for (fault, begin) in [
        (
            Fault::status(418).when(|request| request.path().ends_with("/backups/policy")),
            "unknown shop/rds/orders policy: cannot be read: http_4xx: ",
        ),
        (
            Fault::status(418).when(|request| request.path().ends_with("/instances")),
            "unknown shop/rds instances: cannot be read: http_4xx: ",
        ),
        (
            Fault::status(418).on(Service::Ddm),
            "unknown shop/ddm backups: cannot be read: http_4xx: ",
        ),
    ] {
        cloud.clear_faults();
        cloud.fault(fault);
        let (code, lines) = gate(&["shop/orders"], &text).await;
        assert_eq!(code, Some(2), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with(begin)), "{begin} in {lines:?}");
    }
}

#[tokio::test]
async fn it_is_2_where_nothing_was_judged() {
    let line = |name: &str, rest: &str| format!("unknown shop/rds/{name} {rest}");
    let orders = || RdsInstance::new(ORDERS, "orders");
    let none = "unknown shop/orders backups: none is expected, so none was judged".to_owned();
    let off = "policy: it is off, so nothing is expected by it";
    for (instance, lines) in [
        (orders().with_policy(Policy::off()), vec![line("orders", off)]),
        (
            orders().with_status("SHUTDOWN"),
            vec!["ok shop/rds/orders backups: none is expected of it (SHUTDOWN)".to_owned(), none],
        ),
        (
            RdsInstance::replica(ORDERS, "orders", PAY),
            vec![line(
                "orders",
                "instance: it is a read replica, of which the cloud makes no backups",
            )],
        ),
    ] {
        let cloud = cloud(Estate::new().with_rds(instance)).await;
        add(&cloud, [completed(&cloud, ORDERS, "auto", 6)]);
        let told = gate(&["shop/orders"], &discovering(&cloud).text(&cloud)).await;
        assert_eq!(told, (Some(2), lines));
    }
    let watched = two().await;
    let keys = "discover: true\nmax_age: { auto: off }";
    let text = Setup::new(&watched).with_rds_keys(keys).text(&watched);
    let (code, lines) = gate(&["shop/pay"], &text).await;
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let off = "ok shop/rds/pay backups: none is expected of it";
    let nothing = "unknown shop/pay backups: none is expected, so none was judged";
    assert_eq!((code, &*lines), (Some(2), &[off, nothing][..]));
    // Beside one that was judged, one that is shut down is as it should be, and one without a policy not.
    for (instance, code) in
        [(orders().with_status("SHUTDOWN"), 0), (orders().with_policy(Policy::off()), 2)]
    {
        let estate = Estate::new().with_rds(instance).with_rds(RdsInstance::new(PAY, "pay"));
        let cloud = cloud(estate).await;
        add(&cloud, [completed(&cloud, PAY, "auto", 6)]);
        let (told, lines) = gate(&["shop"], &discovering(&cloud).text(&cloud)).await;
        assert_eq!((told, lines.len()), (Some(code), 2), "{lines:?}");
    }
    // An empty project, and one whose instance is gone.
    let cloud = cloud(Estate::new()).await;
    let told = gate(&["shop"], &discovering(&cloud).text(&cloud)).await;
    let none = "unknown shop backups: none is expected, so none was judged";
    assert_eq!(told, (Some(2), vec![none.to_owned()]));
    let text = discovering(&cloud).with_rds(ORDERS, "name: orders").text(&cloud);
    let (code, lines) = gate(&["shop/orders"], &text).await;
    assert_eq!(code, Some(2));
    let gone = line("orders", "instance: the cloud does not have it, or not any more");
    assert!(lines.contains(&gone), "{lines:?}");
}

#[tokio::test]
async fn a_config_or_an_argument_that_is_wrong_is_2_with_nothing_on_stdout() {
    let cloud = two().await;
    let text = discovering(&cloud).text(&cloud);
    for (what, config) in [
        ("nowhere", text.clone()),
        ("shop/ordres", text.clone()),
        ("shop", format!("{text}surprise: 1\n")),
    ] {
        for format in ["--format=text", "--format=junit"] {
            let output = ask(&["gate", what, format], &config).await;
            assert_eq!(output.status.code(), Some(2), "{what}");
            assert!(output.stdout.is_empty() && stderr(&output).contains("level=error"), "{what}");
        }
    }
    let output = ask(&["gate", "shop", "--format=yaml"], &text).await;
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn instances_of_one_name_are_told_apart_by_their_ids() {
    let estate = Estate::new()
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_rds(RdsInstance::new(PAY, "orders"));
    let cloud = cloud(estate).await;
    let (code, lines) = gate(&["shop/orders"], &discovering(&cloud).text(&cloud)).await;
    assert_eq!(code, Some(1));
    for (line, id) in lines.iter().zip([ORDERS, PAY]) {
        assert!(line.starts_with(&format!("failed shop/rds/orders ({id}) auto: ")), "{lines:?}");
    }
    assert_eq!(lines.len(), 2);
}

/// What junitparser reads.
async fn junit(arguments: &[&str], config: &str) -> (Option<i32>, Value) {
    let output = ask(&[&["gate", "--format=junit"], arguments].concat(), config).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gate.xml");
    fs::write(&file, &output.stdout).unwrap();
    let python = env::var("CLOUDDB_TEST_PYTHON")
        .expect("CLOUDDB_TEST_PYTHON names a Python with tests/requirements.txt; see tests/run");
    let mut reader = Command::new(python);
    reader.arg("tests/it/junit.py").arg(&file);
    let read = run(reader).await;
    assert!(read.status.success(), "{}\n{}", stderr(&read), stdout(&output));
    (output.status.code(), serde_json::from_slice(&read.stdout).unwrap())
}

#[tokio::test]
async fn junit_has_a_suite_for_each_instance_and_a_case_for_each_finding_whatever_their_names() {
    // A name that would end the attribute, the element and the document, and characters that XML 1.0
    // has no way to write.
    let hostile = "a\"/>]]>&<!--<x y='z'>\u{0}\u{b}\u{1f}\u{7f}\u{85}\u{fffe}\u{ffff}\n\u{1f600}ü";
    let estate = Estate::new()
        .with_rds(RdsInstance::new(ORDERS, hostile))
        .with_rds(RdsInstance::new(PAY, "pay"))
        .with_rds(RdsInstance::new("c48e43ff268f4c0e879652d65e63d0fbin01", "slow"))
        .with_rds(
            RdsInstance::new("d48e43ff268f4c0e879652d65e63d0fbin01", "x").with_status("FROZEN"),
        );
    let cloud = cloud(estate).await;
    add(&cloud, [completed(&cloud, PAY, "auto", 6)]);
    cloud.fault(
        Fault::status(418)
            .at("c48e43ff268f4c0e879652d65e63d0fbin01")
            .when(|request| !request.path().ends_with("/instances")),
    );
    let text = discovering(&cloud).text(&cloud);
    let (code, mut read) = junit(&["shop"], &text).await;
    assert_eq!(code, Some(1));
    for suite in read.as_array_mut().unwrap() {
        for case in suite["cases"].as_array_mut().unwrap() {
            // That of a fault is long.
            let message = case["message"].as_str().unwrap_or_default();
            case["message"] = message.chars().take(38).collect::<String>().into();
        }
    }
    let name = "shop/rds/a\"/>]]>&<!--<x y='z'>\u{1f600}ü";
    let case = |name: &str, result: &str, message: &str| json!({ "name": name, "result": result, "message": message });
    let suite = |name: &str, counts: [u64; 4], cases: Value| {
        let [tests, failures, errors, skipped] = counts;
        json!({
            "name": name, "tests": tests, "failures": failures, "errors": errors,
            "skipped": skipped, "cases": cases,
        })
    };
    let mut suites = read.as_array().unwrap().clone();
    suites.sort_by_key(|suite| suite["name"].to_string());
    let no_backup = case("auto", "Failure", "no success, at most 26h (backup policy");
    let unread = [
        case("backups", "Error", "cannot be read: http_4xx: cannot list "),
        case("policy", "Error", "cannot be read: http_4xx: the cloud an"),
    ];
    let at_rest = case("backups", "Skipped", "none is expected of it (FROZEN)");
    let expected = [
        suite(name, [1, 1, 0, 0], json!([no_backup])),
        suite("shop/rds/pay", [1, 0, 0, 0], json!([case("auto", "", "")])),
        suite("shop/rds/slow", [2, 0, 2, 0], json!(unread)),
        suite("shop/rds/x", [1, 0, 0, 1], json!([at_rest])),
    ];
    assert_eq!(Value::from(suites), json!(expected));
}
