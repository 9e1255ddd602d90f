use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use jiff::Timestamp;
use tokio::time::Instant;

use super::*;
use crate::backup::{BackupId, BackupType, Engine, InstanceId, Status as State, Times};
use crate::error::{Fault, Reason};
use crate::lookup::Looked;
use crate::policy::{Plan, Policy};
use crate::shard::Shard;
use crate::snapshot::{Instance, PollOutcome, Reading, Snapshot, TargetState, TypeReading};
use crate::status::{Query, Setting, Status};
use crate::summary::{Record, Success, Summary};
use crate::target;

const HOSTILE: &str = r#"</title><script>alert("1")</script>'&amp;"#;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn of(name: &'static str, summary: Summary) -> TypeReading {
    let times = if name == "incremental" { Times::Commit } else { Times::Job };
    TypeReading::of(BackupType { name, times }, summary)
}

fn ended(end: i64) -> Summary {
    let success = Success { end: at(end), bytes: Some(1500), duration: None };
    Summary { last_success: Some(success), ..Summary::default() }
}

fn reading(name: &str, types: Vec<TypeReading>) -> Arc<Reading> {
    let instance = Instance {
        id: InstanceId::new("db"),
        name: name.into(),
        engine: Engine { name: HOSTILE.into(), version: "8".into() },
        status: Some(HOSTILE.into()),
        types,
    };
    let instances = vec![instance];
    Arc::new(Reading { observed: at(0), instances, unknown_types: 0, unknown_statuses: 0 })
}

/// Three targets at second 7200: one fails, one was not polled yet, one is well.
fn snapshot() -> Snapshot {
    let targets = target::tests::read(
        "  - name: shop\n    project_id: p1\n    credentials: main\n    rds:\n      \
         endpoint: https://rds.example\n      \
         instances:\n        - id: db\n          name: orders\n          \
         max_age: { auto: 26h, fragment: 1h, incremental: 1h }\n        \
         - { id: new, name: sandbox }\n    \
         ddm: { endpoint: https://ddm.example, max_age: { auto_metadata: 2h } }\n",
    );
    let troubled = Summary {
        failures_since_last_success: Some(1),
        running_since: Some(at(5400)),
        ..ended(-24 * 3600)
    };
    let failing = reading(
        "orders",
        vec![
            of("auto", troubled),
            of("manual", ended(0)),
            of("fragment", Summary::default()),
            // The clock of the cloud is ahead of ours.
            of("incremental", ended(9000)),
        ],
    );
    // The page is of Wednesday, a quarter past midnight.
    let plan = Plan::new([3], Duration::from_secs(3600), Duration::from_secs(3600));
    let policy = Policy { retention: Some(Duration::from_secs(86_400)), plan };
    let poll = PollOutcome {
        ended: at(7140),
        took: Duration::from_secs(5),
        requests: 11,
        records: 12,
        fault: Some(Fault::new(Reason::Timeout, HOSTILE)),
    };
    let instant = Instant::now();
    let states = [
        TargetState {
            last_fault: poll.fault.clone().map(|fault| (poll.ended, fault)),
            last_poll: Some(poll.clone()),
            last_success: Some(at(3600)),
            failures: 3,
            reading: Some(failing),
            policy: Looked::default().after(at(0), &Ok(policy)),
            next_poll: Some(instant + Duration::from_secs(240)),
            ..TargetState::new(Arc::clone(&targets[0]))
        },
        TargetState::new(Arc::clone(&targets[1])),
        TargetState {
            last_poll: Some(PollOutcome { fault: None, ..poll }),
            last_success: Some(at(7140)),
            reading: Some(reading(HOSTILE, vec![of("auto_metadata", ended(0))])),
            ..TargetState::new(Arc::clone(&targets[2]))
        },
    ];
    Snapshot { targets: states.map(Arc::new).into(), estates: Vec::new() }
}

/// At second 7200, with requests of every project paused for a minute.
fn setting(shard: Shard) -> Setting<'static> {
    let backoff = &|_: &str| Duration::from_secs(60);
    Setting { shard, now: at(7200), instant: Instant::now(), backoff }
}

#[test]
fn a_shard_says_that_it_is_a_part_and_one_alone_does_not() {
    let snapshot = snapshot();
    let shown = |shard| {
        let status = Status::new(&snapshot, setting(shard));
        overview(&status, &Query::default(), "/metrics").into_string()
    };
    assert!(shown(Shard::new(1, 3).unwrap()).contains("This is shard 1 of 3"));
    assert!(!shown(Shard::WHOLE).contains("shard"));
}

/// The page of what is asked for.
fn shown(query: &str) -> String {
    let snapshot = snapshot();
    let status = Status::new(&snapshot, setting(Shard::WHOLE));
    overview(&status, &Query::parse(query).unwrap(), "/metrics").into_string()
}

/// The cells of each row of an instance, without their tags.
fn rows_of(instance: &str) -> Vec<Vec<String>> {
    let page = shown("");
    let group = page.split("<tbody").find(|group| group.contains(instance)).expect(instance);
    let group = group.split("</tbody>").next().unwrap();
    let text = |cell: &str| {
        let cell = cell.replace("<br>", " ");
        let parts = cell.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
        parts.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let cells = |row: &str| {
        let row = row.replace("<th ", "<td ");
        row.split("<td ").skip(1).map(|cell| text(&format!("<td {cell}"))).collect()
    };
    group.split("<tr").skip(1).map(cells).collect()
}

#[test]
fn each_type_of_an_instance_has_a_row_with_its_age_objective_and_failures() {
    let rows = rows_of("orders");
    assert_eq!(rows.len(), 4);
    let first = &rows[0];
    assert!(first[0].starts_with("orders shop/rds db"), "{first:?}");
    assert_eq!(
        first[1..8],
        [
            "auto running",
            "1d 2h ago 2023-11-13 22:13:20",
            "at most 26h config of the instance",
            "in 46m 40s 2023-11-15 01:00:00",
            "one runs for 30m",
            "1",
            "1.46 KiB",
        ]
    );
    for other in &rows[1..] {
        assert_eq!(other[3], "", "the cloud plans one type: {other:?}");
    }
    assert_eq!(rows[1][..3], ["fragment stale", "none", "at most 1h config of the instance"]);
    assert_eq!(rows[2][..2], ["incremental", "0s ago 2023-11-15 00:43:20"]);
    assert_eq!(rows[3][..3], ["manual", "2h ago 2023-11-14 22:13:20", "not expected"]);
}

#[test]
fn a_failing_target_shows_its_polls_its_pause_and_its_error_in_the_words_of_the_cloud() {
    let rows = rows_of("orders");
    let polls = &rows[0][8];
    assert!(polls.starts_with("failed 1m ago last ok 1h ago next in 3m 5"), "{polls}");
    assert!(polls.ends_with("pauses for 1m"), "{polls}");
    let error = &rows[0][9];
    assert!(error.starts_with("timeout: &lt;/title&gt;"), "{error}");
    assert!(error.ends_with("1m ago, 3 in a row"), "{error}");
}

#[test]
fn what_was_not_polled_yet_says_so() {
    let rows = rows_of("sandbox");
    assert_eq!(rows[0][1..], ["nothing known yet", "not yet pauses for 1m", ""]);
    assert!(shown("").contains("1 not polled yet"));
}

#[test]
fn the_worst_is_the_first_row_of_the_page() {
    let page = shown("");
    let place = |name: &str| page.find(name).unwrap();
    assert!(place("orders") < place("sandbox"));
}

#[test]
fn foreign_text_is_text_wherever_it_stands() {
    let snapshot = snapshot();
    let status = Status::new(&snapshot, setting(Shard::WHOLE));
    let entry = status.find("shop", "ddm", "db").unwrap();
    let pages = [
        shown(""),
        shown("q=%3C/title%3E%3Cscript%3E"),
        instance(&status, entry, "/m").into_string(),
    ];
    for page in pages {
        assert!(page.contains("&lt;/title&gt;&lt;script&gt;"));
        assert!(!page.contains("</title><script>"));
        assert_eq!(page.matches("<script>").count(), 1, "our own");
    }
}

#[test]
fn the_policy_admits_the_style_and_the_script_of_the_page_and_nothing_else() {
    let policy = security_policy();
    let page = shown("");
    for (name, tag) in [("style-src", "style"), ("script-src", "script")] {
        let (_, text) = page.split_once(&format!("<{tag}>")).unwrap();
        let (text, _) = text.split_once(&format!("</{tag}>")).unwrap();
        let digest = BASE64_STANDARD.encode(Sha256::digest(text));
        assert!(policy.contains(&format!("{name} 'sha256-{digest}';")), "{policy}");
    }
    assert!(policy.starts_with("default-src 'none';"));
    for hole in ["unsafe", "http", "*"] {
        assert!(!policy.contains(hole), "{policy}");
    }
    assert!(!page.contains(" style=") && !page.contains("javascript:"), "nothing inline");
}

/// A page of an instance with these records of `auto`.
fn page_with(newest: Vec<Record>) -> String {
    let mut snapshot = snapshot();
    let read = TypeReading { newest, ..of("auto", ended(0)) };
    let state = TargetState::clone(&snapshot.targets[0]);
    let state = TargetState { reading: Some(reading("orders", vec![read])), ..state };
    snapshot.targets[0] = Arc::new(state);
    let status = Status::new(&snapshot, setting(Shard::WHOLE));
    instance(&status, status.find("shop", "rds", "db").unwrap(), "/metrics").into_string()
}

fn record(id: &str, status: State, begin: Option<i64>) -> Record {
    Record {
        id: BackupId::new(id),
        status,
        is_last_success: status == State::Completed,
        begin: begin.map(at),
        end: begin.map(|begin| at(begin + 600)),
        bytes: Some(2048),
    }
}

#[test]
fn every_record_is_in_the_table_and_in_the_picture_with_a_shape_of_its_status() {
    let page = page_with(vec![
        record("one", State::Completed, Some(0)),
        record("two", State::Failed, Some(60)),
        record("three", State::Running, Some(120)),
        record("four", State::Deleting, Some(-60)),
        record("five", State::Failed, None),
    ]);
    let (_, records) = page.split_once("The newest records").unwrap();
    for id in ["one", "two", "three", "four", "five"] {
        assert_eq!(records.matches(&format!(">{id}<")).count(), 1, "{id}");
    }
    assert_eq!(records.matches("<strong>the last success</strong>").count(), 1);
    assert!(records.contains("2023-11-14 22:13:20"));
    let (_, picture) = page.split_once("<svg").unwrap();
    let (picture, _) = picture.split_once("</svg>").unwrap();
    assert!(picture.contains(
        "The 4 newest backups of type auto, the first of 2023-11-14 22:12: 1 completed, 1 failed, 1 running"
    ));
    assert!(picture.contains("2023-11-15 00:13 UTC"), "it reaches to now: {picture}");
    for (class, shape) in
        [("completed", "<rect"), ("failed", "<path"), ("running", "<rect"), ("deleting", "<circle")]
    {
        let (_, group) = picture.split_once(&format!("<g class=\"{class}\">")).unwrap();
        let (group, _) = group.split_once("</g>").unwrap();
        assert!(group.contains(shape), "{class}: {group}");
    }
}

#[test]
fn records_without_a_time_make_no_picture_and_one_alone_does() {
    assert!(!page_with(vec![record("one", State::Failed, None)]).contains("<svg"));
    let page = page_with(vec![record("one", State::Completed, Some(7200))]);
    assert!(page.contains("<svg") && !page.contains("NaN") && !page.contains("inf"));
}
