//! RDS: MySQL, PostgreSQL, SQL Server. One list per instance and type.
//!
//! Source of the facts: "Obtaining Details About Backups" (`rds_09_0005`) of both clouds.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{self, DecodeError, Record, Text, Wire};
use super::{Api, InstanceList, List, Lookup, Page, Product, Question, Regions, Scope};
use crate::backup::{Backup, BackupType, Engine, InstanceId, Status, Times};
use crate::instance::ListedInstance;
use crate::policy::{Plan, Policy};
use crate::restore::RestoreWindow;

/// The product.
pub(super) static RDS: Product = Product {
    name: "rds",
    scope: Scope::Instance,
    backups: Api {
        name: "rds_backups",
        version: "v3",
        path: "backups",
        permission: Some("rds:backup:list"),
    },
    page_limit: 100,
    untyped: true,
    types: &[
        (AUTO, Some(Duration::from_secs(26 * 3600))),
        (MANUAL, None),
        (FRAGMENT, None),
        (INCREMENTAL, None),
    ],
    lists,
    query,
    regions: &REGIONS,
    decode,
    automated: AUTO,
    instances: InstanceList {
        api: Api {
            name: "rds_instances",
            version: "v3",
            path: "instances",
            permission: READ_INSTANCES,
        },
        page_limit: 100,
        by_default: false,
        decode: decode_instances,
    },
    policy: Some(Lookup {
        api: Api {
            name: "rds_policy",
            version: "v3",
            path: "instances/{id}/backups/policy",
            permission: READ_INSTANCES,
        },
        decode: decode_policy,
    }),
    restore_window: Some(Lookup {
        api: Api {
            name: "rds_restore_time",
            version: "v3",
            path: "instances/{id}/restore-time",
            permission: READ_INSTANCES,
        },
        decode: decode_restore_time,
    }),
};

/// Source: the table of actions, "Permissions Policies and Supported Actions" of both clouds.
const READ_INSTANCES: Option<&str> = Some("rds:instance:list");

const AUTO: BackupType = BackupType { name: "auto", times: Times::Job };
const MANUAL: BackupType = BackupType { name: "manual", times: Times::Job };
/// Differential full backups.
const FRAGMENT: BackupType = BackupType { name: "fragment", times: Times::Job };
/// For MySQL a file of the binary log: begin is the last commit of the file before, end its own
/// last commit.
const INCREMENTAL: BackupType = BackupType { name: "incremental", times: Times::Commit };

const STATUSES: [(&str, Status); 4] = [
    ("COMPLETED", Status::Completed),
    ("BUILDING", Status::Running),
    ("FAILED", Status::Failed),
    ("DELETING", Status::Deleting),
];

const ASK_AUTO: List = List { backup_type: Some(AUTO), windowed: false };
const ASK_MANUAL: List = List { backup_type: Some(MANUAL), windowed: false };
const ASK_FRAGMENT: List = List { backup_type: Some(FRAGMENT), windowed: false };
/// One every five minutes for up to 732 days: never read whole.
const ASK_INCREMENTAL: List = List { backup_type: Some(INCREMENTAL), windowed: true };

static WITH_INCREMENTALS: [List; 3] = [ASK_AUTO, ASK_MANUAL, ASK_INCREMENTAL];
static WITH_FRAGMENTS: [List; 3] = [ASK_AUTO, ASK_MANUAL, ASK_FRAGMENT];
static EVERYTHING: [List; 4] = [ASK_AUTO, ASK_MANUAL, ASK_FRAGMENT, ASK_INCREMENTAL];

/// The last four characters of an instance id name the engine.
fn lists(instance_id: &str) -> &'static [List] {
    let ends_in = |suffix: &str| {
        instance_id.len() > suffix.len()
            && instance_id
                .get(instance_id.len() - suffix.len()..)
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    if ends_in("in01") || ends_in("in03") {
        &WITH_INCREMENTALS
    } else if ends_in("in04") {
        &WITH_FRAGMENTS
    } else {
        &EVERYTHING
    }
}

fn query(question: &Question<'_>) -> Vec<(&'static str, String)> {
    let mut query = Vec::new();
    if let Some(id) = question.instance_id {
        query.push(("instance_id", id.to_string()));
    }
    if let Some(backup_type) = question.backup_type {
        query.push(("backup_type", backup_type.to_string()));
    }
    if let Some((begin, end)) = question.window {
        query.push(("begin_time", fields::print_time(begin)));
        query.push(("end_time", fields::print_time(end)));
    }
    query
}

/// Sources: the list of endpoints of Open Telekom Cloud, the regions of the official Python SDK
/// (`huaweicloudsdkrds` 3.1.219) for Huawei Cloud; November 2026.
static REGIONS: [Regions; 2] = [
    Regions { cloud: "otc", names: &["eu-de", "eu-nl"] },
    Regions {
        cloud: "huaweicloud",
        names: &[
            "ae-ad-1",
            "af-north-1",
            "af-south-1",
            "ap-southeast-1",
            "ap-southeast-2",
            "ap-southeast-3",
            "ap-southeast-4",
            "ap-southeast-5",
            "cn-east-2",
            "cn-east-3",
            "cn-east-4",
            "cn-east-5",
            "cn-north-1",
            "cn-north-11",
            "cn-north-12",
            "cn-north-2",
            "cn-north-4",
            "cn-north-9",
            "cn-south-1",
            "cn-south-2",
            "cn-south-4",
            "cn-southwest-2",
            "cn-southwest-3",
            "eu-west-0",
            "eu-west-101",
            "la-north-2",
            "la-south-2",
            "me-east-1",
            "my-kualalumpur-1",
            "na-mexico-1",
            "ru-moscow-1",
            "ru-northwest-2",
            "sa-brazil-1",
            "tr-west-1",
        ],
    },
];

/// An answer, as far as it is used.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, deserialize_with = "fields::records")]
    backups: Vec<WireRecord<'a>>,
    total_count: u64,
    /// Documented nowhere for RDS, and believed if it is there.
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct WireRecord<'a> {
    /// The SQL Server example of the documentation has a blank behind the key.
    #[serde(borrow, default, alias = "id ")]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    instance_id: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    backup_type: Option<Text<'a>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    begin_time: Option<Text<'a>>,
    #[serde(borrow, default)]
    end_time: Option<Text<'a>>,
    #[serde(default)]
    size: Option<f64>,
    /// Nearly always the same as that of the record before, to the byte.
    #[serde(borrow, default)]
    datastore: Option<&'a RawValue>,
}

/// A datastore as it stands in an answer, and what it says.
struct Named<'a> {
    text: &'a str,
    datastore: Datastore<'a>,
}

#[derive(Deserialize)]
struct Datastore<'a> {
    #[serde(borrow, default, rename = "type")]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    version: Option<Text<'a>>,
}

fn decode(body: &[u8], asked: Option<&InstanceId>) -> Result<Page<Backup>, DecodeError> {
    let answer: Answer<'_> = fields::parse(body)?;
    let mut page = Page::of(answer.total_count, answer.limit);
    page.entries.reserve_exact(answer.backups.len());
    let (mut named, mut last) = (None, None);
    for (at, record) in answer.backups.iter().enumerate() {
        let wire = Wire { engine: engine_of(at, record, &mut named)?, ..wire(record) };
        page.entries.push(Record::named(at, &wire)?.backup(&RDS, &STATUSES, asked, &mut last)?);
    }
    Ok(page)
}

/// Name and version of the engine of the record at index `at`. `named` is the last one that was read.
fn engine_of<'n, 'a>(
    at: usize,
    record: &WireRecord<'a>,
    named: &'n mut Option<Named<'a>>,
) -> Result<Option<(&'n str, &'n str)>, DecodeError> {
    let Some(text) = record.datastore.map(RawValue::get) else { return Ok(None) };
    if named.as_ref().is_none_or(|it| it.text != text) {
        let datastore = fields::parse_part(text, || format!("backups[{at}].datastore"))?;
        *named = Some(Named { text, datastore });
    }
    Ok(named.as_ref().map(|it| it.datastore.words()))
}

fn wire<'a>(record: &'a WireRecord<'a>) -> Wire<'a> {
    Wire {
        id: record.id.as_deref(),
        instance_id: record.instance_id.as_deref(),
        backup_type: ("type", record.backup_type.as_deref()),
        status: record.status.as_deref(),
        begin: ("begin_time", record.begin_time.as_deref()),
        end: ("end_time", record.end_time.as_deref()),
        kib: record.size,
        ..Wire::default()
    }
}

fn engine(datastore: &Datastore<'_>) -> Engine {
    let (name, version) = datastore.words();
    Engine { name: name.into(), version: version.into() }
}

impl Datastore<'_> {
    /// Name and version.
    fn words(&self) -> (&str, &str) {
        let word = |text| fields::trimmed(text).unwrap_or_default();
        (word(self.name.as_deref()), word(self.version.as_deref()))
    }
}

/// An answer of the instance list, as far as it is used.
#[derive(Deserialize)]
struct ListAnswer<'a> {
    #[serde(borrow)]
    instances: Vec<WireInstance<'a>>,
    total_count: u64,
    /// Documented nowhere, and believed if it is there.
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct WireInstance<'a> {
    #[serde(borrow, default, alias = "id ")]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    created: Option<Text<'a>>,
    #[serde(borrow, default)]
    datastore: Option<Datastore<'a>>,
    #[serde(borrow, default)]
    related_instance: Option<Vec<Related<'a>>>,
}

#[derive(Deserialize)]
struct Related<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
}

fn decode_instances(body: &[u8]) -> Result<Page<ListedInstance>, DecodeError> {
    let answer: ListAnswer<'_> = fields::parse(body)?;
    let mut page = Page::of(answer.total_count, answer.limit);
    for (at, instance) in answer.instances.iter().enumerate() {
        page.entries.push(ListedInstance {
            id: fields::instance_id(at, instance.id.as_deref())?,
            name: fields::trimmed(instance.name.as_deref()).map(Into::into),
            status: fields::trimmed(instance.status.as_deref()).map(Into::into),
            engine: instance.datastore.as_ref().map(engine).filter(|it| *it != Engine::default()),
            created: instance.created.as_deref().and_then(fields::time),
            is_replica: is_replica(instance),
        });
    }
    Ok(page)
}

/// By its own type, and by what it says of its primary: one of them may be missing.
fn is_replica(instance: &WireInstance<'_>) -> bool {
    let is = |kind: &Option<Text<'_>>, word: &str| {
        fields::trimmed(kind.as_deref()).is_some_and(|kind| kind.eq_ignore_ascii_case(word))
    };
    let related = instance.related_instance.iter().flatten();
    is(&instance.kind, "Replica") || related.map(|it| &it.kind).any(|it| is(it, "replica_of"))
}

/// The answer about a policy.
#[derive(Deserialize)]
struct PolicyAnswer<'a> {
    #[serde(borrow)]
    backup_policy: WirePolicy<'a>,
}

#[derive(Deserialize)]
struct WirePolicy<'a> {
    #[serde(default)]
    keep_days: Option<u32>,
    #[serde(borrow, default)]
    start_time: Option<Text<'a>>,
    #[serde(borrow, default)]
    period: Option<Text<'a>>,
}

/// Source: "Obtaining an Automated Backup Policy" of both clouds. 0 days, or none, is "off".
fn decode_policy(body: &[u8]) -> Result<Policy, DecodeError> {
    let PolicyAnswer { backup_policy: wire } = fields::parse(body)?;
    let Some(days @ 1..) = wire.keep_days else { return Ok(Policy::default()) };
    let retention = Some(DAY * days);
    let period = fields::trimmed(wire.period.as_deref());
    let start_time = fields::trimmed(wire.start_time.as_deref());
    let Some((period, start_time)) = period.zip(start_time) else {
        return Ok(Policy { retention, plan: None });
    };
    let (begin, window) = window(start_time).ok_or_else(|| DecodeError::Value {
        field: "start_time",
        value: fields::excerpt(start_time),
        expected: "a window such as `01:00-02:00`",
    })?;
    let days: Option<Vec<usize>> = period.split(',').map(|day| day.trim().parse().ok()).collect();
    let plan = days.and_then(|days| Plan::new(days, begin, window));
    match plan {
        Some(_) => Ok(Policy { retention, plan }),
        None => Err(DecodeError::Value {
            field: "period",
            value: fields::excerpt(period),
            expected: "days of the week such as `1,2,3,4,5,6,7`",
        }),
    }
}

/// Begin, from midnight on, and length of a window such as `23:30-00:30`, in UTC. Source: "Obtaining an
/// Automated Backup Policy" of both clouds.
fn window(text: &str) -> Option<(Duration, Duration)> {
    let minute = |text: &str| -> Option<u64> {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u64, u64) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour <= 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let (from, to) = text.split_once('-')?;
    let begin = minute(from)?;
    let minutes = (24 * 60 + minute(to)?).checked_sub(begin)?;
    // A whole day is one, and not none.
    let minutes = if minutes > 24 * 60 { minutes - 24 * 60 } else { minutes };
    Some((Duration::from_secs(begin * 60), Duration::from_secs(minutes * 60)))
}

/// The answer about the times to restore to.
#[derive(Deserialize)]
struct RestoreTimes {
    /// May be `null`. An answer without it says nothing, rather than that nothing can be restored.
    #[serde(deserialize_with = "Option::deserialize")]
    restore_time: Option<Vec<RestoreRange>>,
}

/// Unix time in milliseconds.
#[derive(Deserialize)]
struct RestoreRange {
    start_time: i64,
    end_time: i64,
}

/// Source: "Querying the Restoration Time Range" of both clouds.
fn decode_restore_time(body: &[u8]) -> Result<RestoreWindow, DecodeError> {
    let answer: RestoreTimes = fields::parse(body)?;
    let time = |field, millisecond: i64| {
        Timestamp::from_millisecond(millisecond).map_err(|_| DecodeError::Value {
            field,
            value: millisecond.to_string(),
            expected: "a Unix time in milliseconds",
        })
    };
    let mut ranges = Vec::new();
    for range in answer.restore_time.iter().flatten() {
        ranges.push((time("start_time", range.start_time)?, time("end_time", range.end_time)?));
    }
    Ok(RestoreWindow::of(ranges))
}

const DAY: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_as_long_as_it_says_over_midnight_and_for_a_whole_day() {
        let minutes = |text| {
            window(text).map(|(begin, length)| (begin.as_secs() / 60, length.as_secs() / 60))
        };
        for (text, begin, length) in [
            ("01:00-02:00", 60, 60),
            ("23:30-00:30", 1410, 60),
            ("00:00-24:00", 0, 1440),
            ("05:00-05:00", 300, 1440),
        ] {
            assert_eq!(minutes(text), Some((begin, length)), "{text}");
        }
        for text in ["", "1-2", "25:00-26:00", "01:00", "01:60-02:00"] {
            assert_eq!(minutes(text), None, "{text}");
        }
    }
}
