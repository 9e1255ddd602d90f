//! Images and containers: buildah, podman and runc, with a store that goes with the test.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::scrape::PATIENCE;
use crate::tool::{checkout, run, succeed};

/// What the engine needs on a machine without systemd, and with old or new cgroups.
const CONFIG: &str = "[containers]\n\
    default_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]\n\
    [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";

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
        let mut command = Command::new(name);
        command
            .current_dir(checkout(""))
            .env("CONTAINERS_CONF", self.folder.path().join("containers.conf"))
            .env("BUILDAH_ISOLATION", "chroot")
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.folder.path().join("root"))
            .arg("--runroot")
            .arg(self.folder.path().join("run"));
        command
    }

    /// Builds the shipped Dockerfile, with `stage` in place of what its first stage makes.
    pub(crate) fn build(&self, image: &str, stage: &Path, arguments: &[&str]) {
        let file = "deploy/container/Dockerfile";
        let mut build = self.buildah();
        build
            .args(["bud", "--quiet", "--file", file, "--ignorefile"])
            .arg(format!("{file}.dockerignore"));
        build.args(["--tag", image, "--build-context"]).arg(format!("build={}", stage.display()));
        succeed(build.args(arguments).arg("."));
    }

    /// What the engine says of an image or a container, by a template of Go.
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

impl Drop for Store {
    fn drop(&mut self) {
        run(self.podman().args(["rm", "--force", "--all", "--time", "0"]));
    }
}
