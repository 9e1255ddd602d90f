//! Many backups → what there is to say of one instance and type. Pure; knows no config and no
//! cloud.

mod newest;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::backup::{Backup, BackupId, BackupType, InstanceId, Status, Times};

use newest::newest;
pub use newest::{MOST as MOST_RECORDS, Record};

/// One value per [`Status`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ByStatus([u64; Status::ALL.len()]);

impl ByStatus {
    const ZERO: Self = Self([0; Status::ALL.len()]);

    /// Adds to the value of a status.
    pub fn add(&mut self, status: Status, amount: u64) {
        for (known, value) in Status::ALL.into_iter().zip(&mut self.0) {
            if known == status {
                *value = value.saturating_add(amount);
            }
        }
    }

    /// Every status with its value, in the order of the labels.
    pub fn iter(&self) -> impl Iterator<Item = (Status, u64)> {
        Status::ALL.into_iter().zip(self.0)
    }
}

/// What the records of one instance and type say. What they do not say is `None`, never 0.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// How many records there are.
    pub backups: ByStatus,
    /// The sum of their known sizes.
    pub bytes: ByStatus,
    /// The completed record with the newest end.
    pub last_success: Option<Success>,
    /// Begin of the newest attempt.
    pub last_attempt: Option<Timestamp>,
    /// Whether the newest finished attempt completed.
    pub last_attempt_success: Option<bool>,
    /// Begin of the newest failed record.
    pub last_failure: Option<Timestamp>,
    /// Failed records that began after the last success did.
    pub failures_since_last_success: Option<u64>,
    /// Begin of the oldest running record.
    pub running_since: Option<Timestamp>,
    /// End of the completed record that ended first.
    pub oldest_success: Option<Timestamp>,
    /// Median size of the completed backups before the last success.
    pub size_baseline: Option<Median>,
}

impl Summary {
    /// What no records say.
    pub const EMPTY: Self = Self {
        backups: ByStatus::ZERO,
        bytes: ByStatus::ZERO,
        last_success: None,
        last_attempt: None,
        last_attempt_success: None,
        last_failure: None,
        failures_since_last_success: None,
        running_since: None,
        oldest_success: None,
        size_baseline: None,
    };
}

/// A backup that can be restored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Success {
    /// When it ended; a recovery point where the times are commits.
    pub end: Timestamp,
    /// Its size.
    pub bytes: Option<u64>,
    /// How long it took.
    pub duration: Option<Duration>,
}

/// A median of byte counts; of an even number of them the mean of the middle two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Median(u64, u64);

impl Median {
    /// The median of `sizes`, if there are any.
    pub(crate) fn of(mut sizes: Vec<u64>) -> Option<Self> {
        sizes.sort_unstable();
        let upper = *sizes.get(sizes.len() / 2)?;
        let lower = *sizes.get((sizes.len() - 1) / 2)?;
        Some(Self(lower, upper))
    }

    /// In bytes; half a byte is possible.
    pub fn bytes(self) -> f64 {
        f64::midpoint(self.0 as f64, self.1 as f64)
    }
}

/// Sums up the records of one instance and type, and gives the newest of them.
///
/// Where the times are commits, only records that began at or after `counted_from` are counted;
/// the rest, which a widened window brought, is there for the last success and the failures since.
pub fn fold(
    backup_type: BackupType,
    records: &[&Backup],
    counted_from: Option<Timestamp>,
) -> (Summary, Vec<Record>) {
    let last_success = last_success(records);
    let summary = summarise(backup_type, records, counted_from, last_success);
    let success = last_success.map(|success| success.backup);
    let shown = |record: &&Backup| {
        let is_counted = is_counted(backup_type, record, counted_from);
        is_counted || success.is_some_and(|success| record.begin >= success.begin)
    };
    let shown: Vec<&Backup> = records.iter().copied().filter(shown).collect();
    (summary, newest(&shown, success))
}

fn summarise(
    backup_type: BackupType,
    records: &[&Backup],
    counted_from: Option<Timestamp>,
    last_success: Option<Completed<'_>>,
) -> Summary {
    let by_job = backup_type.times == Times::Job;
    let is_counted = |record: &&Backup| is_counted(backup_type, record, counted_from);
    let counted: Vec<&Backup> = records.iter().copied().filter(is_counted).collect();
    let mut summary = Summary {
        last_success: last_success.map(|record| Success {
            end: record.end,
            bytes: record.backup.bytes,
            duration: by_job.then(|| duration(record.backup.begin, record.backup.end)).flatten(),
        }),
        last_attempt: if by_job { last_attempt(&counted).and_then(|it| it.begin) } else { None },
        last_attempt_success: last_finished(&counted).map(|it| it.status == Status::Completed),
        last_failure: begins(&counted, Status::Failed).max(),
        failures_since_last_success: failures_since(records, last_success),
        running_since: if by_job { begins(&counted, Status::Running).min() } else { None },
        oldest_success: if by_job {
            completed(&counted).map(|record| record.end).min()
        } else {
            None
        },
        size_baseline: size_baseline(&counted, last_success),
        ..Summary::default()
    };
    for record in counted {
        summary.backups.add(record.status, 1);
        summary.bytes.add(record.status, record.bytes.unwrap_or(0));
    }
    summary
}

/// Whether a record is counted: of commits only those of the lookback are.
fn is_counted(backup_type: BackupType, record: &Backup, counted_from: Option<Timestamp>) -> bool {
    backup_type.times == Times::Job || record.begin.is_none() || record.begin >= counted_from
}

/// The records of a target by instance and type.
pub fn group(records: &[Backup]) -> BTreeMap<&InstanceId, BTreeMap<BackupType, Vec<&Backup>>> {
    let mut groups: BTreeMap<_, BTreeMap<_, Vec<_>>> = BTreeMap::new();
    for record in records {
        let types = groups.entry(&record.origin.instance_id).or_default();
        types.entry(record.backup_type).or_default().push(record);
    }
    groups
}

/// A completed record; ordered by what makes one the last success.
#[derive(Clone, Copy)]
struct Completed<'a> {
    end: Timestamp,
    backup: &'a Backup,
}

impl<'a> Completed<'a> {
    fn order(&self) -> (Timestamp, Option<Timestamp>, &'a BackupId) {
        (self.end, self.backup.begin, &self.backup.id)
    }
}

fn completed<'a>(records: &[&'a Backup]) -> impl Iterator<Item = Completed<'a>> {
    let completed = records.iter().filter(|record| record.status == Status::Completed);
    completed.filter_map(|backup| Some(Completed { end: backup.ended()?, backup }))
}

fn last_success<'a>(records: &[&'a Backup]) -> Option<Completed<'a>> {
    completed(records).max_by_key(Completed::order)
}

/// The newest begin; of two attempts that began together a finished one stands before a running
/// one, since the running one is its repetition or its ghost.
fn last_attempt<'a>(records: &[&'a Backup]) -> Option<&'a Backup> {
    let attempts = records
        .iter()
        .filter(|record| record.finished() || record.status == Status::Running)
        .filter(|record| record.begin.is_some());
    attempts.copied().max_by_key(|record| (record.begin, record.finished(), &record.id))
}

fn last_finished<'a>(records: &[&'a Backup]) -> Option<&'a Backup> {
    let finished = records.iter().filter(|record| record.finished() && record.begin.is_some());
    finished.copied().max_by_key(|record| (record.begin, &record.id))
}

fn begins(records: &[&Backup], status: Status) -> impl Iterator<Item = Timestamp> {
    records.iter().filter(move |record| record.status == status).filter_map(|record| record.begin)
}

fn failures_since(records: &[&Backup], last_success: Option<Completed<'_>>) -> Option<u64> {
    records.iter().find(|record| record.finished())?;
    let failed = records.iter().filter(|record| record.status == Status::Failed);
    let since = failed.filter(|record| match last_success {
        None => true,
        Some(success) => record.begin > success.backup.begin,
    });
    Some(since.count() as u64)
}

fn duration(begin: Option<Timestamp>, end: Option<Timestamp>) -> Option<Duration> {
    end?.duration_since(begin?).try_into().ok()
}

/// Up to this many completed backups before the last success make its baseline.
const BASELINE_BACKUPS: usize = 7;
/// Fewer known sizes than this say nothing.
const BASELINE_SIZES: usize = 3;

fn size_baseline(records: &[&Backup], last_success: Option<Completed<'_>>) -> Option<Median> {
    let last = last_success?.order();
    let mut before: Vec<_> = completed(records).filter(|record| record.order() < last).collect();
    before.sort_unstable_by_key(|record| Reverse(record.order()));
    let sizes: Vec<u64> =
        before.iter().take(BASELINE_BACKUPS).filter_map(|record| record.backup.bytes).collect();
    if sizes.len() < BASELINE_SIZES { None } else { Median::of(sizes) }
}

#[cfg(test)]
mod tests;
