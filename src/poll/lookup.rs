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

/// How often each of the calls about the instance of a target is made.
pub fn intervals(target: &Target) -> impl Iterator<Item = Duration> {
    let policy = POLICY.asked(target).map(|(_, every)| every);
    let restore_window = RESTORE_WINDOW.asked(target).map(|(_, every)| every);
    policy.into_iter().chain(restore_window)
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
            let mut regular = self.regular(&assignment.target, every);
            loop {
                let is_same = |next: &Arc<Assignment>| {
                    Arc::ptr_eq(&next.client, &assignment.client)
                        && (kind.every)(&next.target) == Some(every)
                };
                let work = async {
                    sleep_until(due).await;
                    self.look_up(kind, call, &assignment).await
                };
                tokio::select! {
                    is_well = work => {
                        let now = Instant::now();
                        // One that took longer leaves out the times that went by.
                        while regular <= now {
                            regular += every;
                        }
                        due = if is_well { regular } else { regular.min(now + AGAIN_AFTER) };
                    }
                    // By another way, or in another rhythm: from the start.
                    changed = assigned.wait_for(|next| !is_same(next)) => match changed {
                        Ok(_) => break,
                        Err(_) => return,
                    },
                }
            }
        }
    }

    /// Looks up once, if there is something to look up.
    pub(super) async fn look_up_once<T: Clone + Send + Sync + 'static>(
        &self,
        kind: &'static Kind<T>,
        assignment: &Arc<Assignment>,
    ) {
        if let Some((call, _)) = kind.asked(&assignment.target) {
            self.look_up(kind, call, assignment).await;
        }
    }

    /// When the second one is due if the first is now; from then on one is due each time.
    fn regular(&self, target: &Target, every: Duration) -> Instant {
        // In a phase of its own, so that it does not come with the poll of the same target.
        let hash = target.stable_hash().rotate_left(32);
        Instant::now() + schedule::next(self.clock.now(), every, every, hash)
    }

    /// Looks up and publishes. Tells whether there was an answer.
    async fn look_up<T: Clone + Send + Sync + 'static>(
        &self,
        kind: &Kind<T>,
        call: &'static Lookup<T>,
        assignment: &Arc<Assignment>,
    ) -> bool {
        let work = {
            let assignment = Arc::clone(assignment);
            async move { lookup::ask(call, &assignment.client, &assignment.target).await }
        };
        // In a task of its own a panic is an outcome.
        let outcome = AbortOnDropHandle::new(tokio::spawn(work)).await;
        let outcome = outcome.unwrap_or_else(|end| Err(panicked(end)));
        self.publish_looked_up(kind, &assignment.target, &outcome);
        outcome.is_ok()
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
            // A reload may have switched it off while the cloud was asked.
            if (kind.every)(&state.target).is_some() {
                let known = (kind.known)(&mut state);
                *known = known.after(ended, outcome);
            }
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

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::tests::{INTERVAL, NOWHERE, now, polled_by, target};
    use super::*;
    use crate::clock::Clock;
    use crate::error::Reason;
    use crate::sim::{AccessKey, Cloud, Estate, RdsInstance};

    /// Longer than the answer to a request takes.
    const AFTER: Duration = Duration::from_secs(5);
    const TIMEOUT: Duration = Duration::from_secs(1);

    /// A clock that gains a second per quarter of an hour on the one that schedules.
    fn fast_clock() -> Clock {
        let begin = Instant::now();
        Clock::new(move || {
            let passed = begin.elapsed();
            now() + SignedDuration::try_from(passed + passed / 900).unwrap()
        })
    }

    fn regular(target: &Target, every: Duration) -> Duration {
        schedule::next(now(), every, every, target.stable_hash().rotate_left(32))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_looked_up_is_asked_at_once_then_at_its_phase_and_then_each_time_it_is_due() {
        let begin = Instant::now();
        let target = Target { restore_window: Some(INTERVAL), ..target(|_| &[], NOWHERE) };
        let mut due = begin + regular(&target, INTERVAL);
        assert!((INTERVAL..INTERVAL * 2).contains(&(due - begin)));
        let polled = polled_by(fast_clock(), target, TIMEOUT);
        let asked = || polled.state().restore_window.failures;
        for times in 1..=30 {
            sleep_until(due - AFTER).await;
            assert_eq!(asked(), times);
            sleep_until(due + AFTER).await;
            assert_eq!(asked(), times + 1);
            due += INTERVAL;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_looked_up_is_tried_again_after_ten_minutes_and_when_it_is_due() {
        let begin = Instant::now();
        let target = Target { policy: true, ..target(|_| &[], NOWHERE) };
        let due = begin + regular(&target, POLICY_EVERY);
        let polled = polled_by(fast_clock(), target, TIMEOUT);
        let asked = || polled.state().policy.failures;
        let second = Duration::from_secs(1);
        let mut times = 1;
        let mut next = begin + AGAIN_AFTER;
        // Each failure takes a moment, and the wait begins with its end.
        let late = second * 15;
        while next + late < due {
            sleep_until(next - second).await;
            assert_eq!(asked(), times);
            sleep_until(next + late).await;
            times += 1;
            assert_eq!(asked(), times);
            next += AGAIN_AFTER;
        }
        assert!(times >= 5, "{times}");
        sleep_until(due - second).await;
        times = asked();
        sleep_until(due + AFTER).await;
        assert_eq!(asked(), times + 1);
    }

    #[tokio::test]
    async fn a_lookup_that_panics_is_a_failed_one_and_disturbs_no_poll() {
        let estate = Estate::new().with_rds(RdsInstance::new("db", "orders"));
        let cloud = Cloud::start(estate).await.unwrap();
        cloud.change(|estate| estate.projects[0].id = "p1".to_owned());
        cloud.change(|estate| estate.keys = vec![AccessKey::new("AK", "SK")]);
        let target = target(|_| &[], cloud.rds_url());
        let policy = Lookup {
            decode: |_| panic!("index 7 of 3"),
            ..*target.product.policy.as_ref().unwrap()
        };
        let product = Product { policy: Some(policy), ..*target.product };
        let target = Target { product: Box::leak(Box::new(product)), policy: true, ..target };
        let polled = polled_by(Clock::system(), target, AFTER);
        let begin = Instant::now();
        while polled.state().policy.is_well().is_none() || polled.state().last_poll.is_none() {
            assert!(begin.elapsed() < Duration::from_secs(30));
            tokio::task::yield_now().await;
        }
        let state = polled.state();
        let fault = state.policy.last_fault.clone().unwrap().1;
        assert_eq!(fault.reason, Reason::Internal, "{fault}");
        assert!(fault.message.contains("index 7 of 3"), "{fault}");
        assert_eq!(state.last_poll.as_ref().unwrap().fault, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_after_the_lookup_was_switched_off_is_not_kept() {
        let target = Target { policy: true, ..target(|_| &[], NOWHERE) };
        let off = Target { policy: false, ..super::super::tests::target(|_| &[], NOWHERE) };
        let polled = polled_by(fast_clock(), target, TIMEOUT);
        let state = polled.state();
        let publish = || {
            let answer = Ok(Policy::default());
            polled.polling.publish_looked_up(&POLICY, &state.target, &answer);
            polled.state().policy.value().is_some()
        };
        assert!(publish());
        polled.polling.board.reassign(&[Arc::new(off)], &[]);
        assert!(!publish());
    }
}
