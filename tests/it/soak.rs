//! Random faults on many targets: no number that the cloud never had, and everything recovers. For
//! as many seconds as `CLOUDDB_SOAK_SECONDS` says; `tests/run` gives it a minute.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clouddb_backup_exporter::sim::{
    Answer, Change, Cloud, Estate, Fault, RdsBackup, RdsInstance, Service,
};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use crate::daemon::Setup;
use crate::exposition::Exposition;
use crate::running::{Running, crypto, folder_with};

const TARGETS: usize = 50;

/// What the cloud has and had of each instance.
struct Truth {
    counts: BTreeMap<String, BTreeSet<u64>>,
    ends: BTreeMap<String, BTreeSet<i64>>,
    next: i64,
}

impl Truth {
    /// Writes down what the cloud has now.
    fn observe(&mut self, cloud: &Cloud) {
        for backup in &cloud.estate().projects[0].rds_backups {
            let ends = self.ends.entry(backup.instance_id.clone()).or_default();
            ends.insert(backup.end.unwrap().as_second());
        }
        for (id, count) in counts(cloud) {
            self.counts.entry(id).or_default().insert(count);
        }
    }

    /// Adds a backup to an instance, or takes one away.
    fn change(&mut self, cloud: &Cloud, id: &str, start: Timestamp, random: &mut Rng) {
        self.next += 1;
        let end = start + SignedDuration::from_secs(self.next);
        cloud.change(|estate| {
            let backups = &mut estate.projects[0].rds_backups;
            let own = backups.iter().filter(|backup| backup.instance_id == id).count();
            if own > 3 && random.bool() {
                let nth = random.usize(..own);
                let gone =
                    backups.iter().enumerate().filter(|(_, it)| it.instance_id == id).nth(nth);
                let (at, _) = gone.unwrap();
                drop(backups.remove(at));
            } else {
                backups.push(RdsBackup::completed(id, "auto", end, end, 1000));
            }
        });
        self.observe(cloud);
    }

    /// Every number that is published was true at some time.
    fn check(&self, exposition: &Exposition) {
        for (id, counts) in &self.counts {
            let labels =
                [("instance_id", id.as_str()), ("status", "completed"), ("backup_type", "auto")];
            if let Some(count) = exposition.value("clouddb_backups", &labels) {
                assert!(counts.iter().any(|it| *it as f64 == count), "{id}: {count} of {counts:?}");
            }
            let labels = [("instance_id", id.as_str()), ("backup_type", "auto")];
            let name = "clouddb_backup_last_success_timestamp_seconds";
            if let Some(end) = exposition.value(name, &labels) {
                assert!(self.ends[id].iter().any(|it| *it as f64 == end), "{id}: {end}");
            }
        }
    }
}

fn counts(cloud: &Cloud) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for backup in &cloud.estate().projects[0].rds_backups {
        *counts.entry(backup.instance_id.clone()).or_default() += 1;
    }
    counts
}

/// Polls of each target that began after the end of the faults.
struct Recovery {
    faults_ended: f64,
    /// When the last poll that was seen ended, and how many began after the faults.
    seen: BTreeMap<String, (f64, u32)>,
}

impl Recovery {
    fn new(faults_ended: Timestamp) -> Self {
        Self { faults_ended: faults_ended.as_millisecond() as f64 / 1000.0, seen: BTreeMap::new() }
    }

    /// Takes in what is exported now. True once two such polls of every target ended.
    ///
    /// The second of them, and every later one, must be well. The first need not: its begin is
    /// counted back from its end, and so close to the end of the faults it may have met one. A poll
    /// that ends unseen between two scrapes is not counted, and one more is waited for.
    fn see(&mut self, exposition: &Exposition, ids: &[String]) -> bool {
        for id in ids {
            let value = |name| exposition.value(name, &[("instance_id", id)]);
            let ended = value("clouddb_poll_last_attempt_timestamp_seconds").unwrap();
            let took = value("clouddb_poll_duration_seconds").unwrap();
            let (last, polls) = self.seen.entry(id.clone()).or_default();
            if ended > *last && ended - took > self.faults_ended {
                *polls += 1;
                let success = value("clouddb_poll_success").unwrap();
                let which = format!("poll {polls} of {id} after the faults");
                assert!(*polls < 2 || success == 1.0, "{which}:\n{}", exposition.text());
            }
            *last = ended;
        }
        self.seen.values().all(|(_, polls)| *polls >= 2)
    }
}

/// A fault that passes after a few requests.
fn fault(random: &mut Rng) -> Fault {
    let fault = match random.u8(..9) {
        0 => Fault::status(503),
        1 => Fault::status(429).with_header("Retry-After", "1"),
        2 => Fault::close(),
        3 => Fault::cut(),
        4 => Fault::hang(),
        5 => Fault::body("<html>maintenance</html>"),
        6 => Fault::answer(Answer::text(403, "")),
        7 => Fault::delay(Duration::from_millis(random.u64(..1500))),
        _ => return Fault::change(Change::InsertAtHead).on(Service::Ddm).at("backups").once(),
    };
    fault.on(Service::Rds).times(random.usize(1..6))
}

#[tokio::test]
async fn random_faults_publish_nothing_that_never_was_and_every_target_recovers() {
    crypto();
    let seconds = std::env::var("CLOUDDB_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(5));
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    // Pages small enough that lists are walked while they change.
    cloud.switches(|switches| switches.page_cap = Some(4));
    let start = cloud.clock().now() - SignedDuration::from_hours(48);
    let ids: Vec<String> = (0..TARGETS).map(|at| format!("{at:032x}in04")).collect();
    let mut truth = Truth { counts: BTreeMap::new(), ends: BTreeMap::new(), next: 0 };
    let mut random = Rng::with_seed(20);
    let mut setup = Setup { poll: "interval: 2s, request_timeout: 1s", ..Setup::new(&cloud) };
    for id in &ids {
        setup = setup.with_rds(id, "name: x");
        cloud.change(|estate| estate.projects[0].rds.push(RdsInstance::new(id, "x")));
        for _ in 0..6 {
            truth.change(&cloud, id, start, &mut random);
        }
    }
    let (_folder, flag) = folder_with(&setup.text(&cloud));
    let running = Running::start(&[&flag]).await;
    let all_good = |it: &Exposition| {
        let success = it.values("clouddb_poll_success", &[]);
        success.len() == TARGETS && success.iter().all(|success| *success == 1.0)
    };
    let before = running.until(all_good).await;

    let begin = Instant::now();
    let mut revoked = begin;
    while begin.elapsed() < length {
        cloud.fault(fault(&mut random));
        // Twice under one request, which may take ten seconds here, is a refusal and pauses.
        if revoked.elapsed() > Duration::from_secs(12) {
            revoked = Instant::now();
            cloud.revoke_tokens();
        }
        let id = &ids[random.usize(..TARGETS)];
        truth.change(&cloud, id, start, &mut random);
        truth.check(&Exposition::read(&running.get("/metrics").await));
        // The pace of the faults; nothing is waited for.
        sleep(Duration::from_millis(50)).await;
    }
    cloud.clear_faults();
    let recovery = RefCell::new(Recovery::new(cloud.clock().now()));
    let recovered = running.until(|it| recovery.borrow_mut().see(it, &ids)).await;
    assert!(all_good(&recovered));
    for (id, count) in counts(&cloud) {
        let labels =
            [("instance_id", id.as_str()), ("status", "completed"), ("backup_type", "auto")];
        assert_eq!(recovered.value("clouddb_backups", &labels), Some(count as f64), "{id}");
    }
    for (name, slack) in [("process_resident_memory_bytes", 8e6), ("process_open_fds", 30.0)] {
        let (was, is) = (before.value(name, &[]).unwrap(), recovered.value(name, &[]).unwrap());
        assert!(is < was * 1.2 + slack, "{name} grew from {was} to {is}");
    }
    assert_eq!(
        recovered.value("clouddb_poll_failures_total", &[("reason", "internal")]),
        Some(0.0)
    );
    assert_eq!(running.end("-TERM").await, Some(0));
}
