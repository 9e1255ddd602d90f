//! What peers can do to the server, over raw sockets: nothing that keeps others out.

use std::io;
use std::time::Duration;

use clouddb_backup_exporter::sim::{Cloud, DdmBackup, Estate, estate};
use proptest::prelude::*;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::runtime::Runtime;
use tokio::time::{Instant, advance, pause, resume, sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::authority::Authority;
use crate::daemon::{Daemon, MOST_CONNECTIONS, Setup};
use crate::exposition::Exposition;
use crate::running::{PATIENCE, PROGRAM, Running, crypto, folder_with};
use crate::slowhttptest::{Attack, BODY, HEADERS, READING};

async fn quiet() -> (Cloud, Daemon) {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) };
    let daemon = Daemon::start(&setup.with_ddm().text(&cloud)).await;
    (cloud, daemon)
}

/// One with which TLS is spoken.
async fn with_tls() -> (Cloud, Daemon) {
    with_tls_of(&Authority::new()).await
}

async fn with_tls_of(authority: &Authority) -> (Cloud, Daemon) {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) };
    let leaf = authority.issue(&["localhost"], 2100);
    let files = [
        ("web.yaml", "tls_server_config: { cert_file: server.pem, key_file: key.pem }\n"),
        ("server.pem", &leaf.certificate),
        ("key.pem", &leaf.key),
    ];
    let daemon = Daemon::start_beside(&files, &setup.with_ddm().text(&cloud)).await;
    (cloud, daemon)
}

async fn connect(daemon: &Daemon) -> TcpStream {
    TcpStream::connect(daemon.url().split("//").nth(1).unwrap()).await.unwrap()
}

/// Everything that is answered to these bytes until the server closes. A reset counts as that.
async fn exchange(daemon: &Daemon, bytes: &[u8]) -> String {
    let mut stream = connect(daemon).await;
    stream.write_all(bytes).await.ok();
    rest(&mut stream).await
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is closed").ok();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether the server has closed a connection.
fn is_closed(stream: &TcpStream) -> bool {
    match stream.try_read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

#[tokio::test]
async fn when_all_places_are_taken_the_connection_idle_for_longest_makes_room() {
    let (_cloud, daemon) = quiet().await;
    let mut idle = Vec::new();
    for _ in 0..3 * MOST_CONNECTIONS {
        idle.push(connect(&daemon).await);
    }
    let answer = timeout(PATIENCE, daemon.get("/metrics")).await.expect("there is room");
    assert_eq!(answer.status, 200);
    // Those that came first have gone, and no more than had to.
    let begin = Instant::now();
    let must_go = 2 * MOST_CONNECTIONS + 1;
    while !idle[..must_go].iter().all(is_closed) {
        assert!(
            begin.elapsed() < PATIENCE,
            "{} are closed",
            idle.iter().filter(|it| is_closed(it)).count()
        );
        sleep(Duration::from_millis(10)).await;
    }
    assert!(!idle[must_go..].iter().any(is_closed));
    let exposition = daemon.metrics().await;
    let crowded = [("reason", "crowded")];
    let crowded = exposition.value("clouddb_exporter_web_refusals_total", &crowded).unwrap();
    assert_eq!(crowded, must_go as f64);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn peers_that_send_slowly_and_peers_that_never_shake_hands_keep_nobody_out() {
    let (_cloud, daemon) = quiet().await;
    let mut slow = Vec::new();
    for _ in 0..2 * MOST_CONNECTIONS {
        let mut stream = connect(&daemon).await;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await.ok();
        slow.push(stream);
    }
    for _ in 0..10 {
        for stream in &mut slow {
            stream.write_all(b"x").await.ok();
        }
        let answer = timeout(PATIENCE, daemon.get("/-/healthy")).await.expect("there is room");
        assert_eq!(answer.status, 200);
    }
    daemon.stop().await.unwrap();

    let (_cloud, daemon) = with_tls().await;
    let mut silent = connect(&daemon).await;
    // A whole exchange behind it, so that it was accepted.
    exchange(&daemon, b"no handshake").await;
    pause();
    advance(Duration::from_secs(10)).await;
    resume();
    rest(&mut silent).await;
    daemon.stop().await.unwrap();
}

/// Asks for more than fits between the two, and takes none of it.
async fn greedy<S: AsyncWrite + Unpin>(mut stream: S) -> S {
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    // Until neither side's system takes more.
    while let Ok(Ok(())) = timeout(Duration::from_millis(200), stream.write_all(&request)).await {}
    stream
}

/// Lets half a minute pass, after which a peer is gone that took nothing: not only after the minute in
/// which it has to take the whole.
async fn is_cut_off<S: AsyncWrite + Unpin>(greedy: Vec<S>) {
    pause();
    advance(Duration::from_secs(31)).await;
    resume();
    for mut stream in greedy {
        let gone = async {
            while stream.write_all(b"x").await.is_ok() && stream.flush().await.is_ok() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), gone).await.expect("it is cut off");
    }
}

#[tokio::test]
async fn peers_that_do_not_read_keep_nobody_out_and_are_cut_off() {
    let (_cloud, daemon) = quiet().await;
    let peers = vec![greedy(connect(&daemon).await).await, greedy(connect(&daemon).await).await];
    assert_eq!(timeout(PATIENCE, daemon.get("/metrics")).await.expect("an answer").status, 200);
    is_cut_off(peers).await;
    daemon.stop().await.unwrap();

    let authority = Authority::new();
    let (_cloud, daemon) = with_tls_of(&authority).await;
    let name = ServerName::try_from("localhost").unwrap();
    let client = TlsConnector::from(authority.client(None));
    let stream = client.connect(name, connect(&daemon).await).await.unwrap();
    is_cut_off(vec![greedy(stream).await]).await;
    daemon.stop().await.unwrap();
}

/// What presses on the server, how large its exposition is, and for how many seconds.
struct Load {
    instances: usize,
    idle: usize,
    slow: usize,
    seconds: u64,
}

/// More than there are places.
const LOAD: Load = Load { instances: 300, idle: 600, slow: 50, seconds: 6 };
/// That of `docs/security.md`, with `CLOUDDB_FULL_LOAD`: 25 MB.
const FULL_LOAD: Load = Load { instances: 5600, idle: 1000, slow: 50, seconds: 90 };
/// What Prometheus waits for a scrape unless it is told otherwise.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the figures of the measured run")]
async fn under_idle_slow_and_greedy_peers_a_scrape_is_answered_polls_go_on_and_memory_has_a_bound()
{
    crypto();
    let is_full = std::env::var_os("CLOUDDB_FULL_LOAD").is_some();
    let load = if is_full { FULL_LOAD } else { LOAD };
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let now = cloud.clock().now();
    cloud.change(|estate| {
        for at in 0..load.instances {
            let id = format!("{at:032x}in09");
            let backup = DdmBackup::normal(&id, &id, "auto_metadata", now, now);
            estate.projects[0].ddm_backups.push(backup);
        }
    });
    let setup = Setup { poll: "interval: 2s", ..Setup::new(&cloud) };
    let (_folder, flag) = folder_with(&setup.with_ddm().text(&cloud));
    let running = Running::start(&[&flag]).await;
    let is_whole =
        |it: &Exposition| it.values("clouddb_instance_info", &[]).len() == load.instances;
    let before = running.until(is_whole).await;
    let mut attacks = [HEADERS, READING, BODY]
        .map(|mode| Attack::start(mode, load.slow, load.seconds, &running.address));
    let mut idle = Vec::new();
    for _ in 0..load.idle {
        idle.push(TcpStream::connect(&running.address).await.unwrap());
    }
    let polls = |it: &Exposition| it.value("clouddb_polls_total", &[]).unwrap();
    let resident = |it: &Exposition| it.value("process_resident_memory_bytes", &[]).unwrap();
    let (mut most, mut slowest, mut scrapes) = (0_f64, Duration::ZERO, 0);
    let begin = Instant::now();
    loop {
        let asked = Instant::now();
        let text = timeout(SCRAPE_TIMEOUT, running.get("/metrics")).await.expect("an answer");
        slowest = slowest.max(asked.elapsed());
        scrapes += 1;
        let after = Exposition::read(&text);
        assert!(is_whole(&after));
        most = most.max(resident(&after));
        // A few versions of the exposition, each plain and packed, and what is next.
        let bound = resident(&before) + 6.0 * text.len() as f64 + 64.0 * 1024.0 * 1024.0;
        assert!(most < bound, "{most} bytes instead of {}", resident(&before));
        if polls(&after) >= polls(&before) + 3.0 && attacks.iter_mut().all(Attack::is_over) {
            let refusals = |reason| {
                after.value("clouddb_exporter_web_refusals_total", &[("reason", reason)]).unwrap()
            };
            println!(
                "exposition {} bytes, memory {} before, {most} at most, {scrapes} scrapes, the \
                 slowest {slowest:?}, {} polls, crowded {}, slow {}",
                text.len(),
                resident(&before),
                polls(&after) - polls(&before),
                refusals("crowded"),
                refusals("slow"),
            );
            break;
        }
        assert!(begin.elapsed() < PATIENCE + Duration::from_secs(load.seconds), "no end");
        sleep(Duration::from_millis(100)).await;
    }
    for (at, attack) in attacks.into_iter().enumerate() {
        let report = attack.report().await;
        if is_full {
            println!("{}", report.text());
        }
        let available = report.all("service available:");
        assert!(!available.is_empty(), "{}", report.text());
        assert!(available.iter().all(|it| *it == "YES"), "{}", report.text());
        if at == 2 {
            // Nobody reads a body.
            let end = report.all("Exit status:");
            assert_eq!(end, ["No open connections left"], "{}", report.text());
        } else {
            let connected = report.all("connected:");
            assert!(connected.iter().any(|it| *it != "0"), "{}", report.text());
        }
    }
    drop(idle);
    assert_eq!(running.end("-TERM").await, Some(0));
}

#[tokio::test]
async fn a_request_of_too_many_bytes_or_headers_is_refused() {
    let (_cloud, daemon) = quiet().await;
    let long = "x".repeat(20_000);
    for request in [
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(200)),
    ] {
        let answer = exchange(&daemon, request.as_bytes()).await;
        // Who still sends when the server closes may lose the answer to a reset.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let endless = async {
        let mut stream = connect(&daemon).await;
        stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    };
    timeout(PATIENCE, endless).await.expect("it is closed");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_just_within_the_bounds_of_a_request_is_answered_and_what_is_just_beyond_is_not() {
    const MOST: usize = 16 * 1024;
    let (_cloud, daemon) = quiet().await;
    let end = "Connection: close\r\n\r\n";
    for (headers, status) in [(99, "200"), (100, "431")] {
        let more = "X: y\r\n".repeat(headers);
        let answer = exchange(&daemon, format!("GET / HTTP/1.1\r\n{more}{end}").as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{headers}: {answer}");
    }
    let [line, header] = ["GET /", "GET / HTTP/1.1\r\nX: "].map(|begin| {
        move |bytes: usize| {
            let rest = if begin.ends_with('/') { " HTTP/1.1\r\n" } else { "\r\n" };
            let room = bytes - begin.len() - rest.len() - end.len();
            format!("{begin}{}{rest}{end}", "x".repeat(room))
        }
    });
    for (what, request, status) in
        [("line", line(MOST - 1), "404"), ("header", header(MOST - 1), "200")]
    {
        assert_eq!(request.len(), MOST - 1);
        let answer = exchange(&daemon, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
    }
    // Without its end, so that nothing is left unread, for which the answer would be lost.
    for (what, request) in [("line", line(MOST + 100)), ("header", header(MOST + 100))] {
        let answer = exchange(&daemon, &request.as_bytes()[..MOST]).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{what}: {answer}");
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn both_versions_of_http_kept_connections_and_requests_in_a_row_are_answered() {
    let (_cloud, daemon) = quiet().await;
    let old = exchange(&daemon, b"GET /-/healthy HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 ") && old.ends_with("\r\n\r\nhealthy\n"), "{old}");
    let row = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n\
                HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n\
                POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n\
                GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answers = exchange(&daemon, row).await;
    let statuses: Vec<&str> =
        answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "405", "404"], "{answers}");
    assert!(answers.contains("allow: GET, HEAD\r\n"), "{answers}");
    assert!(!answers.contains("# HELP"), "HEAD has no body");

    let mut kept = connect(&daemon).await;
    for _ in 0..3 {
        kept.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("healthy\n") {
            let mut bytes = [0; 512];
            let read = timeout(PATIENCE, kept.read(&mut bytes)).await.expect("an answer").unwrap();
            assert!(read > 0, "{answer}");
            answer += std::str::from_utf8(&bytes[..read]).unwrap();
        }
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_is_refused_and_is_not_taken_for_the_next_request() {
    let (_cloud, daemon) = quiet().await;
    let smuggled = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
    for request in [
        format!(
            "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{smuggled}",
            smuggled.len()
        ),
        format!(
            "GET /-/healthy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n",
            smuggled.len()
        ),
        "POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\nx".to_owned(),
    ] {
        let answer = exchange(&daemon, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
    daemon.stop().await.unwrap();
}

/// Bytes that are nearly a request.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        "(GET|HEAD|POST|OPTIONS|CONNECT|TRACE|PRI) ".prop_map(String::into_bytes),
        "(/|/metrics|/-/healthy|\\*|x:1|http://x/metrics|/%zz|/\\?=) ".prop_map(String::into_bytes),
        "HTTP/(1\\.1|1\\.0|2\\.0|9)\r\n".prop_map(String::into_bytes),
        "(Host|Content-Length|Transfer-Encoding|Connection|Authorization|Accept-Encoding|Expect|Upgrade): "
            .prop_map(String::into_bytes),
        "(x|-1|99999999999999999999|chunked|close|Basic Og==|gzip;q=x|100-continue|h2c)\r\n"
            .prop_map(String::into_bytes),
        Just(b"\r\n".to_vec()),
        Just(b"\x16\x03\x01\x02\x00\x01".to_vec()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn no_bytes_end_the_server_or_panic_it() {
    let runtime = Runtime::new().unwrap();
    let ((_cloud, daemon), (_cloud_of_tls, daemon_of_tls)) =
        runtime.block_on(async { (quiet().await, with_tls().await) });
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) };
    proptest!(config, |(bytes in bytes())| {
        runtime.block_on(async {
            for daemon in [&daemon, &daemon_of_tls] {
                let mut stream = connect(daemon).await;
                stream.write_all(&bytes).await.ok();
                stream.shutdown().await.ok();
                let answer = rest(&mut stream).await;
                assert!(answer.is_empty() || answer.starts_with("HTTP/1.") || answer.starts_with('\u{15}'), "{answer}");
            }
            // A panic of a connection would show as no answer at all; that of the server as this.
            assert_eq!(daemon.get("/-/healthy").await.status, 200);
        });
    });
    runtime.block_on(async {
        daemon.stop().await.unwrap();
        daemon_of_tls.stop().await.unwrap();
    });
}

async fn limit_files(id: u32, limits: &str) {
    let id = id.to_string();
    let limit = format!("--nofile={limits}");
    let set = Command::new("prlimit").args(["--pid", &id, &limit]).status();
    assert!(set.await.expect("prlimit, of util-linux").success());
}

#[tokio::test]
async fn without_file_descriptors_the_server_waits_and_goes_on_when_there_are_some() {
    crypto();
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) };
    let (_folder, flag) = folder_with(&setup.with_ddm().text(&cloud));
    let running = Running::start(&[&flag]).await;
    let most = running.get("/metrics").await;
    let most = Exposition::read(&most).value("process_max_fds", &[]).unwrap();
    let id = running.child.id().unwrap();
    limit_files(id, "3:").await;
    let begin = Instant::now();
    let waiting = TcpStream::connect(&running.address).await.unwrap();
    running.logged("cannot accept connections").await;
    // For a few tries more.
    sleep(Duration::from_millis(500)).await;
    limit_files(id, &format!("{most}:")).await;
    let failed = [("reason", "accept")];
    let exposition = running
        .until(|it| it.value("clouddb_exporter_web_refusals_total", &failed) >= Some(1.0))
        .await;
    let failures = exposition.value("clouddb_exporter_web_refusals_total", &failed).unwrap();
    // One in each tenth of a second, and none in between.
    let most = begin.elapsed().as_secs_f64() / 0.1 + 1.0;
    assert!((1.0..=most).contains(&failures), "{failures} and at most {most}");
    drop(waiting);
    assert_eq!(running.log().iter().filter(|it| it.contains("cannot accept")).count(), 1);
    assert_eq!(running.end("-TERM").await, Some(0));
}

#[tokio::test]
async fn the_limit_of_open_files_is_raised_as_far_as_it_goes_and_the_polls_keep_a_part_of_it() {
    crypto();
    let cloud = Cloud::start(estate::demo(clouddb_backup_exporter::clock::Clock::system().now()))
        .await
        .unwrap();
    let text = Setup::new(&cloud).with_ddm().text(&cloud);
    let text = text.replace(estate::PROJECT_ID, estate::DEMO_PROJECT_ID);
    let (_folder, flag) = folder_with(&text);
    // `Running` starts the program itself; a shell in between sets the limits.
    let script = format!("ulimit -S -n 32; ulimit -H -n 80; exec {PROGRAM} \"$@\"");
    let running = Running::start_by("sh", &["-c", &script, "sh", &flag]).await;
    let exposition = running.until(|_| true).await;
    assert_eq!(exposition.value("process_max_fds", &[]), Some(80.0));
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(&running.address).await.unwrap());
    }
    let polls = |it: &Exposition| it.value("clouddb_polls_total", &[]).unwrap();
    let before = polls(&running.until(|_| true).await);
    let after = running.until(|it| polls(it) >= before + 3.0).await;
    // What is rendered ahead may be older than what is counted.
    let failures = after.values("clouddb_poll_failures_total", &[]);
    assert!(failures.iter().all(|count| *count == 0.0), "{failures:?}");
    running.until(|it| it.value("clouddb_poll_success", &[]) == Some(1.0)).await;
    assert!(after.value("process_open_fds", &[]) < Some(80.0));
    let failed = [("reason", "accept")];
    assert_eq!(after.value("clouddb_exporter_web_refusals_total", &failed), Some(0.0));
    assert_eq!(running.end("-TERM").await, Some(0));
}
