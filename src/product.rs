//! The services whose backups are listed, as data: what differs between them and nothing else.
//!
//! A product is one file below this folder and one line of [`ALL`]. It says how its list is asked
//! (path, paging, types) and how an answer is read into [`Backup`]s. Asking is done elsewhere, and
//! nothing outside a product's own file matches on one.

mod ddm;
mod fields;
mod rds;

use std::time::Duration;

use jiff::Timestamp;

use crate::backup::{Backup, BackupId, BackupType, InstanceId};

pub use fields::DecodeError;

/// All products, in the order in which they are shown.
pub static ALL: [&Product; 2] = [&rds::RDS, &ddm::DDM];

/// A service with a list of backups.
#[derive(Debug)]
pub struct Product {
    /// Its key in a project's config and the value of the label `product`.
    pub name: &'static str,
    /// What one list is about.
    pub scope: Scope,
    /// The value of the label `api` for its backup list.
    pub api: &'static str,
    /// The path of its backup list behind `/v3/{project_id}`.
    pub path: &'static str,
    /// The most records it gives in one answer.
    pub page_limit: u32,
    /// Whether the list without a type is read besides the typed ones, for types that nobody
    /// documented.
    pub untyped: bool,
    /// The documented types, with the objective that each has without any config.
    pub types: &'static [(BackupType, Option<Duration>)],
    /// The lists to ask one by one, given the id of an instance. One list without a type for a
    /// product whose list covers the project.
    pub lists: fn(instance_id: &str) -> &'static [List],
    /// The query, besides offset and limit, that asks a question.
    pub query: fn(&Question<'_>) -> Vec<(&'static str, String)>,
    /// Where the clouds offer it.
    pub regions: &'static [Regions],
    /// Reads one answer to a question about the instance `asked`, or about the project.
    pub decode: fn(body: &[u8], asked: Option<&InstanceId>) -> Result<Page, DecodeError>,
}

impl Product {
    /// The type of that name, if the product documents it.
    pub fn backup_type(&self, name: &str) -> Option<BackupType> {
        let known =
            |(backup_type, _): &&(BackupType, _)| backup_type.name.eq_ignore_ascii_case(name);
        self.types.iter().find(known).map(|(backup_type, _)| *backup_type)
    }

    /// The regions in which a cloud offers it.
    pub fn regions_of(&self, cloud: &str) -> &'static [&'static str] {
        self.regions.iter().find(|regions| regions.cloud == cloud).map_or(&[], |it| it.names)
    }
}

impl PartialEq for Product {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Product {}

/// The product of that name.
pub fn by_name(name: &str) -> Option<&'static Product> {
    ALL.into_iter().find(|product| product.name == name)
}

/// The regions in which one cloud offers a product.
#[derive(Debug)]
pub struct Regions {
    /// The name of the cloud in a config.
    pub cloud: &'static str,
    /// The names of the regions.
    pub names: &'static [&'static str],
}

/// What one list, and so one target, is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// One instance, which the config names.
    Instance,
    /// All instances of the project.
    Project,
}

/// What a list is asked for. A product that has no such filter ignores it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'a> {
    /// The backups of one instance.
    pub instance_id: Option<&'a InstanceId>,
    /// The backups of one type.
    pub backup_type: Option<BackupType>,
    /// The backups of a time.
    pub window: Option<(Timestamp, Timestamp)>,
}

/// One list that is asked by itself.
#[derive(Debug, Eq, PartialEq)]
pub struct List {
    /// The type asked for; none asks for all.
    pub backup_type: Option<BackupType>,
    /// Whether only the records of a time window are asked for, because there are many.
    pub windowed: bool,
}

/// One answer of a backup list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// The records, in the cloud's order.
    pub backups: Vec<Backup>,
    /// Records that the product leaves out. They count for the paging and for nothing else.
    pub left_out: Vec<BackupId>,
    /// How many records the whole list has.
    pub total: u64,
    /// The page size the cloud says it used, where it does.
    pub limit: Option<u32>,
}

impl Page {
    /// How many records the cloud put on it.
    pub fn len(&self) -> usize {
        self.backups.len() + self.left_out.len()
    }

    /// Whether the cloud put nothing on it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids on it.
    pub fn ids(&self) -> impl Iterator<Item = &BackupId> {
        self.backups.iter().map(|backup| &backup.id).chain(&self.left_out)
    }
}

#[cfg(test)]
mod tests;
