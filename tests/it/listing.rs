//! Reading the lists: what is asked, and the numbers that come of it.

use clouddb_backup_exporter::sim::{
    Answer, Change, Clock, Cloud, DdmBackup, DdmInstance, Estate, Fault, MissingEnd, Order,
    Project, RdsBackup, RdsInstance, Seen, Service, Switches, Total, Window, estate,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::daemon::{Daemon, Setup, clock_of};
use crate::exposition::Exposition;
use crate::log::Log;

const MYSQL: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const POSTGRESQL: &str = "a48e43ff268f4c0e879652d65e63d0fbin03";
const SQL_SERVER: &str = "a48e43ff268f4c0e879652d65e63d0fbin04";
const ROUTER: &str = "169f4f2fd6a94b6c8b1e5bd104385a18in09";

fn now() -> Timestamp {
    "2025-03-10T12:00:00Z".parse().unwrap()
}

fn ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

fn completed(instance: &str, kind: &str, minutes_ago: i64) -> RdsBackup {
    let (begin, end) = (ago(minutes_ago), ago(minutes_ago - 4));
    RdsBackup::completed(instance, kind, begin, end, 1000)
}

fn failed(instance: &str, kind: &str, minutes_ago: i64) -> RdsBackup {
    RdsBackup::failed(instance, kind, ago(minutes_ago), ago(minutes_ago - 4))
}

async fn cloud(estate: Estate) -> Cloud {
    Cloud::start_at(estate, Clock::fixed(now())).await.unwrap()
}

async fn cloud_with(instance: &str, backups: Vec<RdsBackup>) -> Cloud {
    let estate = Estate::new().with_rds(RdsInstance::new(instance, "orders"));
    cloud(estate.with_rds_backups(backups)).await
}

/// The exposition after one poll of each target, and not more: requests are counted.
async fn read(cloud: &Cloud, setup: &Setup<'_>) -> Exposition {
    let text = setup.text(cloud).replace("interval: 1s", "interval: 1h");
    let daemon = Daemon::start_at(&text, clock_of(cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    daemon.stop().await.unwrap();
    exposition
}

fn of<'a>(backup_type: &'a str, status: &'a str) -> [(&'a str, &'a str); 2] {
    [("backup_type", backup_type), ("status", status)]
}

#[tokio::test]
async fn the_examples_of_the_documentation_give_the_right_numbers() {
    let instance = |id| RdsInstance::new(id, "x");
    let estate = Estate::new()
        .with_rds(instance(MYSQL))
        .with_rds(instance(POSTGRESQL))
        .with_rds(instance(SQL_SERVER))
        .with_ddm(DdmInstance::new("169f4f2fd6****04385a18ain09", "ddm-test"));
    let at = "2018-08-06T10:00:00Z".parse().unwrap();
    let cloud = Cloud::start_at(estate, Clock::fixed(at)).await.unwrap();
    for (kind, id, body) in [
        ("auto", MYSQL, include_str!("../data/listings/rds-mysql.json")),
        ("incremental", POSTGRESQL, include_str!("../data/listings/rds-postgresql.json")),
        ("manual", SQL_SERVER, include_str!("../data/listings/rds-sqlserver.json")),
    ] {
        cloud.fault(Fault::body(body).on(Service::Rds).when(move |request| {
            request.parameter("instance_id") == Some(id)
                && request.parameter("backup_type") == Some(kind)
        }));
    }
    cloud.fault(
        Fault::body(include_str!("../data/listings/ddm.json")).on(Service::Ddm).at("backups"),
    );
    let setup = Setup::new(&cloud)
        .with_rds(MYSQL, "name: mysql")
        .with_rds(POSTGRESQL, "name: postgresql")
        .with_rds(SQL_SERVER, "name: sqlserver, labels: { team: blue, costCenter: \"7\" }")
        .with_ddm();
    let exposition = read(&cloud, &setup).await;
    let mut lines = exposition.lines("clouddb_backup");
    lines.extend(exposition.lines("clouddb_instance"));
    lines.extend(exposition.lines("clouddb_project"));
    let expected = include_str!("../data/listings/expected.prom");
    let lines = lines.join("\n") + "\n";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write("tests/data/listings/expected.prom", &lines).unwrap();
    }
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn each_type_is_asked_by_itself_and_incrementals_by_a_window_with_a_margin() {
    let cloud = cloud_with(MYSQL, vec![completed(MYSQL, "incremental", 10)]).await;
    read(&cloud, &Setup::new(&cloud).with_rds(MYSQL, "name: a")).await;
    let seen: Vec<_> =
        cloud.requests().into_iter().filter(|it| it.service == Service::Rds).collect();
    let types: Vec<_> = seen.iter().map(|request| request.parameter("backup_type")).collect();
    assert_eq!(types, [Some("auto"), Some("manual"), Some("incremental"), None]);
    for request in &seen {
        assert_eq!(request.parameter("instance_id"), Some(MYSQL));
        assert_eq!(request.parameter("limit"), Some("100"));
        assert_eq!(request.parameter("offset"), Some("0"));
    }
    assert_eq!(seen[2].parameter("begin_time"), Some("2025-03-09T11:50:00+0000"));
    assert_eq!(seen[2].parameter("end_time"), Some("2025-03-10T12:10:00+0000"));
    assert_eq!(seen[0].parameter("begin_time"), None);
}

#[tokio::test]
async fn ddm_is_asked_once_for_the_project_with_its_own_limit() {
    let backup = |days: i64| {
        DdmBackup::normal(ROUTER, "router", "auto_metadata", ago(days * DAY), ago(days * DAY - 1))
    };
    let cloud = cloud(Estate::new().with_ddm_backups((1..=130).map(backup))).await;
    let exposition = read(&cloud, &Setup::new(&cloud).with_ddm()).await;
    let labels = [("instance_name", "router"), ("status", "completed")];
    assert_eq!(
        exposition
            .value("clouddb_backups", &[labels[0], of("auto_metadata", "completed")[0], labels[1]]),
        Some(130.0)
    );
    let asked: Vec<_> = cloud
        .requests()
        .iter()
        .filter(|it| it.service == Service::Ddm && it.path.ends_with("backups"))
        .map(|it| {
            (it.parameter("offset").map(str::to_owned), it.parameter("limit").map(str::to_owned))
        })
        .collect();
    let page = |offset: &str| (Some(offset.to_owned()), Some("128".to_owned()));
    assert_eq!(asked, [page("0"), page("128"), page("0")]);
    let target = [("product", "ddm"), ("instance_id", ""), ("instance_name", "")];
    assert_eq!(exposition.value("clouddb_poll_success", &target), Some(1.0));
    assert_eq!(exposition.value("clouddb_poll_requests", &target), Some(3.0));
    assert_eq!(exposition.value("clouddb_poll_records", &target), Some(130.0));
}

#[tokio::test]
async fn a_type_that_the_cloud_refuses_is_empty_if_another_answers() {
    let cloud = cloud_with(SQL_SERVER, vec![completed(SQL_SERVER, "auto", HOUR)]).await;
    cloud.fault(Fault::status(400).on(Service::Rds).at("backup_type=fragment"));
    let exposition = read(&cloud, &Setup::new(&cloud).with_rds(SQL_SERVER, "name: a")).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(1.0));
    assert_eq!(exposition.value("clouddb_backups", &of("auto", "completed")), Some(1.0));
}

#[tokio::test]
async fn an_instance_of_which_every_type_is_refused_is_a_failed_poll() {
    let cloud = cloud_with(MYSQL, Vec::new()).await;
    cloud.fault(Fault::status(400).on(Service::Rds).at("backup_type="));
    let exposition = read(&cloud, &Setup::new(&cloud).with_rds(MYSQL, "name: a")).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(0.0));
    let failures = exposition.value("clouddb_poll_failures_total", &[("reason", "http_4xx")]);
    assert_eq!(failures, Some(1.0));
}

#[tokio::test]
async fn incrementals_that_only_the_list_without_a_type_has_are_counted_in_the_lookback_and_end_its_use()
 {
    // No document speaks of incrementals of SQL Server, and none is asked for.
    let mut backups: Vec<_> = (1..=3).map(|day| completed(SQL_SERVER, "auto", day * DAY)).collect();
    backups.extend((1..=40).map(|at| completed(SQL_SERVER, "incremental", at * HOUR)));
    let cloud = cloud_with(SQL_SERVER, backups).await;
    cloud.switches(|switches| switches.untyped_holds_incrementals = true);
    let setup = Setup::new(&cloud).with_rds(SQL_SERVER, "name: a");
    let daemon = Daemon::start_at(&setup.text(&cloud), clock_of(&cloud)).await;
    let first = daemon.after_polls(1.0).await;
    let counted = |exposition: &Exposition| {
        exposition.value("clouddb_backups", &of("incremental", "completed"))
    };
    assert_eq!(counted(&first), Some(24.0), "of 40 hours");
    let later = next(&daemon).await;
    assert_eq!(counted(&later), Some(24.0));
    let untyped =
        |seen: &Seen| seen.service == Service::Rds && seen.parameter("backup_type").is_none();
    assert_eq!(cloud.count(untyped), 1, "it does not stand for the full types");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_cloud_that_refuses_the_list_without_a_type_is_read_all_the_same() {
    let cloud = cloud_with(MYSQL, vec![completed(MYSQL, "auto", HOUR)]).await;
    cloud.fault(
        Fault::status(400).on(Service::Rds).when(|it| it.parameter("backup_type").is_none()),
    );
    let exposition = read(&cloud, &Setup::new(&cloud).with_rds(MYSQL, "name: a")).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(1.0));
}

#[tokio::test]
async fn what_only_the_list_without_a_type_brings_stays_until_it_is_read_again_a_day_later() {
    let estate = Estate::new().with_rds(RdsInstance::new(MYSQL, "orders")).with_rds_backups([
        completed(MYSQL, "auto", HOUR),
        completed(MYSQL, "incremental", HOUR),
        RdsBackup::with_words(MYSQL, "Snapshot", "COMPLETED", ago(90)),
    ]);
    let cloud = cloud(estate).await;
    // So that it does not stand for the full types.
    cloud.switches(|switches| switches.untyped_holds_incrementals = true);
    let setup = Setup::new(&cloud).with_rds(MYSQL, "name: a");
    let daemon = Daemon::start_at(&setup.text(&cloud), clock_of(&cloud)).await;
    let untyped = || {
        let is_untyped = |it: &clouddb_backup_exporter::sim::Seen| {
            it.service == Service::Rds && it.parameter("backup_type").is_none()
        };
        cloud.count(is_untyped)
    };
    let unknown =
        |exposition: &Exposition| exposition.value("clouddb_backups", &of("unknown", "completed"));
    let first = daemon.after_polls(1.0).await;
    assert_eq!(unknown(&first), Some(1.0));
    assert_eq!(first.value("clouddb_unknown_values", &[("field", "type")]), Some(1.0));
    assert_eq!(first.value("clouddb_unknown_values", &[("field", "status")]), Some(0.0));
    let third = daemon.after_polls(3.0).await;
    assert_eq!(unknown(&third), Some(1.0), "kept from the first poll");
    assert_eq!(untyped(), 1);

    cloud.change(|estate| {
        let project = estate.project_mut(clouddb_backup_exporter::sim::estate::PROJECT_ID).unwrap();
        project.rds_backups.retain(|backup| backup.kind != "Snapshot");
    });
    assert_eq!(unknown(&next(&daemon).await), Some(1.0), "not read in every poll");
    cloud.clock().advance(SignedDuration::from_mins(DAY));
    let later = daemon.until(|exposition| unknown(exposition).is_none()).await;
    assert_eq!(later.value("clouddb_unknown_values", &[("field", "type")]), Some(0.0));
    next(&daemon).await;
    assert_eq!(untyped(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn the_window_is_widened_until_it_holds_a_success_for_that_success_and_nothing_else() {
    let backups = vec![
        failed(MYSQL, "incremental", HOUR),
        failed(MYSQL, "incremental", 3 * DAY),
        completed(MYSQL, "incremental", 6 * DAY),
        completed(MYSQL, "incremental", 7 * DAY),
    ];
    let cloud = cloud_with(MYSQL, backups).await;
    let exposition = read(&cloud, &Setup::new(&cloud).with_rds(MYSQL, "name: a")).await;
    let incremental = [("backup_type", "incremental")];
    let success = ago(6 * DAY - 4).as_second();
    assert_eq!(
        exposition.value("clouddb_backup_last_success_timestamp_seconds", &incremental),
        Some(success as f64)
    );
    assert_eq!(
        exposition.value("clouddb_backup_failures_since_last_success", &incremental),
        Some(2.0)
    );
    assert_eq!(exposition.value("clouddb_backups", &of("incremental", "completed")), Some(0.0));
    assert_eq!(exposition.value("clouddb_backups", &of("incremental", "failed")), Some(1.0));
    let asked = cloud.requests();
    let probes = asked.iter().filter(|it| it.parameter("limit") == Some("1")).count();
    assert_eq!(probes, 1, "asked once whether there is anything at all");
    let windows = asked.iter().filter(|it| it.parameter("begin_time").is_some()).count();
    assert_eq!(windows, 4, "1, 2, 4 and 8 days");
}

#[tokio::test]
async fn a_window_without_anything_behind_it_is_not_widened() {
    let cloud = cloud_with(MYSQL, Vec::new()).await;
    read(&cloud, &Setup::new(&cloud).with_rds(MYSQL, "name: a")).await;
    assert_eq!(cloud.count(|it| it.parameter("begin_time").is_some()), 1);
    let cloud = cloud_with(MYSQL, vec![failed(MYSQL, "incremental", 5)]).await;
    read(&cloud, &Setup::new(&cloud).with_rds(MYSQL, "name: a")).await;
    assert_eq!(cloud.count(|it| it.parameter("begin_time").is_some()), 1, "it covers everything");
}

#[tokio::test]
async fn a_lookback_of_all_asks_for_every_incremental() {
    let backups = (1..=250).map(|at| completed(MYSQL, "incremental", at * HOUR)).collect();
    let cloud = cloud_with(MYSQL, backups).await;
    let setup = Setup { poll: "interval: 1s, incremental_lookback: all", ..Setup::new(&cloud) };
    let exposition = read(&cloud, &setup.with_rds(MYSQL, "name: a")).await;
    assert_eq!(exposition.value("clouddb_backups", &of("incremental", "completed")), Some(250.0));
    assert_eq!(cloud.count(|it| it.parameter("begin_time").is_some()), 0);
}

/// Estates of every kind of record, at sizes that need several pages.
fn varied(instance: &str) -> Vec<RdsBackup> {
    let mut backups: Vec<_> = (1..=230).map(|day| completed(instance, "auto", day * DAY)).collect();
    backups.push(failed(instance, "auto", 12 * HOUR));
    backups.push(RdsBackup::building(instance, "auto", ago(HOUR)));
    backups.push(completed(instance, "manual", 40 * DAY));
    backups.push(RdsBackup::with_words(instance, "manual", "DELETING", ago(50 * DAY)));
    // Most lie behind the lookback, one on its edge.
    backups.extend((1..=400).map(|at| completed(instance, "incremental", at * 10)));
    backups.push(failed(instance, "incremental", 5));
    backups
}

#[tokio::test]
async fn the_numbers_are_the_same_under_every_answer_to_what_nobody_documents() {
    let usual = Switches::default;
    let variants = [
        usual(),
        Switches { order: Order::OldestFirst, ..usual() },
        Switches { order: Order::Unordered, ..usual() },
        Switches { untyped_holds_incrementals: true, ..usual() },
        Switches { window: Window::End, ..usual() },
        Switches { window: Window::Ignored, ..usual() },
        Switches { window_is_inclusive: false, ..usual() },
        Switches { type_is_ignored: true, ..usual() },
        Switches { page_cap: Some(30), ..usual() },
        Switches { missing_end: MissingEnd::Absent, ..usual() },
        Switches { missing_end: MissingEnd::Empty, ..usual() },
        Switches { refuses_fragment_of_others: true, ..usual() },
        Switches { gzip: true, ..usual() },
        Switches { total: Total::Unfiltered, ..usual() },
        Switches {
            order: Order::Unordered,
            untyped_holds_incrementals: true,
            window: Window::Ignored,
            total: Total::Unfiltered,
            page_cap: Some(7),
            ..usual()
        },
    ];
    let mut expected = None;
    for switches in variants {
        let cloud = cloud_with(MYSQL, varied(MYSQL)).await;
        cloud.switches(|of_cloud| *of_cloud = switches.clone());
        let exposition = read(&cloud, &Setup::new(&cloud).with_rds(MYSQL, "name: a")).await;
        assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(1.0), "{switches:?}");
        let lines = exposition.lines("clouddb_backup").join("\n");
        match &expected {
            None => {
                assert_eq!(
                    exposition.value("clouddb_backups", &of("incremental", "completed")),
                    Some(144.0)
                );
                expected = Some(lines);
            }
            Some(expected) => assert_eq!(&lines, expected, "{switches:?}"),
        }
    }
}

#[tokio::test]
async fn a_cloud_that_sends_no_total_is_decode() {
    let cloud = cloud_with(MYSQL, varied(MYSQL)).await;
    cloud.switches(|switches| switches.total = Total::Absent);
    let exposition = read(&cloud, &Setup::new(&cloud).with_rds(MYSQL, "name: a")).await;
    let failures = exposition.value("clouddb_poll_failures_total", &[("reason", "decode")]);
    assert_eq!(failures, Some(1.0));
    assert!(exposition.lines("clouddb_backup").is_empty());
}

#[tokio::test]
async fn a_window_is_laid_when_its_first_page_goes_out_and_not_when_the_poll_began() {
    let cloud =
        cloud_with(MYSQL, (1..=150).map(|at| completed(MYSQL, "incremental", at * 5)).collect())
            .await;
    // The clock moves on with every answer, as if each request had waited for the budget.
    let clock = cloud.clock().clone();
    cloud.fault(Fault::change(Change::apply(move |_, _| {
        clock.advance(SignedDuration::from_mins(20));
    })));
    let exposition = read(&cloud, &Setup::new(&cloud).with_rds(MYSQL, "name: a")).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(1.0));
    let windows: Vec<_> = cloud
        .requests()
        .iter()
        .filter_map(|it| it.parameter("end_time").map(str::to_owned))
        .collect();
    // Two lists were read before; all three pages of the window are of one time.
    assert_eq!(windows, ["2025-03-10T12:50:00+0000"; 3]);
    let observed = exposition
        .value("clouddb_backup_observed_timestamp_seconds", &[("backup_type", "incremental")]);
    let end = "2025-03-10T12:50:00Z".parse::<Timestamp>().unwrap();
    assert_eq!(observed, Some(end.as_second() as f64), "no more is claimed than was asked for");
}

/// Changes the project of the instance.
fn change(cloud: &Cloud, change: impl FnOnce(&mut Project)) {
    cloud.change(|estate| change(estate.project_mut(estate::PROJECT_ID).unwrap()));
}

/// What is published after a poll of which every request came after now.
async fn next(daemon: &Daemon) -> Exposition {
    let polls = daemon.metrics().await.value("clouddb_polls_total", &[]).unwrap();
    daemon.after_polls(polls + 2.0).await
}

#[tokio::test]
async fn what_the_list_of_its_type_brings_is_not_kept_from_the_list_without_a_type() {
    let (running, gone) =
        (RdsBackup::building(MYSQL, "auto", ago(30)), completed(MYSQL, "manual", DAY));
    let cloud = cloud_with(MYSQL, vec![running.clone(), gone.clone()]).await;
    let setup = Setup::new(&cloud).with_rds(MYSQL, "name: a");
    let daemon = Daemon::start_at(&setup.text(&cloud), clock_of(&cloud)).await;
    let first = daemon.after_polls(1.0).await;
    assert_eq!(first.value("clouddb_backups", &of("auto", "running")), Some(1.0));
    assert_eq!(first.value("clouddb_backups", &of("manual", "completed")), Some(1.0));
    change(&cloud, |project| {
        project.finish_backup(&running.id, now());
        project.delete_backup(&gone.id);
    });
    let later = next(&daemon).await;
    assert_eq!(later.value("clouddb_backups", &of("auto", "running")), Some(0.0));
    assert_eq!(later.value("clouddb_backups", &of("auto", "completed")), Some(1.0));
    assert_eq!(later.values("clouddb_backups", &[("backup_type", "manual")]), [0.0; 0]);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn an_incremental_that_the_list_without_a_type_brings_besides_does_not_outlive_its_deletion()
{
    let backups = [HOUR, 3 * DAY].map(|ago| completed(MYSQL, "incremental", ago));
    let cloud = cloud_with(MYSQL, backups.to_vec()).await;
    cloud.switches(|switches| switches.untyped_holds_incrementals = true);
    let setup = Setup::new(&cloud).with_rds(MYSQL, "name: a");
    let daemon = Daemon::start_at(&setup.text(&cloud), clock_of(&cloud)).await;
    let age = "clouddb_backup_last_success_age_seconds";
    let incremental = [("backup_type", "incremental")];
    assert!(daemon.after_polls(1.0).await.value(age, &incremental).is_some());
    change(&cloud, |project| project.rds_backups.clear());
    let later = next(&daemon).await;
    assert_eq!(later.value("clouddb_poll_success", &[]), Some(1.0));
    assert_eq!(later.value(age, &incremental), None);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_failed_poll_forgets_nothing_of_the_list_without_a_type() {
    let snapshot = RdsBackup::with_words(MYSQL, "Snapshot", "COMPLETED", ago(90));
    let cloud = cloud_with(MYSQL, vec![snapshot, completed(MYSQL, "incremental", HOUR)]).await;
    cloud.switches(|switches| switches.untyped_holds_incrementals = true);
    let setup = Setup::new(&cloud).with_rds(MYSQL, "name: a");
    let daemon = Daemon::start_at(&setup.text(&cloud), clock_of(&cloud)).await;
    daemon.after_polls(1.0).await;
    cloud.fault(Fault::status(418).on(Service::Rds));
    daemon.until(|it| it.value("clouddb_poll_success", &[]) == Some(0.0)).await;
    cloud.clear_faults();
    let healed = daemon.until(|it| it.value("clouddb_poll_success", &[]) == Some(1.0)).await;
    assert_eq!(healed.value("clouddb_backups", &of("unknown", "completed")), Some(1.0));
    let answered = |seen: &Seen| {
        let typed = seen.parameter("backup_type").is_some();
        seen.service == Service::Rds && !typed && seen.status == Some(200)
    };
    assert_eq!(cloud.count(answered), 1, "once a day");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn only_a_400_about_the_question_makes_a_list_empty_and_anything_else_fails_the_poll() {
    let denied = json!({ "error_code": "DBS.201003", "error_msg": "no permission" });
    let denied = || Fault::answer(Answer::json(400, &denied));
    for (reason, fault) in [
        ("http_4xx", Fault::status(409)),
        ("http_5xx", Fault::status(501)),
        ("forbidden", denied()),
    ] {
        for kind in [Some("fragment"), None] {
            let cloud = cloud_with(SQL_SERVER, vec![completed(SQL_SERVER, "auto", HOUR)]).await;
            let fault = fault.clone().on(Service::Rds);
            cloud.fault(fault.when(move |it| it.parameter("backup_type") == kind));
            let setup = Setup::new(&cloud).with_rds(SQL_SERVER, "name: a");
            let exposition = read(&cloud, &setup).await;
            let failed = exposition.value("clouddb_poll_failures_total", &[("reason", reason)]);
            assert!(failed >= Some(1.0), "{kind:?}: no {reason}");
            assert!(exposition.lines("clouddb_backup").is_empty(), "{kind:?} {reason}");
        }
    }
}

#[tokio::test]
async fn a_lookback_that_holds_nothing_counts_nothing_of_what_a_wider_window_brings() {
    let backups = [3, 4].map(|days| completed(MYSQL, "incremental", days * DAY));
    let cloud = cloud_with(MYSQL, backups.to_vec()).await;
    let exposition = read(&cloud, &Setup::new(&cloud).with_rds(MYSQL, "name: a")).await;
    let incremental = [("backup_type", "incremental")];
    let success = exposition.value("clouddb_backup_last_success_timestamp_seconds", &incremental);
    assert_eq!(success, Some(ago(3 * DAY - 4).as_second() as f64));
    assert_eq!(exposition.values("clouddb_backups", &incremental), [0.0; 5]);
}

#[tokio::test]
async fn a_total_that_is_about_something_else_is_said_once_and_does_not_keep_the_window_widening() {
    let log = Log::start();
    let backups = vec![
        completed(MYSQL, "auto", DAY),
        completed(MYSQL, "manual", DAY),
        failed(MYSQL, "incremental", HOUR),
    ];
    let cloud = cloud_with(MYSQL, backups).await;
    cloud.switches(|switches| switches.total = Total::Unfiltered);
    let setup = Setup::new(&cloud).with_rds(MYSQL, "name: a");
    let daemon = Daemon::start_at(&setup.text(&cloud), clock_of(&cloud)).await;
    let exposition = daemon.after_polls(2.0).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(1.0));
    assert_eq!(exposition.value("clouddb_backups", &of("incremental", "failed")), Some(1.0));
    assert_eq!(log.count("a total that is about something else than its list"), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_word_that_nobody_knows_is_logged_once_with_its_field() {
    let log = Log::start();
    let backups = vec![
        RdsBackup::with_words(MYSQL, "Snapshot", "Resting", ago(90)),
        RdsBackup::with_words(MYSQL, "Snapshot", "Resting", ago(80)),
    ];
    let cloud = cloud_with(MYSQL, backups).await;
    let setup = Setup::new(&cloud).with_rds(MYSQL, "name: a");
    let daemon = Daemon::start_at(&setup.text(&cloud), clock_of(&cloud)).await;
    let exposition = daemon.after_polls(2.0).await;
    assert_eq!(exposition.value("clouddb_unknown_values", &[("field", "status")]), Some(2.0));
    assert_eq!(log.count("the type `Snapshot`"), 1);
    assert_eq!(log.count("the status `Resting`"), 1);
    daemon.stop().await.unwrap();
}
