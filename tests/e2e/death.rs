//! The exporter is gone.

use crate::failure::{fail, orders, shop};
use crate::process::until;
use crate::stack::Stack;

#[tokio::test]
async fn a_killed_exporter_is_told_and_nobody_is_told_that_a_database_is_well() {
    let mut stack = Stack::start(orders(), |cloud| shop(cloud, "")).await;
    fail(&stack.cloud);
    stack.webhook.until(|it| it.is("DatabaseBackupFailed", "firing")).await;

    stack.exporter.kill().await;
    let down = stack.webhook.until(|it| it.is("BackupExporterDown", "firing")).await;
    assert_eq!(down.receiver, "page");
    assert_eq!(down.annotation("summary"), "No backup exporter is running");

    // The alert on the database outlives its series for a while. When it has ended at Alertmanager, it was
    // muted.
    until(
        async || {
            let muted = stack.alertmanager.muted_by("DatabaseBackupFailed", "orders").await;
            muted.is_none().then_some(())
        },
        async || "the alert has not ended".to_owned(),
    )
    .await;
    stack.alertmanager.settle(&stack.webhook).await;
    let told = stack.webhook.all();
    let wrong: Vec<_> =
        told.iter().filter(|it| it.is("DatabaseBackupFailed", "resolved")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
