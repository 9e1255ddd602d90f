//! `once`: one round over everything, and what it brought on stdout or in a file.

mod file;

use std::process::ExitCode;

use tracing::{error, info};

use super::FAILED;
use super::errand::{self, Interruption, Stop};
use crate::account::Patience;
use crate::app::round::{Options, Round};
use crate::cli::{Arguments, Output};
use crate::clock::Clock;
use crate::error::Chain;
use crate::exposition::{json, render_once};
use crate::log::Stderr;
use crate::shard::Shard;

pub(super) async fn run(
    arguments: &Arguments,
    shard: Shard,
    output: &Output,
    stderr: Stderr,
) -> Result<ExitCode, Stop> {
    let config = errand::config(&arguments.config_file)?;
    // The round may take minutes; where its result cannot go is told before.
    if let Output::File(path) = output {
        file::check(path).map_err(|error| failed(&Chain(&error).to_string()))?;
    }
    let mut interruption = Interruption::listen()?;
    let (clock, patience) = (Clock::system(), Patience::default());
    let options = Options { shard, wanted: None, clock, patience };
    let round = errand::round(&config, options, stderr, &mut interruption).await?;
    let text = shown(&round, output).ok_or_else(|| {
        failed("the metrics cannot be written as JSON, which is a fault of this program")
    })?;
    match output {
        // Not to be interrupted: it takes no time, and leaves nothing half-done.
        Output::File(path) => {
            file::write(path, &text).map_err(|error| failed(&Chain(&error).to_string()))?;
            info!(file = %path.display(), "the metrics are written to {}", path.display());
        }
        Output::Text | Output::Json => errand::print(text, &mut interruption).await?,
    }
    Ok(if round.is_well() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn failed(why: &str) -> Stop {
    error!("{why}");
    Stop::Failed
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
