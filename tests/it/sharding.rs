//! Several daemons that divide one estate among them.

use std::collections::BTreeSet;
use std::process::Output;
use std::time::Duration;

use clouddb_backup_exporter::shard::Shard;
use clouddb_backup_exporter::sim::{
    Clock, Cloud, DdmBackup, DdmInstance, Estate, Project, RdsBackup, RdsInstance, Seen, Service,
    estate,
};
use jiff::{SignedDuration, Timestamp};
use tokio::process::Command;
use tokio::time::{Instant, advance, pause, resume, sleep, timeout};

use crate::daemon::{Daemon, clock_of, keys, password};
use crate::exposition::{Exposition, Labels};
use crate::running::{PATIENCE, PROGRAM, Running, crypto, folder_with};
use crate::secrets;

const OTHER: &str = "1483b6b16e954cb88930a360d2c4e663";

fn now() -> Timestamp {
    "2025-03-10T12:00:00Z".parse().unwrap()
}

/// The ids of the instances of a project.
fn id(project: u8, at: usize) -> String {
    format!("{project:x}{at:031x}in01")
}

/// Twelve RDS instances and two of DDM, and a second project with twelve more; a backup each.
fn estate() -> Estate {
    let begin = now() - SignedDuration::from_hours(4);
    let end = begin + SignedDuration::from_mins(5);
    let mut estate = Estate::new();
    for project in [10, 11] {
        if project == 11 {
            estate = estate.with_project(Project::new(OTHER, "eu-de_other"));
        }
        for at in 0..12 {
            let id = id(project, at);
            estate = estate
                .with_rds(RdsInstance::new(&id, &format!("db-{project}-{at}")))
                .with_rds_backups([RdsBackup::completed(&id, "auto", begin, end, 2000)]);
        }
        let replica = id(project, 99);
        estate = estate.with_rds(RdsInstance::replica(&replica, "replica", &id(project, 0)));
        for name in ["router", "splitter"] {
            let id = format!("{project}{name}in09");
            estate = estate
                .with_ddm(DdmInstance::new(&id, name))
                .with_ddm_backups([DdmBackup::normal(&id, name, "auto_metadata", begin, end)]);
        }
    }
    estate
}

/// Everything of the first project, some of it named; of the second one only two instances, and a list
/// of the others.
fn config(cloud: &Cloud) -> String {
    let (rds, ddm) = (cloud.rds_url(), cloud.ddm_url());
    format!(
        "poll: {{ interval: 1h }}\n\
         credentials:\n  main: {{ {} }}\n\
         projects:\n  - name: shop\n    project_id: {}\n    credentials: main\n    \
         rds:\n      endpoint: {rds}\n      discover: true\n      restore_window: true\n      \
         exclude: [db-10-7]\n      instances:\n        \
         - {{ id: {}, name: orders, labels: {{ team: blue }} }}\n        - {{ id: {} }}\n    \
         ddm: {{ endpoint: {ddm} }}\n  \
         - name: other\n    project_id: {OTHER}\n    credentials: main\n    \
         rds:\n      endpoint: {rds}\n      audit: true\n      instances:\n        \
         - {{ id: {} }}\n        - {{ id: {} }}\n    ddm: {{ endpoint: {ddm} }}\n",
        password(cloud),
        estate::PROJECT_ID,
        id(10, 3),
        // As somebody typed it.
        id(10, 5).to_uppercase(),
        id(11, 1),
        id(11, 2),
    )
}

/// What is told by one daemon, once everything was read and looked up.
async fn told(daemon: &Daemon) -> Exposition {
    daemon.after_polls(1.0).await;
    let shop = [("project", "shop"), ("product", "rds")];
    let settled = |it: &Exposition| {
        let of = |api: &'static str| [("api", api)];
        let count = it.values("clouddb_poll_success", &shop).len();
        ["rds_policy", "rds_restore_time"]
            .iter()
            .all(|api| it.values("clouddb_lookup_success", &of(api)).len() == count)
    };
    daemon.until(settled).await
}

/// The series about instances and about targets, with their values where those do not depend on the
/// moment.
fn of_targets(exposition: &Exposition) -> BTreeSet<String> {
    let mut series = BTreeSet::new();
    for family in exposition.families().values() {
        for (name, labels, value) in &family.samples {
            let is_list =
                |labels: &Labels| labels.get("api").is_some_and(|api| api.ends_with("_instances"));
            if labels.contains_key("instance_id") && !is_list(labels) {
                let value = if name.contains("_duration_") { 0.0 } else { *value };
                series.insert(format!("{name}{labels:?} {value}"));
            }
        }
    }
    series
}

#[tokio::test]
async fn three_shards_together_tell_of_each_target_what_one_daemon_tells_and_each_of_it_once() {
    let cloud = Cloud::start_at(estate(), Clock::fixed(now())).await.unwrap();
    let text = config(&cloud);
    let whole = Daemon::start_at(&text, clock_of(&cloud)).await;
    let exposition = told(&whole).await;
    let (instances, unmonitored) =
        (whole.total("instances").await, whole.total("unmonitored").await);
    assert!(unmonitored > 5, "{unmonitored}");
    whole.stop().await.unwrap();
    let expected = of_targets(&exposition);
    assert_eq!(exposition.values("clouddb_instance_monitored", &[]).len(), 11 + 12 + 4);

    cloud.forget_requests();
    let mut union = BTreeSet::new();
    let mut totals = (0, 0);
    for shard in Shard::all(3).unwrap() {
        let daemon = Daemon::start_shard(&text, shard, clock_of(&cloud)).await;
        let exposition = told(&daemon).await;
        let own = of_targets(&exposition);
        for product in ["shop", "other"].map(|project| [("project", project), ("product", "rds")]) {
            let all = exposition.value("clouddb_instances", &product);
            assert_eq!(all, Some(13.0), "each shard reads the list: {product:?}");
        }
        // Which one has which follows from the port of the cloud too.
        let own_instances = exposition.values("clouddb_instance_monitored", &[]).len();
        assert!(own_instances < 11 + 12 + 4, "{shard:?} has them all");
        assert_eq!(exposition.values("clouddb_project_info", &[]), [1.0; 2]);
        let index = shard.index().to_string();
        let info = [("shard", &*index)];
        assert_eq!(exposition.value("clouddb_exporter_shard_info", &info), Some(1.0));
        assert_eq!(exposition.values("clouddb_exporter_shard_info", &[]).len(), 1);
        assert_eq!(exposition.value("clouddb_exporter_shards", &[]), Some(3.0));
        assert_eq!(daemon.get("/-/ready").await.status, 200);
        let both: Vec<_> = union.intersection(&own).collect();
        assert!(both.is_empty(), "{shard:?} tells again {both:#?}");
        union.extend(own);
        let status = daemon.status("").await;
        assert_eq!(status["shard"]["index"], shard.index());
        assert_eq!(status["shard"]["count"], shard.count());
        totals.0 += daemon.total("instances").await;
        totals.1 += daemon.total("unmonitored").await;
        daemon.stop().await.unwrap();
    }
    let differ: Vec<_> = union.symmetric_difference(&expected).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert_eq!(totals, (instances, unmonitored), "on the status pages too");
    let of_ddm = |seen: &Seen| seen.service == Service::Ddm;
    assert_eq!(cloud.count(of_ddm), 4, "both lists of each project are read by its owner only");
}

#[tokio::test]
async fn one_daemon_is_shard_0_of_1() {
    let cloud = Cloud::start_at(Estate::new(), Clock::fixed(now())).await.unwrap();
    let daemon = Daemon::start_at(&config(&cloud), clock_of(&cloud)).await;
    let exposition = daemon.metrics().await;
    assert_eq!(exposition.value("clouddb_exporter_shard_info", &[("shard", "0")]), Some(1.0));
    assert_eq!(exposition.value("clouddb_exporter_shards", &[]), Some(1.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_shard_without_a_target_is_ready_once_its_lists_were_tried() {
    let cloud = Cloud::start_at(Estate::new(), Clock::fixed(now())).await.unwrap();
    let text = format!(
        "poll: {{ interval: 1h }}\ncredentials:\n  main: {{ {} }}\nprojects:\n  - name: shop\n    \
         project_id: {}\n    credentials: main\n    \
         rds: {{ endpoint: {}, discover: true }}\n    ddm: {{ endpoint: {} }}\n",
        keys(),
        estate::PROJECT_ID,
        cloud.rds_url(),
        cloud.ddm_url()
    );
    let mut idle = 0;
    for shard in Shard::all(2).unwrap() {
        let daemon = Daemon::start_shard(&text, shard, clock_of(&cloud)).await;
        let exposition = daemon.after_polls(1.0).await;
        idle += usize::from(exposition.values("clouddb_poll_success", &[]).is_empty());
        assert_eq!(daemon.get("/-/ready").await.status, 200, "{shard:?}");
        daemon.stop().await.unwrap();
    }
    assert_eq!(idle, 1, "no RDS instance, and one target of DDM");
}

#[tokio::test]
async fn three_shards_ask_the_cloud_no_more_often_than_one_daemon_may() {
    // So many that each shard is busy all the time, whichever it has.
    let all = 0..60;
    let estate = all
        .clone()
        .fold(Estate::new(), |estate, at| estate.with_rds(RdsInstance::new(&id(10, at), "x")));
    let cloud = Cloud::start_at(estate, Clock::fixed(now())).await.unwrap();
    let instances: Vec<String> =
        all.map(|at| format!("        - {{ id: {} }}\n", id(10, at))).collect();
    let text = format!(
        "poll: {{ interval: 1d, request_timeout: 1d }}\n\
         credentials:\n  main: {{ {} }}\n\
         projects:\n  - name: shop\n    project_id: {}\n    credentials: main\n    \
         rds:\n      endpoint: {}\n      instances:\n{}",
        keys().replace("10000", "0.03"),
        estate::PROJECT_ID,
        cloud.rds_url(),
        instances.concat()
    );
    let mut daemons = Vec::new();
    for shard in Shard::all(3).unwrap() {
        daemons.push(Daemon::start_shard(&text, shard, clock_of(&cloud)).await);
    }
    // One each at once, which is the least burst, and from then on three in 100 seconds. Time passes in
    // small steps, so that who could ask more often would be seen to.
    let (begin, seen) = (Instant::now(), || cloud.count(|_| true));
    while seen() < 33 {
        let (seen, seconds) = (seen(), begin.elapsed().as_secs_f64());
        let most = 3.0 + 0.03 * seconds + 0.5;
        assert!(seen as f64 <= most, "{seen} requests in {seconds} s at 0.03/s");
        assert!(seconds < 100_000.0, "only {seen} requests");
        pause();
        advance(Duration::from_secs(10)).await;
        resume();
        sleep(Duration::from_millis(5)).await;
    }
    assert!(begin.elapsed() >= Duration::from_secs(990), "{:?}", begin.elapsed());
    for daemon in daemons {
        daemon.stop().await.unwrap();
    }
}

async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    // The tests may run in a pod.
    command.env_remove("CLOUDDB_SHARD_COUNT").env_remove("POD_NAME");
    command.args(arguments).envs(environment.iter().copied()).kill_on_drop(true);
    timeout(PATIENCE, command.output()).await.expect("it ends").unwrap()
}

#[tokio::test]
async fn who_does_not_know_which_shard_it_is_does_not_start_and_says_why() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let (_folder, flag) = folder_with(&config(&cloud));
    let three = ("CLOUDDB_SHARD_COUNT", "3");
    for (arguments, environment, message) in [
        (&["--shard.count=0"][..], &[][..], "there cannot be 0 shards"),
        (&["--shard.index=3", "--shard.count=3"], &[], "there is no shard 3 of 3"),
        (&[], &[three], "nothing says which one this is"),
        (&[], &[three, ("POD_NAME", "exporter-5d8f-x7k")], "exporter-5d8f-x7k"),
        (&[], &[three, ("POD_NAME", "exporter-3")], "there is no shard 3 of 3"),
        (&[], &[("CLOUDDB_SHARD_COUNT", "three")], "is `three`, which is no number"),
        (&["demo"], &[three], "nothing says which one this is"),
        (&["--shard.count=three"], &[], "invalid value 'three' for '--shard.count"),
    ] {
        let output = run(&[arguments, &[&flag]].concat(), environment).await;
        let told = String::from_utf8(output.stderr).unwrap();
        secrets::look_through(&told);
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {environment:?}: {told}");
        assert!(told.contains(message), "{message} in {told}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(cloud.requests().len(), 0);
}

#[tokio::test]
async fn a_pod_of_a_stateful_set_polls_its_part() {
    crypto();
    let cloud = Cloud::start(estate()).await.unwrap();
    let (_folder, flag) = folder_with(&config(&cloud));
    let environment = [("CLOUDDB_SHARD_COUNT", "3"), ("POD_NAME", "clouddb-backup-exporter-2")];
    for (arguments, index, count) in
        [(&[&*flag][..], "2", 3.0), (&[&flag, "--shard.index=1", "--shard.count=2"], "1", 2.0)]
    {
        let running = Running::start_with(arguments, &environment).await;
        let info = [("shard", index)];
        let exposition =
            running.until(|it| it.value("clouddb_exporter_shards", &[]) == Some(count)).await;
        assert_eq!(exposition.value("clouddb_exporter_shard_info", &info), Some(1.0));
        assert_eq!(running.end("-TERM").await, Some(0));
    }
}
