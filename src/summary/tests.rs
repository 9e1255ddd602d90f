//! Every sentence of the numbers, and a second, deliberately naive implementation.

use proptest::prelude::*;

use super::*;
use crate::backup::{BackupId, Origin};

const AUTO: BackupType = BackupType { name: "auto", times: Times::Job };
const INCREMENTAL: BackupType = BackupType { name: "incremental", times: Times::Commit };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn record(id: &str, status: Status, begin: Option<i64>, end: Option<i64>) -> Backup {
    Backup {
        id: BackupId::new(id),
        origin: Origin::bare(InstanceId::new("db")).into(),
        backup_type: AUTO,
        status,
        begin: begin.map(at),
        end: end.map(at),
        bytes: None,
        unknown: None,
    }
}

fn completed(id: &str, begin: i64, end: i64) -> Backup {
    record(id, Status::Completed, Some(begin), Some(end))
}

fn failed(id: &str, begin: i64) -> Backup {
    record(id, Status::Failed, Some(begin), Some(begin + 1))
}

fn running(id: &str, begin: i64) -> Backup {
    record(id, Status::Running, Some(begin), None)
}

fn sized(mut backup: Backup, bytes: u64) -> Backup {
    backup.bytes = Some(bytes);
    backup
}

fn of(records: &[Backup]) -> Summary {
    fold(AUTO, &records.iter().collect::<Vec<_>>(), None).0
}

fn of_incrementals(records: &[Backup], counted_from: i64) -> Summary {
    fold(INCREMENTAL, &records.iter().collect::<Vec<_>>(), Some(at(counted_from))).0
}

fn count(summary: &Summary, status: Status) -> u64 {
    summary.backups.iter().find(|(known, _)| *known == status).unwrap().1
}

fn end(summary: &Summary) -> Timestamp {
    summary.last_success.unwrap().end
}

#[test]
fn no_records_say_nothing_but_zeros() {
    assert_eq!(of(&[]), Summary::default());
}

#[test]
fn the_last_success_is_the_completed_record_with_the_newest_end() {
    let summary = of(&[completed("a", 0, 100), completed("b", 50, 60), failed("c", 200)]);
    assert_eq!(end(&summary), at(100));
}

#[test]
fn of_two_ends_alike_the_later_begin_and_then_the_greater_id_is_the_last_success() {
    let summary = of(&[completed("a", 0, 100), completed("b", 40, 100), completed("c", 20, 100)]);
    assert_eq!(summary.last_success.unwrap().duration, Some(Duration::from_secs(60)));
    let summary = of(&[
        sized(completed("a", 0, 9), 1),
        sized(completed("c", 0, 9), 3),
        sized(completed("b", 0, 9), 2),
    ]);
    assert_eq!(summary.last_success.unwrap().bytes, Some(3));
}

#[test]
fn a_completed_record_without_an_end_counts_as_ended_at_its_begin_and_has_no_duration() {
    let summary = of(&[record("a", Status::Completed, Some(70), None), completed("b", 0, 60)]);
    assert_eq!(end(&summary), at(70));
    assert_eq!(summary.last_success.unwrap().duration, None);
    assert_eq!(summary.oldest_success, Some(at(60)));
}

#[test]
fn a_negative_duration_is_absent() {
    assert_eq!(of(&[completed("a", 10, 5)]).last_success.unwrap().duration, None);
}

#[test]
fn the_last_attempt_is_completed_failed_or_running_and_has_the_newest_begin() {
    assert_eq!(of(&[completed("a", 0, 99), failed("b", 10)]).last_attempt, Some(at(10)));
    assert_eq!(of(&[failed("b", 10), running("c", 20)]).last_attempt, Some(at(20)));
    let others = [
        record("d", Status::Deleting, Some(90), Some(91)),
        record("e", Status::Unknown, Some(95), Some(96)),
    ];
    assert_eq!(of(&others).last_attempt, None);
}

#[test]
fn the_last_finished_attempt_decides_on_success_whatever_runs_now() {
    let good = of(&[failed("a", 0), completed("b", 10, 20), running("c", 30)]);
    assert_eq!(good.last_attempt_success, Some(true));
    let bad = of(&[completed("b", 10, 90), failed("c", 30)]);
    assert_eq!(bad.last_attempt_success, Some(false));
    assert_eq!(of(&[running("c", 30)]).last_attempt_success, None);
}

#[test]
fn of_two_finished_attempts_that_began_together_the_greater_id_decides() {
    assert_eq!(of(&[completed("a", 5, 9), failed("b", 5)]).last_attempt_success, Some(false));
    assert_eq!(of(&[completed("c", 5, 9), failed("b", 5)]).last_attempt_success, Some(true));
}

#[test]
fn failures_since_the_last_success_began_after_it_began() {
    let records =
        [failed("a", 0), completed("b", 10, 20), failed("c", 10), failed("d", 15), failed("e", 30)];
    assert_eq!(of(&records).failures_since_last_success, Some(2));
}

#[test]
fn without_a_success_all_failures_count() {
    let untimed = record("x", Status::Failed, None, None);
    assert_eq!(of(&[failed("a", 0), untimed]).failures_since_last_success, Some(2));
}

#[test]
fn a_failure_without_a_time_counts_only_while_there_is_no_success() {
    let untimed = record("x", Status::Failed, None, None);
    let summary = of(&[completed("a", 0, 1), untimed]);
    assert_eq!(summary.failures_since_last_success, Some(0));
    assert_eq!(count(&summary, Status::Failed), 1);
    assert_eq!(summary.last_failure, None);
    assert_eq!(summary.last_attempt_success, Some(true));
}

#[test]
fn failures_are_absent_until_an_attempt_has_finished() {
    assert_eq!(of(&[running("a", 0)]).failures_since_last_success, None);
    assert_eq!(of(&[completed("a", 0, 1)]).failures_since_last_success, Some(0));
}

#[test]
fn the_last_failure_is_the_newest_begin_of_a_failed_record() {
    assert_eq!(of(&[failed("a", 7), failed("b", 3)]).last_failure, Some(at(7)));
    assert_eq!(of(&[completed("a", 0, 1)]).last_failure, None);
}

#[test]
fn running_since_is_the_oldest_running_record() {
    assert_eq!(of(&[running("a", 7), running("b", 3)]).running_since, Some(at(3)));
    assert_eq!(of(&[record("a", Status::Running, None, None)]).running_since, None);
}

#[test]
fn the_oldest_success_is_the_one_that_ended_first() {
    let summary = of(&[completed("a", 0, 50), completed("b", 10, 20), failed("c", 1)]);
    assert_eq!(summary.oldest_success, Some(at(20)));
}

#[test]
fn deleting_and_unknown_records_are_counted_and_summed_and_otherwise_take_no_part() {
    let summary = of(&[
        sized(record("a", Status::Deleting, Some(0), Some(9)), 5),
        sized(record("b", Status::Unknown, Some(0), Some(9)), 7),
    ]);
    let mut expected = Summary::default();
    expected.backups.add(Status::Deleting, 1);
    expected.backups.add(Status::Unknown, 1);
    expected.bytes.add(Status::Deleting, 5);
    expected.bytes.add(Status::Unknown, 7);
    assert_eq!(summary, expected);
}

#[test]
fn an_unknown_size_adds_nothing_to_the_sum() {
    let summary = of(&[sized(completed("a", 0, 1), 5), completed("b", 2, 3)]);
    assert_eq!(summary.bytes.iter().map(|(_, bytes)| bytes).sum::<u64>(), 5);
    assert_eq!(summary.last_success.unwrap().bytes, None);
}

#[test]
fn the_baseline_is_the_median_of_up_to_seven_sizes_before_the_last_success() {
    let records = |sizes: &[u64]| -> Vec<Backup> {
        let sized = |(at, size): (i64, &u64)| {
            sized(completed(&format!("{at:02}"), at * 10, at * 10 + 5), *size)
        };
        (0_i64..).zip(sizes).map(sized).collect()
    };
    let baseline = |sizes: &[u64]| of(&records(sizes)).size_baseline.map(Median::bytes);
    assert_eq!(baseline(&[1, 2, 999]), None, "two sizes say nothing");
    assert_eq!(baseline(&[1, 2, 3, 999]), Some(2.0));
    assert_eq!(baseline(&[1, 2, 3, 6, 999]), Some(2.5));
    // The eighth and ninth before the last success are too old to count.
    assert_eq!(baseline(&[900, 900, 1, 2, 3, 4, 5, 6, 7, 999]), Some(4.0));
}

#[test]
fn the_baseline_takes_seven_backups_and_not_seven_sizes() {
    let mut records = vec![sized(completed("00", 0, 1), 500)];
    for at in 1..=7 {
        let plain = completed(&format!("{at:02}"), at * 10, at * 10 + 1);
        records.push(if at <= 3 { sized(plain, 10) } else { plain });
    }
    records.push(completed("99", 900, 901));
    assert_eq!(of(&records).size_baseline.map(Median::bytes), Some(10.0));
}

#[test]
fn incrementals_have_no_duration_no_running_since_no_last_attempt_time_and_no_oldest_success() {
    let records =
        [completed("a", 10, 20), running("b", 30), completed("c", 12, 25), failed("d", 22)];
    let summary = of_incrementals(&records, 0);
    assert_eq!(end(&summary), at(25));
    assert_eq!(summary.last_success.unwrap().duration, None);
    assert_eq!(summary.running_since, None);
    assert_eq!(summary.last_attempt, None);
    assert_eq!(summary.oldest_success, None);
    assert_eq!(summary.last_attempt_success, Some(false));
    assert_eq!(summary.last_failure, Some(at(22)));
}

#[test]
fn incrementals_before_the_lookback_give_the_last_success_and_the_failures_since_and_no_more() {
    let records = [sized(completed("a", 10, 20), 5), failed("b", 30), failed("c", 110)];
    let summary = of_incrementals(&records, 100);
    assert_eq!(end(&summary), at(20));
    assert_eq!(summary.failures_since_last_success, Some(2));
    assert_eq!(count(&summary, Status::Failed), 1);
    assert_eq!(count(&summary, Status::Completed), 0);
    assert_eq!(summary.bytes, ByStatus::default());
    assert_eq!(summary.last_failure, Some(at(110)));
}

#[test]
fn an_incremental_that_began_just_at_the_lookback_is_counted() {
    assert_eq!(count(&of_incrementals(&[completed("a", 100, 101)], 100), Status::Completed), 1);
    assert_eq!(count(&of_incrementals(&[completed("a", 99, 101)], 100), Status::Completed), 0);
}

/// The same numbers once more: everything sorted, everything counted by hand, nothing shared.
mod naive {
    use super::*;

    pub(super) fn summarise(by_job: bool, all: &[Backup], from: Option<Timestamp>) -> Summary {
        let mut counted: Vec<Backup> = Vec::new();
        for backup in all {
            let inside = match (backup.begin, from) {
                (Some(begin), Some(from)) => begin.as_nanosecond() >= from.as_nanosecond(),
                _ => true,
            };
            if by_job || inside {
                counted.push(backup.clone());
            }
        }
        let mut summary = Summary::default();
        for backup in &counted {
            summary.backups.add(backup.status, 1);
            if let Some(bytes) = backup.bytes {
                summary.bytes.add(backup.status, bytes);
            }
        }
        let done = |list: &[Backup]| {
            let mut done: Vec<Backup> = list.to_vec();
            done.retain(|backup| backup.status == Status::Completed);
            for backup in &mut done {
                if backup.end.is_none() {
                    backup.end = backup.begin;
                }
            }
            done.sort_by_key(|backup| (backup.end, backup.begin, backup.id.clone()));
            done
        };
        let last = done(all).pop();
        if let Some(last) = &last {
            let original = all.iter().find(|backup| backup.id == last.id).unwrap();
            let mut duration = None;
            if let (Some(begin), Some(end), true) = (original.begin, original.end, by_job) {
                let seconds = end.as_second() - begin.as_second();
                if seconds >= 0 {
                    duration = Some(Duration::from_secs(seconds.unsigned_abs()));
                }
            }
            summary.last_success =
                Some(Success { end: last.end.unwrap(), bytes: last.bytes, duration });
        }
        let mut attempts: Vec<_> = counted.iter().filter(|it| it.begin.is_some()).collect();
        attempts.sort_by_key(|it| (it.begin, it.status != Status::Running, it.id.clone()));
        for it in attempts {
            match it.status {
                Status::Completed | Status::Failed => {
                    summary.last_attempt = it.begin;
                    summary.last_attempt_success = Some(it.status == Status::Completed);
                    if it.status == Status::Failed {
                        summary.last_failure = it.begin;
                    }
                }
                Status::Running => {
                    summary.last_attempt = it.begin;
                    if summary.running_since.is_none() {
                        summary.running_since = it.begin;
                    }
                }
                Status::Deleting | Status::Unknown => {}
            }
        }
        let mut finished = false;
        let mut failures = 0;
        for backup in all {
            finished |= backup.status == Status::Completed;
            if backup.status == Status::Failed {
                finished = true;
                match (&last, backup.begin) {
                    (None, _) => failures += 1,
                    (Some(last), Some(begin)) if begin > last.begin.unwrap() => failures += 1,
                    _ => {}
                }
            }
        }
        summary.failures_since_last_success = finished.then_some(failures);
        let ordered = done(&counted);
        summary.oldest_success = ordered.first().and_then(|backup| backup.end);
        if let Some(last) = &last {
            let key = |backup: &Backup| (backup.end, backup.begin, backup.id.clone());
            let at = ordered.iter().take_while(|backup| key(backup) < key(last)).count();
            let mut sizes: Vec<u64> =
                ordered[at.saturating_sub(7)..at].iter().filter_map(|it| it.bytes).collect();
            sizes.sort_unstable();
            let n = sizes.len();
            if n >= 3 {
                let middle = if n % 2 == 1 {
                    Median(sizes[n / 2], sizes[n / 2])
                } else {
                    Median(sizes[n / 2 - 1], sizes[n / 2])
                };
                summary.size_baseline = Some(middle);
            }
        }
        if !by_job {
            summary.last_attempt = None;
            summary.running_since = None;
            summary.oldest_success = None;
        }
        summary
    }
}

fn records() -> impl Strategy<Value = Vec<Backup>> {
    let times = || proptest::option::weighted(0.9, 0_i64..30);
    let one = (0..5_usize, times(), times(), proptest::option::of(0_u64..100)).prop_map(
        |(status, begin, end, bytes)| {
            let status = Status::ALL[status];
            // A completed record without a begin never leaves a product.
            let begin = if status == Status::Completed { begin.or(Some(3)) } else { begin };
            Backup { bytes, ..record("", status, begin, end) }
        },
    );
    proptest::collection::vec(one, 0..25).prop_map(|mut list| {
        // Ids in another order than the records, so that ties are broken by id alone.
        for (at, backup) in list.iter_mut().enumerate() {
            backup.id = BackupId::new(&format!("{:02}", (at * 7) % 25));
        }
        list
    })
}

proptest! {
    #[test]
    fn both_implementations_agree(records in records(), from in 0_i64..30, by_job: bool) {
        let backup_type = if by_job { AUTO } else { INCREMENTAL };
        let from = Some(at(from));
        let (ours, _) = fold(backup_type, &records.iter().collect::<Vec<_>>(), from);
        prop_assert_eq!(ours, naive::summarise(by_job, &records, from));
    }

    #[test]
    fn the_order_of_the_records_changes_nothing(records in records(), seed: u64) {
        let mut shuffled = records.clone();
        shuffled.sort_by_key(|it| (it.id.to_string().bytes().map(u64::from).sum::<u64>() ^ seed) % 7);
        prop_assert_eq!(of(&records), of(&shuffled));
    }
}
