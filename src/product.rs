//! The services whose backups are listed, as data: what differs between them and nothing else.
//!
//! A product is one file below this folder and one line of [`ALL`]. It says how its list is asked
//! (path, paging, types) and how an answer is read into [`Backup`]s. Asking is done elsewhere, and
//! nothing outside a product's own file matches on one.

mod ddm;
mod fields;
mod rds;

use std::hash::Hash;
use std::time::Duration;

use jiff::Timestamp;

use crate::backup::{Backup, BackupId, BackupType, InstanceId};
use crate::instance::ListedInstance;
use crate::policy::Policy;
use crate::restore::RestoreWindow;

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
    /// Its backup list.
    pub backups: Api,
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
    pub decode: fn(body: &[u8], asked: Option<&InstanceId>) -> Decoded<Page<Backup>>,
    /// The type that the cloud makes by itself, on the plan of the instance's policy.
    pub automated: BackupType,
    /// Its instance list.
    pub instances: InstanceList,
    /// How the automated backup policy of an instance is asked for, where there is one.
    pub policy: Option<Lookup<Policy>>,
    /// How it is asked what an instance can be restored to, where that can be asked.
    pub restore_window: Option<Lookup<RestoreWindow>>,
}

/// An answer that was read, or why it cannot be.
pub type Decoded<T> = Result<T, DecodeError>;

/// A call of the cloud: how it is counted, where it is, and who may make it.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    /// The value of the label `api`.
    pub name: &'static str,
    /// The first part of its path, before the project's id.
    pub version: &'static str,
    /// The path behind the project's id; `{id}` stands for that of an instance.
    pub path: &'static str,
    /// The permission that it needs, where the cloud documents one.
    pub permission: Option<&'static str>,
}

/// A list of the instances of a project.
#[derive(Clone, Copy, Debug)]
pub struct InstanceList {
    /// Where.
    pub api: Api,
    /// The most instances it gives in one answer.
    pub page_limit: u32,
    /// Whether it is read without being asked for: where the backup list covers the project, it
    /// tells which instances have no backup, and which are gone.
    pub by_default: bool,
    /// Reads one answer.
    pub decode: fn(body: &[u8]) -> Decoded<Page<ListedInstance>>,
}

/// A call about one instance, beside the lists.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<T> {
    /// Where.
    pub api: Api,
    /// Reads the answer.
    pub decode: fn(body: &[u8]) -> Decoded<T>,
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

    /// The names of all its calls.
    pub fn apis(&self) -> impl Iterator<Item = &'static str> + use<> {
        let lookups = [
            self.policy.as_ref().map(|lookup| lookup.api.name),
            self.restore_window.as_ref().map(|lookup| lookup.api.name),
        ];
        [self.backups.name, self.instances.api.name]
            .into_iter()
            .chain(lookups.into_iter().flatten())
    }
}

impl Api {
    /// Its path for an instance. None if the id, which is foreign text, would be more than a part of
    /// it.
    pub fn path_of(&self, instance_id: &InstanceId) -> Option<String> {
        let id = instance_id.as_str();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        id.bytes().all(is_plain).then(|| self.path.replace("{id}", id))
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

/// What a paged list of the cloud is made of.
pub trait Entry: Clone + Eq {
    /// What it is known by.
    type Id: Clone + Eq + Hash;

    /// Its id.
    fn id(&self) -> &Self::Id;
}

impl Entry for Backup {
    type Id = BackupId;

    fn id(&self) -> &BackupId {
        &self.id
    }
}

impl Entry for ListedInstance {
    type Id = InstanceId;

    fn id(&self) -> &InstanceId {
        &self.id
    }
}

/// One answer of a paged list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page<E: Entry> {
    /// The entries, in the cloud's order.
    pub entries: Vec<E>,
    /// Entries that the product leaves out. They count for the paging and for nothing else.
    pub left_out: Vec<E::Id>,
    /// How many entries the whole list has.
    pub total: u64,
    /// The page size the cloud says it used, where it does.
    pub limit: Option<u32>,
}

impl<E: Entry> Page<E> {
    /// A page without entries of a list of that length.
    pub fn of(total: u64, limit: Option<u32>) -> Self {
        Self { entries: Vec::new(), left_out: Vec::new(), total, limit }
    }

    /// How many entries the cloud put on it.
    pub fn len(&self) -> usize {
        self.entries.len() + self.left_out.len()
    }

    /// Whether the cloud put nothing on it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids on it.
    pub fn ids(&self) -> impl Iterator<Item = &E::Id> {
        self.entries.iter().map(E::id).chain(&self.left_out)
    }
}

#[cfg(test)]
mod tests;
