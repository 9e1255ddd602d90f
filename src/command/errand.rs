//! What the commands have in common that make one round and tell what it brought: the config before it,
//! the round, and the way to stdout behind it. What goes wrong is logged here.

use std::future::Future;
use std::io::{self, Write};
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tracing::{error, warn};

use super::asked::Asked;
use super::watch::Watcher;
use super::{BAD_CONFIG, FAILED};
use crate::app::round::{self, Options, Round, Step};
use crate::config::{Config, Loaded, first_lines};
use crate::error::Chain;
use crate::log::Stderr;

/// Why there is no result. It is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// The daemon would not start either, or what was asked for is not there.
    BadConfig,
    /// Something else; a signal for one.
    Failed,
}

impl From<Stop> for ExitCode {
    fn from(stop: Stop) -> Self {
        Self::from(match stop {
            Stop::BadConfig => BAD_CONFIG,
            Stop::Failed => FAILED,
        })
    }
}

/// The config of a file.
pub(super) fn config(file: &Path) -> Result<Config, Stop> {
    match Config::load(file) {
        Ok(Loaded { config, findings }) => {
            for finding in first_lines(&findings) {
                warn!("{finding}");
            }
            Ok(config)
        }
        Err(problems) => {
            for problem in first_lines(&problems) {
                error!("{problem}");
            }
            error!("the config has problems, and nothing is read");
            Err(Stop::BadConfig)
        }
    }
}

/// What a word means to a config.
pub(super) fn asked(word: &str, config: &Config) -> Result<Asked, Stop> {
    Asked::read(word, config).map_err(|error| {
        error!("{}", Chain(&error));
        Stop::BadConfig
    })
}

/// SIGINT or SIGTERM, whichever comes.
pub(super) struct Interruption(Pin<Box<dyn Future<Output = &'static str> + Send>>);

impl Interruption {
    /// Takes both signals from now on.
    pub(super) fn listen() -> Result<Self, Stop> {
        let listen = || -> io::Result<_> {
            Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
        };
        let (mut interrupt, mut terminate) = listen().map_err(|error| {
            error!(%error, "cannot listen for signals");
            Stop::Failed
        })?;
        Ok(Self(Box::pin(async move {
            tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            }
        })))
    }
}

/// One round, with its progress on stderr.
pub(super) async fn round(
    config: &Config,
    options: Options,
    stderr: Stderr,
    interruption: &mut Interruption,
) -> Result<Round, Stop> {
    let mut watcher = Watcher::start(config, stderr);
    let came = {
        let mut told = |step: Step<'_>| watcher.take(step);
        tokio::select! {
            came = round::round(config, options, &mut told) => Ok(came),
            signal = &mut interruption.0 => Err(signal),
        }
    };
    watcher.end();
    match came {
        Ok(Ok(round)) => Ok(round),
        Ok(Err(error)) => {
            error!("{}", Chain(&error));
            Err(Stop::BadConfig)
        }
        Err(signal) => {
            let (ended, begun) = watcher.targets();
            error!(
                signal,
                "ended by {signal} after {ended} of {begun} targets; nothing is written"
            );
            Err(Stop::Failed)
        }
    }
}

/// Writes the result to stdout; whoever reads may take as long as it likes.
pub(super) async fn print(text: String, interruption: &mut Interruption) -> Result<(), Stop> {
    let written = tokio::select! {
        written = spawn_blocking(move || write(&text)) => match written {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => format!("cannot write to stdout: {error}"),
            Err(error) => format!("cannot write to stdout: {error}"),
        },
        signal = &mut interruption.0 => format!("ended by {signal} while stdout was not read"),
    };
    error!("{written}");
    Err(Stop::Failed)
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
