//! A new config takes over: what stays, what goes, and what a bad file does not change.

use clouddb_backup_exporter::sim::{Cloud, Estate, Fault, RdsBackup, RdsInstance, Service, estate};
use jiff::SignedDuration;
use reqwest::Method;

use crate::daemon::{Daemon, Setup, keys, password};
use crate::exposition::Exposition;

const A: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const B: &str = "b48e43ff268f4c0e879652d65e63d0fbin01";
const C: &str = "c48e43ff268f4c0e879652d65e63d0fbin01";

async fn cloud() -> Cloud {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let now = cloud.clock().now();
    cloud.change(|estate| {
        let project = &mut estate.projects[0];
        for id in [A, B, C] {
            let begin = now - SignedDuration::from_hours(4);
            let end = begin + SignedDuration::from_mins(5);
            project.rds.push(RdsInstance::new(id, "x"));
            project.rds_backups.push(RdsBackup::completed(id, "auto", begin, end, 2000));
        }
    });
    cloud
}

fn names(exposition: &Exposition) -> Vec<String> {
    let samples = &exposition.families()["clouddb_poll_success"].samples;
    samples.iter().map(|(_, labels, _)| labels["instance_name"].clone()).collect()
}

#[tokio::test]
async fn targets_that_stay_keep_what_is_known_and_others_come_and_go() {
    let cloud = cloud().await;
    let slow = "interval: 1h";
    let before = Setup { poll: slow, ..Setup::new(&cloud) }.with_rds(A, "name: a");
    let daemon = Daemon::start(&before.with_rds(B, "name: b").text(&cloud)).await;
    let old = daemon.after_polls(1.0).await;
    let after = Setup { poll: slow, ..Setup::new(&cloud) }.with_rds(C, "name: c");
    let text = after.with_rds(A, "name: a").text(&cloud);
    assert_eq!(daemon.reload(&text).await.status, 200);
    let c = [("instance_name", "c")];
    let new = daemon.until(|it| it.value("clouddb_poll_success", &c) == Some(1.0)).await;
    assert_eq!(names(&new), ["c", "a"], "in the order of the config");
    let a = [("instance_name", "a")];
    for metric in [
        "clouddb_poll_last_success_timestamp_seconds",
        "clouddb_backup_observed_timestamp_seconds",
        "clouddb_backup_last_success_timestamp_seconds",
    ] {
        assert!(new.value(metric, &a).is_some());
        assert_eq!(new.value(metric, &a), old.value(metric, &a), "{metric}: not polled again");
    }
    assert!(!new.text().contains("instance_name=\"b\""));
    assert_eq!(new.value("clouddb_polls_total", &[]), Some(3.0), "counters survive");
    assert_eq!(cloud.sign_ins(), 1, "so does the token");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_what_is_wrong() {
    let cloud = cloud().await;
    let good = Setup::new(&cloud).with_rds(A, "name: a").text(&cloud);
    let daemon = Daemon::start(&good).await;
    let before = daemon.after_polls(1.0).await;
    let successful = "clouddb_exporter_config_last_reload_successful";
    let timestamp = "clouddb_exporter_config_last_reload_success_timestamp_seconds";
    assert_eq!(before.value(successful, &[]), Some(1.0));

    let answer = daemon.reload(&good.replace("interval: 1s", "interval: never")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("config.yaml:1:19: poll.interval: "), "{}", answer.body);
    assert!(!answer.body.contains(estate::PASSWORD));
    // The interval is a finding besides.
    let very_bad: Vec<String> = (0..250).map(|at| format!("surprise{at}: 1\n")).collect();
    let answer = daemon.reload(&(good.clone() + &very_bad.concat())).await;
    assert_eq!((answer.status, answer.body.trim_end().lines().count()), (400, 101));
    assert!(answer.body.trim_end().ends_with("\nand 151 more"), "{}", answer.body);
    let after = daemon.metrics().await;
    assert_eq!(after.value(successful, &[]), Some(0.0));
    assert_eq!(after.value(timestamp, &[]), before.value(timestamp, &[]));
    let polls = after.value("clouddb_polls_total", &[]).unwrap();
    daemon.until(|it| it.value("clouddb_polls_total", &[]) > Some(polls)).await;

    assert_eq!(daemon.reload(&good).await.status, 200);
    let mended = daemon.metrics().await;
    assert_eq!(mended.value(successful, &[]), Some(1.0));
    assert!(mended.value(timestamp, &[]) > before.value(timestamp, &[]));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_objective_and_a_new_interval_of_a_target_are_in_force() {
    let cloud = cloud().await;
    let slow = Setup { poll: "interval: 1h", ..Setup::new(&cloud) }.with_rds(A, "name: a");
    let daemon = Daemon::start(&slow.text(&cloud)).await;
    daemon.after_polls(1.0).await;
    let quick = Setup::new(&cloud).with_rds(A, "name: a, max_age: { auto: 7h, manual: 30d }");
    assert_eq!(daemon.reload(&quick.text(&cloud)).await.status, 200);
    let auto = [("backup_type", "auto")];
    let max_age = "clouddb_backup_max_age_seconds";
    let exposition = daemon.until(|it| it.value(max_age, &auto) == Some(7.0 * 3600.0)).await;
    assert_eq!(exposition.value("clouddb_poll_interval_seconds", &[]), Some(1.0));
    let manual = [("backup_type", "manual")];
    assert_eq!(exposition.value(max_age, &manual), Some(30.0 * 86_400.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_credential_that_is_mended_is_used_at_once() {
    let cloud = cloud().await;
    let slow = Setup { poll: "interval: 1h", ..Setup::new(&cloud) }.with_rds(A, "name: a");
    let good = slow.text(&cloud);
    let daemon = Daemon::start(&good.replace(estate::PASSWORD, "wrong")).await;
    daemon.after_polls(1.0).await;
    assert_eq!(daemon.reload(&good).await.status, 200);
    daemon.until(|it| it.value("clouddb_poll_success", &[]) == Some(1.0)).await;
    assert_eq!(cloud.sign_ins(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_token_is_exported_as_long_as_the_token_is_in_use() {
    const EXPIRY: &str = "clouddb_auth_token_expiry_timestamp_seconds";
    let cloud = cloud().await;
    let slow = "interval: 1h";
    let setup = |credential| {
        Setup { poll: slow, credential, ..Setup::new(&cloud) }.with_rds(A, "name: a").text(&cloud)
    };
    let success = |it: &Exposition| it.value("clouddb_poll_success", &[]);
    let polled_again = |old: &Exposition| {
        let polls = |it: &Exposition| it.value("clouddb_polls_total", &[]);
        let before = polls(old);
        move |it: &Exposition| polls(it) > before
    };
    let daemon = Daemon::start(&setup(password(&cloud))).await;
    let with_token = daemon.until(|it| success(it) == Some(1.0)).await;
    assert!(with_token.value(EXPIRY, &[]).is_some());

    assert_eq!(daemon.reload(&setup(keys())).await.status, 200);
    assert_eq!(daemon.metrics().await.value(EXPIRY, &[]), None, "the old token is not in use");
    let with_keys = daemon.until(polled_again(&with_token)).await;
    assert_eq!((success(&with_keys), with_keys.value(EXPIRY, &[])), (Some(1.0), None));

    assert_eq!(daemon.reload(&setup(password(&cloud))).await.status, 200);
    let with_token = daemon.until(polled_again(&with_keys)).await;
    assert!(with_token.value(EXPIRY, &[]).is_some());

    let wrong = password(&cloud).replace(estate::PASSWORD, "wrong");
    assert_eq!(daemon.reload(&setup(wrong)).await.status, 200);
    let refused = daemon.until(polled_again(&with_token)).await;
    assert_eq!((success(&refused), refused.value(EXPIRY, &[])), (Some(0.0), None));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_poll_that_hangs_by_the_old_way_does_not_hold_the_new_one() {
    let cloud = cloud().await;
    let slow = Setup { poll: "interval: 1h", ..Setup::new(&cloud) }.with_rds(A, "name: a");
    let text = slow.text(&cloud);
    cloud.fault(Fault::hang().on(Service::Rds));
    let daemon = Daemon::start(&text).await;
    daemon.until(|_| cloud.count(|seen| seen.service == Service::Rds) > 0).await;
    cloud.clear_faults();
    let changed = text.replace("interval: 1h", "interval: 1h, request_timeout: 20s");
    assert_eq!(daemon.reload(&changed).await.status, 200);
    daemon.until(|it| it.value("clouddb_poll_success", &[]) == Some(1.0)).await;
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_project_that_left_leaves_no_gauges_behind() {
    const OTHER: &str = "1483b6b16e954cb88930a360d2c4e663";
    let cloud = cloud().await;
    let one = Setup::new(&cloud).with_rds(A, "name: a").text(&cloud);
    let two = format!(
        "{one}  - name: gone\n    project_id: {OTHER}\n    credentials: main\n    ddm:\n      \
         endpoint: {}\n",
        cloud.ddm_url()
    );
    let daemon = Daemon::start(&two).await;
    daemon.after_polls(1.0).await;
    assert_eq!(daemon.reload(&one).await.status, 200);
    let exposition = daemon.metrics().await;
    for (name, family) in exposition.families() {
        let of_gone = |labels: &crate::exposition::Labels| {
            labels.get("project").is_some_and(|project| project == "gone")
        };
        let left = family.samples.iter().filter(|(_, labels, _)| of_gone(labels)).count();
        assert!(family.kind == "counter" || left == 0, "{name}");
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn only_post_and_put_reload() {
    let cloud = cloud().await;
    let daemon = Daemon::start(&Setup::new(&cloud).with_rds(A, "name: a").text(&cloud)).await;
    for (method, status) in [
        (Method::POST, 200),
        (Method::PUT, 200),
        (Method::GET, 405),
        (Method::HEAD, 405),
        (Method::DELETE, 405),
    ] {
        let answer = daemon.ask(method.clone(), "/-/reload").await;
        assert_eq!(answer.status, status, "{method}");
        if status == 405 {
            assert_eq!(answer.headers["allow"], "POST, PUT");
        }
    }
    daemon.stop().await.unwrap();
}
