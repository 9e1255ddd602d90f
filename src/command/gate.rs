//! `gate`: for pipelines. Whether every backup that is expected is fresh, and whether the last attempt at
//! each succeeded.

mod finding;
mod junit;

use std::process::ExitCode;
use std::time::Duration;

use tracing::error;

use super::CANNOT_TELL;
use super::asked::Asked;
use super::errand::{self, Interruption, Stop};
use crate::account::Patience;
use crate::app::round::{Options, Round};
use crate::cli::{Arguments, Format};
use crate::clock::Clock;
use crate::config::ProductConfig;
use crate::error::Chain;
use crate::log::Stderr;
use crate::shard::Shard;
use finding::{Finding, Verdict};

/// What is asked of the gate.
pub(super) struct Question<'a> {
    /// `PROJECT[/INSTANCE]`.
    pub(super) what: &'a str,
    /// The age that no last success may pass, whatever its objective.
    pub(super) max_age: Option<Duration>,
    /// The form of the answer.
    pub(super) format: Format,
}

/// The exit code. Whatever keeps it from an answer is no answer.
pub(super) async fn run(
    arguments: &Arguments,
    question: &Question<'_>,
    stderr: Stderr,
) -> ExitCode {
    let code = answer(arguments, question, stderr).await;
    ExitCode::from(code.unwrap_or(CANNOT_TELL))
}

async fn answer(
    arguments: &Arguments,
    question: &Question<'_>,
    stderr: Stderr,
) -> Result<u8, Stop> {
    let config = errand::config(&arguments.config_file)?;
    let mut asked = errand::asked(question.what, &config)?;
    for product in asked.config.projects.iter_mut().flat_map(|project| &mut project.products) {
        without_restore_window(product);
    }
    let mut interruption = Interruption::listen()?;
    let options = Options {
        shard: Shard::WHOLE,
        wanted: asked.wanted.clone(),
        clock: Clock::system(),
        patience: Patience::default(),
    };
    let round = errand::round(&asked.config, options, stderr, &mut interruption).await?;
    let findings = findings(&asked, &round, question)?;
    let text = match question.format {
        Format::Junit => junit::text(&findings),
        Format::Text => {
            let lines = findings.iter().map(ToString::to_string);
            lines.collect::<Vec<String>>().join("\n") + "\n"
        }
    };
    errand::print(text, &mut interruption).await?;
    Ok(findings.iter().map(|it| it.verdict).max().map_or(CANNOT_TELL, Verdict::exit_code))
}

/// Nothing is judged by it.
fn without_restore_window(product: &mut ProductConfig) {
    product.restore_window = None;
}

fn findings(asked: &Asked, round: &Round, question: &Question<'_>) -> Result<Vec<Finding>, Stop> {
    let subjects = asked.subjects(round);
    if subjects.is_empty()
        && round.is_well()
        && let Some(error) = asked.nothing(round)
    {
        error!("{}", Chain(&error));
        return Err(Stop::BadConfig);
    }
    let mut findings = finding::of_lists(&round.snapshot);
    for subject in &subjects {
        findings.extend(finding::of_subject(subject, question.max_age, round.ended));
    }
    if !findings.iter().any(|it| it.is_judged || it.verdict == Verdict::Unknown) {
        findings.push(Finding::nothing(question.what));
    }
    finding::tell_apart(&mut findings);
    Ok(findings)
}
