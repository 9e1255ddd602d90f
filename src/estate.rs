//! What is known of the instances of one product in one project. Pure: each reading of the list, or
//! the fault instead of it, makes the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::backup::InstanceId;
use crate::census::Census;
use crate::error::Fault;
use crate::instance::ListedInstance;
use crate::shard::Shard;

/// What the last readings of an instance list come to.
#[derive(Clone, Debug)]
pub struct Estate {
    /// Which list.
    pub census: Arc<Census>,
    /// Who reads it.
    shard: Shard,
    /// The cloud's id of the project; none as long as it is not known.
    pub project_id: Option<Box<str>>,
    /// The instances of the last list, and those that have been missing from it for less than
    /// [`MOST_MISSED`] lists. Of those that the config names also what was known when they went: their
    /// series go on, and are not to be renamed.
    instances: BTreeMap<InstanceId, Known>,
    /// The ids of the config that the cloud writes in another letter case, and how it does.
    spellings: BTreeMap<InstanceId, InstanceId>,
    /// The other way round: what the cloud writes.
    spelled: BTreeSet<InstanceId>,
    /// How many instances the last list had.
    pub count: u64,
    /// When it was read last.
    pub last_success: Option<Timestamp>,
    /// When it was read last as one more list, see [`Estate::is_due`].
    counted: Option<Timestamp>,
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
            shard: Shard::WHOLE,
            project_id: census.project_id.known().map(Into::into),
            census,
            instances: BTreeMap::new(),
            spellings: BTreeMap::new(),
            spelled: BTreeSet::new(),
            count: 0,
            last_success: None,
            counted: None,
            failures: 0,
            last_fault: None,
        }
    }

    /// The same, read by one of several shards.
    #[must_use]
    pub fn read_by(self, shard: Shard) -> Self {
        Self { shard, ..self }
    }

    /// What is known, under other settings.
    #[must_use]
    pub fn taken_over(&self, census: Arc<Census>) -> Self {
        Self { census, ..self.clone() }.spelling_anew()
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
        let is_due = self.is_due(ended);
        let missed = self.instances.iter().filter_map(|(id, known)| {
            let missed = if is_due { known.missed.saturating_add(1) } else { known.missed.max(1) };
            let known = Known { listed: known.listed.clone(), missed };
            (!known.is_gone() || self.claims(id)).then(|| (id.clone(), known))
        });
        let mut instances: BTreeMap<_, _> = missed.collect();
        let count = listed.len() as u64;
        let listed = listed.into_iter().map(|it| (it.id.clone(), Known { listed: it, missed: 0 }));
        instances.extend(listed);
        let counted = if is_due { Some(ended) } else { self.counted };
        let last_success = Some(ended);
        Self { instances, count, last_success, counted, failures: 0, ..self.clone() }
            .spelling_anew()
    }

    /// Whether a list of now is one more than those before. Each change of the settings reads it at
    /// once, and several in a row are to take nothing away sooner.
    fn is_due(&self, now: Timestamp) -> bool {
        let half = SignedDuration::try_from(self.census.discovery.interval / 2).unwrap_or_default();
        self.counted.is_none_or(|last| now.duration_since(last) >= half)
    }

    /// With the ids of the config found anew among those of the cloud. Ids are hexadecimal; somebody
    /// may have typed one in capitals. If more than one differs in nothing else, none is meant.
    fn spelling_anew(self) -> Self {
        let mut typed = self.census.configured.iter();
        if typed.all(|id| self.instances.contains_key(id)) {
            return Self { spellings: BTreeMap::new(), spelled: BTreeSet::new(), ..self };
        }
        let mut by_letters: BTreeMap<String, Option<&InstanceId>> = BTreeMap::new();
        for id in self.instances.keys() {
            let same = by_letters.entry(id.as_str().to_ascii_lowercase());
            same.and_modify(|only| *only = None).or_insert(Some(id));
        }
        let mut spellings = BTreeMap::new();
        for typed in &self.census.configured {
            let letters = typed.as_str().to_ascii_lowercase();
            let cloud = by_letters.get(&letters).copied().flatten();
            if let Some(cloud) = cloud.filter(|cloud| *cloud != typed) {
                spellings.insert(typed.clone(), cloud.clone());
            }
        }
        let spelled = spellings.values().cloned().collect();
        Self { spellings, spelled, ..self }
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

    /// What is known of an instance of the list.
    pub fn find(&self, id: &InstanceId) -> Option<&Known> {
        self.instances.get(id).filter(|known| !known.is_gone())
    }

    /// The name that the list tells of an instance, or told before the instance went.
    pub fn name(&self, id: &InstanceId) -> Option<&str> {
        self.instances.get(id)?.listed.name.as_deref()
    }

    /// Whether the last list had it.
    pub fn lists(&self, id: &InstanceId) -> bool {
        self.find(id).is_some_and(|known| known.missed == 0)
    }

    /// Whether the list has been read and the instance is not there, nor was it lately.
    pub fn is_missing(&self, id: &InstanceId) -> bool {
        self.is_known() && self.find(id).is_none()
    }

    /// Whether it is shut down or frozen, by the list.
    pub fn is_at_rest(&self, id: &InstanceId) -> bool {
        self.find(id).is_some_and(|known| known.listed.is_at_rest())
    }

    /// An id of the config as the cloud writes it.
    pub fn spelling<'a>(&'a self, id: &'a InstanceId) -> &'a InstanceId {
        self.spellings.get(id).unwrap_or(id)
    }

    /// The instances, by id.
    pub fn instances(&self) -> impl Iterator<Item = &Known> {
        self.instances.values().filter(|known| !known.is_gone())
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

    /// Whether it is for this shard to tell of an instance of the list: all shards read the same one,
    /// and the one that polls the instance tells, or would poll it, if nobody does.
    pub fn is_ours(&self, id: &InstanceId) -> bool {
        self.shard.owns(self.census.hash_of_target(id))
    }

    /// Whether the config leaves this instance alone.
    pub fn excludes(&self, id: &InstanceId, name: Option<&str>) -> bool {
        self.census.discovery.exclude.covers(id.as_str(), name)
    }

    /// Those of which backups are made, which the config neither names nor leaves alone.
    fn unclaimed(&self) -> impl Iterator<Item = &Known> {
        self.instances().filter(|Known { listed, .. }| {
            !listed.is_replica
                && !self.claims(&listed.id)
                && !self.excludes(&listed.id, listed.name.as_deref())
        })
    }

    /// Whether the config names this instance, in whatever letter case.
    fn claims(&self, id: &InstanceId) -> bool {
        self.census.configured.contains(id) || self.spelled.contains(id)
    }
}

impl Known {
    /// Whether so many lists have been without it that it is not there any more.
    fn is_gone(&self) -> bool {
        self.missed >= MOST_MISSED
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::census::censuses;
    use crate::error::Reason;
    use crate::target::tests::config;

    /// The list of an RDS block with these keys, in flow style.
    fn census(keys: &str) -> Arc<Census> {
        let config = config(&format!(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    \
             rds: {{ endpoint: https://rds.example, {keys} }}\n"
        ));
        let [census] = <[_; 1]>::try_from(censuses(&config)).unwrap();
        Arc::new(census)
    }

    fn estate(keys: &str) -> Estate {
        Estate::new(census(keys))
    }

    fn id(id: &str) -> InstanceId {
        InstanceId::new(id)
    }

    /// An instance; a replica, if its name says so.
    fn listed(id: &str, name: &str) -> ListedInstance {
        ListedInstance {
            id: InstanceId::new(id),
            name: Some(name.into()),
            status: None,
            engine: None,
            created: None,
            is_replica: name.starts_with("replica"),
        }
    }

    /// The next list, an interval after the last one.
    fn read(estate: &Estate, ids: &[&str]) -> Estate {
        let list = ids.iter().map(|id| listed(id, id)).collect();
        estate.after(next(estate), Ok(list))
    }

    fn next(estate: &Estate) -> Timestamp {
        let last = estate.last_success;
        last.map_or(Timestamp::UNIX_EPOCH, |last| last + estate.census.discovery.interval)
    }

    fn fault() -> Result<Vec<ListedInstance>, Fault> {
        Err(Fault::new(Reason::Timeout, "no answer"))
    }

    fn ids<'a>(instances: impl Iterator<Item = &'a ListedInstance>) -> Vec<&'a str> {
        instances.map(|listed| listed.id.as_str()).collect()
    }

    #[test]
    fn an_instance_goes_with_the_third_list_in_a_row_without_it() {
        let mut estate = read(&estate("discover: true"), &["a", "b"]);
        for missed in 1..MOST_MISSED {
            estate = read(&estate, &["b"]).after(Timestamp::UNIX_EPOCH, fault());
            assert_eq!(ids(estate.adopted()), ["a", "b"], "{missed}");
            assert_eq!((estate.lists(&id("a")), estate.is_missing(&id("a"))), (false, false));
        }
        let back = read(&estate, &["a", "b"]);
        assert_eq!(back.find(&id("a")).unwrap().missed, 0, "the count begins anew");
        let gone = read(&estate, &["b"]);
        assert_eq!(ids(gone.adopted()), ["b"]);
        assert!(gone.is_missing(&id("a")) && !gone.is_missing(&id("b")));
    }

    #[test]
    fn lists_that_follow_each_other_at_once_count_as_one() {
        let full = read(&estate("discover: true, discovery_interval: 10m"), &["a", "b"]);
        let after = |estate: &Estate, seconds: i64| {
            let ended = estate.last_success.unwrap() + SignedDuration::from_secs(seconds);
            estate.after(ended, Ok(vec![listed("b", "b")]))
        };
        let mut estate = full;
        for missed in [1, 1, 1, 1, 2, 2, 2, 2, 2] {
            estate = after(&estate, 60);
            assert!(!estate.lists(&id("a")), "it is told at once");
            assert_eq!(estate.find(&id("a")).map(|known| known.missed), Some(missed));
        }
        let gone = after(&estate, 60);
        assert!(gone.is_missing(&id("a")));
    }

    #[test]
    fn an_empty_list_takes_nothing_away_at_once_and_is_counted_at_once() {
        let full = read(&estate("discover: true"), &["a", "b"]);
        let empty = read(&full, &[]);
        assert_eq!((empty.count, ids(empty.adopted())), (0, vec!["a", "b"]));
    }

    #[test]
    fn a_fault_changes_nothing_that_is_known_of_the_instances() {
        let new = estate("discover: true").after(Timestamp::UNIX_EPOCH, fault());
        assert_eq!((new.was_tried(), new.is_known(), new.failures), (true, false, 1));
        assert!(!new.is_missing(&id("a")), "nobody knows");
        let full = read(&new, &["a", "b"]);
        let failed = full.after(Timestamp::UNIX_EPOCH, fault()).after(Timestamp::MAX, fault());
        assert_eq!((failed.count, ids(failed.adopted())), (2, vec!["a", "b"]));
        assert_eq!((failed.failures, failed.last_success), (2, Some(Timestamp::UNIX_EPOCH)));
        assert_eq!(read(&failed, &["a"]).failures, 0);
    }

    #[test]
    fn replicas_configured_and_excluded_instances_are_not_adopted() {
        let estate = estate("discover: true, exclude: [byid, 'test-*'], instances: [{ id: conf }]");
        let list = [
            ("a", "orders"),
            ("b", "replica of orders"),
            ("byid", "pay"),
            ("c", "test-1"),
            ("conf", "x"),
            ("d", "orders"),
        ];
        let list = list.map(|(id, name)| listed(id, name));
        let estate = estate.after(Timestamp::UNIX_EPOCH, Ok(list.into()));
        assert_eq!(ids(estate.adopted()), ["a", "d"], "two may have one name");
        assert_eq!(estate.unmonitored().count(), 0);
        assert_eq!(estate.count, 6, "all that the list has");
    }

    #[test]
    fn an_audit_adopts_nothing_and_shows_what_nobody_watches_as_long_as_it_is_listed() {
        let keys = "audit: true, exclude: [left], instances: [{ id: conf }]";
        let full = read(&estate(keys), &["a", "left", "conf", "replica"]);
        assert_eq!((full.adopted().count(), ids(full.unmonitored())), (0, vec!["a"]));
        assert_eq!(read(&full, &["conf"]).unmonitored().count(), 0);
        // It becomes a discovery, and back.
        let discovery = full.taken_over(census("discover: true"));
        assert_eq!(ids(discovery.adopted()), ["a", "conf", "left"]);
        assert_eq!(discovery.unmonitored().count(), 0);
        assert_eq!(ids(discovery.taken_over(census(keys)).unmonitored()), ["a"]);
    }

    #[test]
    fn an_id_of_the_config_is_the_same_in_any_letter_case_and_then_spelled_as_by_the_cloud() {
        let new = estate("discover: true, instances: [{ id: ABC }, { id: other }]");
        assert_eq!(new.spelling(&id("ABC")), &id("ABC"), "before there is a list");
        let read = read(&new, &["abc", "x"]);
        assert_eq!(read.spelling(&id("ABC")), &id("abc"));
        assert_eq!(read.spelling(&id("other")), &id("other"));
        assert_eq!(ids(read.adopted()), ["x"], "it is configured");
        let other = read.taken_over(census("discover: true, instances: [{ id: X }]"));
        assert_eq!((other.spelling(&id("X")), ids(other.adopted())), (&id("x"), vec!["abc"]));
    }

    #[test]
    fn of_ids_that_differ_in_letter_case_only_the_one_as_typed_is_meant_or_none() {
        let exact = read(&estate("discover: true, instances: [{ id: abc }]"), &["ABC", "abc"]);
        assert_eq!(exact.spelling(&id("abc")), &id("abc"));
        assert_eq!(ids(exact.adopted()), ["ABC"], "nobody else watches the other one");
        let neither = read(&estate("discover: true, instances: [{ id: aBc }]"), &["ABC", "abc"]);
        assert_eq!(neither.spelling(&id("aBc")), &id("aBc"));
        assert!(neither.is_missing(&id("aBc")));
        assert_eq!(ids(neither.adopted()), ["ABC", "abc"]);
    }

    #[test]
    fn a_configured_instance_that_is_gone_keeps_its_spelling_and_its_name() {
        let keys = "discover: true, instances: [{ id: ABC }]";
        let list = vec![listed("abc", "orders"), listed("b", "pay")];
        let mut estate = estate(keys).after(Timestamp::UNIX_EPOCH, Ok(list));
        for _ in 0..10 {
            estate = read(&estate, &[]);
        }
        assert_eq!(estate.spelling(&id("ABC")), &id("abc"));
        assert_eq!(estate.name(&id("abc")), Some("orders"));
        assert_eq!(estate.name(&id("b")), None, "the other is forgotten");
        assert!(estate.is_missing(&id("abc")) && estate.instances().next().is_none());
        // What is not configured any more does not come back.
        assert_eq!(estate.taken_over(census("discover: true")).adopted().count(), 0);
        assert_eq!(ids(read(&estate, &["abc"]).instances().map(|it| &it.listed)), ["abc"]);
    }

    /// The instances that there may be: two of them configured, one of these in other letters.
    const ALL: [&str; 6] = ["a", "b", "conf", "left", "replica", "typed"];

    /// A list, or none for a fault.
    fn history() -> impl Strategy<Value = Vec<Option<Vec<&'static str>>>> {
        let list = prop::sample::subsequence(ALL.to_vec(), 0..=ALL.len());
        prop::collection::vec(prop::option::weighted(0.7, list), 0..12)
    }

    proptest! {
        #[test]
        fn what_is_known_follows_from_the_history_of_the_lists(history in history()) {
            let keys = "discover: true, exclude: [left], instances: [{ id: conf }, { id: TYPED }]";
            let mut estate = estate(keys);
            for (at, outcome) in history.iter().enumerate() {
                let outcome = match outcome {
                    // A name that tells when.
                    Some(ids) => Ok(ids.iter().map(|id| ListedInstance {
                        is_replica: *id == "replica",
                        ..listed(id, &format!("{id}{at}"))
                    }).collect()),
                    None => fault(),
                };
                estate = estate.after(next(&estate), outcome);
            }
            // Only the lists that could be read count, the newest first.
            let mut lists: Vec<(usize, &Vec<&str>)> = Vec::new();
            for (at, list) in history.iter().enumerate().rev() {
                lists.extend(list.as_ref().map(|list| (at, list)));
            }
            prop_assert_eq!(estate.was_tried(), !history.is_empty());
            prop_assert_eq!(estate.is_known(), !lists.is_empty());
            prop_assert_eq!(estate.count, lists.first().map_or(0, |(_, list)| list.len() as u64));
            let faults = history.iter().rev().take_while(|list| list.is_none()).count();
            prop_assert_eq!(estate.failures, faults as u64);
            for one in ALL {
                let missed = lists.iter().position(|(_, list)| list.contains(&one));
                let lately = missed.filter(|missed| *missed < 3);
                let is_configured = ["conf", "typed"].contains(&one);
                let known = estate.find(&id(one)).map(|known| known.missed as usize);
                prop_assert_eq!(known, lately, "{}", one);
                prop_assert_eq!(estate.lists(&id(one)), missed == Some(0));
                prop_assert_eq!(estate.is_missing(&id(one)), !lists.is_empty() && lately.is_none());
                let is_adopted = ids(estate.adopted()).contains(&one);
                prop_assert_eq!(is_adopted, lately.is_some() && ["a", "b"].contains(&one));
                let told = missed.filter(|_| lately.is_some() || is_configured);
                let name = told.map(|missed| format!("{one}{}", lists[missed].0));
                prop_assert_eq!(estate.name(&id(one)), name.as_deref());
            }
            let spelled = if lists.iter().any(|(_, list)| list.contains(&"typed")) { "typed" } else { "TYPED" };
            let typed = id("TYPED");
            prop_assert_eq!(estate.spelling(&typed).as_str(), spelled);
        }
    }
}
