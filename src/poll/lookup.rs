//! The calls about an instance beside its backup list: each has a rhythm of its own, and one that
//! fails or hangs is alone with it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{Assignment, Polling, panicked};
use crate::error::Fault;
use crate::lookup::{self, Looked};
use crate::policy::Policy;
use crate::product::{Lookup, Product};
use crate::restore::RestoreWindow;
use crate::schedule;
use crate::snapshot::TargetState;
use crate::target::Target;

/// One kind of lookup.
#[derive(Debug)]
pub(super) struct Kind<T: 'static> {
    /// What is looked up, for the log.
    what: &'static str,
    call: fn(&'static Product) -> Option<&'static Lookup<T>>,
    /// How often; none if the config does not ask for it.
    every: fn(&Target) -> Option<Duration>,
    /// Where what is known is kept.
    known: fn(&mut TargetState) -> &mut Looked<T>,
}

/// A policy changes by hand, if ever.
const POLICY_EVERY: Duration = Duration::from_secs(3600);
/// What could not be looked up is tried again after this, or at its next time if that is sooner.
const AGAIN_AFTER: Duration = Duration::from_secs(10 * 60);

pub(super) static POLICY: Kind<Policy> = Kind {
    what: "the backup policy",
    call: |product| product.policy.as_ref(),
    every: |target| target.policy.then_some(POLICY_EVERY),
    known: |state| &mut state.policy,
};

pub(super) static RESTORE_WINDOW: Kind<RestoreWindow> = Kind {
    what: "the times to restore to",
    call: |product| product.restore_window.as_ref(),
    every: |target| target.restore_window,
    known: |state| &mut state.restore_window,
};

impl<T> Kind<T> {
    /// What to ask of a target, and how often.
    fn asked(&self, target: &Target) -> Option<(&'static Lookup<T>, Duration)> {
        (self.call)(target.product).zip((self.every)(target))
    }
}

impl Polling {
    /// Looks up at once and then at the phase of the target, once per interval.
    pub(super) async fn lookups<T: Clone + Send + Sync + 'static>(
        &self,
        kind: &'static Kind<T>,
        mut assigned: watch::Receiver<Arc<Assignment>>,
    ) {
        loop {
            let assignment = Arc::clone(&assigned.borrow_and_update());
            let Some((call, every)) = kind.asked(&assignment.target) else {
                if assigned.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let mut due = Instant::now();
            loop {
                let is_same = |next: &Arc<Assignment>| {
                    Arc::ptr_eq(&next.client, &assignment.client)
                        && (kind.every)(&next.target) == Some(every)
                };
                let work = self.look_up(kind, call, every, &assignment, due);
                tokio::select! {
                    next = work => due = next,
                    // By another way, or in another rhythm: from the start.
                    changed = assigned.wait_for(|next| !is_same(next)) => match changed {
                        Ok(_) => break,
                        Err(_) => return,
                    },
                }
            }
        }
    }

    /// Waits until it is due, looks up, publishes, and gives when it is due again.
    async fn look_up<T: Clone + Send + Sync + 'static>(
        &self,
        kind: &Kind<T>,
        call: &'static Lookup<T>,
        every: Duration,
        assignment: &Arc<Assignment>,
        due: Instant,
    ) -> Instant {
        sleep_until(due).await;
        let target = &assignment.target;
        // In a phase of its own, so that it does not come with the poll of the same target.
        let hash = target.stable_hash().rotate_left(32);
        let next = Instant::now() + schedule::next(self.clock.now(), every, every, hash);
        let work = {
            let assignment = Arc::clone(assignment);
            async move { lookup::ask(call, &assignment.client, &assignment.target).await }
        };
        // In a task of its own a panic is an outcome.
        let outcome = AbortOnDropHandle::new(tokio::spawn(work)).await;
        let outcome = outcome.unwrap_or_else(|end| Err(panicked(end)));
        self.publish_looked_up(kind, target, &outcome);
        match outcome {
            Ok(_) => next,
            Err(_) => next.min(Instant::now() + AGAIN_AFTER),
        }
    }

    fn publish_looked_up<T: Clone>(
        &self,
        kind: &Kind<T>,
        target: &Target,
        outcome: &Result<T, Fault>,
    ) {
        let ended = self.clock.now();
        let before = self.board.update(target, |state| {
            let mut state = state.clone();
            let known = (kind.known)(&mut state);
            *known = known.after(ended, outcome);
            state
        });
        let failures = before.map_or(0, |before| (kind.known)(&mut (*before).clone()).failures);
        let what = kind.what;
        match outcome {
            // When it breaks, and then in growing gaps.
            Err(fault) if (failures + 1).is_power_of_two() => warn!(
                project = %target.project,
                product = target.product.name,
                instance_id = target.instance_id(),
                reason = fault.reason.label(),
                failures = failures + 1,
                "cannot look up {what} of {target}: {fault}"
            ),
            Ok(_) if failures > 0 => info!(
                project = %target.project,
                product = target.product.name,
                instance_id = target.instance_id(),
                failures,
                "{what} of {target} can be looked up again"
            ),
            _ => {}
        }
    }
}
