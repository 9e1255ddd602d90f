//! The targets that are polled and the instance lists that are read, each by a loop of its own, and
//! how a new config, or what an instance list brought, takes over.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tracing::{info, warn};

use super::StartError;
use super::ways::Ways;
use crate::account::{Patience, Terms};
use crate::backup::InstanceId;
use crate::census::{self, Census};
use crate::client::Client;
use crate::config::Config;
use crate::error::one_line;
use crate::estate::Estate;
use crate::instance::ListedInstance;
use crate::listing::Rhythm;
use crate::plan;
use crate::poll::{Assignment, Found, Polling};
use crate::shard::Shard;
use crate::target::{self, Target};

/// The loops of all targets and instance lists, and what they share.
#[derive(Debug)]
pub(super) struct Fleet {
    polling: Arc<Polling>,
    patience: Patience,
    shard: Shard,
    config: Config,
    ways: Ways,
    /// One for each instance list, and the loop that reads it.
    estates: Vec<Arc<Estate>>,
    readers: Vec<Reader>,
    found: mpsc::Sender<Found>,
    loops: Vec<Loop>,
    /// The credentials whose budget does not hold.
    strained: BTreeSet<String>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Loop {
    assignment: watch::Sender<Arc<Assignment>>,
    task: AbortHandle,
}

/// The loop of an instance list.
#[derive(Debug)]
struct Reader {
    census: Arc<Census>,
    client: Arc<Client>,
    task: AbortHandle,
}

impl Fleet {
    /// Without a target yet. What the instance lists bring goes to `found`, and comes back by
    /// [`Fleet::learn`].
    pub(super) fn new(
        polling: Arc<Polling>,
        patience: Patience,
        shard: Shard,
        config: Config,
        found: mpsc::Sender<Found>,
    ) -> Result<Self, StartError> {
        let mut fleet = Self {
            polling,
            patience,
            shard,
            config: config.clone(),
            ways: Ways::default(),
            estates: Vec::new(),
            readers: Vec::new(),
            found,
            loops: Vec::new(),
            strained: BTreeSet::new(),
            tasks: JoinSet::new(),
        };
        fleet.apply(config)?;
        Ok(fleet)
    }

    /// Polls what the config says from now on.
    ///
    /// Targets that stay keep what is known of them and their place in the schedule, credentials
    /// that stay keep their tokens, budget and pauses. After an error everything is as it was.
    pub(super) fn apply(&mut self, config: Config) -> Result<(), StartError> {
        let meters = &self.polling.meters;
        let terms = Terms {
            request_timeout: config.poll.request_timeout,
            patience: self.patience,
            clock: self.polling.clock.clone(),
            meters: meters.clone(),
            shard: self.shard,
        };
        let ways = Ways::of(&config, &terms, &self.ways)?;
        ways.meter(&config, meters);
        for (project, _) in self.ways.iter() {
            if ways.to_project(project).is_none() {
                meters.forget(project);
            }
        }
        self.ways = ways;
        self.config = config;
        self.take_census();
        self.deploy();
        // A new config is judged anew.
        self.strained.clear();
        self.judge();
        Ok(())
    }

    /// Takes what an instance list brought, and polls what it shows from now on.
    pub(super) fn learn(&mut self, found: Found) {
        let is_it = |estate: &&mut Arc<Estate>| estate.census.is_same(&found.census);
        // The list may have left the config meanwhile.
        let Some(estate) = self.estates.iter_mut().find(is_it) else { return };
        let before = Arc::clone(estate);
        tell(&before, &found);
        *estate = Arc::new(before.after(found.ended, found.outcome).identified(found.project_id));
        self.deploy();
        self.judge();
    }

    /// Reads the instance lists of the config from now on. What is known of those that stay is kept.
    fn take_census(&mut self) {
        let mut estates = std::mem::take(&mut self.estates);
        let mut readers = std::mem::take(&mut self.readers);
        let censuses = census::censuses(&self.config).into_iter();
        for census in censuses.filter(|census| census.is_read_by(self.shard)) {
            let Some(client) = self.ways.to_project(&census.project) else { continue };
            let same = |it: &Reader| *it.census == census && Arc::ptr_eq(&it.client, client);
            let reader = if let Some(at) = readers.iter().position(same) {
                readers.swap_remove(at)
            } else {
                let census = Arc::new(census);
                let polling = Arc::clone(&self.polling);
                let found = self.found.clone();
                let work = polling.census(Arc::clone(&census), Arc::clone(client), found);
                let task = self.tasks.spawn(work);
                Reader { census, client: Arc::clone(client), task }
            };
            let census = Arc::clone(&reader.census);
            let old = estates.iter().position(|estate| estate.census.is_same(&census));
            self.estates.push(Arc::new(match old {
                Some(at) => estates.swap_remove(at).taken_over(census),
                None => Estate::new(census).read_by(self.shard),
            }));
            self.readers.push(reader);
        }
        for left in readers {
            left.task.abort();
        }
    }

    /// Polls those targets of the config and of the estates that are ours, and shows them on the board.
    fn deploy(&mut self) {
        let mut targets = target::targets(&self.config, &self.estates);
        targets.retain(|target| self.shard.owns(target.stable_hash()));
        self.polling.board.reassign(&targets, &self.estates);
        let mut old: HashMap<[Box<str>; 5], Loop> = HashMap::new();
        for left in self.loops.drain(..) {
            let key = left.assignment.borrow().target.key().map(boxed);
            old.insert(key, left);
        }
        for target in targets {
            let Some(client) = self.ways.to_project(&target.project) else { continue };
            let kept = old.remove(&target.key().map(boxed));
            let assignment = assignment(&self.config, target, client);
            self.loops.push(if let Some(kept) = kept {
                kept.assignment.send_if_modified(|held| {
                    let is_new = **held != *assignment;
                    if is_new {
                        *held = assignment;
                    }
                    is_new
                });
                kept
            } else {
                let (sender, receiver) = watch::channel(assignment);
                let task = self.tasks.spawn(Arc::clone(&self.polling).run(receiver));
                Loop { assignment: sender, task }
            });
        }
        for left in old.into_values() {
            left.task.abort();
        }
    }

    /// Tells of the credentials whose budget does not hold what is polled now, and held it before, and
    /// the other way round.
    fn judge(&mut self) {
        let plan = plan::plan(&self.config, &self.estates, |_| None, &[self.shard]);
        for share in &plan.shares {
            let credential = &share.credential.name;
            match share.warning() {
                Some(warning) if self.strained.insert(credential.clone()) => {
                    warn!(credential, targets = share.work.targets, "{warning}");
                }
                None if self.strained.remove(credential) => {
                    let targets = share.work.targets;
                    info!(
                        credential,
                        targets, "the budget of the credential `{credential}` holds again"
                    );
                }
                _ => {}
            }
        }
    }

    /// How many targets there are.
    pub(super) fn len(&self) -> usize {
        self.loops.len()
    }

    /// Waits until a loop panics; for ever, if none does.
    pub(super) async fn broken(&mut self) -> JoinError {
        loop {
            match self.tasks.join_next().await {
                // A loop whose target left the config ends, or is ended.
                Some(Ok(())) => {}
                Some(Err(error)) if error.is_cancelled() => {}
                Some(Err(error)) => return error,
                None => std::future::pending().await,
            }
        }
    }

    /// Ends all loops.
    pub(super) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// How a target is polled under a config.
pub(super) fn assignment(
    config: &Config,
    target: Arc<Target>,
    client: &Arc<Client>,
) -> Arc<Assignment> {
    let rhythm = Rhythm {
        lookback: config.poll.incremental_lookback,
        full_walk_interval: config.poll.full_walk_interval,
        phase: target.stable_hash(),
    };
    Arc::new(Assignment { target, client: Arc::clone(client), rhythm })
}

fn boxed(part: Cow<'_, str>) -> Box<str> {
    part.into()
}

/// Tells when a list breaks, in growing gaps while it stays so, when it is read again, and what is
/// new in it or gone from it.
pub(super) fn tell(before: &Estate, found: &Found) {
    let census = &found.census;
    let (project, product) = (&census.project, census.product.name);
    let failures = before.failures;
    let listed = match &found.outcome {
        Ok(listed) => listed,
        Err(fault) if (failures + 1).is_power_of_two() => {
            let failures = failures + 1;
            let reason = fault.reason.label();
            warn!(%project, product, reason, failures, "cannot read {census}: {fault}");
            return;
        }
        Err(_) => return,
    };
    if failures > 0 {
        info!(%project, product, failures, "{census} can be read again");
    }
    let new = listed.iter().filter(|it| before.find(&it.id).is_none()).map(named);
    let new: Vec<String> = new.collect();
    let ids: HashSet<&InstanceId> = listed.iter().map(|it| &it.id).collect();
    let gone = before.instances().filter(|known| known.missed == 0).map(|known| &known.listed);
    let gone: Vec<String> = gone.filter(|it| !ids.contains(&it.id)).map(named).collect();
    if !new.is_empty() {
        let (count, names) = (new.len(), first(&new));
        info!(%project, product, count, "{census} have {count} new ones: {names}");
    }
    if !gone.is_empty() {
        let (count, names) = (gone.len(), first(&gone));
        warn!(%project, product, count, "{census} do not have {count} of before: {names}");
    }
}

fn named(listed: &ListedInstance) -> String {
    match &listed.name {
        Some(name) => one_line(&format!("{name} ({})", listed.id)),
        None => one_line(listed.id.as_str()),
    }
}

/// The first few, and that there are more.
fn first(names: &[String]) -> String {
    let more = if names.len() > MOST_NAMES { ", …" } else { "" };
    let first: Vec<&str> = names.iter().take(MOST_NAMES).map(String::as_str).collect();
    first.join(", ") + more
}

const MOST_NAMES: usize = 10;
