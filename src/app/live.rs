//! What of a config works at the cloud: one request for each thing that the daemon would ask for.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::{StartError, projects};
use crate::census::{self, Census};
use crate::client::Client;
use crate::clock::Clock;
use crate::config::Config;
use crate::discovery;
use crate::error::{Fault, Reason};
use crate::estate::Estate;
use crate::listing;
use crate::lookup;
use crate::target::{self, Target};

/// One thing that was asked for.
#[derive(Debug)]
pub struct Probe {
    /// The label of the project.
    pub project: String,
    /// The product.
    pub product: &'static str,
    /// What was asked for.
    pub what: String,
    /// How it went.
    pub outcome: Outcome,
}

impl Probe {
    /// A project of which nothing came, by a fault of this program.
    fn broken(project: String, fault: Fault) -> Self {
        let outcome = Outcome::Fails(fault);
        Self { project, product: "?", what: "everything".to_owned(), outcome }
    }
}

/// How it went.
#[derive(Debug)]
pub enum Outcome {
    /// It works, with what came.
    Works(String),
    /// It does not.
    Fails(Fault),
    /// It was not asked for: what failed before is about everything that would follow.
    Left,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works(what) => write!(f, "ok, {what}"),
            Self::Fails(fault) => write!(f, "{}: {fault}", fault.reason),
            Self::Left => f.write_str("not asked, because of the fault above"),
        }
    }
}

/// Asks for everything once. The projects go on side by side, and within one product of a project
/// one thing comes after the other, in the order of the config.
pub async fn probe(config: &Config, clock: Clock) -> Result<Vec<Probe>, StartError> {
    let work = |own: Config, client: Arc<Client>| {
        let now = clock.now();
        async move {
            let project =
                Prober { config: &own, client: &client, probes: Vec::new(), dead: Vec::new() };
            project.run(census::censuses(&own), now).await
        }
    };
    let mut probes = Vec::new();
    for (project, came) in projects::each(config, &clock, work).await? {
        probes.extend(came.unwrap_or_else(|fault| vec![Probe::broken(project, fault)]));
    }
    Ok(probes)
}

/// One project under probe.
struct Prober<'a> {
    config: &'a Config,
    client: &'a Client,
    probes: Vec<Probe>,
    /// Products of which nothing more is asked: the last fault is about everything that would follow.
    dead: Vec<&'static str>,
}

impl Prober<'_> {
    async fn run(mut self, censuses: Vec<Census>, now: Timestamp) -> Vec<Probe> {
        let mut estates = Vec::new();
        for census in censuses {
            let (client, product) = (self.client, census.product.name);
            let mut estate = Estate::new(Arc::new(census.clone()));
            let read = async {
                let read = discovery::read(client, &census).await?;
                let count = read.instances.len();
                estate = estate.after(now, Ok(read.instances));
                Ok(format!("{count} instances"))
            };
            self.ask(&census.project, product, "instances".to_owned(), read).await;
            estates.push(Arc::new(estate));
        }
        let mut looked_up = Vec::new();
        for target in target::targets(self.config, &estates) {
            let (client, product) = (self.client, target.product.name);
            let (what, whose) = match &target.instance {
                Some(it) => (format!("{} ({})", it.label(), it.id), it.label().to_owned()),
                None => ("backups".to_owned(), String::new()),
            };
            let first = async {
                let (page, of) = listing::first_page(client, &target).await?;
                Ok(format!("{} {of}backups", page.total))
            };
            let works = self.ask(&target.project, product, what, first).await;
            // What one instance may be asked for, the others may too.
            if works && !looked_up.contains(&product) {
                looked_up.push(product);
                self.look_up(&target, &whose).await;
            }
        }
        self.probes
    }

    async fn look_up(&mut self, target: &Target, whose: &str) {
        let (client, product) = (self.client, target.product);
        if let Some(call) = product.policy.as_ref().filter(|_| target.policy) {
            let policy = async {
                let policy = lookup::ask(call, client, target).await?;
                Ok(if policy.is_enabled() { "it is on" } else { "it is off" }.to_owned())
            };
            let what = format!("backup policy of {whose}");
            self.ask(&target.project, product.name, what, policy).await;
        }
        if let Some(call) =
            product.restore_window.as_ref().filter(|_| target.restore_window.is_some())
        {
            let window = async {
                let window = lookup::ask(call, client, target).await?;
                Ok(format!("{} ranges", window.ranges))
            };
            let what = format!("restore times of {whose}");
            self.ask(&target.project, product.name, what, window).await;
        }
    }

    /// Asks, unless that is pointless by now. True if it works.
    async fn ask(
        &mut self,
        project: &str,
        product: &'static str,
        what: String,
        question: impl Future<Output = Result<String, Fault>>,
    ) -> bool {
        let outcome = if self.dead.contains(&product) {
            Outcome::Left
        } else {
            match question.await {
                Ok(came) => Outcome::Works(came),
                Err(fault) => Outcome::Fails(fault),
            }
        };
        if let Outcome::Fails(fault) = &outcome
            && is_about_everything(fault.reason)
        {
            self.dead.push(product);
        }
        let works = matches!(outcome, Outcome::Works(_));
        self.probes.push(Probe { project: project.to_owned(), product, what, outcome });
        works
    }
}

/// Whether what comes next would meet the same.
pub(super) fn is_about_everything(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Auth | Reason::Connect | Reason::Http5xx | Reason::Timeout | Reason::Tls
    )
}
