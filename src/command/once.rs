//! `once`: one round over everything, and what it brought on stdout or in a file.

mod file;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::{BAD_CONFIG, FAILED};
use crate::account::Patience;
use crate::app::round::{Options, Round, Step, round};
use crate::cli::{Arguments, Output};
use crate::clock::Clock;
use crate::config::{Config, Loaded, first_lines};
use crate::error::Chain;
use crate::exposition::{json, render_once};
use crate::log::Stderr;
use crate::shard::Shard;
use watch::Watcher;

pub(super) async fn run(
    arguments: &Arguments,
    shard: Shard,
    output: &Output,
    stderr: Stderr,
) -> ExitCode {
    let Loaded { config, findings } = match Config::load(&arguments.config_file) {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in first_lines(&problems) {
                error!("{problem}");
            }
            error!("the config has problems, and nothing is read");
            return ExitCode::from(BAD_CONFIG);
        }
    };
    for finding in first_lines(&findings) {
        warn!("{finding}");
    }
    // The round may take minutes; where its result cannot go is told before.
    if let Output::File(path) = output
        && let Err(error) = file::check(path)
    {
        error!("{}", Chain(&error));
        return ExitCode::from(FAILED);
    }
    let mut interruption = match interruption() {
        Ok(interruption) => Box::pin(interruption),
        Err(error) => {
            error!(%error, "cannot listen for signals");
            return ExitCode::from(FAILED);
        }
    };
    let options = Options { shard, clock: Clock::system(), patience: Patience::default() };
    let mut watcher = Watcher::start(&config, stderr);
    let came = {
        let mut told = |step: Step<'_>| watcher.take(step);
        tokio::select! {
            came = round(&config, options, &mut told) => Ok(came),
            signal = &mut interruption => Err(signal),
        }
    };
    watcher.end();
    let round = match came {
        Ok(Ok(round)) => round,
        Ok(Err(error)) => {
            error!("{}", Chain(&error));
            return ExitCode::from(BAD_CONFIG);
        }
        Err(signal) => {
            let (ended, begun) = watcher.targets();
            error!(
                signal,
                "ended by {signal} after {ended} of {begun} targets; nothing is written"
            );
            return ExitCode::from(FAILED);
        }
    };
    let is_well = round.is_well();
    let Some(text) = shown(&round, output) else {
        error!("the metrics cannot be written as JSON, which is a fault of this program");
        return ExitCode::from(FAILED);
    };
    let written = match output {
        // Not to be interrupted: it takes no time, and leaves nothing half-done.
        Output::File(path) => file::write(path, &text).map_err(|error| Chain(&error).to_string()),
        // Whoever reads may take as long as it likes.
        Output::Text | Output::Json => tokio::select! {
            written = spawn_blocking(move || print(&text)) => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(format!("cannot write to stdout: {error}")),
                Err(error) => Err(format!("cannot write to stdout: {error}")),
            },
            signal = &mut interruption => Err(format!("ended by {signal} while stdout was not read")),
        },
    };
    if let Err(why) = written {
        error!("{why}");
        return ExitCode::from(FAILED);
    }
    if let Output::File(path) = output {
        info!(file = %path.display(), "the metrics are written to {}", path.display());
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

/// What goes to the output. Ages would stand still in a file.
fn shown(round: &Round, output: &Output) -> Option<String> {
    let Round { snapshot, meters, ended, .. } = round;
    match output {
        Output::Text => Some(render_once(snapshot, meters, Some(*ended))),
        Output::Json => json(&render_once(snapshot, meters, Some(*ended))).map(|it| it + "\n"),
        Output::File(_) => Some(render_once(snapshot, meters, None)),
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Waits for SIGINT or SIGTERM, from the call on, and names it.
fn interruption() -> io::Result<impl Future<Output = &'static str>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    })
}
