//! Debian's Prometheus, which scrapes what the tests run.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::running::PATIENCE;
use crate::web::{body, without_gzip};

/// One that runs.
pub(crate) struct Prometheus {
    child: Child,
    address: String,
    rest: JoinHandle<()>,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts with the text of its config, in a folder with the files that this names.
    pub(crate) async fn start(folder: TempDir, text: &str) -> Self {
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(program())
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = timeout(PATIENCE, async {
            let mut last = String::new();
            while let Some(line) = log.next_line().await.unwrap() {
                if line.contains("\"Listening on\"") {
                    return line.rsplit("address=").next().unwrap().to_owned();
                }
                last = line;
            }
            panic!("it ended without listening: {last}");
        });
        let address = address.await.expect("it listens");
        let rest = tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Self { child, address, rest, _folder: folder }
    }

    /// The answer to a query for one number.
    pub(crate) async fn number(&self, query: &str) -> Option<f64> {
        let url = format!("http://{}/api/v1/query?query={query}", self.address);
        let answer = body(without_gzip().get(url).send().await.ok()?).await;
        let answer: Value = serde_json::from_slice(&answer).ok()?;
        answer.pointer("/data/result/0/value/1")?.as_str()?.parse().ok()
    }

    /// The first answer to a query for one number.
    pub(crate) async fn until(&self, query: &str) -> f64 {
        let begin = Instant::now();
        loop {
            if let Some(number) = self.number(query).await {
                return number;
            }
            assert!(begin.elapsed() < PATIENCE, "it has no answer to {query}");
            sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn stop(mut self) {
        self.child.kill().await.unwrap();
        self.rest.await.unwrap();
    }
}

fn program() -> PathBuf {
    let promtool = std::env::var_os("CLOUDDB_TEST_PROMTOOL")
        .expect("CLOUDDB_TEST_PROMTOOL names promtool; tests/run gets it and sets this");
    Path::new(&promtool).with_file_name("prometheus")
}
