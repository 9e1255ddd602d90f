//! Every metric, declared once: name, help, kind, labels. The counters, the rendering, the docs
//! and their tests read this table. Renaming one is a breaking change.

/// A metric family.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it means, with its unit.
    pub help: &'static str,
    /// What a sample is.
    pub kind: Kind,
    /// The names of its labels; [`OPEN_LABELS`] stands for those that the config names.
    pub labels: &'static [&'static str],
}

/// What a sample is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Grows, and starts at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bounds.
    Histogram,
}

impl Kind {
    /// The word of the text format.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Stands in [`Metric::labels`] for the labels of the config.
pub const OPEN_LABELS: &str = "label_…";

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, help, kind: Kind::Gauge, labels }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, help, kind: Kind::Counter, labels }
}

/// The labels of an instance, or of a target.
pub const TARGET: &[&str] = &["project", "product", "instance_id", "instance_name"];
/// The labels of a call beside the backup lists.
pub const LOOKUP: &[&str] = &["project", "product", "instance_id", "instance_name", "api"];
/// The labels of a type of backups of an instance.
pub const BACKUP: &[&str] = &["project", "product", "instance_id", "instance_name", "backup_type"];
const BACKUP_STATUS: &[&str] =
    &["project", "product", "instance_id", "instance_name", "backup_type", "status"];
const PRODUCT: &[&str] = &["project", "product"];

macro_rules! declare {
    ($($(#[$doc:meta])* $name:ident = $metric:expr;)+) => {
        $($(#[$doc])* pub static $name: Metric = $metric;)+

        /// All metrics of this program, in the order of the docs. `process_*` come
        /// from the library.
        pub static ALL: &[&Metric] = &[$(&$name),+];
    };
}

declare! {
    /// How many records there are.
    BACKUPS = gauge(
        "clouddb_backups",
        BACKUP_STATUS,
        "Backup records in the cloud's list (of incrementals those begun within the lookback), \
         from the last successful poll.",
    );
    /// Sum of their sizes.
    BACKUP_BYTES = gauge(
        "clouddb_backup_bytes",
        BACKUP_STATUS,
        "Sum of the known sizes of the listed backups (the cloud's kB taken as 1024 bytes), from \
         the last successful poll.",
    );
    /// Freshness of the numbers themselves.
    OBSERVED = gauge(
        "clouddb_backup_observed_timestamp_seconds",
        BACKUP,
        "When the listing behind the backup numbers was complete, Unix time, from the last \
         successful poll.",
    );
    /// The number alerts stand on.
    LAST_SUCCESS = gauge(
        "clouddb_backup_last_success_timestamp_seconds",
        BACKUP,
        "End of the newest completed backup (of incrementals its recovery point), Unix time, from \
         the last successful poll.",
    );
    /// For products without `time()`.
    LAST_SUCCESS_AGE = gauge(
        "clouddb_backup_last_success_age_seconds",
        BACKUP,
        "Age of the newest completed backup at the moment of the scrape; the backup is from the \
         last successful poll.",
    );
    /// Size of the newest completed backup.
    LAST_SUCCESS_SIZE = gauge(
        "clouddb_backup_last_success_size_bytes",
        BACKUP,
        "Size of the newest completed backup, from the last successful poll.",
    );
    /// Duration of the newest completed backup.
    LAST_SUCCESS_DURATION = gauge(
        "clouddb_backup_last_success_duration_seconds",
        BACKUP,
        "How long the newest completed backup took (absent for incrementals), from the last \
         successful poll.",
    );
    /// Any attempt.
    LAST_ATTEMPT = gauge(
        "clouddb_backup_last_attempt_timestamp_seconds",
        BACKUP,
        "Begin of the newest backup that completed, failed or runs (absent for incrementals), Unix \
         time, from the last successful poll.",
    );
    /// The verdict on the newest finished one.
    LAST_ATTEMPT_SUCCESS = gauge(
        "clouddb_backup_last_attempt_success",
        BACKUP,
        "1 if the newest finished backup completed, 0 if it failed, from the last successful poll.",
    );
    /// The newest failure.
    LAST_FAILURE = gauge(
        "clouddb_backup_last_failure_timestamp_seconds",
        BACKUP,
        "Begin of the newest failed backup, Unix time, from the last successful poll.",
    );
    /// How long the trouble lasts.
    FAILURES_SINCE_LAST_SUCCESS = gauge(
        "clouddb_backup_failures_since_last_success",
        BACKUP,
        "Failed backups that began after the newest completed one did, all if none has completed; \
         from the last successful poll.",
    );
    /// Stuck backups.
    RUNNING_SINCE = gauge(
        "clouddb_backup_running_since_timestamp_seconds",
        BACKUP,
        "Begin of the oldest backup that still runs (absent for incrementals), Unix time, from the \
         last successful poll.",
    );
    /// How far back one can go.
    OLDEST_SUCCESS = gauge(
        "clouddb_backup_oldest_success_timestamp_seconds",
        BACKUP,
        "End of the oldest completed backup (absent for incrementals), Unix time, from the last \
         successful poll.",
    );
    /// What sizes to expect.
    SIZE_BASELINE = gauge(
        "clouddb_backup_size_baseline_bytes",
        BACKUP,
        "Median size of up to 7 completed backups before the newest, from the last successful \
         poll.",
    );
    /// Whether somebody waits for this type.
    EXPECTED = gauge(
        "clouddb_backup_expected",
        BACKUP,
        "1 if backups of this type are expected (it has a freshness objective), else 0; as of the \
         last successful poll.",
    );
    /// The objective.
    MAX_AGE = gauge(
        "clouddb_backup_max_age_seconds",
        BACKUP,
        "Freshness objective: the age that the newest completed backup should not pass; as of the \
         last successful poll.",
    );
    /// What the instance is.
    INSTANCE_INFO = gauge(
        "clouddb_instance_info",
        &["project", "product", "instance_id", "instance_name", "engine", "engine_version"],
        "1, with the engine of the instance by the instance list, else by its newest backup record.",
    );
    /// For routing.
    INSTANCE_LABELS = gauge(
        "clouddb_instance_labels",
        &["project", "product", "instance_id", "instance_name", OPEN_LABELS],
        "1, with the labels that the config gives the instance.",
    );
    /// Free text of the cloud.
    INSTANCE_STATUS = gauge(
        "clouddb_instance_status",
        &["project", "product", "instance_id", "instance_name", "status"],
        "1 for the state of the instance that the cloud reports in the instance list, else in the \
         newest backup record.",
    );
    /// When the instance was made.
    INSTANCE_CREATED = gauge(
        "clouddb_instance_created_timestamp_seconds",
        TARGET,
        "When the instance was made, by the instance list, Unix time.",
    );
    /// Whether it is still there.
    INSTANCE_FOUND = gauge(
        "clouddb_instance_found",
        TARGET,
        "1 if the cloud has the instance, 0 if the instance list or its own backup list does not \
         know it.",
    );
    /// What nobody watches.
    INSTANCE_MONITORED = gauge(
        "clouddb_instance_monitored",
        TARGET,
        "1 if the instance of the cloud's list is monitored, 0 if it is neither configured nor \
         discovered; no series for read replicas and excluded ones.",
    );
    /// The size of the estate.
    INSTANCES = gauge(
        "clouddb_instances",
        PRODUCT,
        "Instances in the cloud's instance list, read replicas and excluded ones too.",
    );
    /// The automated policy.
    POLICY_ENABLED = gauge(
        "clouddb_backup_policy_enabled",
        TARGET,
        "1 if the automated backup policy of the instance is on, 0 if it is off.",
    );
    /// How long backups are kept.
    POLICY_RETENTION = gauge(
        "clouddb_backup_policy_retention_seconds",
        TARGET,
        "How long the automated backups of the instance are kept, by its policy; absent if it is \
         off.",
    );
    /// The rhythm.
    POLICY_INTERVAL = gauge(
        "clouddb_backup_policy_expected_interval_seconds",
        TARGET,
        "The longest time between two planned automated backups, by the policy of the instance.",
    );
    /// The first recovery point.
    RESTORE_WINDOW_START = gauge(
        "clouddb_restore_window_start_timestamp_seconds",
        TARGET,
        "The first point in time to which the instance can be restored, Unix time.",
    );
    /// The recovery point.
    RESTORE_WINDOW_END = gauge(
        "clouddb_restore_window_end_timestamp_seconds",
        TARGET,
        "The newest point in time to which the instance can be restored, Unix time.",
    );
    /// Holes.
    RESTORE_WINDOWS = gauge(
        "clouddb_restore_windows",
        TARGET,
        "Ranges of time to which the instance can be restored; more than one means holes.",
    );
    /// Freshness of the three above.
    RESTORE_WINDOW_OBSERVED = gauge(
        "clouddb_restore_window_observed_timestamp_seconds",
        TARGET,
        "When the cloud was last asked what the instance can be restored to, Unix time.",
    );
    /// The calls beside the backup lists.
    LOOKUP_SUCCESS = gauge(
        "clouddb_lookup_success",
        LOOKUP,
        "1 if the last call of that api (instance list, policy, restore time) succeeded, else 0; \
         a failed one does not fail the poll.",
    );
    /// Their freshness.
    LOOKUP_LAST_SUCCESS = gauge(
        "clouddb_lookup_last_success_timestamp_seconds",
        LOOKUP,
        "When the last successful call of that api ended, Unix time.",
    );
    /// Names to ids.
    PROJECT_INFO = gauge(
        "clouddb_project_info",
        &["project", "project_id"],
        "1, with the cloud's id of the project, from when it is known.",
    );
    /// Whether the numbers of a target are current.
    POLL_SUCCESS = gauge(
        "clouddb_poll_success",
        TARGET,
        "1 if the last poll of the target succeeded completely, else 0; 0 before the first one \
         ends.",
    );
    /// Freshness of a target.
    POLL_LAST_SUCCESS = gauge(
        "clouddb_poll_last_success_timestamp_seconds",
        TARGET,
        "When the last successful poll of the target ended, Unix time.",
    );
    /// Whether anybody tries.
    POLL_LAST_ATTEMPT = gauge(
        "clouddb_poll_last_attempt_timestamp_seconds",
        TARGET,
        "When the last poll of the target, of any outcome, ended, Unix time.",
    );
    /// Cost in time.
    POLL_DURATION = gauge(
        "clouddb_poll_duration_seconds",
        TARGET,
        "How long the last poll of the target took.",
    );
    /// Cost in requests.
    POLL_REQUESTS = gauge(
        "clouddb_poll_requests",
        TARGET,
        "Requests that the last poll of the target made, those for tokens and project ids not counted.",
    );
    /// What it brought.
    POLL_RECORDS = gauge(
        "clouddb_poll_records",
        TARGET,
        "Distinct backup records that the last poll of the target read, or kept from an earlier one.",
    );
    /// Thresholds need it.
    POLL_INTERVAL = gauge(
        "clouddb_poll_interval_seconds",
        TARGET,
        "How often the target is polled.",
    );
    /// All polls.
    POLLS = counter("clouddb_polls_total", PRODUCT, "Polls that ended, of any outcome.");
    /// Failed polls.
    POLL_FAILURES = counter(
        "clouddb_poll_failures_total",
        &["project", "product", "reason"],
        "Polls that failed, by the reason of the last try.",
    );
    /// Overrun.
    POLL_SKIPPED = counter(
        "clouddb_poll_skipped_total",
        PRODUCT,
        "Due polls that were not started because the last one of the target still ran.",
    );
    /// Moving lists.
    POLL_INCONSISTENT = counter(
        "clouddb_poll_inconsistent_total",
        PRODUCT,
        "Listings that moved while they were read.",
    );
    /// Words that this version does not know.
    UNKNOWN_VALUES = gauge(
        "clouddb_unknown_values",
        &["project", "product", "field"],
        "Records of the last successful polls with a word in that field that this version does \
         not know.",
    );
    /// Every request.
    API_REQUESTS = counter(
        "clouddb_api_requests_total",
        &["project", "api", "code"],
        "Requests to the cloud, by the HTTP status of the answer, or `error` without one.",
    );
    /// Latency of the cloud.
    API_REQUEST_DURATION = Metric {
        name: "clouddb_api_request_duration_seconds",
        help: "How long the requests to the cloud took, until the body was read.",
        kind: Kind::Histogram,
        labels: &["api"],
    };
    /// The throttle.
    API_THROTTLED = counter(
        "clouddb_api_throttled_total",
        &["project", "api"],
        "Requests that the cloud refused because there were too many (429).",
    );
    /// Tries after the first.
    API_RETRIES = counter(
        "clouddb_api_retries_total",
        &["project", "api"],
        "Requests that were tried again after a fault that may pass.",
    );
    /// The pause in force.
    API_BACKOFF = gauge(
        "clouddb_api_backoff_seconds",
        &["project"],
        "How long all requests with the project's credential still wait because the cloud \
         throttles; 0 if they do not.",
    );
    /// Signatures depend on it.
    API_CLOCK_SKEW = gauge(
        "clouddb_api_clock_skew_seconds",
        &["project"],
        "The cloud's clock minus ours, by the last answer; whole seconds and the time of the answer \
         are in it.",
    );
    /// Life of the token.
    AUTH_TOKEN_EXPIRY = gauge(
        "clouddb_auth_token_expiry_timestamp_seconds",
        &["project"],
        "When the token in use for the project expires, Unix time; absent without one.",
    );
    /// Refusals.
    AUTH_FAILURES = counter(
        "clouddb_auth_failures_total",
        &["project"],
        "Sign-ins and signatures that the cloud refused.",
    );
    /// Version.
    BUILD_INFO = gauge(
        "clouddb_exporter_build_info",
        &["version", "revision", "rustc"],
        "1, with the version of the exporter, its commit and its compiler.",
    );
    /// Which part of all targets is polled here.
    SHARD_INFO = gauge(
        "clouddb_exporter_shard_info",
        &["shard"],
        "1, with the number of this shard; the first, or only, one is 0.",
    );
    /// The parts there are.
    SHARDS = gauge(
        "clouddb_exporter_shards",
        &[],
        "How many shards divide the targets among them; 1 without sharding.",
    );
    /// Config.
    CONFIG_RELOAD_SUCCESSFUL = gauge(
        "clouddb_exporter_config_last_reload_successful",
        &[],
        "1 if the last attempt to load the config succeeded, else 0.",
    );
    /// Config.
    CONFIG_RELOAD_SUCCESS_TIMESTAMP = gauge(
        "clouddb_exporter_config_last_reload_success_timestamp_seconds",
        &[],
        "When the config in force was loaded, Unix time.",
    );
    /// Config of the server.
    WEB_CONFIG_RELOAD_FAILURES = counter(
        "clouddb_exporter_web_config_reload_failures_total",
        &[],
        "Changes of the web config, or of a file that it names, that could not be taken up; the one \
         before stays in force.",
    );
    /// Whom the server turned away.
    WEB_REFUSALS = counter(
        "clouddb_exporter_web_refusals_total",
        &["reason"],
        "Connections and requests that the server turned away.",
    );
}

/// Upper bounds of [`API_REQUEST_DURATION`], in seconds.
pub const API_REQUEST_DURATION_BUCKETS: [f64; 9] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_prefixed() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(names.iter().all(|name| name.starts_with("clouddb_")));
    }

    #[test]
    fn backup_series_say_that_they_are_from_the_last_successful_poll() {
        let is_backup = |metric: &&&Metric| {
            metric.name.starts_with("clouddb_backup") && metric.labels != TARGET
        };
        for metric in ALL.iter().filter(is_backup) {
            assert!(metric.help.contains("last successful poll"), "{}", metric.name);
        }
    }
}
