//! Containers on this machine: buildah, podman and runc, with a store that goes with the test.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::tool::{run, succeed};

/// What the engine needs on a machine without systemd, and with old or new cgroups.
const CONFIG: &str = "[containers]\n\
    default_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]\n\
    [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";

/// Longer than anything here takes on a busy machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than any command of the engine takes, in seconds.
const BOUND: &str = "120";

/// A store of images and containers of its own.
pub(crate) struct Store {
    folder: TempDir,
}

impl Store {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("containers.conf"), CONFIG).unwrap();
        Self { folder }
    }

    pub(crate) fn buildah(&self) -> Command {
        self.program("buildah")
    }

    pub(crate) fn podman(&self) -> Command {
        self.program("podman")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new("timeout");
        command
            .args([BOUND, name])
            .env("CONTAINERS_CONF", self.folder.path().join("containers.conf"))
            .env("BUILDAH_ISOLATION", "chroot")
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.folder.path().join("root"))
            .arg("--runroot")
            .arg(self.folder.path().join("run"));
        command
    }

    /// What the engine says of a container, by a template of Go.
    pub(crate) fn inspect(&self, what: &str, template: &str) -> String {
        succeed(self.podman().args(["inspect", "--format", template, what])).trim().to_owned()
    }

    /// What a container has written so far.
    pub(crate) fn log(&self, container: &str) -> String {
        succeed(self.podman().args(["logs", container]))
    }

    /// The address that the exporter in a container logs once it listens.
    pub(crate) async fn address(&self, container: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = self.log(container);
            if let Some((_, behind)) = log.split_once("listening on ") {
                return behind.split(['"', ' ', '\n']).next().unwrap().to_owned();
            }
            assert!(Instant::now() < until, "it does not listen:\n{log}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        run(self.podman().args(["pod", "rm", "--force", "--all", "--time", "0"]));
        run(self.podman().args(["rm", "--force", "--all", "--time", "0"]));
    }
}
