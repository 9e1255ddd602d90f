//! What is said of each condition. When it holds, `promtool` is asked in `tests/deploy/conditions.rs`.

use std::sync::Arc;

use jiff::SignedDuration;

use super::*;
use crate::backup::{InstanceId, Times};
use crate::error::{Fault, Reason};
use crate::lookup::Looked;
use crate::objective::{Objective, Origin};
use crate::policy::Policy;
use crate::restore::RestoreWindow;
use crate::snapshot::{PollOutcome, TargetState};
use crate::summary::{Median, Success, Summary};
use crate::target;

const AUTO: BackupType = BackupType { name: "auto", times: Times::Job };
const GIB: u64 = 1 << 30;

fn now() -> Timestamp {
    "2025-03-10T12:00:00Z".parse().unwrap()
}

fn ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

fn success(hours: i64) -> Success {
    let took = Some(Duration::from_secs(900));
    Success { end: ago(hours), bytes: Some(GIB), duration: took }
}

fn state() -> TargetState {
    let targets = target::tests::read(
        "  - name: shop\n    project_id: p1\n    credentials: main\n    \
         rds: { endpoint: https://rds.example, instances: [{ id: db, name: orders }] }\n",
    );
    let target = Arc::clone(&targets[0]);
    let policy = Looked::default().after(now(), &Ok(Policy::default()));
    TargetState { policy, ..TargetState::new(target) }
}

/// What is said of an instance of such a state with such records.
fn said(state: &TargetState, summary: Option<&Summary>) -> Vec<String> {
    let (id, objective) = (
        InstanceId::new("db"),
        Objective { max_age: Some(Duration::from_secs(26 * 3600)), origin: Origin::Default },
    );
    let of = |summary| ShownType {
        backup_type: AUTO,
        observed: now(),
        summary,
        newest: &[],
        objective: Some(objective),
    };
    let shown = Shown {
        state,
        id: &id,
        name: "orders",
        engine: None,
        status: None,
        created: Some(ago(1000)),
        is_found: state.is_found,
        is_listed: false,
        types: summary.into_iter().map(of).collect(),
    };
    let conditions = conditions(&shown, now()).into_iter();
    conditions.map(|it| format!("{}: {}", it.alert.name, it.why)).collect()
}

#[test]
fn a_condition_is_told_with_its_numbers() {
    let summary = Summary {
        last_success: Some(Success { bytes: Some(GIB / 4), ..success(53) }),
        last_attempt_success: Some(false),
        last_failure: Some(ago(2)),
        failures_since_last_success: Some(3),
        running_since: Some(ago(7)),
        size_baseline: Median::of(vec![GIB]),
        ..Summary::default()
    };
    let restorable = RestoreWindow::of([(ago(90), ago(2))]);
    let restore_window = Looked::default().after(now(), &Ok(restorable));
    let gone = PollOutcome {
        ended: now(),
        took: Duration::ZERO,
        requests: 1,
        records: 0,
        fault: Some(Fault::new(Reason::NotFound, "no such instance")),
    };
    let state = TargetState { restore_window, ..state() }.after(&gone, None);
    assert_eq!(
        said(&state, Some(&summary)),
        [
            "DatabaseBackupFailed: the last finished attempt, which began at 2025-03-10T10:00:00Z, \
             failed",
            "DatabaseBackupFailing: 3 attempts failed since the last success",
            "DatabaseBackupStale: the last success was 53h old when last observed, more than the \
             objective of 26h",
            "DatabaseBackupVeryStale: the last success was 53h old when last observed, more than \
             twice the objective of 26h",
            "DatabaseBackupRunningTooLong: one had been running for 7h when last observed, and the \
             last success took 15m",
            "DatabaseBackupSizeDropped: the last success has 256.00 MiB, less than half of the usual \
             1.00 GiB",
            "DatabaseBackupPolicyDisabled: its automated backup policy is off",
            "DatabaseRestorePointLagging: the newest point to restore to was 2h old when asked",
            "DatabaseInstanceNotFound: the cloud does not have it, or not any more",
        ]
    );
}

#[test]
fn what_is_not_there_is_told_as_missing() {
    let summary = Summary {
        failures_since_last_success: Some(4),
        running_since: Some(ago(7)),
        ..Summary::default()
    };
    let restore_window = Looked::default().after(now(), &Ok(RestoreWindow::default()));
    let state = TargetState { policy: Looked::default(), restore_window, ..state() };
    assert_eq!(
        said(&state, Some(&summary)),
        [
            "DatabaseBackupFailing: 4 attempts failed and there is no success",
            "DatabaseBackupMissing: there was no completed backup when last observed, although one \
             is expected every 26h, and the instance was 41d16h old",
            "DatabaseBackupRunningTooLong: one had been running for 7h when last observed, and how \
             long one takes is not known",
            "DatabaseRestorePointLagging: there was no point in time to restore to when asked",
        ]
    );
    let summary = Summary {
        last_success: Some(Success { bytes: Some(4 * GIB), ..success(1) }),
        size_baseline: Median::of(vec![GIB]),
        ..Summary::default()
    };
    assert_eq!(
        said(&state, Some(&summary))[0],
        "DatabaseBackupSizeGrew: the last success has 4.00 GiB, more than three times the usual \
         1.00 GiB"
    );
    let state = TargetState { restore_window: Looked::default(), ..state };
    assert_eq!(said(&state, None), Vec::<String>::new(), "nothing is said of what was not read");
}
