//! One backup as any product lists it: ids, type, status, times, size. Plain data, no I/O.

use std::borrow::Borrow;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
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

/// The id of a backup, as the cloud gives it. A poll holds several of each record, so that of the
/// usual form, 32 hexadecimal digits and four more characters, takes no room of its own.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BackupId(Form);

#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
enum Form {
    Usual([u8; 16], [u8; 4]),
    Other(Box<str>),
}

impl BackupId {
    /// Takes the id as it is.
    pub fn new(id: &str) -> Self {
        Self(Form::usual(id).unwrap_or_else(|| Form::Other(id.into())))
    }
}

impl Form {
    fn usual(id: &str) -> Option<Self> {
        let (digits, product) = id.as_bytes().split_last_chunk::<4>()?;
        let (pairs, []) = digits.as_chunks::<2>() else { return None };
        let pairs: &[[u8; 2]; 16] = pairs.try_into().ok()?;
        let is_digit = pairs.iter().flatten().fold(0, |seen, digit| seen | value(*digit)) < 16;
        let packed = pairs.map(|[high, low]| (value(high) << 4) | value(low));
        // Half a character would be none.
        (is_digit && product.is_ascii()).then_some(Self::Usual(packed, *product))
    }
}

/// The value of a digit, without a branch: nobody can predict the next digit. A capital one is none,
/// since it would not come back as it was.
fn value(digit: u8) -> u8 {
    let (decimal, letter) = (digit.wrapping_sub(b'0'), digit.wrapping_sub(b'a'));
    if decimal < 10 {
        decimal
    } else if letter < 6 {
        letter + 10
    } else {
        NO_DIGIT
    }
}

const NO_DIGIT: u8 = 0xff;

/// By its digits alone, which differ.
impl Hash for Form {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Usual(digits, _) => state.write(digits),
            Self::Other(id) => id.hash(state),
        }
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Usual(digits, product) => {
                f.write_str(&hex::encode(digits))?;
                product.iter().try_for_each(|byte| f.write_char(char::from(*byte)))
            }
            Form::Other(id) => f.write_str(id),
        }
    }
}

impl fmt::Debug for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackupId({:?})", self.to_string())
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

/// The database engine a record names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Engine {
    /// Such as `MySQL`.
    pub name: Box<str>,
    /// Such as `8.0`.
    pub version: Box<str>,
}

/// A word of the cloud that this version does not know, as the cloud wrote it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct UnknownWord(pub Box<str>);

/// What a record says of the instance that it is a backup of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// Which instance.
    pub instance_id: InstanceId,
    /// Its name, where the list gives it.
    pub instance_name: Option<Box<str>>,
    /// Its state, where the list gives it; free text of the cloud.
    pub instance_status: Option<Box<str>>,
    /// Its engine, where the list gives it.
    pub engine: Option<Engine>,
}

impl Origin {
    /// An instance of which no more than the id is told.
    pub fn bare(instance_id: InstanceId) -> Self {
        Self { instance_id, instance_name: None, instance_status: None, engine: None }
    }
}

/// The words of a record that this version does not know.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnknownWords {
    /// The word of the cloud, if `backup_type` is [`BackupType::UNKNOWN`].
    pub backup_type: Option<UnknownWord>,
    /// The word of the cloud, if `status` is [`Status::Unknown`].
    pub status: Option<UnknownWord>,
}

/// One record of a backup list. There are thousands in a poll, so what is rare or the same in many is
/// behind a pointer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Backup {
    /// Its id.
    pub id: BackupId,
    /// The instance it is a backup of; shared by records that say the same of it.
    pub origin: Arc<Origin>,
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
    /// The words that are not known, if there are any.
    pub unknown: Option<Box<UnknownWords>>,
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_id_of_a_backup_comes_back_as_it_was_and_is_no_other(
            one in "([0-9a-f]{32}|[0-9a-fA-F]{31,33})(br0[1-49]|[a-zü]{0,4})|.{0,40}",
            other in "[0-9a-fA-F]{32}br0[1-4]",
        ) {
            for id in [&one, &other] {
                prop_assert_eq!(&BackupId::new(id).to_string(), id);
            }
            prop_assert!(BackupId::new(&one) == BackupId::new(&one));
            prop_assert_eq!(BackupId::new(&one) == BackupId::new(&other), one == other);
            let capitals = other.to_uppercase();
            prop_assert_eq!(BackupId::new(&capitals) == BackupId::new(&other), capitals == other);
        }
    }

    #[test]
    fn statuses_are_listed_in_the_order_of_their_labels() {
        assert!(Status::ALL.is_sorted_by_key(|status| status.label()));
    }
}
