//! What a full poll costs: `cargo bench --bench poll [-- INSTANCES]`. All records of 200 instances are
//! read, 2,016 each, against the same HTTP client that reads the same answers and drops them (P1); and
//! the answers are read in the process, against a check that they are JSON (P4).
//!
//! The client has a thread, whose CPU time is read; the server has another, with bodies made before.

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

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clouddb_backup_exporter::backup::InstanceId;
use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::product;
use common::{Goal, Goals, Pages, Server, Way, median, spread, thread_cpu};
use tokio::task::JoinSet;

const RECORDS: usize = 2016;
const IN_FLIGHT: usize = 8;
const ROUNDS: usize = 9;

/// The paths of each instance, in the order in which a poll asks for them.
type Questions = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

fn main() -> ExitCode {
    if !common::is_asked() {
        return ExitCode::SUCCESS;
    }
    let instances = common::number(200);
    let pages = Arc::new(Pages::new(instances, RECORDS));
    let mut goals = Goals::default();
    poll(&pages, instances, &mut goals);
    decode(&pages, &mut goals);
    goals.end()
}

fn poll(pages: &Arc<Pages>, instances: usize, goals: &mut Goals) {
    let questions = Questions::default();
    let (asked, pages) = (Arc::clone(&questions), Arc::clone(pages));
    let server = Server::answering(move |target| {
        if let Some(id) = common::parameter(target, "instance_id") {
            asked.lock().unwrap().entry(id.to_owned()).or_default().push(target.to_owned());
        }
        pages.answer(target)
    });
    let endpoint = format!("http://{}", server.address);
    let settings = format!("incremental_lookback: all, concurrency: {IN_FLIGHT}");
    let text = common::config(&endpoint, &settings, "", instances);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let way = Arc::new(Way::new(&text, Clock::new(common::newest)));
        let floor = reqwest::Client::builder().pool_idle_timeout(Duration::from_secs(30));
        let floor = floor.no_proxy().build().unwrap();
        // Also the warm-up; what it asked is what the floor asks.
        assert_eq!(common::full_poll(&way, IN_FLIGHT).await.0, instances * RECORDS);
        let questions = std::mem::take(&mut *questions.lock().unwrap());
        let answers: usize = questions.values().map(Vec::len).sum();
        let queue: Vec<Vec<String>> = questions.into_values().collect();
        drop_all(&floor, &endpoint, &queue).await;
        let (mut dropped, mut polled, mut summed) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begin = thread_cpu();
            drop_all(&floor, &endpoint, &queue).await;
            let middle = thread_cpu();
            let (records, summing) = common::full_poll(&way, IN_FLIGHT).await;
            assert_eq!(records, instances * RECORDS);
            dropped.push(middle - begin);
            polled.push(thread_cpu() - middle);
            summed.push(summing);
        }
        let micro = |values: &[f64]| median(values.to_vec()) / 1000.0 / answers as f64;
        println!(
            "{} records in {answers} answers: floor {:.1} µs an answer, poll {:.1} µs, of \
             which {:.1} µs sum up",
            instances * RECORDS,
            micro(&dropped),
            micro(&polled),
            micro(&summed),
        );
        let ratios: Vec<f64> = polled.iter().zip(&dropped).map(|(it, floor)| it / floor).collect();
        let goal = Goal::AtMost { must: 6.0, aim: 4.0 };
        goals.tell("P1", "CPU of a full poll ÷ floor client", &ratios, goal);
    });
}

/// Asks the same and drops the answers.
async fn drop_all(client: &reqwest::Client, endpoint: &str, queue: &[Vec<String>]) {
    let next = Arc::new(Mutex::new(queue.to_vec()));
    let mut readers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (client, next, endpoint) = (client.clone(), Arc::clone(&next), endpoint.to_owned());
        readers.spawn(async move {
            loop {
                let Some(targets) = next.lock().unwrap().pop() else { return };
                for target in targets {
                    let request = client.get(format!("{endpoint}{target}"));
                    let mut response = request.send().await.unwrap();
                    while response.chunk().await.unwrap().is_some() {}
                }
            }
        });
    }
    readers.join_all().await;
}

fn decode(pages: &Pages, goals: &mut Goals) {
    let rds = product::by_name("rds").unwrap();
    // More than any cache holds.
    let pages: Vec<_> =
        pages.iter().take(400).map(|(id, page)| (InstanceId::new(id.as_str()), page)).collect();
    let records: usize =
        pages.iter().map(|(id, page)| (rds.decode)(page, Some(id)).unwrap().entries.len()).sum();
    let (mut checked, mut decoded) = (Vec::new(), Vec::new());
    for _ in 0..41 {
        let begin = thread_cpu();
        for (_, page) in &pages {
            serde_json::from_slice::<serde::de::IgnoredAny>(page).unwrap();
        }
        let middle = thread_cpu();
        for (id, page) in &pages {
            drop((rds.decode)(page, Some(id)).unwrap());
        }
        checked.push((middle - begin) / records as f64);
        decoded.push((thread_cpu() - middle) / records as f64);
    }
    println!("check: {} ns a record; decode: {} ns", spread(&checked), spread(&decoded));
    let ratios: Vec<f64> = decoded.iter().zip(&checked).map(|(it, floor)| it / floor).collect();
    let goal = Goal::AtMost { must: 4.0, aim: 2.8 };
    goals.tell("P4", "decode ÷ check that it is JSON", &ratios, goal);
}
