//! The polls of one target: when, never two at a time, and what becomes of their outcome. Every
//! target has a loop of its own, so that one that fails, hangs or panics is alone with it.

mod census;
mod lookup;

use std::collections::{HashMap, HashSet};
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
use crate::error::{Fault, Reason};
use crate::listing::{self, Listing, Memory, Progress, Rhythm};
use crate::meter::Meters;
use crate::schedule;
use crate::snapshot::{Board, PollOutcome, Reading};
use crate::target::Target;

pub use census::Found;
pub use lookup::intervals as lookup_intervals;

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

/// What is logged once, by its kind. Unknown words are foreign text, so the number of each kind is
/// bounded: one that is common does not silence another.
#[derive(Debug, Default)]
pub struct Told(Mutex<HashMap<&'static str, HashSet<String>>>);

const MOST_TOLD: usize = 1000;

impl Told {
    /// Whether this was not told yet; it is now.
    fn is_new(&self, kind: &'static str, what: impl Into<String>) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.entry(kind).or_default();
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
    /// How much is read when.
    pub rhythm: Rhythm,
}

impl PartialEq for Assignment {
    /// By the same client: another one for the same project is another way.
    fn eq(&self, other: &Self) -> bool {
        self.target == other.target
            && Arc::ptr_eq(&self.client, &other.client)
            && self.rhythm == other.rhythm
    }
}

/// A successful poll.
type Success = (Reading, Memory);

impl Polling {
    /// Polls a target, and asks what there is to ask of it besides, until the task is dropped or
    /// nobody assigns any more. Neither waits for the other.
    pub async fn run(self: Arc<Self>, assigned: watch::Receiver<Arc<Assignment>>) {
        tokio::join!(
            Arc::clone(&self).backups(assigned.clone()),
            self.lookups(&lookup::POLICY, assigned.clone()),
            self.lookups(&lookup::RESTORE_WINDOW, assigned),
        );
    }

    /// Polls a target once, and asks once what there is to ask of it besides.
    pub async fn once(self: Arc<Self>, assignment: Arc<Assignment>, progress: Arc<Progress>) {
        tokio::join!(
            Arc::clone(&self).backups_once(&assignment, &progress),
            self.look_up_once(&lookup::POLICY, &assignment),
            self.look_up_once(&lookup::RESTORE_WINDOW, &assignment),
        );
    }

    async fn backups_once(self: Arc<Self>, assignment: &Arc<Assignment>, progress: &Arc<Progress>) {
        let started = Instant::now();
        let work =
            Arc::clone(&self).poll(Arc::clone(assignment), Memory::default(), Arc::clone(progress));
        // In a task of its own a panic is an outcome.
        let outcome = AbortOnDropHandle::new(tokio::spawn(work)).await;
        let outcome = outcome.unwrap_or_else(|end| Err(panicked(end)));
        // There is no next poll that would want to know.
        self.conclude(&assignment.target, progress, started.elapsed(), outcome);
    }

    /// Polls at once and then once per interval.
    async fn backups(self: Arc<Self>, mut assigned: watch::Receiver<Arc<Assignment>>) {
        let mut memory = Memory::default();
        let mut assignment = Arc::clone(&assigned.borrow_and_update());
        let mut due = self.second(&assignment.target);
        loop {
            self.board.schedule(&assignment.target, due);
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
                        self.board.schedule(&assignment.target, due);
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
            self.board.schedule(&next.target, *due);
        }
        let is_new_way = !Arc::ptr_eq(&next.client, &held.client);
        *held = next;
        is_new_way
    }

    /// When the second poll is due if the first begins now.
    fn second(&self, target: &Target) -> Instant {
        let (interval, hash) = (target.interval, target.stable_hash());
        Instant::now() + schedule::next(self.clock.now(), interval / 2, interval, hash)
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
        let Assignment { target, client, rhythm } = &*assignment;
        // The one list of a project waits for no instance.
        let _begun = if target.instance.is_some() { client.begin().await } else { None };
        self.board.identify(target, client.project_id().await?);
        let Listing { backups, counted_from, known_until, memory } =
            listing::read(client, target, rhythm, &memory, self.clock.now(), &progress).await?;
        self.tell_unknown_words(target, &backups);
        let complete = self.clock.now();
        let observed = known_until.map_or(complete, |until| until.min(complete));
        Ok((Reading::new(target, &backups, counted_from, observed), memory))
    }

    fn publish(&self, target: &Target, outcome: &PollOutcome, reading: Option<&Arc<Reading>>) {
        let failures_before = self.board.update(target, |state| state.after(outcome, reading));
        // Behind it: no poll is counted of which the board does not know yet.
        let reason = outcome.fault.as_ref().map(|fault| fault.reason);
        self.meters.poll(&target.project, target.product.name, reason);
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
            if is_odd.load(Ordering::Relaxed) && self.told.is_new(what, target.to_string()) {
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
            let Some(unknown) = &backup.unknown else { continue };
            for (field, word) in [("type", &unknown.backup_type), ("status", &unknown.status)] {
                if let Some(UnknownWord(word)) = word
                    && self.told.is_new(field, format!("{product} {word}"))
                {
                    warn!(
                        product,
                        field,
                        word = &**word,
                        backup_id = %backup.id,
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
pub(in crate::poll) mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::net::TcpListener;
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};
    use reqwest::Url;
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::account::{Account, Patience, Terms};
    use crate::config::Lookback;
    use crate::metric::{self, Metric};
    use crate::product::{List, Product};
    use crate::shard::Shard;
    use crate::snapshot::TargetState;
    use crate::target;

    pub(in crate::poll) const INTERVAL: Duration = Duration::from_secs(60);
    const INSTANT: Duration = Duration::from_millis(1);
    pub(in crate::poll) const NOWHERE: &str = "http://127.0.0.1:1";

    pub(in crate::poll) fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    /// When its second poll is due, after the first one.
    fn second(target: &Target) -> Duration {
        schedule::next(now(), INTERVAL / 2, INTERVAL, target.stable_hash())
    }

    /// The only target of a config, with another product and endpoint.
    pub(in crate::poll) fn target(lists: fn(&str) -> &'static [List], endpoint: &str) -> Target {
        let targets = target::tests::read(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    \
             rds: { endpoint: https://rds.example, instances: [{ id: db, name: orders }] }\n",
        );
        let [target] = <[_; 1]>::try_from(targets).unwrap();
        let target = Arc::into_inner(target).unwrap();
        let product = Product { lists, untyped: false, ..*target.product };
        let endpoint = Url::parse(endpoint).unwrap();
        Target { product: Box::leak(Box::new(product)), endpoint, ..target }
    }

    /// A target that is polled, in paused time.
    pub(in crate::poll) struct Polled {
        pub(in crate::poll) polling: Arc<Polling>,
        _assign: watch::Sender<Arc<Assignment>>,
        _run: AbortOnDropHandle<()>,
    }

    fn polled(target: Target, request_timeout: Duration) -> Polled {
        polled_by(Clock::new(now), target, request_timeout)
    }

    pub(in crate::poll) fn polled_by(
        clock: Clock,
        target: Target,
        request_timeout: Duration,
    ) -> Polled {
        let target = Arc::new(target);
        let meters = Meters::new().unwrap();
        meters.know(&target.project, target.product.name, []);
        let client = client(&clock, &meters, &target, request_timeout);
        let board = Arc::new(Board::default());
        board.reassign(&[Arc::clone(&target)], &[]);
        let polling = Arc::new(Polling { board, meters, clock, told: Told::default() });
        let (assign, assigned) = watch::channel(Arc::new(Assignment {
            target,
            client: Arc::new(client),
            rhythm: Rhythm {
                lookback: Lookback::All,
                full_walk_interval: SignedDuration::from_hours(24),
                phase: 0,
            },
        }));
        let run = tokio::spawn(Arc::clone(&polling).run(assigned));
        Polled { polling, _assign: assign, _run: AbortOnDropHandle::new(run) }
    }

    /// A client of the target's project that tries everything once.
    pub(in crate::poll) fn client(
        clock: &Clock,
        meters: &Meters,
        target: &Target,
        request_timeout: Duration,
    ) -> Client {
        let credential = Arc::clone(&target.credential);
        let terms = Terms {
            request_timeout,
            patience: Patience { tries: 1, ..Patience::default() },
            clock: clock.clone(),
            meters: meters.clone(),
            shard: Shard::WHOLE,
        };
        let account = Account::new(credential, terms).unwrap();
        Client::new(Arc::new(account), &target.project, &target.project_id, 4)
    }

    impl Polled {
        /// The sum of a counter.
        fn count(&self, metric: &Metric) -> u64 {
            let families = self.polling.meters.gather();
            let family = families.iter().find(|family| family.name() == metric.name).unwrap();
            let values = family.get_metric().iter().map(|sample| sample.get_counter().get_value());
            format!("{}", values.sum::<f64>()).parse().unwrap()
        }

        pub(in crate::poll) fn state(&self) -> Arc<TargetState> {
            Arc::clone(&self.polling.board.snapshot().targets[0])
        }
    }

    #[tokio::test(start_paused = true)]
    async fn polls_come_at_once_then_at_the_phase_of_the_target_and_then_once_per_interval() {
        let begin = Instant::now();
        let target = target(|_| &[], NOWHERE);
        let mut due = begin + second(&target);
        let polled = polled(target, INTERVAL);
        for polls in 1..=4 {
            sleep_until(due - INSTANT).await;
            assert_eq!(polled.count(&metric::POLLS), polls);
            assert_eq!(polled.state().next_poll, Some(due));
            sleep_until(due + INSTANT).await;
            assert_eq!(polled.count(&metric::POLLS), polls + 1);
            due += INTERVAL;
        }
        assert_eq!(polled.count(&metric::POLL_FAILURES), 0);
        assert_eq!(polled.count(&metric::POLL_SKIPPED), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_poll_runs_each_due_one_is_skipped_and_counted_once() {
        static WHOLE: [List; 1] = [List { backup_type: None, windowed: false }];
        // It lets connect, and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let target = target(|_| &WHOLE, &endpoint);
        let begin = Instant::now();
        let second = second(&target);
        let timeout = second + INTERVAL * 5 / 2;
        let polled = polled(target, timeout);
        sleep_until(begin + timeout - INSTANT).await;
        assert_eq!(polled.count(&metric::POLL_SKIPPED), 3);
        assert_eq!(polled.count(&metric::POLLS), 0);
        assert_eq!(polled.state().next_poll, Some(begin + second + INTERVAL * 3));
        sleep_until(begin + timeout + INSTANT).await;
        assert_eq!(polled.count(&metric::POLLS), 1);
        let poll = polled.state().last_poll.clone().unwrap();
        assert_eq!((poll.requests, poll.records), (1, 0));
        assert_eq!(poll.fault.unwrap().reason, Reason::Timeout);
        assert!((timeout..timeout + INSTANT * 5).contains(&poll.took), "{:?}", poll.took);
        // The next one begins when it is due, and is late in turn.
        sleep_until(begin + second + INTERVAL * 4 + INSTANT).await;
        assert_eq!(polled.count(&metric::POLL_SKIPPED), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_that_panics_is_a_failed_one_and_the_next_comes_when_it_is_due() {
        static BEGUN: AtomicU64 = AtomicU64::new(0);
        let target = target(
            |_| {
                assert!(BEGUN.fetch_add(1, Ordering::Relaxed) > 0, "index 7 of 3");
                &[]
            },
            NOWHERE,
        );
        let due = Instant::now() + second(&target);
        let polled = polled(target, INTERVAL);
        sleep_until(due - INSTANT).await;
        let fault = polled.state().last_poll.as_ref().unwrap().fault.clone().unwrap();
        assert_eq!(fault.reason, Reason::Internal);
        assert!(fault.message.contains("index 7 of 3"), "{fault}");
        sleep_until(due + INSTANT).await;
        assert_eq!(polled.state().last_poll.as_ref().unwrap().fault, None);
        assert_eq!(polled.count(&metric::POLLS), 2);
    }

    thread_local! {
        /// What this thread logs.
        static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    struct ToThread;

    impl io::Write for ToThread {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            LOG.with_borrow_mut(|log| log.write(bytes))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_target_is_told_at_once_then_in_growing_gaps_and_when_it_answers_again() {
        static BEGUN: AtomicU64 = AtomicU64::new(0);
        // Of the process: with one for this thread alone, another that comes first to a line of the
        // code would switch it off for all.
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| ToThread);
        let registry = tracing_subscriber::registry().with(LevelFilter::INFO).with(layer);
        tracing::subscriber::set_global_default(registry).unwrap();
        let target = target(
            |_| {
                // The first one fails, the next is well, nine more fail.
                let poll = BEGUN.fetch_add(1, Ordering::Relaxed);
                assert!(poll == 1 || poll > 10, "index 7 of 3");
                &[]
            },
            NOWHERE,
        );
        let last = Instant::now() + second(&target) + INTERVAL * 12;
        let _polled = polled(target, INTERVAL);
        sleep_until(last).await;
        let log = String::from_utf8(LOG.take()).unwrap();
        let told: Vec<&str> = log.lines().filter(|line| line.contains("shop/rds/orders")).collect();
        let failures =
            |line: &&str| line.split("failures=").nth(1).unwrap().parse::<u64>().unwrap();
        let failures: Vec<u64> = told.iter().map(failures).collect();
        assert_eq!(failures, [1, 1, 1, 2, 4, 8, 9], "{log}");
        for (at, line) in told.iter().enumerate() {
            let text = match at {
                1 => "shop/rds/orders answers again after 1 failed polls",
                6 => "shop/rds/orders answers again after 9 failed polls",
                _ => "cannot poll shop/rds/orders: a fault of this program",
            };
            assert!(line.contains(text), "{line}");
        }
    }

    #[test]
    fn what_is_told_is_told_once_and_not_without_end() {
        let told = Told::default();
        assert!(told.is_new("type", "rds snapshot"));
        assert!(!told.is_new("type", "rds snapshot"));
        assert!(told.is_new("status", "rds snapshot"));
        let new = (0..5000).filter(|at| told.is_new("type", at.to_string())).count();
        assert_eq!(new, MOST_TOLD - 1);
        assert!(told.is_new("status", "rds other"), "one kind does not silence another");
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_of_this_program_with_its_text() {
        let end = tokio::spawn(async { panic!("index 7 of 3") }).await.unwrap_err();
        let fault = panicked(end);
        assert_eq!(fault.reason, Reason::Internal);
        assert_eq!(fault.message, "a fault of this program: index 7 of 3");
    }
}
