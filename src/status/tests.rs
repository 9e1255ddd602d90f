use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::backup::{BackupType, Engine, InstanceId, Times};
use crate::census::censuses;
use crate::error::{Fault, Reason};
use crate::snapshot::{Instance, PollOutcome, Reading, TypeReading};
use crate::summary::{Success, Summary};
use crate::target::{self, Target, targets};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const AUTO: BackupType = BackupType { name: "auto", times: Times::Job };
const MANUAL: BackupType = BackupType { name: "manual", times: Times::Job };
const INCREMENTAL: BackupType = BackupType { name: "incremental", times: Times::Commit };

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn ago(age: Duration) -> Timestamp {
    now() - age
}

/// RDS instances with these ids and the objective of a day for `auto`, polled every five minutes.
fn configured(ids: &[&str]) -> Vec<Arc<Target>> {
    let instances: Vec<String> = ids.iter().map(|id| format!("{{ id: {id} }}")).collect();
    target::tests::read(&format!(
        "  - name: shop\n    project_id: p1\n    credentials: main\n    poll: {{ interval: 5m }}\n    \
         rds:\n      endpoint: https://rds.example\n      max_age: {{ auto: 1d }}\n      \
         instances: [{}]\n",
        instances.join(", ")
    ))
}

/// What a poll brought that was complete just now.
fn reading(id: &str, types: Vec<TypeReading>) -> Arc<Reading> {
    let instance = Instance {
        id: InstanceId::new(id),
        name: id.into(),
        engine: Engine::default(),
        status: None,
        types,
    };
    let instances = vec![instance];
    Arc::new(Reading { observed: now(), instances, unknown_types: 0, unknown_statuses: 0 })
}

fn polled(ended: Timestamp, reason: Option<Reason>) -> PollOutcome {
    let fault = reason.map(|reason| Fault::new(reason, "no answer"));
    PollOutcome { ended, took: HOUR, requests: 1, records: 1, fault }
}

/// A target that was polled well just now.
fn read(target: &Arc<Target>, types: Vec<TypeReading>) -> TargetState {
    let reading = reading(target.instance_id(), types);
    TargetState::new(Arc::clone(target)).after(&polled(now(), None), Some(&reading))
}

fn success(age: Duration) -> Summary {
    let success = Success { end: ago(age), bytes: None, duration: None };
    Summary {
        last_success: Some(success),
        last_attempt_success: Some(true),
        failures_since_last_success: Some(0),
        ..Summary::default()
    }
}

fn failure(age: Duration) -> Summary {
    Summary {
        last_attempt_success: Some(false),
        last_failure: Some(ago(age)),
        failures_since_last_success: Some(1),
        ..success(HOUR)
    }
}

fn snapshot(states: Vec<TargetState>) -> Snapshot {
    Snapshot { targets: states.into_iter().map(Arc::new).collect(), estates: Vec::new() }
}

fn setting(now: Timestamp) -> Setting<'static> {
    let backoff = &|_: &str| Duration::ZERO;
    Setting { shard: Shard::WHOLE, now, instant: Instant::now(), backoff }
}

fn status(snapshot: &Snapshot) -> Status<'_> {
    Status::new(snapshot, setting(now()))
}

/// The words of a state's only entry.
fn words(state: TargetState) -> Vec<&'static str> {
    let snapshot = snapshot(vec![state]);
    let status = status(&snapshot);
    let [entry] = <[_; 1]>::try_from(status.entries).unwrap();
    entry.marks.iter().map(Mark::word).collect()
}

/// The words of an instance of which these types were read just now.
fn words_of(types: Vec<TypeReading>) -> Vec<&'static str> {
    words(read(&configured(&["db"])[0], types))
}

fn of(backup_type: BackupType, summary: Summary) -> Vec<TypeReading> {
    vec![TypeReading::of(backup_type, summary)]
}

#[test]
fn marks_are_listed_the_worst_first_and_their_words_differ() {
    assert!(Mark::ALL.is_sorted());
    let words: std::collections::BTreeSet<_> = Mark::ALL.iter().map(|mark| mark.word()).collect();
    assert_eq!(words.len(), Mark::ALL.len());
}

#[test]
fn an_instance_with_a_fresh_success_has_nothing_to_be_said_of() {
    assert_eq!(words_of(of(AUTO, success(HOUR))), [""; 0]);
}

#[test]
fn a_success_is_stale_when_it_is_older_than_the_objective_and_not_when_it_is_as_old() {
    assert_eq!(words_of(of(AUTO, success(DAY))), [""; 0]);
    assert_eq!(words_of(of(AUTO, success(DAY + Duration::from_millis(1)))), ["stale"]);
    let two = vec![TypeReading::of(AUTO, success(HOUR)), TypeReading::of(MANUAL, success(DAY * 9))];
    assert_eq!(words_of(two), [""; 0], "nobody expects a manual one");
}

#[test]
fn a_missing_success_is_stale_unless_the_instance_is_young() {
    assert_eq!(words_of(Vec::new()), ["stale"], "nobody knows how old the instance is");
    let config = target::tests::config(
        "  - name: shop\n    project_id: p1\n    credentials: main\n    rds: { endpoint: \
         https://rds.example, discover: true, policy: false, max_age: { auto: 7d } }\n",
    );
    let [census] = <[_; 1]>::try_from(censuses(&config)).unwrap();
    let estate = Estate::new(Arc::new(census));
    let born = |created| {
        let listed = ListedInstance {
            id: InstanceId::new("db"),
            name: None,
            status: None,
            engine: None,
            created: Some(created),
            is_replica: false,
        };
        let estates = [Arc::new(estate.after(now(), Ok(vec![listed])))];
        let target = targets(&config, &estates).swap_remove(0);
        let state = read(&target, Vec::new());
        words(TargetState { estate: estates.first().cloned(), ..state })
    };
    assert_eq!(born(ago(HOUR * 167)), [""; 0]);
    assert_eq!(born(ago(DAY * 7)), ["stale"]);
}

#[test]
fn a_failed_backup_that_is_repeated_by_itself_or_expected_is_failing_however_old() {
    for backup_type in [AUTO, INCREMENTAL] {
        assert_eq!(
            words_of(of(backup_type, failure(DAY * 9))),
            match backup_type {
                AUTO => ["failing"].as_slice(),
                _ => &["failing", "stale"],
            }
        );
    }
}

#[test]
fn a_failed_backup_on_demand_is_failing_for_a_day() {
    let with =
        |age| vec![TypeReading::of(AUTO, success(HOUR)), TypeReading::of(MANUAL, failure(age))];
    assert_eq!(words_of(with(DAY)), ["failing"]);
    assert_eq!(words_of(with(DAY + HOUR)), [""; 0]);
}

#[test]
fn several_failures_before_the_last_attempt_that_completed_are_none_and_after_a_success_they_are() {
    let mended = Summary { failures_since_last_success: Some(0), ..success(HOUR) };
    assert_eq!(words_of(of(AUTO, mended)), [""; 0]);
    let failing = Summary { failures_since_last_success: Some(3), ..success(HOUR) };
    assert_eq!(words_of(of(AUTO, failing)), ["failing"], "whatever the last attempt");
}

#[test]
fn a_success_that_grew_too_old_since_the_cloud_was_read_is_stale_before_any_alert_is() {
    let [target] = <[_; 1]>::try_from(configured(&["db"])).unwrap();
    let state = read(&target, of(AUTO, success(HOUR)));
    let snapshot = snapshot(vec![state]);
    let later = now() + DAY;
    let status = Status::new(&snapshot, setting(later));
    let [entry] = <[_; 1]>::try_from(status.entries).unwrap();
    assert!(entry.marks.has(Mark::Stale) && entry.marks.has(Mark::Blind));
    assert_eq!(entry.conditions, []);
}

#[test]
fn the_condition_of_any_other_alert_is_a_problem_with_its_name() {
    let stuck = Summary { running_since: Some(ago(HOUR * 7)), ..success(HOUR) };
    let snapshot = snapshot(vec![read(&configured(&["db"])[0], of(AUTO, stuck))]);
    let status = status(&snapshot);
    assert_eq!(found(&status, "state=alerting"), ["db"]);
    assert_eq!(found(&status, "q=RunningTooLong"), ["db"]);
    assert!(Mark::Alerting.is_problem());
}

#[test]
fn a_backup_that_is_being_made_is_running() {
    let running = Summary { running_since: Some(ago(HOUR)), ..success(HOUR) };
    assert_eq!(words_of(of(AUTO, running)), ["running"]);
}

#[test]
fn what_was_not_polled_yet_waits_and_is_not_blind() {
    let [target] = <[_; 1]>::try_from(configured(&["db"])).unwrap();
    assert_eq!(words(TargetState::new(target)), ["waiting"]);
}

#[test]
fn what_cannot_be_read_is_blind_at_once_if_it_never_was_and_else_after_three_intervals() {
    let [target] = <[_; 1]>::try_from(configured(&["db"])).unwrap();
    let never =
        TargetState::new(Arc::clone(&target)).after(&polled(now(), Some(Reason::Auth)), None);
    assert_eq!(words(never), ["blind", "poll_failing"]);
    let read_at = |age| {
        let reading = reading("db", of(AUTO, success(HOUR)));
        let well =
            TargetState::new(Arc::clone(&target)).after(&polled(ago(age), None), Some(&reading));
        well.after(&polled(now(), Some(Reason::Timeout)), None)
    };
    assert_eq!(words(read_at(Duration::from_secs(900))), ["poll_failing"]);
    assert_eq!(words(read_at(Duration::from_secs(901))), ["blind", "poll_failing"]);
    // A poll that hangs, or is never begun, is no better.
    let silent = read(&target, of(AUTO, success(HOUR)));
    assert_eq!(words(TargetState { last_success: Some(ago(HOUR)), ..silent }), ["blind"]);
}

#[test]
fn a_lookup_that_fails_is_seen_although_the_polls_are_well() {
    let state = read(&configured(&["db"])[0], of(AUTO, success(HOUR)));
    let fault = Fault::new(Reason::Forbidden, "no");
    let policy = state.policy.after(now(), &Err(fault.clone()));
    assert_eq!(words(TargetState { policy, ..state.clone() }), ["poll_failing"]);
    let restore_window = state.restore_window.after(now(), &Err(fault));
    assert_eq!(words(TargetState { restore_window, ..state }), ["poll_failing"]);
}

#[test]
fn an_instance_that_the_cloud_does_not_have_is_said_to_be_gone() {
    let state = read(&configured(&["db"])[0], of(AUTO, success(HOUR)));
    assert_eq!(
        words(state.after(&polled(now(), Some(Reason::NotFound)), None)),
        ["poll_failing", "not_found"]
    );
}

/// A well one, a stale one, a failing one, one that is blind, and one that nobody watches.
fn several() -> Snapshot {
    let config = target::tests::config(
        "  - name: shop\n    project_id: p1\n    credentials: main\n    poll: { interval: 5m }\n    \
         rds:\n      endpoint: https://rds.example\n      max_age: { auto: 1d }\n      \
         audit: true\n      instances: [{ id: a }, { id: b }, { id: c }, { id: d }]\n",
    );
    let [census] = <[_; 1]>::try_from(censuses(&config)).unwrap();
    let listed = |id: &str| ListedInstance {
        id: InstanceId::new(id),
        name: Some(format!("<{id}>").into()),
        status: Some("ACTIVE".into()),
        engine: None,
        created: None,
        is_replica: id == "replica",
    };
    let ids = ["a", "b", "c", "d", "e", "replica"];
    let list = ids.into_iter().map(listed).collect();
    let estate = Arc::new(Estate::new(Arc::new(census)).after(now(), Ok(list)));
    let targets = targets(&config, std::slice::from_ref(&estate));
    let blind = TargetState::new(Arc::clone(&targets[3]));
    let states = [
        read(&targets[0], of(AUTO, success(HOUR))),
        read(&targets[1], of(AUTO, success(DAY * 3))),
        read(&targets[2], of(AUTO, failure(HOUR))),
        blind.after(&polled(now(), Some(Reason::Connect)), None),
    ];
    let with_estate = |state| TargetState { estate: Some(Arc::clone(&estate)), ..state };
    Snapshot { estates: vec![Arc::clone(&estate)], ..snapshot(states.map(with_estate).into()) }
}

#[test]
fn totals_count_instances_and_what_nobody_watches_is_none_that_is_polled() {
    let snapshot = several();
    let expected =
        Totals { instances: 4, stale: 1, failing: 1, running: 0, blind: 1, unmonitored: 1 };
    assert_eq!(status(&snapshot).totals, expected);
}

#[test]
fn an_instance_is_found_by_all_of_what_it_is_known_by() {
    let snapshot = several();
    let status = status(&snapshot);
    assert!(status.find("shop", "rds", "e").is_some(), "also one that nobody watches");
    for (project, product, id) in
        [("shop", "ddm", "a"), ("other", "rds", "a"), ("shop", "rds", "x")]
    {
        assert!(status.find(project, product, id).is_none(), "{project} {product} {id}");
    }
}

fn found(status: &Status<'_>, query: &str) -> Vec<String> {
    let query = Query::parse(query).unwrap();
    query.select(status).entries.iter().map(|entry| entry.id().to_owned()).collect()
}

#[test]
fn problems_come_first_the_worst_in_front() {
    let snapshot = several();
    assert_eq!(found(&status(&snapshot), ""), ["c", "b", "d", "e", "a"]);
}

#[test]
fn other_orders_are_by_name_age_and_failures() {
    let snapshot = several();
    let status = status(&snapshot);
    assert_eq!(found(&status, "sort=name"), ["a", "b", "c", "d", "e"]);
    assert_eq!(found(&status, "sort=age"), ["b", "a", "c", "d", "e"]);
    assert_eq!(found(&status, "sort=failures"), ["c", "a", "b", "d", "e"]);
}

#[test]
fn a_type_that_never_succeeded_is_older_than_all_others() {
    let targets = configured(&["a", "b"]);
    // What nobody expects has no say.
    let mut old = of(AUTO, success(DAY * 300));
    old.push(TypeReading::of(MANUAL, Summary::default()));
    let states = vec![read(&targets[0], old), read(&targets[1], Vec::new())];
    let snapshot = snapshot(states);
    assert_eq!(found(&status(&snapshot), "sort=age"), ["b", "a"]);
}

#[test]
fn by_size_what_is_farthest_from_its_baseline_comes_first_whether_smaller_or_larger() {
    let of_size = |bytes: u64| {
        let baseline = crate::summary::Median::of(vec![1000]);
        let success = Success { end: ago(HOUR), bytes: Some(bytes), duration: None };
        Summary { last_success: Some(success), size_baseline: baseline, ..Summary::default() }
    };
    let targets = configured(&["a", "b", "c", "d", "none"]);
    let sizes = [1000, 1500, 400, 0].map(of_size);
    let mut states: Vec<_> =
        targets.iter().zip(sizes).map(|(target, it)| read(target, of(AUTO, it))).collect();
    states.push(read(&targets[4], Vec::new()));
    let snapshot = snapshot(states);
    assert_eq!(found(&status(&snapshot), "sort=size"), ["d", "c", "b", "a", "none"]);
}

#[test]
fn words_are_found_in_any_letter_case_and_all_of_them_have_to_be() {
    let snapshot = several();
    let status = status(&snapshot);
    assert_eq!(found(&status, "q=%3CC%3E+SHOP"), ["c"]);
    assert_eq!(found(&status, "q=c+nowhere"), [""; 0]);
    assert_eq!(found(&status, "q=auto&sort=name"), ["a", "b", "c"]);
}

#[test]
fn a_state_a_project_a_product_and_a_type_choose() {
    let snapshot = several();
    let status = status(&snapshot);
    assert_eq!(found(&status, "state=blind"), ["d"]);
    assert_eq!(found(&status, "state=unmonitored"), ["e"]);
    assert_eq!(found(&status, "project=shop&product=rds&type=auto&state=stale"), ["b"]);
    for nothing in ["project=sho", "product=ddm", "type=manual", "state=running"] {
        assert_eq!(found(&status, nothing), [""; 0], "{nothing}");
    }
}

#[test]
fn pages_part_what_was_found_and_one_behind_the_last_is_empty() {
    let snapshot = several();
    let status = status(&snapshot);
    assert_eq!(found(&status, "per_page=2&page=2"), ["d", "e"]);
    assert_eq!(found(&status, "per_page=2&page=4"), [""; 0]);
    let selection = Query::parse("per_page=2").unwrap();
    let selection = selection.select(&status);
    assert_eq!((selection.found, selection.pages), (5, 3));
    let none = Query::parse("q=nowhere").unwrap();
    assert_eq!(none.select(&status).pages, 1);
}

#[test]
fn a_query_that_means_nothing_is_refused_with_what_could_be_meant() {
    for (query, text) in [
        ("stat=blind", "there is no parameter `stat`; there are: q, state, project"),
        ("state=blnd", "`state` is not `blnd`, but one of: failing, stale, alerting, blind"),
        ("sort=worst", "`sort` is not `worst`, but one of: problem, name"),
        ("q=a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a", "`q` is not `…`, but one of: up to 16 words"),
        ("page=0", "`page` is not `0`, but one of: the numbers from 1 to "),
        ("per_page=1001", "`per_page` is not `1001`, but one of: the numbers from 1 to 1000"),
    ] {
        let error = Query::parse(query).unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    }
    let error = Which::parse("name=x").unwrap_err().to_string();
    assert_eq!(error, "there is no parameter `name`; there are: project, product, id");
}

#[test]
fn an_empty_field_of_a_form_says_nothing() {
    assert_eq!(Query::parse("q=&state=&project=&sort=&page=").unwrap(), Query::default());
}

proptest! {
    #[test]
    fn a_query_comes_back_from_its_text_as_it_was(
        words in "[a-zäß&=+%#<\"]{1,8}( [a-z?/]{1,8}){0,2}|",
        project in "[^\\s]{0,8}",
        state in prop::option::of(prop::sample::select(&Mark::ALL[..])),
        sort in prop::sample::select(&Sort::ALL[..]),
        page in 1_usize..1_000_000,
        per_page in 1_usize..=1000,
    ) {
        let query = Query { words, state, project, sort, page, per_page, ..Query::default() };
        prop_assert_eq!(Query::parse(&query.to_string()).unwrap(), query);
    }
}
