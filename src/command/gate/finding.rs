//! What the gate finds, and what it means for the exit code. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::app::round::Round;
use crate::command::asked::Subject;
use crate::command::{CANNOT_TELL, FAILED, GOOD};
use crate::config::duration::{print, print_age};
use crate::error::{Fault, one_line};
use crate::objective::{self, Objective, Origin};
use crate::snapshot::{Shown, ShownType};
use crate::target::Target;

/// One thing that was looked at.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    /// `shop-prod/rds/orders`, or the list that it is about.
    pub(super) place: String,
    /// The id of the instance, if it is about one.
    pub(super) id: String,
    /// The type of backup, or what else it is about.
    pub(super) what: &'static str,
    /// A sentence without a full stop.
    pub(super) why: String,
    /// Whether a backup was judged.
    pub(super) is_judged: bool,
}

/// In the order of what decides.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// Nobody can tell.
    Unknown,
    /// Not as it should be.
    Failed,
}

impl Verdict {
    /// The first word of the line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Ok => "ok",
            Self::Unknown => "unknown",
        }
    }

    /// The exit code, if it decides.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Failed => FAILED,
            Self::Ok => GOOD,
            Self::Unknown => CANNOT_TELL,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.verdict.word(), self.place, self.what, self.why)
    }
}

impl Finding {
    /// What the argument names is there, and nothing of it is expected.
    pub(super) fn nothing(asked: &str) -> Self {
        Self::unknown(one_line(asked), "backups", "none is expected, so none was judged".to_owned())
    }

    fn unknown(place: String, what: &'static str, why: String) -> Self {
        Self { verdict: Verdict::Unknown, place, id: String::new(), what, why, is_judged: false }
    }
}

/// Lists that could not be read, and projects whose backups could not be.
pub(super) fn of_lists(round: &Round) -> Vec<Finding> {
    let mut findings = Vec::new();
    for estate in &round.snapshot.estates {
        if let Some((_, fault)) = estate.last_fault.as_ref().filter(|_| estate.failures > 0) {
            let census = &estate.census;
            let place = one_line(&format!("{}/{}", census.project, census.product.name));
            findings.push(Finding::unknown(place, "instances", unread(fault)));
        }
    }
    let states = round.snapshot.targets.iter();
    for state in states.filter(|state| state.target.instance.is_none()) {
        if let Some(fault) = state.last_poll.as_ref().and_then(|poll| poll.fault.as_ref()) {
            findings.push(Finding::unknown(
                one_line(&state.target.to_string()),
                "backups",
                unread(fault),
            ));
        }
    }
    findings
}

/// What there is to say of an instance.
pub(super) fn of_subject(
    subject: &Subject<'_>,
    max_age: Option<Duration>,
    now: Timestamp,
) -> Vec<Finding> {
    let place = subject.place();
    let mut findings = match subject {
        Subject::Left(_, _, why) => vec![Finding::unknown(place, "instance", why.why().to_owned())],
        Subject::Watched(shown) => of_instance(shown, &place, max_age, now),
    };
    for finding in &mut findings {
        finding.id = one_line(subject.id().as_str());
    }
    findings
}

fn of_instance(
    shown: &Shown<'_>,
    place: &str,
    max_age: Option<Duration>,
    now: Timestamp,
) -> Vec<Finding> {
    let unknown = |what, why| Finding::unknown(place.to_owned(), what, why);
    let mut findings = Vec::new();
    let state = shown.state;
    if shown.is_found == Some(false) {
        let why = "the cloud does not have it, or not any more";
        findings.push(unknown("instance", why.to_owned()));
    }
    // That of a project is told once.
    if state.target.instance.is_some() {
        match &state.last_poll {
            None => findings.push(unknown("backups", "they were not read".to_owned())),
            Some(poll) => {
                findings.extend(poll.fault.as_ref().map(|fault| unknown("backups", unread(fault))));
            }
        }
    }
    if let Some((_, fault)) = state.policy.last_fault.as_ref().filter(|_| state.policy.failures > 0)
    {
        findings.push(unknown("policy", unread(fault)));
    }
    for of in &shown.types {
        let Some(objective) = of.objective else { continue };
        let Some(most) = objective.max_age else { continue };
        let (verdict, why) = judge(of, max_age.unwrap_or(most), max_age.is_some(), objective, now);
        let (place, what) = (place.to_owned(), of.backup_type.name);
        let id = String::new();
        findings.push(Finding { verdict, place, id, what, why, is_judged: true });
    }
    // Other than `off` in the config, nobody need have wanted this.
    let Target { objectives, product, .. } = &*state.target;
    let objectives = objective::in_force(objectives, product.automated, state.policy.value());
    let automated = objectives.get(&product.automated);
    if automated.is_some_and(|it| it.max_age.is_none() && it.origin == Origin::Policy) {
        let why = "it is off, so nothing is expected by it";
        findings.push(unknown("policy", why.to_owned()));
    }
    if findings.is_empty() && state.reading.is_some() {
        let why = match shown.status {
            Some(status) => format!("none is expected of it ({})", one_line(status)),
            None => "none is expected of it".to_owned(),
        };
        let (place, id) = (place.to_owned(), String::new());
        let (verdict, what, is_judged) = (Verdict::Ok, "backups", false);
        findings.push(Finding { verdict, place, id, what, why, is_judged });
    }
    findings
}

fn judge(
    of: &ShownType<'_>,
    most: Duration,
    is_overridden: bool,
    objective: Objective,
    now: Timestamp,
) -> (Verdict, String) {
    let summary = of.summary;
    let age = summary.last_success.map(|success| {
        // A clock of ours that is late does not make a backup younger than nothing.
        Duration::try_from(now.duration_since(success.end)).unwrap_or_default()
    });
    let is_fresh = age.is_some_and(|age| age <= most);
    let has_failed = summary.last_attempt_success == Some(false);
    let verdict = if is_fresh && !has_failed { Verdict::Ok } else { Verdict::Failed };
    let age = match age {
        Some(age) => format!("{} old", print_age(age)),
        None => "no success".to_owned(),
    };
    let origin = if is_overridden { "--max-age".to_owned() } else { objective.origin.to_string() };
    let attempt = match summary.last_attempt_success {
        Some(true) => "last attempt completed",
        Some(false) => "last attempt failed",
        None => "no finished attempt",
    };
    (verdict, format!("{age}, at most {} ({origin}); {attempt}", print(most)))
}

fn unread(fault: &Fault) -> String {
    format!("cannot be read: {}: {fault}", fault.reason)
}

/// Puts the id behind a name that several instances have.
pub(super) fn tell_apart(findings: &mut [Finding]) {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for finding in findings.iter().filter(|it| !it.id.is_empty()) {
        ids.entry(finding.place.clone()).or_default().insert(finding.id.clone());
    }
    for finding in findings.iter_mut().filter(|it| !it.id.is_empty()) {
        if ids.get(&finding.place).is_some_and(|ids| ids.len() > 1) {
            finding.place = format!("{} ({})", finding.place, finding.id);
        }
    }
}
