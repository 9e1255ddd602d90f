//! DDM: metadata backups of database middleware. One list per project, without filters.
//!
//! Source of the facts: "Querying Backups" and "Status Description" of both clouds.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;

use super::fields::{self, DecodeError, RecordFields};
use super::{List, Page, Product, Scope};
use crate::backup::{Backup, BackupType, InstanceId, Status, Times};

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

/// An answer, as far as it is used.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    backups: Vec<Record<'a>>,
    total: u64,
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct Record<'a> {
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
        let fields = RecordFields::new(at, record.id.as_deref())?;
        let status_word = fields.mandatory("status", record.status.as_deref())?;
        if status_word.eq_ignore_ascii_case(DELETED) {
            page.left_out.push(fields.id());
        } else {
            page.backups.push(backup(&fields, record, status_word, asked)?);
        }
    }
    Ok(page)
}

fn backup(
    fields: &RecordFields<'_>,
    record: &Record<'_>,
    status_word: &str,
    asked: Option<&InstanceId>,
) -> Result<Backup, DecodeError> {
    let status = fields::status(status_word, &STATUSES);
    let type_word = fields.mandatory("backup_type", record.backup_type.as_deref())?;
    let backup_type = DDM.backup_type(type_word);
    let (begin, end) = fields.times(
        status,
        ("created", record.created.as_deref()),
        ("updated", record.updated.as_deref()),
    )?;
    Ok(Backup {
        id: fields.id(),
        instance_id: fields.instance_id(record.instance_id.as_deref(), asked)?,
        instance_name: fields::trimmed(record.instance_name.as_deref()).map(Into::into),
        instance_status: fields::trimmed(record.instance_status.as_deref()).map(Into::into),
        engine: None,
        backup_type: backup_type.unwrap_or(BackupType::UNKNOWN),
        status,
        begin,
        end,
        bytes: record.file_size.and_then(fields::kib_to_bytes),
        unknown_type: fields::unknown(backup_type.is_none(), type_word),
        unknown_status: fields::unknown(status == Status::Unknown, status_word),
    })
}
