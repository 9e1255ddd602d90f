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
use crate::summary::{Record, Summary};
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
    /// The newest of them, see [`crate::summary::MOST_RECORDS`].
    pub newest: &'a [Record],
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
        let awaits_policy =
            self.target.policy && self.policy.is_well().is_none() && !self.was_shown;
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
        let with = |backup_type, summary, newest| ShownType {
            backup_type,
            observed: reading.observed,
            summary,
            newest,
            objective: None,
        };
        let mut types: BTreeMap<BackupType, ShownType<'a>> = read
            .iter()
            .map(|of| (of.backup_type, with(of.backup_type, &of.summary, &*of.newest)))
            .collect();
        let is_missing = self.estate.as_deref().is_some_and(|estate| estate.is_missing(id));
        if is_missing || listed.is_some_and(ListedInstance::is_at_rest) {
            return types.into_values().collect();
        }
        let Target { objectives, product, .. } = &*self.target;
        let objectives = objective::in_force(objectives, product.automated, self.policy.value());
        for (backup_type, objective) in objectives {
            if objective.max_age.is_some() {
                let of = types.entry(backup_type);
                let of = of.or_insert_with(|| with(backup_type, &NO_RECORDS, &[]));
                of.objective = Some(objective);
            }
        }
        types.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backup::Times;
    use crate::census::censuses;
    use crate::error::{Fault, Reason};
    use crate::policy::{Plan, Policy};
    use crate::snapshot::PollOutcome;
    use crate::target::{self, targets};

    const AUTO: BackupType = BackupType { name: "auto", times: Times::Job };
    const HOUR: Duration = Duration::from_secs(3600);

    /// A config of one project with these product blocks, in flow style.
    fn config(blocks: &str) -> crate::config::Config {
        let text = format!("  - name: shop\n    project_id: p1\n    credentials: main\n{blocks}");
        target::tests::config(&text)
    }

    fn rds(keys: &str) -> crate::config::Config {
        config(&format!("    rds: {{ endpoint: https://rds.example, {keys} }}\n"))
    }

    fn ddm(keys: &str) -> crate::config::Config {
        config(&format!("    ddm: {{ endpoint: https://ddm.example, {keys} }}\n"))
    }

    /// The list of the config, before it was read.
    fn estate(config: &crate::config::Config) -> Estate {
        let [census] = <[_; 1]>::try_from(censuses(config)).unwrap();
        Estate::new(Arc::new(census))
    }

    fn listed(id: &str, status: &str) -> ListedInstance {
        ListedInstance {
            id: InstanceId::new(id),
            name: Some(format!("{id} of the list").into()),
            status: (!status.is_empty()).then(|| status.into()),
            engine: Some(Engine { name: "listed".into(), version: "1".into() }),
            created: Some(Timestamp::UNIX_EPOCH),
            is_replica: false,
        }
    }

    fn after(estate: &Estate, list: &[ListedInstance]) -> Estate {
        let interval = estate.census.discovery.interval;
        let ended = estate.last_success.map_or(Timestamp::UNIX_EPOCH, |last| last + interval);
        estate.after(ended, Ok(list.to_vec()))
    }

    fn fault(reason: Reason) -> Fault {
        Fault::new(reason, "no answer")
    }

    fn failed(estate: &Estate) -> Estate {
        estate.after(Timestamp::UNIX_EPOCH, Err(fault(Reason::Timeout)))
    }

    /// An instance of a backup list, with a record of its automated type.
    fn read(id: &str) -> Instance {
        Instance {
            id: InstanceId::new(id),
            name: format!("{id} of a record").into(),
            engine: Engine { name: "read".into(), version: "2".into() },
            status: Some("OF A RECORD".into()),
            types: vec![TypeReading::of(AUTO, Summary::default())],
        }
    }

    fn polled(outcome: Option<Reason>) -> PollOutcome {
        PollOutcome {
            ended: Timestamp::UNIX_EPOCH,
            took: Duration::ZERO,
            requests: 1,
            records: 1,
            fault: outcome.map(fault),
        }
    }

    /// The first target of a config, with an estate and the instances of its last poll.
    fn state(
        config: &crate::config::Config,
        estate: Option<&Estate>,
        read: Option<Vec<Instance>>,
    ) -> TargetState {
        let estates: Vec<_> = estate.into_iter().cloned().map(Arc::new).collect();
        let target = targets(config, &estates).swap_remove(0);
        let reading = read.map(|instances| {
            Arc::new(Reading {
                observed: Timestamp::UNIX_EPOCH,
                instances,
                unknown_types: 0,
                unknown_statuses: 0,
            })
        });
        TargetState { estate: estates.first().cloned(), reading, ..TargetState::new(target) }
    }

    fn only(state: &TargetState) -> Shown<'_> {
        let [shown] = <[_; 1]>::try_from(state.shown()).unwrap();
        shown
    }

    /// The objective of the automated type in hours and its origin, if it is expected.
    fn objective(state: &TargetState) -> Option<(u64, String)> {
        let shown = only(state);
        let auto =
            shown.types.iter().find(|of| of.backup_type == state.target.product.automated)?;
        let objective = auto.objective?;
        Some((objective.max_age?.as_secs() / 3600, objective.origin.to_string()))
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what may be none")]
    fn default() -> Option<(u64, String)> {
        Some((26, "default".to_owned()))
    }

    const DB: &str = "discover: true, policy: false, instances: [{ id: db }]";

    #[test]
    fn no_instance_is_shown_before_the_list_was_tried_and_a_failed_try_is_one() {
        for (config, list) in [(rds(DB), "db"), (ddm(""), "router")] {
            let new = estate(&config);
            let state_of = |estate: &Estate| state(&config, Some(estate), Some(vec![read(list)]));
            assert_eq!(state_of(&new).shown().len(), 0);
            assert_eq!(state_of(&failed(&new)).shown().len(), 1);
            let full = after(&new, &[listed(list, "")]);
            assert_eq!(only(&state_of(&full)).name, format!("{list} of the list"));
            assert_eq!(state(&config, None, Some(vec![read(list)])).shown().len(), 1);
        }
        let (rds, ddm) = (rds(DB), ddm(""));
        let is_named = |config, estate: &Estate| state(config, Some(estate), None).is_named();
        assert!(!is_named(&rds, &estate(&rds)) && is_named(&rds, &failed(&estate(&rds))));
        assert!(is_named(&ddm, &estate(&ddm)), "a project has no name that could change");
    }

    #[test]
    fn an_instance_waits_for_the_first_word_of_its_policy_or_the_lack_of_one() {
        let config = rds("policy: true, instances: [{ id: db }]");
        let new = state(&config, None, Some(vec![read("db")]));
        assert_eq!(new.shown().len(), 0);
        assert!(new.is_named(), "its polls are shown");
        for outcome in [Ok(Policy::default()), Err(fault(Reason::Timeout))] {
            let policy = new.policy.after(Timestamp::UNIX_EPOCH, &outcome);
            assert_eq!(TargetState { policy, ..new.clone() }.shown().len(), 1);
        }
    }

    #[test]
    fn state_engine_and_creation_are_those_of_the_list_else_of_the_newest_record() {
        let config = ddm("");
        let new = estate(&config);
        let of = |listed: &[ListedInstance], read: &[&str]| {
            let estate = after(&new, listed);
            let read = read.iter().map(|id| self::read(id)).collect();
            let state = state(&config, Some(&estate), Some(read));
            let Shown { name, engine, status, created, .. } = only(&state);
            let engine = engine.map(|(name, version)| format!("{name} {version}"));
            (name.to_owned(), engine, status.map(str::to_owned), created.is_some())
        };
        let text = |text: &str| Some(text.to_owned());
        let whole = listed("dd", "LISTED");
        let expected = ("dd of the list".to_owned(), text("listed 1"), text("LISTED"), true);
        assert_eq!(of(std::slice::from_ref(&whole), &["dd"]), expected);
        assert_eq!(of(&[whole], &[]), expected);
        let expected = ("dd of a record".to_owned(), text("read 2"), text("OF A RECORD"), false);
        assert_eq!(of(&[], &["dd"]), expected);
        let bare = ListedInstance { name: None, engine: None, created: None, ..listed("dd", "") };
        assert_eq!(of(std::slice::from_ref(&bare), &["dd"]), expected);
        assert_eq!(of(&[bare], &[]), ("dd".to_owned(), text(" "), None, false), "one info");
    }

    #[test]
    fn an_rds_instance_is_found_if_the_list_has_it_and_its_own_list_does_not_deny_it() {
        let config = rds(DB);
        let full = after(&estate(&config), &[listed("db", "")]);
        let empty = after(&full, &[]);
        let (good, gone, slow) = (None, Some(Reason::NotFound), Some(Reason::Timeout));
        let found = |estate: &Estate, polls: &[Option<Reason>]| {
            let mut state = state(&config, Some(estate), None);
            for outcome in polls {
                state = state.after(&polled(*outcome), None);
            }
            only(&state).is_found
        };
        for (polls, with_list, by_polls) in [
            (&[][..], true, None),
            (&[slow][..], true, None),
            (&[good][..], true, Some(true)),
            (&[good, slow][..], true, Some(true)),
            (&[gone][..], false, Some(false)),
            (&[gone, slow][..], false, Some(false)),
            (&[gone, good][..], true, Some(true)),
        ] {
            assert_eq!(found(&full, polls), Some(with_list), "{polls:?}");
            assert_eq!(found(&failed(&full), polls), Some(with_list), "the last word: {polls:?}");
            assert_eq!(found(&empty, polls), Some(false), "{polls:?}");
            assert_eq!(found(&failed(&estate(&config)), polls), by_polls, "{polls:?}");
        }
    }

    #[test]
    fn a_ddm_instance_is_found_while_it_is_listed_and_never_said_to_be_lost() {
        let config = ddm("");
        let full = after(&estate(&config), &[listed("dd", "")]);
        let found = |estate: &Estate| {
            let state = state(&config, Some(estate), Some(vec![read("dd")]));
            let state = state.after(&polled(None), None);
            (only(&state).is_found, only(&state).is_listed)
        };
        assert_eq!(found(&full), (Some(true), true));
        assert_eq!(found(&after(&full, &[])), (None, true), "it may come back");
        assert_eq!(found(&after(&estate(&config), &[])), (None, false));
        assert_eq!(found(&failed(&estate(&config))), (None, false));
    }

    #[test]
    fn a_listed_ddm_instance_without_a_record_has_its_expected_types_once_the_list_was_read() {
        let config = ddm("");
        let full = after(&estate(&config), &[listed("dd", "RUNNING")]);
        assert_eq!(only(&state(&config, Some(&full), None)).types.len(), 0);
        let read = state(&config, Some(&full), Some(Vec::new()));
        let types: Vec<_> = only(&read).types.iter().map(|of| of.backup_type.name).collect();
        assert_eq!(types, ["auto_metadata"]);
        assert_eq!(objective(&read), default());
    }

    #[test]
    fn an_excluded_ddm_instance_is_not_shown_by_id_by_the_name_of_the_list_or_of_its_record() {
        let config = ddm("exclude: ['test-*', byid, '* of a record', 'left *']");
        let list = [
            listed("byid", ""),
            listed("left", ""),
            ListedInstance { name: Some("test-1".into()), ..listed("listed", "") },
            listed("kept", ""),
        ];
        let estate = after(&estate(&config), &list);
        let read = ["byid", "kept", "other"].map(read).into();
        let state = state(&config, Some(&estate), Some(read));
        let shown: Vec<_> = state.shown().iter().map(|it| it.id.as_str().to_owned()).collect();
        assert_eq!(shown, ["kept"]);
    }

    #[test]
    fn what_the_list_is_without_is_not_expected_and_what_it_was_never_asked_for_is() {
        let (rds, ddm) = (rds(DB), ddm(""));
        for (config, id) in [(&rds, "db"), (&ddm, "dd")] {
            let objective = |estate: Option<&Estate>| {
                objective(&state(config, estate, Some(vec![self::read(id)])))
            };
            let new = estate(config);
            assert_eq!(objective(None), default(), "{id}");
            assert_eq!(objective(Some(&failed(&new))), default(), "{id}: nobody knows");
            assert_eq!(objective(Some(&after(&new, &[]))), None, "{id}: it was never there");
            let mut estate = after(&new, &[listed(id, "ACTIVE")]);
            assert_eq!(objective(Some(&estate)), default(), "{id}");
            for missed in 1..3 {
                estate = after(&estate, &[]);
                assert_eq!(objective(Some(&estate)), default(), "{id}: {missed} times missing");
            }
            estate = after(&estate, &[]);
            assert_eq!(objective(Some(&estate)), None, "{id}: gone");
        }
    }

    #[test]
    fn an_instance_at_rest_is_not_expected_and_shows_what_it_has() {
        let config = rds(DB);
        for (status, expected) in [
            ("SHUTDOWN", None),
            ("FROZEN", None),
            ("ACTIVE", default()),
            ("STORAGE FULL", default()),
        ] {
            let estate = after(&estate(&config), &[listed("db", status)]);
            let state = state(&config, Some(&estate), Some(vec![read("db")]));
            assert_eq!(objective(&state), expected, "{status}");
            assert_eq!(only(&state).types.len(), 1, "{status}");
        }
    }

    #[test]
    fn the_policy_says_what_is_expected_unless_the_config_does() {
        let retention = Some(HOUR * 24 * 7);
        let weekly = Policy { retention, plan: Plan::new([1], HOUR, HOUR) };
        let objective = |max_age: &str, outcomes: &[Result<Policy, Fault>]| {
            let config = rds(&format!("policy: true, instances: [{{ id: db{max_age} }}]"));
            let state = state(&config, None, Some(vec![read("db")]));
            let mut policy = state.policy.clone();
            for outcome in outcomes {
                policy = policy.after(Timestamp::UNIX_EPOCH, outcome);
            }
            objective(&TargetState { policy, ..state })
        };
        let (off, slow) = (Ok(Policy::default()), Err(fault(Reason::Timeout)));
        let by_policy = Some((7 * 24 + 2, "backup policy".to_owned()));
        assert_eq!(objective("", &[Ok(weekly)]), by_policy);
        assert_eq!(objective("", &[Ok(weekly), slow.clone()]), by_policy, "the last one known");
        assert_eq!(objective("", &[slow]), default());
        assert_eq!(objective("", std::slice::from_ref(&off)), None);
        let written = Some((8, "config of the instance".to_owned()));
        assert_eq!(objective(", max_age: { auto: 8h }", &[off]), written);
        assert_eq!(objective(", max_age: { auto: 'off' }", &[Ok(weekly)]), None);
    }
}
