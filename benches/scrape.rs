//! What a scrape costs: `cargo bench --bench scrape`. Against a fixed body of the same size (S1), against
//! the push gateway of Prometheus with the same series (S2 to S4; Debian's package, unpacked in `.tools`
//! or named by `CLOUDDB_TEST_PUSHGATEWAY`), and while polls run (S5).
//!
//! The servers have a thread each, whose CPU time is read; the client has another.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for a terminal, of which a failure may end at once"
)]

mod common;

use std::env;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use clouddb_backup_exporter::backup::{Backup, BackupId, Engine, Origin, Status};
use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::config::{self, Config};
use clouddb_backup_exporter::exposition::{self, Latest, Rendered};
use clouddb_backup_exporter::listing::{self, Listing, Memory, Progress};
use clouddb_backup_exporter::meter::Meters;
use clouddb_backup_exporter::shard::Shard;
use clouddb_backup_exporter::snapshot::{Board, PollOutcome, Reading};
use clouddb_backup_exporter::target::{self, Target};
use clouddb_backup_exporter::web::{self, Crowd, Site};
use common::daemon::{cpu, memory};
use common::{Goal, Goals, Pages, Server, Way, median};
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 9;

fn main() -> ExitCode {
    // `cargo test --all-targets` runs this too, and measures nothing.
    if !common::is_asked() {
        return ExitCode::SUCCESS;
    }
    let mut goals = Goals::default();
    println!(
        "series    coding         bytes   fixed body: CPU, p50    scrape: CPU, p50   ratio of CPU"
    );
    for instances in [13, 134, 1340] {
        let site = serve_site(instances);
        let series = series(&Client::connect(site.address, "").get());
        for coding in ["identity", "gzip"] {
            let ratios = measure(&site, series, coding);
            if instances == 134 && coding == "identity" {
                let goal = Goal::AtMost { must: 5.0, aim: 2.0 };
                goals.tell("S1", "CPU of a scrape ÷ fixed body, 10k series", &ratios, goal);
            }
        }
        let (board, _) = board(instances);
        let times = (0..ROUNDS).map(|_| {
            let begin = Instant::now();
            drop(Rendered::new(&board.snapshot()));
            begin.elapsed().as_secs_f64() * 1e3
        });
        println!("{series:<9} rendered ahead in {:.1} ms", median(times.collect()));
        match PushGateway::start() {
            Some(gateway) => beside(&site, &gateway, series, &mut goals),
            None => println!("there is no push gateway; S2 to S4 are not measured"),
        }
        if instances == 134 {
            while_polls_run(&site, &mut goals);
        }
    }
    status(&mut goals);
    goals.end()
}

/// The status page of a large estate, beside what it takes to render its exposition ahead.
fn status(goals: &mut Goals) {
    const INSTANCES: usize = 5000;
    let site = serve_site(INSTANCES);
    let (board, _) = board(INSTANCES);
    for (path, is_page) in
        [("/", true), ("/?q=orders-4999", false), ("/api/v1/status?per_page=1000", false)]
    {
        let mut client = Client::asking(site.address, path, "identity");
        let (mut times, mut ratios) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begin = common::thread_cpu();
            drop(Rendered::new(&board.snapshot()));
            let ahead = common::thread_cpu() - begin;
            let page = cost(&site, &mut client, 4).cpu / 1e3;
            times.push(page);
            ratios.push(page * 1e6 / ahead);
        }
        let what = format!("{path} of {INSTANCES} instances, milliseconds of CPU");
        if is_page {
            goals.tell("W1", &what, &times, Goal::AtMost { must: 100.0, aim: 50.0 });
        } else {
            Goals::show("", &what, &times);
        }
        Goals::show("", "    the same ÷ rendering the exposition ahead", &ratios);
    }
}

fn measure(site: &Server, series: usize, coding: &str) -> Vec<f64> {
    let mut scrape = Client::connect(site.address, coding);
    let body = Bytes::from(scrape.get());
    let length = body.len();
    let fixed = Server::answering(move |_| body.clone());
    let mut floor = Client::connect(fixed.address, coding);
    let times = (200_000 / series).clamp(8, 400);
    let mut rounds: Vec<(Sample, Sample)> = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((cost(&fixed, &mut floor, times), cost(site, &mut scrape, times)));
    }
    let of = |read: &dyn Fn(&(Sample, Sample)) -> f64| median(rounds.iter().map(read).collect());
    println!(
        "{series:<9} {coding:<9} {length:>10} {:>9.0} µs {:>7.0} µs {:>10.0} µs {:>6.0} µs {:>10.2}",
        of(&|(floor, _)| floor.cpu),
        of(&|(floor, _)| floor.p50),
        of(&|(_, scrape)| scrape.cpu),
        of(&|(_, scrape)| scrape.p50),
        of(&|(floor, scrape)| scrape.cpu / floor.cpu),
    );
    rounds.iter().map(|(floor, scrape)| scrape.cpu / floor.cpu).collect()
}

/// The push gateway with the same series.
fn beside(site: &Server, gateway: &PushGateway, series: usize, goals: &mut Goals) {
    let mut ours = Client::connect(site.address, "identity");
    gateway.push(&ours.get());
    for coding in ["identity", "gzip"] {
        let mut ours = Client::connect(site.address, coding);
        let mut theirs = Client::connect(gateway.address, coding);
        // The kernel counts the time of another process in hundredths of a second.
        let times = (20_000 / series).clamp(4, 100);
        let (mut costs, mut waits) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS.min(5) {
            let ours = cost(site, &mut ours, 2 * times);
            let before = gateway.cpu();
            let theirs_p50 = p50(&mut theirs, times);
            let theirs_cpu = (gateway.cpu() - before) * 1e3 / times as f64;
            costs.push(theirs_cpu / ours.cpu);
            waits.push(theirs_p50 / ours.p50);
        }
        let what = format!("scrape CPU, push gateway ÷ ours, {series} series, {coding}");
        let (id, goal) = match coding {
            "identity" => ("S2", Goal::AtLeast { must: 8.0, aim: 20.0 }),
            _ => ("S3", Goal::AtLeast { must: 6.0, aim: 20.0 }),
        };
        // A scrape of a thousand series is mostly HTTP; the goals are about more.
        if series < 5000 {
            println!("    {what}: {}", common::spread(&costs));
        } else {
            goals.tell(id, &what, &costs, goal);
        }
        if series > 50_000 && coding == "identity" {
            let what = format!("p50 of a scrape, push gateway ÷ ours, {series} series");
            goals.tell("S4", &what, &waits, Goal::AtLeast { must: 6.0, aim: 15.0 });
        }
    }
    println!("    resident push gateway: {:.0} MiB", gateway.memory());
}

/// Scrapes at rest, and while another thread polls without a pause, publishes and renders.
fn while_polls_run(site: &Server, goals: &mut Goals) {
    let mut client = Client::connect(site.address, "gzip");
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let rest = cost(site, &mut client, 100);
        let polls = Polls::start();
        let polled = cost(site, &mut client, 100);
        let count = polls.stop();
        assert!(count > 0, "no poll ended while it was scraped");
        ratios.push(polled.cpu / rest.cpu);
    }
    let what = "scrape CPU while polls run ÷ at rest, 10k series, gzip";
    goals.tell("S5", what, &ratios, Goal::AtMost { must: 2.0, aim: 1.2 });
}

/// A thread that polls.
struct Polls {
    is_over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<usize>,
}

impl Polls {
    fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let pages = Pages::new(10, 2016);
            let server = Server::answering(move |target| pages.answer(target));
            let endpoint = format!("http://{}", server.address);
            let text = common::config(&endpoint, "incremental_lookback: all", "", 10);
            let way = Way::new(&text, Clock::new(common::newest));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let mut count = 0;
            runtime.unwrap().block_on(async {
                let board = Board::default();
                board.reassign(&way.targets, &[]);
                tell.send(()).unwrap();
                while !over.load(Ordering::Relaxed) {
                    let target = &way.targets[count % way.targets.len()];
                    let (memory, now) = (Memory::default(), way.clock.now());
                    let progress = Progress::default();
                    let read =
                        listing::read(&way.client, target, &way.rhythm, &memory, now, &progress);
                    let Listing { backups, counted_from, .. } = read.await.unwrap();
                    let reading = Arc::new(Reading::new(target, &backups, counted_from, now));
                    publish(&board, target, &reading, now);
                    drop(Rendered::new(&board.snapshot()));
                    count += 1;
                }
            });
            count
        });
        told.recv().unwrap();
        Self { is_over, thread }
    }

    /// Gives how many polls there were.
    fn stop(self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// The push gateway, in a process that ends with this.
struct PushGateway {
    process: Child,
    address: SocketAddr,
}

impl PushGateway {
    fn start() -> Option<Self> {
        let unpacked =
            concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/usr/bin/prometheus-pushgateway");
        let program = env::var("CLOUDDB_TEST_PUSHGATEWAY").unwrap_or_else(|_| unpacked.to_owned());
        let program = PathBuf::from(program);
        if !program.exists() {
            return None;
        }
        // A port that was free just now.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(program)
            .arg(format!("--web.listen-address={address}"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let gateway = Self { process, address };
        while TcpStream::connect(address).is_err() {
            sleep(Duration::from_millis(50));
        }
        Some(gateway)
    }

    fn push(&self, exposition: &[u8]) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "PUT /metrics/job/bench HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \
             {}\r\n\r\n",
            exposition.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(exposition).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    fn cpu(&self) -> f64 {
        cpu(self.process.id())
    }

    fn memory(&self) -> f64 {
        memory(self.process.id(), "VmRSS")
    }
}

impl Drop for PushGateway {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Microseconds per answer.
struct Sample {
    cpu: f64,
    p50: f64,
}

fn cost(server: &Server, client: &mut Client, times: usize) -> Sample {
    client.get();
    let before = server.used();
    let p50 = p50(client, times);
    Sample { cpu: (server.used() - before) / 1000.0 / times as f64, p50 }
}

fn p50(client: &mut Client, times: usize) -> f64 {
    let took = (0..times).map(|_| {
        let begin = Instant::now();
        client.get();
        begin.elapsed().as_secs_f64() * 1e6
    });
    median(took.collect())
}

fn serve_site(instances: usize) -> Server {
    Server::start(move |listener| async move {
        let site = site(instances);
        web::serve(listener, Arc::new(site), CancellationToken::new()).await;
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
        Self::asking(address, "/metrics", coding)
    }

    fn asking(address: SocketAddr, path: &str, coding: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\n\r\n");
        Self { stream, request, buffer: vec![0; 1 << 20] }
    }

    /// The body; where it comes in chunks, with the lines between them.
    fn get(&mut self) -> Vec<u8> {
        self.stream.write_all(self.request.as_bytes()).unwrap();
        let mut body = Vec::new();
        let mut length: Option<usize> = None;
        let mut is_chunked = false;
        loop {
            let count = self.stream.read(&mut self.buffer).unwrap();
            assert!(count > 0, "the answer ends early");
            body.extend_from_slice(&self.buffer[..count]);
            if length.is_none()
                && !is_chunked
                && let Some(end) = body.windows(4).position(|bytes| bytes == b"\r\n\r\n")
            {
                let head = String::from_utf8(body.drain(..end + 4).collect()).unwrap();
                assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                let head = head.to_ascii_lowercase();
                let of = |line: &str| line.strip_prefix("content-length: ")?.parse().ok();
                length = head.lines().find_map(of);
                is_chunked = head.contains("transfer-encoding: chunked");
            }
            if length.is_some_and(|length| body.len() >= length)
                || is_chunked && body.ends_with(b"\r\n0\r\n\r\n")
            {
                return body;
            }
        }
    }
}

fn series(body: &[u8]) -> usize {
    body.split(|byte| *byte == b'\n').filter(|line| !matches!(line, [] | [b'#', ..])).count()
}

fn site(instances: usize) -> Site {
    let (board, meters) = board(instances);
    Site {
        exposition: Arc::new(Latest::new(Arc::clone(&board), exposition::GAP)),
        board,
        crowd: Arc::new(Crowd::new(512, meters.clone())),
        front: Arc::default(),
        meters,
        shard: Shard::WHOLE,
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
        publish(&board, target, &reading, now);
    }
    (board, meters)
}

fn publish(board: &Board, target: &Target, reading: &Arc<Reading>, now: Timestamp) {
    let took = Duration::from_millis(1234);
    let outcome = PollOutcome { ended: now, took, requests: 3, records: 27, fault: None };
    board.update(target, |state| state.after(&outcome, Some(reading)));
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
    let origin = Arc::new(Origin {
        instance_status: Some("ACTIVE".into()),
        engine: Some(Engine { name: "MySQL".into(), version: "8.0".into() }),
        ..Origin::bare(target.instance.as_ref().unwrap().id.clone())
    });
    let mut backups = Vec::new();
    for backup_type in ["auto", "manual", "incremental"] {
        for day in 0..9 {
            let begin = now - SignedDuration::from_hours(24 * day + 3);
            let status = if day == 1 { Status::Failed } else { Status::Completed };
            backups.push(Backup {
                id: BackupId::new(&format!("{backup_type}{day}")),
                origin: Arc::clone(&origin),
                backup_type: target.product.backup_type(backup_type).unwrap(),
                status,
                begin: Some(begin),
                end: Some(begin + SignedDuration::from_secs(600 + day)),
                bytes: Some(12_345_678_912 + 1024 * day.unsigned_abs()),
                unknown: None,
            });
        }
    }
    backups
}
