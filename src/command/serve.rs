//! `serve`: the daemon, until a signal.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{BAD_CONFIG, FAILED};
use crate::app::{Daemon, Web};
use crate::cli::Arguments;
use crate::clock::Clock;
use crate::config::{Config, Loaded};
use crate::error::Chain;

const LISTEN_ADDRESS: &str = "0.0.0.0:19747";

pub(super) async fn run(arguments: &Arguments) -> ExitCode {
    let Loaded { config, findings } = match Config::load(&arguments.config_file) {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in &problems {
                error!("{problem}");
            }
            error!("the config has problems, and the daemon does not start");
            return ExitCode::from(BAD_CONFIG);
        }
    };
    for finding in &findings {
        warn!("{finding}");
    }
    match start(&config, arguments, LISTEN_ADDRESS).await {
        Ok(daemon) => until_signal(daemon).await,
        Err(code) => code,
    }
}

/// Starts a daemon that listens where the flags say. An error is logged and is the exit code.
pub(super) async fn start(
    config: &Config,
    arguments: &Arguments,
    default_address: &str,
) -> Result<Daemon, ExitCode> {
    let mut listen_addresses = arguments.listen_addresses.clone();
    if listen_addresses.is_empty() {
        listen_addresses.push(default_address.to_owned());
    }
    let web = Web { listen_addresses, telemetry_path: arguments.telemetry_path.clone() };
    Daemon::start(config, &web, Clock::system()).await.map_err(|error| {
        error!("{}", Chain(&error));
        ExitCode::from(FAILED)
    })
}

/// Runs a daemon until SIGTERM or SIGINT; a second one ends it at once.
pub(super) async fn until_signal(daemon: Daemon) -> ExitCode {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            error!(%error, "cannot listen for signals");
            return ExitCode::from(FAILED);
        }
    };
    let stop = CancellationToken::new();
    let run = daemon.run(stop.clone());
    tokio::pin!(run);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = &mut run => return match ended {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    error!("{}", Chain(&error));
                    ExitCode::from(FAILED)
                }
            },
            name = signals.next() => {
                if stopping {
                    warn!(signal = name, "stopping at once");
                    return ExitCode::from(FAILED);
                }
                info!(signal = name, "stopping");
                stopping = true;
                stop.cancel();
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

    /// The name of the next signal that asks for the end.
    async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
                // Whoever expects a reload must not end the daemon by asking for it.
                _ = self.hangup.recv() => warn!("SIGHUP does not reload the config; restart"),
            }
        }
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
