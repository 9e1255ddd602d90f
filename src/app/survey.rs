//! How long the lists of a config are at the cloud: one request for each.

use std::collections::HashMap;
use std::sync::Arc;

use super::live::is_about_everything;
use super::{StartError, projects};
use crate::census::{self, Census};
use crate::client::Client;
use crate::clock::Clock;
use crate::config::Config;
use crate::discovery;
use crate::error::Fault;
use crate::estate::Estate;
use crate::listing::cost::{self, Totals};
use crate::target::{self, Target};

/// What the cloud says.
#[derive(Debug, Default)]
pub struct Survey {
    /// The instance lists, those that could be read.
    pub estates: Vec<Arc<Estate>>,
    /// What could not be asked, and why.
    pub faults: Vec<String>,
    totals: HashMap<u64, Totals>,
}

impl Survey {
    /// The lengths of the lists of a target, if they are known.
    pub fn totals(&self, target: &Target) -> Option<Totals> {
        self.totals.get(&target.stable_hash()).cloned()
    }

    fn add(&mut self, other: Self) {
        self.estates.extend(other.estates);
        self.faults.extend(other.faults);
        self.totals.extend(other.totals);
    }
}

/// Asks. The projects go on side by side, and within one product of a project one thing comes after
/// the other, in the order of the config.
pub async fn survey(config: &Config, clock: Clock) -> Result<Survey, StartError> {
    let work = |own: Config, client: Arc<Client>| {
        let clock = clock.clone();
        async move {
            let (found, dead) = (Survey::default(), Vec::new());
            Surveyor { config: &own, client: &client, clock: &clock, found, dead }.run().await
        }
    };
    let mut survey = Survey::default();
    for (project, came) in projects::each(config, &clock, work).await? {
        match came {
            Ok(found) => survey.add(found),
            Err(fault) => survey.faults.push(format!("{project}: {}: {fault}", fault.reason)),
        }
    }
    Ok(survey)
}

/// One project under survey.
struct Surveyor<'a> {
    config: &'a Config,
    client: &'a Client,
    clock: &'a Clock,
    found: Survey,
    /// Products of which nothing more is asked: the last fault is about everything that would follow.
    dead: Vec<&'static str>,
}

impl Surveyor<'_> {
    async fn run(mut self) -> Survey {
        for census in census::censuses(self.config) {
            let list = self.list(&census).await;
            if let Some(estate) = self.note(census.product.name, &census, list) {
                self.found.estates.push(Arc::new(estate));
            }
        }
        let lookback = self.config.poll.incremental_lookback;
        for target in target::targets(self.config, &self.found.estates) {
            let product = target.product.name;
            if self.dead.contains(&product) {
                continue;
            }
            let totals = cost::totals(self.client, &target, lookback).await;
            if let Some(totals) = self.note(product, &target, totals) {
                self.found.totals.insert(target.stable_hash(), totals);
            }
        }
        self.found
    }

    async fn list(&self, census: &Census) -> Result<Estate, Fault> {
        let read = discovery::read(self.client, census).await?;
        Ok(Estate::new(Arc::new(census.clone())).after(self.clock.now(), Ok(read.instances)))
    }

    /// What came, if anything; else the fault is noted.
    fn note<T>(
        &mut self,
        product: &'static str,
        what: &impl std::fmt::Display,
        outcome: Result<T, Fault>,
    ) -> Option<T> {
        match outcome {
            Ok(came) => Some(came),
            Err(fault) => {
                if is_about_everything(fault.reason) {
                    self.dead.push(product);
                }
                self.found.faults.push(format!("{what}: {}: {fault}", fault.reason));
                None
            }
        }
    }
}
