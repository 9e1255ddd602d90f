//! Format and level of the log, which goes to stderr.

use std::io::{self, Write};
use std::sync::OnceLock;

use indicatif::ProgressBar;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, fmt};

use crate::cli::{LogFormat, LogLevel};

/// Starts logging. An error says that it was started before.
pub fn start(level: LogLevel, format: LogFormat) -> Result<(), TryInitError> {
    let level = match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    // Libraries speak of their insides; only their warnings are for the operator.
    let libraries = if level == "error" { "error" } else { "warn" };
    let filter = EnvFilter::new(format!("{libraries},clouddb_backup_exporter={level}"));
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(|| Stderr)).try_init()
        }
        LogFormat::Logfmt => registry
            .with(tracing_logfmt::builder().with_target(false).layer().with_writer(|| Stderr))
            .try_init(),
    }
}

/// A progress bar that the log keeps clear of.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// From now on the log stands above this bar. A second one is not kept clear of.
pub fn above(bar: ProgressBar) {
    // An error says that there was one before.
    BAR.set(bar).ok();
}

/// Writes to stderr what should stand above the bar, if there is one.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match BAR.get() {
            Some(bar) => bar.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
