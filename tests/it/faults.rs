//! Faults that may pass, throttling, and faults in the middle of something.

use std::time::Duration;

use clouddb_backup_exporter::sim::{
    Change, Cloud, Estate, Fault, Project, RdsBackup, RdsInstance, Seen, Service, estate,
};
use jiff::SignedDuration;

use crate::daemon::{Daemon, Setup, keys};
use crate::exposition::Exposition;

const ID: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";

/// One instance with so many automated backups, and increments of the last hours.
async fn cloud_with(autos: i64) -> Cloud {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let now = cloud.clock().now();
    let backup = |kind: &str, hours: i64| {
        let begin = now - SignedDuration::from_hours(hours);
        RdsBackup::completed(ID, kind, begin, begin + SignedDuration::from_mins(5), 2000)
    };
    cloud.change(|estate| {
        let project = &mut estate.projects[0];
        project.rds.push(RdsInstance::new(ID, "x"));
        project.rds_backups.extend((1..=autos).map(|hours| backup("auto", hours)));
        project.rds_backups.extend((1..=20).map(|hours| backup("incremental", hours)));
    });
    cloud
}

async fn after_one_poll(cloud: &Cloud, setup: Setup<'_>) -> (Daemon, Exposition) {
    let text = setup.text(cloud).replace("interval: 1s", "interval: 1h");
    let daemon = Daemon::start(&text).await;
    let exposition = daemon.after_polls(1.0).await;
    (daemon, exposition)
}

fn setup(cloud: &Cloud) -> Setup<'static> {
    Setup::new(cloud).with_rds(ID, "name: a")
}

#[tokio::test]
async fn faults_that_pass_within_four_tries_lose_no_poll() {
    for fault in [Fault::status(503), Fault::close(), Fault::cut(), Fault::status(429)] {
        let what = format!("{fault:?}");
        let cloud = cloud_with(3).await;
        cloud.fault(fault.on(Service::Rds).times(3));
        let (daemon, exposition) = after_one_poll(&cloud, setup(&cloud)).await;
        assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(1.0), "{what}");
        let rds = [("api", "rds_backups")];
        assert_eq!(exposition.value("clouddb_api_retries_total", &rds), Some(3.0), "{what}");
        daemon.stop().await.unwrap();
    }
}

#[tokio::test]
async fn the_fourth_fault_in_a_row_is_that_of_the_poll() {
    let cloud = cloud_with(3).await;
    cloud.fault(Fault::status(503).on(Service::Rds).times(3));
    cloud.fault(Fault::status(500).on(Service::Rds).once());
    let (daemon, exposition) = after_one_poll(&cloud, setup(&cloud)).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(0.0));
    assert!(daemon.get("/").await.body.contains("the cloud answered 500"), "the last try");
    assert_eq!(exposition.value("clouddb_poll_requests", &[]), Some(4.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn other_refusals_are_not_tried_again() {
    for status in [400, 403, 404, 302, 418] {
        let cloud = cloud_with(3).await;
        cloud.fault(Fault::status(status).on(Service::Rds));
        let (daemon, exposition) = after_one_poll(&cloud, setup(&cloud)).await;
        let rds = [("api", "rds_backups")];
        assert_eq!(exposition.value("clouddb_api_retries_total", &rds), Some(0.0), "{status}");
        daemon.stop().await.unwrap();
    }
}

#[tokio::test]
async fn with_keys_each_try_is_signed_anew() {
    let cloud = cloud_with(3).await;
    cloud.fault(Fault::status(503).on(Service::Rds).times(3));
    // The clock moves so far between the tries that an old signature would be refused.
    let clock = cloud.clock().clone();
    cloud.fault(
        Fault::change(Change::apply(move |_, _| clock.advance(SignedDuration::from_hours(1))))
            .once(),
    );
    let setup = Setup { credential: keys(), ..setup(&cloud) };
    let text = setup.text(&cloud).replace("interval: 1s", "interval: 1h");
    let daemon = Daemon::start_at(&text, crate::daemon::clock_of(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(1.0));
    assert_eq!(cloud.count(|seen: &Seen| seen.status == Some(401)), 0);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_429_pauses_all_that_shares_the_credential_and_nothing_else() {
    const OTHER: &str = "1483b6b16e954cb88930a360d2c4e663";
    let other_id = "b48e43ff268f4c0e879652d65e63d0fbin01";
    let cloud = cloud_with(3).await;
    cloud.change(|estate| {
        let mut other = Project::new(OTHER, "eu-de_other");
        other.rds.push(RdsInstance::new(other_id, "y"));
        estate.projects.push(other);
    });
    // For longer than this test takes: what shares the credential waits, and does not fail.
    let limit = Fault::status(429).with_header("Retry-After", "600").on(Service::Rds);
    cloud.fault(limit.when(|request| request.target.contains(estate::PROJECT_ID)).once());
    let mut text = setup(&cloud).text(&cloud);
    text += &format!(
        "  - name: other\n    project_id: {OTHER}\n    credentials: second\n    rds:\n      \
         endpoint: {}\n      instances:\n        - {{ id: {other_id}, name: y }}\n",
        cloud.rds_url()
    );
    text = text.replace("projects:\n", &format!("  second: {{ {} }}\nprojects:\n", keys()));
    text += &format!(
        "  - name: same\n    project_id: {OTHER}\n    credentials: main\n    rds:\n      \
         endpoint: {}\n      instances:\n        - {{ id: {other_id}, name: y }}\n",
        cloud.rds_url()
    );
    let daemon = Daemon::start(&text).await;
    let of = |name: &'static str| [("project", name)];
    let exposition = daemon
        .until(|it| {
            it.value("clouddb_polls_total", &of("other")) >= Some(2.0)
                && it.value("clouddb_api_backoff_seconds", &of("shop")) > Some(0.0)
        })
        .await;
    for project in ["shop", "same"] {
        let left = exposition.value("clouddb_api_backoff_seconds", &of(project)).unwrap();
        assert!(left > 500.0 && left <= 600.0, "{project}: {left}");
        assert!(exposition.value("clouddb_polls_total", &of(project)) <= Some(1.0), "{project}");
    }
    assert_eq!(exposition.value("clouddb_api_backoff_seconds", &of("other")), Some(0.0));
    let throttled = [("project", "shop"), ("api", "rds_backups")];
    assert_eq!(exposition.value("clouddb_api_throttled_total", &throttled), Some(1.0));
    assert_eq!(exposition.value("clouddb_poll_success", &of("other")), Some(1.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_400_behind_the_first_page_of_a_type_does_not_empty_it() {
    let cloud = cloud_with(250).await;
    cloud.fault(Fault::status(400).on(Service::Rds).at("backup_type=auto").after(1));
    let (daemon, exposition) = after_one_poll(&cloud, setup(&cloud)).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(0.0));
    assert_eq!(
        exposition.value("clouddb_poll_failures_total", &[("reason", "http_4xx")]),
        Some(1.0)
    );
    assert!(exposition.lines("clouddb_backup").is_empty());
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_window_that_the_cloud_refuses_is_not_an_empty_list() {
    let cloud = cloud_with(3).await;
    cloud.fault(Fault::status(400).on(Service::Rds).at("begin_time="));
    let (daemon, exposition) = after_one_poll(&cloud, setup(&cloud)).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(0.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_list_without_a_type_that_never_stands_still_does_not_blind_the_instance() {
    let cloud = cloud_with(3).await;
    cloud.switches(|switches| {
        switches.untyped_holds_incrementals = true;
        switches.page_cap = Some(5);
    });
    let now = cloud.clock().now();
    // An increment comes with every page of the list without a type.
    let count = std::sync::atomic::AtomicI64::new(0);
    let insert = Change::apply(move |estate, _| {
        let seconds = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let begin = now - SignedDuration::from_hours(30) + SignedDuration::from_secs(seconds);
        let backup = RdsBackup::completed(ID, "incremental", begin, begin, 10);
        estate.projects[0].rds_backups.push(backup);
    });
    let is_untyped = |request: &clouddb_backup_exporter::sim::Request| {
        request.parameter("backup_type").is_none()
    };
    cloud.fault(Fault::change(insert).on(Service::Rds).when(is_untyped));
    let (daemon, exposition) = after_one_poll(&cloud, setup(&cloud)).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(1.0));
    let labels = [("backup_type", "incremental"), ("status", "completed")];
    assert_eq!(exposition.value("clouddb_backups", &labels), Some(20.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn the_budget_does_not_pile_up_while_the_cloud_hangs() {
    let cloud = cloud_with(3).await;
    let mut setup = setup(&cloud);
    setup.poll = "interval: 60s, concurrency: 2";
    setup.credential = setup.credential.replace("second: 10000", "second: 5");
    for at in 0..8 {
        let id = format!("{at:032x}in01");
        cloud.change(|estate| estate.projects[0].rds.push(RdsInstance::new(&id, "x")));
        setup = setup.with_rds(&id, "name: x");
    }
    // The first answers take so long that requests wait for a slot, and then the cloud is fast.
    cloud.fault(Fault::delay(Duration::from_millis(700)).on(Service::Rds).times(6));
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    daemon.after_polls(1.0).await;
    daemon.stop().await.unwrap();
    let times: Vec<_> = cloud.requests().iter().map(|seen| seen.at).collect();
    for (at, begin) in times.iter().enumerate() {
        let end = *begin + SignedDuration::from_secs(1);
        let within = times[at..].iter().filter(|time| **time < end).count();
        // A burst of five, five more in a second, and what a busy machine pushes together.
        assert!(within <= 13, "{within} requests within a second");
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_connect_and_the_daemon_serves_all_the_same() {
    let cloud = cloud_with(3).await;
    let text = setup(&cloud).text(&cloud).replace(cloud.rds_url(), "https://no-such-host.invalid");
    let daemon = Daemon::start(&text).await;
    assert_eq!(daemon.get("/-/healthy").await.status, 200);
    let exposition = daemon.after_polls(1.0).await;
    let connect = exposition.value("clouddb_poll_failures_total", &[("reason", "connect")]);
    assert!(connect >= Some(1.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn no_task_is_left_of_a_daemon_that_ended() {
    let cloud = cloud_with(3).await;
    cloud.fault(Fault::hang().on(Service::Rds).after(2));
    let daemon = Daemon::start(&setup(&cloud).with_ddm().text(&cloud)).await;
    daemon.until(|it| it.value("clouddb_polls_total", &[("product", "ddm")]) >= Some(3.0)).await;
    daemon.stop().await.unwrap();
    cloud.stop().await;
    let tasks = tokio::runtime::Handle::current().metrics();
    let begin = tokio::time::Instant::now();
    while tasks.num_alive_tasks() > 0 {
        assert!(begin.elapsed() < Duration::from_secs(30), "{} left", tasks.num_alive_tasks());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_service_that_hangs_before_the_keys_are_proven_does_not_hold_the_other_for_long() {
    let cloud = cloud_with(3).await;
    cloud.fault(Fault::hang().on(Service::Rds));
    let mut setup = Setup { credential: keys(), ..setup(&cloud) }.with_ddm();
    for at in 0..10 {
        setup = setup.with_rds(&format!("{at:032x}in01"), "name: x");
    }
    setup.poll = "interval: 1s, request_timeout: 1s";
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let ddm = [("product", "ddm")];
    daemon.until(|it| it.value("clouddb_poll_success", &ddm) == Some(1.0)).await;
    daemon.stop().await.unwrap();
}
