//! What there is to say of an instance in one word, the worst first.

use std::fmt;

use jiff::Timestamp;

use crate::alert::{self, Alert, Condition};
use crate::backup::BackupType;
use crate::clock::age;
use crate::estate::Estate;
use crate::snapshot::{ShownType, TargetState};

/// Something to be said of an instance, or of one of its types of backups.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Mark {
    /// The last finished backup failed, or several since the last success. What nobody expects counts for
    /// a day.
    Failing,
    /// The last success is older than the objective, or there is none. While an instance is too young to
    /// have one, it is not missed.
    Stale,
    /// The condition of another shipped alert holds: one does not end, its size is not the usual one, the
    /// policy is off, the restorable point lags.
    Alerting,
    /// No poll has succeeded for three intervals, or none ever did.
    Blind,
    /// The last poll failed, or a lookup beside it.
    PollFailing,
    /// The cloud does not have it.
    NotFound,
    /// It is there, and nobody watches it.
    Unmonitored,
    /// A backup is being made.
    Running,
    /// It was not polled yet, or what there is to know of it besides is on its way.
    Waiting,
}

impl Mark {
    /// All, the worst first.
    pub const ALL: [Self; 9] = [
        Self::Failing,
        Self::Stale,
        Self::Alerting,
        Self::Blind,
        Self::PollFailing,
        Self::NotFound,
        Self::Unmonitored,
        Self::Running,
        Self::Waiting,
    ];

    /// The word by which one asks for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Stale => "stale",
            Self::Alerting => "alerting",
            Self::Blind => "blind",
            Self::PollFailing => "poll_failing",
            Self::NotFound => "not_found",
            Self::Unmonitored => "unmonitored",
            Self::Running => "running",
            Self::Waiting => "waiting",
        }
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Failing => "the last finished backup failed, or several since the last success",
            Self::Stale => "the last success is older than its objective, or missing",
            Self::Alerting => "the condition of another alert holds",
            Self::Blind => "not read successfully for three intervals, or never",
            Self::PollFailing => "the last poll failed, or a lookup beside it",
            Self::NotFound => "the cloud does not have it",
            Self::Unmonitored => "it is in the cloud, and nobody watches it",
            Self::Running => "a backup is being made",
            Self::Waiting => "not polled yet",
        }
    }

    /// What an alert says of an instance whose condition it is.
    pub fn of_alert(alert: &Alert) -> Self {
        let is = |alerts: &[&Alert]| alerts.contains(&alert);
        if is(&[&alert::FAILED, &alert::FAILING]) {
            Self::Failing
        } else if is(&[&alert::STALE, &alert::VERY_STALE, &alert::MISSING]) {
            Self::Stale
        } else if is(&[&alert::NOT_FOUND]) {
            Self::NotFound
        } else if is(&[&alert::NOT_MONITORED]) {
            Self::Unmonitored
        } else {
            Self::Alerting
        }
    }

    /// Whether somebody should look.
    pub fn is_problem(self) -> bool {
        !matches!(self, Self::Running | Self::Waiting)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Which marks something has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Marks([bool; Mark::ALL.len()]);

impl Marks {
    /// Whether this one is among them.
    pub fn has(self, mark: Mark) -> bool {
        self.iter().any(|it| it == mark)
    }

    /// All of them, the worst first.
    pub fn iter(self) -> impl Iterator<Item = Mark> {
        Mark::ALL.into_iter().zip(self.0).filter_map(|(mark, is)| is.then_some(mark))
    }

    /// The worst one.
    pub fn worst(self) -> Option<Mark> {
        self.iter().next()
    }

    /// These and others.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(Mark::ALL.map(|mark| self.has(mark) || others.has(mark)))
    }

    /// This one too, if it is so.
    #[must_use]
    pub(super) fn with(self, mark: Mark, is: bool) -> Self {
        Self(Mark::ALL.map(|known| self.has(known) || is && known == mark))
    }

    /// Those of a target by its polls.
    pub(super) fn of_poll(state: &TargetState, now: Timestamp) -> Self {
        let last_failed = state.last_poll.as_ref().is_some_and(|poll| poll.fault.is_some());
        let is_blind = match state.last_success {
            None => state.last_poll.is_some(),
            Some(ended) => age(now, ended) > state.target.interval * BLIND_AFTER,
        };
        let lookups = [state.policy.failures, state.restore_window.failures];
        Self::default()
            .with(Mark::Waiting, state.last_poll.is_none())
            .with(Mark::Blind, is_blind)
            .with(Mark::PollFailing, last_failed || lookups.into_iter().any(|count| count > 0))
    }

    /// Those of an instance list that was never read.
    pub(super) fn of_list(estate: &Estate) -> Self {
        Self::default()
            .with(Mark::Blind, estate.failures > 0)
            .with(Mark::Waiting, estate.failures == 0)
    }

    /// Those of the conditions that are about a type, or about none.
    pub(super) fn of_conditions(conditions: &[Condition], of: Option<BackupType>) -> Self {
        let about = conditions.iter().filter(|it| it.backup_type == of);
        about.fold(Self::default(), |marks, it| marks.with(Mark::of_alert(it.alert), true))
    }

    /// Those of a type besides its conditions. By now a success may be too old although it was not when
    /// the cloud was last read.
    pub(super) fn of_type(of: &ShownType<'_>, now: Timestamp) -> Self {
        let is_old = |max_age| of.summary.last_success.is_some_and(|it| age(now, it.end) > max_age);
        Self::default()
            .with(Mark::Stale, of.max_age().is_some_and(is_old))
            .with(Mark::Running, of.summary.running_since.is_some())
    }
}

/// So many intervals without a successful poll are no chance any more.
const BLIND_AFTER: u32 = 3;
