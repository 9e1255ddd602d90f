//! One round without a daemon: its numbers, where they go, and how it ends.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use clouddb_backup_exporter::app::round::{Options, Round, Step, Watch, round};
use clouddb_backup_exporter::config::{self, Config};
use clouddb_backup_exporter::exposition::render_once;
use clouddb_backup_exporter::shard::Shard;
use clouddb_backup_exporter::sim::{Clock, Cloud, Estate, Fault, RdsBackup, RdsInstance, estate};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::daemon::{Daemon, SHORT_WAITS, Setup, clock_of, password};
use crate::exposition::Exposition;
use crate::process::promtool_accepts;
use crate::running::{PATIENCE, PROGRAM, crypto, folder_with, run, stderr, stdout};
use crate::secrets;

const A: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const B: &str = "b48e43ff268f4c0e879652d65e63d0fbin01";

fn now() -> Timestamp {
    "2025-03-10T12:00:00Z".parse().unwrap()
}

/// The instances `orders` and `pay`, each with so many backups.
async fn two(count: i64) -> Cloud {
    let estate =
        Estate::new().with_rds(RdsInstance::new(A, "orders")).with_rds(RdsInstance::new(B, "pay"));
    let cloud = Cloud::start(estate).await.unwrap();
    let now = cloud.clock().now();
    let ago = |hours| now - SignedDuration::from_hours(hours);
    let backup = |id, at| RdsBackup::completed(id, "auto", ago(at + 2), ago(at + 1), 2000);
    cloud.change(|estate| {
        for id in [A, B] {
            estate.projects[0].rds_backups.extend((0..count).map(|at| backup(id, at)));
        }
    });
    cloud
}

/// Discovers, and looks up what there is to look up.
fn discovering(cloud: &Cloud) -> Setup<'static> {
    let setup = Setup::new(cloud).with_rds_keys("discover: true\nrestore_window: true");
    Setup { poll: "interval: 5m", ..setup }
}

/// A request for the backups of an instance.
fn backups_of(fault: Fault, id: &str) -> Fault {
    fault.at(id).when(|request| request.path().ends_with("/backups"))
}

/// The program with a config.
fn once(flag: &str, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["once", flag]).args(more).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The names of all files of a folder, but for the config.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "config.yaml").collect();
    names.sort();
    names
}

/// A round in this process, on the clock of the cloud.
async fn here(cloud: &Cloud, text: &str, shard: Shard) -> Round {
    watched(cloud, text, shard, &mut |_| {}).await
}

async fn watched(cloud: &Cloud, text: &str, shard: Shard, told: &mut Watch<'_>) -> Round {
    crypto();
    let config: Config =
        Config::read(text, Path::new("test"), &config::fetch).expect("a good config").config;
    let options = Options { shard, wanted: None, clock: clock_of(cloud), patience: SHORT_WAITS };
    timeout(PATIENCE, round(&config, options, told)).await.expect("it ends").unwrap()
}

/// Without what is about the process, and without how long things took.
fn comparable(text: &str) -> Vec<&str> {
    let differs = [
        "process_",
        "clouddb_poll_duration_seconds",
        "clouddb_api_request_duration_seconds_bucket",
        "clouddb_api_request_duration_seconds_sum",
    ];
    let is_same = |line: &&str| {
        let line = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        !differs.iter().any(|prefix| line.starts_with(prefix))
    };
    text.lines().filter(is_same).collect()
}

#[tokio::test]
async fn the_numbers_are_those_of_the_daemon_after_its_first_round() {
    let cloud = || async {
        let cloud = Cloud::start_at(estate::demo(now()), Clock::fixed(now())).await.unwrap();
        // One target fails, so that there is something to tell of that as well.
        let id = cloud.estate().projects[0].rds[0].id.clone();
        cloud.fault(backups_of(Fault::status(418), &id));
        cloud
    };
    let config = |cloud: &Cloud| {
        format!(
            "poll: {{ interval: 5m }}\ncredentials:\n  main: {{ {} }}\n\
             projects:\n  - name: shop\n    project_id: {}\n    credentials: main\n    \
             rds: {{ endpoint: {}, discover: true, restore_window: true }}\n    \
             ddm: {{ endpoint: {} }}\n",
            password(cloud),
            estate::DEMO_PROJECT_ID,
            cloud.rds_url(),
            cloud.ddm_url()
        )
    };
    let first = cloud().await;
    let round = here(&first, &config(&first), Shard::WHOLE).await;
    assert!(!round.is_well());
    let once = render_once(&round.snapshot, &round.meters, Some(round.ended));
    let once = comparable(&once);

    let second = cloud().await;
    let daemon = Daemon::start_at(&config(&second), clock_of(&second)).await;
    let served = daemon.until(|it| comparable(it.text()).len() == once.len()).await;
    assert_eq!(comparable(served.text()), once);
    // It is about something: backups, policies, restore windows, lookups, ages, a failed poll.
    for prefix in [
        "clouddb_backup_last_success_age_seconds{",
        "clouddb_backup_policy_enabled{",
        "clouddb_restore_windows{",
        "clouddb_instance_info{",
        "clouddb_lookup_success{",
        "clouddb_auth_token_expiry_timestamp_seconds{",
        "clouddb_api_backoff_seconds{",
        "clouddb_poll_failures_total{product=\"rds\",project=\"shop\",reason=\"http_4xx\"} 1",
    ] {
        assert!(once.iter().any(|line| line.starts_with(prefix)), "{prefix}");
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_a_throttle_is_waited_for() {
    let cloud = two(1).await;
    cloud.fault(backups_of(Fault::status(429).once(), A));
    cloud.fault(backups_of(Fault::status(503).once(), B));
    let round = here(&cloud, &discovering(&cloud).text(&cloud), Shard::WHOLE).await;
    assert!(round.is_well());
    let text = render_once(&round.snapshot, &round.meters, None);
    let exposition = Exposition::read(&text);
    let api = [("api", "rds_backups")];
    assert_eq!(exposition.value("clouddb_api_throttled_total", &api), Some(1.0));
    assert_eq!(exposition.value("clouddb_api_retries_total", &api), Some(2.0));
    assert_eq!(exposition.values("clouddb_poll_success", &[]), [1.0; 2]);
}

#[tokio::test]
async fn the_targets_wait_for_the_instance_list_and_are_polled_all_the_same_if_it_fails() {
    for (fails, names) in [(false, ["shop/rds/orders", "shop/rds/pay"].as_slice()), (true, &[A])] {
        let cloud = two(1).await;
        if fails {
            cloud.fault(Fault::status(403).when(|request| request.path().ends_with("/instances")));
        }
        // Without a name in the config: it is the one of the list, if that is known.
        let text = discovering(&cloud).with_rds(A, "max_age: { auto: 1h }").text(&cloud);
        let mut begun = Vec::new();
        let mut told = |step: Step<'_>| {
            if let Step::Begun(target, _) = step {
                begun.push(target.to_string());
            }
        };
        let round = watched(&cloud, &text, Shard::WHOLE, &mut told).await;
        assert_eq!(round.is_well(), !fails);
        assert_eq!(begun.len(), names.len());
        assert!(begun.iter().zip(names).all(|(it, name)| it.ends_with(name)), "{begun:?}");
        let states = round.snapshot.targets.iter();
        let polls = states.map(|state| state.last_poll.as_ref().expect("it was polled"));
        assert!(polls.into_iter().all(|poll| poll.fault.is_none()));
    }
}

#[tokio::test]
async fn shards_divide_a_round_as_they_divide_the_daemon() {
    let cloud = two(1).await;
    let text = discovering(&cloud).text(&cloud);
    let mut polled = Vec::new();
    for shard in Shard::all(2).unwrap() {
        let round = here(&cloud, &text, shard).await;
        let states = round.snapshot.targets.iter();
        polled.extend(states.map(|state| state.target.instance_id().to_owned()));
    }
    polled.sort();
    assert_eq!(polled, [A, B]);
}

#[tokio::test]
async fn requests_in_flight_and_the_budget_are_kept_to() {
    let cloud = two(1).await;
    let credential = password(&cloud).replace("second: 10000", "second: 4");
    let setup = Setup { poll: "interval: 5m, concurrency: 1", credential, ..discovering(&cloud) };
    let (_folder, flag) = folder_with(&setup.text(&cloud));
    let begin = Instant::now();
    let output = run(once(&flag, &[])).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(cloud.most_in_flight(estate::PROJECT_ID), 1);
    // All but the burst of one second wait for their turn.
    let requests = u32::try_from(cloud.count(|_| true)).unwrap();
    let least = Duration::from_secs(1) * (requests - 4) / 4;
    assert!(begin.elapsed() >= least, "{requests} in {:?}", begin.elapsed());
}

#[tokio::test]
async fn a_round_in_which_all_was_read_is_0_with_the_exposition_on_stdout_and_a_line_for_each() {
    let cloud = two(3).await;
    let (_folder, flag) = folder_with(&discovering(&cloud).text(&cloud));
    let output = run(once(&flag, &["--log.level=error"])).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    // Strict: a sample with a timestamp fails here, as it does at the textfile collector.
    let exposition = Exposition::read(stdout(&output));
    promtool_accepts(exposition.text()).await;
    assert_eq!(exposition.values("clouddb_poll_success", &[]), [1.0; 2]);
    assert_eq!(exposition.values("clouddb_backup_last_success_age_seconds", &[]).len(), 2);
    assert_eq!(exposition.lines("process_"), Vec::<&str>::new());
    let mut lines: Vec<&str> = stderr(&output).lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, begin) in lines.iter().zip([
        "shop/rds/orders: ok, ",
        "shop/rds/pay: ok, ",
        "the instances of shop/rds: ok, 2 instances",
    ]) {
        assert!(line.starts_with(begin), "{line}");
    }
    assert!(lines[0].ends_with(" requests, 3 records"), "{lines:?}");
    assert!(!output.stderr.contains(&0x1b), "no bar without a terminal");
}

#[tokio::test]
async fn whatever_could_not_be_read_is_1_and_told_and_the_rest_is_shown() {
    let of = |fault: Fault, part: &'static str| {
        fault.when(move |request| request.path().ends_with(part))
    };
    for (fault, line, log, values) in [
        (
            backups_of(Fault::status(418), A),
            "shop/rds/orders: http_4xx, 1 requests, 0 records",
            "cannot poll shop/rds/orders: ",
            [0.0, 1.0].as_slice(),
        ),
        (
            of(Fault::status(418), "/instances"),
            "the instances of shop/rds: http_4xx, 0 instances",
            "cannot read the instances of shop/rds: ",
            &[],
        ),
        (
            of(Fault::status(418), "/backups/policy"),
            "the backup policy of shop/rds/orders: http_4xx",
            "cannot look up the backup policy of shop/rds/orders: ",
            &[1.0, 1.0],
        ),
        (
            of(Fault::status(418), "/restore-time"),
            "the times to restore to of shop/rds/pay: http_4xx",
            "cannot look up the times to restore to of shop/rds/pay: ",
            &[1.0, 1.0],
        ),
    ] {
        let cloud = two(1).await;
        cloud.fault(fault);
        let (_folder, flag) = folder_with(&discovering(&cloud).text(&cloud));
        let output = run(once(&flag, &[])).await;
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.lines().any(|it| it == line), "{line} in\n{told}");
        let logged = told.lines().find(|it| it.contains(log)).expect(told);
        for field in ["project=shop", "product=rds", "reason=http_4xx", "answered 418"] {
            assert!(logged.contains(field), "{field} in {logged}");
        }
        let exposition = Exposition::read(stdout(&output));
        assert_eq!(exposition.values("clouddb_poll_success", &[]), values, "{line}");
    }
}

#[tokio::test]
async fn a_config_that_would_not_start_is_2_and_asks_nothing() {
    let cloud = two(1).await;
    let good = discovering(&cloud).text(&cloud);
    let folder = TempDir::new().unwrap();
    let authority = folder.path().join("ca.pem");
    // In the right form, and no certificate all the same: that shows when it is to be used.
    fs::write(&authority, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let ca_file = format!("main: {{ ca_file: {}, ", authority.display());
    for (text, what) in [
        (format!("{good}surprise: 1\n"), "surprise: "),
        (good.replace("main: { ", &ca_file), "credentials.main.ca_file: "),
    ] {
        let (_folder, flag) = folder_with(&text);
        let output = run(once(&flag, &[])).await;
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
        assert!(stderr(&output).contains(what), "{}", stderr(&output));
    }
    assert_eq!(cloud.count(|_| true), 0);
    let (_folder, flag) = folder_with(&good);
    let output = run(once(&flag, &["--output=metrics.txt"])).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("`.prom`"), "{}", stderr(&output));
}

#[tokio::test]
async fn json_says_what_the_text_says() {
    let cloud = two(3).await;
    let (_folder, flag) = folder_with(&discovering(&cloud).text(&cloud));
    let output = run(once(&flag, &["--output=json"])).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let families: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = run(once(&flag, &["--output=text"])).await;
    let exposition = Exposition::read(stdout(&text));
    let names: Vec<&str> = families.iter().map(|it| it["name"].as_str().unwrap()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, exposition.families().keys().collect::<Vec<_>>());
    for family in &families {
        let of_text = &exposition.families()[family["name"].as_str().unwrap()];
        assert_eq!(family["type"].as_str(), Some(&*of_text.kind));
        let series = |name: &str, labels: String| format!("{name} {labels}");
        let samples = family["samples"].as_array().unwrap();
        let said: Vec<String> = samples
            .iter()
            .map(|it| series(it["name"].as_str().unwrap(), it["labels"].to_string()))
            .collect();
        let told: Vec<String> = of_text
            .samples
            .iter()
            .map(|(name, labels, _)| series(name, serde_json::to_string(labels).unwrap()))
            .collect();
        assert_eq!(said, told);
    }
    let size = families.iter().find(|it| it["name"] == "clouddb_backup_last_success_size_bytes");
    assert_eq!(size.unwrap()["samples"][0]["value"], 2000.0 * 1024.0);
}

#[tokio::test]
async fn a_file_for_the_textfile_collector_takes_the_place_of_the_old_one_whole() {
    let cloud = two(1).await;
    let (folder, flag) = folder_with(&discovering(&cloud).text(&cloud));
    let file = folder.path().join("backups.prom");
    fs::write(&file, "the old one").unwrap();
    let mut old = fs::File::open(&file).unwrap();
    // In the current folder, and with a mask that hides everything new.
    let script = format!("umask 077; cd {}; exec \"$@\"", folder.path().display());
    let mut command = Command::new("bash");
    command.args(["-c", &script, "bash", PROGRAM, "once", &flag, "--output=backups.prom"]);
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    // Who had it open reads the old one to its end.
    let mut text = String::new();
    old.read_to_string(&mut text).unwrap();
    assert_eq!(text, "the old one");
    let exposition = Exposition::read(&fs::read_to_string(&file).unwrap());
    promtool_accepts(exposition.text()).await;
    assert_eq!(exposition.values("clouddb_poll_success", &[]), [1.0; 2]);
    assert_eq!(exposition.lines("process_"), Vec::<&str>::new());
    assert!(!exposition.text().contains("clouddb_backup_last_success_age_seconds"));
    assert_eq!(exposition.values("clouddb_backup_last_success_timestamp_seconds", &[]).len(), 2);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(files(folder.path()), ["backups.prom"]);
}

#[tokio::test]
async fn the_old_file_stays_if_the_new_one_cannot_be_written() {
    let cloud = two(1).await;
    let (folder, flag) = folder_with(&discovering(&cloud).text(&cloud));
    let file = folder.path().join("backups.prom");
    fs::write(&file, "the old one").unwrap();
    let to_file = format!("--output={}", file.display());
    // No file may be longer than a kibibyte.
    let mut command = Command::new("bash");
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    command.args(["-c", script, "bash", PROGRAM, "once", &flag, &to_file]);
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let told = stderr(&output);
    assert!(told.contains(&format!("cannot write `{}`", file.display())), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "the old one");
    assert_eq!(files(folder.path()), ["backups.prom"]);

    // What can be known before the round is told before it.
    cloud.forget_requests();
    for nowhere in [folder.path().join("nowhere/a.prom"), folder.path().join("b.prom")] {
        fs::create_dir_all(folder.path().join("b.prom")).unwrap();
        let output = run(once(&flag, &[&format!("--output={}", nowhere.display())])).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(&nowhere.display().to_string()), "{}", stderr(&output));
        assert_eq!(cloud.count(|_| true), 0);
    }
}

#[tokio::test]
async fn a_signal_ends_it_with_a_message_and_nothing_is_written() {
    for signal in ["INT", "TERM"] {
        for to_file in [true, false] {
            let cloud = two(1).await;
            cloud.fault(backups_of(Fault::hang(), A));
            let (folder, flag) = folder_with(&discovering(&cloud).text(&cloud));
            let file = folder.path().join("backups.prom");
            fs::write(&file, "the old one").unwrap();
            let output = if to_file { file.to_str().unwrap() } else { "text" };
            let child = once(&flag, &[&format!("--output={output}")]).spawn().unwrap();
            let begin = Instant::now();
            while cloud.count(|seen| seen.path.ends_with("/backups")) == 0 {
                assert!(begin.elapsed() < PATIENCE);
                sleep(Duration::from_millis(10)).await;
            }
            let id = child.id().unwrap().to_string();
            let sent = Command::new("kill").args([&format!("-{signal}"), &id]).status().await;
            assert!(sent.unwrap().success());
            let ended = timeout(Duration::from_secs(5), child.wait_with_output()).await;
            let output = ended.expect("it ends within five seconds").unwrap();
            assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
            let told = stderr(&output);
            assert!(told.contains(&format!("ended by SIG{signal} after ")), "{told}");
            assert!(told.contains(" of 2 targets; nothing is written"), "{told}");
            assert!(output.stdout.is_empty());
            assert_eq!(fs::read_to_string(&file).unwrap(), "the old one");
            assert_eq!(files(folder.path()), ["backups.prom"]);
        }
    }
}

#[tokio::test]
async fn a_stdout_that_takes_nothing_is_1_and_a_signal_ends_the_wait_for_one_that_is_not_read() {
    let cloud = two(1).await;
    let (_folder, flag) = folder_with(&discovering(&cloud).text(&cloud));
    let mut full = once(&flag, &[]);
    full.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let ended = timeout(PATIENCE, full.spawn().unwrap().wait_with_output()).await;
    let output = ended.expect("it ends").unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot write to stdout"), "{}", stderr(&output));

    // More than a pipe holds, and nobody reads it.
    let many = two(1).await;
    many.change(|estate| {
        for at in 0..60 {
            estate.projects[0].rds.push(RdsInstance::new(&format!("{at:032x}in01"), "more"));
        }
    });
    let (_folder, flag) = folder_with(&discovering(&many).text(&many));
    let child = once(&flag, &["--log.level=error"]).spawn().unwrap();
    let begin = Instant::now();
    let id = child.id().unwrap();
    // It waits for the pipe when all is read, and is not at its end.
    let is_full = || {
        let seen = many.count(|seen| seen.path.ends_with("/restore-time"));
        let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
        let mut waits =
            tasks.filter_map(|it| fs::read_to_string(it.ok()?.path().join("wchan")).ok());
        seen >= 62 && waits.any(|wait| wait.contains("pipe_write"))
    };
    while !is_full() {
        assert!(begin.elapsed() < PATIENCE, "it does not wait for the pipe");
        sleep(Duration::from_millis(10)).await;
    }
    let sent = Command::new("kill").args(["-INT", &id.to_string()]).status().await;
    assert!(sent.unwrap().success());
    let mut child = child;
    let status = timeout(Duration::from_secs(5), child.wait()).await;
    assert_eq!(status.expect("it ends within five seconds").unwrap().code(), Some(1));
}

#[tokio::test]
async fn on_a_terminal_a_bar_shows_how_far_it_is_and_the_log_keeps_clear_of_it() {
    let cloud = two(250).await;
    cloud.fault(backups_of(Fault::status(418), A));
    // Where it stops there is something to see, however slow this machine is.
    cloud.fault(backups_of(Fault::hang(), B).after(2));
    let (folder, flag) = folder_with(&discovering(&cloud).text(&cloud));
    let (pid, screen) = (folder.path().join("pid"), folder.path().join("screen"));
    let script = format!(
        "stty cols 120; echo $$ > '{}'; exec '{PROGRAM}' once '{flag}' > /dev/null",
        pid.display()
    );
    let mut command = Command::new("script");
    command.args(["--quiet", "--flush", "--return", "--command", &script]).arg(&screen);
    command.env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let begin = Instant::now();
    let seen = || String::from_utf8_lossy(&fs::read(&screen).unwrap_or_default()).into_owned();
    // Pages of pages: there are three of a hundred records, and then the first one again.
    while !seen().contains(" 0/1 projects, [============>           ] 1/2 targets, 2/4 pages, ") {
        assert!(begin.elapsed() < PATIENCE, "last: {:?}", seen().split('\r').next_back());
        sleep(Duration::from_millis(10)).await;
    }
    let pid = fs::read_to_string(&pid).unwrap();
    let sent = Command::new("kill").args(["-INT", pid.trim()]).status().await;
    assert!(sent.unwrap().success());
    let status = timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(1), "{:?}", seen());
    let screen = seen();
    secrets::look_through(&screen);
    // The end of a line is `\r\n` there; the bar is taken away before a line comes.
    let lines = screen.split("\r\n").map(|line| line.rsplit("\u{1b}[2K").next().unwrap());
    let lines: Vec<&str> = lines.map(|line| line.trim_start_matches('\r')).collect();
    for told in ["cannot poll shop/rds/orders: ", "ended by SIGINT after 1 of 2 targets"] {
        let is_told = |line: &&str| line.starts_with("ts=") && line.contains(told);
        assert!(lines.iter().any(is_told), "{told} in {lines:?}");
    }
    assert!(lines.iter().any(|it| it.starts_with("shop/rds/orders: http_4xx, ")), "{lines:?}");
    assert!(!screen.contains(": ok, "), "what goes well is shown by the bar: {screen:?}");
    assert!(!screen.contains("1/1 projects"), "nothing is at its end: {screen:?}");
}
