//! What the program does when it is started: one file per command.

mod check;
mod demo;
mod serve;

use std::process::ExitCode;

use crate::cli::{Arguments, Command};

/// Runs the command of the arguments and gives the exit code.
pub async fn run(arguments: &Arguments) -> ExitCode {
    match arguments.command {
        _ if arguments.config_check => check::run(arguments, false).await,
        Some(Command::Check { live }) => check::run(arguments, live).await,
        Some(Command::Demo) => demo::run(arguments).await,
        None | Some(Command::Serve) => serve::run(arguments).await,
    }
}

/// There is nothing to say.
const GOOD: u8 = 0;
/// It worked, but not as it should; or it does not work for a reason outside the config.
const FAILED: u8 = 1;
/// The config is such that the daemon does not start.
const BAD_CONFIG: u8 = 2;
