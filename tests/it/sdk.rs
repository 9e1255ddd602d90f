//! The vendor's own SDK, and the `OpenStack` one, against the simulated cloud: nobody here wrote them,
//! so where they get along with it, it is no invention of ours.

use std::{env, path::PathBuf, process::Output};

use clouddb_backup_exporter::sim::{
    Clock, Cloud, DdmBackup, DdmInstance, Estate, RdsBackup, RdsInstance, Service, estate,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::process::Command;

use crate::daemon::Daemon;

const ORDERS: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const ROUTER: &str = "169f4f2fd6a94b6c8b1e5bd104385a18in09";

/// Five automated backups, one of them running, twelve increments, and 25 of DDM. All of them are
/// recent, because the SDK signs with the real time.
fn estate_at(now: Timestamp) -> Estate {
    let ago = |hours: i64| now - SignedDuration::from_hours(hours);
    let minutes = SignedDuration::from_mins(4);
    let completed = |kind: &str, hours| {
        RdsBackup::completed(ORDERS, kind, ago(hours), ago(hours) + minutes, 2803)
    };
    let autos = (1..5).map(|day| completed("auto", 24 * day));
    let increments = (1..13).map(|hours| completed("incremental", hours));
    let routes = (1..26).map(|day| {
        let created = ago(24 * day);
        DdmBackup::normal(ROUTER, "router", "auto_metadata", created, created + minutes)
    });
    Estate::new()
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_rds_backups(autos)
        .with_rds_backups(increments)
        .with_rds_backups([RdsBackup::building(ORDERS, "auto", ago(0))])
        .with_ddm(DdmInstance::new(ROUTER, "router"))
        .with_ddm_backups(routes)
}

#[tokio::test]
async fn foreign_clients_read_every_backup_and_are_refused_with_a_wrong_secret() {
    let clock = Clock::real();
    // The lists have whole seconds.
    let now = Timestamp::from_second(clock.now().as_second()).unwrap();
    let estate = estate_at(now);
    let project = &estate.projects[0];
    let ids = |kind: &str| -> Vec<&String> {
        let records = project.rds_backups.iter();
        records.filter(|record| record.kind == kind).map(|record| &record.id).collect()
    };
    let mut arguments = json!({
        "ak": estate::ACCESS_KEY,
        "sk": estate::SECRET_KEY,
        "user": estate::USER,
        "password": estate::PASSWORD,
        "domain": estate::DOMAIN,
        "project_id": estate::PROJECT_ID,
        "project_name": estate::PROJECT_NAME,
        "rds_instance": ORDERS,
        "rds_expected": { "auto": ids("auto"), "incremental": ids("incremental"), "manual": [] },
        "window": { "begin": now.as_second() - 6 * 3600, "end": now.as_second() - 2 * 3600 },
        "ddm_expected": project.ddm_backups.iter().map(|record| &record.id).collect::<Vec<_>>(),
    });
    let in_window: Vec<&String> = project
        .rds_backups
        .iter()
        .filter(|record| record.kind == "incremental")
        .filter(|record| {
            let hours = now.duration_since(record.begin.unwrap()).as_hours();
            (2..=6).contains(&hours)
        })
        .map(|record| &record.id)
        .collect();
    assert_eq!(in_window.len(), 5);
    arguments["window"]["expected"] = json!(in_window);

    let cloud = Cloud::start_at(estate.clone(), clock).await.unwrap();
    arguments["iam"] = json!(cloud.iam_url());
    arguments["rds"] = json!(cloud.rds_url());
    arguments["ddm"] = json!(cloud.ddm_url());
    let script = root().join("tests/sdk/conformance.py");
    let output =
        Command::new(python().await).arg(script).arg(arguments.to_string()).output().await.unwrap();
    assert_succeeded("the conformance script", &output);
    let looked_up = cloud.count(|seen| seen.path == "/v3/projects" && seen.status == Some(200));
    assert_eq!(looked_up, 1, "the SDK looked its project id up");
    for service in [Service::Ddm, Service::Iam, Service::Rds] {
        let refused = cloud.count(|seen| seen.service == service && seen.status == Some(401));
        assert_eq!(refused, 1, "a wrong secret was refused once by {service:?}");
    }
}

/// A `clouds.yaml` as its users write it: an anchor, an address with its port, what is secret
/// elsewhere, and keys that are of no concern here.
fn clouds_yaml(cloud: &Cloud) -> [(&'static str, String); 2] {
    let clouds = format!(
        "x-defaults: &defaults
  interface: public
  identity_api_version: 3
  region_name: eu-de
clouds:
  other: {{ auth: {{ auth_url: 'https://iam.example' }} }}
  lab:
    <<: *defaults
    profile: otc
    auth:
      auth_url: {}
      username: {}
      user_domain_name: {}
      project_name: {}
",
        cloud.iam_url().trim_end_matches("/v3"),
        estate::USER,
        estate::DOMAIN,
        estate::PROJECT_NAME
    );
    let secure = format!("clouds: {{ lab: {{ auth: {{ password: {} }} }} }}\n", estate::PASSWORD);
    [("clouds.yaml", clouds), ("secure.yaml", secure)]
}

#[tokio::test]
async fn a_clouds_yaml_that_openstacksdk_signs_in_with_works_here_too() {
    let estate = estate_at(Clock::real().now());
    let cloud = Cloud::start(estate).await.unwrap();
    let [clouds, secure] = clouds_yaml(&cloud);
    let files = [(clouds.0, clouds.1.as_str()), (secure.0, secure.1.as_str())];
    let config = format!(
        "credentials: {{ main: {{ cloud: lab, requests_per_second: 1000 }} }}
projects:
  - name: shop
    credentials: main
    rds: {{ endpoint: '{}', instances: [{{ id: {ORDERS} }}] }}
",
        cloud.rds_url()
    );
    let daemon = Daemon::start_beside(&files, &config).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(1.0));
    let id = [("project", "shop"), ("project_id", estate::PROJECT_ID)];
    assert_eq!(exposition.value("clouddb_project_info", &id), Some(1.0));
    let completed = [("backup_type", "auto"), ("status", "completed")];
    assert_eq!(exposition.value("clouddb_backups", &completed), Some(4.0));

    let arguments = json!({
        "cloud": "lab",
        "project_id": estate::PROJECT_ID,
        "rds_instance": ORDERS,
    });
    let output = Command::new(python().await)
        .arg(root().join("tests/sdk/conformance.py"))
        .arg(arguments.to_string())
        .env("OS_CLIENT_CONFIG_FILE", daemon.folder().join("clouds.yaml"))
        .env("OS_CLIENT_SECURE_FILE", daemon.folder().join("secure.yaml"))
        .output()
        .await
        .unwrap();
    assert_succeeded("openstacksdk with the clouds.yaml", &output);
    daemon.stop().await.unwrap();
}

/// The interpreter that has these clients: the one that was prepared, else one made here.
async fn python() -> PathBuf {
    if let Some(python) = env::var_os("CLOUDDB_TEST_PYTHON") {
        return python.into();
    }
    let folder = root().join("target/sdk-venv");
    let python = folder.join("bin/python");
    let requirements = root().join("tests/sdk/requirements.txt");
    let made = Command::new("python3").arg("-m").arg("venv").arg(&folder).output().await;
    assert_succeeded("making a Python environment", &made.unwrap());
    let installed = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(requirements)
        .output()
        .await;
    assert_succeeded("installing the foreign clients", &installed.unwrap());
    python
}

fn assert_succeeded(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
