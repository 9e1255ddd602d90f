//! A machine that systemd runs: namespaces of their own on the files of this one, which it cannot change.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::scrape::PATIENCE;
use crate::tool::{checkout, run};

pub(crate) struct Machine {
    outer: Child,
    /// Its systemd, by the number that it has outside.
    init: String,
    group: String,
    folder: TempDir,
}

impl Machine {
    pub(crate) fn boot() -> Self {
        let folder = TempDir::new().unwrap();
        let name = folder.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.');
        let group = format!("clouddb-{name}");
        // It ends with the test, even with one that is killed.
        let mut boot = Command::new("setpriv");
        boot.args(["--pdeathsig=KILL", "unshare", "--mount", "--propagation=private", "sh"]);
        boot.arg(checkout("tests/deploy/machine.sh")).arg(folder.path()).arg(&group);
        let outer = boot.stdin(Stdio::null()).spawn().unwrap();
        let mut machine = Self { outer, init: String::new(), group, folder };
        let begin = Instant::now();
        // Its first process is the only child of the one that waits for it.
        let children = format!("/proc/{0}/task/{0}/children", machine.outer.id());
        while !machine.is_up() {
            assert!(begin.elapsed() < PATIENCE, "it boots");
            assert_eq!(machine.outer.try_wait().unwrap(), None, "it ended");
            std::thread::sleep(Duration::from_millis(20));
            let ids = std::fs::read_to_string(&children).unwrap_or_default();
            ids.trim().clone_into(&mut machine.init);
        }
        machine
    }

    fn is_up(&self) -> bool {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.init)).unwrap_or_default();
        name == "systemd\n" && {
            let (_, state) = run(&mut self.command("systemctl is-system-running"));
            state == "running\n"
        }
    }

    /// A command of its shell, as root.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init, "--mount", "--pid", "--cgroup", "--uts", "--ipc"]);
        command.args(["--root", "--wd", "env", "--ignore-environment", "--chdir=/root"]);
        command.args(["PATH=/usr/local/bin:/usr/sbin:/usr/bin", "sh", "-euc", line]);
        command
    }

    /// What commands of its shell print; panics with the journal if they fail.
    pub(crate) fn sh(&self, lines: &str) -> String {
        let (output, text) = run(&mut self.command(lines));
        if !output.status.success() {
            let (_, journal) = run(&mut self.command("journalctl --no-pager --lines=40"));
            panic!("{lines}\n{text}\n{journal}");
        }
        text
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        std::fs::write(format!("/proc/{}/root{path}", self.init), content).unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The end of the first process of a namespace ends all others.
        run(Command::new("kill").args(["-KILL", &self.init]));
        self.outer.kill().ok();
        self.outer.wait().ok();
        let line = "mount -t cgroup2 cgroup2 \"$1\"; for try in 1 2 3 4 5 6 7 8 9; do \
                    find \"$1/$2\" -depth -type d -exec rmdir {} + && exit; sleep 0.1; done";
        let mut tidy = Command::new("unshare");
        tidy.args(["--mount", "--propagation=private", "sh", "-c", line, "sh"]);
        run(tidy.arg(self.folder.path()).arg(&self.group));
    }
}
