//! Containers on this machine: an engine with a store of its own, which takes its containers with it.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::tool;

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
const PATIENCE: &str = "120";

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

    /// Makes an image of a folder with a Dockerfile.
    pub(crate) fn build(&self, folder: &Path, name: &str) {
        tool::succeed(self.command("buildah").args(["bud", "--quiet", "--tag", name]).arg(folder));
    }

    pub(crate) fn podman(&self) -> Command {
        self.command("podman")
    }

    fn command(&self, program: &str) -> Command {
        let path = self.folder.path();
        let mut command = Command::new("timeout");
        command.args([PATIENCE, program]);
        command.arg("--root").arg(path.join("store")).arg("--runroot").arg(path.join("run"));
        command.env("CONTAINERS_CONF", path.join("containers.conf"));
        command.env("STORAGE_DRIVER", "vfs").env("BUILDAH_ISOLATION", "chroot");
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for what in ["pod", "container"] {
            drop(self.podman().args([what, "rm", "--all", "--force", "--time=0"]).output());
        }
    }
}
