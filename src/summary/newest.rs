//! The newest records of one instance and type, as people look at them: the only records that outlive a
//! poll. Their number is bounded, so that memory follows the number of series.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

use jiff::Timestamp;

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
pub(super) fn newest(records: &[&Backup], last_success: Option<&Backup>) -> Vec<Record> {
    // The lists come sorted, mostly with the newest in front: then a record costs one comparison.
    let mut front: BinaryHeap<Reverse<ByBegin<'_>>> = BinaryHeap::with_capacity(MOST);
    for backup in records {
        let record = Reverse(ByBegin(backup));
        if front.len() < MOST {
            front.push(record);
        } else if let Some(mut oldest) = front.peek_mut()
            && record < *oldest
        {
            *oldest = record;
        }
    }
    let sorted = front.into_sorted_vec();
    let newest = sorted.iter().map(|Reverse(ByBegin(backup))| *backup);
    let is_it = |backup: &Backup| last_success.is_some_and(|success| success.id == backup.id);
    // It began before all of those, or it would be among them.
    let behind = last_success.filter(|_| !newest.clone().any(is_it));
    let record = |backup: &Backup| Record {
        id: backup.id.clone(),
        status: backup.status,
        is_last_success: is_it(backup),
        begin: backup.begin,
        end: backup.end,
        bytes: backup.bytes,
    };
    newest.chain(behind).map(record).collect()
}

/// A record, ordered by its begin.
struct ByBegin<'a>(&'a Backup);

impl ByBegin<'_> {
    fn order(&self) -> (Option<Timestamp>, &BackupId) {
        (self.0.begin, &self.0.id)
    }
}

impl Eq for ByBegin<'_> {}

impl Ord for ByBegin<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialEq for ByBegin<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl PartialOrd for ByBegin<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::last_success;
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
        let backups: Vec<&Backup> = backups.iter().collect();
        newest(&backups, last_success(&backups).map(|success| success.backup))
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
