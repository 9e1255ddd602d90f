//! An estate in which every alert on databases has its reason.

use clouddb_backup_exporter::sim::{
    Cloud, Estate, Policy, Project, RdsBackup, RdsInstance, estate,
};
use jiff::{SignedDuration, Timestamp};

const BILLING_ID: &str = "7b1cc2c9f2a14d5c8c1d3c1e0f6a0b02";
const EMPTY_ID: &str = "7b1cc2c9f2a14d5c8c1d3c1e0f6a0b03";
const LEDGER: &str = "5f0c8f6f3c5e4b6aa1f2d9c7e8b60a11in01";
const ARCHIVE: &str = "5f0c8f6f3c5e4b6aa1f2d9c7e8b60a12in03";
const FORGOTTEN: &str = "5f0c8f6f3c5e4b6aa1f2d9c7e8b60a13in01";
const GONE: &str = "5f0c8f6f3c5e4b6aa1f2d9c7e8b60a14in01";

/// That of `demo`, where backups failed, are too old, missing or stuck; `billing`, whose instances are
/// otherwise in trouble; and `empty`.
pub(crate) fn troubled(now: Timestamp) -> Estate {
    let backup = |id, hours: i64, size| {
        let begin = now - SignedDuration::from_hours(hours);
        RdsBackup::completed(id, "auto", begin, begin + SignedDuration::from_mins(9), size)
    };
    let failed = |hours: i64| {
        let begin = now - SignedDuration::from_hours(hours);
        RdsBackup::failed(ARCHIVE, "auto", begin, begin + SignedDuration::from_mins(1))
    };
    let odd =
        RdsBackup::with_words(ARCHIVE, "auto", "PAUSED", now - SignedDuration::from_hours(90));
    estate::demo(now)
        .with_project(Project::new(BILLING_ID, "billing"))
        .with_rds(
            RdsInstance::new(LEDGER, "ledger").with_policy(Policy::off()).with_restore_ranges([]),
        )
        .with_rds_backups([98, 74, 50, 26].map(|hours| backup(LEDGER, hours, 4_000_000)))
        .with_rds_backups([backup(LEDGER, 2, 1_000_000)])
        .with_rds(RdsInstance::new(ARCHIVE, "archive"))
        .with_rds_backups([103, 79, 55, 31].map(|hours| backup(ARCHIVE, hours, 1_000_000)))
        .with_rds_backups([backup(ARCHIVE, 7, 4_000_000)])
        .with_rds_backups([failed(3), failed(2), failed(1), odd])
        .with_rds(RdsInstance::new(FORGOTTEN, "forgotten"))
        .with_project(Project::new(EMPTY_ID, "empty"))
}

/// The projects of the config that reads it.
pub(crate) fn projects(cloud: &Cloud) -> String {
    let (rds, ddm) = (cloud.rds_url(), cloud.ddm_url());
    let demo = estate::DEMO_PROJECT_ID;
    format!(
        "  - name: demo\n    project_id: {demo}\n    credentials: main\n    \
         rds: {{ endpoint: {rds}, discover: true, restore_window: true }}\n    \
         ddm: {{ endpoint: {ddm} }}\n  \
         - name: billing\n    project_id: {BILLING_ID}\n    credentials: main\n    \
         rds:\n      endpoint: {rds}\n      audit: true\n      policy: true\n      \
         restore_window: true\n      instances: [{{ id: {LEDGER} }}, {{ id: {ARCHIVE} }}, {{ id: {GONE}, name: gone }}]\n  \
         - name: empty\n    project_id: {EMPTY_ID}\n    credentials: main\n    \
         rds: {{ endpoint: {rds}, discover: true }}\n"
    )
}
