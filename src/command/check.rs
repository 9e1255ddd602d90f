//! `check`: reads the config and says what is wrong with it, without asking the cloud.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{BAD_CONFIG, FAILED};
use crate::cli::Arguments;
use crate::config::{Config, first_lines};
use crate::target;

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut out = io::stdout().lock();
    let file = arguments.config_file.display();
    let (told, code) = match Config::load(&arguments.config_file) {
        Ok(loaded) => {
            let findings = loaded.findings.len();
            let projects = loaded.config.projects.len();
            let targets = target::targets(&loaded.config, &[]).len();
            let mut told = first_lines(&loaded.findings);
            told.push(format!(
                "{file}: {projects} projects, {targets} targets, {findings} findings"
            ));
            (told, if findings == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
        }
        Err(problems) => {
            let count = problems.iter().count();
            let mut told = first_lines(&problems);
            told.push(format!("{file}: {count} problems; the daemon would not start"));
            (told, ExitCode::from(BAD_CONFIG))
        }
    };
    match told.iter().try_for_each(|line| writeln!(out, "{line}")) {
        Ok(()) => code,
        Err(_) => ExitCode::from(FAILED),
    }
}
