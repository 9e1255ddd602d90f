//! `serve`: the daemon, until a signal.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{BAD_CONFIG, FAILED, supervisor};
use crate::account::Patience;
use crate::app::{Daemon, Options};
use crate::cli::Arguments;
use crate::clock::Clock;
use crate::config::{Config, Loaded, Problems, first_lines};
use crate::error::Chain;
use crate::exposition;
use crate::shard::Shard;
use crate::web::{self, Front, Reloader};

const LISTEN_ADDRESS: &str = "0.0.0.0:19747";

pub(super) async fn run(arguments: &Arguments, shard: Shard) -> ExitCode {
    // Both are read, whatever is wrong with the one.
    let front = front(arguments);
    let Loaded { config, findings } = match Config::load(&arguments.config_file) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse("config", &problems),
    };
    let front = match front {
        Ok(front) => front,
        Err(code) => return code,
    };
    for finding in first_lines(&findings) {
        warn!("{finding}");
    }
    let config_file = Some(arguments.config_file.clone());
    match start(&config, config_file, front, arguments, shard, LISTEN_ADDRESS).await {
        Ok(started) => started.until_signal().await,
        Err(code) => code,
    }
}

/// On which terms one may connect, by the web config if there is one. An error is logged and is the
/// exit code.
pub(super) fn front(arguments: &Arguments) -> Result<Front, ExitCode> {
    let Some(file) = &arguments.web_config_file else { return Ok(Front::default()) };
    match Front::open(file, web::GAP) {
        Ok((front, findings)) => {
            for finding in first_lines(&findings) {
                warn!("{finding}");
            }
            Ok(front)
        }
        Err(problems) => Err(refuse("web config", &problems)),
    }
}

fn refuse(what: &str, problems: &Problems) -> ExitCode {
    for problem in first_lines(problems) {
        error!("{problem}");
    }
    error!("the {what} has problems, and the daemon does not start");
    ExitCode::from(BAD_CONFIG)
}

/// A daemon that is bound, and the signals that end it.
pub(super) struct Started {
    daemon: Daemon,
    signals: Signals,
}

/// Starts a daemon that listens where the flags say. An error is logged and is the exit code.
pub(super) async fn start(
    config: &Config,
    config_file: Option<PathBuf>,
    front: Front,
    arguments: &Arguments,
    shard: Shard,
    default_address: &str,
) -> Result<Started, ExitCode> {
    // First: from when it says that it listens, a signal ends it as it should.
    let signals = Signals::new().map_err(|error| {
        error!(%error, "cannot listen for signals");
        ExitCode::from(FAILED)
    })?;
    let mut listen_addresses = arguments.listen_addresses.clone();
    if listen_addresses.is_empty() {
        listen_addresses.push(default_address.to_owned());
    }
    let options = Options {
        listen_addresses,
        front: Arc::new(front),
        most_connections: web::most_connections(),
        telemetry_path: arguments.telemetry_path.clone(),
        enable_lifecycle: arguments.enable_lifecycle,
        config_file,
        shard,
        clock: Clock::system(),
        patience: Patience::default(),
        render_gap: exposition::GAP,
    };
    match Daemon::start(config, options).await {
        Ok(daemon) => Ok(Started { daemon, signals }),
        Err(error) => {
            error!("{}", Chain(&error));
            Err(ExitCode::from(FAILED))
        }
    }
}

impl Started {
    /// The addresses it is bound to.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.daemon.addresses()
    }

    /// Runs until SIGTERM or SIGINT; a second one ends it at once.
    pub(super) async fn until_signal(self) -> ExitCode {
        let Self { daemon, mut signals } = self;
        let reloader = daemon.reloader();
        let stop = CancellationToken::new();
        let run = daemon.run(stop.clone());
        tokio::pin!(run);
        let mut stopping = false;
        // They are bound: who connects from here on is answered as soon as `run` is polled.
        supervisor::serving().await;
        loop {
            tokio::select! {
                ended = &mut run => return match ended {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(error) => {
                        error!("{}", Chain(&error));
                        ExitCode::from(FAILED)
                    }
                },
                asked = signals.next() => match asked {
                    // The daemon logs how it went.
                    Asked::Reload => drop(tokio::spawn(reload(reloader.clone(), stop.clone()))),
                    Asked::Stop(signal) if stopping => {
                        warn!(signal, "stopping at once");
                        return ExitCode::from(FAILED);
                    }
                    Asked::Stop(signal) => {
                        info!(signal, "stopping");
                        stopping = true;
                        stop.cancel();
                        supervisor::stopping().await;
                    }
                },
            }
        }
    }
}

/// The signals that an operator or a supervisor sends.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// What the next signal asks for.
    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

/// What a signal asks for.
enum Asked {
    /// To read the config again.
    Reload,
    /// To end, by the signal of that name.
    Stop(&'static str),
}

async fn reload(reloader: Reloader, stop: CancellationToken) {
    supervisor::reloading().await;
    let outcome = reloader.reload().await;
    // What was told last is that it ends.
    if !stop.is_cancelled() {
        supervisor::reloaded(&outcome).await;
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_default_address_is_the_one_that_the_help_tells() {
        let help = Arguments::command().render_long_help().to_string();
        let help: Vec<&str> = help.split_whitespace().collect();
        assert!(help.join(" ").contains(&format!("[default: {LISTEN_ADDRESS}, with")));
    }
}
