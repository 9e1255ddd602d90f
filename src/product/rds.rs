//! RDS: MySQL, PostgreSQL, SQL Server. One list per instance and type.
//!
//! Source of the facts: "Obtaining Details About Backups" (`rds_09_0005`) of both clouds.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;

use super::fields::{self, DecodeError, Record, Wire};
use super::{List, Page, Product, Question, Regions, Scope};
use crate::backup::{BackupType, Engine, InstanceId, Status, Times};

/// The product.
pub(super) static RDS: Product = Product {
    name: "rds",
    scope: Scope::Instance,
    api: "rds_backups",
    path: "backups",
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
};

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
    #[serde(borrow)]
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
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    instance_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type")]
    backup_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    begin_time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    end_time: Option<Cow<'a, str>>,
    #[serde(default)]
    size: Option<f64>,
    #[serde(borrow, default)]
    datastore: Option<Datastore<'a>>,
}

#[derive(Deserialize)]
struct Datastore<'a> {
    #[serde(borrow, default, rename = "type")]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    version: Option<Cow<'a, str>>,
}

fn decode(body: &[u8], asked: Option<&InstanceId>) -> Result<Page, DecodeError> {
    let answer: Answer<'_> = fields::parse(body)?;
    let mut page = Page { total: answer.total_count, limit: answer.limit, ..Page::default() };
    for (at, record) in answer.backups.iter().enumerate() {
        let wire = wire(record);
        page.backups.push(Record::named(at, &wire)?.backup(&RDS, &STATUSES, asked)?);
    }
    Ok(page)
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
        engine: record.datastore.as_ref().map(engine),
        ..Wire::default()
    }
}

fn engine(datastore: &Datastore<'_>) -> Engine {
    Engine {
        name: fields::trimmed(datastore.name.as_deref()).unwrap_or_default().into(),
        version: fields::trimmed(datastore.version.as_deref()).unwrap_or_default().into(),
    }
}
