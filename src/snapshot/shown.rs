//! What there is to show of an instance, put together from its backups, the instance list, its
//! policy and the config.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Instance, Reading, TargetState, TypeReading};
use crate::backup::{BackupType, Engine, InstanceId};
use crate::estate::{Estate, Known};
use crate::instance::ListedInstance;
use crate::objective::{self, Objective};
use crate::summary::Summary;
use crate::target::Target;

/// One instance as it is shown.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Of which target.
    pub state: &'a TargetState,
    /// Its id.
    pub id: &'a InstanceId,
    /// The label `instance_name`.
    pub name: &'a str,
    /// Name and version of its engine, if anybody has told anything of the instance.
    pub engine: Option<(&'a str, &'a str)>,
    /// The state that the cloud reports.
    pub status: Option<&'a str>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether the cloud has it; none if nobody can tell.
    pub is_found: Option<bool>,
    /// Whether it is known by the instance list, and so among those that are watched.
    pub is_listed: bool,
    /// Its types, by name: those that are expected, and those with a record. None before the first
    /// successful poll.
    pub types: Vec<ShownType<'a>>,
}

/// One type of one instance.
#[derive(Debug)]
pub struct ShownType<'a> {
    /// Which type.
    pub backup_type: BackupType,
    /// When the listing behind it was complete.
    pub observed: Timestamp,
    /// What its records say.
    pub summary: &'a Summary,
    /// What is expected of it, if anything.
    pub objective: Option<Objective>,
}

impl ShownType<'_> {
    /// The age that its last success should not pass; none if it is not expected.
    pub fn max_age(&self) -> Option<Duration> {
        self.objective.and_then(|objective| objective.max_age)
    }
}

static NO_RECORDS: Summary = Summary::EMPTY;

impl TargetState {
    /// Whether the names of its instances are settled: where the instance list is read, they come
    /// from there, and before that was tried none is shown.
    pub fn is_named(&self) -> bool {
        self.target.instance.is_none() || self.is_surveyed()
    }

    /// Its instances.
    pub fn shown(&self) -> Vec<Shown<'_>> {
        let awaits_policy = self.target.policy && self.policy.is_well().is_none();
        if !self.is_surveyed() || awaits_policy {
            return Vec::new();
        }
        let reading = self.reading.as_deref();
        if let Some(instance) = &self.target.instance {
            let read = reading.and_then(|reading| reading.instances.first());
            let known = self.estate.as_deref().and_then(|estate| estate.find(&instance.id));
            return vec![self.one(&instance.id, instance.label(), known, read)];
        }
        let mut found: BTreeMap<&InstanceId, (Option<&Known>, Option<&Instance>)> = BTreeMap::new();
        for known in self.estate.iter().flat_map(|estate| estate.instances()) {
            found.entry(&known.listed.id).or_default().0 = Some(known);
        }
        for read in reading.into_iter().flat_map(|reading| &reading.instances) {
            found.entry(&read.id).or_default().1 = Some(read);
        }
        let mut shown = Vec::new();
        for (id, (known, read)) in found {
            let listed_name = known.and_then(|known| known.listed.name.as_deref());
            let name = listed_name.or(read.map(|read| &*read.name));
            let excludes = |estate: &Estate| estate.excludes(id, name);
            if !self.estate.as_deref().is_some_and(excludes) {
                shown.push(self.one(id, name.unwrap_or(id.as_str()), known, read));
            }
        }
        shown
    }

    /// Whether it was tried to read the instance list, if it is read.
    fn is_surveyed(&self) -> bool {
        self.estate.as_deref().is_none_or(Estate::was_tried)
    }

    fn one<'a>(
        &'a self,
        id: &'a InstanceId,
        name: &'a str,
        known: Option<&'a Known>,
        read: Option<&'a Instance>,
    ) -> Shown<'a> {
        let listed = known.map(|known| &known.listed);
        let of = |engine: &'a Engine| (&*engine.name, &*engine.version);
        let listed_engine = listed.and_then(|listed| listed.engine.as_ref()).map(of);
        let read_engine = read.map(|read| of(&read.engine));
        let read_status = read.and_then(|read| read.status.as_deref());
        Shown {
            state: self,
            id,
            name,
            engine: listed_engine.or(read_engine).or(listed.map(|_| ("", ""))),
            status: listed.and_then(|listed| listed.status.as_deref()).or(read_status),
            created: listed.and_then(|listed| listed.created),
            is_found: self.is_found(id),
            is_listed: known.is_some(),
            types: self.reading.as_deref().map_or_else(Vec::new, |reading| {
                self.types(id, listed, reading, read.map_or(&[], |read| &read.types))
            }),
        }
    }

    /// The instance list tells, and for an instance that is polled by its id its own list too.
    /// Nobody asks for the instances of a project by id, so none of them can be said to be lost.
    fn is_found(&self, id: &InstanceId) -> Option<bool> {
        let is_listed =
            self.estate.as_deref().filter(|estate| estate.is_known()).map(|it| it.lists(id));
        if self.target.instance.is_none() {
            return is_listed.filter(|is_listed| *is_listed);
        }
        match is_listed {
            Some(is_listed) => Some(is_listed && self.is_found != Some(false)),
            None => self.is_found,
        }
    }

    fn types<'a>(
        &self,
        id: &InstanceId,
        listed: Option<&ListedInstance>,
        reading: &'a Reading,
        read: &'a [TypeReading],
    ) -> Vec<ShownType<'a>> {
        let with = |backup_type, summary| ShownType {
            backup_type,
            observed: reading.observed,
            summary,
            objective: None,
        };
        let mut types: BTreeMap<BackupType, ShownType<'a>> =
            read.iter().map(|of| (of.backup_type, with(of.backup_type, &of.summary))).collect();
        let is_missing = self.estate.as_deref().is_some_and(|estate| estate.is_missing(id));
        if is_missing || listed.is_some_and(ListedInstance::is_at_rest) {
            return types.into_values().collect();
        }
        let Target { objectives, product, .. } = &*self.target;
        let objectives = objective::in_force(objectives, product.automated, self.policy.value());
        for (backup_type, objective) in objectives {
            if objective.max_age.is_some() {
                let of = types.entry(backup_type).or_insert_with(|| with(backup_type, &NO_RECORDS));
                of.objective = Some(objective);
            }
        }
        types.into_values().collect()
    }
}
