//! Runs the daemon in this process, against a simulated cloud or none.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clouddb_backup_exporter::account::Patience;
use clouddb_backup_exporter::app::{self, Options};
use clouddb_backup_exporter::census;
use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::config::Config;
use clouddb_backup_exporter::exposition::Latest;
use clouddb_backup_exporter::shard::Shard;
use clouddb_backup_exporter::sim::{Cloud, estate};
use clouddb_backup_exporter::web::Front;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::exposition::Exposition;
use crate::secrets;

/// Longer than anything here takes on a busy machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Few, so that a test can take them all.
pub(crate) const MOST_CONNECTIONS: usize = 32;

/// The waits of the daemon, shortened.
pub(crate) const SHORT_WAITS: Patience = Patience {
    tries: 4,
    first_wait: Duration::from_millis(20),
    first_pause: Duration::from_millis(100),
    longest_pause: Duration::from_millis(300),
};

/// A daemon that runs.
pub(crate) struct Daemon {
    url: String,
    client: Client,
    exposition: Arc<Latest>,
    stop: CancellationToken,
    run: JoinHandle<Result<(), app::Ended>>,
    /// How many instance lists are read.
    censuses: Cell<usize>,
    shard: Shard,
    folder: TempDir,
}

/// An answer of the daemon.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Daemon {
    /// Starts with the text of a config file, on the clock of the machine.
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_at(config, Clock::system()).await
    }

    /// Starts with the text of a config file, on another clock.
    pub(crate) async fn start_at(config: &str, clock: Clock) -> Self {
        Self::start_in(TempDir::new().unwrap(), config, Shard::WHOLE, clock).await
    }

    /// Starts one of several shards with the text of a config file, on another clock.
    pub(crate) async fn start_shard(config: &str, shard: Shard, clock: Clock) -> Self {
        Self::start_in(TempDir::new().unwrap(), config, shard, clock).await
    }

    /// Starts with the text of a config file that has others beside it; `web.yaml` is a web config.
    pub(crate) async fn start_beside(files: &[(&str, &str)], config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self::start_in(folder, config, Shard::WHOLE, Clock::system()).await
    }

    async fn start_in(folder: TempDir, config: &str, shard: Shard, clock: Clock) -> Self {
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, config).unwrap();
        let loaded = match Config::load(&file) {
            Ok(loaded) => loaded,
            Err(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                panic!("the config has problems:\n{}", lines.join("\n"));
            }
        };
        let web = folder.path().join("web.yaml");
        let front = if web.exists() {
            Front::open(&web, Duration::from_millis(20)).expect("a good web config").0
        } else {
            Front::default()
        };
        let scheme = if front.is_tls() { "https" } else { "http" };
        let options = Options {
            listen_addresses: vec!["127.0.0.1:0".to_owned()],
            front: Arc::new(front),
            most_connections: MOST_CONNECTIONS,
            telemetry_path: "/metrics".to_owned(),
            enable_lifecycle: true,
            config_file: Some(file),
            shard,
            clock,
            patience: SHORT_WAITS,
            render_gap: Duration::ZERO,
        };
        let daemon = app::Daemon::start(&loaded.config, options).await.unwrap();
        let url = format!("{scheme}://{}", daemon.addresses()[0]);
        let exposition = daemon.exposition();
        let stop = CancellationToken::new();
        let run = tokio::spawn(daemon.run(stop.clone()));
        // The daemon has chosen the cryptography that the client needs too.
        let client = Client::builder().build().unwrap();
        let censuses = Cell::new(lists(&loaded.config, shard));
        Self { url, client, exposition, stop, run, censuses, shard, folder }
    }

    /// Writes the config file anew and asks for it to be read.
    pub(crate) async fn reload(&self, config: &str) -> Answer {
        let file = self.folder.path().join("config.yaml");
        std::fs::write(&file, config).unwrap();
        if let Ok(loaded) = Config::load(&file) {
            self.censuses.set(lists(&loaded.config, self.shard));
        }
        self.ask(Method::POST, "/-/reload").await
    }

    /// The folder of the config file.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Gets a path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path).await
    }

    /// What it tells of itself, for a query.
    pub(crate) async fn status(&self, query: &str) -> Value {
        let answer = self.get(&format!("/api/v1/status?{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// How many instances are in a state.
    pub(crate) async fn total(&self, state: &str) -> u64 {
        self.status("").await["totals"][state].as_u64().unwrap()
    }

    /// Asks for a path.
    pub(crate) async fn ask(&self, method: Method, path: &str) -> Answer {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let mut response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.unwrap() {
            body.extend_from_slice(&chunk);
        }
        let body = String::from_utf8(body).unwrap();
        secrets::look_through(&body);
        Answer { status, headers, body }
    }

    /// The exposition of everything that was published before.
    pub(crate) async fn metrics(&self) -> Exposition {
        let caught_up = timeout(PATIENCE, self.exposition.caught_up()).await;
        caught_up.expect("what is published is rendered");
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200);
        Exposition::read(&answer.body)
    }

    /// The first exposition that is as it should be.
    pub(crate) async fn until(&self, condition: impl Fn(&Exposition) -> bool) -> Exposition {
        let begin = Instant::now();
        loop {
            assert!(!self.run.is_finished(), "the daemon ended");
            let exposition = self.metrics().await;
            if condition(&exposition) {
                return exposition;
            }
            let waited = begin.elapsed();
            assert!(waited < PATIENCE, "waited {waited:?} in vain; last:\n{}", exposition.text());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The exposition after every instance list was read and every target was polled, and all of
    /// them `count` times on average.
    pub(crate) async fn after_polls(&self, count: f64) -> Exposition {
        self.until(|exposition| {
            let polls = exposition.values("clouddb_polls_total", &[]);
            let targets = exposition.values("clouddb_poll_success", &[]).len();
            let polled = exposition.values("clouddb_poll_last_attempt_timestamp_seconds", &[]);
            let lookups = exposition.values("clouddb_lookup_success", &[("instance_id", "")]);
            lookups.len() == self.censuses.get()
                && polled.len() == targets
                && polls.iter().sum::<f64>() >= count * targets as f64
        })
        .await;
        // The counters may be ahead of the other series, but not of what is published.
        self.metrics().await
    }

    /// The URL of the daemon.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends the daemon and gives how it ended.
    pub(crate) async fn stop(self) -> Result<(), app::Ended> {
        self.stop.cancel();
        self.run.await.unwrap()
    }
}

/// How many instance lists a shard reads.
fn lists(config: &Config, shard: Shard) -> usize {
    census::censuses(config).iter().filter(|census| census.is_read_by(shard)).count()
}

/// The config of a credential with a password for the simulated cloud.
pub(crate) fn password(cloud: &Cloud) -> String {
    format!(
        "auth_url: {}, username: {}, password: {}, user_domain_name: {}, \
         requests_per_second: 10000",
        cloud.iam_url(),
        estate::USER,
        estate::PASSWORD,
        estate::DOMAIN
    )
}

/// The config of a credential with keys for the simulated cloud.
pub(crate) fn keys() -> String {
    format!(
        "access_key: {}, secret_key: {}, requests_per_second: 10000",
        estate::ACCESS_KEY,
        estate::SECRET_KEY
    )
}

/// A config of one project, `shop`.
pub(crate) struct Setup<'a> {
    /// The block `poll`, in flow style.
    pub(crate) poll: &'a str,
    /// The block of the credential, in flow style.
    pub(crate) credential: String,
    /// The keys of the RDS block besides, in flow style.
    pub(crate) rds_keys: &'a str,
    /// The blocks of the RDS instances, in flow style.
    pub(crate) rds: Vec<String>,
    /// Whether DDM is read.
    pub(crate) ddm: bool,
}

impl<'a> Setup<'a> {
    /// Signs in with the password, and polls often.
    pub(crate) fn new(cloud: &Cloud) -> Self {
        Self {
            poll: "interval: 1s",
            credential: password(cloud),
            rds_keys: "",
            rds: Vec::new(),
            ddm: false,
        }
    }

    /// With an RDS instance.
    pub(crate) fn with_rds(mut self, id: &str, more: &str) -> Self {
        self.rds.push(format!("id: {id}, {more}"));
        self
    }

    /// With more keys of the RDS block, each on a line of its own in the file.
    pub(crate) fn with_rds_keys(mut self, keys: &'a str) -> Self {
        self.rds_keys = keys;
        self
    }

    /// With DDM.
    pub(crate) fn with_ddm(mut self) -> Self {
        self.ddm = true;
        self
    }

    /// The text of the config file.
    pub(crate) fn text(&self, cloud: &Cloud) -> String {
        let mut text = format!(
            "poll: {{ {} }}\n\
             credentials:\n  main: {{ {} }}\n\
             projects:\n  - name: shop\n    project_id: {}\n    credentials: main\n",
            self.poll,
            self.credential,
            estate::PROJECT_ID
        );
        if !self.rds.is_empty() || !self.rds_keys.is_empty() {
            text += &format!("    rds:\n      endpoint: {}\n", cloud.rds_url());
            for line in self.rds_keys.lines() {
                text += &format!("      {}\n", line.trim());
            }
        }
        if !self.rds.is_empty() {
            text += "      instances:\n";
            for instance in &self.rds {
                text += &format!("        - {{ {instance} }}\n");
            }
        }
        if self.ddm {
            text += &format!("    ddm:\n      endpoint: {}\n", cloud.ddm_url());
        }
        text
    }
}

/// The clock of the simulated cloud, for the daemon.
pub(crate) fn clock_of(cloud: &Cloud) -> Clock {
    let clock = cloud.clock().clone();
    Clock::new(move || clock.now())
}
