//! What the daemon needs in memory, each point in a process of its own, the program as it is released
//! against pages made on demand: `cargo bench --bench memory`.
//!
//! M1: twenty instances with 2,016 records each, and with 100,800; and where all of them are counted
//! (`incremental_lookback: all`). M3: after 1,000 rounds against after 10.

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
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::exposition::Rendered;
use clouddb_backup_exporter::listing::{self, Listing, Memory, Progress};
use clouddb_backup_exporter::sim;
use clouddb_backup_exporter::snapshot::{Board, PollOutcome, Reading};
use common::daemon::{Daemon, memory};
use common::{Goal, Goals, Server, Way};
use jiff::SignedDuration;

/// The argument of a copy of this program, before the endpoint.
const CHILD: &str = "thousand-rounds-at";
const INSTANCES: usize = 20;
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    if !common::is_asked() {
        return ExitCode::SUCCESS;
    }
    let mut arguments = env::args().skip_while(|argument| argument != CHILD).skip(1);
    if let Some(endpoint) = arguments.next() {
        thousand_rounds(&endpoint);
        return ExitCode::SUCCESS;
    }
    let mut goals = Goals::default();
    let ratios = |settings: &str| -> Vec<f64> {
        let ratio = |_| {
            let (few, many) = (peak(2016, settings), peak(100_800, settings));
            println!("    {few:.1} MiB, {many:.1} MiB");
            many / few
        };
        (0..ROUNDS).map(ratio).collect()
    };
    let goal = Goal::AtMost { must: 1.5, aim: 1.1 };
    let what = "peak RSS at 2,016,000 records ÷ at 40,320, counting a day";
    goals.tell("M1", what, &ratios("interval: 1h"), goal);
    // Memory follows the incrementals that are counted.
    let all = ratios("interval: 1h, incremental_lookback: all");
    Goals::show("M1", "the same, counting all of them", &all);
    let growths: Vec<f64> = (0..ROUNDS).map(|_| growth()).collect();
    let goal = Goal::AtMost { must: 1.1, aim: 1.02 };
    per_instance();
    goals.tell("M3", "RSS after 1,000 rounds ÷ after 10", &growths, goal);
    goals.end()
}

/// The most memory that a daemon had by the end of its first polls.
fn peak(records: usize, settings: &str) -> f64 {
    let server = Server::responding(move |request| common::list(request, records));
    let endpoint = format!("http://{}", server.address);
    let daemon = Daemon::start(&common::config(&endpoint, settings, "", INSTANCES));
    daemon.wait_for_polls(INSTANCES, 1);
    daemon.memory("VmHWM")
}

/// What one more instance needs, with a week of incrementals.
fn per_instance() {
    let resident = |instances: usize| {
        let server = Server::responding(|request| common::list(request, 2016));
        let endpoint = format!("http://{}", server.address);
        let daemon = Daemon::start(&common::config(&endpoint, "interval: 20s", "", instances));
        daemon.wait_for_polls(instances, 3);
        (daemon.memory("VmRSS"), daemon.memory("VmHWM"))
    };
    let (few, many) = (resident(INSTANCES), resident(1000));
    let each = (many.0 - few.0) * 1024.0 / (1000 - INSTANCES) as f64;
    println!(
        "    {INSTANCES} instances: {:.1} MiB resident, {:.1} at most; 1000: {:.1} and {:.1}; {each:.1} \
         KiB an instance",
        few.0, few.1, many.0, many.1
    );
}

/// By how much a process grows that polls, shows and renders in rounds of five minutes of a clock that
/// is moved on. The pages are made by this process, the polls by a copy of it.
fn growth() -> f64 {
    let server = Server::responding(|request| common::list(request, 2016));
    let copy = Command::new(env::current_exe().unwrap())
        .args(["--bench", CHILD, &format!("http://{}", server.address)])
        .output()
        .unwrap();
    assert!(copy.status.success(), "{}", String::from_utf8_lossy(&copy.stderr));
    let text = String::from_utf8(copy.stdout).unwrap();
    let resident: Vec<f64> = text.split_whitespace().map(|it| it.parse().unwrap()).collect();
    println!("    {:.1} MiB after 10 rounds, {:.1} MiB after 1,000", resident[0], resident[1]);
    resident[1] / resident[0]
}

#[tokio::main(flavor = "current_thread")]
async fn thousand_rounds(endpoint: &str) {
    let clock = sim::Clock::fixed(common::newest() + SignedDuration::from_secs(30));
    let now = clock.clone();
    let text = common::config(endpoint, "concurrency: 4", "", INSTANCES);
    let way = Way::new(&text, Clock::new(move || now.now()));
    let board = Board::default();
    board.reassign(&way.targets, &[]);
    let mut memories = vec![Memory::default(); INSTANCES];
    let mut resident = Vec::new();
    for round in 1..=1000 {
        for (target, memory) in way.targets.iter().zip(&mut memories) {
            let mut rhythm = way.rhythm;
            rhythm.phase = target.stable_hash();
            let (now, progress) = (clock.now(), Progress::default());
            let read = listing::read(&way.client, target, &rhythm, memory, now, &progress);
            let Listing { backups, counted_from, memory: next, .. } = read.await.unwrap();
            *memory = next;
            let reading = Arc::new(Reading::new(target, &backups, counted_from, now));
            let (records, requests) = (backups.len() as u64, progress.requests.get());
            let took = Duration::from_secs(1);
            let outcome = PollOutcome { ended: now, took, requests, records, fault: None };
            board.update(target, |state| state.after(&outcome, Some(&reading)));
        }
        drop(Rendered::new(&board.snapshot()));
        if round == 10 || round == 1000 {
            resident.push(memory(std::process::id(), "VmRSS"));
        }
        clock.advance(common::ROUND);
    }
    println!("{} {}", resident[0], resident[1]);
}
