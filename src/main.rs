//! The binary: arguments → logging → runtime → command → exit code.

#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clouddb_backup_exporter::cli::Arguments;
use clouddb_backup_exporter::{command, log};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let stderr = match log::start(arguments.log_level, arguments.log_format) {
        Ok(stderr) => stderr,
        Err(error) => return fail(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let code = runtime.block_on(command::run(&arguments, stderr));
    // What still runs has had its time.
    runtime.shutdown_background();
    code
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    writeln!(std::io::stderr(), "clouddb-backup-exporter: {error}").ok();
    ExitCode::FAILURE
}
