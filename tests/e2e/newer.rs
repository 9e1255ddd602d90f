//! The Prometheus of Debian's unstable, which refuses what that of Debian 12 forgives.

use std::path::Path;

use clouddb_backup_exporter::sim::Cloud;
use tokio::process::Command;

use crate::exporter::{Exporter, polling_often};
use crate::failure::{fail, orders, shop};
use crate::process::tool;
use crate::prometheus::Prometheus;

#[tokio::test]
#[ignore = "tests/run gets a newer Prometheus and runs this, or says why it cannot"]
async fn a_newer_prometheus_scrapes_the_exporter_and_evaluates_the_rules() {
    let program = tool("sid/usr/bin/prometheus");
    let cloud = Cloud::start(orders()).await.unwrap();
    let exporter = Exporter::start(&(polling_often(&cloud) + &shop(&cloud, ""))).await;
    // Nobody has to be told here.
    let prometheus = Prometheus::start(&program, &[exporter.address()], "127.0.0.1:9").await;
    let build = prometheus.ask("status/buildinfo", &[]).await.unwrap();
    let major: u32 = build["version"].as_str().unwrap().split('.').next().unwrap().parse().unwrap();
    assert!(major >= 3, "{build}");

    prometheus.until("clouddb_poll_success == 1 and on (instance) up == 1").await;
    fail(&cloud);
    prometheus.until("ALERTS{alertname=\"DatabaseBackupFailed\",alertstate=\"firing\"}").await;
    let groups = prometheus.ask("rules", &[]).await.unwrap();
    let groups = groups["groups"].as_array().unwrap();
    let rules: Vec<_> = groups.iter().flat_map(|it| it["rules"].as_array().unwrap()).collect();
    assert_eq!(rules.len(), 23);
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule:#}");
    }
    accepts(&tool("sid/usr/bin/promtool"), &prometheus.config()).await;
}

/// Its own checker has nothing to complain of in the config and the rules.
async fn accepts(promtool: &Path, config: &Path) {
    let output =
        Command::new(promtool).args(["check", "config"]).arg(config).output().await.unwrap();
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap()).concat();
    assert!(output.status.success() && said.contains("23 rules found"), "{said}");
}
