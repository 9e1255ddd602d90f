//! Backup jobs that run by the clock. The records are a pure function of schedule and time, so that a
//! test which moves the clock knows what the cloud will show.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    clock::moved,
    id,
    record::{DdmBackup, RdsBackup},
};

/// What a schedule makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Automated full backups of an RDS instance.
    Full,
    /// Automated incremental backups of an RDS instance.
    Incremental,
    /// Automated metadata backups of a DDM instance.
    Metadata,
}

/// A job that runs at regular moments.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Schedule {
    /// The instance that is backed up.
    pub instance_id: String,
    /// Its name, which DDM records show.
    pub instance_name: String,
    /// What is made.
    pub job: Job,
    /// From one run to the next.
    pub every: SignedDuration,
    /// The runs are at whole multiples of `every` since 1970, and this much later.
    pub phase: SignedDuration,
    /// How long a run takes.
    pub takes: SignedDuration,
    /// How long after its begin a record is kept.
    pub keep: SignedDuration,
    /// No run before this.
    pub from: Option<Timestamp>,
    /// No run at this time or later.
    pub until: Option<Timestamp>,
    /// Runs from this time on fail.
    pub failing_from: Option<Timestamp>,
    /// The first run from this time on never ends, and none follows it.
    pub stuck_from: Option<Timestamp>,
    /// The size of a record in kB, give or take a twentieth.
    pub size_kb: u64,
}

impl Schedule {
    /// A full backup of an RDS instance each day at this hour (UTC), kept for a week.
    pub fn daily(instance_id: &str, hour: i64) -> Self {
        Self {
            instance_id: instance_id.to_owned(),
            instance_name: String::new(),
            job: Job::Full,
            every: SignedDuration::from_hours(24),
            phase: SignedDuration::from_hours(hour),
            takes: SignedDuration::from_mins(12),
            keep: SignedDuration::from_hours(7 * 24),
            from: None,
            until: None,
            failing_from: None,
            stuck_from: None,
            size_kb: 4_000_000,
        }
    }

    /// An incremental backup of an RDS instance every five minutes, kept for a week.
    pub fn incremental(instance_id: &str) -> Self {
        Self {
            job: Job::Incremental,
            every: SignedDuration::from_mins(5),
            phase: SignedDuration::ZERO,
            takes: SignedDuration::from_secs(10),
            size_kb: 12_000,
            ..Self::daily(instance_id, 0)
        }
    }

    /// A metadata backup of a DDM instance each day at this hour (UTC), kept for 30 days.
    pub fn metadata(instance_id: &str, instance_name: &str, hour: i64) -> Self {
        Self {
            instance_name: instance_name.to_owned(),
            job: Job::Metadata,
            takes: SignedDuration::from_secs(17),
            keep: SignedDuration::from_hours(30 * 24),
            size_kb: 6,
            ..Self::daily(instance_id, hour)
        }
    }

    /// The records of an RDS job at this time, the oldest first.
    pub(super) fn rds_records(&self, now: Timestamp) -> Vec<RdsBackup> {
        let runs = self.runs(now).into_iter();
        match self.job {
            Job::Full => runs.map(|run| self.full(&run)).collect(),
            Job::Incremental => runs.filter_map(|run| self.increment(&run)).collect(),
            Job::Metadata => Vec::new(),
        }
    }

    /// The records of a DDM job at this time, the oldest first.
    pub(super) fn ddm_records(&self, now: Timestamp) -> Vec<DdmBackup> {
        if self.job != Job::Metadata {
            return Vec::new();
        }
        self.runs(now)
            .iter()
            .map(|run| {
                let status = run.state.word("creating", "normal", "createfail");
                let mut record = DdmBackup::with_words(
                    &self.instance_id,
                    &self.instance_name,
                    "auto_metadata",
                    status,
                    run.at,
                );
                record.updated = Some(run.end.unwrap_or(run.at));
                record.size = Some(match run.state {
                    State::Completed => json!(self.size(run.at) as f64 * 0.903_320_3),
                    State::Failed | State::Running => json!(0.0),
                });
                record
            })
            .collect()
    }

    fn full(&self, run: &Run) -> RdsBackup {
        let status = run.state.word("BUILDING", "COMPLETED", "FAILED");
        let record = RdsBackup::with_words(&self.instance_id, "auto", status, run.at);
        RdsBackup {
            end: run.end,
            size: Some(match run.state {
                State::Completed => self.size(run.at).into(),
                State::Failed | State::Running => 0.into(),
            }),
            ..record
        }
    }

    /// An increment shows up when it is done; its times are those of transactions: it begins with the
    /// last one of the increment before and ends with its own last one.
    fn increment(&self, run: &Run) -> Option<RdsBackup> {
        let begin = self.last_commit(moved(run.at, -self.every));
        let end = self.last_commit(run.at);
        let kind = "incremental";
        match run.state {
            State::Completed => {
                Some(RdsBackup::completed(&self.instance_id, kind, begin, end, self.size(run.at)))
            }
            State::Failed => Some(RdsBackup::failed(&self.instance_id, kind, begin, end)),
            State::Running => None,
        }
    }

    /// The last transaction before a run: up to 20 seconds earlier.
    fn last_commit(&self, at: Timestamp) -> Timestamp {
        let seconds = self.chance(at) % 20 + 1;
        moved(at, -SignedDuration::from_secs(seconds.cast_signed()))
    }

    fn size(&self, at: Timestamp) -> u64 {
        let permille = 950 + self.chance(at) % 100;
        self.size_kb.saturating_mul(permille) / 1000
    }

    fn chance(&self, at: Timestamp) -> u64 {
        id::hash(&[&self.instance_id, &at.as_second().to_string()])
    }

    /// The runs whose records exist at this time, the oldest first.
    fn runs(&self, now: Timestamp) -> Vec<Run> {
        let every = self.every.as_secs().max(1);
        let phase = self.phase.as_secs();
        let kept_from = moved(now, -self.keep).as_second().saturating_add(1);
        let from = self.from.map_or(kept_from, |from| from.as_second().max(kept_from));
        // The first multiple that is not before `from`.
        let first = (from - phase + every - 1).div_euclid(every);
        let mut runs = Vec::new();
        for number in first.. {
            let Ok(at) = Timestamp::from_second(number * every + phase) else {
                break;
            };
            if at > now || self.until.is_some_and(|until| at >= until) {
                break;
            }
            let stuck = self.stuck_from.is_some_and(|from| at >= from);
            let end = Some(moved(at, self.takes)).filter(|end| *end <= now && !stuck);
            let failing = self.failing_from.is_some_and(|from| at >= from);
            let state = match (end, failing) {
                (None, _) => State::Running,
                (Some(_), true) => State::Failed,
                (Some(_), false) => State::Completed,
            };
            runs.push(Run { at, end, state });
            if stuck {
                break;
            }
        }
        runs
    }
}

/// One run of a job.
struct Run {
    at: Timestamp,
    end: Option<Timestamp>,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Completed,
    Failed,
    Running,
}

impl State {
    fn word(
        self,
        running: &'static str,
        completed: &'static str,
        failed: &'static str,
    ) -> &'static str {
        match self {
            Self::Completed => completed,
            Self::Failed => failed,
            Self::Running => running,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::time::asked;

    const INSTANCE: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";

    fn at(text: &str) -> Timestamp {
        asked(&format!("{text}+0000")).unwrap()
    }

    fn statuses(schedule: &Schedule, now: Timestamp) -> Vec<String> {
        let records = schedule.rds_records(now);
        records.into_iter().map(|record| record.status).collect()
    }

    #[test]
    fn a_daily_backup_builds_then_completes_and_the_oldest_goes() {
        let schedule =
            Schedule { keep: SignedDuration::from_hours(48), ..Schedule::daily(INSTANCE, 1) };
        let before = at("2025-03-10T00:59:59");
        assert_eq!(statuses(&schedule, before), ["COMPLETED", "COMPLETED"]);
        let begun = at("2025-03-10T01:00:00");
        assert_eq!(statuses(&schedule, begun), ["COMPLETED", "BUILDING"]);
        assert_eq!(schedule.rds_records(begun)[1].end, None);
        let done = at("2025-03-10T01:12:00");
        assert_eq!(statuses(&schedule, done), ["COMPLETED", "COMPLETED"]);
        assert_eq!(schedule.rds_records(done)[1].end, Some(done));
        assert_eq!(schedule.rds_records(begun)[1].id, schedule.rds_records(done)[1].id);
    }

    #[test]
    fn runs_fail_stay_stuck_or_stop_from_their_moment_on() {
        let turn = Some(at("2025-03-09T00:00:00"));
        let now = at("2025-03-10T12:00:00");
        let plain =
            Schedule { from: Some(at("2025-03-08T00:00:00")), ..Schedule::daily(INSTANCE, 1) };
        let failing = Schedule { failing_from: turn, ..plain.clone() };
        assert_eq!(statuses(&failing, now), ["COMPLETED", "FAILED", "FAILED"]);
        let stuck = Schedule { stuck_from: turn, ..plain.clone() };
        assert_eq!(statuses(&stuck, now), ["COMPLETED", "BUILDING"]);
        let over = Schedule { until: turn, ..plain };
        assert_eq!(statuses(&over, now), ["COMPLETED"]);
    }

    #[test]
    fn increments_follow_one_another_without_a_gap() {
        let schedule = Schedule::incremental(INSTANCE);
        let records = schedule.rds_records(at("2025-03-10T12:00:30"));
        assert_eq!(records.len(), 7 * 288);
        for pair in records.windows(2) {
            assert_eq!(pair[0].end, pair[1].begin);
            assert!(pair[0].begin < pair[0].end);
        }
        let later = schedule.rds_records(at("2025-03-10T12:05:10"));
        assert_eq!(later[later.len() - 2], records[records.len() - 1]);
    }

    #[test]
    fn metadata_backups_use_the_words_of_ddm() {
        let instance_id = "169f4f2fd6a94b6c8b1e5bd104385a18in09";
        let schedule = Schedule::metadata(instance_id, "shop-router", 2);
        let records = schedule.ddm_records(at("2025-03-10T02:00:05"));
        assert_eq!(records.len(), 30);
        assert_eq!(records[29].status, "creating");
        assert_eq!(records[28].status, "normal");
        assert_eq!(records[28].kind, "auto_metadata");
        assert!(schedule.rds_records(at("2025-03-10T02:00:05")).is_empty());
    }
}
