//! A backup fails and the cloud repeats it: one instance, `orders`, which the other tests use too.

use clouddb_backup_exporter::sim::{Cloud, Estate, RdsBackup, RdsInstance, estate};
use jiff::SignedDuration;

use crate::shipped;
use crate::stack::Stack;

pub(crate) const ORDERS: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const FAILED: &str = "DatabaseBackupFailed";

/// An instance with one good backup.
pub(crate) fn orders() -> Estate {
    let begin =
        clouddb_backup_exporter::clock::Clock::system().now() - SignedDuration::from_hours(2);
    let end = begin + SignedDuration::from_mins(5);
    Estate::new()
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_rds_backups([RdsBackup::completed(ORDERS, "auto", begin, end, 4_000_000)])
}

/// The project of the config with `orders`, and whatever other instances.
pub(crate) fn shop(cloud: &Cloud, others: &str) -> String {
    format!(
        "  - name: shop\n    project_id: {}\n    credentials: main\n    rds:\n      endpoint: {}\n      \
         instances:\n        - {{ id: {ORDERS}, name: orders }}\n{others}",
        estate::PROJECT_ID,
        cloud.rds_url()
    )
}

/// The newest backup of `orders` fails.
pub(crate) fn fail(cloud: &Cloud) {
    let begin = cloud.clock().now() - SignedDuration::from_mins(10);
    let end = begin + SignedDuration::from_mins(2);
    add(cloud, RdsBackup::failed(ORDERS, "auto", begin, end));
}

fn add(cloud: &Cloud, backup: RdsBackup) {
    cloud.change(|estate| estate.projects[0].rds_backups.push(backup));
}

#[tokio::test]
async fn a_failed_backup_is_told_with_its_instance_and_runbook_and_ends_when_the_retry_completes() {
    let stack = Stack::start(orders(), |cloud| shop(cloud, "")).await;
    fail(&stack.cloud);

    let told = stack.webhook.until(|it| it.is(FAILED, "firing")).await;
    assert_eq!(told.receiver, "chat", "a warning wakes nobody");
    for (label, value) in [
        ("project", "shop"),
        ("product", "rds"),
        ("instance_id", ORDERS),
        ("instance_name", "orders"),
        ("backup_type", "auto"),
        ("severity", "warning"),
        // Of the pod that told it an alert knows nothing, so that another one goes on with it.
        ("instance", ""),
        ("job", ""),
    ] {
        assert_eq!(told.label(label), value, "{label} of {told:?}");
    }
    assert_eq!(told.annotation("summary"), "The last auto backup of orders failed");
    assert_eq!(
        told.annotation("description"),
        format!(
            "The newest finished auto backup of the RDS instance orders ({ORDERS}) in the project shop \
             failed, and none has completed since."
        )
    );
    let runbook = told.annotation("runbook_url").rsplit_once("/docs/").unwrap().1;
    let page = shipped::text(&format!("docs/{runbook}"));
    assert!(page.starts_with(&format!("# {FAILED}\n")), "{runbook}");

    let begin = stack.cloud.clock().now() - SignedDuration::from_mins(1);
    let end = begin + SignedDuration::from_secs(50);
    add(&stack.cloud, RdsBackup::completed(ORDERS, "auto", begin, end, 4_000_000));
    let told = stack.webhook.until(|it| it.is(FAILED, "resolved")).await;
    assert_eq!((told.receiver.as_str(), told.label("instance_name")), ("chat", "orders"));

    // A slow machine may leave out polls.
    let expected = [FAILED, "BackupExporterPollOverrun"];
    let mut others = stack.webhook.all();
    others.retain(|it| !expected.contains(&it.label("alertname")));
    assert!(others.is_empty(), "nothing else happened: {others:#?}");
}
