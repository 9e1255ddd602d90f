//! What the gate finds, and what it means for the exit code. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::age;
use crate::command::asked::Subject;
use crate::command::{CANNOT_TELL, FAILED, GOOD};
use crate::config::duration::{print, print_age};
use crate::error::{Fault, one_line};
use crate::objective::{self, Objective, Origin};
use crate::snapshot::{Shown, ShownType, Snapshot};
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

/// Lists that could not be read, and targets whose backups could not be.
pub(super) fn of_lists(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    for estate in &snapshot.estates {
        let census = &estate.census;
        let place = one_line(&format!("{}/{}", census.project, census.product.name));
        let fault = estate.last_fault.as_ref().filter(|_| estate.failures > 0);
        let why = match fault {
            Some((_, fault)) => unread(fault),
            None if !estate.is_known() => NOT_READ.to_owned(),
            None => continue,
        };
        findings.push(Finding::unknown(place, "instances", why));
    }
    for state in &snapshot.targets {
        let why = match &state.last_poll {
            Some(poll) => match &poll.fault {
                Some(fault) => unread(fault),
                None => continue,
            },
            None => NOT_READ.to_owned(),
        };
        let mut finding = Finding::unknown(one_line(&state.target.to_string()), "backups", why);
        finding.id = one_line(state.target.instance_id());
        findings.push(finding);
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
    let is_read = state.last_poll.as_ref().is_some_and(|poll| poll.fault.is_none());
    if findings.is_empty() && is_read {
        let listed = state.estate.as_deref().and_then(|estate| estate.find(shown.id));
        let at_rest = listed.map(|known| &known.listed).filter(|listed| listed.is_at_rest());
        let why = match at_rest.and_then(|listed| listed.status.as_deref()) {
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
    let age = summary.last_success.map(|success| age(now, success.end));
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

const NOT_READ: &str = "it was not read";

fn unread(fault: &Fault) -> String {
    format!("cannot be read: {}: {fault}", fault.reason)
}

/// Puts together what is about one place, and the id behind a name that several instances have.
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
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (at, finding) in findings.iter().enumerate() {
        places.entry(finding.place.clone()).or_insert(at);
    }
    findings.sort_by_key(|finding| places.get(&finding.place).copied());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backup::{BackupType, Times};
    use crate::census::censuses;
    use crate::estate::Estate;
    use crate::snapshot::TargetState;
    use crate::summary::{Success, Summary};
    use crate::target::tests;

    const HOUR: Duration = Duration::from_secs(3600);

    /// The verdict on a last success of so many nanoseconds before now, that may be an hour old.
    fn verdict(age: i64, last_attempt_success: Option<bool>) -> Verdict {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let end = now - jiff::SignedDuration::from_nanos(age);
        let success = Success { end, bytes: None, duration: None };
        let summary =
            Summary { last_success: Some(success), last_attempt_success, ..Summary::default() };
        let of = ShownType {
            backup_type: BackupType { name: "auto", times: Times::Job },
            observed: now,
            summary: &summary,
            newest: &[],
            objective: None,
        };
        let objective = Objective { max_age: Some(HOUR), origin: Origin::Default };
        judge(&of, HOUR, false, objective, now).0
    }

    #[test]
    fn a_success_that_is_exactly_as_old_as_it_may_be_is_fresh_and_one_of_the_future_too() {
        let hour = 3_600_000_000_000;
        assert_eq!(verdict(hour, Some(true)), Verdict::Ok);
        assert_eq!(verdict(hour + 1, Some(true)), Verdict::Failed);
        assert_eq!(verdict(-hour, Some(true)), Verdict::Ok);
        assert_eq!(verdict(0, Some(false)), Verdict::Failed);
    }

    #[test]
    fn what_is_not_so_decides_before_what_cannot_be_told() {
        let codes = |verdicts: &[Verdict]| verdicts.iter().max().map(|it| it.exit_code());
        assert_eq!(codes(&[Verdict::Failed, Verdict::Unknown, Verdict::Ok]), Some(1));
        assert_eq!(codes(&[Verdict::Ok, Verdict::Unknown]), Some(2));
        assert_eq!(codes(&[Verdict::Ok]), Some(0));
    }

    #[test]
    fn what_was_never_tried_is_told_as_what_failed_is() {
        let config = tests::config(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    \
             rds: { endpoint: https://rds.example, discover: true, instances: [{ id: db }] }\n",
        );
        let estates: Vec<Arc<Estate>> = censuses(&config)
            .into_iter()
            .map(|census| Arc::new(Estate::new(Arc::new(census))))
            .collect();
        let targets = crate::target::targets(&config, &estates).into_iter();
        let targets = targets.map(|target| Arc::new(TargetState::new(target))).collect();
        let told: Vec<String> =
            of_lists(&Snapshot { targets, estates }).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "unknown shop/rds instances: it was not read",
                "unknown shop/rds/db backups: it was not read",
            ]
        );
    }
}
