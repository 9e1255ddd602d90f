//! Round after round of the same target: what is kept between them must never show.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clouddb_backup_exporter::account::{Account, Patience, Terms};
use clouddb_backup_exporter::backup::{Backup, BackupId, BackupType, InstanceId, Origin, Status};
use clouddb_backup_exporter::client::Client;
use clouddb_backup_exporter::config::{self, Config, Lookback};
use clouddb_backup_exporter::error::Fault;
use clouddb_backup_exporter::listing::{self, Listing, Memory, Progress, Rhythm};
use clouddb_backup_exporter::meter::Meters;
use clouddb_backup_exporter::shard::Shard;
use clouddb_backup_exporter::sim::{
    Clock, Cloud, Estate, MissingEnd, Order, RdsBackup, RdsInstance, Switches, Total, Window,
    estate,
};
use clouddb_backup_exporter::snapshot::{Reading, TypeReading};
use clouddb_backup_exporter::target::{self, Target};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

use crate::daemon::{Setup, clock_of};

const MYSQL: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const SQL_SERVER: &str = "a48e43ff268f4c0e879652d65e63d0fbin04";
const UNKNOWN: &str = "a48e43ff268f4c0e879652d65e63d0fb";

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

fn start() -> Timestamp {
    "2025-03-10T12:00:00Z".parse().unwrap()
}

/// One target of a cloud, read round after round.
struct Rounds {
    cloud: Cloud,
    target: Arc<Target>,
    client: Client,
    rhythm: Rhythm,
    memory: Memory,
    added: AtomicU64,
}

impl Rounds {
    async fn new(instance: &str, estate: Estate, lookback: Lookback) -> Self {
        let cloud = Cloud::start_at(estate, Clock::fixed(start())).await.unwrap();
        let text = Setup::new(&cloud).with_rds(instance, "name: orders").text(&cloud);
        let config = Config::read(&text, Path::new("test"), &config::fetch).unwrap().config;
        let project = &config.projects[0];
        let terms = Terms {
            request_timeout: Duration::from_secs(30),
            patience: Patience::default(),
            clock: clock_of(&cloud),
            meters: Meters::new().unwrap(),
            shard: Shard::WHOLE,
        };
        let account = Account::new(Arc::clone(&project.credential), terms).unwrap();
        let client = Client::new(Arc::new(account), &project.name, &project.project_id, 4);
        let target = target::targets(&config, &[]).remove(0);
        let full_walk_interval = SignedDuration::from_hours(24);
        let rhythm = Rhythm { lookback, full_walk_interval, phase: 1_234_567_890 };
        Self { cloud, target, client, rhythm, memory: Memory::default(), added: AtomicU64::new(1) }
    }

    async fn read(&self, memory: &Memory) -> Result<(Listing, u64), Fault> {
        let progress = Progress::default();
        let now = self.cloud.clock().now();
        let read =
            listing::read(&self.client, &self.target, &self.rhythm, memory, now, &progress).await;
        Ok((read?, progress.requests.get()))
    }

    /// What the next round shows, and how many requests it took.
    async fn round(&mut self) -> Result<(Reading, u64), Fault> {
        let (listing, requests) = self.read(&self.memory).await?;
        let reading = self.reading(&listing);
        self.memory = listing.memory;
        Ok((reading, requests))
    }

    /// What a walk of everything shows.
    async fn everything(&self) -> Result<Reading, Fault> {
        Ok(self.reading(&self.read(&Memory::default()).await?.0))
    }

    /// What the cloud's own records come to, without any list being read.
    fn truth(&self) -> Reading {
        let estate = self.cloud.estate();
        let backups: Vec<Backup> =
            estate.projects[0].rds_backups.iter().map(|it| self.backup(it)).collect();
        Reading::new(&self.target, &backups, self.counted_from(), self.cloud.clock().now())
    }

    fn backup(&self, record: &RdsBackup) -> Backup {
        let backup_type = self.target.product.backup_type(&record.kind);
        Backup {
            id: BackupId::new(&record.id),
            origin: Arc::new(Origin::bare(InstanceId::new(&*record.instance_id))),
            backup_type: backup_type.unwrap_or(BackupType::UNKNOWN),
            status: match &*record.status {
                "COMPLETED" => Status::Completed,
                "FAILED" => Status::Failed,
                "BUILDING" => Status::Running,
                "DELETING" => Status::Deleting,
                other => panic!("no record here is {other}"),
            },
            begin: record.begin,
            end: record.end,
            bytes: record.size.as_ref().and_then(serde_json::Value::as_u64).map(|kib| kib * 1024),
            unknown: None,
        }
    }

    /// Whether an incremental began before the lookback and is not done before it. Who read it in
    /// time knows of it, and who reads the lookback only does not.
    fn has_one_across_lookback(&self) -> bool {
        let from = self.counted_from();
        let is_across = |it: &RdsBackup| it.begin < from && (it.end.is_none() || it.end >= from);
        self.has_incremental(is_across)
    }

    /// Whether a window leaves out an incremental that lies in it: by the end, one without an end.
    fn hides_running(&self) -> bool {
        let filters_end = self.cloud.switches(|switches| switches.window == Window::End);
        filters_end && self.has_incremental(|it| it.end.is_none())
    }

    fn has_incremental(&self, is_meant: impl Fn(&RdsBackup) -> bool) -> bool {
        let estate = self.cloud.estate();
        let backups = &estate.projects[0].rds_backups;
        backups.iter().any(|it| it.kind == "incremental" && is_meant(it))
    }

    fn counted_from(&self) -> Option<Timestamp> {
        match self.rhythm.lookback {
            Lookback::Last(length) => {
                Some(self.cloud.clock().now() - SignedDuration::try_from(length).unwrap())
            }
            Lookback::All => None,
        }
    }

    fn reading(&self, listing: &Listing) -> Reading {
        let backups: &[Backup] = &listing.backups;
        Reading::new(&self.target, backups, listing.counted_from, self.cloud.clock().now())
    }

    /// Adds a record, with an id that no other one has.
    fn add(&self, backup: RdsBackup) {
        let number = self.added.fetch_add(1, Ordering::Relaxed);
        self.change(|all| {
            let id = format!("{number:032x}br01");
            all.push(backup.with_id(&id));
        });
    }

    fn change(&self, change: impl FnOnce(&mut Vec<RdsBackup>)) {
        self.cloud.change(|estate| {
            change(&mut estate.project_mut(estate::PROJECT_ID).unwrap().rds_backups);
        });
    }
}

/// What happens at the cloud between two rounds.
#[derive(Clone, Debug)]
enum Happening {
    /// A record begins so many minutes ago, and still runs.
    Begin(&'static str, i64),
    /// One that ran from so many to so many minutes ago appears.
    Complete(&'static str, i64, i64),
    Fail(&'static str, i64),
    /// Of those that run, this one ends now; or fails.
    Finish(prop::sample::Index, bool),
    /// The oldest incremental begins to be deleted.
    Expire,
    /// A full backup is deleted by hand.
    DeleteFull(prop::sample::Index),
    /// So is an incremental.
    DeleteIncremental(prop::sample::Index),
    /// A backup of a type that nobody documented.
    Strange,
    /// From now on the list without a type holds the incrementals, or not.
    Mix(bool),
    /// Time passes.
    Pass(i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let kind = || select(vec!["auto", "manual", "incremental", "incremental", "fragment"]);
    prop_oneof![
        3 => (kind(), 0..20_i64).prop_map(|(kind, ago)| Happening::Begin(kind, ago)),
        6 => (5..12_i64, 0..5_i64)
            .prop_map(|(begin, end)| Happening::Complete("incremental", begin, end)),
        2 => (kind(), 5..12_i64, 0..5_i64)
            .prop_map(|(kind, begin, end)| Happening::Complete(kind, begin, end)),
        2 => (kind(), 5..12_i64).prop_map(|(kind, ago)| Happening::Fail(kind, ago)),
        3 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(which, well)| Happening::Finish(which, well)),
        2 => any::<prop::sample::Index>().prop_map(Happening::DeleteFull),
        1 => any::<prop::sample::Index>().prop_map(Happening::DeleteIncremental),
        1 => Just(Happening::Expire),
        1 => Just(Happening::Strange),
        1 => any::<bool>().prop_map(Happening::Mix),
        8 => (1..12_i64).prop_map(Happening::Pass),
        1 => (60..400_i64).prop_map(Happening::Pass),
    ]
}

fn switches() -> impl Strategy<Value = Switches> {
    let order = select(vec![Order::NewestFirst, Order::OldestFirst, Order::Unordered]);
    let window = select(vec![Window::Begin, Window::End, Window::Ignored]);
    let missing_end = select(vec![MissingEnd::Null, MissingEnd::Absent, MissingEnd::Empty]);
    let total = prop_oneof![4 => Just(Total::Filtered), 1 => Just(Total::Unfiltered)];
    let cap = prop_oneof![3 => Just(None), 1 => Just(Some(7)), 1 => Just(Some(30))];
    let flags = any::<[bool; 5]>();
    (order, window, missing_end, total, cap, flags).prop_map(
        |(order, window, missing_end, total, page_cap, flags)| Switches {
            order,
            window,
            missing_end,
            total,
            page_cap,
            untyped_holds_incrementals: flags[0],
            window_is_inclusive: flags[1],
            type_is_ignored: flags[2] && flags[3],
            refuses_fragment_of_others: flags[3],
            refuses_incremental_of_sql_server: flags[4],
            ..Switches::default()
        },
    )
}

/// Makes it happen. Gives whether an incremental was deleted by hand.
fn happen(
    rounds: &Rounds,
    instance: &str,
    happening: &Happening,
    retention: SignedDuration,
) -> bool {
    let now = rounds.cloud.clock().now();
    let ago = |count: i64| now - minutes(count);
    let is_incremental = |backup: &RdsBackup| backup.kind == "incremental";
    let mut by_hand = false;
    match happening {
        Happening::Begin(kind, begin) => {
            rounds.add(RdsBackup::building(instance, kind, ago(*begin)));
        }
        Happening::Complete(kind, begin, end) => {
            rounds.add(RdsBackup::completed(instance, kind, ago(*begin), ago(*end), 1000));
        }
        Happening::Fail(kind, begin) => {
            rounds.add(RdsBackup::failed(instance, kind, ago(*begin), ago(*begin - 1)));
        }
        Happening::Finish(which, well) => rounds.change(|all| {
            let mut running: Vec<_> = all.iter_mut().filter(|it| it.status == "BUILDING").collect();
            if !running.is_empty() {
                let which = which.index(running.len());
                let status = if *well { "COMPLETED" } else { "FAILED" };
                status.clone_into(&mut running[which].status);
                running[which].end = Some(now);
                running[which].size = Some(77.into());
            }
        }),
        Happening::DeleteFull(which) => rounds.change(|all| {
            let full: Vec<usize> = (0..all.len()).filter(|at| !is_incremental(&all[*at])).collect();
            if !full.is_empty() {
                drop(all.remove(full[which.index(full.len())]));
            }
        }),
        Happening::DeleteIncremental(which) => rounds.change(|all| {
            let some: Vec<usize> = (0..all.len()).filter(|at| is_incremental(&all[*at])).collect();
            if !some.is_empty() {
                by_hand = true;
                drop(all.remove(some[which.index(some.len())]));
            }
        }),
        Happening::Expire => rounds.change(|all| {
            let finished =
                all.iter_mut().filter(|it| is_incremental(it) && it.status == "COMPLETED");
            if let Some(oldest) = finished.min_by_key(|it| it.begin) {
                "DELETING".clone_into(&mut oldest.status);
            }
        }),
        Happening::Strange => {
            rounds.add(RdsBackup::with_words(instance, "Snapshot", "COMPLETED", ago(3)));
        }
        Happening::Mix(mixed) => {
            rounds.cloud.switches(|switches| switches.untyped_holds_incrementals = *mixed);
        }
        Happening::Pass(count) => {
            rounds.cloud.clock().advance(minutes(*count));
            // What is finished expires.
            let oldest = rounds.cloud.clock().now() - retention;
            rounds.change(|all| {
                all.retain(|it| {
                    !is_incremental(it) || it.status == "BUILDING" || it.begin >= Some(oldest)
                });
            });
        }
    }
    by_hand
}

/// The numbers of the types that have a list of their own, which are true in every round; without the
/// incrementals while one that was deleted by hand may still be counted. Of the others the list
/// without a type tells, which may be read once a day only.
fn numbers<'a>(reading: &'a Reading, instance: &str, is_settled: bool) -> Vec<&'a TypeReading> {
    let without_list = if instance == SQL_SERVER { "incremental" } else { "fragment" };
    let types = reading.instances.iter().flat_map(|instance| &instance.types);
    let types = types.filter(|of| {
        let name = of.backup_type.name;
        name != "unknown" && name != without_list && (is_settled || name != "incremental")
    });
    types.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_round_shows_what_a_walk_of_everything_would_show(
        instance in select(vec![MYSQL, MYSQL, MYSQL, SQL_SERVER, UNKNOWN]),
        switches in switches(),
        lookback in select(vec![
            Lookback::Last(Duration::from_secs(24 * 3600)),
            Lookback::Last(Duration::from_secs(2 * 3600)),
            Lookback::Last(Duration::from_secs(1800)),
            Lookback::All,
        ]),
        retention in select(vec![minutes(45), minutes(120), minutes(300), minutes(2880)]),
        incrementals in 0..130_i64,
        history in prop::collection::vec(prop::collection::vec(happening(), 1..5), 4..16),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ago = |count: i64| start() - minutes(count);
            let estate = Estate::new()
                .with_rds(RdsInstance::new(instance, "orders"))
                .with_rds_backups((1..8).map(|day| {
                    RdsBackup::completed(instance, "auto", ago(day * 1440), ago(day * 1440 - 9), 9)
                }))
                .with_rds_backups((1..=incrementals.min(retention.as_mins() / 5)).map(|at| {
                    RdsBackup::completed(instance, "incremental", ago(at * 5), ago(at * 5 - 4), at.unsigned_abs())
                }));
            let mut rounds = Rounds::new(instance, estate, lookback).await;
            rounds.cloud.switches(|of_cloud| *of_cloud = switches.clone());
            let mut doubtful_until = start();
            for happenings in &history {
                for it in happenings {
                    if happen(&rounds, instance, it, retention) {
                        doubtful_until = rounds.cloud.clock().now() + minutes(60);
                    }
                }
                // Where a walk of everything cannot be believed, nothing can be compared.
                let Ok(everything) = rounds.everything().await else { continue };
                let (shown, _) = rounds.round().await.unwrap();
                let is_settled = rounds.cloud.clock().now() >= doubtful_until
                    && !rounds.has_one_across_lookback();
                prop_assert_eq!(
                    numbers(&shown, instance, is_settled),
                    numbers(&everything, instance, is_settled),
                    "after {:?}",
                    happenings
                );
                let is_settled = is_settled && !rounds.hides_running();
                let truth = rounds.truth();
                prop_assert_eq!(
                    numbers(&shown, instance, is_settled),
                    numbers(&truth, instance, is_settled),
                    "by the records themselves, after {:?}",
                    happenings
                );
            }
            Ok(())
        })?;
    }
}
