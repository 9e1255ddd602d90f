//! Instances that the cloud lists: which are monitored, from when on and for how long, and what is
//! said of them.

use std::collections::BTreeSet;
use std::time::Duration;

use clouddb_backup_exporter::sim::{
    Answer, Change, Clock, Cloud, DdmBackup, DdmInstance, Estate, Fault, Project, RdsBackup,
    RdsInstance, Request, Seen, Service, Total, estate,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::task::LocalSet;

use crate::daemon::{Daemon, Setup, clock_of, password};
use crate::exposition::{Exposition, Labels};
use crate::log::Log;
use crate::process::promtool_accepts;

const A: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const B: &str = "b48e43ff268f4c0e879652d65e63d0fbin01";
const C: &str = "c48e43ff268f4c0e879652d65e63d0fbin01";
const ROUTER: &str = "169f4f2fd6a94b6c8b1e5bd104385a18in09";
const LOST_ROUTER: &str = "269f4f2fd6a94b6c8b1e5bd104385a18in09";

/// A completed backup of each of these instances, four hours ago.
fn backups<'a>(ids: &'a [&str], now: Timestamp) -> impl Iterator<Item = RdsBackup> + 'a {
    let begin = now - SignedDuration::from_hours(4);
    let end = begin + SignedDuration::from_mins(5);
    ids.iter().map(move |id| RdsBackup::completed(id, "auto", begin, end, 2000))
}

/// The instances `orders`, `pay` and `web`, with a backup each.
async fn three() -> Cloud {
    let estate = Estate::new()
        .with_rds(RdsInstance::new(A, "orders"))
        .with_rds(RdsInstance::new(B, "pay"))
        .with_rds(RdsInstance::new(C, "web"));
    let cloud = Cloud::start(estate).await.unwrap();
    let now = cloud.clock().now();
    cloud.change(|estate| estate.projects[0].rds_backups.extend(backups(&[A, B, C], now)));
    cloud
}

/// Discovers RDS instances every second, and looks nothing else up.
fn quick(cloud: &Cloud) -> Setup<'static> {
    let keys = "discover: true\npolicy: false\ndiscovery_interval: 1s";
    Setup::new(cloud).with_rds_keys(keys)
}

/// A request for the instance list of RDS.
fn is_list(request: &Request) -> bool {
    request.service == Service::Rds && request.path().ends_with("/instances")
}

fn lists_rds(seen: &Seen) -> bool {
    seen.service == Service::Rds && seen.path.ends_with("/instances")
}

fn lists_ddm(seen: &Seen) -> bool {
    seen.service == Service::Ddm && seen.path.ends_with("/instances")
}

/// The labels `instance_name` of a family.
fn names(exposition: &Exposition, family: &str) -> Vec<String> {
    let family = exposition.families().get(family);
    let samples = family.into_iter().flat_map(|family| &family.samples);
    samples.map(|(_, labels, _)| labels["instance_name"].clone()).collect()
}

/// Whether any series is about an instance of this id.
fn mentions(exposition: &Exposition, id: &str) -> bool {
    exposition.text().contains(&format!("instance_id=\"{id}\""))
}

fn named(name: &str) -> [(&str, &str); 1] {
    [("instance_name", name)]
}

/// The next list can be read, and no other one until all faults are cleared: so that a test sees
/// what one list changes, however slow it is itself.
fn fail_after_one_list(cloud: &Cloud) {
    cloud.fault(Fault::status(400).when(is_list).after(1));
}

const RDS_LIST: [(&str, &str); 1] = [("api", "rds_instances")];

fn list_is(value: f64) -> impl Fn(&Exposition) -> bool {
    move |it| it.value("clouddb_lookup_success", &RDS_LIST) == Some(value)
}

#[tokio::test]
async fn ten_lines_of_config_monitor_all_that_a_list_by_hand_does() {
    let now = "2025-03-10T14:23:45Z".parse().unwrap();
    let cloud = Cloud::start_at(estate::demo(now), Clock::fixed(now)).await.unwrap();
    let ten_lines = format!(
        "credentials:\n  main: {{ {} }}\n\
         projects:\n  - name: shop\n    project_id: {}\n    credentials: main\n    \
         rds: {{ endpoint: {}, discover: true }}\n    ddm: {{ endpoint: {} }}\n",
        password(&cloud),
        estate::DEMO_PROJECT_ID,
        cloud.rds_url(),
        cloud.ddm_url()
    );
    assert!(ten_lines.lines().count() <= 10);
    let keys = "discover: false\npolicy: true";
    let mut by_hand = Setup { poll: "interval: 5m", ..Setup::new(&cloud) }.with_ddm();
    by_hand.rds_keys = keys;
    for instance in cloud.estate().projects[0].primaries() {
        by_hand = by_hand.with_rds(&instance.id, &format!("name: {}", instance.name));
    }
    let by_hand = by_hand.text(&cloud).replace(estate::PROJECT_ID, estate::DEMO_PROJECT_ID);
    let mut read = Vec::new();
    for config in [&ten_lines, &by_hand] {
        let daemon = Daemon::start_at(config, clock_of(&cloud)).await;
        let policies = [("api", "rds_policy")];
        let is_whole = |it: &Exposition| {
            it.values("clouddb_lookup_success", &policies).len() == 5
                && names(it, "clouddb_poll_last_success_timestamp_seconds").len() == 6
        };
        let exposition = daemon.until(is_whole).await;
        let mut lines: Vec<String> =
            exposition.lines("clouddb_backup").into_iter().map(str::to_owned).collect();
        lines.sort();
        let mut monitored = names(&exposition, "clouddb_poll_success");
        monitored.sort();
        read.push((monitored, lines));
        daemon.stop().await.unwrap();
    }
    assert_eq!(read[0].0, ["", "customers", "orders", "reports", "sandbox", "warehouse"]);
    assert!(read[0].1.len() > 100);
    assert_eq!(read[0], read[1]);
}

#[tokio::test]
async fn before_a_list_was_tried_no_series_names_an_instance_of_it() {
    let cloud = three().await;
    let now = cloud.clock().now();
    cloud.change(|estate| {
        let backup = DdmBackup::normal(ROUTER, "router", "auto_metadata", now, now);
        estate.projects[0].ddm_backups.push(backup);
    });
    cloud.fault(Fault::hang().at("/instances?"));
    let setup = quick(&cloud).with_rds(A, "labels: { team: blue }").with_ddm();
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let polled =
        |it: &Exposition| it.values("clouddb_polls_total", &[]).iter().all(|polls| *polls >= 2.0);
    let exposition = daemon.until(polled).await;
    for (name, family) in exposition.families() {
        let named = |labels: &Labels| labels.get("instance_id").is_some_and(|id| !id.is_empty());
        assert!(!family.samples.iter().any(|(_, labels, _)| named(labels)), "{name}");
    }
    let ddm = [("product", "ddm"), ("instance_id", ""), ("instance_name", "")];
    assert_eq!(exposition.value("clouddb_poll_success", &ddm), Some(1.0), "of the project itself");
    assert_eq!(exposition.values("clouddb_poll_success", &[]).len(), 1);
    for absent in ["clouddb_lookup", "clouddb_instances", "clouddb_instance_"] {
        assert!(exposition.lines(absent).is_empty(), "{absent}");
    }
    assert_eq!(exposition.values("clouddb_project_info", &[]), [1.0]);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn after_a_first_try_that_failed_the_configured_instances_are_shown_and_tell_for_themselves()
{
    let cloud = three().await;
    cloud.fault(Fault::status(503).when(is_list));
    let setup = quick(&cloud).with_rds(A, "name: mine").with_rds(&"f".repeat(32), "name: none");
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(names(&exposition, "clouddb_poll_success"), ["mine", "none"]);
    assert_eq!(exposition.value("clouddb_lookup_success", &RDS_LIST), Some(0.0));
    assert_eq!(exposition.value("clouddb_lookup_last_success_timestamp_seconds", &[]), None);
    assert!(exposition.lines("clouddb_instances").is_empty());
    let found = |name| exposition.value("clouddb_instance_found", &named(name));
    assert_eq!((found("mine"), found("none")), (Some(1.0), Some(0.0)));
    let auto = [("instance_name", "mine"), ("backup_type", "auto")];
    assert_eq!(exposition.value("clouddb_backup_expected", &auto), Some(1.0), "nobody knows more");

    cloud.clear_faults();
    let names_of = |it: &Exposition| names(it, "clouddb_poll_success");
    let healed = daemon.until(|it| names_of(it).len() == 4).await;
    assert_eq!(names_of(&healed), ["mine", "none", "pay", "web"]);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_instance_is_polled_at_once_and_one_that_is_gone_only_after_three_lists_without_it() {
    let cloud = three().await;
    // The polls are so rare that only a first one is seen.
    let keys = "discover: true\ndiscovery_interval: 1s";
    let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) }.with_rds_keys(keys);
    cloud.change(|estate| {
        estate.projects[0].rds.retain(|rds| rds.id != B);
    });
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let before = daemon.after_polls(1.0).await;
    assert_eq!(names(&before, "clouddb_poll_success"), ["orders", "web"]);
    cloud.change(|estate| estate.projects[0].rds.push(RdsInstance::new(B, "pay")));
    let last_success = "clouddb_backup_last_success_timestamp_seconds";
    let with = daemon.until(|it| it.value(last_success, &named("pay")).is_some()).await;
    assert_eq!(with.value("clouddb_instances", &[]), Some(3.0));
    assert_eq!(with.value("clouddb_instance_found", &named("pay")), Some(1.0));

    cloud.change(|estate| estate.projects[0].rds.retain(|rds| rds.id != B));
    cloud.forget_requests();
    fail_after_one_list(&cloud);
    let lists = || cloud.count(|seen| lists_rds(seen) && seen.status == Some(200));
    let missing =
        daemon.until(|it| it.value("clouddb_instance_found", &named("pay")) == Some(0.0)).await;
    assert_eq!(missing.value("clouddb_instances", &[]), Some(2.0), "that is seen at once");
    assert!(missing.value(last_success, &named("pay")).is_some());
    assert_eq!(missing.value("clouddb_poll_success", &named("pay")), Some(1.0));
    let auto = [("instance_name", "pay"), ("backup_type", "auto")];
    assert_eq!(missing.value("clouddb_backup_expected", &auto), Some(1.0));
    cloud.clear_faults();
    let is_gone = |it: &Exposition| {
        let is_gone = !mentions(it, B);
        assert!(!is_gone || lists() >= 3, "gone after {} lists", lists());
        is_gone
    };
    let gone = daemon.until(is_gone).await;
    assert_eq!(names(&gone, "clouddb_poll_success"), ["orders", "web"]);
    assert_eq!(cloud.count(|seen| seen.path.contains("backups")), 0, "nobody is polled again");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn an_instance_that_is_missing_from_a_list_is_polled_until_it_is_gone() {
    let cloud = three().await;
    let daemon = Daemon::start(&quick(&cloud).text(&cloud)).await;
    daemon.after_polls(1.0).await;
    // It is there for who asks for it.
    cloud.fault(
        Fault::body(json!({ "instances": [], "total_count": 0 }).to_string())
            .when(is_list)
            .times(2),
    );
    let found = |it: &Exposition| it.values("clouddb_instance_found", &[]);
    let missing = daemon.until(|it| found(it) == [0.0; 3]).await;
    assert_eq!(missing.value("clouddb_instances", &[]), Some(0.0));
    let attempt = "clouddb_poll_last_success_timestamp_seconds";
    let polled = missing.value(attempt, &named("pay"));
    let later = daemon.until(|it| it.value(attempt, &named("pay")) > polled).await;
    assert_eq!(later.values("clouddb_poll_success", &[]), [1.0; 3]);
    let back = daemon.until(|it| found(it) == [1.0; 3]).await;
    assert_eq!(back.value("clouddb_instances", &[]), Some(3.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_list_that_fails_or_moves_or_does_not_add_up_changes_nothing_but_the_lookup() {
    // Pages of two, and three instances: a list can move.
    let cases = [
        ("status", Fault::status(500)),
        ("hidden by the edge", Fault::answer(Answer::text(403, ""))),
        ("no list", Fault::body(json!({ "total_count": 0 }).to_string())),
        ("no total", Fault::body(json!({ "instances": [] }).to_string())),
        ("a nameless one", Fault::body(json!({ "instances": [{}], "total_count": 1 }).to_string())),
        (
            "empty, with a total",
            Fault::body(json!({ "instances": [], "total_count": 3 }).to_string()),
        ),
        (
            "the same twice",
            Fault::body(
                json!({ "instances": [{ "id": A }, { "id": format!("{A} ") }], "total_count": 2 })
                    .to_string(),
            ),
        ),
        ("moves", Fault::change(Change::InsertAtHead)),
        ("cut", Fault::cut()),
        ("huge", Fault::huge_body()),
        ("endless", Fault::endless(clouddb_backup_exporter::sim::Endless::Growing)),
    ];
    // All at once: each waits for a list or two.
    let local = LocalSet::new();
    let all =
        cases.map(|(what, fault)| local.spawn_local(changes_nothing_but_the_lookup(what, fault)));
    local.await;
    for one in all {
        one.await.unwrap();
    }
}

async fn changes_nothing_but_the_lookup(what: &'static str, fault: Fault) {
    let cloud = three().await;
    let daemon = Daemon::start(&quick(&cloud).text(&cloud)).await;
    let before = daemon.after_polls(1.0).await;
    cloud.switches(|switches| switches.page_cap = (what == "moves").then_some(2));
    cloud.fault(fault.when(is_list));
    let after = daemon.until(list_is(0.0)).await;
    let lines = |it: &Exposition| -> Vec<String> {
        let mut lines = it.lines("clouddb_instance");
        lines.extend(it.lines("clouddb_backup_last_success_timestamp_seconds"));
        lines.extend(it.lines("clouddb_backup_expected"));
        lines.extend(it.lines("clouddb_poll_success"));
        lines.into_iter().map(str::to_owned).collect()
    };
    assert_eq!(lines(&after), lines(&before), "{what}");
    let last = "clouddb_lookup_last_success_timestamp_seconds";
    assert!(after.value(last, &RDS_LIST) >= before.value(last, &RDS_LIST), "{what}");
    cloud.clear_faults();
    daemon.until(list_is(1.0)).await;
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_ignores_the_offset_loses_no_instance_and_is_not_believed() {
    let cloud = three().await;
    let daemon = Daemon::start(&quick(&cloud).text(&cloud)).await;
    daemon.after_polls(1.0).await;
    cloud.switches(|switches| {
        switches.page_cap = Some(2);
        switches.offset_is_ignored = true;
    });
    let exposition = daemon.until(list_is(0.0)).await;
    assert_eq!(exposition.values("clouddb_instance_found", &[]), [1.0; 3]);
    assert_eq!(exposition.value("clouddb_instances", &[]), Some(3.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_list_that_moves_once_while_it_is_read_loses_no_instance_and_gains_the_new_one() {
    let cloud = three().await;
    cloud.switches(|switches| switches.page_cap = Some(2));
    cloud.fault(Fault::change(Change::InsertAtHead).when(is_list).once());
    let keys = "discover: true\npolicy: false";
    let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) }.with_rds_keys(keys);
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(exposition.value("clouddb_instances", &[]), Some(4.0));
    for id in [A, B, C] {
        assert!(mentions(&exposition, id), "{id}");
    }
    assert_eq!(exposition.values("clouddb_poll_success", &[]).len(), 4);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_total_that_is_about_something_else_is_told_once_and_the_list_is_used() {
    let log = Log::start();
    let cloud = three().await;
    cloud.switches(|switches| switches.total = Total::Fixed(17));
    let setup = Setup { poll: "interval: 1h", ..quick(&cloud) };
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(exposition.value("clouddb_instances", &[]), Some(3.0), "what came, not the total");
    let lists = cloud.count(lists_rds);
    daemon.until(|_| cloud.count(lists_rds) > lists + 5).await;
    assert_eq!(log.count("the cloud gives for the instances of shop/rds a total"), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn replicas_and_excluded_instances_have_no_series_and_nobody_asks_about_them() {
    let excluded = "d48e43ff268f4c0e879652d65e63d0fbin01";
    let cloud = three().await;
    cloud.change(|estate| {
        let rds = &mut estate.projects[0].rds;
        rds.push(RdsInstance::replica("e48e43ff268f4c0e879652d65e63d0fbin01", "reader", A));
        rds.push(RdsInstance::replica(
            "f48e43ff268f4c0e879652d65e63d0fbin01",
            "lost-reader",
            "gone",
        ));
        rds.push(
            RdsInstance::new("058e43ff268f4c0e879652d65e63d0fbin01", "by-kind")
                .with_kind("Replica"),
        );
        rds.push(
            RdsInstance::new("158e43ff268f4c0e879652d65e63d0fbin01", "odd").with_kind("Enterprise"),
        );
        rds.push(RdsInstance::new(excluded, "by-id"));
        rds.push(RdsInstance::new("258e43ff268f4c0e879652d65e63d0fbin01", "test-1"));
    });
    let exclude = format!("exclude: ['test-*', {excluded}]");
    for mode in ["discover", "audit"] {
        let keys = format!("{mode}: true\nrestore_window: true\n{exclude}");
        let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) };
        let setup = setup.with_rds_keys(&keys).with_rds(A, "name: mine");
        let daemon = Daemon::start(&setup.text(&cloud)).await;
        let exposition = daemon.after_polls(1.0).await;
        let mut seen = names(&exposition, "clouddb_instance_info");
        seen.sort();
        assert_eq!(seen, ["mine", "odd", "pay", "web"], "{mode}");
        for name in ["reader", "lost-reader", "by-kind", "by-id", "test-1"] {
            assert!(!exposition.text().contains(&format!("\"{name}\"")), "{mode}: {name}");
        }
        assert_eq!(exposition.value("clouddb_instances", &[]), Some(9.0), "{mode}: all of them");
        daemon.stop().await.unwrap();
    }
    let watched = [A, B, C, "158e43ff268f4c0e879652d65e63d0fbin01"];
    let is_other = |seen: &Seen| {
        let parameter = seen.parameter("instance_id");
        let of_instance = seen.path.contains("/instances/") || parameter.is_some();
        let is_watched = |id: &&str| parameter == Some(*id) || seen.path.contains(*id);
        of_instance && !watched.iter().any(is_watched)
    };
    assert_eq!(cloud.count(is_other), 0);
}

#[tokio::test]
async fn a_configured_instance_keeps_its_own_settings_and_may_be_typed_in_capitals() {
    let cloud = three().await;
    let setup = quick(&cloud)
        .with_rds(&A.to_uppercase(), "name: mine, max_age: { auto: 7h }, labels: { team: blue }")
        .with_rds(B, "max_age: { auto: 8h }");
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    assert!(!mentions(&exposition, &A.to_uppercase()));
    let max_age = |name: &str| {
        let labels = [("instance_name", name), ("backup_type", "auto")];
        exposition.value("clouddb_backup_max_age_seconds", &labels).map(|age| age / 3600.0)
    };
    let ages = ["mine", "pay", "web"].map(max_age);
    assert_eq!(ages, [Some(7.0), Some(8.0), Some(26.0)]);
    let mine = [("instance_id", A), ("instance_name", "mine")];
    let team = [mine[0], mine[1], ("label_team", "blue")];
    assert_eq!(exposition.value("clouddb_instance_labels", &team), Some(1.0));
    for metric in ["clouddb_instance_found", "clouddb_instance_monitored", "clouddb_poll_success"] {
        assert_eq!(exposition.value(metric, &mine), Some(1.0), "{metric}");
        assert_eq!(exposition.values(metric, &[]).len(), 3, "{metric}");
    }
    let created = exposition.value("clouddb_instance_created_timestamp_seconds", &mine);
    assert_eq!(created, Some(1_717_200_000.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_configured_instance_that_is_gone_keeps_its_series_and_their_labels_and_is_not_expected()
{
    let cloud = three().await;
    // Its own list answers on: the cloud keeps manual backups of deleted instances.
    cloud.switches(|switches| switches.lists_deleted_instances = true);
    let setup = quick(&cloud).with_rds(&A.to_uppercase(), "max_age: { manual: 7d }");
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    daemon.after_polls(1.0).await;
    cloud.change(|estate| estate.projects[0].rds.retain(|rds| rds.id != A));
    fail_after_one_list(&cloud);
    let orders = [("instance_id", A), ("instance_name", "orders")];
    let auto = [orders[0], orders[1], ("backup_type", "auto")];
    let expected = |it: &Exposition| it.value("clouddb_backup_expected", &auto);
    let missing = daemon.until(|it| it.value("clouddb_instance_found", &orders) == Some(0.0)).await;
    assert_eq!(expected(&missing), Some(1.0), "not at once");
    cloud.clear_faults();
    let gone = daemon.until(|it| expected(it) == Some(0.0)).await;
    assert_eq!(gone.value("clouddb_instance_found", &orders), Some(0.0));
    assert_eq!(gone.value("clouddb_poll_success", &orders), Some(1.0));
    assert_eq!(gone.value("clouddb_instance_info", &orders), Some(1.0), "by its records");
    for absent in
        ["clouddb_backup_max_age_seconds", "clouddb_instance_status", "clouddb_instance_monitored"]
    {
        assert!(gone.values(absent, &orders).is_empty(), "{absent}");
    }
    let manual = [orders[0], ("backup_type", "manual")];
    assert!(
        gone.values("clouddb_backups", &manual).is_empty(),
        "nothing is expected, nothing there"
    );
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn an_audit_polls_what_is_configured_and_shows_the_rest_as_not_monitored() {
    let cloud = three().await;
    cloud.change(|estate| {
        let made = estate.projects[0].rds.pop().unwrap();
        estate.projects[0].rds.push(made.with_status("BUILD").with_created(None));
    });
    let setup = Setup::new(&cloud).with_rds_keys("audit: true\ndiscovery_interval: 1s");
    let daemon = Daemon::start(&setup.with_rds(A, "name: mine").text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(names(&exposition, "clouddb_poll_success"), ["mine"]);
    let monitored = |name| exposition.value("clouddb_instance_monitored", &named(name));
    assert_eq!(["mine", "pay", "web"].map(monitored), [Some(1.0), Some(0.0), Some(0.0)]);
    for family in ["clouddb_instance_info", "clouddb_instance_status"] {
        assert_eq!(names(&exposition, family), ["mine", "pay", "web"], "{family}");
    }
    let created = "clouddb_instance_created_timestamp_seconds";
    assert_eq!(names(&exposition, created), ["mine", "pay"], "the other is still being made");
    assert!(daemon.get("/").await.body.contains(">3, 2 of them not monitored</td>"));
    assert_eq!(daemon.total("unmonitored").await, 2);
    let build = [("instance_name", "web"), ("status", "BUILD")];
    assert_eq!(exposition.value("clouddb_instance_status", &build), Some(1.0));
    assert_eq!(names(&exposition, "clouddb_instance_found"), ["mine"]);
    let of_others = |seen: &Seen| {
        let asked = seen.parameter("instance_id").is_some_and(|id| id != A);
        asked || seen.path.contains("/instances/")
    };
    assert_eq!(cloud.count(of_others), 0);
    // What is gone from the list is not told of any more.
    cloud.change(|estate| estate.projects[0].rds.retain(|rds| rds.id != B));
    daemon.until(|it| !mentions(it, B)).await;
    daemon.stop().await.unwrap();
}

/// A cloud with the DDM instance `router`, which has no backup, and backups of one that is gone.
async fn routers() -> Cloud {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let now = cloud.clock().now();
    cloud.change(|estate| {
        let project = &mut estate.projects[0];
        project.ddm.push(DdmInstance::new(ROUTER, "router"));
        let old = now - SignedDuration::from_hours(200);
        let lost = DdmBackup::normal(LOST_ROUTER, "lost", "auto_metadata", old, old);
        project.ddm_backups.push(lost);
    });
    cloud
}

#[tokio::test]
async fn a_listed_ddm_instance_without_a_backup_is_expected_and_one_with_backups_that_is_gone_is_not()
 {
    let cloud = routers().await;
    let daemon = Daemon::start(&Setup::new(&cloud).with_ddm().text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    let auto = |name| [("instance_name", name), ("backup_type", "auto_metadata")];
    let expected = |name| exposition.value("clouddb_backup_expected", &auto(name));
    assert_eq!((expected("router"), expected("lost")), (Some(1.0), Some(0.0)));
    assert_eq!(exposition.values("clouddb_backups", &auto("router")), [0.0; 5]);
    let max_age = "clouddb_backup_max_age_seconds";
    assert_eq!(names(&exposition, max_age), ["router"]);
    for family in ["clouddb_instance_found", "clouddb_instance_monitored"] {
        assert_eq!(names(&exposition, family), ["router"], "{family}");
    }
    for family in ["clouddb_instance_info", "clouddb_instance_status"] {
        let mut names = names(&exposition, family);
        names.sort();
        assert_eq!(names, ["lost", "router"], "{family}: one each");
    }
    let of_list = [("engine", "DDM"), ("engine_version", "3.1.0")];
    assert_eq!(exposition.value("clouddb_instance_info", &of_list), Some(1.0));
    assert_eq!(exposition.value("clouddb_instances", &[("product", "ddm")]), Some(1.0));
    daemon.stop().await.unwrap();

    // Without the list nobody knows of the one, nor that the other is gone.
    let text = Setup::new(&cloud).with_ddm().text(&cloud) + "      discover: false\n";
    let lists = cloud.count(lists_ddm);
    let daemon = Daemon::start(&text).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(names(&exposition, max_age), ["lost"]);
    assert!(!mentions(&exposition, ROUTER));
    assert!(exposition.lines("clouddb_instances").is_empty());
    assert_eq!(cloud.count(lists_ddm), lists);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_ddm_list_that_cannot_be_read_takes_nothing_from_what_the_records_say() {
    let cloud = routers().await;
    cloud.fault(Fault::status(403).on(Service::Ddm).at("/instances?"));
    let daemon = Daemon::start(&Setup::new(&cloud).with_ddm().text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    let auto = [("instance_name", "lost"), ("backup_type", "auto_metadata")];
    assert_eq!(exposition.value("clouddb_backup_expected", &auto), Some(1.0));
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(1.0));
    let lookup = [("api", "ddm_instances"), ("product", "ddm"), ("instance_id", "")];
    assert_eq!(exposition.value("clouddb_lookup_success", &lookup), Some(0.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn an_excluded_ddm_instance_has_no_series() {
    let cloud = routers().await;
    let text = Setup::new(&cloud).with_ddm().text(&cloud) + "      exclude: ['ro?ter', lost]\n";
    let daemon = Daemon::start(&text).await;
    let exposition = daemon.after_polls(1.0).await;
    assert!(!mentions(&exposition, ROUTER) && !mentions(&exposition, LOST_ROUTER));
    assert_eq!(exposition.value("clouddb_instances", &[]), Some(1.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn an_instance_that_is_shut_down_or_frozen_is_polled_and_not_expected() {
    let cloud = three().await;
    cloud.change(|estate| {
        estate.projects[0].rds[0].status = "SHUTDOWN".to_owned();
        estate.projects[0].rds[1].status = "FROZEN".to_owned();
        estate.projects[0].rds[2].status = "A NEW WORD".to_owned();
    });
    let daemon = Daemon::start(&quick(&cloud).text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    let expected = |it: &Exposition| {
        let auto = [("backup_type", "auto")];
        it.values("clouddb_backup_expected", &auto)
    };
    assert_eq!(expected(&exposition), [0.0, 0.0, 1.0]);
    assert_eq!(names(&exposition, "clouddb_backup_max_age_seconds"), ["web"]);
    assert_eq!(exposition.values("clouddb_poll_success", &[]), [1.0; 3]);
    for (name, status) in [("orders", "SHUTDOWN"), ("pay", "FROZEN"), ("web", "A NEW WORD")] {
        let labels = [("instance_name", name), ("status", status)];
        assert_eq!(exposition.value("clouddb_instance_status", &labels), Some(1.0), "{status}");
    }
    assert_eq!(exposition.values("clouddb_instance_status", &[]).len(), 3);
    // It is started again.
    cloud.change(|estate| estate.projects[0].rds[0].status = "ACTIVE".to_owned());
    daemon.until(|it| expected(it) == [1.0, 0.0, 1.0]).await;
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn odd_entries_of_a_list_are_read_and_shown_so_that_prometheus_can_read_them_too() {
    let odd_name = "\"orders\"\\ \n<b>ü</b>\u{1F418}\r.";
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let ids: Vec<String> = (0..6).map(|at| format!("{at:032x}in01")).collect();
    cloud.change(|estate| {
        let rds = &mut estate.projects[0].rds;
        rds.push(RdsInstance::new(&ids[0], odd_name).with_status("<ODD>\n\"WORD\""));
        let bare = RdsInstance::new(&ids[1], "x");
        let fields = ["name", "status", "type", "created", "datastore", "related_instance"];
        rds.push(fields.iter().fold(bare, |bare, field| bare.without_field(field)));
        rds.push(RdsInstance::new(&ids[2], "twin"));
        rds.push(RdsInstance::new(&ids[3], "twin"));
        rds.push(RdsInstance::new(&ids[4], "padded").with_field("id", format!(" {} ", ids[4])));
        rds.push(RdsInstance::new(&ids[5], "late").with_field("created", "soon"));
        let router = DdmInstance::new(ROUTER, odd_name).with_created(None).without_field("status");
        estate.projects[0].ddm.push(router);
    });
    for mode in ["discover: true", "audit: true"] {
        let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) }.with_ddm();
        let daemon = Daemon::start(&setup.with_rds_keys(mode).text(&cloud)).await;
        let exposition = daemon.after_polls(1.0).await;
        assert_eq!(exposition.values("clouddb_instance_info", &[]).len(), 7, "{mode}");
        assert_eq!(exposition.values("clouddb_instance_info", &named(odd_name)), [1.0; 2]);
        assert_eq!(exposition.values("clouddb_instance_info", &named("twin")), [1.0; 2]);
        assert_eq!(exposition.values("clouddb_instance_info", &named(&ids[1])), [1.0]);
        let odd = [("status", "<ODD>\n\"WORD\"")];
        assert_eq!(exposition.value("clouddb_instance_status", &odd), Some(1.0));
        assert_eq!(exposition.values("clouddb_instance_created_timestamp_seconds", &[]).len(), 4);
        let padded = [("instance_id", ids[4].as_str()), ("instance_name", "padded")];
        assert_eq!(exposition.value("clouddb_instance_info", &padded), Some(1.0));
        if mode == "discover: true" {
            assert_eq!(exposition.values("clouddb_poll_success", &[]), [1.0; 7]);
        }
        promtool_accepts(exposition.text()).await;
        let page = daemon.get("/").await.body;
        assert!(!page.contains("<b>") && !page.contains("<ODD>"), "{mode}");
        assert!(page.contains("&lt;b&gt;ü&lt;/b&gt;"), "{mode}");
        daemon.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_names_the_permission_that_is_missing() {
    let log = Log::start();
    let cloud = three().await;
    let deny = |actions: &[&str]| {
        cloud.change(|estate| {
            estate.users[0].denied = actions.iter().map(ToString::to_string).collect();
        });
    };
    deny(&["rds:instance:list", "rds:backup:list"]);
    let setup = quick(&cloud).with_rds(A, "name: mine, max_age: { manual: 7d }");
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(exposition.value("clouddb_lookup_success", &RDS_LIST), Some(0.0));
    let forbidden = [("reason", "forbidden")];
    assert!(exposition.value("clouddb_poll_failures_total", &forbidden) >= Some(1.0));
    let told = |permission: &str| {
        let text = format!("it needs the permission `{permission}`");
        log.count(&text)
    };
    assert!(log.count("cannot read the instances of shop/rds") >= 1);
    assert!(told("rds:instance:list") >= 1 && told("rds:backup:list") >= 1);
    let page = daemon.get("/").await.body;
    for permission in ["rds:instance:list", "rds:backup:list"] {
        assert!(page.contains(&format!("it needs the permission `{permission}`")), "{permission}");
    }
    deny(&[]);
    daemon.until(|it| it.values("clouddb_instance_found", &[]) == [1.0; 3]).await;
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_permission_that_shrinks_the_list_to_nothing_is_seen_before_anything_goes() {
    let cloud = three().await;
    let daemon = Daemon::start(&quick(&cloud).text(&cloud)).await;
    daemon.after_polls(1.0).await;
    cloud.switches(|switches| switches.denied_instances_are_hidden = true);
    cloud.change(|estate| estate.users[0].denied.push("rds:instance:list".to_owned()));
    cloud.forget_requests();
    fail_after_one_list(&cloud);
    let vanished = |it: &Exposition| it.value("clouddb_instances", &[]) == Some(0.0);
    let seen = daemon.until(vanished).await;
    assert_eq!(seen.values("clouddb_poll_success", &[]), [1.0; 3]);
    cloud.clear_faults();
    // The cloud says 200, so that there is nothing to complain about.
    daemon.until(list_is(1.0)).await;
    let gone = |it: &Exposition| {
        let is_gone = !mentions(it, A);
        let lists = cloud.count(|seen| lists_rds(seen) && seen.status == Some(200));
        assert!(!is_gone || lists >= 3, "{lists}");
        is_gone
    };
    let gone = daemon.until(gone).await;
    assert_eq!(gone.value("clouddb_instances", &[]), Some(0.0), "it is still said");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn ready_waits_for_the_lists_and_for_the_first_polls_of_what_they_found() {
    let cloud = three().await;
    let gate = Duration::from_millis(300);
    cloud.fault(Fault::delay(gate).when(is_list));
    cloud.fault(Fault::delay(gate).on(Service::Rds).at("backups?"));
    let keys = "discover: true\npolicy: false";
    let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) }.with_rds_keys(keys);
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let begin = tokio::time::Instant::now();
    while daemon.get("/-/ready").await.status != 200 {
        assert!(begin.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let exposition = daemon.metrics().await;
    assert_eq!(exposition.value("clouddb_lookup_success", &RDS_LIST), Some(1.0));
    assert_eq!(exposition.values("clouddb_poll_success", &[]), [1.0; 3]);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_reload_switches_discovery_on_and_off_and_keeps_what_is_known_of_what_stays() {
    let cloud = three().await;
    let slow = || Setup { poll: "interval: 1h", ..Setup::new(&cloud) }.with_rds(A, "name: mine");
    let off = slow().text(&cloud);
    let daemon = Daemon::start(&off).await;
    let observed = |it: &Exposition| {
        let auto = [("instance_name", "mine"), ("backup_type", "auto")];
        it.value("clouddb_backup_observed_timestamp_seconds", &auto).unwrap()
    };
    let first = observed(&daemon.after_polls(1.0).await);
    let next_names = async |keys: &str, expected: &[&str]| {
        let text = Setup { rds_keys: keys, ..slow() }.text(&cloud);
        assert_eq!(daemon.reload(&text).await.status, 200);
        let is_there =
            |it: &Exposition| names(it, "clouddb_backup_observed_timestamp_seconds") == expected;
        let exposition = daemon.until(is_there).await;
        assert_eq!(names(&exposition, "clouddb_poll_success"), expected, "{keys}");
        assert_eq!(observed(&exposition), first, "{keys}: it is not polled again");
        exposition
    };
    next_names("discover: true\npolicy: false", &["mine", "pay", "web"]).await;
    let excluded =
        next_names("discover: true\npolicy: false\nexclude: [pay]", &["mine", "web"]).await;
    assert!(!mentions(&excluded, B));
    let discovered = next_names("discover: true\npolicy: false", &["mine", "pay", "web"]).await;
    assert_eq!(discovered.values("clouddb_instance_monitored", &[]), [1.0; 3]);
    let audited = next_names("audit: true", &["mine"]).await;
    let not_monitored = |it: &Exposition| {
        let mut values = it.values("clouddb_instance_monitored", &[]);
        values.sort_by(f64::total_cmp);
        values
    };
    assert_eq!(not_monitored(&audited), [0.0, 0.0, 1.0], "without a list read anew");
    next_names("discover: true\npolicy: false", &["mine", "pay", "web"]).await;
    let off = next_names("", &["mine"]).await;
    for gone in ["clouddb_instances", "clouddb_instance_monitored", "clouddb_lookup"] {
        assert!(off.lines(gone).is_empty(), "{gone}");
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_list_said_outlives_a_reload_while_the_list_cannot_be_read() {
    let cloud = three().await;
    let slow = Setup { poll: "interval: 1h", ..quick(&cloud) };
    let daemon = Daemon::start(&slow.text(&cloud)).await;
    let before = daemon.after_polls(1.0).await;
    cloud.fault(Fault::hang().when(is_list));
    let changed = slow.text(&cloud).replace("discovery_interval: 1s", "exclude: [pay]");
    assert_eq!(daemon.reload(&changed).await.status, 200);
    let after = daemon.metrics().await;
    let observed = "clouddb_backup_observed_timestamp_seconds";
    let web = [("instance_name", "web"), ("backup_type", "auto")];
    assert_eq!(after.value(observed, &web), before.value(observed, &web));
    assert_eq!(names(&after, "clouddb_poll_success"), ["orders", "web"]);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_list_that_hangs_holds_neither_its_own_polls_nor_another_project() {
    const OTHER: &str = "1483b6b16e954cb88930a360d2c4e663";
    let cloud = three().await;
    cloud.change(|estate| {
        let mut other = Project::new(OTHER, "eu-de_other");
        other.rds.push(RdsInstance::new("948e43ff268f4c0e879652d65e63d0fbin01", "elsewhere"));
        estate.projects.push(other);
    });
    cloud.fault(Fault::hang().when(|it| is_list(it) && it.target.contains(estate::PROJECT_ID)));
    let text = quick(&cloud).with_rds(A, "name: mine").text(&cloud)
        + &format!(
            "  - name: other\n    project_id: {OTHER}\n    credentials: main\n    \
             rds: {{ endpoint: {}, discover: true }}\n",
            cloud.rds_url()
        );
    let daemon = Daemon::start(&text).await;
    let both = |it: &Exposition| {
        it.value("clouddb_poll_success", &named("elsewhere")) == Some(1.0)
            && it.value("clouddb_polls_total", &[("project", "shop")]) >= Some(2.0)
    };
    let exposition = daemon.until(both).await;
    let failures = exposition.values("clouddb_poll_failures_total", &[]);
    assert_eq!(failures.iter().sum::<f64>(), 0.0);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_list_is_asked_for_once_and_nothing_is_asked_twice_because_of_it() {
    let cloud = three().await;
    cloud.change(|estate| {
        let reader = RdsInstance::replica("e48e43ff268f4c0e879652d65e63d0fbin01", "reader", A);
        estate.projects[0].rds.push(reader);
        estate.projects[0].ddm.push(DdmInstance::new(ROUTER, "router"));
    });
    let keys = "discover: true\nrestore_window: true";
    let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) }.with_ddm();
    let setup = setup.with_rds_keys(keys).with_rds(A, "name: mine");
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let looked_up = |it: &Exposition| it.values("clouddb_lookup_success", &[]).len() == 2 + 2 * 3;
    daemon.after_polls(1.0).await;
    daemon.until(looked_up).await;
    assert_eq!((cloud.count(lists_rds), cloud.count(lists_ddm)), (1, 1));
    let ends = |end: &'static str| cloud.count(move |seen| seen.path.ends_with(end));
    assert_eq!((ends("/backups/policy"), ends("/restore-time")), (3, 3));
    for id in [A, B, C] {
        let polls = cloud.count(|seen| seen.parameter("instance_id") == Some(id));
        // Three types, one of them with a look for what is older, and the list without a type.
        assert_eq!(polls, 5, "{id}");
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn the_log_tells_when_a_list_breaks_and_heals_and_whom_it_gained_and_lost() {
    let log = Log::start();
    let cloud = three().await;
    let daemon = Daemon::start(&quick(&cloud).text(&cloud)).await;
    daemon.after_polls(1.0).await;
    assert_eq!(log.count(&format!("have 3 new ones: orders ({A}), pay ({B}), web ({C})")), 1);

    cloud.fault(Fault::status(404).when(is_list));
    let failures = || cloud.count(|seen| lists_rds(seen) && seen.status == Some(404));
    daemon.until(|_| failures() >= 5).await;
    cloud.clear_faults();
    daemon.until(list_is(1.0)).await;
    let broken = log.count("cannot read the instances of shop/rds: cannot list instances: ");
    let count = failures();
    let expected = usize::try_from(count.ilog2()).unwrap() + 1;
    assert_eq!(broken, expected, "the first of {count} and then in growing gaps");
    assert_eq!(log.count("the instances of shop/rds can be read again"), 1);

    cloud.change(|estate| {
        let rds = &mut estate.projects[0].rds;
        rds.retain(|rds| rds.id != B);
        rds.extend(
            (0..12).map(|at| RdsInstance::new(&format!("{at:032x}in01"), &format!("n\n{at}"))),
        );
    });
    daemon.until(|it| it.value("clouddb_instances", &[]) == Some(14.0)).await;
    let new: Vec<String> = (0..10).map(|at| format!("n{at} ({at:032x}in01)")).collect();
    assert_eq!(log.count(&format!("have 12 new ones: {}, …", new.join(", "))), 1);
    assert_eq!(log.count(&format!("do not have 1 of before: pay ({B})")), 1);
    let lists = cloud.count(lists_rds);
    daemon.until(|_| cloud.count(lists_rds) > lists + 4).await;
    assert_eq!(log.count("of before"), 1, "once");
    assert_eq!(log.count("new ones"), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn both_ways_to_sign_in_read_the_lists() {
    let cloud = three().await;
    let setup = Setup { credential: crate::daemon::keys(), ..quick(&cloud) };
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(names(&exposition, "clouddb_poll_success"), ["orders", "pay", "web"]);
    assert_eq!((daemon.total("instances").await, daemon.total("blind").await), (3, 0));
    daemon.stop().await.unwrap();
}

/// How long a list of so many instances takes to be read and taken over is printed with
/// `--nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_instances_are_found_and_taken_over_without_holding_the_server() {
    const MANY: usize = 5000;
    let id = |at: usize| format!("{at:032x}in01");
    let mut estate = Estate::new();
    estate.projects[0]
        .rds
        .extend((0..MANY).map(|at| RdsInstance::new(&id(at), &format!("db{at}"))));
    let cloud = Cloud::start(estate).await.unwrap();
    // Their polls wait, so that it is the discovery that is seen.
    cloud.fault(Fault::hang().at("backups?"));
    let keys = "discover: true\npolicy: false";
    let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) }.with_rds_keys(keys);
    let begin = tokio::time::Instant::now();
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let found = daemon.until(list_is(1.0)).await;
    let took = begin.elapsed();
    assert_eq!(found.value("clouddb_instances", &[]), Some(MANY as f64));
    assert_eq!(found.values("clouddb_poll_success", &[]).len(), MANY);
    let ids: BTreeSet<String> = (0..MANY).map(id).collect();
    let samples = &found.families()["clouddb_poll_success"].samples;
    let seen = samples.iter().map(|(_, labels, _)| labels["instance_id"].clone());
    assert_eq!(seen.collect::<BTreeSet<_>>(), ids);
    assert_eq!(cloud.count(lists_rds), MANY / 100 + 1, "each page, and the first one again");
    let begin = tokio::time::Instant::now();
    assert_eq!(daemon.get("/-/healthy").await.status, 200);
    #[expect(clippy::print_stdout, reason = "the figures are shown with --nocapture")]
    {
        println!(
            "{MANY} instances shown after {took:?}; then an answer took {:?}",
            begin.elapsed()
        );
    }
    daemon.stop().await.unwrap();
}
