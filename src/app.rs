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

use crate::account::{Account, Patience, Terms};
use crate::auth::SIGN_IN_API;
use crate::client::Client;
use crate::clock::Clock;
use crate::config::{Config, Project};
use crate::http::TlsError;
use crate::meter::Meters;
use crate::poll::{Polling, Told};
use crate::snapshot::Board;
use crate::target::{self, Target};
use crate::web::{self, ListenError, Site};

/// What the daemon is started with besides its config.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses with port.
    pub listen_addresses: Vec<String>,
    /// The path of the exposition.
    pub telemetry_path: String,
    /// The time.
    pub clock: Clock,
    /// How often and after which waits a request to the cloud is tried.
    pub patience: Patience,
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
    pub async fn start(config: &Config, options: Options) -> Result<Self, StartError> {
        let Options { listen_addresses, telemetry_path, clock, patience } = options;
        let mut listeners = Vec::new();
        for address in &listen_addresses {
            listeners.push(web::listen(address).await?);
        }
        let meters = Meters::new()?;
        meters.config_loaded(clock.now());
        let terms = Terms {
            request_timeout: config.poll.request_timeout,
            patience,
            clock: clock.clone(),
            meters: meters.clone(),
        };
        let clients = clients(config, &terms)?;
        let targets = target::targets(config);
        for target in &targets {
            let Target { project, product, .. } = &**target;
            meters.know(project, product.name, &[product.api, SIGN_IN_API]);
        }
        let board = Arc::new(Board::new(&targets));
        let site = Site {
            board: Arc::clone(&board),
            meters: meters.clone(),
            clock: clock.clone(),
            telemetry_path,
            started: Instant::now(),
            ready_after: config.poll.interval.min(READY_AFTER),
            ready: AtomicBool::new(false),
        };
        let lookback = config.poll.incremental_lookback;
        let polling = Polling { board, meters, clock, lookback, told: Told::default() };
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
fn clients(config: &Config, terms: &Terms) -> Result<HashMap<Box<str>, Arc<Client>>, StartError> {
    let mut accounts: HashMap<&str, Arc<Account>> = HashMap::new();
    let mut clients = HashMap::new();
    for Project { name, project_id, credential, .. } in &config.projects {
        let account = match accounts.entry(&credential.name) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(unknown) => {
                let account = Account::new(Arc::clone(credential), terms.clone());
                let account = account.map_err(|source| StartError::Tls {
                    credential: credential.name.clone(),
                    source,
                })?;
                Arc::clone(unknown.insert(Arc::new(account)))
            }
        };
        // Weak: the account holds the meters.
        let watched = Arc::downgrade(&account);
        let backoff = move || watched.upgrade().map(|account| account.backoff());
        terms.meters.backoff(name, move || backoff().unwrap_or_default());
        let client = Client::new(account, name, project_id, config.poll.concurrency);
        clients.insert(name.as_str().into(), Arc::new(client));
    }
    Ok(clients)
}
