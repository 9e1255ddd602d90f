//! The daemon: the one place that knows all its parts. Builds them, runs them, ends them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::auth::Account;
use crate::client::Client;
use crate::clock::Clock;
use crate::config::{Config, Project};
use crate::http::TlsError;
use crate::meter::Meters;
use crate::poll::{Polling, ToldWords};
use crate::snapshot::Board;
use crate::target::{self, Target};
use crate::web::{self, ListenError, Site};

/// Where the daemon listens and what it is asked for.
#[derive(Clone, Debug)]
pub struct Web {
    /// Addresses with port.
    pub listen_addresses: Vec<String>,
    /// The path of the exposition.
    pub telemetry_path: String,
}

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A metric.
    #[error("cannot register the metrics of the exporter")]
    Metrics(#[from] prometheus::Error),
    /// TLS.
    #[error("cannot use the credential `{credential}`")]
    Tls {
        /// Of which credential.
        credential: String,
        /// Why.
        source: TlsError,
    },
}

/// Why the daemon ended without being asked.
#[derive(Debug, thiserror::Error)]
#[error("a task of the daemon ended, which none may")]
pub struct Ended(#[source] Option<tokio::task::JoinError>);

/// A daemon that is bound and ready to run.
#[derive(Debug)]
pub struct Daemon {
    listeners: Vec<TcpListener>,
    site: Arc<Site>,
    polling: Arc<Polling>,
    targets: Vec<(Arc<Target>, Arc<Client>)>,
}

/// Ready at the latest after this, whatever the interval.
const READY_AFTER: Duration = Duration::from_secs(5 * 60);

impl Daemon {
    /// Binds the addresses and builds everything else; nothing is asked yet.
    pub async fn start(config: &Config, web: &Web, clock: Clock) -> Result<Self, StartError> {
        let mut listeners = Vec::new();
        for address in &web.listen_addresses {
            listeners.push(web::listen(address).await?);
        }
        let meters = Meters::new()?;
        meters.config_loaded(clock.now());
        let clients = clients(config, &clock, &meters)?;
        let targets = target::targets(config);
        for target in &targets {
            meters.know(&target.project, target.product.name);
        }
        let board = Arc::new(Board::new(&targets));
        let site = Site {
            board: Arc::clone(&board),
            meters: meters.clone(),
            clock: clock.clone(),
            telemetry_path: web.telemetry_path.clone(),
            started: Instant::now(),
            ready_after: config.poll.interval.min(READY_AFTER),
            ready: AtomicBool::new(false),
        };
        let lookback = config.poll.incremental_lookback;
        let polling = Polling { board, meters, clock, lookback, told: ToldWords::default() };
        let with_client = |target: Arc<Target>| {
            let client = clients.get(&*target.project)?;
            Some((target, Arc::clone(client)))
        };
        Ok(Self {
            listeners,
            site: Arc::new(site),
            polling: Arc::new(polling),
            targets: targets.into_iter().filter_map(with_client).collect(),
        })
    }

    /// The addresses it is bound to.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Polls and serves until `stop`. Then polls are dropped and running answers end.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Ended> {
        for address in self.addresses() {
            info!(%address, targets = self.targets.len(), "listening on {address}");
        }
        let mut polls = JoinSet::new();
        for (target, client) in self.targets {
            polls.spawn(Arc::clone(&self.polling).run(target, client));
        }
        let mut servers = JoinSet::new();
        for listener in self.listeners {
            servers.spawn(web::serve(listener, Arc::clone(&self.site), stop.clone()));
        }
        let ended = tokio::select! {
            Some(end) = polls.join_next() => Some(end),
            Some(end) = servers.join_next(), if !stop.is_cancelled() => Some(end),
            () = stop.cancelled() => None,
        };
        match ended {
            Some(end) if !stop.is_cancelled() => return Err(Ended(end.err())),
            _ => {}
        }
        polls.shutdown().await;
        while servers.join_next().await.is_some() {}
        info!("stopped");
        Ok(())
    }
}

/// One client per project; those of one credential share its account.
fn clients(
    config: &Config,
    clock: &Clock,
    meters: &Meters,
) -> Result<HashMap<Box<str>, Arc<Client>>, StartError> {
    let mut accounts: HashMap<&str, Arc<Account>> = HashMap::new();
    let mut clients = HashMap::new();
    for Project { name, project_id, credential, .. } in &config.projects {
        let account = match accounts.entry(&credential.name) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(unknown) => {
                let account = Account::new(
                    Arc::clone(credential),
                    config.poll.request_timeout,
                    clock.clone(),
                    meters.clone(),
                );
                let account = account.map_err(|source| StartError::Tls {
                    credential: credential.name.clone(),
                    source,
                })?;
                Arc::clone(unknown.insert(Arc::new(account)))
            }
        };
        let client = Client::new(account, name, project_id, config.poll.concurrency);
        clients.insert(name.as_str().into(), Arc::new(client));
    }
    Ok(clients)
}
