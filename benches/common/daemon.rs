//! The program as it is released, in a process of its own, and what the kernel says of it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

const PROGRAM: &str = env!("CARGO_BIN_EXE_clouddb-backup-exporter");
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that serves metrics. It ends when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: String,
    _folder: TempDir,
}

impl Daemon {
    pub(crate) fn start(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("config.yaml");
        fs::write(&file, config).unwrap();
        let mut child = Command::new(PROGRAM)
            .arg(format!("--config.file={}", file.display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended without listening");
            if let Some((_, behind)) = line.split_once("listening on ") {
                break behind.split(['"', ' ', '\n']).next().unwrap().to_owned();
            }
        };
        // What it logs is not of interest, and must not block it.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address, _folder: folder }
    }

    /// Waits until each of so many targets was polled so often, on average, and all of them well.
    pub(crate) fn wait_for_polls(&self, targets: usize, times: usize) {
        let begin = Instant::now();
        loop {
            let text = self.metrics();
            let sum = |name: &str| -> f64 {
                let values = text.lines().filter(|line| line.starts_with(name));
                values.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
            };
            let polls = sum("clouddb_polls_total{");
            if polls >= (targets * times) as f64 {
                assert_eq!(sum("clouddb_poll_failures_total{"), 0.0, "{text}");
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{polls} polls of {targets}");
            sleep(Duration::from_millis(100));
        }
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// A figure of its memory, in MiB: `VmHWM` is the most, `VmRSS` what there is now.
    pub(crate) fn memory(&self, name: &str) -> f64 {
        memory(self.child.id(), name)
    }

    /// The CPU time of all its threads, in milliseconds.
    pub(crate) fn cpu(&self) -> f64 {
        cpu(self.child.id())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn memory(process: u32, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// User and system time, which the kernel counts in hundredths of a second.
pub(crate) fn cpu(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) * 10.0
}
