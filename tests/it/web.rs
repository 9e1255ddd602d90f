//! What the server answers.

use std::io::{self, Read};
use std::time::Duration;

use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::metric;
use clouddb_backup_exporter::sim::{Cloud, Estate, Fault, Service, estate};
use flate2::read::GzDecoder;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{advance, pause, resume, timeout};

use crate::daemon::{Daemon, Setup};
use crate::exposition::Exposition;

/// Longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The daemon on the estate of the demo, with every kind of series.
pub(crate) async fn demo() -> (Cloud, Daemon) {
    demo_with("interval: 1s", Clock::system()).await
}

/// The same with another block `poll` and on another clock, after all that it asks at first.
pub(crate) async fn demo_with(poll: &str, clock: Clock) -> (Cloud, Daemon) {
    let cloud = Cloud::start(estate::demo(Clock::system().now())).await.unwrap();
    let keys = "discover: true\nrestore_window: true";
    let setup = Setup { poll, ..Setup::new(&cloud) };
    let mut setup = setup.with_ddm().with_rds_keys(keys);
    for instance in cloud.estate().projects[0].primaries() {
        setup = setup
            .with_rds(&instance.id, &format!("name: {}, labels: {{ team: blue }}", instance.name));
    }
    let text = setup.text(&cloud).replace(estate::PROJECT_ID, estate::DEMO_PROJECT_ID);
    let daemon = Daemon::start_at(&text, clock).await;
    daemon.after_polls(1.0).await;
    let looked_up = |exposition: &Exposition| {
        let lookups = exposition.values("clouddb_lookup_success", &[]);
        lookups.len()
            == 2 + 2 * exposition.values("clouddb_poll_success", &[("product", "rds")]).len()
    };
    daemon.until(looked_up).await;
    (cloud, daemon)
}

async fn ask(daemon: &Daemon, method: Method, path: &str) -> reqwest::Response {
    let url = format!("{}{path}", daemon.url());
    Client::builder().build().unwrap().request(method, url).send().await.unwrap()
}

/// A client that neither asks for gzip nor unpacks it.
pub(crate) fn without_gzip() -> Client {
    Client::builder().no_gzip().build().unwrap()
}

pub(crate) async fn body(mut response: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    body
}

#[tokio::test]
async fn every_series_is_declared_with_its_help_its_type_and_its_labels() {
    let (_cloud, daemon) = demo().await;
    let exposition = daemon.metrics().await;
    for metric in metric::ALL {
        let family = exposition.families().get(metric.name);
        let family = family.unwrap_or_else(|| panic!("{} has no series here", metric.name));
        assert_eq!(family.help, metric.help, "{}", metric.name);
        assert_eq!(family.kind, metric.kind.word(), "{}", metric.name);
        for (_, labels, _) in &family.samples {
            for declared in metric.labels.iter().filter(|name| **name != metric::OPEN_LABELS) {
                assert!(labels.contains_key(*declared), "{} has no {declared}", metric.name);
            }
            let known = |name: &str| {
                metric.labels.contains(&name)
                    || name == "le" && metric.kind == metric::Kind::Histogram
                    || name.starts_with("label_") && metric.labels.contains(&metric::OPEN_LABELS)
            };
            assert!(labels.keys().all(|name| known(name)), "{}: {labels:?}", metric.name);
        }
    }
    let own = |name: &&String| !name.starts_with("process_");
    assert_eq!(exposition.families().keys().filter(own).count(), metric::ALL.len());
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn counts_are_zero_filled_over_all_statuses_for_every_pair_with_series() {
    let (_cloud, daemon) = demo().await;
    let exposition = daemon.metrics().await;
    let expected = exposition.families()["clouddb_backup_expected"].samples.len();
    for name in ["clouddb_backups", "clouddb_backup_bytes"] {
        assert_eq!(exposition.families()[name].samples.len(), 5 * expected);
    }
    let sandbox = [("instance_name", "sandbox"), ("backup_type", "auto")];
    assert_eq!(exposition.value("clouddb_backup_expected", &sandbox), Some(1.0));
    assert_eq!(exposition.values("clouddb_backups", &sandbox), [0.0; 5]);
    assert_eq!(exposition.value("clouddb_backup_max_age_seconds", &sandbox), Some(93_600.0));
    for absent in ["last_success_timestamp_seconds", "last_attempt_success", "size_baseline_bytes"]
    {
        assert_eq!(exposition.value(&format!("clouddb_backup_{absent}"), &sandbox), None);
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn an_instance_has_exactly_one_info_and_at_most_one_status() {
    let (_cloud, daemon) = demo().await;
    let exposition = daemon.metrics().await;
    for name in ["orders", "customers", "reports", "sandbox", "warehouse", "shop-router"] {
        let labels = [("instance_name", name)];
        assert_eq!(exposition.values("clouddb_instance_info", &labels), [1.0], "{name}");
    }
    let orders = [("instance_name", "orders"), ("engine", "MySQL")];
    assert_eq!(exposition.value("clouddb_instance_info", &orders), Some(1.0));
    let router = [("instance_name", "shop-router")];
    assert_eq!(exposition.values("clouddb_instance_status", &router), [1.0]);
    let blue = [("instance_name", "orders"), ("label_team", "blue")];
    assert_eq!(exposition.value("clouddb_instance_labels", &blue), Some(1.0));
    let project = [("project", "shop"), ("project_id", estate::DEMO_PROJECT_ID)];
    assert_eq!(exposition.value("clouddb_project_info", &project), Some(1.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn metrics_are_text_0_0_4_and_packed_only_when_gzip_is_accepted() {
    let (_cloud, daemon) = demo().await;
    let plain = without_gzip().get(format!("{}/metrics", daemon.url()));
    let plain = plain.send().await.unwrap();
    assert_eq!(plain.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(plain.headers().get("content-encoding").is_none());
    let plain = body(plain).await;

    let packed = without_gzip()
        .get(format!("{}/metrics", daemon.url()))
        .header("Accept-Encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert_eq!(packed.headers()["vary"], "Accept-Encoding");
    let packed = body(packed).await;
    assert!(packed.len() < plain.len() / 4);
    let mut unpacked = String::new();
    GzDecoder::new(&*packed).read_to_string(&mut unpacked).unwrap();
    let names = |text: &str| Exposition::read(text).families().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&unpacked), names(&String::from_utf8(plain).unwrap()));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn an_exposition_has_its_length_and_head_has_its_headers() {
    let (_cloud, daemon) = demo_with("interval: 1h", Clock::system()).await;
    for coding in ["identity", "gzip"] {
        let [get, head] = [Method::GET, Method::HEAD].map(|method| {
            let request = without_gzip().request(method, format!("{}/metrics", daemon.url()));
            request.header("Accept-Encoding", coding).send()
        });
        let (get, head) = (get.await.unwrap(), head.await.unwrap());
        let length = |of: &HeaderMap| of["content-length"].to_str().unwrap().parse().unwrap();
        let names = |of: &HeaderMap| of.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(get.headers()), names(head.headers()));
        for name in ["content-type", "content-encoding", "vary"] {
            assert_eq!(get.headers().get(name), head.headers().get(name));
        }
        // Ages and what the process used have other digits.
        let [of_get, of_head]: [usize; 2] = [get.headers(), head.headers()].map(length);
        assert!(of_get.abs_diff(of_head) < of_get / 10, "{of_get} and {of_head}");
        assert_eq!(body(get).await.len(), of_get, "{coding}");
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn paths_and_methods_that_are_not_served_say_so() {
    let (_cloud, daemon) = demo().await;
    for path in ["/nothing", "/metrics/", "/-/reload/", "/-/", "//"] {
        assert_eq!(ask(&daemon, Method::GET, path).await.status(), 404, "{path}");
    }
    for path in ["/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/status"] {
        assert_eq!(ask(&daemon, Method::GET, path).await.status(), 200, "{path}");
        let head = without_gzip().head(format!("{}{path}", daemon.url()));
        let head = head.send().await.unwrap();
        assert_eq!(head.status(), 200, "{path}");
        assert!(head.headers()["content-length"] != "0", "{path}");
        assert!(body(head).await.is_empty(), "{path}");
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let refused = ask(&daemon, method, path).await;
            assert_eq!(refused.status(), 405, "{path}");
            assert_eq!(refused.headers()["allow"], "GET, HEAD", "{path}");
        }
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn ready_waits_for_the_first_round_and_never_goes_back() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let id = "a48e43ff268f4c0e879652d65e63d0fbin01";
    let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) };
    cloud.fault(Fault::hang().on(Service::Iam));
    let daemon = Daemon::start(&setup.with_rds(id, "name: a").text(&cloud)).await;
    assert_eq!(daemon.get("/-/healthy").await.status, 200);
    assert_eq!(daemon.get("/-/ready").await.status, 503);
    daemon.stop().await.unwrap();

    // A round in which everything fails has been tried.
    cloud.clear_faults();
    cloud.fault(Fault::status(500).on(Service::Iam));
    let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) };
    let daemon = Daemon::start(&setup.with_rds(id, "name: a").text(&cloud)).await;
    daemon.after_polls(1.0).await;
    assert_eq!(daemon.get("/-/ready").await.status, 200);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn ready_comes_after_the_interval_at_the_latest() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    cloud.fault(Fault::hang().on(Service::Iam));
    let id = "a48e43ff268f4c0e879652d65e63d0fbin01";
    let daemon = Daemon::start(&Setup::new(&cloud).with_rds(id, "name: a").text(&cloud)).await;
    // The interval is one second.
    let begin = tokio::time::Instant::now();
    while daemon.get("/-/ready").await.status != 200 {
        assert!(begin.elapsed().as_secs() < 20);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(daemon.metrics().await.value("clouddb_polls_total", &[]), Some(0.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_path_that_is_not_there_is_404_for_every_method() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let daemon = Daemon::start(&Setup::new(&cloud).with_ddm().text(&cloud)).await;
    for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
        assert_eq!(ask(&daemon, method, "/nothing").await.status(), 404);
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn gzip_is_found_in_each_of_several_headers() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let daemon = Daemon::start(&Setup::new(&cloud).with_ddm().text(&cloud)).await;
    let request = without_gzip().get(format!("{}/metrics", daemon.url()));
    let request = request.header("Accept-Encoding", "br").header("Accept-Encoding", "gzip");
    assert_eq!(request.send().await.unwrap().headers()["content-encoding"], "gzip");
    // Caches must not hand the one to those who want the other.
    let plain = without_gzip().get(format!("{}/metrics", daemon.url())).send().await.unwrap();
    assert_eq!(plain.headers()["vary"], "Accept-Encoding");
    daemon.stop().await.unwrap();
}

/// A connection of its own to the daemon.
async fn connect(daemon: &Daemon) -> io::Result<TcpStream> {
    TcpStream::connect(daemon.url().trim_start_matches("http://")).await
}

#[tokio::test]
async fn a_scrape_that_runs_when_the_end_is_asked_for_is_answered_while_nobody_else_may_connect() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let daemon = Daemon::start(&Setup::new(&cloud).with_ddm().text(&cloud)).await;
    let mut running = connect(&daemon).await.unwrap();
    running.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    // A whole exchange behind it: the server has seen what was written before.
    daemon.get("/-/healthy").await;
    let address = daemon.url().trim_start_matches("http://").to_owned();
    let stopped = tokio::spawn(daemon.stop());
    while TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopped.is_finished());
    running.write_all(b"\r\n").await.unwrap();
    let mut answer = String::new();
    running.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("clouddb_polls_total{"), "{answer}");
    stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_sends_no_request_is_closed_after_a_while() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) };
    let daemon = Daemon::start(&setup.with_ddm().text(&cloud)).await;
    let mut slow = connect(&daemon).await.unwrap();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    daemon.get("/-/healthy").await;
    pause();
    advance(Duration::from_secs(120)).await;
    resume();
    let mut rest = Vec::new();
    timeout(PATIENCE, slow.read_to_end(&mut rest)).await.expect("it is closed").ok();
    assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_ended_makes_room_for_another() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let daemon = Daemon::start(&Setup::new(&cloud).with_ddm().text(&cloud)).await;
    // More than may be open at a time.
    for _ in 0..600 {
        drop(connect(&daemon).await.unwrap());
    }
    let answer = timeout(PATIENCE, daemon.get("/-/healthy")).await.expect("there is room");
    assert_eq!(answer.status, 200);
    daemon.stop().await.unwrap();
}
