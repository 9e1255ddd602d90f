//! The polls of one target: when, never two at a time, and what becomes of their outcome. Every
//! target has a loop of its own, so that one that fails, hangs or panics is alone with it.

mod schedule;

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::backup::{Backup, UnknownWord};
use crate::client::Client;
use crate::clock::Clock;
use crate::config::Lookback;
use crate::error::{Fault, Reason};
use crate::listing::{self, Listing, Memory, Progress};
use crate::meter::Meters;
use crate::snapshot::{Board, PollOutcome, Reading, TargetState};
use crate::target::Target;

/// What the loops of all targets share.
#[derive(Debug)]
pub struct Polling {
    /// Where outcomes are published.
    pub board: Arc<Board>,
    /// What is counted.
    pub meters: Meters,
    /// The time.
    pub clock: Clock,
    /// What was logged and need not be again.
    pub told: Told,
}

/// What is logged once. Unknown words are foreign text, so the number of all is bounded.
#[derive(Debug, Default)]
pub struct Told(Mutex<HashSet<String>>);

const MOST_TOLD: usize = 1000;

impl Told {
    /// Whether this was not told yet; it is now.
    fn is_new(&self, what: impl Into<String>) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MOST_TOLD && told.insert(what.into())
    }
}

/// What a loop polls, and how; a reload may exchange it.
#[derive(Debug)]
pub struct Assignment {
    /// Which target.
    pub target: Arc<Target>,
    /// By which way.
    pub client: Arc<Client>,
    /// How far back incrementals are counted.
    pub lookback: Lookback,
}

/// A successful poll.
type Success = (Reading, Memory);

impl Polling {
    /// Polls a target at once and then once per interval, until the task is dropped or nobody
    /// assigns any more.
    pub async fn run(self: Arc<Self>, mut assigned: watch::Receiver<Arc<Assignment>>) {
        let mut memory = Memory::default();
        let mut assignment = Arc::clone(&assigned.borrow_and_update());
        let mut due = self.second(&assignment.target);
        loop {
            self.show_due(&assignment.target, due);
            let started = Instant::now();
            let progress = Arc::new(Progress::default());
            let work = Arc::clone(&self).poll(
                Arc::clone(&assignment),
                memory.clone(),
                Arc::clone(&progress),
            );
            // In a task of its own a panic is an outcome.
            let mut poll = AbortOnDropHandle::new(tokio::spawn(work));
            let outcome = loop {
                tokio::select! {
                    outcome = &mut poll => {
                        break Some(outcome.unwrap_or_else(|end| Err(panicked(end))));
                    }
                    () = sleep_until(due) => {
                        self.meters.poll_skipped(&assignment.target.project, assignment.target.product.name);
                        due += assignment.target.interval;
                        self.show_due(&assignment.target, due);
                    }
                    changed = assigned.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        if self.reassign(&mut assignment, &mut assigned, &mut due) {
                            break None;
                        }
                    }
                }
            };
            drop(poll);
            // A poll by a way that is no longer in force says nothing; the next one begins at once.
            let Some(outcome) = outcome else { continue };
            if let Some(next) =
                self.conclude(&assignment.target, &progress, started.elapsed(), outcome)
            {
                memory = next;
            }
            loop {
                tokio::select! {
                    () = sleep_until(due) => {
                        due += assignment.target.interval;
                        break;
                    }
                    changed = assigned.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        if self.reassign(&mut assignment, &mut assigned, &mut due) {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Takes a new assignment over. True if it is worth a poll at once: by a new credential the
    /// target may be readable again.
    fn reassign(
        &self,
        held: &mut Arc<Assignment>,
        assigned: &mut watch::Receiver<Arc<Assignment>>,
        due: &mut Instant,
    ) -> bool {
        let next = Arc::clone(&assigned.borrow_and_update());
        if next.target.interval != held.target.interval {
            *due = self.second(&next.target);
            self.show_due(&next.target, *due);
        }
        let is_new_way = !Arc::ptr_eq(&next.client, &held.client);
        *held = next;
        is_new_way
    }

    /// When the second poll is due if the first begins now.
    fn second(&self, target: &Target) -> Instant {
        Instant::now() + schedule::second(self.clock.now(), target.interval, target.stable_hash())
    }

    /// Publishes how a poll went. Gives what the next one should know, if it went well.
    fn conclude(
        &self,
        target: &Target,
        progress: &Progress,
        took: Duration,
        outcome: Result<Success, Fault>,
    ) -> Option<Memory> {
        self.tell_oddities(target, progress);
        for _ in 0..progress.moved.load(Ordering::Relaxed) {
            self.meters.poll_inconsistent(&target.project, target.product.name);
        }
        let (success, fault) = match outcome {
            Ok(success) => (Some(success), None),
            Err(fault) => (None, Some(fault)),
        };
        let outcome = PollOutcome {
            ended: self.clock.now(),
            took,
            requests: progress.requests.get(),
            records: progress.records.load(Ordering::Relaxed),
            fault,
        };
        let (reading, memory) = success.unzip();
        self.publish(target, &outcome, reading.map(Arc::new).as_ref());
        memory
    }

    async fn poll(
        self: Arc<Self>,
        assignment: Arc<Assignment>,
        memory: Memory,
        progress: Arc<Progress>,
    ) -> Result<Success, Fault> {
        let Assignment { target, client, lookback } = &*assignment;
        let Listing { backups, counted_from, known_until, memory } =
            listing::read(client, target, *lookback, &memory, self.clock.now(), &progress).await?;
        self.tell_unknown_words(target, &backups);
        let complete = self.clock.now();
        let observed = known_until.map_or(complete, |until| until.min(complete));
        Ok((Reading::new(target, &backups, counted_from, observed), memory))
    }

    fn publish(&self, target: &Target, outcome: &PollOutcome, reading: Option<&Arc<Reading>>) {
        let reason = outcome.fault.as_ref().map(|fault| fault.reason);
        self.meters.poll(&target.project, target.product.name, reason);
        let failures_before = self.board.update(target, |state| state.after(outcome, reading));
        let failures_before = failures_before.map_or(0, |state| state.failures);
        match &outcome.fault {
            // When it breaks, and then in growing gaps.
            Some(fault) if (failures_before + 1).is_power_of_two() => warn!(
                project = %target.project,
                product = target.product.name,
                instance_id = target.instance_id(),
                reason = fault.reason.label(),
                failures = failures_before + 1,
                "cannot poll {target}: {fault}"
            ),
            None if failures_before > 0 => info!(
                project = %target.project,
                product = target.product.name,
                instance_id = target.instance_id(),
                failures = failures_before,
                "{target} answers again after {failures_before} failed polls"
            ),
            _ => {}
        }
    }

    fn show_due(&self, target: &Target, due: Instant) {
        self.board.update(target, |state| TargetState { next_poll: Some(due), ..state.clone() });
    }

    fn tell_oddities(&self, target: &Target, progress: &Progress) {
        let oddities = [
            (
                &progress.has_foreign_total,
                "a total that is about something else than its list; the list was read to its end \
                 and is used",
            ),
            (
                &progress.is_untyped_cut,
                "a list without a type that holds incrementals and is too long; types that nobody \
                 documented are looked for in its first pages only",
            ),
        ];
        for (is_odd, what) in oddities {
            if is_odd.load(Ordering::Relaxed) && self.told.is_new(format!("{target} {what}")) {
                warn!(
                    project = %target.project,
                    product = target.product.name,
                    instance_id = target.instance_id(),
                    "the cloud gives for {target} {what}"
                );
            }
        }
    }

    fn tell_unknown_words(&self, target: &Target, backups: &[Backup]) {
        let product = target.product.name;
        for backup in backups {
            let words = [("type", &backup.unknown_type), ("status", &backup.unknown_status)];
            for (field, word) in words {
                if let Some(UnknownWord(word)) = word
                    && self.told.is_new(format!("{product} {field} {word}"))
                {
                    warn!(
                        product,
                        field,
                        word = &**word,
                        backup_id = backup.id.as_str(),
                        "{target} has a backup with the {field} `{word}`, which this version does \
                         not know; it is counted as `unknown`"
                    );
                }
            }
        }
    }
}

fn panicked(end: JoinError) -> Fault {
    let text = end.try_into_panic().ok().and_then(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
    });
    let text = text.unwrap_or_else(|| "the poll ended without an outcome".to_owned());
    Fault::new(Reason::Internal, format!("a fault of this program: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_told_once_and_not_without_end() {
        let told = Told::default();
        assert!(told.is_new("rds type snapshot"));
        assert!(!told.is_new("rds type snapshot"));
        assert!(told.is_new("rds status snapshot"));
        let new = (0..5000).filter(|at| told.is_new(at.to_string())).count();
        assert_eq!(new, MOST_TOLD - 2);
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_of_this_program_with_its_text() {
        let end = tokio::spawn(async { panic!("index 7 of 3") }).await.unwrap_err();
        let fault = panicked(end);
        assert_eq!(fault.reason, Reason::Internal);
        assert_eq!(fault.message, "a fault of this program: index 7 of 3");
    }
}
