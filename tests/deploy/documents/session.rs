//! A shell in which a reader types: on a machine that has the Debian packages of the documents, with a network
//! of its own, so that the ports of the documents are free. What it changes goes with it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use tokio::time::Instant;

use crate::tool::checkout;

/// Longer than any command here takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// Ends what a command prints, with its exit code.
const MARK: &str = "\u{1}ended\u{1}";

/// The folder of the reader is `$1`, that of the checkout's tools `$2`, and `$3` one for what is changed.
const MACHINE: &str = r#"
set -eu
ip link set lo up
mount -t tmpfs tmpfs "$3"
for dir in etc usr var; do
  mkdir "$3/$dir" "$3/$dir.work"
  mount -t overlay overlay -o "lowerdir=$2/$dir:/$dir,upperdir=$3/$dir,workdir=$3/$dir.work" "/$dir"
done
echo '127.0.0.1 localhost backup-exporter' > /etc/hosts
mkdir -p /var/lib/node_exporter/textfile /usr/local/bin
cp -L "$4" /usr/local/bin/clouddb-backup-exporter
cd "$1"
export HOME="$1" PATH="/usr/local/bin:$2/venv/bin:$2/bin:/usr/sbin:/usr/bin:/sbin:/bin"
exec bash 2>&1
"#;

pub(super) struct Session {
    shell: Child,
    stdin: ChildStdin,
    printed: Receiver<String>,
}

impl Session {
    pub(super) fn start(folder: &Path, changes: &Path) -> Self {
        // It ends with the test, even with one that is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig=KILL", "unshare", "--net", "--mount", "--pid", "--fork"]);
        command.args(["--kill-child", "--mount-proc", "sh", "-c", MACHINE, "sh"]);
        command.args([folder, &checkout(".tools"), changes]);
        command.arg(env!("CARGO_BIN_EXE_clouddb-backup-exporter"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // Nothing of the one who runs the tests, such as a proxy.
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8");
        let mut shell = command.spawn().expect("unshare is of util-linux");
        let stdin = shell.stdin.take().unwrap();
        let stdout = shell.stdout.take().unwrap();
        let (sender, printed) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self { shell, stdin, printed }
    }

    /// The exit code of a command, and what it printed on both ways.
    pub(super) fn run(&mut self, command: &str) -> Result<(i32, String), String> {
        // `$?` of the next command is that of this one.
        let line = format!(
            "{{ {command}\n}} < /dev/null; code=$?; printf '\\n\\001ended\\001%d\\n' \"$code\"; (exit \"$code\")\n"
        );
        self.stdin
            .write_all(line.as_bytes())
            .map_err(|error| format!("the shell is gone: {error}"))?;
        let begin = Instant::now();
        let mut told = String::new();
        loop {
            match self.printed.recv_timeout(PATIENCE.saturating_sub(begin.elapsed())) {
                Ok(line) => match line.strip_prefix(MARK) {
                    Some(code) => {
                        let code =
                            code.trim().parse().map_err(|_| format!("no exit code: {line}"))?;
                        // The mark begins with a line break of its own.
                        let told = told.strip_suffix('\n').unwrap_or(&told).to_owned();
                        return Ok((code, told));
                    }
                    None => told.push_str(&line),
                },
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("it runs for more than {PATIENCE:?}; so far\n{told}"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("the shell is gone; before\n{told}"));
                }
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shell.kill().ok();
        self.shell.wait().ok();
    }
}
