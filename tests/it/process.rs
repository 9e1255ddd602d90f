//! The program as an operator runs it: processes, exit codes, signals.

use std::process::{Output, Stdio};
use std::time::Duration;

use clouddb_backup_exporter::sim::{
    Answer, Cloud, Estate, Fault, RdsBackup, RdsInstance, Service, estate,
};
use jiff::SignedDuration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::daemon::{Setup, keys, password};
use crate::exposition::Exposition;
use crate::running::{PATIENCE, PROGRAM, Running, crypto, folder_with};
use crate::secrets;

const ID: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";

async fn run(arguments: &[&str]) -> Output {
    let output = Command::new(PROGRAM).args(arguments).kill_on_drop(true).output();
    timeout(PATIENCE, output).await.expect("it ends").unwrap()
}

fn stdout(output: &Output) -> String {
    printed(&output.stdout)
}

fn stderr(output: &Output) -> String {
    printed(&output.stderr)
}

fn printed(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    secrets::look_through(&text);
    text
}

#[tokio::test]
async fn a_broken_config_never_starts_the_daemon_and_tells_every_problem() {
    let (_folder, flag) = folder_with(
        "poll:\n  interval: 5x\ncredentials:\n  main:\n    auth_url: http://iam.example/v3\n    \
         username: u\n    user_domain_name: d\n    password_file: /nowhere/password\nprojects:\n  \
         - name: shop\n    project_id: p\n    credentials: other\n    rds:\n      endpoint: \
         https://rds.example\n      instances:\n        - id: a\n        - id: a\n",
    );
    let check = run(&["check", &flag]).await;
    assert_eq!(check.status.code(), Some(2));
    let told = stdout(&check);
    for place in
        ["config.yaml:2:", "config.yaml:5:", "config.yaml:8:", "config.yaml:12:", "config.yaml:17:"]
    {
        assert!(told.contains(place), "{place} in\n{told}");
    }
    let serve = run(&[&flag]).await;
    assert_eq!(serve.status.code(), Some(2));
    for line in told.lines().filter(|line| line.contains("config.yaml:")) {
        let message = line.split("config.yaml:").nth(1).unwrap();
        let place = message.split(' ').next().unwrap();
        assert!(stderr(&serve).contains(place), "{place} in\n{}", stderr(&serve));
    }
    assert!(serve.stdout.is_empty());
}

#[tokio::test]
async fn a_config_that_is_not_there_is_told_by_its_path() {
    let output = run(&["check", "--config.file=/nowhere/config.yaml"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains("/nowhere/config.yaml"));
}

#[tokio::test]
async fn a_good_config_is_0_and_one_with_findings_is_1() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let setup = Setup { poll: "interval: 5m", ..Setup::new(&cloud) }.with_rds(ID, "name: a");
    let (_folder, flag) = folder_with(&setup.text(&cloud));
    let output = run(&["check", &flag]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("1 projects, 1 targets, 0 instance lists, 0 findings"));
    let same = run(&["--config.check", &flag]).await;
    assert_eq!((same.status, &same.stdout), (output.status, &output.stdout));

    let short = Setup { poll: "interval: 5s", ..setup };
    let (_folder, flag) = folder_with(&short.text(&cloud));
    let output = run(&["check", &flag]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("config.yaml:1:19: finding: poll.interval: "));
}

#[tokio::test]
async fn of_very_many_problems_a_hundred_are_told_and_first_what_keeps_the_daemon_from_starting() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let spare = "{ access_key: a, secret_key: s }";
    let spares: Vec<String> = (0..250).map(|at| format!("  spare{at}: {spare}\n")).collect();
    let spares = spares.concat();
    let setup = Setup { poll: "interval: 5m", ..Setup::new(&cloud) }.with_rds(ID, "name: a");
    let text = setup.text(&cloud).replace("credentials:\n", &format!("credentials:\n{spares}"));
    let (_folder, flag) = folder_with(&text);
    let output = run(&["check", &flag]).await;
    assert_eq!(output.status.code(), Some(1));
    let told = stdout(&output);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 102);
    assert!(lines[..100].iter().all(|line| line.contains(": finding: credentials.spare")));
    assert_eq!(lines[100], "and 150 more");
    assert!(
        lines[101].ends_with("1 projects, 1 targets, 0 instance lists, 250 findings"),
        "{told}"
    );

    let (_folder, flag) = folder_with(&format!("{text}surprise: 1\n"));
    let output = run(&["check", &flag]).await;
    assert_eq!(output.status.code(), Some(2));
    let told = stdout(&output);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 102);
    assert!(lines[0].contains(": surprise: "), "{told}");
    assert_eq!(lines[100], "and 151 more");
    assert!(lines[101].ends_with("251 problems; the daemon would not start"), "{told}");
    let serve = run(&[&flag]).await;
    assert_eq!(serve.status.code(), Some(2));
    let logged = stderr(&serve);
    assert!(logged.contains(": surprise: ") && logged.contains("and 151 more"), "{logged}");
    assert_eq!(logged.matches(": finding: ").count(), 99);
}

#[tokio::test]
async fn a_port_that_is_taken_is_exit_1_and_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let (_folder, flag) = folder_with(&Setup::new(&cloud).with_ddm().text(&cloud));
    let output = run(&[&flag, "--web.listen-address", &address]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&format!("cannot listen on `{address}`")));
}

#[tokio::test]
async fn version_tells_version_commit_and_compiler() {
    let output = run(&["--version"]).await;
    let line = stdout(&output);
    assert!(line.starts_with(concat!("clouddb-backup-exporter ", env!("CARGO_PKG_VERSION"))));
    assert!(line.contains("commit ") && line.contains("rustc 1."), "{line}");
    assert_eq!(output.status.code(), Some(0));
    let help = stdout(&run(&["--help"]).await);
    for word in ["serve", "check", "demo", "--config.file", "--web.listen-address", "--log.format"]
    {
        assert!(help.contains(word), "{word}");
    }
    assert_eq!(run(&["--no.such.flag"]).await.status.code(), Some(2));
}

#[tokio::test]
async fn sigterm_and_sigint_end_the_daemon_with_0_during_a_poll_and_during_a_pause() {
    crypto();
    let pause = || Fault::status(429).with_header("Retry-After", "600");
    for (signal, fault) in
        [("-TERM", Fault::hang()), ("-INT", Fault::hang()), ("-TERM", pause()), ("-INT", pause())]
    {
        let cloud = Cloud::start(Estate::new()).await.unwrap();
        cloud.fault(fault);
        let (_folder, flag) = folder_with(&Setup::new(&cloud).with_ddm().text(&cloud));
        let running = Running::start(&[&flag]).await;
        // The poll is under way, or has met the 429.
        running.until(|_| cloud.count(|_| true) > 0).await;
        assert_eq!(running.end(signal).await, Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_scrape_that_is_not_read_does_not_hold_the_end() {
    crypto();
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let (_folder, flag) = folder_with(&Setup::new(&cloud).with_ddm().text(&cloud));
    let running = Running::start(&[&flag]).await;
    let mut slow = tokio::net::TcpStream::connect(&running.address).await.unwrap();
    // More answers than the buffers of the sockets hold; none is read.
    let requests = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500);
    slow.write_all(requests.as_bytes()).await.unwrap();
    assert_eq!(running.get("/-/healthy").await, "healthy\n");
    assert_eq!(running.end("-TERM").await, Some(0));
}

#[tokio::test]
async fn a_connection_that_stays_open_does_not_hold_the_end() {
    crypto();
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let (_folder, flag) = folder_with(&Setup::new(&cloud).with_ddm().text(&cloud));
    let running = Running::start(&[&flag]).await;
    let mut idle = tokio::net::TcpStream::connect(&running.address).await.unwrap();
    idle.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    assert_eq!(running.end("-TERM").await, Some(0));
}

#[tokio::test]
async fn sighup_reads_the_config_again_and_without_its_flag_http_does_not() {
    crypto();
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let setup = Setup::new(&cloud).with_ddm();
    let (folder, flag) = folder_with(&setup.text(&cloud));
    let running = Running::start(&[&flag]).await;
    let client = reqwest::Client::builder().build().unwrap();
    let url = format!("http://{}/-/reload", running.address);
    assert_eq!(client.post(url).send().await.unwrap().status(), 403);

    std::fs::write(folder.path().join("config.yaml"), "nonsense").unwrap();
    running.signal("-HUP").await;
    let successful = "clouddb_exporter_config_last_reload_successful";
    running.until(|it| it.value(successful, &[]) == Some(0.0)).await;
    let more = setup.with_rds(ID, "name: a").text(&cloud);
    std::fs::write(folder.path().join("config.yaml"), more).unwrap();
    running.signal("-HUP").await;
    running.until(|it| it.values("clouddb_poll_success", &[]).len() == 2).await;
    assert_eq!(running.end("-TERM").await, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    crypto();
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let (_folder, flag) = folder_with(&Setup::new(&cloud).with_ddm().text(&cloud));
    let running = Running::start(&[&flag]).await;
    // Half a request: the first signal waits for the other half.
    let mut half = tokio::net::TcpStream::connect(&running.address).await.unwrap();
    half.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    // Connections are accepted in their order: that one was.
    assert_eq!(running.get("/-/healthy").await, "healthy\n");
    running.signal("-TERM").await;
    running.logged("stopping").await;
    let begin = Instant::now();
    assert_eq!(running.end("-TERM").await, Some(1));
    assert!(begin.elapsed() < Duration::from_secs(3), "the grace is four seconds");
}

#[tokio::test]
async fn a_target_that_stays_broken_is_logged_in_growing_gaps_and_when_it_recovers() {
    crypto();
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    cloud.fault(Fault::status(418).on(Service::Ddm));
    let (_folder, flag) = folder_with(&Setup::new(&cloud).with_ddm().text(&cloud));
    let running = Running::start(&[&flag]).await;
    running.until(|it| it.value("clouddb_poll_failures_total", &TEAPOT) >= Some(5.0)).await;
    cloud.clear_faults();
    running.until(|it| it.value("clouddb_poll_success", &[]) == Some(1.0)).await;
    running.logged("answers again").await;
    let lines = running.log();
    let failures = lines.iter().filter(|line| line.contains("cannot poll shop/ddm")).count();
    assert_eq!(failures, 3, "the first, second and fourth: {lines:?}");
    let first = lines.iter().find(|line| line.contains("cannot poll")).unwrap();
    for field in ["project=shop", "product=ddm", "reason=http_4xx", "failures=1", "answered 418"] {
        assert!(first.contains(field), "{field} in {first}");
    }
    assert_eq!(running.end("-TERM").await, Some(0));
}

const TEAPOT: [(&str, &str); 1] = [("reason", "http_4xx")];

#[tokio::test]
async fn no_secret_is_logged_or_served_whatever_goes_wrong() {
    crypto();
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let wrong = "hunter2-is-wrong";
    let echo = serde_json::json!({ "error_msg": format!("{wrong} and {}", estate::ACCESS_KEY) });
    for (fault, credential) in [
        (None, password(&cloud)),
        (None, password(&cloud).replace(estate::PASSWORD, wrong)),
        (Some(Fault::answer(Answer::json(403, &echo))), keys().replace(estate::SECRET_KEY, wrong)),
        (Some(Fault::body("no list")), keys()),
        (Some(Fault::close()), keys()),
    ] {
        cloud.clear_faults();
        if let Some(fault) = fault {
            cloud.fault(fault);
        }
        let setup = Setup { credential, ..Setup::new(&cloud) }.with_ddm();
        let (_folder, flag) = folder_with(&setup.text(&cloud));
        let running = Running::start(&[&flag, "--log.level=debug"]).await;
        running.until(|it| it.value("clouddb_polls_total", &[]) >= Some(1.0)).await;
        let said =
            [running.get("/metrics").await, running.get("/").await, running.log().join("\n")];
        for secret in [estate::PASSWORD, estate::ACCESS_KEY, estate::SECRET_KEY, wrong] {
            assert!(said.iter().all(|text| !text.contains(secret)), "{secret} in {said:?}");
        }
        assert_eq!(running.end("-TERM").await, Some(0));
    }
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used_for_loopback() {
    crypto();
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let (_folder, flag) = folder_with(&Setup::new(&cloud).with_ddm().text(&cloud));
    let proxy = [("http_proxy", "http://127.0.0.1:9"), ("HTTPS_PROXY", "http://127.0.0.1:9")];
    let running = Running::start_with(&[&flag], &proxy).await;
    running.until(|it| it.value("clouddb_poll_success", &[]) == Some(1.0)).await;
    assert_eq!(running.end("-TERM").await, Some(0));
}

#[tokio::test]
async fn the_daemon_serves_with_the_cloud_down_and_recovers_by_itself() {
    crypto();
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let setup = Setup::new(&cloud).with_ddm();
    cloud.fault(Fault::close());
    let (_folder, flag) = folder_with(&setup.text(&cloud));
    let running = Running::start(&[&flag]).await;
    running.until(|it| it.value("clouddb_polls_total", &[]) >= Some(1.0)).await;
    cloud.clear_faults();
    running.until(|it| it.value("clouddb_poll_success", &[]) == Some(1.0)).await;
    assert_eq!(running.end("-TERM").await, Some(0));
}

#[tokio::test]
async fn logs_go_to_stderr_in_the_format_asked_for() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let (_folder, flag) = folder_with(&Setup::new(&cloud).text(&cloud));
    let logfmt = run(&[&flag]).await;
    assert!(stderr(&logfmt).contains("level=error"), "{}", stderr(&logfmt));
    assert!(logfmt.stdout.is_empty());
    let json = run(&[&flag, "--log.format=json"]).await;
    assert!(json.stdout.is_empty() && !json.stderr.is_empty());
    for line in stderr(&json).lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        assert_eq!(line["level"], "ERROR");
    }
    assert!(!stderr(&json).contains(estate::PASSWORD));
}

#[tokio::test]
async fn the_demo_shows_all_six_instances_and_promtool_has_nothing_to_complain_about() {
    crypto();
    let begin = Instant::now();
    let running = Running::start(&["demo"]).await;
    let names = ["orders", "customers", "reports", "sandbox", "warehouse", "shop-router"];
    let exposition = running
        .until(|it| {
            names
                .iter()
                .all(|name| !it.values("clouddb_backups", &[("instance_name", name)]).is_empty())
        })
        .await;
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());

    let auto = |name| [("instance_name", name), ("backup_type", "auto")];
    let hours =
        |metric, name| exposition.value(metric, &auto(name)).map(|seconds| seconds / 3600.0);
    let age = "clouddb_backup_last_success_age_seconds";
    assert!(hours(age, "orders") < Some(26.0), "healthy");
    let attempt = "clouddb_backup_last_attempt_success";
    assert_eq!(exposition.value(attempt, &auto("customers")), Some(0.0), "failed");
    assert!(hours(age, "reports") > Some(52.0), "stale");
    assert_eq!(exposition.value(age, &auto("sandbox")), None, "never had a backup");
    let running_since = "clouddb_backup_running_since_timestamp_seconds";
    assert!(exposition.value(running_since, &auto("warehouse")).is_some(), "stuck");
    let router = [
        ("instance_name", "shop-router"),
        ("backup_type", "auto_metadata"),
        ("status", "completed"),
    ];
    assert_eq!(exposition.value("clouddb_backups", &router), Some(30.0));

    promtool_accepts(exposition.text()).await;
    let python = std::env::var("CLOUDDB_TEST_PYTHON")
        .expect("CLOUDDB_TEST_PYTHON names a Python with tests/requirements.txt; see tests/run");
    let script = "import sys; from prometheus_client.parser import text_string_to_metric_families \
                  as read; families = list(read(sys.stdin.read())); \
                  sys.exit(0 if len(families) > 30 else 'too few')";
    accepts(&python, &["-c", script], exposition.text()).await;
    assert_eq!(running.end("-INT").await, Some(0));
}

/// `promtool check metrics` has nothing to complain about in an exposition.
pub(crate) async fn promtool_accepts(text: &str) {
    let promtool = std::env::var("CLOUDDB_TEST_PROMTOOL")
        .expect("CLOUDDB_TEST_PROMTOOL names promtool; tests/run gets it and sets this");
    accepts(&promtool, &["check", "metrics"], text).await;
}

/// A program reads a text on its stdin and has nothing to say of it.
async fn accepts(program: &str, arguments: &[&str], text: &str) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{program}: {}{}", stdout(&output), stderr(&output));
    assert_eq!(stderr(&output), "", "{program}");
}

/// The memory of the process that runs the daemon. `docs/performance.md` has the figures of the
/// release profile, and how to see them.
#[tokio::test]
async fn twenty_instances_of_three_hundred_records_fit_into_25_mb() {
    crypto();
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let mut setup = Setup { poll: "interval: 1s", ..Setup::new(&cloud) };
    for at in 0..20 {
        let id = format!("{at:032x}in01");
        setup = setup.with_rds(&id, "name: x");
        cloud.change(|estate| {
            let now = cloud.clock().now();
            let backup = |hours: i64| {
                let begin = now - SignedDuration::from_hours(hours);
                RdsBackup::completed(&id, "auto", begin, begin + SignedDuration::from_mins(5), 2000)
            };
            let project = &mut estate.projects[0];
            project.rds.push(RdsInstance::new(&id, "x"));
            project.rds_backups.extend((1..=300).map(backup));
        });
    }
    let (_folder, flag) = folder_with(&setup.text(&cloud));
    let begin = Instant::now();
    let running = Running::start(&[&flag]).await;
    while running.get("/-/ready").await != "ready\n" {
        assert!(begin.elapsed() < PATIENCE);
        sleep(Duration::from_millis(5)).await;
    }
    let ready = begin.elapsed();
    let polls = 5.0 * 20.0;
    let polled = |it: &Exposition| {
        it.value("clouddb_polls_total", &[]) >= Some(polls)
            && it.values("clouddb_poll_records", &[]) == [300.0; 20]
    };
    let exposition = running.until(polled).await;
    let resident = exposition.value("process_resident_memory_bytes", &[]).unwrap();
    #[expect(clippy::print_stdout, reason = "the figures are shown with --nocapture")]
    {
        println!("ready after {ready:?}, {} kB resident after {polls} polls", resident / 1024.0);
    }
    // The code of the dev profile alone is 10 MB more.
    let most = if cfg!(debug_assertions) { 40e6 } else { 25e6 };
    assert!(resident < most, "{resident} bytes");
    assert_eq!(running.end("-TERM").await, Some(0));
}

#[tokio::test]
async fn the_demo_prints_where_to_look_and_no_password() {
    let mut running = Running::start(&["demo", "--web.telemetry-path=/probe"]).await;
    let mut printed = BufReader::new(running.child.stdout.take().unwrap()).lines();
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.contains("Ctrl-C")) {
        let line = timeout(PATIENCE, printed.next_line()).await.expect("it prints on").unwrap();
        lines.push(line.expect("it prints to the end"));
    }
    let printed = lines.join("\n");
    for line in [
        format!("status page:     http://{}/", running.address),
        format!("metrics:         http://{}/probe", running.address),
    ] {
        assert!(lines.contains(&line), "{line} in\n{printed}");
    }
    for part in ["IAM http://127.0.0.1:", "RDS http://127.0.0.1:", "DDM http://127.0.0.1:"] {
        assert!(printed.contains(part), "{part} in\n{printed}");
    }
    assert!(printed.contains("password: ***") && !printed.contains(estate::PASSWORD), "{printed}");
    assert_eq!(running.end("-INT").await, Some(0));
}

#[tokio::test]
async fn findings_are_logged_as_warnings_and_the_daemon_starts_all_the_same() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("--web.listen-address={}", taken.local_addr().unwrap());
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let (_folder, flag) = folder_with(&Setup::new(&cloud).with_ddm().text(&cloud));
    // The port is taken, so that it goes as far as that and ends.
    let told = stderr(&run(&[&flag, &address]).await);
    assert!(told.contains("level=warn") && told.contains("finding: poll.interval"), "{told}");
    assert!(told.contains("cannot listen on"), "{told}");
    let errors = stderr(&run(&[&flag, &address, "--log.level=error"]).await);
    assert!(!errors.contains("poll.interval") && errors.contains("cannot listen on"), "{errors}");
}

#[tokio::test]
async fn the_level_debug_logs_what_is_of_no_interest_otherwise() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let (_folder, flag) = folder_with(&Setup::new(&cloud).with_ddm().text(&cloud));
    let running = Running::start(&[&flag, "--log.level=debug"]).await;
    let mut odd = tokio::net::TcpStream::connect(&running.address).await.unwrap();
    odd.write_all(b"this is no HTTP\r\n\r\n").await.unwrap();
    running.logged("a connection ended badly").await;
    assert_eq!(running.end("-TERM").await, Some(0));
}
