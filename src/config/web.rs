//! The web config file: who may connect to the exporter, and how. Its format is that of
//! Prometheus' exporter-toolkit, so that the file that there is for the other exporters is good
//! here too. What this server cannot do is an error or a finding, and nothing is passed over.

mod client;
mod file;
mod seen;
mod tls;

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bcrypt::HashParts;
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use jiff::SignedDuration;
use rustls::ServerConfig;
use secrecy::{ExposeSecret, SecretString};

use super::parse::parse;
use super::position::child;
use super::problem::{listed, quoted};
use super::report::Report;
use super::{Fetch, Loaded, Problem, Problems, Severity, fetch, text};

pub use seen::Seen;

/// Who may connect, and how.
#[derive(Clone, Debug)]
pub struct Web {
    /// How TLS is spoken; none: it is not.
    pub tls: Option<Arc<ServerConfig>>,
    /// Stand in every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The bcrypt hashes of the passwords by user; empty: nobody is asked for one.
    pub users: BTreeMap<String, SecretString>,
    /// How many requests are answered; none: all.
    pub rate_limit: Option<RateLimit>,
}

/// A bucket of requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimit {
    /// Between two requests on average; above 0.
    pub interval: Duration,
    /// Requests at once; at least 1.
    pub burst: usize,
}

/// What came of reading a web config file.
#[derive(Debug)]
pub struct Reading {
    /// Every file that was read for it, also in vain. One that changes may change the outcome.
    pub seen: Vec<Seen>,
    /// The config, or every problem at once.
    pub outcome: Result<Loaded<Web>, Problems>,
}

impl Web {
    /// Reads a web config file, and the files that it names.
    pub fn load(path: &Path) -> Reading {
        let mut seen = vec![Seen::of(path)];
        let outcome = match text(path) {
            Ok(text) => Self::read(&text, path, &fetch, &mut seen),
            Err(problem) => Err(problem.into()),
        };
        Reading { seen, outcome }
    }

    /// Reads the text of a web config file. Relative paths in it are relative to the folder of
    /// `file`. What it names is noted in `seen`.
    pub fn read(
        text: &str,
        file: &Path,
        fetch: &Fetch<'_>,
        seen: &mut Vec<Seen>,
    ) -> Result<Loaded<Self>, Problems> {
        let (written, mut report) = parse::<file::Web>(text, file)?;
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        let tls = match &written.tls_server_config {
            Some(block) => tls::check(block, &mut report, &mut tls::Files { fetch, folder, seen }),
            None => None,
        };
        let is_plain = written.tls_server_config.is_none();
        let config = Self {
            tls,
            headers: http(written.http_server_config.as_ref(), is_plain, &mut report),
            users: users(written.basic_auth_users.unwrap_or_default(), is_plain, &mut report),
            rate_limit: written.rate_limit.and_then(|block| rate_limit(&block, &mut report)),
        };
        let problems = Problems::new(report.into_problems());
        let is_error = |problem: &Problem| problem.severity == Severity::Error;
        if problems.iter().any(is_error) {
            return Err(problems);
        }
        Ok(Loaded { config, findings: problems.into_vec() })
    }
}

/// The headers; of the rest of the block it is told what has no meaning here.
fn http(
    written: Option<&file::Http>,
    is_plain: bool,
    report: &mut Report,
) -> Vec<(HeaderName, HeaderValue)> {
    if written.and_then(|http| http.http2) == Some(true) {
        let message = "HTTP/2 is not spoken here; Prometheus scrapes by HTTP/1.1 then. Write \
                       `false`, or leave it out";
        report.finding("http_server_config.http2", message);
    }
    let Some(written) = written.and_then(|http| http.headers.as_ref()) else { return Vec::new() };
    let all = [
        (CONTENT_SECURITY_POLICY, "Content-Security-Policy", &written.content_security_policy),
        (X_FRAME_OPTIONS, "X-Frame-Options", &written.x_frame_options),
        (X_CONTENT_TYPE_OPTIONS, "X-Content-Type-Options", &written.x_content_type_options),
        (X_XSS_PROTECTION, "X-XSS-Protection", &written.x_xss_protection),
        (
            STRICT_TRANSPORT_SECURITY,
            "Strict-Transport-Security",
            &written.strict_transport_security,
        ),
    ];
    let mut headers = Vec::new();
    for (name, key, value) in all {
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else { continue };
        let path = child("http_server_config.headers", key);
        let known: &[&str] = match key {
            "X-Frame-Options" => &["deny", "sameorigin"],
            "X-Content-Type-Options" => &["nosniff"],
            _ => &[],
        };
        if !known.is_empty() && !known.contains(&value) {
            report.error(&path, format!("must be {}", listed(known.iter().copied(), "or")));
            continue;
        }
        if is_plain && name == STRICT_TRANSPORT_SECURITY {
            let message = "browsers heed it over TLS only, and there is no `tls_server_config`";
            report.finding(&path, message);
        }
        match HeaderValue::from_str(value) {
            Ok(value) => headers.push((name, value)),
            Err(_) => report.error(&path, "has a character that no header can have"),
        }
    }
    headers
}

/// The users. A hash that no password can match would lock its user out without a word.
fn users(
    written: BTreeMap<String, SecretString>,
    is_plain: bool,
    report: &mut Report,
) -> BTreeMap<String, SecretString> {
    const PATH: &str = "basic_auth_users";
    let mut costs = Vec::new();
    for (user, hash) in &written {
        let path = child(PATH, user);
        if user.contains(':') {
            report.error_at_key(&path, "the name of a user cannot have a `:`");
        }
        match cost(hash.expose_secret()) {
            None => report.error(&path, NO_HASH),
            Some(cost @ ..=MOST_COST) => costs.push(cost),
            Some(cost) => {
                let message = format!(
                    "the cost {cost} takes minutes of a processor for each wrong password; at \
                     most {MOST_COST}, and 10 to 12 is usual"
                );
                report.error(&path, message);
            }
        }
    }
    if costs.iter().min() != costs.iter().max() {
        let message = "the hashes are of different cost, so that the time of an answer tells \
                       which users there are; make all with the same";
        report.finding_at_key(PATH, message);
    }
    if is_plain && !written.is_empty() {
        let message = "without `tls_server_config` everyone on the way can read the passwords";
        report.finding_at_key(PATH, message);
    }
    written
}

/// The cost of a bcrypt hash; none if it is not one.
fn cost(hash: &str) -> Option<u32> {
    // Both halves are taken apart here already: the salt has 22 characters, the rest 31.
    let parts = HashParts::from_str(hash).ok()?;
    let is_whole = hash.is_ascii() && hash.len() == 60 && (4..=31).contains(&parts.get_cost());
    // A hash that cannot be compared with is an error, a wrong password is not.
    let cheap = format!("{}04{}", hash.get(..4)?, hash.get(6..)?);
    (is_whole && bcrypt::verify("", &cheap).is_ok()).then(|| parts.get_cost())
}

fn rate_limit(written: &file::RateLimit, report: &mut Report) -> Option<RateLimit> {
    let text = match written.interval.as_deref() {
        Some("0") => return None,
        Some(text) => text,
        None => {
            let message = "has no effect without an `interval`, such as `1s`";
            report.finding_at_key("rate_limit", message);
            return None;
        }
    };
    // The toolkit reads a number as nanoseconds, which hardly anybody means.
    let interval = text.parse::<SignedDuration>().ok().filter(|_| !text.starts_with('P'));
    let interval = interval.and_then(|interval| Duration::try_from(interval).ok());
    let interval = match interval {
        Some(Duration::ZERO) => return None,
        Some(interval) => Some(interval),
        None => {
            let message = format!("{} is not a time such as `1s` or `100ms`", quoted(text));
            report.error("rate_limit.interval", message);
            None
        }
    };
    let burst = written.burst.and_then(|burst| usize::try_from(burst).ok());
    let burst = burst.filter(|burst| *burst > 0);
    if burst.is_none() {
        report.error("rate_limit.burst", "must be 1 or more, else no request is answered");
    }
    Some(RateLimit { interval: interval?, burst: burst? })
}

const NO_HASH: &str = "must be a bcrypt hash, as `htpasswd -nBC 10 USER` makes one";
/// Some two seconds of a processor.
const MOST_COST: u32 = 14;
