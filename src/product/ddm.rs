//! DDM: metadata backups of database middleware. One list per project, without filters.
//!
//! Source of the facts: "Querying Backups" and "Status Description" of both clouds.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;

use super::fields::{self, DecodeError, Record, Wire};
use super::{List, Page, Product, Regions, Scope};
use crate::backup::{BackupType, InstanceId, Status, Times};

/// The product.
pub(super) static DDM: Product = Product {
    name: "ddm",
    scope: Scope::Project,
    api: "ddm_backups",
    path: "backups",
    page_limit: 128,
    untyped: false,
    types: &[(AUTO_METADATA, Some(Duration::from_secs(26 * 3600))), (METADATA, None)],
    lists: |_| &WHOLE,
    query: |_| Vec::new(),
    regions: &REGIONS,
    decode,
};

/// Made by a job every day.
const AUTO_METADATA: BackupType = BackupType { name: "auto_metadata", times: Times::Job };
/// Made on an event, such as the deletion of a schema.
const METADATA: BackupType = BackupType { name: "metadata", times: Times::Job };

const STATUSES: [(&str, Status); 3] =
    [("normal", Status::Completed), ("creating", Status::Running), ("createfail", Status::Failed)];
/// Documented as never shown; if it is, the backup is gone.
const DELETED: &str = "deleted";

static WHOLE: [List; 1] = [List { backup_type: None, windowed: false }];

/// Sources: the list of endpoints of Open Telekom Cloud, the regions of the official Python SDK
/// (`huaweicloudsdkddm` 3.1.219) for Huawei Cloud; November 2026.
static REGIONS: [Regions; 2] = [
    Regions { cloud: "otc", names: &["eu-de"] },
    Regions {
        cloud: "huaweicloud",
        names: &[
            "ae-ad-1",
            "ap-southeast-1",
            "ap-southeast-3",
            "cn-east-2",
            "cn-east-3",
            "cn-north-1",
            "cn-north-4",
            "cn-north-9",
            "cn-south-1",
            "cn-south-2",
            "cn-southwest-2",
            "eu-west-101",
            "la-north-2",
            "la-south-2",
            "my-kualalumpur-1",
            "ru-moscow-1",
            "sa-brazil-1",
        ],
    },
];

/// An answer, as far as it is used.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    backups: Vec<WireRecord<'a>>,
    total: u64,
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct WireRecord<'a> {
    #[serde(borrow, default, alias = "id ")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    instance_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    instance_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    instance_status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    backup_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    created: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    updated: Option<Cow<'a, str>>,
    #[serde(default)]
    file_size: Option<f64>,
}

fn decode(body: &[u8], asked: Option<&InstanceId>) -> Result<Page, DecodeError> {
    let answer: Answer<'_> = fields::parse(body)?;
    let mut page = Page { total: answer.total, limit: answer.limit, ..Page::default() };
    for (at, record) in answer.backups.iter().enumerate() {
        let wire = wire(record);
        let record = Record::named(at, &wire)?;
        if record.has_status(DELETED) {
            page.left_out.push(record.id());
        } else {
            page.backups.push(record.backup(&DDM, &STATUSES, asked)?);
        }
    }
    Ok(page)
}

fn wire<'a>(record: &'a WireRecord<'a>) -> Wire<'a> {
    Wire {
        id: record.id.as_deref(),
        instance_id: record.instance_id.as_deref(),
        instance_name: record.instance_name.as_deref(),
        instance_status: record.instance_status.as_deref(),
        backup_type: ("backup_type", record.backup_type.as_deref()),
        status: record.status.as_deref(),
        begin: ("created", record.created.as_deref()),
        end: ("updated", record.updated.as_deref()),
        kib: record.file_size,
        ..Wire::default()
    }
}
