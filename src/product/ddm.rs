//! DDM: metadata backups of database middleware. One list per project, without filters.
//!
//! Source of the facts: "Querying Backups" and "Status Description" of both clouds.

use std::time::Duration;

use serde::Deserialize;

use super::fields::{self, DecodeError, Record, Text, Wire};
use super::{Api, InstanceList, List, Page, Product, Regions, Scope};
use crate::backup::{Backup, BackupType, Engine, InstanceId, Status, Times};
use crate::instance::ListedInstance;

/// The product.
pub(super) static DDM: Product = Product {
    name: "ddm",
    scope: Scope::Project,
    // The documents of DDM name no permissions.
    backups: Api { name: "ddm_backups", version: "v3", path: "backups", permission: None },
    page_limit: 128,
    untyped: false,
    types: &[(AUTO_METADATA, Some(Duration::from_secs(26 * 3600))), (METADATA, None)],
    lists: |_| &WHOLE,
    query: |_| Vec::new(),
    regions: &REGIONS,
    decode,
    automated: AUTO_METADATA,
    instances: InstanceList {
        api: Api { name: "ddm_instances", version: "v1", path: "instances", permission: None },
        page_limit: 128,
        by_default: true,
        decode: decode_instances,
    },
    policy: None,
    restore_window: None,
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
    #[serde(borrow, deserialize_with = "fields::records")]
    backups: Vec<WireRecord<'a>>,
    total: u64,
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct WireRecord<'a> {
    #[serde(borrow, default, alias = "id ")]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    instance_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    instance_name: Option<Text<'a>>,
    #[serde(borrow, default)]
    instance_status: Option<Text<'a>>,
    #[serde(borrow, default)]
    backup_type: Option<Text<'a>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    created: Option<Text<'a>>,
    #[serde(borrow, default)]
    updated: Option<Text<'a>>,
    #[serde(default)]
    file_size: Option<f64>,
}

fn decode(body: &[u8], asked: Option<&InstanceId>) -> Result<Page<Backup>, DecodeError> {
    let answer: Answer<'_> = fields::parse(body)?;
    let mut page = Page::of(answer.total, answer.limit);
    page.entries.reserve_exact(answer.backups.len());
    let mut last = None;
    for (at, record) in answer.backups.iter().enumerate() {
        let wire = wire(record);
        let record = Record::named(at, &wire)?;
        if record.has_status(DELETED) {
            page.left_out.push(record.id());
        } else {
            page.entries.push(record.backup(&DDM, &STATUSES, asked, &mut last)?);
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

/// An answer of the instance list, as far as it is used. Its page numbers contradict each other in
/// the document's own example, and are not.
#[derive(Deserialize)]
struct Instances<'a> {
    #[serde(borrow)]
    instances: Vec<WireInstance<'a>>,
    total_record: u64,
}

#[derive(Deserialize)]
struct WireInstance<'a> {
    #[serde(borrow, default, alias = "id ")]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    created: Option<Text<'a>>,
    #[serde(borrow, default)]
    engine_version: Option<Text<'a>>,
}

/// Source: "Querying DDM Instances" of both clouds.
fn decode_instances(body: &[u8]) -> Result<Page<ListedInstance>, DecodeError> {
    let answer: Instances<'_> = fields::parse(body)?;
    let mut page = Page::of(answer.total_record, None);
    for (at, instance) in answer.instances.iter().enumerate() {
        page.entries.push(ListedInstance {
            id: fields::instance_id(at, instance.id.as_deref())?,
            name: fields::trimmed(instance.name.as_deref()).map(Into::into),
            status: fields::trimmed(instance.status.as_deref()).map(Into::into),
            engine: Some(Engine {
                name: "DDM".into(),
                version: fields::trimmed(instance.engine_version.as_deref())
                    .unwrap_or_default()
                    .into(),
            }),
            created: instance.created.as_deref().and_then(fields::time),
            is_replica: false,
        });
    }
    Ok(page)
}
