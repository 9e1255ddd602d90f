//! The daemon: the one place that knows all its parts. Builds them, runs them, reloads their config,
//! ends them.

mod fleet;
pub mod live;
mod projects;
mod reload;
pub mod round;
pub mod survey;
pub mod wanted;
mod ways;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use crate::account::Patience;
use crate::clock::Clock;
use crate::config::{Config, first_lines};
use crate::error::Chain;
use crate::exposition::Latest;
use crate::http::TlsError;
use crate::meter::Meters;
use crate::poll::{Found, Polling, Told};
use crate::shard::Shard;
use crate::snapshot::Board;
use crate::web::{self, Crowd, Front, ListenError, Reloader, Site};
use fleet::Fleet;
use reload::Request;

/// What the daemon is started with besides its config.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses with port.
    pub listen_addresses: Vec<String>,
    /// On which terms one may connect and ask.
    pub front: Arc<Front>,
    /// Connections at a time.
    pub most_connections: usize,
    /// The path of the exposition.
    pub telemetry_path: String,
    /// Whether the config may be reloaded over HTTP.
    pub enable_lifecycle: bool,
    /// Where the config is read again; none if it is no file.
    pub config_file: Option<PathBuf>,
    /// Which part of the targets it polls.
    pub shard: Shard,
    /// The time.
    pub clock: Clock,
    /// How often and after which waits a request to the cloud is tried.
    pub patience: Patience,
    /// Between two renderings of the exposition.
    pub render_gap: Duration,
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
    fleet: Fleet,
    found: mpsc::Receiver<Found>,
    exposition: Arc<Latest>,
    meters: Meters,
    clock: Clock,
    config_file: Option<PathBuf>,
    reloader: Reloader,
    reloads: mpsc::Receiver<Request>,
}

/// Instance lists that wait to be learnt.
const MOST_WAITING: usize = 16;
/// Ready at the latest after this, whatever the interval.
const READY_AFTER: Duration = Duration::from_secs(5 * 60);

impl Daemon {
    /// Binds the addresses, builds everything else, and begins to poll.
    pub async fn start(config: &Config, options: Options) -> Result<Self, StartError> {
        let mut listeners = Vec::new();
        for address in &options.listen_addresses {
            listeners.push(web::listen(address).await?);
        }
        let Options { shard, clock, patience, telemetry_path, config_file, render_gap, .. } =
            options;
        let meters = Meters::new()?;
        meters.shard(shard.index(), shard.count());
        let board = Arc::new(Board::default());
        let polling = Arc::new(Polling {
            board: Arc::clone(&board),
            meters: meters.clone(),
            clock: clock.clone(),
            told: Told::default(),
        });
        let (finder, found) = mpsc::channel(MOST_WAITING);
        let fleet = Fleet::new(polling, patience, shard, config.clone(), finder)?;
        meters.config_loaded(clock.now());
        let exposition = Arc::new(Latest::new(Arc::clone(&board), render_gap));
        let (reloader, reloads) = reload::channel();
        let site = Site {
            board,
            exposition: Arc::clone(&exposition),
            meters: meters.clone(),
            shard,
            front: options.front,
            crowd: Arc::new(Crowd::new(options.most_connections, meters.clone())),
            clock: clock.clone(),
            telemetry_path,
            reloader: options.enable_lifecycle.then(|| reloader.clone()),
            started: Instant::now(),
            ready_after: config.poll.interval.min(READY_AFTER),
            ready: AtomicBool::new(false),
        };
        Ok(Self {
            listeners,
            site: Arc::new(site),
            fleet,
            found,
            exposition,
            meters,
            clock,
            config_file,
            reloader,
            reloads,
        })
    }

    /// The addresses it is bound to.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// What its scrapes are answered from.
    pub fn exposition(&self) -> Arc<Latest> {
        Arc::clone(&self.exposition)
    }

    /// The way to ask it for a reload.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Polls and serves until `stop`. Then polls are dropped and running answers end.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Ended> {
        for address in self.addresses() {
            info!(%address, targets = self.fleet.len(), "listening on {address}");
        }
        let exposition = self.exposition();
        let mut rendering =
            AbortOnDropHandle::new(tokio::spawn(async move { exposition.keep().await }));
        let (front, meters) = (Arc::clone(&self.site.front), self.meters.clone());
        let mut fronting =
            AbortOnDropHandle::new(tokio::spawn(async move { front.keep(&meters).await }));
        let mut servers = JoinSet::new();
        for listener in std::mem::take(&mut self.listeners) {
            servers.spawn(web::serve(listener, Arc::clone(&self.site), stop.clone()));
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                error = self.fleet.broken() => return Err(Ended(Some(error))),
                // Scrapes that show the same for ever are worse than none.
                ended = &mut rendering => return Err(Ended(Some(ended.unwrap_or_else(|it| it)))),
                // A certificate that is never renewed shuts everybody out.
                ended = &mut fronting => return Err(Ended(Some(ended.unwrap_or_else(|it| it)))),
                Some(ended) = servers.join_next() => {
                    if stop.is_cancelled() {
                        break;
                    }
                    return Err(Ended(ended.err()));
                }
                Some(found) = self.found.recv() => self.fleet.learn(found),
                Some(request) = self.reloads.recv() => {
                    let outcome = self.reload();
                    // Whoever asked may have gone.
                    request.send(outcome).ok();
                }
            }
        }
        self.fleet.stop().await;
        while servers.join_next().await.is_some() {}
        info!("stopped");
        Ok(())
    }

    /// Reads the config file again. An error is the text of everything that is wrong, and then the
    /// config in force stays.
    fn reload(&mut self) -> Result<(), String> {
        let outcome = self.try_reload();
        match &outcome {
            Ok(()) => {
                self.meters.config_loaded(self.clock.now());
                info!(targets = self.fleet.len(), "the config was reloaded");
            }
            Err(problems) => {
                self.meters.config_refused();
                for problem in problems.lines() {
                    error!("{problem}");
                }
                error!("the config has problems; the one in force stays");
            }
        }
        outcome
    }

    fn try_reload(&mut self) -> Result<(), String> {
        let Some(file) = &self.config_file else {
            return Err("there is no config file to read again".to_owned());
        };
        let loaded = Config::load(file).map_err(|problems| first_lines(&problems).join("\n"))?;
        self.fleet.apply(loaded.config).map_err(|error| Chain(&error).to_string())?;
        for finding in first_lines(&loaded.findings) {
            warn!("{finding}");
        }
        Ok(())
    }
}
