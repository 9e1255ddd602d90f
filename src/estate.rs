//! What is known of the instances of one product in one project. Pure: each reading of the list, or
//! the fault instead of it, makes the next one.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::backup::InstanceId;
use crate::census::Census;
use crate::error::Fault;
use crate::instance::ListedInstance;

/// What the last readings of an instance list come to.
#[derive(Clone, Debug)]
pub struct Estate {
    /// Which list.
    pub census: Arc<Census>,
    /// The cloud's id of the project; none as long as it is not known.
    pub project_id: Option<Box<str>>,
    /// The instances of the last list, and those that have been missing from it for less than
    /// [`MOST_MISSED`] lists.
    instances: BTreeMap<InstanceId, Known>,
    /// How many instances the last list had.
    pub count: u64,
    /// When it was read last.
    pub last_success: Option<Timestamp>,
    /// How often in a row it could not be read since then.
    pub failures: u64,
    /// When and why it could not be read last, whatever came after it.
    pub last_fault: Option<(Timestamp, Fault)>,
}

/// An instance of the list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Known {
    /// As it was listed last.
    pub listed: ListedInstance,
    /// How many lists in a row have been without it.
    pub missed: u32,
}

/// An instance that so many lists in a row are without is gone. A list that is empty by a fault is
/// thus seen before anything goes.
pub const MOST_MISSED: u32 = 3;

impl Estate {
    /// An estate of which nothing is known yet.
    pub fn new(census: Arc<Census>) -> Self {
        Self {
            project_id: census.project_id.known().map(Into::into),
            census,
            instances: BTreeMap::new(),
            count: 0,
            last_success: None,
            failures: 0,
            last_fault: None,
        }
    }

    /// What is known, under other settings.
    #[must_use]
    pub fn taken_over(&self, census: Arc<Census>) -> Self {
        Self { census, ..self.clone() }
    }

    /// The estate after its list was read, or could not be. A fault changes nothing that is known of
    /// the instances.
    #[must_use]
    pub fn after(&self, ended: Timestamp, outcome: Result<Vec<ListedInstance>, Fault>) -> Self {
        let listed = match outcome {
            Ok(listed) => listed,
            Err(fault) => {
                return Self {
                    failures: self.failures + 1,
                    last_fault: Some((ended, fault)),
                    ..self.clone()
                };
            }
        };
        let missed = self.instances.iter().filter_map(|(id, known)| {
            let missed = known.missed + 1;
            let known = Known { listed: known.listed.clone(), missed };
            (missed < MOST_MISSED).then(|| (id.clone(), known))
        });
        let mut instances: BTreeMap<_, _> = missed.collect();
        let count = listed.len() as u64;
        let listed = listed.into_iter().map(|it| (it.id.clone(), Known { listed: it, missed: 0 }));
        instances.extend(listed);
        Self { instances, count, last_success: Some(ended), failures: 0, ..self.clone() }
    }

    /// The same, with the id of the project, if it is known by now.
    #[must_use]
    pub fn identified(self, project_id: Option<Box<str>>) -> Self {
        Self { project_id: project_id.or(self.project_id), ..self }
    }

    /// Whether it was tried to read the list.
    pub fn was_tried(&self) -> bool {
        self.is_known() || self.last_fault.is_some()
    }

    /// Whether the list has been read.
    pub fn is_known(&self) -> bool {
        self.last_success.is_some()
    }

    /// What is known of an instance.
    pub fn find(&self, id: &InstanceId) -> Option<&Known> {
        self.instances.get(id)
    }

    /// Whether the last list had it.
    pub fn lists(&self, id: &InstanceId) -> bool {
        self.find(id).is_some_and(|known| known.missed == 0)
    }

    /// Whether the list has been read and the instance is not there, nor was it lately.
    pub fn is_missing(&self, id: &InstanceId) -> bool {
        self.is_known() && self.find(id).is_none()
    }

    /// The id as the cloud writes it, where the config has it in another letter case.
    pub fn spelling<'a>(&'a self, id: &'a InstanceId) -> &'a InstanceId {
        if self.instances.contains_key(id) {
            return id;
        }
        let mut same =
            self.instances.keys().filter(|it| it.as_str().eq_ignore_ascii_case(id.as_str()));
        match (same.next(), same.next()) {
            (Some(only), None) => only,
            _ => id,
        }
    }

    /// The instances, by id.
    pub fn instances(&self) -> impl Iterator<Item = &Known> {
        self.instances.values()
    }

    /// The instances that are monitored without being configured.
    pub fn adopted(&self) -> impl Iterator<Item = &ListedInstance> {
        let adopts = self.census.discovery.adopts;
        self.unclaimed().filter(move |_| adopts).map(|known| &known.listed)
    }

    /// The instances that are there and that nobody watches.
    pub fn unmonitored(&self) -> impl Iterator<Item = &ListedInstance> {
        let adopts = self.census.discovery.adopts;
        let is_there = move |known: &&Known| !adopts && known.missed == 0;
        self.unclaimed().filter(is_there).map(|known| &known.listed)
    }

    /// Whether the config leaves this instance alone.
    pub fn excludes(&self, id: &InstanceId, name: Option<&str>) -> bool {
        self.census.discovery.exclude.covers(id.as_str(), name)
    }

    /// Those of which backups are made, which the config neither names nor leaves alone.
    fn unclaimed(&self) -> impl Iterator<Item = &Known> {
        self.instances.values().filter(|Known { listed, .. }| {
            !listed.is_replica
                && !self.excludes(&listed.id, listed.name.as_deref())
                && !self.census.names(&listed.id)
        })
    }
}
