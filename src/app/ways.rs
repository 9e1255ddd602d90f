//! The credentials of a config in use, and the way into each of its projects.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::StartError;
use crate::account::{Account, Terms};
use crate::auth::{PROJECTS_API, SIGN_IN_API};
use crate::client::Client;
use crate::config::{Config, ProductConfig, Project, ProjectId};
use crate::meter::Meters;

/// What everything that asks the cloud goes through.
#[derive(Debug, Default)]
pub(super) struct Ways {
    accounts: BTreeMap<Box<str>, Arc<Account>>,
    clients: BTreeMap<Box<str>, Arc<Client>>,
}

impl Ways {
    /// The ways that a config asks for. Of the old ones stay those that would be the same: with
    /// their tokens, budget and pauses.
    pub(super) fn of(config: &Config, terms: &Terms, old: &Self) -> Result<Self, StartError> {
        let mut ways = Self::default();
        for credential in &config.credentials {
            let name = credential.name.as_str();
            let account = match old.accounts.get(name).filter(|old| old.serves(credential, terms)) {
                Some(old) => Arc::clone(old),
                None => Account::new(Arc::clone(credential), terms.clone())
                    .map_err(|source| StartError::Tls { credential: name.to_owned(), source })?
                    .into(),
            };
            ways.accounts.insert(name.into(), account);
        }
        for Project { name, project_id, credential, .. } in &config.projects {
            let Some(account) = ways.accounts.get(credential.name.as_str()) else { continue };
            let concurrency = config.poll.concurrency;
            let old = old.clients.get(name.as_str());
            let old = old.filter(|old| old.serves(account, project_id, concurrency));
            let client = old.cloned().unwrap_or_else(|| {
                Arc::new(Client::new(Arc::clone(account), name, project_id, concurrency))
            });
            ways.clients.insert(name.as_str().into(), client);
        }
        Ok(ways)
    }

    /// Makes the counters of everything that is asked exist, and ties the gauges of the projects to
    /// the ways into them.
    pub(super) fn meter(&self, config: &Config, meters: &Meters) {
        for project in &config.projects {
            for ProductConfig { product, .. } in &project.products {
                meters.know(&project.name, product.name, product.apis().chain([SIGN_IN_API]));
            }
            if let ProjectId::LookedUp { .. } = project.project_id {
                for ProductConfig { product, .. } in &project.products {
                    meters.know(&project.name, product.name, [PROJECTS_API]);
                }
            }
        }
        for (project, client) in self.iter() {
            // Weak: the account holds the meters.
            let watched = Arc::downgrade(client.account());
            let backoff = move || watched.upgrade().map(|account| account.backoff());
            meters.backoff(project, move || backoff().unwrap_or_default());
            let watched = Arc::downgrade(client);
            let expiry = move || watched.upgrade().and_then(|client| client.token_expires_at());
            meters.auth_token_expiry(project, expiry);
        }
    }

    /// The way into a project.
    pub(super) fn to_project(&self, project: &str) -> Option<&Arc<Client>> {
        self.clients.get(project)
    }

    /// The ways by the label of their project.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Client>)> {
        self.clients.iter().map(|(project, client)| (&**project, client))
    }
}
