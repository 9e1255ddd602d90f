//! `explain`, as a person runs it: what it reads, what it says of that, and how it ends.

use std::fs;
use std::process::{Output, Stdio};
use std::sync::OnceLock;

use clouddb_backup_exporter::sim::{
    AccessKey, Cloud, DdmBackup, DdmInstance, Estate, Fault, Policy, RdsBackup, RdsInstance, Seen,
    Service, estate,
};
use jiff::{SignedDuration, Timestamp};
use tokio::process::Command;
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::daemon::{Setup, keys};
use crate::running::{PATIENCE, PROGRAM, folder_with, run, stderr, stdout};
use crate::secrets;

pub(crate) const ORDERS: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
pub(crate) const PAY: &str = "b48e43ff268f4c0e879652d65e63d0fbin01";
const REPLICA: &str = "c48e43ff268f4c0e879652d65e63d0fbin01";
const ROUTER: &str = "e48e43ff268f4c0e879652d65e63d0fbin09";
const OTHER_ROUTER: &str = "f48e43ff268f4c0e879652d65e63d0fbin09";

pub(crate) async fn cloud(estate: Estate) -> Cloud {
    Cloud::start(estate).await.unwrap()
}

/// So many hours before a moment of this run, always the same: between two looks at the clock a second
/// may begin.
pub(crate) fn ago(cloud: &Cloud, hours: i64) -> Timestamp {
    static NOW: OnceLock<Timestamp> = OnceLock::new();
    *NOW.get_or_init(|| cloud.clock().now()) - SignedDuration::from_hours(hours)
}

/// A backup of `type` that began that many hours ago and took one.
pub(crate) fn completed(cloud: &Cloud, id: &str, kind: &str, hours: i64) -> RdsBackup {
    RdsBackup::completed(id, kind, ago(cloud, hours), ago(cloud, hours - 1), 2000)
}

pub(crate) fn add(cloud: &Cloud, backups: impl IntoIterator<Item = RdsBackup>) {
    cloud.change(|estate| estate.projects[0].rds_backups.extend(backups));
}

/// Two instances with a backup of five hours ago each.
pub(crate) async fn two() -> Cloud {
    let estate = Estate::new()
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_rds(RdsInstance::new(PAY, "pay"));
    let cloud = cloud(estate).await;
    add(&cloud, [ORDERS, PAY].map(|id| completed(&cloud, id, "auto", 6)));
    let now = cloud.clock().now();
    let range = (ago(&cloud, 24), now - SignedDuration::from_mins(5));
    cloud.change(|estate| {
        for instance in &mut estate.projects[0].rds {
            instance.restore_ranges = Some(vec![range]);
        }
    });
    cloud
}

pub(crate) fn discovering(cloud: &Cloud) -> Setup<'static> {
    let setup = Setup::new(cloud).with_rds_keys("discover: true\nrestore_window: true");
    Setup { poll: "interval: 5m", ..setup }
}

/// The program with a command, an argument and the text of a config.
pub(crate) async fn ask(command: &[&str], config: &str) -> Output {
    let (_folder, flag) = folder_with(config);
    let mut program = Command::new(PROGRAM);
    program.args(command).arg(&flag);
    run(program).await
}

async fn explain(what: &str, config: &str) -> (Option<i32>, String) {
    let output = ask(&["explain", what], config).await;
    let told = stdout(&output);
    assert!(!told.is_empty(), "{}", stderr(&output));
    (output.status.code(), told.to_owned())
}

/// The lines behind one with this text, as far as they are below it.
fn below<'a>(text: &'a str, head: &str) -> Vec<&'a str> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().skip_while(|line| line.trim() != head);
    let head = lines.next().unwrap_or_else(|| panic!("no `{head}` in\n{text}"));
    lines.take_while(|line| depth(line) > depth(head)).map(str::trim).collect()
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|it| it.trim() == line)
}

#[tokio::test]
async fn the_record_that_counts_is_marked_and_each_newer_one_has_the_reason_why_it_does_not() {
    let cloud = cloud(Estate::new().with_rds(RdsInstance::new(ORDERS, "orders"))).await;
    let records = [
        RdsBackup::building(ORDERS, "auto", ago(&cloud, 1)),
        RdsBackup::with_words(ORDERS, "auto", "DREAMING", ago(&cloud, 2)),
        RdsBackup::with_words(ORDERS, "auto", "DELETING", ago(&cloud, 3)),
        RdsBackup::failed(ORDERS, "auto", ago(&cloud, 4), ago(&cloud, 3)),
        RdsBackup::completed(ORDERS, "auto", ago(&cloud, 33), ago(&cloud, 32), 1024),
        RdsBackup::completed(ORDERS, "auto", ago(&cloud, 40), ago(&cloud, 30), 2048),
        RdsBackup::failed(ORDERS, "auto", ago(&cloud, 50), ago(&cloud, 49)),
        RdsBackup::completed(ORDERS, "auto", ago(&cloud, 60), ago(&cloud, 59), 1024),
    ];
    let ids: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
    add(&cloud, records);
    let (code, text) = explain("shop/orders", &discovering(&cloud).text(&cloud)).await;
    assert_eq!(code, Some(0), "{text}");
    let auto = below(&text, "auto:");
    assert_eq!(auto[0], "objective: 26h (backup policy)");
    assert!(auto[1].starts_with("last success: 30h"), "{auto:#?}");
    assert!(auto[1].contains(" old, ended at 2"), "{auto:#?}");
    assert!(auto[1].ends_with("Z, took 10h, 2.00 MiB"), "{auto:#?}");
    assert_eq!(auto[2], "failures: 1 since then");
    let told: Vec<(&str, &str)> = auto[4..]
        .iter()
        .zip(&ids)
        .map(|(line, id)| {
            let (before, why) =
                line.split_once(&**id).unwrap_or_else(|| panic!("{id} in {auto:#?}"));
            let mut words = before.split_whitespace().filter(|word| *word != "*");
            (words.nth(2).unwrap(), why.trim())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("running", "it is still running"),
            ("unknown", "its status is a word that this version does not know"),
            ("deleting", "it is being deleted"),
            ("failed", "it failed"),
            ("completed", "it ended before the last success did"),
            ("completed", ""),
            ("failed", ""),
            ("completed", ""),
        ]
    );
    let marked: Vec<&&str> = auto.iter().filter(|line| line.starts_with('*')).collect();
    assert!(marked.len() == 1 && marked[0].contains(&ids[5]), "{auto:#?}");
    let time = |hours| Timestamp::from_second(ago(&cloud, hours).as_second()).unwrap().to_string();
    let line = format!("* {}  {}  completed    2.00 MiB  {}", time(40), time(30), ids[5]);
    assert_eq!(**marked[0], line);
    // And what follows from it.
    let alerts: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("alert: ")).collect();
    assert_eq!(alerts.len(), 3, "{text}");
    assert!(
        alerts[2]
            .starts_with("DatabaseRestorePointLagging: the newest point to restore to was 30h")
    );
    assert!(
        alerts[0].starts_with("DatabaseBackupFailed of auto: the last finished attempt, which")
    );
    assert!(
        alerts[1].starts_with("DatabaseBackupStale of auto: the last success was 30h")
            && alerts[1].ends_with(" old when last observed, more than the objective of 26h"),
        "{alerts:?}"
    );
    assert!(
        has(&text, "it is: warning, fires after 15m; runbook DatabaseBackupStale.md"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_known_of_an_instance_is_told_and_that_no_condition_holds() {
    let cloud = two().await;
    let output = ask(&["explain", "shop"], &discovering(&cloud).text(&cloud)).await;
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let heads: Vec<&str> =
        text.lines().filter(|it| !it.is_empty() && !it.starts_with(' ')).collect();
    assert_eq!(heads, [format!("shop/rds/orders ({ORDERS})"), format!("shop/rds/pay ({PAY})")]);
    let orders = below(text, heads[0]);
    for (line, begin) in orders.iter().zip([
        "read: 5 requests, 1 records, complete at 2",
        "instance: MySQL 8.0, ACTIVE, made at 2",
        "policy: on, backups are kept for 1w, the next backup begins from 2",
        "restore: to any point from 2",
        "auto:",
    ]) {
        assert!(line.starts_with(begin), "{begin} in {orders:#?}");
    }
    assert_eq!(orders.last(), Some(&"alerts: no condition of the shipped alerts holds"));
    // How far it is goes elsewhere.
    assert!(stderr(&output).contains("shop/rds/orders: ok, 5 requests"), "{}", stderr(&output));
}

#[tokio::test]
async fn a_missing_permission_is_named_and_what_could_be_read_is_explained() {
    let estate = Estate { keys: Vec::new(), ..Estate::new() };
    let key = AccessKey::new(estate::ACCESS_KEY, estate::SECRET_KEY).denying("rds:backup:list");
    let cloud = cloud(estate.with_key(key).with_rds(RdsInstance::new(ORDERS, "orders"))).await;
    let setup = Setup { credential: keys(), ..discovering(&cloud) };
    let (code, text) = explain("shop/orders", &setup.text(&cloud)).await;
    assert_eq!(code, Some(1), "{text}");
    let read = text.lines().find(|line| line.starts_with("  read: ")).unwrap();
    assert!(read.contains("failed: forbidden: "), "{read}");
    assert!(read.contains("permission `rds:backup:list`"), "{read}");
    assert!(text.contains("policy: on"), "{text}");
    assert!(!text.contains("auto:"), "nothing is said of what was not read: {text}");
    assert_eq!(text.matches("read: ").count(), 1, "{text}");
}

#[tokio::test]
async fn an_instance_is_found_by_name_or_id_in_any_letters_and_nothing_else_is_polled() {
    let cloud = two().await;
    let text = discovering(&cloud).with_ddm().text(&cloud);
    let loud = ORDERS.to_ascii_uppercase();
    for what in
        ["shop/orders", &format!("shop/{ORDERS}"), &format!("{}/{loud}", estate::PROJECT_ID)]
    {
        cloud.forget_requests();
        let (code, told) = explain(what, &text).await;
        assert_eq!(code, Some(0), "{told}");
        assert!(told.starts_with(&format!("shop/rds/orders ({ORDERS})\n")), "{told}");
        assert_eq!(told.matches("\n  read: ").count(), 1, "{told}");
        assert_eq!(cloud.count(|seen| format!("{seen:?}").contains(PAY)), 0);
    }
    // An id that the config has is on no other product's list.
    let text = discovering(&cloud).with_rds(ORDERS, "name: orders").with_ddm().text(&cloud);
    cloud.forget_requests();
    let (code, _) = explain(&format!("shop/{loud}"), &text).await;
    assert_eq!((code, cloud.count(|seen| seen.service == Service::Ddm)), (Some(0), 0));
}

#[tokio::test]
async fn of_ids_that_differ_in_letter_case_only_none_is_meant_by_a_third() {
    let loud = ORDERS.to_ascii_uppercase();
    let estate = Estate::new()
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_rds(RdsInstance::new(&loud, "loud"));
    let cloud = cloud(estate).await;
    let text = discovering(&cloud).text(&cloud);
    for (id, name) in [(ORDERS, "orders"), (&loud, "loud")] {
        let (code, told) = explain(&format!("shop/{id}"), &text).await;
        assert_eq!(code, Some(0), "{told}");
        assert!(told.starts_with(&format!("shop/rds/{name} ({id})\n")), "{told}");
    }
    let third = ORDERS.replacen('a', "A", 1);
    let output = ask(&["explain", &format!("shop/{third}")], &text).await;
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
}

#[tokio::test]
async fn whichever_shard_it_is_run_in_every_instance_is_explained_and_judged() {
    let cloud = two().await;
    let text = discovering(&cloud).text(&cloud);
    for command in ["explain", "gate"] {
        for index in ["--shard.index=0", "--shard.index=1"] {
            let output = ask(&[command, "shop", "--shard.count=2", index], &text).await;
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
            for name in ["shop/rds/orders ", "shop/rds/pay "] {
                assert!(stdout(&output).contains(name), "{}", stdout(&output));
            }
        }
    }
}

#[tokio::test]
async fn all_instances_of_a_name_are_explained_and_of_a_project_wide_list_no_other_one() {
    let estate = Estate::new()
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_ddm(DdmInstance::new(ROUTER, "orders"))
        .with_ddm(DdmInstance::new(OTHER_ROUTER, "other"));
    let cloud = cloud(estate).await;
    let now = cloud.clock().now();
    let backup = |id: &str, name: &str| {
        let at = now - SignedDuration::from_hours(3);
        DdmBackup::normal(id, name, "auto_metadata", at, at + SignedDuration::from_mins(1))
    };
    let backups = [backup(ROUTER, "orders"), backup(OTHER_ROUTER, "other")];
    cloud.change(|estate| estate.projects[0].ddm_backups.extend(backups));
    let text = discovering(&cloud).with_ddm().text(&cloud);
    let (code, told) = explain("shop/orders", &text).await;
    assert_eq!(code, Some(0), "{told}");
    for (product, id) in [("rds", ORDERS), ("ddm", ROUTER)] {
        assert!(has(&told, &format!("shop/{product}/orders ({id})")), "{told}");
    }
    assert!(!told.contains(OTHER_ROUTER), "{told}");
    assert!(told.contains("  read: the list of the project, 1 requests, 2 records, "), "{told}");
    assert_eq!(told.matches("  * ").count(), 1, "{told}");

    // It may be on a list that cannot be read.
    cloud.fault(Fault::status(418).on(Service::Ddm));
    let (code, told) = explain("shop/orders", &text).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.starts_with(&format!("shop/rds/orders ({ORDERS})\n")), "{told}");
    for head in ["the instances of shop/ddm", "shop/ddm"] {
        let failed = below(&told, head);
        assert!(failed[0].contains("failed: http_4xx: "), "{told}");
    }
}

#[tokio::test]
async fn what_names_nothing_is_2_with_what_there_is() {
    let cloud = two().await;
    let text = discovering(&cloud).text(&cloud);
    for (what, told) in [
        ("shop/ordres", "`shop` has no instance `ordres`; there are `orders`, `pay`"),
        (
            "shop-prod/orders",
            "no project of the config is named `shop-prod/orders`; there are `shop`",
        ),
    ] {
        let output = ask(&["explain", what], &text).await;
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(told), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
    cloud.forget_requests();
    for (config, what) in [(text.clone(), "nowhere"), (format!("{text}surprise: 1\n"), "shop")] {
        let output = ask(&["explain", what], &config).await;
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert_eq!(cloud.count(|_: &Seen| true), 0);
    }
    // It may be there all the same, if the list cannot be read.
    cloud.fault(Fault::status(418).when(|request| request.path().ends_with("/instances")));
    let (code, told) = explain("shop/orders", &text).await;
    assert_eq!(code, Some(1));
    assert!(told.starts_with("the instances of shop/rds\n  read: failed: http_4xx: "), "{told}");
}

#[tokio::test]
async fn an_instance_that_nobody_watches_is_found_too_with_the_reason() {
    let estate = Estate::new()
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_rds(RdsInstance::new(PAY, "left"))
        .with_rds(RdsInstance::replica(REPLICA, "orders-read", ORDERS));
    let cloud = cloud(estate).await;
    let setup = Setup::new(&cloud).with_rds_keys("audit: true\nexclude: [left]");
    let text = setup.text(&cloud);
    let no = "alerts: no condition of the shipped alerts holds";
    for (name, why, alert) in [
        (
            "orders",
            "read: no, the config neither names it nor discovers it",
            "it is: info, fires after 1d; runbook DatabaseInstanceNotMonitored.md",
        ),
        ("left", "read: no, the config leaves it out (`exclude`)", no),
        ("orders-read", "read: no, it is a read replica, of which the cloud makes no backups", no),
    ] {
        let (code, told) = explain(&format!("shop/{name}"), &text).await;
        assert_eq!(code, Some(0), "{told}");
        assert!(told.starts_with(&format!("shop/rds/{name} (")), "{told}");
        assert!(has(&told, why) && has(&told, alert), "{told}");
    }
    // All of the project: those that somebody should watch.
    let (_, told) = explain("shop", &text).await;
    assert!(told.contains("shop/rds/orders (") && !told.contains("orders-read"), "{told}");
}

#[tokio::test]
async fn where_nothing_is_expected_the_reason_is_told() {
    let rds = |name: &str| RdsInstance::new(ORDERS, name);
    let keys = "discover: true\ninstances: [{ id: a48e43ff268f4c0e879652d65e63d0fbin01, max_age: { auto: off } }]";
    for (instance, rds_keys, why) in [
        (
            rds("orders").with_policy(Policy::off()),
            "discover: true",
            "since the backup policy is off",
        ),
        (rds("orders").with_status("SHUTDOWN"), "discover: true", "since the instance is SHUTDOWN"),
        (rds("orders"), keys, "since it is `off` (config of the instance)"),
    ] {
        let cloud = cloud(Estate::new().with_rds(instance)).await;
        add(&cloud, ["auto", "manual"].map(|kind| completed(&cloud, ORDERS, kind, 6)));
        let text = Setup::new(&cloud).with_rds_keys(rds_keys).text(&cloud);
        let (code, told) = explain(&format!("shop/{ORDERS}"), &text).await;
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(below(&told, "auto:")[0], format!("objective: none, {why}"), "{told}");
        if rds_keys == keys {
            let manual = "objective: none, since the config has no `max_age` for it";
            assert_eq!(below(&told, "manual:")[0], manual, "{told}");
        }
    }
    // Its own list is there, and it is not on that of the instances.
    let cloud = cloud(Estate::new().with_rds(rds("orders"))).await;
    add(&cloud, [completed(&cloud, ORDERS, "auto", 6)]);
    let empty = r#"{"instances": [], "total_count": 0}"#;
    cloud.fault(Fault::body(empty).when(|request| request.path().ends_with("/instances")));
    let (_, told) = explain(
        &format!("shop/{ORDERS}"),
        &discovering(&cloud)
            .with_rds(ORDERS, "name: orders")
            .text(&cloud)
            .replace("discover: true", "audit: true"),
    )
    .await;
    let why = "objective: none, since the instance is not on the cloud's instance list";
    assert_eq!(below(&told, "auto:")[0], why, "{told}");
    assert!(told.contains("alert: DatabaseInstanceNotFound: "), "{told}");
}

#[tokio::test]
async fn no_more_than_fifty_records_are_shown_and_the_last_success_in_any_case() {
    let cloud = cloud(Estate::new().with_rds(RdsInstance::new(ORDERS, "orders"))).await;
    let failed = |hours| RdsBackup::failed(ORDERS, "auto", ago(&cloud, hours), ago(&cloud, hours));
    add(&cloud, (1..=60).map(failed).chain([completed(&cloud, ORDERS, "auto", 70)]));
    let (_, told) = explain("shop/orders", &discovering(&cloud).text(&cloud)).await;
    let auto = below(&told, "auto:");
    assert_eq!(auto.iter().filter(|it| it.ends_with("it failed")).count(), 50, "{told}");
    assert!(auto[auto.len() - 2].starts_with("* "), "{told}");
    assert_eq!(auto.last(), Some(&"and 10 older ones"), "{told}");
}

#[tokio::test]
async fn foreign_text_stays_on_its_line() {
    let name = "orders\n  alert: none\u{1b}[2J";
    let instance = RdsInstance::new(ORDERS, name).with_status("UP\n  alert: none");
    let cloud = cloud(Estate::new().with_rds(instance)).await;
    add(&cloud, [completed(&cloud, ORDERS, "auto", 6).with_id("x\n  alert: none")]);
    let (code, told) = explain(&format!("shop/{name}"), &discovering(&cloud).text(&cloud)).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with(&format!("shop/rds/orders  alert: none[2J ({ORDERS})\n")), "{told}");
    assert!(!told.contains('\u{1b}') && !told.contains("\n  alert: none"), "{told}");
    let id = "x\n  alert: none";
    cloud.change(|estate| estate.projects[0].rds.push(RdsInstance::new(id, "odd")));
    let (_, told) = explain("shop/odd", &discovering(&cloud).text(&cloud)).await;
    assert!(told.starts_with("shop/rds/odd (x  alert: none)\n"), "{told}");
}

#[tokio::test]
async fn a_signal_ends_it_with_1_and_so_does_a_stdout_that_takes_nothing() {
    for (command, code) in [("explain", 1), ("gate", 2)] {
        let cloud = two().await;
        let (_folder, flag) = folder_with(&discovering(&cloud).text(&cloud));
        let program = || {
            let mut program = Command::new(PROGRAM);
            program.args([command, "shop", &flag]).kill_on_drop(true);
            program.stdout(Stdio::piped()).stderr(Stdio::piped());
            program
        };
        let mut full = program();
        full.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let ended = timeout(PATIENCE, full.spawn().unwrap().wait_with_output()).await;
        let output = ended.expect("it ends").unwrap();
        assert_eq!(output.status.code(), Some(code), "{command}");
        assert!(stderr(&output).contains("cannot write to stdout"), "{}", stderr(&output));

        cloud.fault(Fault::hang().when(|request| request.path().ends_with("/backups")));
        cloud.forget_requests();
        let child = program().spawn().unwrap();
        let begin = Instant::now();
        while cloud.count(|seen| seen.path.ends_with("/backups")) == 0 {
            assert!(begin.elapsed() < PATIENCE);
            sleep(Duration::from_millis(10)).await;
        }
        let id = child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        let ended = timeout(Duration::from_secs(5), child.wait_with_output()).await;
        let output = ended.expect("it ends within five seconds").unwrap();
        assert_eq!(output.status.code(), Some(code), "{command}: {}", stderr(&output));
        assert!(stderr(&output).contains("ended by SIGTERM after "), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn on_a_terminal_a_bar_shows_how_far_it_is_and_the_result_alone_is_on_stdout() {
    let cloud = two().await;
    let (folder, flag) = folder_with(&discovering(&cloud).text(&cloud));
    let (result, screen) = (folder.path().join("result"), folder.path().join("screen"));
    let script =
        format!("stty cols 120; exec '{PROGRAM}' explain shop '{flag}' > '{}'", result.display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--flush", "--return", "--command", &script]).arg(&screen);
    command.env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let status = timeout(PATIENCE, command.status()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0));
    let screen = String::from_utf8_lossy(&fs::read(&screen).unwrap()).into_owned();
    secrets::look_through(&screen);
    assert!(screen.contains(" projects, [") && screen.contains(" targets, "), "{screen:?}");
    assert!(!screen.contains(": ok, "), "what goes well is shown by the bar: {screen:?}");
    let result = fs::read_to_string(&result).unwrap();
    assert!(result.starts_with(&format!("shop/rds/orders ({ORDERS})\n")), "{result}");
    assert!(!result.contains('\u{1b}') && !result.contains("targets"), "{result}");
}
