//! The program, with a config of its own.

use clouddb_backup_exporter::sim::{Cloud, estate};
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::Process;

/// One that runs.
pub(crate) struct Exporter {
    process: Process,
    _folder: TempDir,
}

impl Exporter {
    /// Starts with the text of a config file.
    pub(crate) async fn start(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_clouddb-backup-exporter"));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg("--web.listen-address=127.0.0.1:0");
        Self { process: Process::start("the exporter", command).await, _folder: folder }
    }

    pub(crate) fn address(&self) -> &str {
        self.process.address()
    }

    pub(crate) async fn kill(&mut self) {
        self.process.kill().await;
    }
}

/// A config that polls every second, up to its list of projects.
pub(crate) fn polling_often(cloud: &Cloud) -> String {
    format!(
        "poll: {{ interval: 1s }}\n\
         credentials:\n  main: {{ auth_url: {}, username: {}, password: {}, user_domain_name: {}, \
         requests_per_second: 1000 }}\n\
         projects:\n",
        cloud.iam_url(),
        estate::USER,
        estate::PASSWORD,
        estate::DOMAIN
    )
}
