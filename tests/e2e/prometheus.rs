//! A Prometheus with the shipped config and rules.

use std::path::{Path, PathBuf};

use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{Process, until};
use crate::shipped;
use crate::webhook::{client, json_of};

/// One that runs.
pub(crate) struct Prometheus {
    process: Process,
    client: Client,
    folder: TempDir,
}

impl Prometheus {
    /// Starts this program, to scrape these exporters and to tell this Alertmanager.
    pub(crate) async fn start(program: &Path, exporters: &[&str], alertmanager: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, shipped::prometheus(exporters, alertmanager)).unwrap();
        std::fs::write(folder.path().join("rules.yml"), shipped::rules()).unwrap();
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle"]);
        let process = Process::start("Prometheus", command).await;
        Self { process, client: client(), folder }
    }

    /// Where its config and its rules are.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("prometheus.yml")
    }

    /// Goes on with other rules.
    pub(crate) async fn reload(&self, rules: &str) {
        std::fs::write(self.folder.path().join("rules.yml"), rules).unwrap();
        let url = format!("http://{}/-/reload", self.process.address());
        assert_eq!(self.client.post(url).send().await.unwrap().status(), 200);
    }

    /// What its API says at this path with these parameters; a refusal is an error.
    pub(crate) async fn ask(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Value, String> {
        let pairs: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let url = format!("http://{}/api/v1/{path}?{}", self.process.address(), pairs.join("&"));
        let answer = json_of(self.client.get(url).send().await.unwrap()).await;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].clone()),
            _ => Err(answer["error"].to_string()),
        }
    }

    /// The series of an answer to a query, as the API gives them.
    pub(crate) async fn series(&self, query: &str) -> Vec<Value> {
        let data = self.ask("query", &[("query", query)]).await;
        let data = data.unwrap_or_else(|error| panic!("{query}: {error}"));
        data["result"].as_array().unwrap().clone()
    }

    /// The value of the only series of an answer, if there is one.
    pub(crate) async fn number(&self, query: &str) -> Option<f64> {
        let series = self.series(query).await;
        assert!(series.len() <= 1, "{query}: {series:#?}");
        series.first()?["value"][1].as_str()?.parse().ok()
    }

    /// Waits until a query has an answer.
    pub(crate) async fn until(&self, query: &str) -> Vec<Value> {
        until(
            async || Some(self.series(query).await).filter(|series| !series.is_empty()),
            async || {
                let alerts = self.series("ALERTS").await;
                format!("{query} has no answer; the alerts: {alerts:#?}")
            },
        )
        .await
    }
}

/// Every byte as a query may have it.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02X}"))
}
