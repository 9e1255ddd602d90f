//! What a document starts and leaves running.

use super::answer;
use super::session::{PATIENCE, Session};
use tokio::time::Instant;

/// How the command begins, and where it says that it is ready.
const SERVERS: &[(&str, &str)] = &[
    ("clouddb-backup-exporter", "http://127.0.0.1:19747/-/ready"),
    ("prometheus ", "http://127.0.0.1:9090/-/ready"),
    ("prometheus-alertmanager ", "http://127.0.0.1:9093/-/ready"),
];

/// Where it is to be asked whether it is ready, if the command is one that goes on until it is ended.
pub(super) fn ready(command: &str) -> Option<&'static str> {
    let (begin, url) = SERVERS.iter().find(|(begin, _)| command.starts_with(begin))?;
    let words: Vec<&str> = uncommented(command)[begin.len()..].split_whitespace().collect();
    let told = words.iter().any(|word| ["--help", "--version", "--config.check"].contains(word));
    let mut commands = words.iter().filter(|word| !word.starts_with('-'));
    let goes_on = matches!(commands.next(), None | Some(&"demo" | &"serve")) && !told;
    goes_on.then_some(url)
}

/// The exporter that a document assumes to be running when it has somebody ask one.
pub(super) fn assume(session: &mut Session, command: &str) -> Result<(), String> {
    let (exporter, url) = SERVERS[0];
    if command.contains(":19747")
        && session.run(&format!("[ -n \"${{{}-}}\" ]", variable(url)))?.0 != 0
    {
        start(session, exporter, url, &[])?;
    }
    Ok(())
}

/// Starts it in the place of what listens there, and waits until it is ready and has said what is shown.
pub(super) fn start(
    session: &mut Session,
    command: &str,
    url: &str,
    shown: &[String],
) -> Result<(), String> {
    let id = variable(url);
    let log = format!("/var/log/{id}.log");
    let command = uncommented(command);
    session.run(&format!("[ -z \"${{{id}-}}\" ] || {{ kill ${id}; wait ${id}; }}"))?;
    session.run(&format!("{command} > {log} 2>&1 & {id}=$!"))?;
    let begin = Instant::now();
    loop {
        let (_, said) = session.run(&format!("cat {log}"))?;
        let is_ready =
            session.run(&format!("curl --silent --fail --output /dev/null {url}"))?.0 == 0;
        let same =
            if shown.is_empty() { Ok(()) } else { answer::differs(shown, &without_log(&said)) };
        if is_ready && same.is_ok() {
            return Ok(());
        }
        let runs = session.run(&format!("kill -0 ${id}"))?.0 == 0;
        if !runs || begin.elapsed() > PATIENCE {
            let why = same.err().unwrap_or_else(|| format!("{url} is not ready"));
            return Err(format!("{why}\nit has said\n{said}"));
        }
        session.run("sleep 0.1")?;
    }
}

/// The variable of the shell that has its id.
fn variable(url: &str) -> String {
    let port = url.trim_end_matches("/-/ready").rsplit(':').next().unwrap_or_default();
    format!("server_at_{port}")
}

fn uncommented(command: &str) -> &str {
    command.split(" #").next().unwrap_or_default()
}

/// What it shows may be mixed with its log, which grows.
fn without_log(said: &str) -> String {
    let is_log = |line: &&str| line.starts_with("ts=") || line.starts_with("time=");
    said.lines().filter(|line| !is_log(line)).flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn what_goes_on_is_known_by_its_command() {
    for command in [
        "clouddb-backup-exporter           # the daemon",
        "clouddb-backup-exporter demo",
        "clouddb-backup-exporter --config.file=a.yaml",
        "prometheus --config.file=prometheus.yml",
    ] {
        assert!(ready(command).is_some(), "{command}");
    }
    for command in
        ["clouddb-backup-exporter check # it", "clouddb-backup-exporter --version", "promtool"]
    {
        assert!(ready(command).is_none(), "{command}");
    }
}
