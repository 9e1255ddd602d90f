//! A server as a process of its own, with the address at which it listens and what it printed.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Longer than anything here takes on a busy machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// One that runs until it is dropped.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    address: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts it, and waits until it logs at which address it listens; all of them do so alike.
    pub(crate) async fn start(name: &'static str, mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let address = timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await.unwrap() {
                log.lock().unwrap().push(line.clone());
                if line.to_lowercase().contains("\"listening on") {
                    let (_, address) = line.rsplit_once(" address=").unwrap();
                    return address.split(' ').next().unwrap().to_owned();
                }
            }
            panic!("{name} ended without listening: {:#?}", log.lock().unwrap());
        });
        let address = address.await.unwrap_or_else(|_| {
            panic!("{name} does not listen: {:#?}", log.lock().unwrap());
        });
        let written = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                written.lock().unwrap().push(line);
            }
        });
        Self { name, child, address, log }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Ends it at once, as a lost machine would.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Drop for Process {
    /// A test that fails shows what was printed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log.lock().unwrap();
            let tail = log.iter().skip(log.len().saturating_sub(60));
            let text = tail.fold(String::new(), |text, line| text + "  " + line + "\n");
            #[expect(clippy::print_stderr, reason = "the harness keeps it for the failing test")]
            {
                eprintln!("{} at {}, the last it printed:\n{text}", self.name, self.address);
            }
        }
    }
}

/// A program that `tests/run` gets.
pub(crate) fn tool(path: &str) -> PathBuf {
    let program = shipped(".tools").join(path);
    assert!(program.exists(), "{}: tests/run gets it", program.display());
    program
}

/// A path of the checkout.
pub(crate) fn shipped(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Asks until there is an answer. After the deadline it panics with what is said of it then.
pub(crate) async fn until<T>(
    mut ask: impl AsyncFnMut() -> Option<T>,
    in_vain: impl AsyncFnOnce() -> String,
) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        let waited = begin.elapsed();
        assert!(waited < PATIENCE, "waited {waited:?} in vain: {}", in_vain().await);
        sleep(Duration::from_millis(50)).await;
    }
}
