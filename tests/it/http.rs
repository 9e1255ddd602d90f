//! Bodies at their limit, and what is told of a request that failed.

use std::io::Write;
use std::time::Duration;

use clouddb_backup_exporter::http::{self, Http};
use clouddb_backup_exporter::sim::{Answer, Cloud, Estate, Fault, Service};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Url;
use tokio::net::TcpListener;

use crate::daemon::{Daemon, Setup};

/// A list without records, of so many bytes.
fn padded(bytes: usize) -> Vec<u8> {
    let mut body = br#"{"backups":[],"total":0}"#.to_vec();
    body.resize(bytes, b' ');
    body
}

fn packed(body: &[u8]) -> Answer {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    let body = encoder.finish().unwrap();
    Answer::text(200, body).with_header("Content-Encoding", "gzip")
}

#[tokio::test]
async fn a_body_of_8_mib_is_read_and_one_byte_more_is_refused_packed_or_not() {
    const MOST: usize = 8 << 20;
    for (bytes, refused) in [(MOST, 0.0), (MOST + 1, 1.0)] {
        for answer in [Answer::text(200, padded(bytes)), packed(&padded(bytes))] {
            let cloud = Cloud::start(Estate::new()).await.unwrap();
            cloud.fault(Fault::answer(answer).on(Service::Ddm));
            let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) };
            let daemon = Daemon::start(&setup.with_ddm().text(&cloud)).await;
            let exposition = daemon.after_polls(1.0).await;
            let limit = exposition.value("clouddb_poll_failures_total", &[("reason", "limit")]);
            assert_eq!(limit, Some(refused), "{bytes} bytes");
            assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(1.0 - refused));
            daemon.stop().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_fault_names_the_host_and_neither_path_nor_query() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = Url::parse(&format!("http://{free}")).unwrap();
    let request = http::get(&url, "/v3/sesame/backups", "instance_id=sesame");
    let http = Http::new(None).unwrap();
    let fault = http.exchange(request, Duration::from_secs(10)).await.unwrap_err();
    assert!(fault.message.starts_with(&format!("no answer of {free}: ")), "{fault}");
    assert!(!fault.message.contains("sesame"), "{fault}");
}

#[test]
fn a_request_without_a_query_has_no_question_mark() {
    let url = Url::parse("https://rds.example/").unwrap();
    assert_eq!(http::get(&url, "/v3/p", "").url().as_str(), "https://rds.example/v3/p");
    assert_eq!(http::get(&url, "/v3/p", "a=b").url().as_str(), "https://rds.example/v3/p?a=b");
}
