//! `check`: reads the config and says what is wrong with it; with `--live` also what of it works at
//! the cloud.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use super::{BAD_CONFIG, FAILED, GOOD};
use crate::app::live::{self, Outcome, Probe};
use crate::census;
use crate::cli::Arguments;
use crate::clock::Clock;
use crate::config::web::Web;
use crate::config::{Config, Loaded, Problems, first_lines};
use crate::error::Chain;
use crate::target;

pub(super) async fn run(arguments: &Arguments, live: bool) -> ExitCode {
    // Both files are read, whatever is wrong with the one. What is said of this one comes first,
    // since the requests of `--live` may take minutes.
    let web = match arguments.web_config_file.as_deref().map(check_web) {
        Some((lines, _)) if write(&lines).is_err() => return ExitCode::from(FAILED),
        Some((_, code)) => code,
        None => GOOD,
    };
    ExitCode::from(check(arguments, live).await.max(web))
}

/// What is wrong with the web config, and the exit code.
fn check_web(path: &Path) -> (Vec<String>, u8) {
    let file = path.display();
    match Web::load(path).outcome {
        Ok(Loaded { config, findings }) => {
            let tls = if config.tls.is_some() { "TLS" } else { "no TLS" };
            let (users, count) = (config.users.len(), findings.len());
            let mut lines = first_lines(&findings);
            lines.push(format!("{file}: {tls}, {users} users, {count} findings"));
            (lines, if count == 0 { GOOD } else { FAILED })
        }
        Err(problems) => (refusal(path, &problems), BAD_CONFIG),
    }
}

fn refusal(path: &Path, problems: &Problems) -> Vec<String> {
    let count = problems.iter().count();
    let mut lines = first_lines(problems);
    lines.push(format!("{}: {count} problems; the daemon would not start", path.display()));
    lines
}

/// Prints what is wrong with the config, and gives the exit code.
async fn check(arguments: &Arguments, live: bool) -> u8 {
    let file = arguments.config_file.display();
    let (lines, code) = match Config::load(&arguments.config_file) {
        Ok(loaded) => {
            let mut findings = loaded.findings.len();
            let projects = loaded.config.projects.len();
            let targets = target::targets(&loaded.config, &[]).len();
            let lists = census::censuses(&loaded.config).len();
            let mut lines = first_lines(&loaded.findings);
            if live {
                // Before the requests, which may take minutes.
                if write(&std::mem::take(&mut lines)).is_err() {
                    return FAILED;
                }
                match live::probe(&loaded.config, Clock::system()).await {
                    Ok(probes) => {
                        lines = table(&probes);
                        let works = |probe: &&Probe| matches!(probe.outcome, Outcome::Works(_));
                        findings += probes.len() - probes.iter().filter(works).count();
                    }
                    Err(error) => {
                        lines.push(format!("{file}: {}", Chain(&error)));
                        findings += 1;
                    }
                }
            }
            lines.push(format!(
                "{file}: {projects} projects, {targets} targets, {lists} instance lists, {findings} findings"
            ));
            (lines, if findings == 0 { GOOD } else { FAILED })
        }
        Err(problems) => (refusal(&arguments.config_file, &problems), BAD_CONFIG),
    };
    if write(&lines).is_ok() { code } else { FAILED }
}

fn write(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// One line per probe, under heads, in columns.
fn table(probes: &[Probe]) -> Vec<String> {
    let head = ["PROJECT", "PRODUCT", "WHAT", "RESULT"].map(str::to_owned);
    let row = |it: &Probe| {
        [it.project.clone(), it.product.to_owned(), it.what.clone(), it.outcome.to_string()]
    };
    let rows: Vec<[String; 4]> = std::iter::once(head).chain(probes.iter().map(row)).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let [project, product, what] = [0, 1, 2].map(|column| width(column).unwrap_or_default());
    rows.iter()
        .map(|[a, b, c, result]| format!("{a:project$}  {b:product$}  {c:what$}  {result}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Fault, Reason};

    #[test]
    fn the_table_has_its_results_in_one_column() {
        let probe = |what: &str, outcome| Probe {
            project: "shöp".to_owned(),
            product: "rds",
            what: what.to_owned(),
            outcome,
        };
        let fault = Fault::new(Reason::Forbidden, "no");
        let lines = table(&[
            probe("instances", Outcome::Works("2 instances".to_owned())),
            probe("orders (a)", Outcome::Fails(fault)),
            probe("x", Outcome::Left),
        ]);
        assert_eq!(
            lines,
            [
                "PROJECT  PRODUCT  WHAT        RESULT",
                "shöp     rds      instances   ok, 2 instances",
                "shöp     rds      orders (a)  forbidden: no",
                "shöp     rds      x           not asked, because of the fault above",
            ]
        );
    }
}
