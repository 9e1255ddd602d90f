//! `explain`: what was read of a project or an instance, what follows from it, and why.

mod sheet;

use std::process::ExitCode;

use tracing::error;

use super::FAILED;
use super::errand::{self, Interruption, Stop};
use crate::account::Patience;
use crate::app::round::Options;
use crate::cli::Arguments;
use crate::clock::Clock;
use crate::error::Chain;
use crate::log::Stderr;
use crate::shard::Shard;

pub(super) async fn run(
    arguments: &Arguments,
    what: &str,
    stderr: Stderr,
) -> Result<ExitCode, Stop> {
    let config = errand::config(&arguments.config_file)?;
    let asked = errand::asked(what, &config)?;
    let mut interruption = Interruption::listen()?;
    // Whoever asks wants to know, whichever shard polls it.
    let options = Options {
        shard: Shard::WHOLE,
        wanted: asked.wanted.clone(),
        clock: Clock::system(),
        patience: Patience::default(),
    };
    let round = errand::round(&asked.config, options, stderr, &mut interruption).await?;
    let subjects = asked.subjects(&round);
    if subjects.is_empty()
        && round.is_well()
        && let Some(error) = asked.nothing(&round)
    {
        error!("{}", Chain(&error));
        return Err(Stop::BadConfig);
    }
    errand::print(sheet::text(&subjects, &round), &mut interruption).await?;
    Ok(if round.is_well() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
