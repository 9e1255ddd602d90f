//! The tool that presses on servers with slow requests and slow reading, and tells whether they still
//! answer somebody else.

use std::process::Stdio;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::running::PATIENCE;

/// How it presses: the options of a mode, for as long as it lasts.
pub(crate) const HEADERS: &[&str] = &["-H", "-i", "1", "-x", "24"];
pub(crate) const BODY: &[&str] = &["-B", "-i", "1", "-s", "8192"];
pub(crate) const READING: &[&str] =
    &["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-k", "3"];

/// It is at work until it has ended.
pub(crate) struct Attack(Child);

/// What it told at its end.
pub(crate) struct Report(String);

impl Attack {
    pub(crate) fn start(mode: &[&str], connections: usize, seconds: u64, address: &str) -> Self {
        let program = std::env::var_os("CLOUDDB_TEST_SLOWHTTPTEST").expect(
            "CLOUDDB_TEST_SLOWHTTPTEST names slowhttptest; tests/run gets it and sets this",
        );
        let (connections, seconds) = (connections.to_string(), seconds.to_string());
        let url = format!("http://{address}/metrics");
        // Ten seconds without an answer count as out of service; so many a scrape has by default.
        let rest = ["-c", &connections, "-r", "200", "-l", &seconds, "-p", "10", "-u", &url];
        let child = Command::new(program)
            .args(mode)
            .args(rest)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        Self(child.unwrap())
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub(crate) async fn report(self) -> Report {
        let output = timeout(PATIENCE, self.0.wait_with_output()).await.expect("it ends").unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        // In colours: `ESC [ … m`.
        let plain = told.split('\u{1b}').enumerate().map(|(at, part)| match part.split_once('m') {
            Some((_, behind)) if at > 0 => behind,
            _ => part,
        });
        let text = plain.collect::<String>();
        assert!(output.status.success(), "{text}");
        Report(text)
    }
}

impl Report {
    /// The values of a line that comes every five seconds.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0.lines().filter_map(|line| Some(line.strip_prefix(name)?.trim())).collect()
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}
