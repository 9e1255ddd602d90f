//! What the benches share: figures beside their goals, CPU times, a server with a thread of its own,
//! pages of backups, and the program's way to them.

#![allow(dead_code, reason = "each bench takes a part of it")]

pub(crate) mod daemon;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::{env, fs};

use clouddb_backup_exporter::account::{Account, Patience, Terms};
use clouddb_backup_exporter::client::Client;
use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::config::{self, Config};
use clouddb_backup_exporter::listing::{self, Listing, Memory, Progress, Rhythm};
use clouddb_backup_exporter::meter::Meters;
use clouddb_backup_exporter::shard::Shard;
use clouddb_backup_exporter::sim::{Estate, RdsInstance, Schedule};
use clouddb_backup_exporter::snapshot::Reading;
use clouddb_backup_exporter::target::{self, Target};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp, civil};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Whether to measure: `cargo test --all-targets` runs the benches too.
pub(crate) fn is_asked() -> bool {
    env::args().any(|argument| argument == "--bench")
}

/// The first number among the arguments: `cargo bench --bench NAME -- 20`.
pub(crate) fn number(default: usize) -> usize {
    env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(default)
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// `2.61 (2.40–2.83)`: the median, the least and the most.
pub(crate) fn spread(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({least:.2}–{most:.2})", median(values.to_vec()))
}

/// On which side of a goal it is good to be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtLeast { must: f64, aim: f64 },
    AtMost { must: f64, aim: f64 },
}

/// Tells figures beside their goals, and remembers whether a *must* is missed.
#[derive(Default)]
pub(crate) struct Goals {
    is_missed: bool,
}

impl Goals {
    /// Judges the median of the ratios of all rounds.
    pub(crate) fn tell(&mut self, id: &str, what: &str, ratios: &[f64], goal: Goal) {
        let middle = median(ratios.to_vec());
        let (sign, must, aim, is_met, is_reached) = match goal {
            Goal::AtLeast { must, aim } => ("≥", must, aim, middle >= must, middle >= aim),
            Goal::AtMost { must, aim } => ("≤", must, aim, middle <= must, middle <= aim),
        };
        self.is_missed |= !is_met;
        let word = match (is_met, is_reached) {
            (false, _) => "MISSED",
            (true, false) => "met, aim missed",
            (true, true) => "met, aim too",
        };
        println!(
            "{id}  {what}: {} | must {sign} {must}, aim {sign} {aim} | {word}",
            spread(ratios)
        );
    }

    /// Tells a figure that has no goal.
    pub(crate) fn show(id: &str, what: &str, ratios: &[f64]) {
        println!("{id}  {what}: {} | no goal", spread(ratios));
    }

    pub(crate) fn end(self) -> ExitCode {
        ExitCode::from(u8::from(self.is_missed))
    }
}

/// CPU time that this thread has used, in nanoseconds.
pub(crate) fn thread_cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// A server with a thread of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Where the kernel tells what the thread has used.
    usage: String,
}

impl Server {
    pub(crate) fn start<F: Future<Output = ()>>(
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

    /// Answers every GET by its path and query, without end.
    pub(crate) fn answering(answer: impl Fn(&str) -> Bytes + Send + Sync + 'static) -> Self {
        Self::responding(move |request| answer(path_and_query(request)))
    }

    /// Answers every GET, without end.
    pub(crate) fn responding(
        answer: impl Fn(&Request<Incoming>) -> Bytes + Send + Sync + 'static,
    ) -> Self {
        let answer = Arc::new(answer);
        Self::start(|listener| async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(converse(stream, Arc::clone(&answer)));
            }
        })
    }

    /// The same by TLS.
    pub(crate) fn answering_by_tls(
        acceptor: TlsAcceptor,
        answer: impl Fn(&str) -> Bytes + Send + Sync + 'static,
    ) -> Self {
        let answer = Arc::new(move |request: &Request<Incoming>| answer(path_and_query(request)));
        Self::start(|listener| async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let stream = acceptor.accept(stream).await.unwrap();
                tokio::spawn(converse(stream, Arc::clone(&answer)));
            }
        })
    }

    /// CPU time so far, in nanoseconds, as of when it last went to sleep.
    pub(crate) fn used(&self) -> f64 {
        let text = fs::read_to_string(&self.usage).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    }
}

/// Answers the requests of one connection. One that breaks is the client's business.
pub(crate) async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Arc<impl Fn(&Request<Incoming>) -> Bytes>,
) {
    let respond = service_fn(|request: Request<Incoming>| {
        let response = Response::builder().header("Content-Type", "application/json");
        let response = response.body(Full::new(answer(&request))).unwrap();
        async { Ok::<_, Infallible>(response) }
    });
    let mut connection = http1::Builder::new();
    let connection = connection.timer(TokioTimer::new());
    drop(connection.serve_connection(TokioIo::new(stream), respond).await);
}

pub(crate) fn path_and_query(request: &Request<Incoming>) -> &str {
    request.uri().path_and_query().map_or("", |it| it.as_str())
}

/// The value of a parameter in a path with a query; none of those that are asked for is encoded.
pub(crate) fn parameter<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = target.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The id of an instance of MySQL.
pub(crate) fn instance_id(at: usize) -> String {
    format!("{:032x}in01", (at as u128 + 1) * 0x0123_4567_89ab_cdef_0f1e_2d3c)
}

/// When the newest record of an estate begins.
pub(crate) fn newest() -> Timestamp {
    "2025-03-10T12:00:00Z".parse().unwrap()
}

/// A page of a list of `total` incrementals, one every five minutes, the newest first: as the
/// documents show it, 328 bytes a record.
pub(crate) fn page(instance_id: &str, offset: usize, total: usize) -> Bytes {
    page_at(instance_id, newest(), offset, total)
}

fn page_at(instance_id: &str, newest: Timestamp, offset: usize, total: usize) -> Bytes {
    let mut body = String::from("{\"backups\":[");
    for number in offset..total.min(offset + 100) {
        if number > offset {
            body.push(',');
        }
        record(&mut body, instance_id, newest - ROUND * number as i32);
    }
    write!(body, "],\"total_count\":{total}}}").unwrap();
    body.into()
}

/// From one incremental to the next.
pub(crate) const ROUND: SignedDuration = SignedDuration::from_mins(5);

/// An answer that is made when it is asked for, by an instance of which there are the newest so many
/// incrementals at the time at which the question was signed. The window is about the begin.
pub(crate) fn list(request: &Request<Incoming>, records: usize) -> Bytes {
    let target = path_and_query(request);
    if parameter(target, "backup_type") != Some("incremental") {
        return Bytes::from_static(b"{\"backups\":[],\"total_count\":0}");
    }
    let signed = request.headers().get("x-sdk-date").unwrap().to_str().unwrap();
    let now = civil::DateTime::strptime("%Y%m%dT%H%M%SZ", signed).unwrap();
    let now = Offset::UTC.to_timestamp(now).unwrap();
    // An increment is listed when it is done.
    let newest = floor(now - ROUND);
    let oldest = newest - ROUND * (records as i32 - 1);
    let time = |name| {
        let text = parameter(target, name)?.replace("%3A", ":").replace("%2B", "+");
        Some(text.parse::<Timestamp>().unwrap())
    };
    let from = time("begin_time").map_or(oldest, |begin| oldest.max(floor(begin) + ROUND));
    let to = time("end_time").map_or(newest, |end| newest.min(floor(end)));
    let seconds = to.duration_since(from).as_secs();
    let total = usize::try_from(seconds / ROUND.as_secs() + 1).unwrap_or(0);
    let offset = parameter(target, "offset").unwrap().parse().unwrap();
    page_at(parameter(target, "instance_id").unwrap(), to, offset, total)
}

fn floor(time: Timestamp) -> Timestamp {
    let second = time.as_second();
    Timestamp::from_second(second - second.rem_euclid(ROUND.as_secs())).unwrap()
}

fn record(body: &mut String, instance_id: &str, begin: Timestamp) {
    let number = begin.as_second() / ROUND.as_secs();
    let end = begin + SignedDuration::from_secs(280);
    // Spread over all digits, as ids are.
    let id = hash(instance_id, number);
    write!(
        body,
        "{{\"id\":\"{id:032x}br01\",\"name\":\"mysql-shop-orders-{}\",\"type\":\"incremental\",\
         \"size\":{},\"status\":\"COMPLETED\",\"begin_time\":\"{}\",\"end_time\":\"{}\",\
         \"datastore\":{{\"type\":\"MySQL\",\"version\":\"8.0\"}},\"databases\":[],\
         \"instance_id\":\"{instance_id}\"}}",
        begin.strftime("%Y%m%d%H%M%S"),
        2803 + number % 1000,
        begin.strftime("%Y-%m-%dT%H:%M:%S+0000"),
        end.strftime("%Y-%m-%dT%H:%M:%S+0000"),
    )
    .unwrap();
}

fn hash(instance_id: &str, number: i64) -> u128 {
    let text = instance_id.bytes().chain(number.to_le_bytes());
    // FNV-1a.
    text.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
    })
}

/// All pages of an estate of equal instances, made once.
pub(crate) struct Pages {
    pages: HashMap<String, Vec<Bytes>>,
}

impl Pages {
    pub(crate) fn new(instances: usize, records: usize) -> Self {
        let of = |at| {
            let id = instance_id(at);
            let pages = (0..records).step_by(100).map(|offset| page(&id, offset, records));
            (id.clone(), pages.collect())
        };
        Self { pages: (0..instances).map(of).collect() }
    }

    /// The answer to a question about backups: all are incrementals.
    pub(crate) fn answer(&self, target: &str) -> Bytes {
        let page = || {
            let pages = self.pages.get(parameter(target, "instance_id")?)?;
            let offset: usize = parameter(target, "offset")?.parse().ok()?;
            pages.get(offset / 100).cloned()
        };
        match parameter(target, "backup_type") {
            Some("incremental") => page().unwrap_or_else(|| panic!("no page for {target}")),
            _ => Bytes::from_static(b"{\"backups\":[],\"total_count\":0}"),
        }
    }

    /// Every page, with the instance that it is of.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Bytes)> {
        self.pages.iter().flat_map(|(id, pages)| pages.iter().map(move |page| (id, page)))
    }
}

/// Instances with so many incrementals each, and a week of automated backups.
pub(crate) fn estate(instances: usize, records: usize) -> Estate {
    let length = ROUND * records as i32;
    (0..instances).fold(Estate::new(), |estate, at| {
        let id = instance_id(at);
        let incremental = Schedule { keep: length, ..Schedule::incremental(&id) };
        estate
            .with_rds(RdsInstance::new(&id, "orders"))
            .with_schedule(Schedule::daily(&id, at as i64 % 24))
            .with_schedule(incremental)
    })
}

/// The text of a config with RDS instances at an endpoint; the budget does not bind.
pub(crate) fn config(endpoint: &str, poll: &str, credential: &str, instances: usize) -> String {
    let mut text = format!(
        "poll: {{ {poll} }}\ncredentials:\n  main: {{ access_key: SIMACCESSKEY00000001, secret_key: \
         simSecret/Key+0123456789ABCDEFGHIJKLMNO=, requests_per_second: 10000{credential} }}\n\
         projects:\n  - name: shop\n    project_id: 0483b6b16e954cb88930a360d2c4e663\n    \
         credentials: main\n    rds:\n      endpoint: {endpoint}\n      instances:\n"
    );
    for at in 0..instances {
        writeln!(text, "        - {{ id: {}, name: orders-{at:04} }}", instance_id(at)).unwrap();
    }
    text
}

/// The program's own way to the lists of a config.
pub(crate) struct Way {
    pub(crate) client: Arc<Client>,
    pub(crate) targets: Vec<Arc<Target>>,
    pub(crate) rhythm: Rhythm,
    pub(crate) clock: Clock,
}

impl Way {
    pub(crate) fn new(text: &str, clock: Clock) -> Self {
        let loaded = Config::read(text, Path::new("bench"), &config::fetch);
        let config = loaded.unwrap_or_else(|problems| panic!("{problems:?}")).config;
        let project = &config.projects[0];
        let terms = Terms {
            request_timeout: config.poll.request_timeout,
            patience: Patience::default(),
            clock: clock.clone(),
            meters: Meters::new().unwrap(),
            shard: Shard::WHOLE,
        };
        let account = Arc::new(Account::new(Arc::clone(&project.credential), terms).unwrap());
        let (name, id) = (&project.name, &project.project_id);
        let client = Arc::new(Client::new(account, name, id, config.poll.concurrency));
        let rhythm = Rhythm {
            lookback: config.poll.incremental_lookback,
            full_walk_interval: config.poll.full_walk_interval,
            phase: 0,
        };
        Self { client, targets: target::targets(&config, &[]), rhythm, clock }
    }
}

/// Reads and sums up all targets, some at a time. Gives the number of records, and the CPU time of
/// summing up.
pub(crate) async fn full_poll(way: &Arc<Way>, in_flight: usize) -> (usize, f64) {
    let summing = Arc::new(Mutex::new(0.0));
    let next = Arc::new(Mutex::new(way.targets.clone()));
    let mut readers = JoinSet::new();
    for _ in 0..in_flight {
        let (way, next) = (Arc::clone(way), Arc::clone(&next));
        let summing = Arc::clone(&summing);
        readers.spawn(async move {
            let mut records = 0;
            loop {
                let Some(target) = next.lock().unwrap().pop() else { return records };
                let (now, progress) = (way.clock.now(), Progress::default());
                let memory = Memory::default();
                let read =
                    listing::read(&way.client, &target, &way.rhythm, &memory, now, &progress);
                let Listing { backups, counted_from, .. } = read.await.unwrap();
                records += backups.len();
                let begin = thread_cpu();
                drop(Reading::new(&target, &backups, counted_from, now));
                *summing.lock().unwrap() += thread_cpu() - begin;
            }
        });
    }
    let records = readers.join_all().await.into_iter().sum();
    let summing = *summing.lock().unwrap();
    (records, summing)
}
