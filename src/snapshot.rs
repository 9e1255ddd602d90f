//! What is known now: per target the outcome of its last poll, and the numbers of its last
//! successful one. The state of a target is built aside and swapped whole.

mod shown;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::backup::{Backup, BackupType, Engine, InstanceId, Origin, Status};
use crate::error::{Fault, Reason};
use crate::estate::Estate;
use crate::lookup::Looked;
use crate::policy::Policy;
use crate::restore::RestoreWindow;
use crate::summary::{self, Record, Summary};
use crate::target::{Key, Target};

pub use shown::{Shown, ShownType};

/// Everything that a scrape and the status page show of the cloud.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// In the order of the config.
    pub targets: Vec<Arc<TargetState>>,
    /// What is known by the instance lists, in the order of the config.
    pub estates: Vec<Arc<Estate>>,
}

impl Snapshot {
    /// Whether every target was polled and every instance list read once, with whatever outcome.
    pub fn was_tried(&self) -> bool {
        self.estates.iter().all(|estate| estate.was_tried())
            && self.targets.iter().all(|state| state.last_poll.is_some())
    }
}

/// What is known of one target.
#[derive(Clone, Debug)]
pub struct TargetState {
    /// Which one.
    pub target: Arc<Target>,
    /// The cloud's id of its project; none as long as it is not known.
    pub project_id: Option<Arc<str>>,
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
    /// Whether its instance was shown before the settings changed: what is shown does not go because
    /// more is asked for.
    pub was_shown: bool,
    /// Whether its own list, when it was asked last, knew the target at all.
    pub is_found: Option<bool>,
    /// What is known by the instance list that it is on, where one is read.
    pub estate: Option<Arc<Estate>>,
    /// The automated backup policy of its instance.
    pub policy: Looked<Policy>,
    /// What its instance can be restored to.
    pub restore_window: Looked<RestoreWindow>,
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
    /// The types that it has records of, by name.
    pub types: Vec<TypeReading>,
}

/// The backups of one type of one instance.
#[derive(Debug, PartialEq)]
pub struct TypeReading {
    /// Which type.
    pub backup_type: BackupType,
    /// What its records say.
    pub summary: Summary,
    /// The newest of them.
    pub newest: Vec<Record>,
}

impl TargetState {
    /// A target of which nothing is known yet.
    pub fn new(target: Arc<Target>) -> Self {
        let project_id = target.project_id.known().map(Into::into);
        Self {
            target,
            project_id,
            last_poll: None,
            last_success: None,
            failures: 0,
            last_fault: None,
            reading: None,
            was_shown: false,
            is_found: None,
            estate: None,
            policy: Looked::default(),
            restore_window: Looked::default(),
            next_poll: None,
        }
    }

    /// The same, for a target with other settings and what is known of its instance list now. What
    /// the settings do not ask for any more is forgotten.
    fn taken_over(&self, target: Arc<Target>, estate: Option<Arc<Estate>>) -> Self {
        Self {
            was_shown: self.was_shown || !self.shown().is_empty(),
            policy: if target.policy { self.policy.clone() } else { Looked::default() },
            restore_window: match target.restore_window {
                Some(_) => self.restore_window.clone(),
                None => Looked::default(),
            },
            estate,
            target,
            ..self.clone()
        }
    }

    /// The state after a poll. A failed one changes what is known of polls, and nothing else.
    #[must_use]
    pub fn after(&self, outcome: &PollOutcome, reading: Option<&Arc<Reading>>) -> Self {
        let failed = outcome.fault.is_some();
        Self {
            is_found: match &outcome.fault {
                None => Some(true),
                // Not if it was the sign-in or the look-up of the project that found nothing.
                Some(fault) if fault.reason == Reason::NotFound && outcome.requests > 0 => {
                    Some(false)
                }
                Some(_) => self.is_found,
            },
            last_success: if failed { self.last_success } else { Some(outcome.ended) },
            failures: if failed { self.failures + 1 } else { 0 },
            last_fault: match &outcome.fault {
                Some(fault) => Some((outcome.ended, fault.clone())),
                None => self.last_fault.clone(),
            },
            last_poll: Some(outcome.clone()),
            reading: reading.or(self.reading.as_ref()).cloned(),
            ..self.clone()
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
            unknown_types: count(backups, |backup| backup.backup_type == BackupType::UNKNOWN),
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
        let newest = |tells: fn(&Origin) -> bool| {
            let records = types.values().flatten().filter(|backup| tells(&backup.origin));
            let newest = records.max_by_key(|backup| (backup.begin, &backup.id));
            newest.map(|backup| &*backup.origin)
        };
        let known = target.instance.as_ref().and_then(|instance| instance.name.as_deref());
        let listed = newest(|it| it.instance_name.is_some());
        let listed = listed.and_then(|it| it.instance_name.as_deref());
        let status = newest(|it| it.instance_status.is_some());
        let engine = newest(|it| it.engine.is_some());
        Self {
            id: id.clone(),
            name: known.or(listed).unwrap_or(id.as_str()).into(),
            engine: engine.and_then(|it| it.engine.clone()).unwrap_or_default(),
            status: status.and_then(|it| it.instance_status.clone()),
            types: types
                .iter()
                .map(|(backup_type, records)| {
                    let (summary, newest) = summary::fold(*backup_type, records, counted_from);
                    TypeReading { backup_type: *backup_type, summary, newest }
                })
                .collect(),
        }
    }
}

/// Where the pollers publish and the server reads.
#[derive(Debug, Default)]
pub struct Board {
    /// Held for the exchange of one state, or of all. A scrape does not come here.
    now: Mutex<Now>,
    /// Moved after what is known now.
    publications: watch::Sender<u64>,
}

/// What is known now, and where in it.
#[derive(Debug, Default)]
struct Now {
    targets: Vec<Arc<TargetState>>,
    places: HashMap<Key<'static>, usize>,
    estates: Vec<Arc<Estate>>,
}

impl Board {
    /// Shows these targets and estates from now on. What is known of targets that were there is
    /// kept.
    pub fn reassign(&self, targets: &[Arc<Target>], estates: &[Arc<Estate>]) {
        let estates_by: HashMap<(&str, &str), &Arc<Estate>> = estates
            .iter()
            .map(|estate| ((&*estate.census.project, estate.census.product.name), estate))
            .collect();
        {
            let now = &mut *self.now();
            let next = |target: &Arc<Target>| {
                let estate = estates_by.get(&(&*target.project, target.product.name));
                let estate = estate.map(|estate| Arc::clone(estate));
                Arc::new(match now.find(target) {
                    Some(old) => old.taken_over(Arc::clone(target), estate),
                    None => TargetState { estate, ..TargetState::new(Arc::clone(target)) },
                })
            };
            let next: Vec<Arc<TargetState>> = targets.iter().map(next).collect();
            let key = |(at, target): (usize, &Arc<Target>)| (target.key().map(owned), at);
            *now = Now {
                targets: next,
                places: targets.iter().enumerate().map(key).collect(),
                estates: estates.to_vec(),
            };
        }
        self.tell();
    }

    /// Shows the id of a target's project, which was looked up.
    pub fn identify(&self, target: &Target, project_id: &str) {
        let is_new = |state: &Arc<TargetState>| state.project_id.as_deref() != Some(project_id);
        if self.now().find(target).is_some_and(is_new) {
            let project_id = Some(Arc::from(project_id));
            self.update(target, |state| TargetState { project_id, ..state.clone() });
        }
    }

    /// What is known now.
    pub fn snapshot(&self) -> Snapshot {
        let now = self.now();
        Snapshot { targets: now.targets.clone(), estates: now.estates.clone() }
    }

    /// What is known of one target, if it is on the board.
    pub fn state(&self, target: &Target) -> Option<Arc<TargetState>> {
        self.now().find(target).map(Arc::clone)
    }

    /// How often something was published that changes what a scrape sees.
    pub fn publications(&self) -> watch::Receiver<u64> {
        self.publications.subscribe()
    }

    /// Publishes what `change` makes of the state of one target, and gives the one before. Nothing
    /// happens if the target is not on the board any more.
    pub fn update(
        &self,
        target: &Target,
        change: impl FnOnce(&TargetState) -> TargetState,
    ) -> Option<Arc<TargetState>> {
        let before = self.replace(target, change);
        if before.is_some() {
            self.tell();
        }
        before
    }

    /// Notes when the next poll of a target is due, of which no series tells.
    pub fn schedule(&self, target: &Target, due: Instant) {
        self.replace(target, |state| TargetState { next_poll: Some(due), ..state.clone() });
    }

    fn tell(&self) {
        self.publications.send_modify(|count| *count += 1);
    }

    fn replace(
        &self,
        target: &Target,
        change: impl FnOnce(&TargetState) -> TargetState,
    ) -> Option<Arc<TargetState>> {
        let mut now = self.now();
        let place = *now.places.get(&target.key())?;
        let state = now.targets.get_mut(place)?;
        let next = Arc::new(change(state));
        Some(std::mem::replace(state, next))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // What is known is whole after every statement, so a panic elsewhere has not broken it.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    fn find(&self, target: &Target) -> Option<&Arc<TargetState>> {
        self.targets.get(*self.places.get(&target.key())?)
    }
}

fn owned(part: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(part.into_owned())
}

#[cfg(test)]
impl TypeReading {
    /// Without its records.
    pub(crate) fn of(backup_type: BackupType, summary: Summary) -> Self {
        Self { backup_type, summary, newest: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{BackupId, Times};
    use crate::error::Reason;
    use crate::target::tests::read;

    const AUTO: BackupType = BackupType { name: "auto", times: Times::Job };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    /// An instance with a name of the config, and one without.
    fn targets() -> Vec<Arc<Target>> {
        read(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    rds:\n      \
             endpoint: https://rds.example\n      \
             instances: [{ id: db, name: orders }, { id: other }]\n    \
             ddm: { endpoint: https://ddm.example }\n",
        )
    }

    /// A completed record with the name, the state and the engine version that it tells.
    fn backup(id: &str, begin: Option<i64>, told: Option<&str>) -> Backup {
        Backup {
            id: BackupId::new(id),
            origin: Arc::new(Origin {
                instance_id: InstanceId::new("db"),
                instance_name: told.map(Into::into),
                instance_status: told.map(Into::into),
                engine: told.map(|told| Engine { name: "MySQL".into(), version: told.into() }),
            }),
            backup_type: AUTO,
            status: Status::Completed,
            begin: begin.map(at),
            end: begin.map(|begin| at(begin + 60)),
            bytes: None,
            unknown: None,
        }
    }

    fn reading(target: &Target, backups: &[Backup]) -> Reading {
        Reading::new(target, backups, None, at(0))
    }

    #[test]
    fn name_state_and_engine_are_those_of_the_newest_record_that_tells_them() {
        let project = &targets()[2];
        let newest = backup("a", Some(30), Some("newest"));
        let older = [backup("b", Some(20), Some("older")), backup("c", None, Some("timeless"))];
        let silent = backup("d", Some(40), None);
        let twin = backup("0", Some(30), Some("same time, lesser id"));
        let orders = [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]];
        let all = [newest, silent, twin, older[0].clone(), older[1].clone()];
        for order in orders {
            let backups = order.map(|at: usize| all[at].clone());
            let Reading { instances, .. } = reading(project, &backups);
            let [instance] = &instances[..] else { panic!("{instances:?}") };
            assert_eq!(&*instance.name, "newest", "{order:?}");
            assert_eq!(instance.status.as_deref(), Some("newest"), "{order:?}");
            assert_eq!(&*instance.engine.version, "newest", "{order:?}");
        }
    }

    #[test]
    fn the_name_is_that_of_the_config_else_that_of_the_cloud_else_the_id() {
        let targets = targets();
        let told = [backup("a", Some(30), Some("told"))];
        assert_eq!(&*reading(&targets[0], &told).instances[0].name, "orders");
        assert_eq!(&*reading(&targets[2], &told).instances[0].name, "told");
        let silent = [backup("a", Some(30), None)];
        assert_eq!(&*reading(&targets[2], &silent).instances[0].name, "db");
        assert_eq!(&*reading(&targets[1], &[]).instances[0].name, "other");
    }

    #[test]
    fn an_instance_that_is_asked_for_is_there_without_a_record_and_a_project_has_none_of_its_own() {
        let Reading { instances, .. } = reading(&targets()[0], &[]);
        assert_eq!((instances.len(), &instances[0].types[..]), (1, &[][..]));
        assert_eq!(reading(&targets()[2], &[]).instances, []);
    }

    fn outcome(ended: i64, fault: Option<Fault>) -> PollOutcome {
        let took = Duration::from_secs(3);
        PollOutcome { ended: at(ended), took, requests: 4, records: 5, fault }
    }

    #[test]
    fn a_failed_poll_changes_what_is_known_of_polls_and_nothing_else() {
        let target = &targets()[0];
        let fault = || Some(Fault::new(Reason::Timeout, "no answer"));
        let brought = Arc::new(reading(target, &[]));
        let due = Instant::now();
        let new = TargetState { next_poll: Some(due), ..TargetState::new(Arc::clone(target)) };
        let good = new.after(&outcome(10, None), Some(&brought));
        assert_eq!((good.last_success, good.failures), (Some(at(10)), 0));
        let failed = good.after(&outcome(20, fault()), None).after(&outcome(30, fault()), None);
        assert_eq!((failed.last_success, failed.failures), (Some(at(10)), 2));
        assert!(Arc::ptr_eq(failed.reading.as_ref().unwrap(), &brought));
        let last = failed.last_poll.as_ref().unwrap();
        assert_eq!((last.ended, last.requests, last.records), (at(30), 4, 5));
        assert_eq!(failed.next_poll, Some(due));
        let newer = Arc::new(reading(target, &[]));
        let healed = failed.after(&outcome(40, None), Some(&newer));
        assert_eq!((healed.last_success, healed.failures), (Some(at(40)), 0));
        assert!(Arc::ptr_eq(healed.reading.as_ref().unwrap(), &newer));
    }

    #[test]
    fn only_an_answer_about_the_lists_says_that_an_instance_is_not_there() {
        let new = TargetState::new(Arc::clone(&targets()[0]));
        let gone = outcome(10, Some(Fault::new(Reason::NotFound, "no such instance")));
        assert_eq!(new.after(&gone, None).is_found, Some(false));
        // IAM has no such project, and no list was asked for.
        let unasked = PollOutcome { requests: 0, ..gone };
        assert_eq!(new.after(&unasked, None).is_found, None);
    }

    #[test]
    fn what_was_shown_stays_when_a_policy_is_asked_for_from_now_on() {
        let target = &targets()[0];
        let shown = TargetState::new(Arc::clone(target))
            .after(&outcome(10, None), Some(&Arc::new(reading(target, &[]))));
        let with_policy = || {
            let Target { project, project_id, product, endpoint, .. } = &**target;
            Arc::new(Target {
                project: project.clone(),
                project_id: project_id.clone(),
                product,
                endpoint: endpoint.clone(),
                credential: Arc::clone(&target.credential),
                instance: target.instance.clone(),
                interval: target.interval,
                objectives: target.objectives.clone(),
                policy: true,
                restore_window: None,
                labels: target.labels.clone(),
            })
        };
        assert_eq!(shown.taken_over(with_policy(), None).shown().len(), 1);
        assert_eq!(TargetState::new(with_policy()).shown().len(), 0, "a new one waits for it");
    }

    #[test]
    fn an_update_changes_one_target_and_gives_its_state_before() {
        let targets = targets();
        let board = Board::default();
        board.reassign(&targets, &[]);
        let fail =
            |state: &TargetState| TargetState { failures: state.failures + 1, ..state.clone() };
        assert_eq!(board.update(&targets[1], fail).unwrap().failures, 0);
        assert_eq!(board.update(&targets[1], fail).unwrap().failures, 1);
        let failures = |board: &Board| -> Vec<u64> {
            board.snapshot().targets.iter().map(|state| state.failures).collect()
        };
        assert_eq!(failures(&board), [0, 2, 0]);
        // One that left the config.
        board.reassign(&targets[..1], &[]);
        assert!(board.update(&targets[1], fail).is_none());
        assert_eq!(failures(&board), [0]);
    }

    #[test]
    fn what_changes_a_series_is_a_publication_and_nothing_else_is() {
        let targets = targets();
        let board = Board::default();
        let published = || *board.publications().borrow();
        board.reassign(&targets[..1], &[]);
        assert_eq!(published(), 1);
        board.update(&targets[0], TargetState::clone);
        assert_eq!(published(), 2);
        let due = Instant::now();
        board.schedule(&targets[0], due);
        assert_eq!(board.snapshot().targets[0].next_poll, Some(due));
        board.update(&targets[1], TargetState::clone);
        assert_eq!(published(), 2);
    }
}
