//! The program as a process of its own, and what it says while it runs.

use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::exposition::Exposition;
use crate::secrets;

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_clouddb-backup-exporter");
/// Longer than anything here takes on a busy machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a config file of this text.
pub(crate) fn folder_with(config: &str) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, config).unwrap();
    let flag = format!("--config.file={}", file.display());
    (folder, flag)
}

/// Runs a command to its end; nothing that it says is a secret.
pub(crate) async fn run(mut command: Command) -> Output {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(PATIENCE, output).await.expect("it ends").unwrap();
    for bytes in [&output.stdout, &output.stderr] {
        secrets::look_through(&String::from_utf8_lossy(bytes));
    }
    output
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A running program, with the address that it logged.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) address: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Running {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[]).await
    }

    pub(crate) async fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).envs(environment.iter().copied());
        Self::spawn(command).await
    }

    /// Starts another program that becomes this one.
    pub(crate) async fn start_by(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::spawn(command).await
    }

    async fn spawn(mut command: Command) -> Self {
        let mut child = command
            .arg("--web.listen-address=127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        // Polls begin before it listens.
        let lines = Arc::new(Mutex::new(Vec::new()));
        let address = timeout(PATIENCE, async {
            while let Some(line) = log.next_line().await.unwrap() {
                if let Some((_, behind)) = line.split_once("listening on ") {
                    return behind.split(['"', ' ']).next().unwrap().to_owned();
                }
                lines.lock().unwrap().push(line);
            }
            panic!("it ended without listening");
        });
        let address = address.await.expect("it listens");
        let written = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                written.lock().unwrap().push(line);
            }
        });
        Self { child, address, log: lines }
    }

    /// The lines that it logged, but for the one that it listens.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has logged a line with this text.
    pub(crate) async fn logged(&self, text: &str) {
        let begin = Instant::now();
        while !self.log().iter().any(|line| line.contains(text)) {
            assert!(begin.elapsed() < PATIENCE, "{:?}", self.log());
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let client = reqwest::Client::builder().build().unwrap();
        let url = format!("http://{}{path}", self.address);
        let mut response = client.get(url).send().await.unwrap();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.unwrap() {
            body.extend_from_slice(&chunk);
        }
        let body = String::from_utf8(body).unwrap();
        secrets::look_through(&body);
        body
    }

    pub(crate) async fn until(&self, condition: impl Fn(&Exposition) -> bool) -> Exposition {
        let begin = Instant::now();
        loop {
            let exposition = Exposition::read(&self.get("/metrics").await);
            if condition(&exposition) {
                return exposition;
            }
            assert!(begin.elapsed() < PATIENCE, "{}", exposition.text());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a signal and gives the exit code, which must come within five seconds.
    pub(crate) async fn end(mut self, signal: &str) -> Option<i32> {
        secrets::look_through(&self.log().join("\n"));
        self.signal(signal).await;
        let status = timeout(Duration::from_secs(5), self.child.wait()).await;
        status.expect("it ends within five seconds").unwrap().code()
    }
}

/// The client of this process needs the cryptography that the daemon chooses in its own.
pub(crate) fn crypto() {
    rustls::crypto::ring::default_provider().install_default().ok();
}
