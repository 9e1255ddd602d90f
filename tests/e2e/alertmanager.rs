//! Debian's Alertmanager, with the shipped config.

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{Process, tool};
use crate::shipped;
use crate::webhook::{Webhook, client, json_of};

/// Debian's Alertmanager reads its templates at `/usr/share` only. It is unpacked and not installed, so it
/// sees its own files there, in a view of the file system that no other process has.
const WITH_ITS_TEMPLATES: &str = "mount -t overlay overlay -o lowerdir=\"$0/share:/usr/share\" /usr/share && \
                                  exec \"$0/bin/prometheus-alertmanager\" \"$@\"";

/// One that runs.
pub(crate) struct Alertmanager {
    process: Process,
    client: Client,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts one that tells this webhook.
    pub(crate) async fn start(webhook: &Webhook) -> Self {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, shipped::alertmanager(webhook.url())).unwrap();
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-c", WITH_ITS_TEMPLATES])
            .arg(tool("usr"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]);
        let process = Process::start("Alertmanager", command).await;
        Self { process, client: client(), _folder: folder }
    }

    pub(crate) fn address(&self) -> &str {
        self.process.address()
    }

    /// How many alerts mute the one of this name on this instance; nothing if there is no such alert.
    pub(crate) async fn muted_by(&self, alert: &str, instance: &str) -> Option<usize> {
        let url = format!("http://{}/api/v2/alerts", self.address());
        let alerts = json_of(self.client.get(url).send().await.unwrap()).await;
        let alert = alerts.as_array()?.iter().find(|it| {
            it["labels"]["alertname"] == alert && it["labels"]["instance_name"] == instance
        })?;
        Some(alert["status"]["inhibitedBy"].as_array()?.len())
    }

    /// Waits until two alerts that nothing mutes have arrived one after the other. Each waits for as long
    /// as a group does between two messages, so that whatever was due before them was sent before.
    pub(crate) async fn settle(&self, webhook: &Webhook) {
        for turn in ["first", "second"] {
            let alert = json!([{ "labels": { "alertname": "Watchdog", "severity": "none", "project": turn } }]);
            let url = format!("http://{}/api/v2/alerts", self.address());
            let request = self.client.post(url).header("Content-Type", "application/json");
            let answer = request.body(Value::to_string(&alert)).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            webhook.until(|it| it.is("Watchdog", "firing") && it.label("project") == turn).await;
        }
    }
}
