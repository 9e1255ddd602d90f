//! What a day of polls costs, and that it shows what a program would show that had just been started:
//! on a clock that is moved, counted at the simulated cloud. No time is measured.

use std::path::Path;
use std::sync::Arc;

use clouddb_backup_exporter::account::{Account, Patience, Terms};
use clouddb_backup_exporter::client::Client;
use clouddb_backup_exporter::config::{self, Config};
use clouddb_backup_exporter::error::Reason;
use clouddb_backup_exporter::listing::{self, Listing, Memory, Progress, Rhythm};
use clouddb_backup_exporter::meter::Meters;
use clouddb_backup_exporter::shard::Shard;
use clouddb_backup_exporter::sim::{
    Clock, Cloud, Estate, MissingEnd, Order, RdsInstance, Schedule, Switches, Total, Window, estate,
};
use clouddb_backup_exporter::snapshot::Reading;
use clouddb_backup_exporter::target::{self, Target};
use jiff::{SignedDuration, Timestamp};

use crate::daemon::{Setup, clock_of, keys};

const ROUND: SignedDuration = SignedDuration::from_mins(5);
/// More than a day, so that everything that is done once a day is done.
const ROUNDS: usize = 26 * 12;

fn start() -> Timestamp {
    "2025-03-10T12:00:30Z".parse().unwrap()
}

/// Incrementals are counted for three hours, so that there are not so many that this takes long.
fn setup(cloud: &Cloud) -> Setup<'static> {
    let poll = "interval: 5m, incremental_lookback: 3h";
    Setup { poll, credential: keys(), ..Setup::new(cloud) }
}

/// A target, and what its polls remember.
struct Polled {
    target: Arc<Target>,
    memory: Memory,
}

/// The targets of a simulated cloud, and the way to them.
struct Polls {
    cloud: Cloud,
    client: Client,
    rhythm: Rhythm,
    targets: Vec<Polled>,
}

impl Polls {
    fn new(cloud: Cloud, text: &str) -> Self {
        let config = Config::read(text, Path::new("test"), &config::fetch).expect("good").config;
        let project = &config.projects[0];
        let terms = Terms {
            request_timeout: config.poll.request_timeout,
            patience: Patience::default(),
            clock: clock_of(&cloud),
            meters: Meters::new().unwrap(),
            shard: Shard::WHOLE,
        };
        let account = Arc::new(Account::new(Arc::clone(&project.credential), terms).unwrap());
        let rhythm = Rhythm {
            lookback: config.poll.incremental_lookback,
            full_walk_interval: config.poll.full_walk_interval,
            phase: 0,
        };
        let polled = |target| Polled { target, memory: Memory::default() };
        Self {
            client: Client::new(account, &project.name, &project.project_id, 4),
            cloud,
            rhythm,
            targets: target::targets(&config, &[]).into_iter().map(polled).collect(),
        }
    }

    /// Polls all targets once, and gives how many calls that took.
    async fn round(&mut self) -> usize {
        self.cloud.forget_requests();
        for at in 0..self.targets.len() {
            let Polled { target, memory } = &self.targets[at];
            // A poll that fails leaves nothing to the next one.
            if let Ok((_, next)) = self.poll(target, memory).await {
                self.targets[at].memory = next;
            }
        }
        self.cloud.count(|_| true)
    }

    async fn poll(&self, target: &Target, memory: &Memory) -> Result<(Reading, Memory), Reason> {
        let now = self.cloud.clock().now();
        let rhythm = Rhythm { phase: target.stable_hash(), ..self.rhythm };
        let progress = Progress::default();
        let read = listing::read(&self.client, target, &rhythm, memory, now, &progress).await;
        let Listing { backups, counted_from, known_until, memory } =
            read.map_err(|fault| fault.reason)?;
        let observed = known_until.map_or(now, |until| until.min(now));
        Ok((Reading::new(target, &backups, counted_from, observed), memory))
    }

    /// How much is remembered, in characters of its debug form.
    fn remembered(&self) -> usize {
        self.targets.iter().map(|it| format!("{:?}", it.memory).len()).sum()
    }

    /// Every target shows with what it remembers what it would show without.
    async fn assert_true(&self) {
        for Polled { target, memory } in &self.targets {
            let steady = self.poll(target, memory).await.map(|(reading, _)| reading);
            let fresh = self.poll(target, &Memory::default()).await.map(|(reading, _)| reading);
            assert_eq!(steady, fresh, "{target} at {}", self.cloud.clock().now());
        }
    }
}

/// Instances with a daily backup and an incremental every five minutes, kept for so many hours.
async fn steady(instances: i64, keep: i64, change: impl FnOnce(&mut Switches)) -> Polls {
    let cloud = Cloud::start_at(Estate::new(), Clock::fixed(start())).await.unwrap();
    let mut setup = setup(&cloud);
    for at in 0..instances {
        let id = format!("{at:032x}in01");
        let keep = SignedDuration::from_hours(keep);
        cloud.change(|estate| {
            let project = &mut estate.projects[0];
            project.rds.push(RdsInstance::new(&id, "x"));
            project.schedules.push(Schedule::daily(&id, 3 * at));
            project.schedules.push(Schedule { keep, ..Schedule::incremental(&id) });
        });
        setup = setup.with_rds(&id, "name: x");
    }
    cloud.switches(change);
    let text = setup.text(&cloud);
    Polls::new(cloud, &text)
}

/// The calls of a day of steady rounds ÷ rounds ÷ instances.
async fn calls_per_poll(polls: &mut Polls) -> f64 {
    polls.round().await;
    let mut calls = 0;
    for _ in 0..ROUNDS {
        polls.cloud.clock().advance(ROUND);
        calls += polls.round().await;
    }
    calls as f64 / ROUNDS as f64 / polls.targets.len() as f64
}

#[tokio::test]
async fn a_steady_poll_takes_little_more_than_two_calls_however_many_backups_there_are() {
    let few = calls_per_poll(&mut steady(1, 4, |_| {}).await).await;
    let many = calls_per_poll(&mut steady(1, 10, |_| {}).await).await;
    assert!(few <= 2.4, "{few}");
    // Not quite the same: what is done once an hour and once a day is so at a time of the target's own.
    assert!(many <= 1.05 * few, "{many} and {few}");
}

#[tokio::test]
async fn where_each_type_is_asked_by_itself_a_steady_poll_takes_a_call_per_type() {
    let mut polls = steady(1, 4, |it| it.untyped_holds_incrementals = true).await;
    let calls = calls_per_poll(&mut polls).await;
    assert!(calls <= 3.5, "{calls}");
}

#[tokio::test]
async fn what_polls_remember_does_not_grow() {
    let mut polls = steady(1, 4, |_| {}).await;
    let mut remembered = Vec::new();
    for _ in 0..ROUNDS {
        polls.round().await;
        remembered.push(polls.remembered());
        polls.cloud.clock().advance(ROUND);
    }
    // How long a backup takes is drawn, so a poll may find one more that is not done: means are compared.
    let (early, late) = remembered[24..].split_at((ROUNDS - 24) / 2);
    let mean = |of: &[usize]| of.iter().sum::<usize>() as f64 / of.len() as f64;
    let (early, late) = (mean(early), mean(late));
    assert!(late <= 1.02 * early, "{early} characters in the first half day, {late} in the second");
}

/// The estate of the demo, whose incrementals are kept for a little more than they are counted: they
/// expire, and the lists are short enough for all of this.
async fn demo(change: impl FnOnce(&mut Switches)) -> Polls {
    let estate = estate::demo(start());
    let cloud = Cloud::start_at(estate, Clock::fixed(start())).await.unwrap();
    cloud.change(|estate| {
        for schedule in &mut estate.projects[0].schedules {
            if schedule.every == ROUND {
                schedule.keep = SignedDuration::from_hours(4);
            }
        }
    });
    cloud.switches(change);
    let mut setup = setup(&cloud).with_ddm();
    for instance in cloud.estate().projects[0].primaries() {
        setup = setup.with_rds(&instance.id, "name: x");
    }
    let text = setup.text(&cloud).replace(estate::PROJECT_ID, estate::DEMO_PROJECT_ID);
    Polls::new(cloud, &text)
}

/// Polls the demo for a day under these switches, every ten minutes, and looks every 70.
async fn assert_true_for_a_day(change: impl FnOnce(&mut Switches)) {
    let mut polls = demo(change).await;
    for round in 0..ROUNDS / 2 {
        polls.round().await;
        polls.cloud.clock().advance(2 * ROUND);
        if round % 7 == 0 {
            polls.assert_true().await;
        }
    }
}

#[tokio::test]
async fn a_day_of_polls_shows_what_fresh_ones_show() {
    assert_true_for_a_day(|_| {}).await;
}

#[tokio::test]
async fn so_it_does_where_types_are_asked_one_by_one_and_the_oldest_come_first() {
    assert_true_for_a_day(|it| {
        it.untyped_holds_incrementals = true;
        it.order = Order::OldestFirst;
        it.missing_end = MissingEnd::Absent;
        it.page_cap = Some(30);
    })
    .await;
}

#[tokio::test]
async fn so_it_does_where_the_window_is_open_and_about_the_end_and_types_are_refused() {
    assert_true_for_a_day(|it| {
        it.window = Window::End;
        it.window_is_inclusive = false;
        it.order = Order::Unordered;
        it.missing_end = MissingEnd::Empty;
        it.refuses_fragment_of_others = true;
        it.refuses_incremental_of_sql_server = true;
    })
    .await;
}

#[tokio::test]
async fn so_it_does_where_window_and_type_are_ignored() {
    assert_true_for_a_day(|it| {
        it.window = Window::Ignored;
        it.type_is_ignored = true;
    })
    .await;
}

#[tokio::test]
async fn so_it_does_where_the_total_ignores_the_filters() {
    assert_true_for_a_day(|it| it.total = Total::Unfiltered).await;
}
