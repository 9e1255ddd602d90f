//! What the operator wrote, and from it what the program runs on: only valid values.
//!
//! [`Config::load`] reads a file, [`Config::read`] a text without touching the process. Either
//! gives a [`Config`] or every problem at once, each with its place. Nothing later checks again.

mod cloud;
mod clouds_yaml;
mod credential;
mod discovery;
mod draft;
pub mod duration;
mod endpoint;
mod environment;
mod file;
mod label;
mod parse;
mod place;
mod position;
mod problem;
mod project;
mod report;
mod schema;
mod secret;
pub mod web;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::backup::InstanceId;
use crate::error::Chain;
use crate::objective::Objectives;
use crate::product::Product;
use draft::Draft;
use report::Report;

pub use clouds_yaml::EntrySource;
pub use discovery::{Discovery, Exclude};
pub use endpoint::{Endpoint, is_loopback};
pub use problem::{Position, Problem, Problems, Severity, first_lines};
pub use schema::schema;
pub use secret::{Secret, SecretError, Source, fetch};

/// The config of the daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How the backup lists are polled.
    pub poll: Poll,
    /// How to sign in, in the order of their names.
    pub credentials: Vec<Arc<Credential>>,
    /// What is polled, in the order of the file; at least one.
    pub projects: Vec<Project>,
}

/// How the backup lists are polled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Poll {
    /// Every target is polled once per interval, unless its project says otherwise. Default 5m, at
    /// least 1s.
    pub interval: Duration,
    /// The longest that one request takes, connecting included. Default 30s, at least 1s.
    pub request_timeout: Duration,
    /// Requests in flight per project. Default 4, from 1 to 64.
    pub concurrency: usize,
    /// How often is read what is not needed in each poll. Default 24h, at least 1s.
    pub full_walk_interval: SignedDuration,
    /// How far back incremental backups are counted. Default 24h.
    pub incremental_lookback: Lookback,
}

/// How far back incremental backups are counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lookback {
    /// All that the cloud has.
    All,
    /// Those that began within this time before now.
    Last(Duration),
}

/// How to sign in. Projects that share a credential share its budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// Its key in the config.
    pub name: String,
    /// With what.
    pub kind: CredentialKind,
    /// Requests per second of everything that uses it; finite and above 0. Default 1.
    pub requests_per_second: f64,
    /// A PEM file of certificates that are trusted besides the public ones. It was there and had a
    /// certificate when the config was read.
    pub ca_file: Option<PathBuf>,
    /// Whether http without TLS is allowed beyond loopback. Default no.
    pub insecure_http: bool,
}

/// With what to sign in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CredentialKind {
    /// Every request is signed. The three are printable ASCII without blanks.
    Keys {
        /// The access key.
        access_key: Secret,
        /// The secret key.
        secret_key: Secret,
        /// The token of temporary keys.
        security_token: Option<Secret>,
    },
    /// A token of Keystone v3.
    Password {
        /// Of IAM; ends in `/v3`.
        auth_url: Endpoint,
        /// The name of the user.
        username: String,
        /// The domain that the user belongs to.
        user_domain: Domain,
        /// The password.
        password: Secret,
    },
}

/// A domain (account) of the cloud.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Domain {
    /// By its id.
    Id(String),
    /// By its name.
    Name(String),
}

/// One project of the cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// The value of the label `project`; no other project has it.
    pub name: String,
    /// The id at the cloud, or how to find it.
    pub project_id: ProjectId,
    /// How to sign in.
    pub credential: Arc<Credential>,
    /// Every target of it is polled once per interval.
    pub interval: Duration,
    /// Its labels, for every instance that it has. The names are those of
    /// `clouddb_instance_labels`, such as `label_team`.
    pub labels: BTreeMap<String, String>,
    /// Its products in the order of [`crate::product::ALL`]; at least one.
    pub products: Vec<ProductConfig>,
}

/// The id of a project at the cloud: letters, digits, `_` and `-`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProjectId {
    /// The config has it.
    Known(String),
    /// IAM is asked for it.
    LookedUp {
        /// Of IAM; ends in `/v3`.
        auth_url: Endpoint,
        /// It is the one project of the first of these names that there is. At least one.
        names: Vec<String>,
    },
}

impl ProjectId {
    /// The id, if the config has it.
    pub fn known(&self) -> Option<&str> {
        match self {
            Self::Known(id) => Some(id),
            Self::LookedUp { .. } => None,
        }
    }

    /// What the project is known by: what an id that is looked up turns out to be changes nothing.
    pub fn key(&self) -> Cow<'_, str> {
        match self {
            Self::Known(id) => id.into(),
            Self::LookedUp { names, .. } => format!("name={}", names.join("/")).into(),
        }
    }
}

/// One product in a project.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductConfig {
    /// The product.
    pub product: &'static Product,
    /// The origin of its API.
    pub endpoint: Endpoint,
    /// Freshness objective per type, the defaults of the product included.
    pub objectives: Objectives,
    /// In the order of the file, each id once. Empty for a product whose list covers the project.
    pub instances: Vec<Instance>,
    /// What is done with its instance list; none if that is not read.
    pub discovery: Option<Discovery>,
    /// Whether the automated backup policies of its instances are read.
    pub policy: bool,
    /// How often it is read what its instances can be restored to; none if that is not read.
    pub restore_window: Option<Duration>,
}

/// One instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Instance {
    /// The id at the cloud: letters, digits, `_` and `-`.
    pub id: InstanceId,
    /// The value of the label `instance_name`. Default: the id.
    pub name: Option<String>,
    /// Freshness objective per type, those of the product included.
    pub objectives: Objectives,
    /// Its labels, those of the project included; the names as in [`Project::labels`].
    pub labels: BTreeMap<String, String>,
}

/// A config, and what is doubtful about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded<T = Config> {
    /// The config.
    pub config: T,
    /// Findings by position; the daemon starts all the same.
    pub findings: Vec<Problem>,
}

/// All that a config sees of the process and its files, so that a test can make them up.
///
/// Reads what a source that is not [`Source::Value`] holds, of a file at most so many KiB; [`fetch`]
/// is the one of the process.
pub type Fetch<'a> = dyn Fn(&Source, usize) -> Result<SecretString, SecretError> + 'a;

impl Config {
    /// Reads a config file, and the secrets it names.
    pub fn load(path: &Path) -> Result<Loaded, Problems> {
        let text = text(path)?;
        Self::read(&text, path, &fetch)
    }

    /// Reads the text of a config file. Relative paths in it are relative to the folder of `file`.
    pub fn read(text: &str, file: &Path, fetch: &Fetch<'_>) -> Result<Loaded, Problems> {
        let (written, mut report) = parse::parse::<file::Config>(text, file)?;
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        let config = check(&written, &mut report, &credential::Secrets { fetch, folder });
        let problems = Problems::new(report.into_problems());
        let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
        match config {
            Some(config) if !failed => Ok(Loaded { config, findings: problems.into_vec() }),
            _ => Err(problems),
        }
    }
}

/// None if anything is wrong; the report then says what.
fn check(
    written: &file::Config,
    report: &mut Report,
    secrets: &credential::Secrets<'_>,
) -> Option<Config> {
    let poll = match &written.poll {
        Some(written) => poll(written, report),
        None => poll(&file::Poll::default(), report),
    };
    let none = BTreeMap::new();
    let blocks = written.credentials.as_ref().unwrap_or(&none);
    // Each is checked, whatever is wrong with the one before it; so is each project.
    let drafts: Vec<Draft> =
        blocks.iter().map(|(name, block)| credential::read(name, block, report, secrets)).collect();
    let sites = place::check_all(written, &drafts, report);
    let checked: Vec<_> =
        drafts.iter().map(|draft| draft.finish(written, &sites, report)).collect();
    let credentials: Vec<Arc<Credential>> = checked.into_iter().flatten().map(Arc::new).collect();
    let usable = project::Usable { credentials: &credentials, drafts: &drafts, sites: &sites };
    let projects =
        project::check_all(written, &usable, poll.as_ref().map(|poll| poll.interval), report);
    Some(Config { poll: poll?, credentials, projects: projects? })
}

fn poll(written: &file::Poll, report: &mut Report) -> Option<Poll> {
    let interval = match &written.interval {
        Some(text) => interval("poll.interval", text, report),
        None => Some(Duration::from_secs(300)),
    };
    let request_timeout = match &written.request_timeout {
        Some(text) => at_least_a_second("poll.request_timeout", text, report),
        None => Some(Duration::from_secs(30)),
    };
    let concurrency = match written.concurrency.unwrap_or(4) {
        count @ 1..=64 => usize::try_from(count).ok(),
        count => {
            report.error("poll.concurrency", format!("must be from 1 to 64, not {count}"));
            None
        }
    };
    let full_walk_interval = match &written.full_walk_interval {
        Some(text) => self::interval("poll.full_walk_interval", text, report),
        None => Some(Duration::from_secs(24 * 3600)),
    };
    let incremental_lookback = match written.incremental_lookback.as_deref() {
        None => Some(Lookback::Last(Duration::from_secs(24 * 3600))),
        Some("all") => Some(Lookback::All),
        Some(text) => match duration::parse(text) {
            Ok(time) => Some(Lookback::Last(time)),
            Err(error) => {
                report.error("poll.incremental_lookback", format!("{error}, or `all`"));
                None
            }
        },
    };
    Some(Poll {
        interval: interval?,
        request_timeout: request_timeout?,
        concurrency: concurrency?,
        full_walk_interval: SignedDuration::try_from(full_walk_interval?).ok()?,
        incremental_lookback: incremental_lookback?,
    })
}

/// Reads an interval of polls; a short one is a finding.
fn interval(path: &str, text: &str, report: &mut Report) -> Option<Duration> {
    let interval = at_least_a_second(path, text, report)?;
    if interval < SHORT_INTERVAL {
        let message = format!(
            "{} is short: the cloud throttles each user, and backups change by the hour; \
             30s or more is enough",
            duration::print(interval)
        );
        report.finding(path, message);
    }
    Some(interval)
}

fn at_least_a_second(path: &str, text: &str, report: &mut Report) -> Option<Duration> {
    match duration::parse(text) {
        Ok(time) if time >= Duration::from_secs(1) => return Some(time),
        Ok(time) => {
            report.error(path, format!("{} is too short; at least 1s", duration::print(time)));
        }
        Err(error) => report.error(path, error.to_string()),
    }
    None
}

/// Reads the file, or a little more of it than can be a config.
fn text(path: &Path) -> Result<Zeroizing<String>, Problem> {
    // Reserved whole, so that no smaller buffer with a secret in it is left behind.
    let mut text = Zeroizing::new(String::with_capacity(parse::MAX_BYTES + 2));
    let read = File::open(path)
        .and_then(|file| file.take(parse::MAX_BYTES as u64 + 1).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(Problem {
            severity: Severity::Error,
            file: path.to_owned(),
            position: None,
            path: String::new(),
            message: format!("cannot read the file: {}", Chain(&error)),
        }),
    }
}

const SHORT_INTERVAL: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
