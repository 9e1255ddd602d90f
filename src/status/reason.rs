//! Why a record does not count as the last success, and why nothing is expected of a type. Pure.

use crate::backup::{InstanceId, Status};
use crate::config::duration::print;
use crate::instance::ListedInstance;
use crate::objective::{self, Origin};
use crate::snapshot::{ShownType, TargetState};
use crate::summary::Record;
use crate::target::Target;

/// Why a record that is newer than the last success is none; no reason for one that is older.
pub fn passed_over(record: &Record, success: Option<&Record>) -> Option<&'static str> {
    // Without a begin nobody can tell that it is older.
    let is_newer = success.is_none_or(|success| {
        record.begin.is_none() || (record.begin, &record.id) > (success.begin, &success.id)
    });
    is_newer.then_some(match record.status {
        Status::Completed if record.end.or(record.begin).is_none() => "it has no readable time",
        Status::Completed => "it ended before the last success did",
        Status::Deleting => "it is being deleted",
        Status::Failed => "it failed",
        Status::Running => "it is still running",
        Status::Unknown => "its status is a word that this version does not know",
    })
}

/// What is expected of a type of an instance, and by whom; or why nothing is.
pub fn objective(state: &TargetState, id: &InstanceId, of: &ShownType<'_>) -> String {
    if let Some((objective, most)) = of.objective.and_then(|it| Some((it, it.max_age?))) {
        return format!("{} ({})", print(most), objective.origin);
    }
    format!("none, {}", nothing_expected(state, id, of))
}

/// Why nothing is expected of a type that has no objective.
pub fn nothing_expected(state: &TargetState, id: &InstanceId, of: &ShownType<'_>) -> String {
    if let Some(estate) = &state.estate {
        if estate.is_missing(id) {
            return "since the instance is not on the cloud's instance list".to_owned();
        }
        let listed = estate.find(id).map(|known| &known.listed);
        let at_rest = listed.filter(|it| ListedInstance::is_at_rest(it));
        if let Some(status) = at_rest.and_then(|it| it.status.as_deref()) {
            return format!("since the instance is {status}");
        }
    }
    let Target { objectives, product, .. } = &*state.target;
    let objectives = objective::in_force(objectives, product.automated, state.policy.value());
    match objectives.get(&of.backup_type).map(|it| it.origin) {
        None => "since the config has no `max_age` for it".to_owned(),
        Some(Origin::Policy) => "since the backup policy is off".to_owned(),
        Some(origin) => format!("since it is `off` ({origin})"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::backup::BackupId;

    fn record(id: &str, status: Status, begin: Option<i64>, end: Option<i64>) -> Record {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        Record {
            id: BackupId::new(id),
            status,
            is_last_success: false,
            begin: begin.map(at),
            end: end.map(at),
            bytes: None,
        }
    }

    #[test]
    fn each_record_that_is_newer_than_the_last_success_has_the_reason_why_it_is_none() {
        let success = record("b", Status::Completed, Some(100), Some(200));
        let success = Record { is_last_success: true, ..success };
        for (status, begin, end, why) in [
            (Status::Failed, Some(150), Some(160), Some("it failed")),
            (Status::Failed, None, None, Some("it failed")),
            (Status::Running, Some(150), None, Some("it is still running")),
            (Status::Deleting, Some(150), Some(300), Some("it is being deleted")),
            (
                Status::Unknown,
                Some(150),
                Some(300),
                Some("its status is a word that this version does not know"),
            ),
            (Status::Completed, Some(150), Some(160), Some("it ended before the last success did")),
            (Status::Completed, Some(150), None, Some("it ended before the last success did")),
            (Status::Completed, None, None, Some("it has no readable time")),
            (Status::Completed, Some(50), Some(60), None),
            (Status::Failed, Some(50), Some(60), None),
        ] {
            let record = record("a", status, begin, end);
            assert_eq!(passed_over(&record, Some(&success)), why, "{record:?}");
        }
        assert_eq!(passed_over(&success, Some(&success)), None);
        let twin = |id| record(id, Status::Completed, Some(100), Some(150));
        assert!(passed_over(&twin("c"), Some(&success)).is_some(), "it stands above");
        assert_eq!(passed_over(&twin("a"), Some(&success)), None);
        let old = record("a", Status::Failed, Some(1), None);
        assert_eq!(passed_over(&old, None), Some("it failed"), "nothing is older");
    }
}
