//! Format and level of the log, which goes to stderr.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use indicatif::ProgressBar;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, fmt};

use crate::cli::{LogFormat, LogLevel};

/// Starts logging, and gives what it writes to. An error says that it was started before.
pub fn start(level: LogLevel, format: LogFormat) -> Result<Stderr, TryInitError> {
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
    let stderr = Stderr::default();
    let log = stderr.clone();
    match format {
        LogFormat::Json => {
            let layer = fmt::layer().json().flatten_event(true);
            registry.with(layer.with_writer(move || log.clone())).try_init()?;
        }
        LogFormat::Logfmt => {
            let layer = tracing_logfmt::builder().with_target(false).layer();
            registry.with(layer.with_writer(move || log.clone())).try_init()?;
        }
    }
    Ok(stderr)
}

/// Writes to stderr, above a progress bar if there is one.
#[derive(Clone, Debug, Default)]
pub struct Stderr(Arc<OnceLock<ProgressBar>>);

impl Stderr {
    /// From now on everything stands above this bar. A second one is not kept clear of.
    pub fn keep_above(&self, bar: ProgressBar) {
        // An error says that there was one before.
        self.0.set(bar).ok();
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.get() {
            Some(bar) => bar.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
