//! Finished incrementals that earlier polls brought. There is one every five minutes for up to two
//! years, so a poll asks only for what may have changed since. Pure.
//!
//! What may have changed: the last success may be gone, what is not finished may finish, and something
//! new may have begun. All of that is in a window that begins an hour before the oldest record of it,
//! since a record may appear late. What lies before it is finished and stays as it is, until it leaves
//! the lookback, is deleted by hand, which the reading of the whole window shows once an hour, or
//! expires: that begins with the oldest, so that a look at the tail shows it. The tail is of no
//! interest where the list was seen to reach back beyond the lookback: what is younger than something
//! that is still there does not expire.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use jiff::{SignedDuration, Timestamp};

use super::window::MARGIN;
use crate::backup::{Backup, BackupId, BackupType, Origin, Status};
use crate::config::Lookback;

/// What is known of the incrementals of a target.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    lookback: Lookback,
    /// Until when the whole window need not be read.
    whole_due: Timestamp,
    /// Whether the list was seen to reach back beyond the lookback.
    reaches_back: bool,
    /// None if there is no record at all.
    known: Option<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    /// From where on something may have changed.
    from: Timestamp,
    /// What must still be there.
    success: BackupId,
    /// What finished before that, the oldest first.
    older: Arc<[Finished]>,
}

/// A finished record, as far as it is needed.
#[derive(Clone, Debug)]
struct Finished {
    id: BackupId,
    status: Status,
    begin: Timestamp,
    end: Option<Timestamp>,
    bytes: Option<u64>,
}

/// A record may appear in the list so long after its begin, and is seen at once; one that is later
/// still is seen when the whole window is read. Some twelve records more on a page that has room.
const LATE: SignedDuration = SignedDuration::from_hours(1);
/// So many records of the tail are looked at: with the margins they fit on one page.
const TAIL: usize = 60;

impl Kept {
    /// What to keep of all records of the lookback and the last success. None if that would not be
    /// enough to do without them next time.
    pub(super) fn of<'a>(
        backups: impl Iterator<Item = &'a Backup> + Clone,
        lookback: Lookback,
        reaches_back: bool,
        whole_due: Timestamp,
    ) -> Option<Self> {
        let is_empty = backups.clone().next().is_none();
        let known = if is_empty { None } else { Some(Known::of(backups)?) };
        Some(Self { lookback, whole_due, reaches_back, known })
    }

    /// Whether it will do at this time.
    pub(super) fn is_good(
        &self,
        lookback: Lookback,
        now: Timestamp,
        longest: SignedDuration,
    ) -> bool {
        let left = self.whole_due.duration_since(now);
        // A clock that was set back makes it due too.
        self.lookback == lookback && left.is_positive() && left <= longest
    }

    /// From where on to ask; none for the whole window.
    pub(super) fn from(&self) -> Option<Timestamp> {
        self.known.as_ref().map(|known| known.from)
    }

    /// When the whole window is due.
    pub(super) fn whole_due(&self) -> Timestamp {
        self.whole_due
    }

    /// Whether the list was seen to reach back beyond the lookback.
    pub(super) fn reaches_back(&self) -> bool {
        self.reaches_back
    }

    /// The records before `from`, given the answer from there on: without those that the answer
    /// should have and has not, and those that began before `counted_from`. None if the last success
    /// is gone.
    pub(super) fn older(
        &self,
        answer: &[Backup],
        counted_from: Option<Timestamp>,
    ) -> Option<Older> {
        let Some(known) = &self.known else { return Some(Older::default()) };
        let ids: HashSet<&BackupId> = answer.iter().map(|backup| &backup.id).collect();
        let is_success = |it: &Backup| it.id == known.success && it.status == Status::Completed;
        if !answer.iter().any(is_success) {
            return None;
        }
        let asked_from = known.from.checked_sub(MARGIN).unwrap_or(known.from);
        let stays = |record: &&Finished| {
            let should_have_come = record.begin > asked_from && record.end.is_some();
            !ids.contains(&record.id) && !should_have_come && counted_from <= Some(record.begin)
        };
        Some(Older(known.older.iter().filter(stays).cloned().collect()))
    }
}

impl Known {
    fn of<'a>(backups: impl Iterator<Item = &'a Backup> + Clone) -> Option<Self> {
        let success = backups.clone().filter(|backup| backup.status == Status::Completed);
        let success = success.max_by_key(|backup| (backup.ended(), backup.begin, &backup.id))?;
        let mut from = success.begin?;
        for backup in backups.clone().filter(|backup| !backup.finished()) {
            from = from.min(backup.begin?);
        }
        let from = from.checked_sub(LATE).unwrap_or(from);
        let mut older = Vec::new();
        for backup in backups.filter(|backup| backup.finished()) {
            let begin = backup.begin?;
            if begin < from {
                older.push(Finished {
                    id: backup.id.clone(),
                    status: backup.status,
                    begin,
                    end: backup.end,
                    bytes: backup.bytes,
                });
            }
        }
        older.sort_unstable_by(|a, b| (a.begin, &a.id).cmp(&(b.begin, &b.id)));
        Some(Self { from, success: success.id.clone(), older: older.into() })
    }
}

/// Records that are not asked for, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Older(Vec<Finished>);

impl Older {
    /// The times between which the oldest of them lie; none if there are none.
    pub(super) fn tail(&self) -> Option<(Timestamp, Timestamp)> {
        let first = self.0.first()?.begin;
        let times = self.0.iter().take(TAIL).map(|it| it.end.unwrap_or(it.begin).max(it.begin));
        Some((first, times.max()?))
    }

    /// Takes out what the list does not have between these times, given its answer. False if nothing
    /// of it is left, or one of it is no longer what it was: then more may be gone.
    pub(super) fn confirm(
        &mut self,
        (first, last): (Timestamp, Timestamp),
        answer: &[Backup],
    ) -> bool {
        let there: HashMap<&BackupId, Status> =
            answer.iter().map(|backup| (&backup.id, backup.status)).collect();
        let is_same = |it: &Finished| there.get(&it.id).is_none_or(|status| *status == it.status);
        if !self.0.iter().all(is_same) {
            return false;
        }
        let lies_there = |it: &Finished| first <= it.begin && it.end.is_some_and(|end| end <= last);
        let mut is_any_left = false;
        self.0.retain(|record| {
            let is_there = there.contains_key(&record.id);
            is_any_left |= is_there;
            is_there || !lies_there(record)
        });
        is_any_left
    }

    /// The records again, as records of the type and of the instance of another one.
    pub(super) fn into_backups(
        self,
        other: &Backup,
        backup_type: BackupType,
    ) -> impl Iterator<Item = Backup> {
        let origin = Arc::new(Origin::bare(other.origin.instance_id.clone()));
        self.0.into_iter().map(move |record| Backup {
            id: record.id,
            origin: Arc::clone(&origin),
            backup_type,
            status: record.status,
            begin: Some(record.begin),
            end: record.end,
            bytes: record.bytes,
            unknown: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{InstanceId, Times};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + 60 * minute).unwrap()
    }

    /// An incremental that began at a minute and took four.
    fn backup(minute: i64, status: Status) -> Backup {
        Backup {
            id: BackupId::new(&minute.to_string()),
            origin: Origin::bare(InstanceId::new("db")).into(),
            backup_type: BackupType { name: "incremental", times: Times::Commit },
            status,
            begin: Some(at(minute)),
            end: Some(at(minute + 4)),
            bytes: Some(1),
            unknown: None,
        }
    }

    /// A day of them, and what is kept of it.
    fn day() -> (Vec<Backup>, Kept) {
        let day: Vec<Backup> = (0..288).map(|at| backup(5 * at, Status::Completed)).collect();
        let kept = Kept::of(day.iter(), Lookback::All, false, at(2000)).unwrap();
        (day, kept)
    }

    #[test]
    fn what_finished_more_than_an_hour_before_the_last_success_is_not_asked_for_again() {
        let (day, kept) = day();
        assert_eq!(kept.from(), Some(at(287 * 5 - 60)));
        let answer = &day[270..];
        let older = kept.older(answer, None).unwrap();
        let again: Vec<Backup> =
            older.into_backups(&day[0], day[0].backup_type).chain(answer.iter().cloned()).collect();
        assert_eq!(again, day);
    }

    #[test]
    fn a_last_success_that_is_gone_or_no_longer_one_is_not_relied_on() {
        let (day, kept) = day();
        assert!(kept.older(&day[270..287], None).is_none());
        let mut answer = day[270..].to_vec();
        answer[17].status = Status::Deleting;
        assert!(kept.older(&answer, None).is_none());
    }

    #[test]
    fn of_the_tail_what_is_gone_is_taken_out_and_what_changed_asks_for_everything() {
        let (day, kept) = day();
        let older = || kept.older(&day[270..], None).unwrap();
        let tail = older().tail().unwrap();
        assert_eq!(tail, (at(0), at(59 * 5 + 4)));
        let mut some = older();
        assert!(some.confirm(tail, &day[3..61]));
        let left: Vec<Backup> = some.into_backups(&day[0], day[0].backup_type).collect();
        assert_eq!(left.len(), older().0.len() - 3);
        assert_eq!(left[0], day[3]);
        assert!(!older().confirm(tail, &[]), "all of it is gone: then more may be");
        let mut changed = day[..61].to_vec();
        changed[0].status = Status::Deleting;
        assert!(!older().confirm(tail, &changed));
    }
}
