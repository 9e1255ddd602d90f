//! What is known now: per target the outcome of its last poll, and the numbers of its last
//! successful one. Built aside and swapped whole; readers hold an `Arc` and wait for nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::backup::{Backup, BackupType, Engine, InstanceId, Status};
use crate::error::Fault;
use crate::summary::{self, Summary};
use crate::target::Target;

/// Everything that a scrape and the status page show of the cloud.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// In the order of the config.
    pub targets: Vec<Arc<TargetState>>,
}

/// What is known of one target.
#[derive(Clone, Debug)]
pub struct TargetState {
    /// Which one.
    pub target: Arc<Target>,
    /// How its last poll went; none before the first one ended.
    pub last_poll: Option<PollOutcome>,
    /// The end of its last successful poll.
    pub last_success: Option<Timestamp>,
    /// Polls that failed since then.
    pub failures: u64,
    /// When and why a poll failed last, whatever came after it.
    pub last_fault: Option<(Timestamp, Fault)>,
    /// What the last successful poll brought.
    pub reading: Option<Arc<Reading>>,
    /// When the next poll is due.
    pub next_poll: Option<Instant>,
}

/// How a poll went.
#[derive(Clone, Debug)]
pub struct PollOutcome {
    /// When it ended.
    pub ended: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How many requests it made.
    pub requests: u64,
    /// How many records it read.
    pub records: u64,
    /// Why it failed, if it did.
    pub fault: Option<Fault>,
}

/// The numbers of one successful poll.
#[derive(Debug, PartialEq)]
pub struct Reading {
    /// When the listing was complete.
    pub observed: Timestamp,
    /// Its instances, by id.
    pub instances: Vec<Instance>,
    /// Records with a type that this version does not know.
    pub unknown_types: u64,
    /// Records with a status that this version does not know.
    pub unknown_statuses: u64,
}

/// One instance and its backups.
#[derive(Debug, PartialEq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// The label `instance_name`.
    pub name: Box<str>,
    /// The engine that its newest record names.
    pub engine: Engine,
    /// The state that its newest record reports.
    pub status: Option<Box<str>>,
    /// Its types, by name: those that are expected, and those with a record.
    pub types: Vec<TypeReading>,
}

/// The backups of one type of one instance.
#[derive(Debug, PartialEq)]
pub struct TypeReading {
    /// Which type.
    pub backup_type: BackupType,
    /// What its records say.
    pub summary: Summary,
    /// Its freshness objective; none if it is not expected.
    pub max_age: Option<Duration>,
}

impl TargetState {
    /// A target of which nothing is known yet.
    pub fn new(target: Arc<Target>) -> Self {
        Self {
            target,
            last_poll: None,
            last_success: None,
            failures: 0,
            last_fault: None,
            reading: None,
            next_poll: None,
        }
    }

    /// The state after a poll. A failed one changes what is known of polls, and nothing else.
    #[must_use]
    pub fn after(&self, outcome: &PollOutcome, reading: Option<&Arc<Reading>>) -> Self {
        let failed = outcome.fault.is_some();
        Self {
            target: Arc::clone(&self.target),
            last_success: if failed { self.last_success } else { Some(outcome.ended) },
            failures: if failed { self.failures + 1 } else { 0 },
            last_fault: match &outcome.fault {
                Some(fault) => Some((outcome.ended, fault.clone())),
                None => self.last_fault.clone(),
            },
            last_poll: Some(outcome.clone()),
            reading: reading.or(self.reading.as_ref()).cloned(),
            next_poll: self.next_poll,
        }
    }
}

impl Reading {
    /// Folds the records of a listing that was complete at `observed`. Of types whose times are
    /// commits, records that began before `counted_from` are not counted.
    pub fn new(
        target: &Target,
        backups: &[Backup],
        counted_from: Option<Timestamp>,
        observed: Timestamp,
    ) -> Self {
        let mut groups = summary::group(backups);
        if let Some(instance) = &target.instance {
            groups.entry(&instance.id).or_default();
        }
        Self {
            observed,
            instances: groups
                .into_iter()
                .map(|(id, types)| Instance::new(target, id, &types, counted_from))
                .collect(),
            unknown_types: count(backups, |backup| backup.unknown_type.is_some()),
            unknown_statuses: count(backups, |backup| backup.status == Status::Unknown),
        }
    }
}

fn count(backups: &[Backup], is: impl Fn(&Backup) -> bool) -> u64 {
    backups.iter().filter(|backup| is(backup)).count() as u64
}

impl Instance {
    fn new(
        target: &Target,
        id: &InstanceId,
        types: &BTreeMap<BackupType, Vec<&Backup>>,
        counted_from: Option<Timestamp>,
    ) -> Self {
        let mut newest_first: Vec<&Backup> = types.values().flatten().copied().collect();
        newest_first.sort_unstable_by(|a, b| (b.begin, &b.id).cmp(&(a.begin, &a.id)));
        let configured = target.instance.as_ref().and_then(|instance| instance.name.as_deref());
        let listed = newest_first.iter().find_map(|backup| backup.instance_name.as_deref());
        let named = types.keys().chain(target.max_age.keys());
        let mut named: Vec<BackupType> = named.copied().collect();
        named.sort_unstable();
        named.dedup();
        Self {
            id: id.clone(),
            name: configured.or(listed).unwrap_or(id.as_str()).into(),
            engine: newest_first
                .iter()
                .find_map(|backup| backup.engine.clone())
                .unwrap_or_default(),
            status: newest_first.iter().find_map(|backup| backup.instance_status.clone()),
            types: named
                .into_iter()
                .map(|backup_type| TypeReading {
                    backup_type,
                    summary: summary::summarise(
                        backup_type,
                        types.get(&backup_type).map_or(&[], Vec::as_slice),
                        counted_from,
                    ),
                    max_age: target.max_age.get(&backup_type).copied(),
                })
                .collect(),
        }
    }
}

/// Where the pollers publish and the server reads.
#[derive(Debug, Default)]
pub struct Board {
    snapshot: ArcSwap<Snapshot>,
}

impl Board {
    /// Shows these targets from now on. What is known of those that were there is kept.
    pub fn reassign(&self, targets: &[Arc<Target>]) {
        self.snapshot.rcu(|snapshot| {
            let next = |target: &Arc<Target>| {
                let old = snapshot.targets.iter().find(|old| old.target.is_same(target));
                let target = Arc::clone(target);
                Arc::new(match old {
                    Some(old) => TargetState { target, ..TargetState::clone(old) },
                    None => TargetState::new(target),
                })
            };
            Snapshot { targets: targets.iter().map(next).collect() }
        });
    }

    /// What is known now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Replaces the state of one target by what `change` makes of it, and gives the one before.
    /// Nothing happens if the target is not on the board any more.
    pub fn update(
        &self,
        target: &Target,
        change: impl Fn(&TargetState) -> TargetState,
    ) -> Option<Arc<TargetState>> {
        let is_it = |state: &&Arc<TargetState>| state.target.is_same(target);
        let before = self.snapshot.rcu(|snapshot| {
            let next = |state: &Arc<TargetState>| {
                if is_it(&state) { Arc::new(change(state)) } else { Arc::clone(state) }
            };
            Snapshot { targets: snapshot.targets.iter().map(next).collect() }
        });
        before.targets.iter().find(is_it).cloned()
    }
}
