//! What people are shown of the cloud: every instance with its types of backups, what is wrong with it,
//! and how that was learnt. Pure; the status page and its JSON are two forms of it.

mod mark;
mod query;
pub mod reason;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::alert::{self, Condition};
use crate::backup::InstanceId;
use crate::clock;
use crate::estate::Estate;
use crate::instance::ListedInstance;
use crate::shard::Shard;
use crate::snapshot::{Shown, ShownType, Snapshot, TargetState};

pub use mark::{Mark, Marks};
pub use query::{PARAMETERS, Query, QueryError, Selection, Sort, Which};
pub use report::{Report, schema};

/// When and where something is shown.
#[derive(Clone, Copy)]
pub struct Setting<'b> {
    /// Which part of the targets is polled here.
    pub shard: Shard,
    /// The time by the wall clock.
    pub now: Timestamp,
    /// The time by the clock that schedules.
    pub instant: Instant,
    /// Tells how long the requests of a project still wait.
    pub backoff: &'b dyn Fn(&str) -> Duration,
}

/// Everything that there is to show at a moment.
#[derive(Debug)]
pub struct Status<'a> {
    /// Which part of the targets this is.
    pub shard: Shard,
    /// When, by the wall clock.
    pub now: Timestamp,
    /// When, by the clock that schedules.
    instant: Instant,
    /// How long the requests of each project still wait.
    backoffs: BTreeMap<&'a str, Duration>,
    /// In the order of the config; behind what is polled of a project what is not.
    pub entries: Vec<Entry<'a>>,
    /// The instance lists, in the order of the config.
    pub estates: &'a [Arc<Estate>],
    /// How many there are of each.
    pub totals: Totals,
}

/// How many instances are in which state. One may be in several.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Instances that are polled.
    pub instances: usize,
    /// See [`Mark::Stale`].
    pub stale: usize,
    /// See [`Mark::Failing`].
    pub failing: usize,
    /// See [`Mark::Running`].
    pub running: usize,
    /// See [`Mark::Blind`]. The list of a project of which no instance is known counts as one.
    pub blind: usize,
    /// See [`Mark::Unmonitored`].
    pub unmonitored: usize,
}

/// An instance; or the list of a project, while no instance of it is known.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The label of its project.
    pub project: &'a str,
    /// The name of its product.
    pub product: &'static str,
    /// Which one; none for a list.
    pub instance: Option<&'a InstanceId>,
    /// Its name; empty for a list.
    pub name: &'a str,
    /// Name and version of its engine, if anybody has told.
    pub engine: Option<(&'a str, &'a str)>,
    /// The state that the cloud reports.
    pub status: Option<&'a str>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// The target that it is read by; none if nobody watches it.
    pub state: Option<&'a TargetState>,
    /// Its types, by name.
    pub types: Vec<EntryType<'a>>,
    /// The conditions of the shipped alerts that hold for it.
    pub conditions: Vec<Condition>,
    /// What is to be said of it, whatever its types.
    pub own: Marks,
    /// What is to be said of it, or of any of its types.
    pub marks: Marks,
}

/// A type of backups of an instance.
#[derive(Debug)]
pub struct EntryType<'a> {
    /// What is known of it.
    pub of: ShownType<'a>,
    /// What is to be said of it.
    pub marks: Marks,
}

impl<'a> Status<'a> {
    /// What a snapshot comes to.
    pub fn new(snapshot: &'a Snapshot, setting: Setting<'_>) -> Self {
        let Setting { shard, now, instant, backoff } = setting;
        let mut entries = Vec::with_capacity(snapshot.targets.len());
        for state in &snapshot.targets {
            let before = entries.len();
            entries.extend(state.shown().into_iter().map(|shown| Entry::shown(shown, now)));
            if entries.len() == before {
                entries.push(Entry::unknown(state, now));
            }
        }
        for estate in &snapshot.estates {
            if !estate.is_known() && !has_target(snapshot, estate) {
                entries.push(Entry::unread(estate));
            }
            let unmonitored = estate.unmonitored().filter(|listed| estate.is_ours(&listed.id));
            entries.extend(unmonitored.map(|listed| Entry::unmonitored(estate, listed)));
        }
        let mut backoffs = BTreeMap::new();
        for entry in &entries {
            backoffs.entry(entry.project).or_insert_with(|| backoff(entry.project));
        }
        let totals = Totals::of(&entries);
        Self { shard, now, instant, backoffs, entries, estates: &snapshot.estates, totals }
    }

    /// How long it is until the next poll of a target, if that is known.
    pub fn until_next_poll(&self, state: &TargetState) -> Option<Duration> {
        state.next_poll.map(|due| due.saturating_duration_since(self.instant))
    }

    /// How long the requests of a project still wait because the cloud asked for it, or refused the
    /// credential.
    pub fn backoff(&self, project: &str) -> Duration {
        self.backoffs.get(project).copied().unwrap_or_default()
    }

    /// An instance, by its ids.
    pub fn find(&self, project: &str, product: &str, id: &str) -> Option<&Entry<'a>> {
        self.entries
            .iter()
            .find(|it| it.id() == id && it.project == project && it.product == product)
    }
}

/// Whether something is polled of the project and product of a list.
fn has_target(snapshot: &Snapshot, estate: &Estate) -> bool {
    let (project, product) = (&estate.census.project, estate.census.product);
    let is_of = |state: &Arc<TargetState>| {
        state.target.project == *project && state.target.product.name == product.name
    };
    snapshot.targets.iter().any(is_of)
}

impl Totals {
    fn of(entries: &[Entry<'_>]) -> Self {
        let count = |mark| entries.iter().filter(|entry| entry.marks.has(mark)).count();
        Self {
            instances: entries
                .iter()
                .filter(|entry| entry.instance.is_some() && entry.state.is_some())
                .count(),
            stale: count(Mark::Stale),
            failing: count(Mark::Failing),
            running: count(Mark::Running),
            blind: count(Mark::Blind),
            unmonitored: count(Mark::Unmonitored),
        }
    }
}

impl<'a> Entry<'a> {
    fn shown(shown: Shown<'a>, now: Timestamp) -> Self {
        let conditions = alert::conditions(&shown, now);
        let Shown { state, id, name, engine, status, created, types, .. } = shown;
        let marked = |of: ShownType<'a>| EntryType {
            marks: Marks::of_conditions(&conditions, Some(of.backup_type))
                .and(Marks::of_type(&of, now)),
            of,
        };
        let types: Vec<EntryType<'a>> = types.into_iter().map(marked).collect();
        let own = Marks::of_poll(state, now).and(Marks::of_conditions(&conditions, None));
        Self {
            project: &state.target.project,
            product: state.target.product.name,
            instance: Some(id),
            name,
            engine: engine.filter(|(name, _)| !name.is_empty()),
            status,
            created,
            state: Some(state),
            own,
            marks: types.iter().fold(own, |marks, it| marks.and(it.marks)),
            types,
            conditions,
        }
    }

    /// A target of which no instance is shown yet.
    fn unknown(state: &'a TargetState, now: Timestamp) -> Self {
        // The list of a project may hold nothing; an instance waits for its name or its policy.
        let is_empty = state.target.instance.is_none() && state.reading.is_some();
        let marks = Marks::of_poll(state, now).with(Mark::Waiting, !is_empty);
        Self {
            project: &state.target.project,
            product: state.target.product.name,
            instance: state.target.instance.as_ref().map(|instance| &instance.id),
            name: state.target.instance_name(),
            engine: None,
            status: None,
            created: None,
            state: Some(state),
            types: Vec::new(),
            conditions: Vec::new(),
            own: marks,
            marks,
        }
    }

    /// The list of a project that could not be read yet, so that nobody knows what there is to poll.
    fn unread(estate: &'a Estate) -> Self {
        let marks = Marks::of_list(estate);
        Self {
            project: &estate.census.project,
            product: estate.census.product.name,
            instance: None,
            name: "",
            engine: None,
            status: None,
            created: None,
            state: None,
            types: Vec::new(),
            conditions: Vec::new(),
            own: marks,
            marks,
        }
    }

    /// Its id; empty for a list.
    pub fn id(&self) -> &'a str {
        self.instance.map_or("", InstanceId::as_str)
    }

    /// Begin and end of the window of the next automated backup, if the instance's policy is known.
    pub fn next_planned(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let state = self.state?;
        let listed = state.estate.as_deref().zip(self.instance);
        if listed.is_some_and(|(estate, id)| estate.is_missing(id) || estate.is_at_rest(id)) {
            return None;
        }
        let plan = state.policy.value()?.plan?;
        let automated = state.target.product.automated;
        let run = self.types.iter().find(|it| it.of.backup_type == automated);
        plan.next_run(now, run.and_then(|it| it.of.summary.last_attempt))
    }

    fn unmonitored(estate: &'a Estate, listed: &'a ListedInstance) -> Self {
        let conditions = vec![alert::unmonitored()];
        Self {
            project: &estate.census.project,
            product: estate.census.product.name,
            instance: Some(&listed.id),
            name: listed.name.as_deref().unwrap_or(listed.id.as_str()),
            engine: listed.engine.as_ref().map(|it| (&*it.name, &*it.version)),
            status: listed.status.as_deref(),
            created: listed.created,
            state: None,
            types: Vec::new(),
            own: Marks::of_conditions(&conditions, None),
            marks: Marks::of_conditions(&conditions, None),
            conditions,
        }
    }
}

impl EntryType<'_> {
    /// How old the last success is.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        self.of.summary.last_success.map(|success| clock::age(now, success.end))
    }

    /// The size of the last success as a multiple of the baseline.
    pub fn size_ratio(&self) -> Option<f64> {
        let bytes = self.of.summary.last_success?.bytes?;
        let baseline = self.of.summary.size_baseline?.bytes();
        (baseline > 0.0).then(|| bytes as f64 / baseline)
    }
}

#[cfg(test)]
mod tests;
