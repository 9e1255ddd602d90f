//! The exporter's own counters: what the program moves while it works. Numbers about backups are
//! not here; they are rendered from the snapshot.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, proto,
};

use crate::build;
use crate::clock::seconds;
use crate::error::Reason;
use crate::metric::{self, Metric};

/// All counters, around a registry of their own. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Meters {
    registry: Registry,
    polls: IntCounterVec,
    poll_failures: IntCounterVec,
    poll_skipped: IntCounterVec,
    poll_inconsistent: IntCounterVec,
    api_requests: IntCounterVec,
    api_request_duration: HistogramVec,
    api_throttled: IntCounterVec,
    api_retries: IntCounterVec,
    api_clock_skew: GaugeVec,
    backoff: Asked,
    auth_token_expiry: Asked,
    auth_failures: IntCounterVec,
    shard_info: GaugeVec,
    shards: Gauge,
    config_reload_successful: Gauge,
    config_reload_success_timestamp: Gauge,
    web_config_reload_failures: IntCounter,
    web_refusals: IntCounterVec,
}

/// Why the server turned somebody away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// A connection could not be accepted; mostly open files are short.
    Accept,
    /// The credentials are missing or wrong.
    Credentials,
    /// The place of an idle connection was needed.
    Crowded,
    /// The TLS handshake failed, or took too long.
    Handshake,
    /// Too many pages for people are on their way.
    Pages,
    /// Too many passwords are being tried.
    Passwords,
    /// There were more requests than `rate_limit` allows.
    RateLimit,
    /// The answer was not taken in time.
    Slow,
}

impl Refusal {
    /// All, in the order of their labels.
    pub const ALL: [Self; 8] = [
        Self::Accept,
        Self::Credentials,
        Self::Crowded,
        Self::Handshake,
        Self::Pages,
        Self::Passwords,
        Self::RateLimit,
        Self::Slow,
    ];

    /// The value of the label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Credentials => "credentials",
            Self::Crowded => "crowded",
            Self::Handshake => "handshake",
            Self::Pages => "pages",
            Self::Passwords => "passwords",
            Self::RateLimit => "rate_limit",
            Self::Slow => "slow",
        }
    }
}

impl Meters {
    /// Registers every counter; an error is a metric declared twice or under a bad name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let buckets = metric::API_REQUEST_DURATION_BUCKETS.to_vec();
        let duration = &metric::API_REQUEST_DURATION;
        let build_info = gauges(&registry, &metric::BUILD_INFO)?;
        build_info.with_label_values(&[build::VERSION, build::REVISION, build::RUSTC]).set(1.0);
        let duration_opts = HistogramOpts { common_opts: opts(duration), buckets };
        let meters = Self {
            polls: counters(&registry, &metric::POLLS)?,
            poll_failures: counters(&registry, &metric::POLL_FAILURES)?,
            poll_skipped: counters(&registry, &metric::POLL_SKIPPED)?,
            poll_inconsistent: counters(&registry, &metric::POLL_INCONSISTENT)?,
            api_requests: counters(&registry, &metric::API_REQUESTS)?,
            api_request_duration: register(
                &registry,
                HistogramVec::new(duration_opts, duration.labels)?,
            )?,
            api_throttled: counters(&registry, &metric::API_THROTTLED)?,
            api_retries: counters(&registry, &metric::API_RETRIES)?,
            api_clock_skew: gauges(&registry, &metric::API_CLOCK_SKEW)?,
            backoff: register(&registry, Asked::new(&metric::API_BACKOFF)?)?,
            auth_token_expiry: register(&registry, Asked::new(&metric::AUTH_TOKEN_EXPIRY)?)?,
            auth_failures: counters(&registry, &metric::AUTH_FAILURES)?,
            shard_info: gauges(&registry, &metric::SHARD_INFO)?,
            shards: register(&registry, Gauge::with_opts(opts(&metric::SHARDS))?)?,
            config_reload_successful: register(
                &registry,
                Gauge::with_opts(opts(&metric::CONFIG_RELOAD_SUCCESSFUL))?,
            )?,
            config_reload_success_timestamp: register(
                &registry,
                Gauge::with_opts(opts(&metric::CONFIG_RELOAD_SUCCESS_TIMESTAMP))?,
            )?,
            web_config_reload_failures: register(
                &registry,
                IntCounter::with_opts(opts(&metric::WEB_CONFIG_RELOAD_FAILURES))?,
            )?,
            web_refusals: counters(&registry, &metric::WEB_REFUSALS)?,
            registry,
        };
        meters.registry.register(Box::new(ProcessCollector::for_self()))?;
        for reason in Refusal::ALL {
            meters.web_refusals.with_label_values(&[reason.label()]);
        }
        Ok(meters)
    }

    /// Makes the counters of a target exist at 0, so that `increase()` sees their first event.
    pub fn know<'a>(&self, project: &str, product: &str, apis: impl IntoIterator<Item = &'a str>) {
        for api in apis {
            self.api_throttled.with_label_values(&[project, api]);
            self.api_retries.with_label_values(&[project, api]);
        }
        self.polls.with_label_values(&[project, product]);
        self.poll_skipped.with_label_values(&[project, product]);
        self.poll_inconsistent.with_label_values(&[project, product]);
        self.auth_failures.with_label_values(&[project]);
        for reason in Reason::ALL {
            self.poll_failures.with_label_values(&[project, product, reason.label()]);
        }
    }

    /// A poll ended; `failure` says why, if it failed.
    pub fn poll(&self, project: &str, product: &str, failure: Option<Reason>) {
        self.polls.with_label_values(&[project, product]).inc();
        if let Some(reason) = failure {
            self.poll_failures.with_label_values(&[project, product, reason.label()]).inc();
        }
    }

    /// A poll was due while the last one of the target still ran.
    pub fn poll_skipped(&self, project: &str, product: &str) {
        self.poll_skipped.with_label_values(&[project, product]).inc();
    }

    /// A listing moved while it was read.
    pub fn poll_inconsistent(&self, project: &str, product: &str) {
        self.poll_inconsistent.with_label_values(&[project, product]).inc();
    }

    /// A request ended; `status` is that of its answer, if there was one.
    pub fn api_request(&self, project: &str, api: &str, status: Option<u16>, took: Duration) {
        let code = status.map_or_else(|| "error".to_owned(), |status| status.to_string());
        self.api_requests.with_label_values(&[project, api, &code]).inc();
        self.api_request_duration.with_label_values(&[api]).observe(took.as_secs_f64());
    }

    /// The cloud said that there were too many requests.
    pub fn api_throttled(&self, project: &str, api: &str) {
        self.api_throttled.with_label_values(&[project, api]).inc();
    }

    /// A request is tried again.
    pub fn api_retry(&self, project: &str, api: &str) {
        self.api_retries.with_label_values(&[project, api]).inc();
    }

    /// How far the clock of the cloud is ahead of ours.
    pub fn clock_skew(&self, project: &str, skew: SignedDuration) {
        self.api_clock_skew.with_label_values(&[project]).set(skew.as_secs_f64());
    }

    /// At every scrape, `remaining` tells how long the requests of the project still wait.
    pub fn backoff(&self, project: &str, remaining: impl Fn() -> Duration + Send + Sync + 'static) {
        self.backoff.ask(project, move || Some(remaining().as_secs_f64()));
    }

    /// How long the requests of the project still wait.
    pub fn remaining_backoff(&self, project: &str) -> Duration {
        let seconds = self.backoff.sources().get(project).and_then(|remaining| remaining());
        Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or_default()
    }

    /// At every scrape, `expires_at` tells when the token in use for the project expires, if there
    /// is one.
    pub fn auth_token_expiry(
        &self,
        project: &str,
        expires_at: impl Fn() -> Option<Timestamp> + Send + Sync + 'static,
    ) {
        self.auth_token_expiry.ask(project, move || expires_at().map(seconds));
    }

    /// The cloud refused a sign-in or a signature.
    pub fn auth_failure(&self, project: &str) {
        self.auth_failures.with_label_values(&[project]).inc();
    }

    /// Which part of all targets is polled here.
    pub fn shard(&self, index: u32, count: u32) {
        self.shard_info.reset();
        self.shard_info.with_label_values(&[&index.to_string()]).set(1.0);
        self.shards.set(f64::from(count));
    }

    /// The config was loaded.
    pub fn config_loaded(&self, now: Timestamp) {
        self.config_reload_successful.set(1.0);
        self.config_reload_success_timestamp.set(seconds(now));
    }

    /// The config could not be loaded.
    pub fn config_refused(&self) {
        self.config_reload_successful.set(0.0);
    }

    /// The web config changed and could not be taken up.
    pub fn web_config_refused(&self) {
        self.web_config_reload_failures.inc();
    }

    /// The server turned somebody away.
    pub fn web_refused(&self, reason: Refusal) {
        self.web_refusals.with_label_values(&[reason.label()]).inc();
    }

    /// The project left the config: what its gauges say is of no use any more. Counters stay.
    pub fn forget(&self, project: &str) {
        self.backoff.forget(project);
        self.auth_token_expiry.forget(project);
        // An error says that there was none.
        self.api_clock_skew.remove_label_values(&[project]).ok();
    }

    /// All families with their samples, sorted by name.
    pub fn gather(&self) -> Vec<proto::MetricFamily> {
        self.registry.gather()
    }
}

/// A gauge per project that is asked for at the moment of the scrape, so that it cannot be out of
/// date.
#[derive(Clone)]
struct Asked {
    gauges: GaugeVec,
    sources: Arc<Mutex<BTreeMap<Box<str>, Source>>>,
}

/// Gives the value, if there is one now.
type Source = Box<dyn Fn() -> Option<f64> + Send + Sync>;

impl Asked {
    fn new(metric: &Metric) -> Result<Self, prometheus::Error> {
        let gauges = GaugeVec::new(opts(metric), metric.labels)?;
        Ok(Self { gauges, sources: Arc::default() })
    }

    /// Asks this source about the project from now on, and no other.
    fn ask(&self, project: &str, source: impl Fn() -> Option<f64> + Send + Sync + 'static) {
        self.sources().insert(project.into(), Box::new(source));
    }

    fn forget(&self, project: &str) {
        self.sources().remove(project);
        self.remove(project);
    }

    fn remove(&self, project: &str) {
        // An error says that there was none.
        self.gauges.remove_label_values(&[project]).ok();
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Asked {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        for (project, value) in &*self.sources() {
            match value() {
                Some(value) => self.gauges.with_label_values(&[project]).set(value),
                None => self.remove(project),
            }
        }
        self.gauges.collect()
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}

fn opts(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counters(registry: &Registry, metric: &Metric) -> Result<IntCounterVec, prometheus::Error> {
    register(registry, IntCounterVec::new(opts(metric), metric.labels)?)
}

fn gauges(registry: &Registry, metric: &Metric) -> Result<GaugeVec, prometheus::Error> {
    register(registry, GaugeVec::new(opts(metric), metric.labels)?)
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;

    /// The lines of the families whose names begin so.
    fn lines(meters: &Meters, prefix: &str) -> Vec<String> {
        let text = TextEncoder::new().encode_to_string(&meters.gather()).unwrap();
        text.lines().filter(|line| line.starts_with(prefix)).map(str::to_owned).collect()
    }

    #[test]
    fn a_request_is_counted_by_its_status_or_as_an_error_and_timed_in_seconds() {
        let meters = Meters::new().unwrap();
        meters.api_request("shop", "rds_backups", Some(200), Duration::from_millis(250));
        meters.api_request("shop", "rds_backups", None, Duration::from_secs(31));
        let labels = r#"api="rds_backups""#;
        assert_eq!(
            lines(&meters, "clouddb_api_requests_total"),
            [
                format!(r#"clouddb_api_requests_total{{{labels},code="200",project="shop"}} 1"#),
                format!(r#"clouddb_api_requests_total{{{labels},code="error",project="shop"}} 1"#),
            ]
        );
        let name = "clouddb_api_request_duration_seconds";
        let bounds = ["0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "+Inf"];
        let counts = [0, 0, 1, 1, 1, 1, 1, 1, 1, 2];
        let buckets = bounds.iter().zip(counts);
        let mut expected: Vec<String> = buckets
            .map(|(bound, count)| format!(r#"{name}_bucket{{{labels},le="{bound}"}} {count}"#))
            .collect();
        expected.push(format!("{name}_sum{{{labels}}} 31.25"));
        expected.push(format!("{name}_count{{{labels}}} 2"));
        assert_eq!(lines(&meters, name), expected);
    }

    #[test]
    fn the_build_and_the_config_in_force_are_told() {
        let meters = Meters::new().unwrap();
        let (version, revision, rustc) = (build::VERSION, build::REVISION, build::RUSTC);
        assert_eq!(
            lines(&meters, "clouddb_exporter_build_info"),
            [format!(
                r#"clouddb_exporter_build_info{{revision="{revision}",rustc="{rustc}",version="{version}"}} 1"#
            )]
        );
        meters.config_loaded(Timestamp::from_second(1_700_000_000).unwrap());
        assert_eq!(
            lines(&meters, "clouddb_exporter_config"),
            [
                "clouddb_exporter_config_last_reload_success_timestamp_seconds 1700000000",
                "clouddb_exporter_config_last_reload_successful 1",
            ]
        );
    }

    #[test]
    fn this_shard_and_how_many_there_are_is_told() {
        let meters = Meters::new().unwrap();
        meters.shard(2, 3);
        assert_eq!(
            lines(&meters, "clouddb_exporter_shard"),
            [r#"clouddb_exporter_shard_info{shard="2"} 1"#, "clouddb_exporter_shards 3"]
        );
    }

    #[test]
    fn the_counters_of_a_target_are_there_at_zero_before_anything_happens() {
        let meters = Meters::new().unwrap();
        meters.know("shop", "rds", []);
        for (metric, series) in [
            (&metric::POLLS, 1),
            (&metric::POLL_SKIPPED, 1),
            (&metric::POLL_INCONSISTENT, 1),
            (&metric::AUTH_FAILURES, 1),
            (&metric::POLL_FAILURES, Reason::ALL.len()),
        ] {
            let lines = lines(&meters, metric.name);
            assert_eq!(lines.len(), series, "{lines:?}");
            assert!(lines.iter().all(|line| line.ends_with("} 0")), "{lines:?}");
        }
    }
}
