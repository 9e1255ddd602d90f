//! The program beside an exporter on the vendor's SDK (`benches/peers/exporter.py`) and one that is tuned
//! (`benches/peers/tuned.py`), each as a process against the same simulated cloud, one round. The others
//! read all records; the program reads what it counts, which is a day of incrementals by default, and
//! then all of them. `cargo bench --bench peers [-- INSTANCES]`; `CLOUDDB_TEST_PYTHON` names a Python
//! that has `benches/peers/requirements.txt`; else it is that of `tests/run`, in `.tools/venv`.

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
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::sim::{self, Cloud, estate};
use common::daemon::{Daemon, cpu, memory};
use common::{Goal, Goals, instance_id};

const RECORDS: usize = 2016;
const ROUNDS: usize = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    if !common::is_asked() {
        return ExitCode::SUCCESS;
    }
    let instances = common::number(100);
    // The SDK signs with the time of the machine; this one stands still for the quarter of an hour in
    // which the cloud takes a signature.
    let clock = sim::Clock::fixed(Clock::system().now());
    let cloud = Cloud::start_at(common::estate(instances, RECORDS), clock).await.unwrap();
    let mut goals = Goals::default();
    // By default a day of incrementals is counted, and no more than that is read.
    for (lookback, what) in [("24h", "by default"), ("all", "counting all incrementals")] {
        let poll = format!("interval: 1h, incremental_lookback: {lookback}");
        let config = common::config(cloud.rds_url(), &poll, "", instances);
        let (mut times, mut tuned_times, mut memories) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            cloud.clock().set(Clock::system().now());
            let ours = tokio::task::block_in_place(|| {
                let daemon = Daemon::start(&config);
                daemon.wait_for_polls(instances, 1);
                (daemon.cpu(), daemon.memory("VmHWM"))
            });
            let theirs = tokio::task::block_in_place(|| peer("exporter.py", &cloud, instances));
            let tuned = tokio::task::block_in_place(|| peer("tuned.py", &cloud, instances));
            println!(
                "    ours {:.0} ms, {:.1} MiB; the SDK's {:.0} ms, {:.1} MiB; tuned {:.0} ms, {:.1} MiB",
                ours.0, ours.1, theirs.0, theirs.1, tuned.0, tuned.1
            );
            times.push(theirs.0 / ours.0);
            tuned_times.push(tuned.0 / ours.0);
            memories.push(theirs.1 / ours.1);
        }
        let goal = Goal::AtLeast { must: 25.0, aim: 45.0 };
        goals.tell(
            "P2",
            &format!("CPU of the SDK exporter ÷ ours, one round, {what}"),
            &times,
            goal,
        );
        let goal = Goal::AtLeast { must: 4.0, aim: 7.0 };
        goals.tell("P3", &format!("CPU of a tuned Python ÷ ours, {what}"), &tuned_times, goal);
        let goal = Goal::AtLeast { must: 3.0, aim: 6.0 };
        let name = format!("peak RSS of the SDK exporter ÷ ours, {what}");
        // Memory follows the incrementals that are counted.
        match lookback {
            "all" => Goals::show("M2", &name, &memories),
            _ => goals.tell("M2", &name, &memories, goal),
        }
    }
    goals.end()
}

/// CPU time and peak memory of a round of a Python exporter.
fn peer(program: &str, cloud: &Cloud, instances: usize) -> (f64, f64) {
    let python = env::var("CLOUDDB_TEST_PYTHON").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/venv/bin/python").to_owned()
    });
    let ids: Vec<String> = (0..instances).map(instance_id).collect();
    let given = serde_json::json!({
        "rds": cloud.rds_url(), "ak": estate::ACCESS_KEY, "sk": estate::SECRET_KEY,
        "project_id": estate::PROJECT_ID, "instances": ids, "iam": cloud.iam_url(),
        "user": estate::USER, "password": estate::PASSWORD, "domain": estate::DOMAIN,
    });
    let process = Command::new(python)
        .arg(format!("{}/benches/peers/{program}", env!("CARGO_MANIFEST_DIR")))
        .arg(given.to_string())
        .stdout(Stdio::piped())
        .spawn();
    let mut process = Ended(process.unwrap());
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
    let line = lines.next().expect("it polls").unwrap();
    assert!(line.starts_with("polled ") && !line.starts_with("polled 0 "), "{line}");
    (cpu(process.0.id()), memory(process.0.id(), "VmHWM"))
}

/// A process that ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
