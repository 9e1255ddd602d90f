//! Flags and commands, with the dots of Prometheus' family.

mod output;
mod format;
mod shard;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::build;
use crate::config::duration;
use crate::web::PATHS;

pub use format::Format;
pub use output::Output;
pub use shard::ShardingError;

/// Exports the backups of managed databases (RDS, DDM) on Open Telekom Cloud and Huawei Cloud to
/// Prometheus.
#[derive(Debug, Parser)]
#[command(name = "clouddb-backup-exporter", version = build::FULL_VERSION, propagate_version = true)]
pub struct Arguments {
    /// What to do; without it, `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The config file.
    #[arg(long = "config.file", value_name = "FILE", default_value = "config.yaml", global = true)]
    pub config_file: PathBuf,

    /// Check the config file and exit, as the command `check` does.
    #[arg(long = "config.check", global = true)]
    pub config_check: bool,

    /// Address to listen on; may be given several times [default: 0.0.0.0:19747, with `demo`
    /// 127.0.0.1:19747].
    #[arg(long = "web.listen-address", value_name = "ADDRESS", global = true)]
    pub listen_addresses: Vec<String>,

    /// TLS, users and limits of the server, in the file format of Prometheus' exporter-toolkit; read
    /// again when it changes.
    #[arg(long = "web.config.file", value_name = "FILE", global = true)]
    pub web_config_file: Option<PathBuf>,

    /// Path of the metrics.
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics",
        value_parser = telemetry_path,
        global = true
    )]
    pub telemetry_path: String,

    /// Allow the config to be reloaded by POST or PUT of /-/reload; SIGHUP always does.
    #[arg(long = "web.enable-lifecycle", global = true)]
    pub enable_lifecycle: bool,

    /// Which shard this is, counted from 0; by default the number at the end of the environment
    /// variable `POD_NAME`, if there are several.
    #[arg(long = "shard.index", value_name = "INDEX", global = true)]
    pub shard_index: Option<u32>,

    /// How many shards there are. Each one polls its part of the targets, with its part of the
    /// `requests_per_second` of each credential [default: the environment variable
    /// `CLOUDDB_SHARD_COUNT`, else 1].
    #[arg(long = "shard.count", value_name = "COUNT", global = true)]
    pub shard_count: Option<u32>,

    /// The least severe messages to log.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info", global = true)]
    pub log_level: LogLevel,

    /// The format of the log, on stderr.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt", global = true)]
    pub log_format: LogFormat,
}

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq, Subcommand)]
pub enum Command {
    /// Read the config and say what is wrong with it. Exit 0: good; 1: findings with which the
    /// daemon would still start; 2: it would not start.
    Check {
        /// Sign in as well, and read one page of each list: what works, what is forbidden, what is
        /// not there. That is a finding too.
        #[arg(long)]
        live: bool,
    },
    /// Print what makes a shell complete the commands and flags; `source` it, or save it where the
    /// shell looks for completions.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Run a simulated cloud on loopback and the daemon that polls it.
    Demo,
    /// Read the backups of a project or an instance once, and tell which record counts as the last
    /// success and why the newer ones do not, what is expected, and which conditions of the shipped
    /// alerts hold now. Exit 0: all of it was read; 1: something could not be; 2: the daemon would not
    /// start, or there is no such project or instance.
    Explain {
        /// The project, by its name in the config or its id, and the instance, by name or id.
        #[arg(value_name = "PROJECT[/INSTANCE]")]
        what: String,
    },
    /// Tell a pipeline whether every backup that is expected is fresh and the last attempt at it
    /// succeeded. Exit 0: so it is; 1: it is not; 2: that cannot be told.
    Gate {
        /// The project, by its name in the config or its id, and the instance, by name or id.
        #[arg(value_name = "PROJECT[/INSTANCE]")]
        what: String,
        /// How old the last success of everything that is expected may be, such as `6h`, instead of
        /// what the config and the backup policies say.
        #[arg(long = "max-age", value_name = "DURATION", value_parser = max_age)]
        max_age: Option<Duration>,
        /// The form of the findings, on stdout.
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: Format,
    },
    /// Print the man page, for `man -l -` or to save it.
    Man,
    /// Read everything once, as the daemon does after its start, and give the metrics. Exit 0: all of it
    /// was read; 1: something could not be; 2: the daemon would not start.
    Once {
        /// Where the metrics go: `text` or `json` to stdout, or the path of a file for the textfile
        /// collector of `node_exporter`, which ends in `.prom`.
        #[arg(long, value_name = "text|json|FILE.prom", default_value = "text", value_parser = Output::parse)]
        output: Output,
    },
    /// Tell how many requests the polls take, how long that is under the budget of each credential, and
    /// what would help where the interval does not hold. Exit 0: it holds; 1: warnings; 2: the daemon
    /// would not start.
    Plan {
        /// Sign in as well, and ask how long each list is, by one request for each.
        #[arg(long)]
        live: bool,
    },
    /// Print the JSON Schema of the config file, for editors and for checks without the program.
    Schema,
    /// Run the daemon (the default).
    Serve,
}

/// How severe a message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Life cycle and changes of state.
    Info,
    /// Degraded.
    Warn,
    /// Someone must act.
    Error,
}

/// How a message is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// `key=value`
    Logfmt,
    /// One JSON object a line.
    Json,
}

fn max_age(text: &str) -> Result<Duration, duration::DurationError> {
    duration::parse(text)
}

fn telemetry_path(path: &str) -> Result<String, String> {
    match path {
        _ if PATHS.contains(&path) => Err(format!("`{path}` answers something else")),
        _ if !path.starts_with('/') => Err("a path starts with `/`".to_owned()),
        _ if path.contains(['?', '#', ' ']) => Err("a path has no query".to_owned()),
        _ => Ok(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_or_behind_the_command() {
        for arguments in [["x", "--config.file=a", "check"], ["x", "check", "--config.file=a"]] {
            let arguments = Arguments::parse_from(arguments);
            assert_eq!(arguments.command, Some(Command::Check { live: false }));
            assert_eq!(arguments.config_file, PathBuf::from("a"));
        }
    }

    #[test]
    fn the_path_of_the_metrics_is_a_path_of_its_own() {
        for path in PATHS.into_iter().chain(["metrics", "", "/metrics?x=1"]) {
            let flag = format!("--web.telemetry-path={path}");
            assert!(Arguments::try_parse_from(["x", &flag]).is_err(), "{path}");
        }
    }

    #[test]
    fn without_flags_the_documented_defaults_are_in_force() {
        let arguments = Arguments::parse_from(["x"]);
        assert_eq!(arguments.command, None);
        assert_eq!(arguments.config_file, PathBuf::from("config.yaml"));
        assert_eq!(arguments.listen_addresses, Vec::<String>::new());
        assert_eq!(arguments.telemetry_path, "/metrics");
        assert_eq!(arguments.log_level, LogLevel::Info);
        assert_eq!(arguments.log_format, LogFormat::Logfmt);
        assert!(!arguments.config_check);
    }
}
