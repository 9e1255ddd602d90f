//! What a scrape costs against a fixed body of the same size: `cargo bench --bench scrape`. The
//! servers have a thread each, whose CPU time is read; the client has another.

#![expect(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for a terminal, of which a failure may end at once"
)]

use std::convert::Infallible;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clouddb_backup_exporter::backup::{Backup, BackupId, Engine, Status};
use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::config::{self, Config};
use clouddb_backup_exporter::exposition::{self, Latest, Rendered};
use clouddb_backup_exporter::meter::Meters;
use clouddb_backup_exporter::snapshot::{Board, PollOutcome, Reading};
use clouddb_backup_exporter::target::{self, Target};
use clouddb_backup_exporter::web::{self, Crowd, Site};
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 9;

fn main() {
    // `cargo test --all-targets` runs this too, and measures nothing.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!(
        "series    coding         bytes   fixed body: CPU, p50    scrape: CPU, p50   ratio of CPU"
    );
    for instances in [13, 134, 1340] {
        let site = serve_site(instances);
        let series = series(&Client::connect(site.address, "").get());
        for coding in ["identity", "gzip"] {
            measure(&site, series, coding);
        }
        let (board, _) = board(instances);
        let times = (0..ROUNDS).map(|_| {
            let begin = Instant::now();
            drop(Rendered::new(&board.snapshot()));
            begin.elapsed().as_secs_f64() * 1e3
        });
        println!("{series:<9} rendered ahead in {:.1} ms", median(times.collect()));
    }
}

fn measure(site: &Server, series: usize, coding: &str) {
    let mut scrape = Client::connect(site.address, coding);
    let body = scrape.get();
    let fixed = serve_fixed(body.clone());
    let mut floor = Client::connect(fixed.address, coding);
    let times = (200_000 / series).clamp(8, 400);
    let mut rounds: Vec<(Sample, Sample)> = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((fixed.cost(&mut floor, times), site.cost(&mut scrape, times)));
    }
    let of = |read: &dyn Fn(&(Sample, Sample)) -> f64| median(rounds.iter().map(read).collect());
    println!(
        "{series:<9} {coding:<9} {:>10} {:>9.0} µs {:>7.0} µs {:>10.0} µs {:>6.0} µs {:>10.2}",
        body.len(),
        of(&|(floor, _)| floor.cpu),
        of(&|(floor, _)| floor.p50),
        of(&|(_, scrape)| scrape.cpu),
        of(&|(_, scrape)| scrape.p50),
        of(&|(floor, scrape)| scrape.cpu / floor.cpu),
    );
}

/// Microseconds per answer.
struct Sample {
    cpu: f64,
    p50: f64,
}

/// A server with a thread of its own.
struct Server {
    address: SocketAddr,
    /// Where the kernel tells what the thread has used.
    usage: String,
}

impl Server {
    fn start<F: Future<Output = ()>>(
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> Self {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let thread = fs::read_link("/proc/thread-self").unwrap();
                let usage = format!("/proc/{}/schedstat", thread.display());
                tell.send(Self { address: listener.local_addr().unwrap(), usage }).unwrap();
                serve(listener).await;
            });
        });
        told.recv().unwrap()
    }

    /// CPU time so far, in nanoseconds.
    fn used(&self) -> f64 {
        let text = fs::read_to_string(&self.usage).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    }

    fn cost(&self, client: &mut Client, times: usize) -> Sample {
        client.get();
        let before = self.used();
        let took = (0..times).map(|_| {
            let begin = Instant::now();
            client.get();
            begin.elapsed().as_secs_f64() * 1e6
        });
        let p50 = median(took.collect());
        Sample { cpu: (self.used() - before) / 1000.0 / times as f64, p50 }
    }
}

fn serve_site(instances: usize) -> Server {
    Server::start(move |listener| async move {
        let site = site(instances);
        web::serve(listener, Arc::new(site), CancellationToken::new()).await;
    })
}

fn serve_fixed(body: Vec<u8>) -> Server {
    Server::start(move |listener| async move {
        let body = Bytes::from(body);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let body = body.clone();
            let answer = service_fn(move |_| {
                let answer = Response::new(Full::new(body.clone()));
                async { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(connection);
        }
    })
}

/// Reads one answer after the other and drops them.
struct Client {
    stream: TcpStream,
    request: String,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr, coding: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\n\r\n");
        Self { stream, request, buffer: vec![0; 1 << 20] }
    }

    fn get(&mut self) -> Vec<u8> {
        self.stream.write_all(self.request.as_bytes()).unwrap();
        let mut body = Vec::new();
        let mut expected = None;
        loop {
            let count = self.stream.read(&mut self.buffer).unwrap();
            assert!(count > 0, "the answer ends early");
            body.extend_from_slice(&self.buffer[..count]);
            if expected.is_none()
                && let Some(end) = body.windows(4).position(|bytes| bytes == b"\r\n\r\n")
            {
                let head = String::from_utf8(body.drain(..end + 4).collect()).unwrap();
                assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                expected = Some(length(&head));
            }
            if expected.is_some_and(|length| body.len() >= length) {
                return body;
            }
        }
    }
}

fn length(head: &str) -> usize {
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    length.expect("the answer has a length").parse().unwrap()
}

fn series(body: &[u8]) -> usize {
    body.split(|byte| *byte == b'\n').filter(|line| !matches!(line, [] | [b'#', ..])).count()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn site(instances: usize) -> Site {
    let (board, meters) = board(instances);
    Site {
        exposition: Arc::new(Latest::new(Arc::clone(&board), exposition::GAP)),
        board,
        crowd: Arc::new(Crowd::new(512, meters.clone())),
        front: Arc::default(),
        meters,
        clock: Clock::system(),
        telemetry_path: "/metrics".to_owned(),
        reloader: None,
        started: Instant::now(),
        ready_after: Duration::ZERO,
        ready: AtomicBool::new(true),
    }
}

/// With what one poll of each instance brought: three types, each with some backups.
fn board(instances: usize) -> (Arc<Board>, Meters) {
    let targets = targets(instances);
    let now = Clock::system().now();
    let meters = Meters::new().unwrap();
    let board = Arc::new(Board::default());
    board.reassign(&targets, &[]);
    for target in &targets {
        meters.know(&target.project, target.product.name, target.product.apis());
        meters.poll(&target.project, target.product.name, None);
        let reading = Arc::new(Reading::new(target, &backups(target, now), None, now));
        let took = Duration::from_millis(1234);
        let outcome = PollOutcome { ended: now, took, requests: 3, records: 27, fault: None };
        board.update(target, |state| state.after(&outcome, Some(&reading)));
    }
    (board, meters)
}

fn targets(instances: usize) -> Vec<Arc<Target>> {
    let mut text = "credentials:\n  main: { access_key: AKXXXXXXXXXXXXXXXXXX, secret_key: \
                    0123456789012345678901234567890123456789 }\n\
                    projects:\n  - name: eu-de_shop\n    project_id: \
                    0123456789abcdef0123456789abcdef\n    credentials: main\n    rds:\n      \
                    endpoint: https://rds.example\n      instances:\n"
        .to_owned();
    for at in 0..instances {
        text += &format!("        - {{ id: {at:032x}in01, name: orders-{at:04} }}\n");
    }
    let loaded = Config::read(&text, Path::new("bench"), &config::fetch);
    let config = loaded.unwrap_or_else(|problems| panic!("{problems:?}")).config;
    target::targets(&config, &[])
}

fn backups(target: &Target, now: Timestamp) -> Vec<Backup> {
    let instance_id = &target.instance.as_ref().unwrap().id;
    let mut backups = Vec::new();
    for backup_type in ["auto", "manual", "incremental"] {
        for day in 0..9 {
            let begin = now - SignedDuration::from_hours(24 * day + 3);
            let status = if day == 1 { Status::Failed } else { Status::Completed };
            backups.push(Backup {
                id: BackupId::new(format!("{backup_type}{day}")),
                instance_id: instance_id.clone(),
                instance_name: None,
                instance_status: Some("ACTIVE".into()),
                engine: Some(Engine { name: "MySQL".into(), version: "8.0".into() }),
                backup_type: target.product.backup_type(backup_type).unwrap(),
                status,
                begin: Some(begin),
                end: Some(begin + SignedDuration::from_secs(600 + day)),
                bytes: Some(12_345_678_912 + 1024 * day.unsigned_abs()),
                unknown_type: None,
                unknown_status: None,
            });
        }
    }
    backups
}
