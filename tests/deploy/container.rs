//! Containers on this machine: an engine with a store of its own, which takes its containers with it.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::scrape::PATIENCE;
use crate::tool::{checkout, run, succeed};

/// Neither systemd nor the right to raise limits is needed, and nothing of the machine's own is seen.
const CONFIG: &str = r#"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"#;

/// Longer than any of its commands takes on a busy machine, in seconds.
const LONGEST: &str = "120";

/// Builds images and runs containers.
pub(crate) struct Engine {
    folder: TempDir,
}

impl Engine {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("containers.conf"), CONFIG).unwrap();
        Self { folder }
    }

    pub(crate) fn buildah(&self) -> Command {
        self.command("buildah")
    }

    pub(crate) fn podman(&self) -> Command {
        self.command("podman")
    }

    fn command(&self, program: &str) -> Command {
        let path = self.folder.path();
        let mut command = Command::new("timeout");
        command.args([LONGEST, program, "--storage-driver=vfs"]).current_dir(checkout(""));
        command.arg("--root").arg(path.join("store")).arg("--runroot").arg(path.join("run"));
        command.env("CONTAINERS_CONF", path.join("containers.conf"));
        command.env("BUILDAH_ISOLATION", "chroot");
        command
    }

    /// Runs a line of the shell in which `podman` is this engine's.
    pub(crate) fn sh(&self, line: &str) -> String {
        let podman = self.podman();
        let words = podman.get_args().map(|word| word.to_str().unwrap());
        let words: Vec<&str> = std::iter::once("timeout").chain(words).collect();
        let mut shell = Command::new("sh");
        shell.args(["-euc", &format!("podman() {{ {} \"$@\"; }}\n{line}", words.join(" "))]);
        shell.envs(podman.get_envs().filter_map(|(name, value)| Some((name, value?))));
        succeed(shell.current_dir(checkout("")))
    }

    /// What a container or an image is said to be, by a template of Go.
    pub(crate) fn inspect(&self, what: &str, template: &str) -> String {
        succeed(self.podman().args(["inspect", "--format", template, what])).trim().to_owned()
    }

    /// What a container has written so far.
    pub(crate) fn log(&self, container: &str) -> String {
        succeed(self.podman().args(["logs", container]))
    }

    /// The address that the exporter in a container logs once it listens.
    pub(crate) async fn address(&self, container: &str) -> String {
        let begin = Instant::now();
        loop {
            let log = self.log(container);
            if let Some((_, behind)) = log.split_once("listening on ") {
                return behind.split(['"', ' ', '\n']).next().unwrap().to_owned();
            }
            assert!(begin.elapsed() < PATIENCE, "{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        run(self.podman().args(["pod", "rm", "--all", "--force", "--time=0"]));
        run(self.podman().args(["rm", "--all", "--force", "--time=0"]));
    }
}
