//! When targets are polled, and what a poll that fails changes.

use std::time::Duration;

use clouddb_backup_exporter::sim::{
    Answer, Change, Cloud, Endless, Estate, Fault, RdsBackup, RdsInstance, Seen, Service,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::daemon::{Daemon, Setup};
use crate::exposition::Exposition;

const GOOD: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const BAD: &str = "b48e43ff268f4c0e879652d65e63d0fbin01";

/// Two instances with three automated backups each, the last one four hours ago.
async fn two_instances() -> Cloud {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let now: Timestamp = cloud.clock().now();
    let backup = |instance: &str, hours: i64| {
        let begin = now - SignedDuration::from_hours(hours);
        RdsBackup::completed(instance, "auto", begin, begin + SignedDuration::from_mins(5), 2000)
    };
    cloud.change(|estate| {
        let project = estate.projects.first_mut().unwrap();
        for id in [GOOD, BAD] {
            project.rds.push(RdsInstance::new(id, "x"));
            project.rds_backups.extend([4, 28, 52].map(|hours| backup(id, hours)));
        }
    });
    cloud
}

fn setup(cloud: &Cloud) -> Setup<'static> {
    Setup::new(cloud).with_rds(GOOD, "name: good").with_rds(BAD, "name: bad")
}

fn bad() -> [(&'static str, &'static str); 1] {
    [("instance_name", "bad")]
}

fn is_bad(request: &clouddb_backup_exporter::sim::Request) -> bool {
    request.parameter("instance_id") == Some(BAD)
}

fn of_instance<'a>(exposition: &'a Exposition, name: &str) -> Vec<&'a str> {
    let lines = exposition.lines("clouddb_backup");
    let label = format!("instance_name=\"{name}\"");
    lines.into_iter().filter(|line| line.contains(&label)).collect()
}

#[tokio::test]
async fn each_bad_answer_fails_its_target_with_its_reason_and_publishes_nothing() {
    let other = json!({
        "backups": [{
            "id": "x", "instance_id": GOOD, "type": "auto", "status": "COMPLETED",
            "begin_time": "2025-01-01T00:00:00+0000",
        }],
        "total_count": 1,
    });
    let wrong_types = json!({ "backups": [{ "id": 7 }], "total_count": 1 });
    let denied = json!({ "error_code": "DBS.200044", "error_msg": "no permission" });
    let gone = json!({ "error_code": "DBS.200045", "error_msg": "no such instance" });
    let redirect = Answer::text(302, "").with_header("Location", "http://127.0.0.1:1/");
    let broken_gzip = Answer::text(200, "this is no gzip").with_header("Content-Encoding", "gzip");
    let cases = [
        ("decode", Fault::body("<html><body>maintenance</body></html>")),
        ("decode", Fault::body("")),
        ("decode", Fault::body(r#"{"backups":[{"id":"#)),
        ("decode", Fault::body(wrong_types.to_string())),
        ("decode", Fault::body(other.to_string())),
        ("decode", Fault::answer(broken_gzip)),
        ("limit", Fault::huge_body()),
        ("limit", Fault::endless(Endless::Growing)),
        ("limit", Fault::endless(Endless::Fixed(1_000_000_000))),
        ("pagination", Fault::change(Change::InsertAtHead)),
        ("http_4xx", Fault::answer(redirect)),
        ("http_4xx", Fault::status(418)),
        ("http_5xx", Fault::status(503)),
        ("forbidden", Fault::answer(Answer::json(403, &denied))),
        ("not_found", Fault::answer(Answer::json(404, &gone))),
        ("throttled", Fault::status(429)),
        ("connect", Fault::close()),
        ("connect", Fault::cut()),
        ("timeout", Fault::hang()),
    ];
    for (reason, fault) in cases {
        let cloud = two_instances().await;
        if reason == "pagination" {
            // A list of one page cannot be seen to move.
            cloud.switches(|switches| switches.page_cap = Some(2));
        }
        let what = format!("{fault:?}");
        cloud.fault(fault.on(Service::Rds).when(is_bad));
        let poll = "interval: 1s, request_timeout: 1s";
        let daemon = Daemon::start(&Setup { poll, ..setup(&cloud) }.text(&cloud)).await;
        let failed = [("reason", reason)];
        let exposition = daemon
            .until(|it| {
                it.value("clouddb_poll_success", &[("instance_name", "good")]) == Some(1.0)
                    && it.values("clouddb_poll_failures_total", &[]).iter().sum::<f64>() > 0.0
            })
            .await;
        assert!(
            exposition.value("clouddb_poll_failures_total", &failed) >= Some(1.0),
            "{what} is not {reason}: {:?}",
            exposition.lines("clouddb_poll_failures_total")
        );
        assert_eq!(exposition.value("clouddb_poll_success", &bad()), Some(0.0), "{what}");
        assert_eq!(of_instance(&exposition, "bad"), Vec::<&str>::new(), "{what}");
        assert!(!of_instance(&exposition, "good").is_empty(), "{what}");
        daemon.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_poll_changes_only_the_polling_series() {
    let cloud = two_instances().await;
    let daemon = Daemon::start(&setup(&cloud).text(&cloud)).await;
    let before = daemon.after_polls(1.0).await;
    cloud.fault(Fault::status(500).on(Service::Rds));
    let after = daemon
        .until(|it| it.values("clouddb_poll_success", &[]).iter().all(|success| *success == 0.0))
        .await;
    let without_age = |exposition: &Exposition| -> Vec<String> {
        let lines = exposition.lines("clouddb_backup").into_iter();
        lines.filter(|line| !line.contains("_age_seconds{")).map(str::to_owned).collect()
    };
    assert_eq!(without_age(&after), without_age(&before));
    let age = "clouddb_backup_last_success_age_seconds";
    assert!(after.value(age, &bad()) > before.value(age, &bad()), "the age keeps growing");
    let last_success = "clouddb_poll_last_success_timestamp_seconds";
    assert!(after.value(last_success, &bad()).is_some());
    assert!(
        after.value("clouddb_poll_last_attempt_timestamp_seconds", &bad())
            > after.value(last_success, &bad())
    );

    cloud.clear_faults();
    let healed = |it: &Exposition| it.values("clouddb_poll_success", &[]) == [1.0, 1.0];
    daemon.until(healed).await;
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_listing_that_moves_once_is_counted_and_read_all_the_same() {
    let cloud = two_instances().await;
    cloud.switches(|switches| switches.page_cap = Some(2));
    cloud.fault(
        Fault::change(Change::InsertAtHead)
            .on(Service::Rds)
            .when(is_bad)
            .at("backup_type=auto")
            .once(),
    );
    let daemon = Daemon::start(&setup(&cloud).text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(exposition.values("clouddb_poll_success", &[]), [1.0, 1.0]);
    assert!(exposition.value("clouddb_poll_inconsistent_total", &[]) >= Some(1.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn before_the_first_poll_ends_only_the_polling_series_are_there() {
    let cloud = two_instances().await;
    cloud.fault(Fault::hang());
    let daemon = Daemon::start(&setup(&cloud).text(&cloud)).await;
    let exposition = daemon.metrics().await;
    assert!(exposition.lines("clouddb_backup").is_empty());
    assert!(exposition.lines("clouddb_instance").is_empty());
    assert_eq!(exposition.values("clouddb_poll_success", &[]), [0.0, 0.0]);
    assert_eq!(exposition.values("clouddb_poll_interval_seconds", &[]), [1.0, 1.0]);
    assert_eq!(exposition.value("clouddb_polls_total", &[]), Some(0.0));
    assert_eq!(exposition.value("clouddb_poll_skipped_total", &[]), Some(0.0));
    assert_eq!(exposition.value("clouddb_poll_inconsistent_total", &[]), Some(0.0));
    assert_eq!(exposition.value("clouddb_auth_failures_total", &[]), Some(0.0));
    assert_eq!(exposition.values("clouddb_poll_failures_total", &[]), [0.0; 13]);
    assert_eq!(exposition.values("clouddb_unknown_values", &[]), [0.0; 2]);
    for absent in ["last_success_timestamp", "last_attempt_timestamp", "duration"] {
        assert!(exposition.lines(&format!("clouddb_poll_{absent}")).is_empty());
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_slow_target_is_never_polled_twice_at_a_time_and_the_due_polls_are_counted() {
    let cloud = two_instances().await;
    cloud.fault(Fault::delay(Duration::from_millis(700)).on(Service::Rds).when(is_bad));
    let daemon = Daemon::start(&setup(&cloud).text(&cloud)).await;
    let exposition =
        daemon.until(|it| it.value("clouddb_poll_skipped_total", &[]) >= Some(2.0)).await;
    assert!(exposition.value("clouddb_polls_total", &[]) >= Some(1.0));
    assert_eq!(exposition.value("clouddb_poll_success", &[("instance_name", "good")]), Some(1.0));
    // One request of a poll waits for the one before: two at a time would be two polls, and the
    // other instance answers at once.
    assert!(cloud.most_in_flight(clouddb_backup_exporter::sim::estate::PROJECT_ID) <= 2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn requests_in_flight_stay_within_the_concurrency_of_the_project() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let mut setup = Setup { poll: "interval: 60s, concurrency: 3", ..Setup::new(&cloud) };
    for at in 0..10 {
        let id = format!("{at:032x}in01");
        setup = setup.with_rds(&id, "name: x");
        cloud.change(|estate| estate.projects[0].rds.push(RdsInstance::new(&id, "x")));
    }
    cloud.fault(Fault::delay(Duration::from_millis(20)).on(Service::Rds));
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    daemon.after_polls(1.0).await;
    assert_eq!(cloud.most_in_flight(clouddb_backup_exporter::sim::estate::PROJECT_ID), 3);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn few_of_many_instances_are_half_read_and_the_list_of_the_project_waits_for_none() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let mut setup =
        Setup { poll: "interval: 60s, concurrency: 2", ..Setup::new(&cloud) }.with_ddm();
    let ids: Vec<String> = (0..40).map(|at| format!("{at:032x}in01")).collect();
    for id in &ids {
        setup = setup.with_rds(id, "name: x");
        cloud.change(|estate| estate.projects[0].rds.push(RdsInstance::new(id, "x")));
    }
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    daemon.after_polls(1.0).await;
    let asked = cloud.requests();
    let spans: Vec<(usize, usize)> = ids
        .iter()
        .map(|id| {
            let is_own = |it: &Seen| it.parameter("instance_id") == Some(id);
            let first = asked.iter().position(is_own).unwrap();
            (first, asked.iter().rposition(is_own).unwrap())
        })
        .collect();
    let half_read = |at: usize| spans.iter().filter(|it| it.0 <= at && at < it.1).count();
    assert_eq!((0..asked.len()).map(half_read).max(), Some(8), "four for each request in flight");
    let ddm = asked.iter().position(|it| it.service == Service::Ddm).unwrap();
    assert!(
        spans.iter().any(|it| it.0 > ddm),
        "the list of DDM was asked for behind all instances"
    );
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_target_that_hangs_does_not_delay_another_project() {
    let cloud = two_instances().await;
    cloud.fault(Fault::hang().on(Service::Rds).when(is_bad));
    let mut text = Setup::new(&cloud).with_rds(BAD, "name: bad").text(&cloud);
    text += &format!(
        "  - name: other\n    project_id: {}\n    credentials: main\n    rds:\n      endpoint: {}\n      \
         instances:\n        - {{ id: {GOOD}, name: good }}\n",
        clouddb_backup_exporter::sim::estate::PROJECT_ID,
        cloud.rds_url()
    );
    let daemon = Daemon::start(&text).await;
    let other = [("project", "other")];
    let exposition = daemon.until(|it| it.value("clouddb_polls_total", &other) >= Some(3.0)).await;
    assert_eq!(exposition.value("clouddb_polls_total", &[("project", "shop")]), Some(0.0));
    assert_eq!(exposition.values("clouddb_project_info", &[]), [1.0, 1.0]);
    daemon.stop().await.unwrap();
}
