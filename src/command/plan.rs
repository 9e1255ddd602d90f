//! `plan`: how many requests the polls of a config take, how long that is under the budgets, and
//! whether it holds; with `--live` by what the cloud has.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use tracing::info;

use super::{BAD_CONFIG, FAILED};
use crate::app::survey::{Survey, survey};
use crate::cli::Arguments;
use crate::clock::Clock;
use crate::config::duration::print;
use crate::config::{Config, Lookback, first_lines};
use crate::error::Chain;
use crate::listing::cost::{DAYS_KEPT, INCREMENTALS_A_DAY};
use crate::plan::{Plan, ProjectPart, Share, Work, number, plan, time};
use crate::shard::Shard;

pub(super) async fn run(arguments: &Arguments, shards: &[Shard], live: bool) -> ExitCode {
    let file = arguments.config_file.display().to_string();
    let config = match Config::load(&arguments.config_file) {
        Ok(loaded) => loaded.config,
        Err(problems) => {
            let count = problems.iter().count();
            let mut lines = first_lines(&problems);
            lines.push(format!("{file}: {count} problems; the daemon would not start"));
            return exit(&lines, ExitCode::from(BAD_CONFIG));
        }
    };
    let mut faults = Vec::new();
    let mut found = Survey::default();
    if live {
        info!("asking the cloud how long its lists are: up to four requests for each target");
        match survey(&config, Clock::system()).await {
            Ok(survey) => found = survey,
            Err(error) => faults.push(Chain(&error).to_string()),
        }
        faults.append(&mut found.faults);
    }
    let plan = plan(&config, &found.estates, |target| found.totals(target), shards);
    let told = tell(&file, &config, &plan, &faults, live);
    let code = if told.warnings == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) };
    exit(&told.lines, code)
}

fn exit(lines: &[String], code: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    match lines.iter().try_for_each(|line| writeln!(out, "{line}")) {
        Ok(()) => code,
        Err(_) => ExitCode::from(FAILED),
    }
}

/// What is printed.
struct Printed {
    lines: Vec<String>,
    warnings: usize,
}

fn tell(file: &str, config: &Config, plan: &Plan, faults: &[String], live: bool) -> Printed {
    let mut lines = table(&projects(plan));
    lines.push(String::new());
    lines.extend(table(&shares(plan)));
    lines.push(String::new());
    lines.extend(assumptions(config, plan, faults, live));
    let warnings: Vec<String> = plan.shares.iter().filter_map(Share::warning).collect();
    let faults = faults.iter().map(|fault| format!("cannot ask for {fault}"));
    let warnings: Vec<String> = faults.chain(warnings).collect();
    lines.extend(warnings.iter().map(|warning| format!("warning: {warning}")));
    let open = if plan.projects.iter().any(|project| !project.unknown.is_empty()) {
        ", without the instances that are yet to be found"
    } else {
        ""
    };
    let count = warnings.len();
    lines.push(match count {
        0 => format!("{file}: every interval holds{open}"),
        _ => format!("{file}: {count} warnings{open}"),
    });
    Printed { lines, warnings: count }
}

const WORK: [&str; 5] = ["ROUND", "FIRST ROUND", "HOURLY WALKS", "DAILY WALKS", "LOOKUPS/H"];

fn projects(plan: &Plan) -> Vec<Vec<String>> {
    let head = ["PROJECT", "CREDENTIAL", "TARGETS", "INTERVAL"].into_iter().chain(WORK);
    let mut rows: Vec<Vec<String>> = vec![head.map(str::to_owned).collect()];
    for ProjectPart { name, credential, interval, work, unknown } in &plan.projects {
        let targets = match (work.targets, unknown.is_empty()) {
            (targets, true) => targets.to_string(),
            (0, false) => "?".to_owned(),
            (targets, false) => format!("{targets} + ?"),
        };
        let mut row = vec![name.clone(), credential.name.clone(), targets, print(*interval)];
        row.extend(cells(work, credential.requests_per_second));
        rows.push(row);
    }
    rows
}

fn shares(plan: &Plan) -> Vec<Vec<String>> {
    let head = ["CREDENTIAL", "SHARD", "TARGETS", "BUDGET/S"].into_iter().chain(WORK);
    let mut rows: Vec<Vec<String>> = vec![head.chain(["USED"]).map(str::to_owned).collect()];
    for Share { credential, shard, budget, work, .. } in &plan.shares {
        let shard = format!("{} of {}", shard.index(), shard.count());
        let (targets, rate) = (work.targets.to_string(), number(*budget));
        let mut row = vec![credential.name.clone(), shard, targets, rate];
        row.extend(cells(work, *budget));
        row.push(format!("{:.0} %", (100.0 * work.per_second() / budget).ceil()));
        rows.push(row);
    }
    rows
}

/// Each number with the time that it takes.
fn cells(work: &Work, per_second: f64) -> [String; 5] {
    let lookups = Duration::try_from_secs_f64((work.lookups / per_second).ceil());
    let cell = |requests: u64| format!("{requests} ({})", print(time(requests, per_second)));
    [
        cell(work.round),
        cell(work.first),
        cell(work.hourly),
        cell(work.daily),
        format!("{} ({})", number(work.lookups), print(lookups.unwrap_or(Duration::MAX))),
    ]
}

/// In columns.
fn table(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = width(column).unwrap_or_default();
            // Writing to a text does not fail.
            write!(line, "{cell:width$}  ").ok();
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// What the numbers stand on.
fn assumptions(config: &Config, plan: &Plan, faults: &[String], live: bool) -> Vec<String> {
    let mut lines = vec![
        "Numbers are requests, with the time that they take at the rate of the credential. A round is \
         one poll of each target; the first one has the lookups of the start in it. Hourly and daily \
         walks come on top of the rounds, spread over them. Not counted: sign-ins, tries again, lists \
         that move."
            .to_owned(),
    ];
    if live && faults.is_empty() {
        lines.push(
            "The lengths of the lists are those of now. Backups are taken to be kept for longer than \
             the lookback."
                .to_owned(),
        );
    } else {
        let lookback = match config.poll.incremental_lookback {
            Lookback::All => format!("{DAYS_KEPT} days, for all that there is"),
            Lookback::Last(length) => format!("the lookback of {}", print(length)),
        };
        lines.push(format!(
            "Assumed: one page of full backups per target; \
             {INCREMENTALS_A_DAY} incrementals a day for {lookback}, kept for longer than that; a \
             list without a type that holds just the full backups.{}",
            if live { "" } else { " `plan --live` asks the cloud." }
        ));
    }
    for ProjectPart { name, unknown, .. } in &plan.projects {
        for product in unknown {
            lines.push(format!(
                "{name}/{product}: the instances that discovery will find are not known here, and not \
                 counted{}",
                if live { "" } else { "; `plan --live` asks for them" }
            ));
        }
    }
    let slow = plan.shares.iter().filter(|it| time(it.work.first, it.budget) > LONG_START);
    for Share { credential, work, budget, .. } in slow {
        lines.push(format!(
            "{}: after a start the first round takes {}; alerts that fire last half an hour without \
             their series, and may end and come again",
            credential.name,
            print(time(work.first, *budget))
        ));
    }
    lines
}

/// The `keep_firing_for` of the alerts on backups.
const LONG_START: Duration = Duration::from_secs(30 * 60);
