//! The newest records of one instance and type, as people look at them: the only records that outlive a
//! poll. Their number is bounded, so that memory follows the number of series.

use std::time::Duration;

use jiff::Timestamp;

use super::last_success;
use crate::backup::{Backup, BackupId, Status};

/// So many records of each type are kept, and the last success, should all of them be newer.
pub const MOST: usize = 50;

/// One record, without what is the same in all of an instance and type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: BackupId,
    /// Its state.
    pub status: Status,
    /// Whether it is the last success.
    pub is_last_success: bool,
    /// When it began.
    pub begin: Option<Timestamp>,
    /// When it ended.
    pub end: Option<Timestamp>,
    /// Its size, if known.
    pub bytes: Option<u64>,
}

impl Record {
    /// How long it took; none if it has not ended, or before it began.
    pub fn took(&self) -> Option<Duration> {
        super::duration(self.begin, self.end)
    }
}

/// The records that began last, the newest in front; those that tell no begin are at the end.
pub fn newest(records: &[&Backup]) -> Vec<Record> {
    let newest_first =
        |one: &&Backup, other: &&Backup| (other.begin, &other.id).cmp(&(one.begin, &one.id));
    let mut sorted = records.to_vec();
    if sorted.len() > MOST {
        sorted.select_nth_unstable_by(MOST, newest_first);
        sorted.truncate(MOST);
    }
    sorted.sort_unstable_by(newest_first);
    let success = last_success(records).map(|it| it.backup);
    // It began before all of those, or it would be among them.
    let is_among = sorted.iter().any(|it| success.is_some_and(|success| it.id == success.id));
    sorted.extend(success.filter(|_| !is_among));
    let record = |backup: &&Backup| Record {
        id: backup.id.clone(),
        status: backup.status,
        is_last_success: success.is_some_and(|success| success.id == backup.id),
        begin: backup.begin,
        end: backup.end,
        bytes: backup.bytes,
    };
    sorted.iter().map(record).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::backup::{BackupType, InstanceId, Origin, Times};

    fn backup(id: usize, status: Status, begin: Option<i64>, end: Option<i64>) -> Backup {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        Backup {
            id: BackupId::new(&format!("{id:03}")),
            origin: Arc::new(Origin::bare(InstanceId::new("db"))),
            backup_type: BackupType { name: "auto", times: Times::Job },
            status,
            begin: begin.map(at),
            end: end.map(at),
            bytes: Some(1),
            unknown: None,
        }
    }

    fn kept(backups: &[Backup]) -> Vec<Record> {
        newest(&backups.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_last_success_behind_many_failures_is_kept_besides() {
        let failed = |at: usize| backup(at, Status::Failed, i64::try_from(at).ok(), None);
        let mut backups: Vec<Backup> = (2..100).map(failed).collect();
        backups.extend([0, 1].map(|at| backup(at, Status::Completed, Some(0), Some(1))));
        let kept = kept(&backups);
        let ids: Vec<String> = kept.iter().map(|record| record.id.to_string()).collect();
        let expected: Vec<String> =
            (50..100).rev().chain([1]).map(|at| format!("{at:03}")).collect();
        assert_eq!(ids, expected);
        assert!(
            kept.iter().all(|record| record.is_last_success == (record.id == BackupId::new("001")))
        );
    }

    fn any() -> impl Strategy<Value = Vec<(Status, Option<i64>, Option<i64>)>> {
        let time = || prop::option::weighted(0.9, 0..60_i64);
        let record = (prop::sample::select(&Status::ALL[..]), time(), time());
        prop::collection::vec(record, 0..120)
    }

    proptest! {
        /// Against a sort of everything.
        #[test]
        fn what_is_kept_is_the_front_of_all_records_sorted_and_the_last_success(records in any()) {
            let backups: Vec<Backup> = records
                .into_iter()
                .enumerate()
                .map(|(at, (status, begin, end))| backup(at, status, begin, end))
                .collect();
            let mut sorted: Vec<&Backup> = backups.iter().collect();
            sorted.sort_by(|one, other| (other.begin, &other.id).cmp(&(one.begin, &one.id)));
            let kept = kept(&backups);
            let front = sorted.iter().take(MOST);
            prop_assert!(kept.iter().zip(front).all(|(record, backup)| record.id == backup.id));
            prop_assert!(kept.len() >= backups.len().min(MOST) && kept.len() <= MOST + 1);
            let marked: Vec<&Record> = kept.iter().filter(|record| record.is_last_success).collect();
            let can_be = backups.iter().any(|it| it.status == Status::Completed && it.ended().is_some());
            prop_assert_eq!(marked.len(), usize::from(can_be));
            prop_assert!(marked.iter().all(|record| record.status == Status::Completed));
        }
    }
}
