//! How many calls a steady round takes: `cargo bench --bench calls [-- INSTANCES]`. Instances with an
//! automated backup a day and an incremental every five minutes are polled every five minutes for 26
//! hours of a clock that is moved, so that what is done once an hour and once a day is in it; the
//! simulated cloud counts (C1). Once with 200 records an instance, and once with 20,000 (C2). And how
//! long a round takes that the budget bounds, with 50 ms an answer (C3).

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

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::listing::{self, Memory, Progress};
use clouddb_backup_exporter::sim::{self, Cloud, Fault, Service, Switches};
use common::{Goal, Goals, Way, newest};
use jiff::SignedDuration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const ROUNDS: usize = 26 * 12;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if !common::is_asked() {
        return ExitCode::SUCCESS;
    }
    let instances = common::number(4);
    let mut goals = Goals::default();
    let mixed = |switches: &mut Switches| switches.untyped_holds_incrementals = true;
    let few = calls_per_round(instances, 200, |_| {}).await;
    let week = calls_per_round(instances, 2016, |_| {}).await;
    let many = calls_per_round(instances, 20_000, |_| {}).await;
    let two = 2.0 * instances as f64;
    let goal = Goal::AtMost { must: 1.75, aim: 1.2 };
    goals.tell("C1", "calls per steady round ÷ 2·I, 200 records each", &[few / two], goal);
    goals.tell("C1", "calls per steady round ÷ 2·I, 2,016 records each", &[week / two], goal);
    goals.tell("C1", "calls per steady round ÷ 2·I, 20,000 records each", &[many / two], goal);
    let goal = Goal::AtMost { must: 1.05, aim: 1.0 };
    goals.tell("C2", "calls at 20,000 records ÷ at 200", &[many / few], goal);
    // Where the list without a type holds the incrementals, so that each type is asked by itself.
    let few = calls_per_round(instances, 200, mixed).await;
    let many = calls_per_round(instances, 2016, mixed).await;
    let goal = Goal::AtMost { must: 1.75, aim: 1.75 };
    let what = "calls per steady round ÷ 2·I, one call per type, 2,016 records each";
    goals.tell("C1", what, &[many / two], goal);
    // Fewer than a day of them there are in the first day of an instance only: no cloud keeps backups
    // for less. Until then each round looks whether the oldest are still there.
    Goals::show("C1", "the same, 200 records each", &[few / two]);
    throttled(&mut goals).await;
    goals.end()
}

/// The mean of all rounds but the first, which is not steady.
async fn calls_per_round(
    instances: usize,
    records: usize,
    change: impl FnOnce(&mut Switches),
) -> f64 {
    let start = newest() + SignedDuration::from_secs(30);
    let clock = sim::Clock::fixed(start);
    let cloud = Cloud::start_at(common::estate(instances, records), clock.clone()).await.unwrap();
    cloud.switches(change);
    let text = common::config(cloud.rds_url(), "concurrency: 4", "", instances);
    let now = clock.clone();
    let way = Way::new(&text, Clock::new(move || now.now()));
    let mut memories = vec![Memory::default(); instances];
    let mut calls = Vec::new();
    for _ in 0..=ROUNDS {
        cloud.forget_requests();
        for (target, memory) in way.targets.iter().zip(&mut memories) {
            let mut rhythm = way.rhythm;
            rhythm.phase = target.stable_hash();
            let progress = Progress::default();
            let read = listing::read(&way.client, target, &rhythm, memory, clock.now(), &progress);
            *memory = read.await.unwrap().memory;
        }
        calls.push(cloud.count(|_| true));
        clock.advance(common::ROUND);
    }
    let steady = calls[1..].iter().sum::<usize>() as f64 / ROUNDS as f64;
    let least = calls[1..].iter().min().unwrap();
    println!(
        "{instances} instances of {records} records: {} calls at first, then {steady:.2} a round \
         (at least {least})",
        calls[0]
    );
    steady
}

/// A round of all targets at ten requests per second. The burst of the budget is a second's worth, so
/// the first ten cost no time.
async fn throttled(goals: &mut Goals) {
    const RATE: f64 = 10.0;
    let instances = 20;
    let clock = sim::Clock::fixed(newest() + SignedDuration::from_secs(30));
    let cloud = Cloud::start_at(common::estate(instances, 200), clock.clone()).await.unwrap();
    cloud.fault(Fault::delay(Duration::from_millis(50)).on(Service::Rds));
    let text = common::config(cloud.rds_url(), "concurrency: 8", "", instances);
    let text = text.replace("requests_per_second: 10000", "requests_per_second: 10");
    let now = clock.clone();
    let way = Arc::new(Way::new(&text, Clock::new(move || now.now())));
    let mut ratios = Vec::new();
    for _ in 0..5 {
        cloud.forget_requests();
        let begin = Instant::now();
        let mut polls = JoinSet::new();
        for target in &way.targets {
            let (way, target, now) = (Arc::clone(&way), Arc::clone(target), clock.now());
            polls.spawn(async move {
                let (memory, progress) = (Memory::default(), Progress::default());
                let read =
                    listing::read(&way.client, &target, &way.rhythm, &memory, now, &progress);
                read.await.unwrap();
            });
        }
        polls.join_all().await;
        let calls = cloud.count(|_| true) as f64 - RATE;
        ratios.push(begin.elapsed().as_secs_f64() / (calls / RATE));
        // The budget fills up again, as it does between two rounds.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    let goal = Goal::AtMost { must: 1.15, aim: 1.05 };
    goals.tell("C3", "time of a throttled round ÷ calls ÷ rate", &ratios, goal);
}
