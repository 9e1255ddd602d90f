//! Other programs read the packed exposition to the same bytes as the plain one.

use std::io::Read;
use std::process::Stdio;

use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::sim::Cloud;
use flate2::read::GzDecoder;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::daemon::Daemon;
use crate::exposition::Exposition;
use crate::prometheus::Prometheus;
use crate::web::{body, demo_with, without_gzip};

/// A daemon for which time stands still, after all that it had to ask.
async fn still() -> (Cloud, Daemon) {
    let now = Clock::system().now();
    demo_with("interval: 1h", Clock::new(move || now)).await
}

async fn scrape(daemon: &Daemon, coding: &str) -> Vec<u8> {
    let request = without_gzip().get(format!("{}/metrics", daemon.url()));
    body(request.header("Accept-Encoding", coding).send().await.unwrap()).await
}

/// What a program writes about what it reads.
async fn output(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}, which tests/run installs: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let write = tokio::spawn(async move { stdin.write_all(&input).await });
    let output = child.wait_with_output().await.unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{program}: {complaint}");
    write.await.unwrap().unwrap();
    output.stdout
}

/// The lines of all that stays the same from scrape to scrape.
fn lasting(text: &[u8]) -> Vec<&str> {
    let lines = std::str::from_utf8(text).unwrap().lines();
    lines.filter(|line| !line.starts_with("process_")).collect()
}

#[tokio::test]
async fn python_zlib_gzip_and_curl_read_the_packed_exposition_as_the_plain_one() {
    let (_cloud, daemon) = still().await;
    let plain = scrape(&daemon, "identity").await;
    let packed = scrape(&daemon, "gzip").await;
    let mut unpacked = Vec::new();
    GzDecoder::new(&*packed).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked.starts_with(b"# HELP clouddb_backups "));
    assert_eq!(lasting(&unpacked), lasting(&plain));

    assert_eq!(output("gzip", &["-t"], &packed).await, b"");
    assert_eq!(output("gzip", &["-dc"], &packed).await, unpacked);
    let python = std::env::var("CLOUDDB_TEST_PYTHON")
        .expect("CLOUDDB_TEST_PYTHON names a Python; tests/run gets it and sets this");
    let script = "import gzip, sys; \
                  sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
    assert_eq!(output(&python, &["-c", script], &packed).await, unpacked);
    // Of several members it reads the first.
    let script = "import sys, zlib; member = zlib.decompressobj(31); \
                  sys.stdout.buffer.write(member.decompress(sys.stdin.buffer.read())); \
                  sys.exit(0 if member.eof and not member.unused_data else 'more than a member')";
    assert_eq!(output(&python, &["-c", script], &packed).await, unpacked);

    let url = format!("{}/metrics", daemon.url());
    let read = output("curl", &["--silent", "--show-error", "--compressed", &url], b"").await;
    assert_eq!(lasting(&read), lasting(&plain));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn prometheus_scrapes_every_sample() {
    let (_cloud, daemon) = still().await;
    let plain = String::from_utf8(scrape(&daemon, "identity").await).unwrap();
    let samples: usize =
        Exposition::read(&plain).families().values().map(|family| family.samples.len()).sum();
    let target = daemon.url().trim_start_matches("http://");
    let config = format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n\
         scrape_configs:\n  - job_name: backups\n    static_configs: [{{ targets: ['{target}'] }}]\n"
    );
    let prometheus = Prometheus::start(TempDir::new().unwrap(), &config).await;
    assert_eq!(prometheus.until("scrape_samples_scraped").await, samples as f64);
    assert_eq!(prometheus.number("up").await, Some(1.0));
    prometheus.stop().await;
    daemon.stop().await.unwrap();
}
