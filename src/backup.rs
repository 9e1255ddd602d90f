//! One backup as any product lists it: ids, type, status, times, size. Plain data, no I/O.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// The id of a database instance, as the cloud gives it. Shared by the records of the instance.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// Takes the id as it is.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for InstanceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a backup, as the cloud gives it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BackupId(Box<str>);

impl BackupId {
    /// Takes the id as it is.
    pub fn new(id: impl Into<Box<str>>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the two times of a record are about.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Times {
    /// Commits of transactions: the end is a recovery point, and end − begin is no duration.
    Commit,
    /// Begin and end of the job that made the backup.
    Job,
}

/// A kind of backup. Which kinds there are, each product says.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BackupType {
    /// The word of the cloud, and the value of the label `backup_type`.
    pub name: &'static str,
    /// What its two times are about.
    pub times: Times,
}

impl BackupType {
    /// A word that no product documents.
    pub const UNKNOWN: Self = Self { name: "unknown", times: Times::Job };
}

impl fmt::Display for BackupType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The state of a backup, the same for all products.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Status {
    /// Done: it can be restored.
    Completed,
    /// Being deleted.
    Deleting,
    /// Ended without a backup.
    Failed,
    /// Being made.
    Running,
    /// A word that no product documents.
    Unknown,
}

impl Status {
    /// All states, in the order of their labels.
    pub const ALL: [Self; 5] =
        [Self::Completed, Self::Deleting, Self::Failed, Self::Running, Self::Unknown];

    /// The value of the label `status`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Deleting => "deleting",
            Self::Failed => "failed",
            Self::Running => "running",
            Self::Unknown => "unknown",
        }
    }
}

/// The database engine a record names. Its texts are shared by the records that name the same.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Engine {
    /// Such as `MySQL`.
    pub name: Arc<str>,
    /// Such as `8.0`.
    pub version: Arc<str>,
}

/// A word of the cloud that this version does not know, as the cloud wrote it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct UnknownWord(pub Box<str>);

/// One record of a backup list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Backup {
    /// Its id.
    pub id: BackupId,
    /// The instance it is a backup of.
    pub instance_id: InstanceId,
    /// The name of that instance, where the list gives it.
    pub instance_name: Option<Box<str>>,
    /// The state of that instance, where the list gives it; free text of the cloud.
    pub instance_status: Option<Box<str>>,
    /// The engine, where the list gives it.
    pub engine: Option<Engine>,
    /// Its kind.
    pub backup_type: BackupType,
    /// Its state.
    pub status: Status,
    /// When it began; always there on a completed record.
    pub begin: Option<Timestamp>,
    /// When it ended.
    pub end: Option<Timestamp>,
    /// Its size, if known.
    pub bytes: Option<u64>,
    /// The word of the cloud, if `backup_type` is [`BackupType::UNKNOWN`].
    pub unknown_type: Option<UnknownWord>,
    /// The word of the cloud, if `status` is [`Status::Unknown`].
    pub unknown_status: Option<UnknownWord>,
}

impl Backup {
    /// Whether the attempt is over, well or not.
    pub fn finished(&self) -> bool {
        matches!(self.status, Status::Completed | Status::Failed)
    }

    /// When a completed record ended; without an end it counts as ended at its begin.
    pub fn ended(&self) -> Option<Timestamp> {
        self.end.or(self.begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_listed_in_the_order_of_their_labels() {
        assert!(Status::ALL.is_sorted_by_key(|status| status.label()));
    }
}
