//! The cloud cannot be read.

use clouddb_backup_exporter::sim::{Fault, RdsInstance, Schedule};
use jiff::SignedDuration;

use crate::failure::{fail, orders, shop};
use crate::shipped;
use crate::stack::Stack;

const LEDGER: &str = "3d39c18788b54a919bab633874c159dfin01";

/// How old the backups of `ledger` may be. There is a new one every five seconds, so that they are never
/// so old while the cloud can be read, however slow the machine.
const OBJECTIVE: &str = "15s";

#[tokio::test]
async fn an_outage_is_told_as_blindness_and_neither_ends_alerts_on_databases_nor_makes_them() {
    let estate = orders().with_rds(RdsInstance::new(LEDGER, "ledger")).with_schedule(Schedule {
        every: SignedDuration::from_secs(5),
        takes: SignedDuration::from_secs(1),
        keep: SignedDuration::from_mins(10),
        ..Schedule::daily(LEDGER, 0)
    });
    let ledger =
        format!("        - {{ id: {LEDGER}, name: ledger, max_age: {{ auto: {OBJECTIVE} }} }}\n");
    let stack = Stack::start(estate, |cloud| shop(cloud, &ledger)).await;
    let (prometheus, webhook) = (&stack.prometheus, &stack.webhook);
    fail(&stack.cloud);
    webhook.until(|it| it.is("DatabaseBackupFailed", "firing")).await;
    assert_eq!(stack.alertmanager.muted_by("DatabaseBackupFailed", "orders").await, Some(0));

    stack.cloud.fault(Fault::close());
    let failing = webhook.until(|it| it.is("BackupExporterPollFailing", "firing")).await;
    assert_eq!(failing.receiver, "chat");
    // The hours pass, and not before: what is blind mutes that its polls fail.
    prometheus.reload(&shipped::rules_soon_blind()).await;
    for instance in ["orders", "ledger"] {
        let blind = webhook
            .until(|it| {
                it.is("BackupExporterBlind", "firing") && it.label("instance_name") == instance
            })
            .await;
        assert_eq!(blind.receiver, "page");
        assert_eq!(
            blind.annotation("summary"),
            format!("The backups of {instance} cannot be seen")
        );
    }

    // For longer than any `for` the age is over the objective, as Prometheus sees it.
    let too_old = "clouddb_backup_last_success_age_seconds{instance_name=\"ledger\"} \
                   > clouddb_backup_max_age_seconds";
    prometheus.until(&format!("count_over_time(({too_old})[30s:1s]) > 6")).await;
    let stale = "{__name__=\"ALERTS\",alertname=~\"DatabaseBackup(Very)?Stale\"}";
    let stale = prometheus.series(&format!("count_over_time({stale}[10m])")).await;
    assert!(stale.is_empty(), "nobody has looked, and yet: {stale:#?}");

    // What was true before goes on, and is muted by what is blind.
    let firing = "ALERTS{alertname=\"DatabaseBackupFailed\",alertstate=\"firing\"}";
    assert_eq!(prometheus.series(firing).await.len(), 1);
    let muted = stack.alertmanager.muted_by("DatabaseBackupFailed", "orders").await;
    assert!(muted.is_some_and(|by| by > 0), "{muted:?}");
    stack.alertmanager.settle(webhook).await;
    let told = webhook.all();
    let wrong: Vec<_> = told
        .iter()
        .filter(|it| {
            it.is("DatabaseBackupFailed", "resolved") || it.is("DatabaseBackupStale", "firing")
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");

    // It can be read again: the page ends by itself.
    stack.cloud.clear_faults();
    webhook.until(|it| it.is("BackupExporterBlind", "resolved")).await;
}
