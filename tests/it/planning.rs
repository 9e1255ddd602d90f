//! What is planned is what is asked: the plan against the count of the simulated cloud.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use clouddb_backup_exporter::account::{Account, Patience, Terms};
use clouddb_backup_exporter::app::survey::survey;
use clouddb_backup_exporter::client::Client;
use clouddb_backup_exporter::config::{self, Config};
use clouddb_backup_exporter::listing::cost::{self, Totals};
use clouddb_backup_exporter::listing::{self, Memory, Progress, Rhythm};
use clouddb_backup_exporter::meter::Meters;
use clouddb_backup_exporter::plan::plan;
use clouddb_backup_exporter::shard::Shard;
use clouddb_backup_exporter::sim::{
    AccessKey, Clock, Cloud, DdmInstance, Estate, Fault, RdsBackup, RdsInstance, Schedule, Seen,
    Service, Switches, estate,
};
use clouddb_backup_exporter::target::{self, Target};
use jiff::{SignedDuration, Timestamp};
use tokio::process::Command;
use tokio::time::timeout;

use crate::daemon::{Daemon, Setup, clock_of, keys, password};
use crate::exposition::Exposition;
use crate::log::Log;
use crate::running::{PATIENCE, PROGRAM, folder_with};
use crate::secrets;

const MYSQL: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const SQL_SERVER: &str = "a48e43ff268f4c0e879652d65e63d0fbin04";
const UNKNOWN: &str = "a48e43ff268f4c0e879652d65e63d0fbin77";
const ROUTER: &str = "169f4f2fd6a94b6c8b1e5bd104385a18in09";

fn now() -> Timestamp {
    "2025-03-10T12:00:00Z".parse().unwrap()
}

fn ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

fn is_list(seen: &Seen) -> bool {
    seen.service != Service::Iam
}

fn read(text: &str) -> Config {
    Config::read(text, Path::new("test"), &config::fetch).expect("a good config").config
}

/// An instance with a backup a day, and an incremental every five minutes.
fn busy(estate: Estate, id: &str, name: &str) -> Estate {
    estate
        .with_rds(RdsInstance::new(id, name))
        .with_schedule(Schedule::daily(id, 1))
        .with_schedule(Schedule::incremental(id))
}

/// A way to the only target of a config.
fn way(cloud: &Cloud, config: &Config) -> (Client, Arc<Target>) {
    let project = &config.projects[0];
    let terms = Terms {
        request_timeout: config.poll.request_timeout,
        patience: Patience::default(),
        clock: clock_of(cloud),
        meters: Meters::new().unwrap(),
        shard: Shard::WHOLE,
    };
    let account = Account::new(Arc::clone(&project.credential), terms).unwrap();
    let client = Client::new(Arc::new(account), &project.name, &project.project_id, 4);
    let mut targets = target::targets(config, &[]);
    assert_eq!(targets.len(), 1);
    (client, targets.remove(0))
}

/// What polls of the target really take, counted at the cloud: the first, the next, one an hour later,
/// one a day later.
async fn counted(cloud: &Cloud, config: &Config) -> [u64; 4] {
    let (client, target) = way(cloud, config);
    let rhythm = Rhythm {
        lookback: config.poll.incremental_lookback,
        full_walk_interval: config.poll.full_walk_interval,
        // At full hours and at midnight: an hour later only what is due every hour is due.
        phase: 0,
    };
    let mut memory = Memory::default();
    let mut counts = [0; 4];
    for (count, minutes) in counts.iter_mut().zip([0, 0, 61, 24 * 60]) {
        cloud.clock().advance(SignedDuration::from_mins(minutes));
        cloud.forget_requests();
        let (now, progress) = (cloud.clock().now(), Progress::default());
        let read = listing::read(&client, &target, &rhythm, &memory, now, &progress).await.unwrap();
        memory = read.memory;
        *count = cloud.count(is_list) as u64;
    }
    counts
}

/// What they take by the lengths of the lists, and by what is assumed of them.
async fn planned(cloud: &Cloud, config: &Config) -> [[u64; 4]; 2] {
    let (client, target) = way(cloud, config);
    let (product, id, poll) = (target.product, target.instance_id(), &config.poll);
    let lookback = poll.incremental_lookback;
    let told = |totals: Totals| {
        let cost = totals.cost(product, id, poll);
        // After a day all is due.
        let whole = cost.steady + cost.whole.requests;
        [cost.first, cost.steady, whole, whole + cost.comparison.requests]
    };
    let measured = cost::totals(&client, &target, lookback).await.unwrap();
    [told(measured), told(Totals::assumed(product, id, lookback))]
}

/// A config of the only instance, or of DDM.
fn config_of(cloud: &Cloud, id: &str, poll: &'static str) -> Config {
    let setup = Setup { poll, credential: keys(), ..Setup::new(cloud) };
    let setup = if id == ROUTER { setup.with_ddm() } else { setup.with_rds(id, "name: a") };
    read(&setup.text(cloud))
}

/// Counts and compares. Gives what was counted, and whether the usual assumptions are right as well.
async fn compare(
    estate: Estate,
    id: &str,
    poll: &'static str,
    switch: impl FnOnce(&mut Switches),
) -> ([u64; 4], bool) {
    let cloud = Cloud::start_at(estate, Clock::fixed(now())).await.unwrap();
    cloud.switches(switch);
    let config = config_of(&cloud, id, poll);
    let [by_lengths, assumed] = planned(&cloud, &config).await;
    let counted = counted(&cloud, &config).await;
    assert_eq!(by_lengths, counted, "planned and counted, of {id}");
    (counted, assumed == counted)
}

const POLL: &str = "interval: 5m";

#[tokio::test]
async fn a_usual_instance_of_each_engine_takes_what_is_assumed() {
    let mysql = compare(busy(Estate::new(), MYSQL, "a"), MYSQL, POLL, |_| {}).await;
    assert_eq!(mysql, ([7, 2, 5, 7], true));
    let daily = Estate::new()
        .with_rds(RdsInstance::new(SQL_SERVER, "a"))
        .with_schedule(Schedule::daily(SQL_SERVER, 1));
    assert_eq!(compare(daily, SQL_SERVER, POLL, |_| {}).await, ([4, 1, 1, 4], true));
    let unknown = compare(busy(Estate::new(), UNKNOWN, "a"), UNKNOWN, POLL, |_| {}).await;
    assert_eq!(unknown, ([8, 2, 5, 8], true));
    let router = Estate::new()
        .with_ddm(DdmInstance::new(ROUTER, "a"))
        .with_schedule(Schedule::metadata(ROUTER, "a", 1));
    assert_eq!(compare(router, ROUTER, POLL, |_| {}).await, ([1, 1, 1, 1], true));
}

#[tokio::test]
async fn an_unusual_instance_takes_what_the_lengths_of_its_lists_say() {
    let empty = || Estate::new().with_rds(RdsInstance::new(MYSQL, "a"));
    let (counted, _) = compare(empty(), MYSQL, POLL, |_| {}).await;
    assert_eq!(counted, [5, 2, 3, 5], "whether there are incrementals at all is asked besides");

    let many = (1..=250).map(|at| RdsBackup::completed(MYSQL, "manual", ago(at), ago(at - 1), 9));
    let many = busy(Estate::new(), MYSQL, "a").with_rds_backups(many);
    let (counted, _) = compare(many, MYSQL, POLL, |_| {}).await;
    assert_eq!(counted, [13, 5, 8, 13], "three pages, and the first again, of two lists");

    let mixed = |switches: &mut Switches| switches.untyped_holds_incrementals = true;
    let (counted, _) = compare(busy(Estate::new(), MYSQL, "a"), MYSQL, POLL, mixed).await;
    assert_eq!(counted[1], 3, "the list without a type stands for nothing");

    let refuses = |switches: &mut Switches| switches.refuses_fragment_of_others = true;
    let (counted, _) = compare(busy(Estate::new(), UNKNOWN, "a"), UNKNOWN, POLL, refuses).await;
    assert_eq!(counted[1], 2);

    let routers = (0..10).fold(Estate::new(), |estate, at| {
        let id = format!("{at}69f4f2fd6a94b6c8b1e5bd104385a18in09");
        estate.with_ddm(DdmInstance::new(&id, "a")).with_schedule(Schedule::metadata(&id, "a", 1))
    });
    let (counted, _) = compare(routers, ROUTER, POLL, |_| {}).await;
    assert_eq!(counted, [4; 4], "300 records, 128 on a page");
}

#[tokio::test]
async fn a_longer_lookback_has_longer_walks() {
    let week = "interval: 5m, incremental_lookback: 3d";
    let (counted, is_assumed) = compare(busy(Estate::new(), MYSQL, "a"), MYSQL, week, |_| {}).await;
    assert_eq!((counted, is_assumed), ([13, 2, 11, 13], true));
    let all = "interval: 5m, incremental_lookback: all";
    let (counted, _) = compare(busy(Estate::new(), MYSQL, "a"), MYSQL, all, |_| {}).await;
    assert_eq!(
        counted[1], 4,
        "what may have expired, and how many there are, is asked in each poll"
    );
}

/// Three MySQL instances and one of SQL Server, and a DDM instance; all of it discovered.
async fn mixed(clock: Clock) -> Cloud {
    let mut estate = Estate::new();
    for at in 0..3 {
        estate = busy(estate, &format!("{at}48e43ff268f4c0e879652d65e63d0fbin01"), "a");
    }
    let estate = estate
        .with_rds(RdsInstance::new(SQL_SERVER, "b"))
        .with_schedule(Schedule::daily(SQL_SERVER, 1))
        .with_ddm(DdmInstance::new(ROUTER, "router"))
        .with_schedule(Schedule::metadata(ROUTER, "router", 1));
    Cloud::start_at(estate, clock).await.unwrap()
}

fn discovered(cloud: &Cloud, credential: &str, poll: &str) -> String {
    format!(
        "poll: {{ {poll} }}\n\
         credentials:\n  main: {{ {credential} }}\n\
         projects:\n  - name: shop\n    project_id: {}\n    credentials: main\n    \
         rds: {{ endpoint: \"{}\", discover: true, restore_window: true }}\n    \
         ddm: {{ endpoint: \"{}\" }}\n",
        estate::PROJECT_ID,
        cloud.rds_url(),
        cloud.ddm_url()
    )
}

#[tokio::test]
async fn the_first_round_of_a_daemon_takes_what_is_planned_lookups_and_lists_included() {
    let cloud = mixed(Clock::fixed(now())).await;
    let text = discovered(&cloud, &password(&cloud), "interval: 1h");
    let config = read(&text);
    let found = survey(&config, clock_of(&cloud)).await.unwrap();
    assert_eq!(found.faults, [""; 0]);
    let told = |totals: &dyn Fn(&Target) -> Option<Totals>| {
        let plan = plan(&config, &found.estates, totals, &[Shard::WHOLE]);
        (plan.shares[0].work.targets, plan.shares[0].work.round, plan.shares[0].work.first)
    };
    let planned = told(&|target| found.totals(target));
    assert_eq!(planned, told(&|_| None), "the usual is right of this estate");
    assert_eq!((planned.0, planned.1), (5, 3 * 2 + 1 + 1));

    cloud.forget_requests();
    let daemon = Daemon::start_at(&text, clock_of(&cloud)).await;
    daemon.after_polls(1.0).await;
    let lookups = |it: &Exposition| it.values("clouddb_lookup_success", &[]).len() == 2 + 4 * 2;
    daemon.until(lookups).await;
    assert_eq!(cloud.count(is_list) as u64, planned.2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_budget_that_does_not_hold_is_told_at_the_start_and_after_a_reload() {
    let log = Log::start();
    let cloud = mixed(Clock::real()).await;
    let slow = keys().replace("10000", "0.01");
    let ids = (0..10).map(|at| format!("{at}48e43ff268f4c0e879652d65e63d0fbin01"));
    let setup = Setup { poll: "interval: 5m", credential: slow, ..Setup::new(&cloud) };
    let setup = ids.fold(setup, |setup, id| setup.with_rds(&id, "name: x"));
    let daemon = Daemon::start_at(&setup.text(&cloud), clock_of(&cloud)).await;
    let told = "the budget of the credential `main` does not hold the interval: a round of 20 \
                requests takes 33m20s at 0.01/s, and the interval is 5m;";
    assert_eq!(log.count(told), 1);
    assert_eq!(daemon.reload(&setup.text(&cloud)).await.status, 200);
    assert_eq!(log.count(told), 2);
    let quick = Setup { credential: keys(), ..setup };
    assert_eq!(daemon.reload(&quick.text(&cloud)).await.status, 200);
    assert_eq!(log.count("does not hold"), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn what_discovery_finds_is_told_when_it_changes_the_verdict_and_not_each_time() {
    let log = Log::start();
    let estate = |count: usize| {
        let ids = (0..count).map(|at| format!("{at}48e43ff268f4c0e879652d65e63d0fbin01"));
        ids.map(|id| RdsInstance::new(&id, "x")).collect::<Vec<_>>()
    };
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    cloud.change(|it| it.projects[0].rds = estate(1));
    let credential = keys().replace("10000", "5");
    let keys = "discover: true\npolicy: false\ndiscovery_interval: 1s";
    let setup = Setup { credential, ..Setup::new(&cloud) }.with_rds_keys(keys);
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let lists = || cloud.count(|seen| seen.path.ends_with("/instances"));
    daemon.until(|it| it.value("clouddb_instances", &[]) == Some(1.0)).await;
    assert_eq!(log.count("does not hold the interval"), 0);

    cloud.change(|it| it.projects[0].rds = estate(3));
    daemon.until(|_| log.count("does not hold the interval") == 1).await;
    let before = lists();
    daemon.until(|_| lists() > before + 3).await;
    assert_eq!(log.count("does not hold the interval"), 1);

    cloud.change(|it| it.projects[0].rds = estate(1));
    daemon.until(|_| log.count("the budget of the credential `main` holds again") == 1).await;
    cloud.change(|it| it.projects[0].rds = estate(3));
    daemon.until(|_| log.count("does not hold the interval") == 2).await;
    daemon.stop().await.unwrap();
}

/// Exit code and lines of `plan`.
async fn run_plan(config: &str, arguments: &[&str]) -> (i32, Vec<String>) {
    let (_folder, flag) = folder_with(config);
    let mut command = Command::new(PROGRAM);
    // The tests may run in a pod.
    command.env_remove("CLOUDDB_SHARD_COUNT").env_remove("POD_NAME");
    command.arg("plan").args(arguments).arg(&flag).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    let Output { status, stdout, stderr } = output;
    let stdout = String::from_utf8(stdout).unwrap();
    secrets::look_through(&stdout);
    secrets::look_through(&String::from_utf8(stderr).unwrap());
    let folder = flag.trim_start_matches("--config.file=").to_owned();
    let lines = stdout.lines().map(|line| line.replace(&folder, "config.yaml"));
    (status.code().unwrap(), lines.collect())
}

/// The line with this text, without the blanks of the columns.
fn line<'a>(lines: &'a [String], text: &str) -> Vec<&'a str> {
    let found = lines.iter().find(|line| line.contains(text));
    let found = found.unwrap_or_else(|| panic!("no {text} in {lines:#?}"));
    found.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

fn many(cloud: &Cloud, count: usize) -> String {
    let credential = keys().replace("10000", "1");
    let setup = Setup { poll: "interval: 5m", credential, ..Setup::new(cloud) };
    let ids = (0..count).map(|at| format!("{at:032x}in01"));
    ids.fold(setup, |setup, id| setup.with_rds(&id, "name: x")).text(cloud)
}

#[tokio::test]
async fn without_asking_the_cloud_the_plan_tells_the_requests_and_whether_they_fit() {
    let cloud = mixed(Clock::real()).await;
    let (code, lines) = run_plan(&many(&cloud, 200), &[]).await;
    assert_eq!(code, 1, "{lines:#?}");
    let row = ["400 (6m40s)", "1400 (23m20s)", "600 (10m)", "400 (6m40s)", "0 (0s)"];
    let shop = line(&lines, "shop ");
    assert_eq!(shop, [&["shop", "main", "200", "5m"], &row[..]].concat());
    let main = line(&lines, "0 of 1");
    assert_eq!(main, [&["main", "0 of 1", "200", "1"], &row[..], &["151 %"]].concat());
    assert_eq!(lines.iter().filter(|line| line.starts_with("warning: ")).count(), 1);
    assert_eq!(lines.last().unwrap(), "config.yaml: 1 warnings");
    let (code, lines) = run_plan(&many(&cloud, 100), &[]).await;
    assert_eq!((code, lines.last().unwrap().as_str()), (0, "config.yaml: every interval holds"));
    assert_eq!(cloud.requests().len(), 0);
}

#[tokio::test]
async fn the_plan_for_shards_tells_each_with_its_part_of_the_budget() {
    let cloud = mixed(Clock::real()).await;
    let (code, lines) = run_plan(&many(&cloud, 200), &["--shard.count=4"]).await;
    assert_eq!(code, 1);
    let shards: Vec<_> = (0..4).map(|at| line(&lines, &format!("{at} of 4"))).collect();
    let targets: u64 = shards.iter().map(|row| row[2].parse::<u64>().unwrap()).sum();
    assert_eq!(targets, 200);
    assert!(shards.iter().all(|row| row[3] == "0.25"), "{shards:#?}");
    assert_eq!(line(&lines, "shop ")[4], "400 (6m40s)", "of all together");
    let (code, _) = run_plan(&many(&cloud, 200), &["--shard.count=0"]).await;
    assert_eq!(code, 2);
}

#[tokio::test]
async fn what_discovery_will_find_is_unknown_until_the_cloud_is_asked() {
    let cloud = mixed(Clock::real()).await;
    let text = discovered(&cloud, &keys().replace("10000", "100"), "interval: 30s");
    let (code, lines) = run_plan(&text, &[]).await;
    assert_eq!(code, 0, "{lines:#?}");
    assert_eq!(line(&lines, "shop  ")[2], "1 + ?", "{lines:#?}");
    line(&lines, "shop/rds: the instances that discovery will find are not known here");
    let unknown =
        "config.yaml: every interval holds, without the instances that are yet to be found";
    assert_eq!(lines.last().unwrap(), unknown);
    assert_eq!(cloud.requests().len(), 0);

    let (code, lines) = run_plan(&text, &["--live"]).await;
    assert_eq!((code, lines.last().unwrap().as_str()), (0, "config.yaml: every interval holds"));
    let shop = line(&lines, "shop  ");
    assert_eq!((shop[2], shop[4]), ("5", "8 (1s)"), "{lines:#?}");
    let of_lists = |seen: &Seen| seen.parameter("limit") == Some("1");
    assert_eq!(cloud.count(of_lists), 4 * 4 + 1, "one request for each list");
    assert_eq!(cloud.count(is_list), 4 * 4 + 1 + 2, "and the instance lists");
}

#[tokio::test]
async fn what_cannot_be_asked_is_a_warning_and_a_bad_config_is_2() {
    let cloud = mixed(Clock::real()).await;
    let text = discovered(&cloud, &keys().replace("10000", "100"), "interval: 30s");
    cloud.change(|estate| {
        let key = AccessKey::new(estate::ACCESS_KEY, estate::SECRET_KEY);
        estate.keys = vec![key.denying("rds:backup:list")];
    });
    let (code, lines) = run_plan(&text, &["--live"]).await;
    assert_eq!(code, 1);
    let denied = lines.iter().filter(|line| line.starts_with("warning: cannot ask for shop/rds/"));
    assert_eq!(denied.count(), 4, "{lines:#?}");
    line(&lines, "288 incrementals a day");
    cloud.fault(Fault::status(400).on(Service::Ddm));
    let (code, lines) = run_plan(&text.replace("discover:", "discovr:"), &["--live"]).await;
    assert_eq!(code, 2, "{lines:#?}");
    line(&lines, "the daemon would not start");
}
