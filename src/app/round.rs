//! One round without a daemon: every instance list is read once and every target is polled once, by the
//! code that the daemon runs. Nothing is served, and nothing is kept.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tracing::error;

use super::StartError;
use super::fleet::{assignment, tell};
use super::wanted::Wanted;
use super::ways::Ways;
use crate::account::{Patience, Terms};
use crate::census::{self, Census};
use crate::clock::Clock;
use crate::config::Config;
use crate::estate::Estate;
use crate::listing::Progress;
use crate::meter::Meters;
use crate::poll::{Found, Polling, Told};
use crate::shard::Shard;
use crate::snapshot::{Board, Snapshot, TargetState};
use crate::target::{self, Target};

/// What a round is made with besides the config.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which part of the targets is polled.
    pub shard: Shard,
    /// Which instances are asked for; none for all.
    pub wanted: Option<Wanted>,
    /// The time.
    pub clock: Clock,
    /// How often and after which waits a request to the cloud is tried.
    pub patience: Patience,
}

/// What whoever watches a round is told.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// An instance list is going to be read.
    Reading(&'a Census),
    /// It was read, or could not be.
    Read(&'a Estate),
    /// A target is going to be polled; how far that has come shows from now on.
    Begun(&'a Target, &'a Arc<Progress>),
    /// It was polled, with whatever outcome.
    Ended(&'a TargetState),
}

/// Whoever watches a round.
pub type Watch<'a> = dyn FnMut(Step<'_>) + Send + 'a;

/// What a round brought.
#[derive(Debug)]
pub struct Round {
    /// What is known of the cloud.
    pub snapshot: Snapshot,
    /// What was counted.
    pub meters: Meters,
    /// When it ended.
    pub ended: Timestamp,
    /// Some gauges ask them, for as long as there is something to ask.
    _ways: Ways,
}

impl Round {
    /// Whether everything that was asked was answered: each list, each target, and each call besides.
    pub fn is_well(&self) -> bool {
        let estates = self.snapshot.estates.iter();
        let targets = self.snapshot.targets.iter();
        estates.map(|it| &**it).all(is_read) && targets.map(|it| &**it).all(is_whole)
    }
}

/// Whether an instance list was read.
fn is_read(estate: &Estate) -> bool {
    estate.is_known() && estate.failures == 0
}

/// Whether a target was polled, and what there was to ask besides was answered.
fn is_whole(state: &TargetState) -> bool {
    let is_polled = state.last_poll.as_ref().is_some_and(|poll| poll.fault.is_none());
    is_polled && state.policy.failures == 0 && state.restore_window.failures == 0
}

/// Goes over everything once. The targets of a product wait for its instance list, where one is read:
/// they are what it says, by the names that it gives.
pub async fn round(
    config: &Config,
    options: Options,
    told: &mut Watch<'_>,
) -> Result<Round, StartError> {
    let Options { shard, wanted, clock, patience } = options;
    let meters = Meters::new()?;
    meters.shard(shard.index(), shard.count());
    let terms = Terms {
        request_timeout: config.poll.request_timeout,
        patience,
        clock: clock.clone(),
        meters: meters.clone(),
        shard,
    };
    let ways = Ways::of(config, &terms, &Ways::default())?;
    ways.meter(config, &meters);
    meters.config_loaded(clock.now());
    let polling = Arc::new(Polling {
        board: Arc::new(Board::default()),
        meters: meters.clone(),
        clock: clock.clone(),
        told: Told::default(),
    });
    let (estates, begun, tasks) = (Vec::new(), HashSet::new(), JoinSet::new());
    let mut going = Going { config, shard, wanted, ways: &ways, polling, estates, begun, tasks };
    going.read(told);
    going.poll(told);
    while let Some(done) = going.tasks.join_next().await {
        match done {
            Ok(Done::Read(found)) => going.learn(found, told),
            Ok(Done::Polled(target)) => {
                let state = going.polling.board.state(&target);
                if let Some(state) = state {
                    told(Step::Ended(&state));
                }
            }
            // What it was about stays untried, which is a failure of the round.
            Err(error) => error!(%error, "a task of the round ended, which none may"),
        }
    }
    let snapshot = going.polling.board.snapshot();
    Ok(Round { snapshot, meters, ended: clock.now(), _ways: ways })
}

/// A round that goes on.
struct Going<'a> {
    config: &'a Config,
    shard: Shard,
    wanted: Option<Wanted>,
    ways: &'a Ways,
    polling: Arc<Polling>,
    estates: Vec<Arc<Estate>>,
    /// The targets that are polled, or were, by their hashes, in which the letter case of an id does not
    /// count, and by their ids.
    begun: HashSet<(u64, String)>,
    tasks: JoinSet<Done>,
}

/// What ended.
enum Done {
    Read(Found),
    Polled(Arc<Target>),
}

impl Going<'_> {
    /// Begins to read the instance lists.
    fn read(&mut self, told: &mut Watch<'_>) {
        let censuses = census::censuses(self.config).into_iter().map(Arc::new);
        for census in censuses.filter(|census| census.is_read_by(self.shard)) {
            let Some(client) = self.ways.to_project(&census.project) else { continue };
            told(Step::Reading(&census));
            self.estates.push(Arc::new(Estate::new(Arc::clone(&census)).read_by(self.shard)));
            let (polling, client) = (Arc::clone(&self.polling), Arc::clone(client));
            self.tasks
                .spawn(async move { Done::Read(polling.read_census(&census, &client).await) });
        }
    }

    /// Takes what an instance list brought, and begins to poll what waited for it.
    fn learn(&mut self, found: Found, told: &mut Watch<'_>) {
        let is_it = |estate: &&mut Arc<Estate>| estate.census.is_same(&found.census);
        let Some(estate) = self.estates.iter_mut().find(is_it) else { return };
        // Everything is new here, which need not be told.
        if found.outcome.is_err() {
            tell(estate, &found);
        }
        *estate = Arc::new(estate.after(found.ended, found.outcome).identified(found.project_id));
        let estate = Arc::clone(estate);
        self.poll(told);
        told(Step::Read(&estate));
    }

    /// Begins to poll the targets that wait for no instance list any more.
    fn poll(&mut self, told: &mut Watch<'_>) {
        let mut targets = target::targets(self.config, &self.estates);
        targets.retain(|target| self.shard.owns(target.stable_hash()));
        targets.retain(|target| self.wanted.as_ref().is_none_or(|it| it.may_be_of(target)));
        self.polling.board.reassign(&targets, &self.estates);
        let waited_for = self.estates.iter().filter(|estate| !estate.was_tried());
        let waited_for: HashSet<(&str, &str)> = waited_for
            .map(|estate| (&*estate.census.project, estate.census.product.name))
            .collect();
        for target in targets {
            let waits = waited_for.contains(&(&*target.project, target.product.name));
            let Some(client) = self.ways.to_project(&target.project) else { continue };
            let key = (target.stable_hash(), target.instance_id().to_owned());
            if waits || !self.begun.insert(key) {
                continue;
            }
            let progress = Arc::new(Progress::default());
            told(Step::Begun(&target, &progress));
            let polling = Arc::clone(&self.polling);
            let assignment = assignment(self.config, Arc::clone(&target), client);
            self.tasks.spawn(async move {
                polling.once(assignment, progress).await;
                Done::Polled(target)
            });
        }
    }
}
