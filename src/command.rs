//! What the program does when it is started: one file per command.

mod asked;
mod check;
mod completions;
mod demo;
mod errand;
mod explain;
mod gate;
mod man;
mod once;
mod plan;
mod schema;
mod serve;
mod supervisor;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

use tracing::error;

use crate::cli::{Arguments, Command, ShardingError};
use crate::error::Chain;
use crate::log::Stderr;
use crate::shard::Shard;

/// Runs the command of the arguments and gives the exit code. The log goes to `stderr`.
pub async fn run(arguments: &Arguments, stderr: Stderr) -> ExitCode {
    match &arguments.command {
        _ if arguments.config_check => check::run(arguments, false).await,
        Some(Command::Check { live }) => check::run(arguments, *live).await,
        Some(Command::Completions { shell }) => print(&completions::text(*shell)),
        Some(Command::Demo) => match shard(arguments) {
            Ok(shard) => demo::run(arguments, shard).await,
            Err(code) => code,
        },
        Some(Command::Explain { what }) => {
            explain::run(arguments, what, stderr).await.unwrap_or_else(ExitCode::from)
        }
        Some(Command::Gate { what, max_age, format }) => {
            let question = gate::Question { what, max_age: *max_age, format: *format };
            gate::run(arguments, &question, stderr).await
        }
        Some(Command::Man) => man::text().map_or_else(|error| unwritten(&error), |it| print(&it)),
        Some(Command::Once { output }) => match shard(arguments) {
            Ok(shard) => {
                once::run(arguments, shard, output, stderr).await.unwrap_or_else(ExitCode::from)
            }
            Err(code) => code,
        },
        // Which shard this is does not matter: all are told.
        Some(Command::Plan { live }) => match shards(arguments) {
            Ok(shards) => plan::run(arguments, &shards, *live).await,
            Err(code) => code,
        },
        Some(Command::Schema) => print(schema::text().as_bytes()),
        None | Some(Command::Serve) => match shard(arguments) {
            Ok(shard) => serve::run(arguments, shard).await,
            Err(code) => code,
        },
    }
}

/// Writes a result that is whole, and gives the exit code.
fn print(text: &[u8]) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::from(GOOD),
        Err(error) => unwritten(&error),
    }
}

fn unwritten(error: &io::Error) -> ExitCode {
    error!("cannot write to stdout: {error}");
    ExitCode::from(FAILED)
}

/// Which shard this is. An error is logged and is the exit code.
fn shard(arguments: &Arguments) -> Result<Shard, ExitCode> {
    arguments.shard(variable).map_err(|error| refuse(&error))
}

/// All shards that there are.
fn shards(arguments: &Arguments) -> Result<Vec<Shard>, ExitCode> {
    let count = arguments.shard_count(variable).map_err(|error| refuse(&error))?;
    Shard::all(count).map_err(|error| refuse(&error.into()))
}

fn refuse(error: &ShardingError) -> ExitCode {
    error!("{}", Chain(error));
    ExitCode::from(BAD_CONFIG)
}

/// A variable of the environment, if it is set.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// There is nothing to say.
const GOOD: u8 = 0;
/// It worked, but not as it should; or it does not work for a reason outside the config.
const FAILED: u8 = 1;
/// The config, or what says which shard this is, is such that the daemon does not start.
const BAD_CONFIG: u8 = 2;
/// Whoever asks whether all is well cannot be answered.
const CANNOT_TELL: u8 = 2;
