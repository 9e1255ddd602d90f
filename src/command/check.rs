//! `check`: reads the config and says what is wrong with it, without asking the cloud.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{BAD_CONFIG, FAILED};
use crate::cli::Arguments;
use crate::config::Config;
use crate::target;

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut out = io::stdout().lock();
    let file = arguments.config_file.display();
    let written = match Config::load(&arguments.config_file) {
        Ok(loaded) => {
            let findings = loaded.findings.len();
            let lines = loaded.findings.iter().try_for_each(|finding| writeln!(out, "{finding}"));
            lines
                .and_then(|()| {
                    let projects = loaded.config.projects.len();
                    let targets = target::targets(&loaded.config, &[]).len();
                    writeln!(
                        out,
                        "{file}: {projects} projects, {targets} targets, {findings} findings"
                    )
                })
                .map(|()| if findings == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
        }
        Err(problems) => {
            let count = problems.iter().count();
            let lines = problems.iter().try_for_each(|problem| writeln!(out, "{problem}"));
            lines
                .and_then(|()| {
                    writeln!(out, "{file}: {count} problems; the daemon would not start")
                })
                .map(|()| ExitCode::from(BAD_CONFIG))
        }
    };
    written.unwrap_or(ExitCode::from(FAILED))
}
