//! The targets that are polled, each by a loop of its own, and how a new config takes over.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::StartError;
use crate::account::{Account, Patience, Terms};
use crate::auth::{PROJECTS_API, SIGN_IN_API};
use crate::client::Client;
use crate::config::{Config, Project, ProjectId};
use crate::poll::{Assignment, Polling};
use crate::target::{self, Target};

/// The loops of all targets, and what they share.
#[derive(Debug)]
pub(super) struct Fleet {
    polling: Arc<Polling>,
    patience: Patience,
    accounts: BTreeMap<Box<str>, Arc<Account>>,
    clients: BTreeMap<Box<str>, Arc<Client>>,
    loops: Vec<Loop>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Loop {
    assignment: watch::Sender<Arc<Assignment>>,
    task: AbortHandle,
}

impl Fleet {
    /// Without a target yet.
    pub(super) fn new(polling: Arc<Polling>, patience: Patience) -> Self {
        Self {
            polling,
            patience,
            accounts: BTreeMap::new(),
            clients: BTreeMap::new(),
            loops: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Polls what the config says from now on.
    ///
    /// Targets that stay keep what is known of them and their place in the schedule, credentials
    /// that stay keep their tokens, budget and pauses. After an error everything is as it was.
    pub(super) fn apply(&mut self, config: &Config) -> Result<(), StartError> {
        let accounts = self.accounts_of(config)?;
        let clients = self.clients_of(config, &accounts);
        let targets = target::targets(config);
        let meters = &self.polling.meters;
        for target in &targets {
            let Target { project, product, .. } = &**target;
            meters.know(project, product.name, &[product.api, SIGN_IN_API]);
            if let ProjectId::LookedUp { .. } = target.project_id {
                meters.know(project, product.name, &[PROJECTS_API]);
            }
        }
        for (project, client) in &clients {
            // Weak: the account holds the meters.
            let watched = Arc::downgrade(client.account());
            let backoff = move || watched.upgrade().map(|account| account.backoff());
            meters.backoff(project, move || backoff().unwrap_or_default());
        }
        self.polling.board.reassign(&targets);
        let mut old = std::mem::take(&mut self.loops);
        for target in targets {
            let Some(client) = clients.get(&target.project) else { continue };
            let assignment = Arc::new(Assignment {
                target,
                client: Arc::clone(client),
                lookback: config.poll.incremental_lookback,
            });
            let same = |it: &Loop| it.assignment.borrow().target.is_same(&assignment.target);
            self.loops.push(if let Some(at) = old.iter().position(same) {
                let kept = old.swap_remove(at);
                kept.assignment.send_replace(assignment);
                kept
            } else {
                let (sender, receiver) = watch::channel(assignment);
                let task = self.tasks.spawn(Arc::clone(&self.polling).run(receiver));
                Loop { assignment: sender, task }
            });
        }
        for left in old {
            left.task.abort();
        }
        for project in self.clients.keys().filter(|project| !clients.contains_key(*project)) {
            self.polling.meters.forget(project);
        }
        self.accounts = accounts;
        self.clients = clients;
        Ok(())
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

    fn accounts_of(&self, config: &Config) -> Result<BTreeMap<Box<str>, Arc<Account>>, StartError> {
        let terms = Terms {
            request_timeout: config.poll.request_timeout,
            patience: self.patience,
            clock: self.polling.clock.clone(),
            meters: self.polling.meters.clone(),
        };
        let mut accounts = BTreeMap::new();
        for credential in &config.credentials {
            let name = credential.name.as_str();
            let old = self.accounts.get(name).filter(|old| old.serves(credential, &terms));
            let account =
                match old {
                    Some(old) => Arc::clone(old),
                    None => Arc::new(Account::new(Arc::clone(credential), terms.clone()).map_err(
                        |source| StartError::Tls { credential: name.to_owned(), source },
                    )?),
                };
            accounts.insert(name.into(), account);
        }
        Ok(accounts)
    }

    fn clients_of(
        &self,
        config: &Config,
        accounts: &BTreeMap<Box<str>, Arc<Account>>,
    ) -> BTreeMap<Box<str>, Arc<Client>> {
        let mut clients = BTreeMap::new();
        for Project { name, project_id, credential, .. } in &config.projects {
            let Some(account) = accounts.get(credential.name.as_str()) else { continue };
            let concurrency = config.poll.concurrency;
            let old = self.clients.get(name.as_str());
            let old = old.filter(|old| old.serves(account, project_id, concurrency));
            let client = old.cloned().unwrap_or_else(|| {
                Arc::new(Client::new(Arc::clone(account), name, project_id, concurrency))
            });
            clients.insert(name.as_str().into(), client);
        }
        clients
    }
}
