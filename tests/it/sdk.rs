//! The vendor's own SDK, and the `OpenStack` one, against the simulated cloud: nobody here wrote them,
//! so where they get along with it, it is no invention of ours.

use std::{env, path::PathBuf, process::Output};

use clouddb_backup_exporter::sim::{
    AccessKey, Clock, Cloud, DdmBackup, DdmInstance, Estate, Policy, RdsBackup, RdsInstance,
    Service, estate, listed,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::daemon::Daemon;

const ORDERS: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const REPLICA: &str = "b48e43ff268f4c0e879652d65e63d0fbin01";
const REPORTS: &str = "c48e43ff268f4c0e879652d65e63d0fbin04";
const NEW: &str = "d48e43ff268f4c0e879652d65e63d0fbin03";
const ROUTER: &str = "169f4f2fd6a94b6c8b1e5bd104385a18in09";
const NARROW_KEY: &str = "SIMACCESSKEY00000002";

/// Instances of several kinds and policies; of `orders` five automated backups, one of them running,
/// and twelve increments; and 25 backups of DDM. All of them are recent, because the SDK signs with
/// the real time.
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
    let reports = RdsInstance::new(REPORTS, "reports \"q\" <ü>")
        .with_kind("Single")
        .with_status("STORAGE FULL")
        .with_policy(Policy::new(30, "23:30-00:30", "1,3,5"))
        .with_restore_ranges([(ago(90), ago(50)), (ago(30), ago(1))]);
    let new = RdsInstance::new(NEW, "new")
        .with_status("BUILD")
        .with_created(None)
        .with_policy(Policy::off());
    let more_ddm = (1..12).map(|at| {
        let status = if at == 1 { "data_disk_full" } else { "RUNNING" };
        DdmInstance::new(&format!("{at:032x}in09"), &format!("router-{at}")).with_status(status)
    });
    let estate = Estate::new()
        .with_key(AccessKey::new(NARROW_KEY, estate::SECRET_KEY).denying("rds:instance:list"))
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_rds(RdsInstance::replica(REPLICA, "orders-read", ORDERS))
        .with_rds(reports)
        .with_rds(new)
        .with_rds_backups(autos)
        .with_rds_backups(increments)
        .with_rds_backups([RdsBackup::building(ORDERS, "auto", ago(0))])
        .with_ddm(DdmInstance::new(ROUTER, "router"))
        .with_ddm_backups(routes);
    more_ddm.fold(estate, Estate::with_ddm)
}

/// The RDS instances as a client should have read them: what was put in, in the client's own words.
fn expected_rds(estate: &Estate) -> Vec<Value> {
    let instances = estate.projects[0].rds.iter();
    instances
        .map(|rds| {
            let related = match rds.id.as_str() {
                ORDERS => json!([[REPLICA, "replica"]]),
                REPLICA => json!([[ORDERS, "replica_of"]]),
                _ => json!([]),
            };
            json!({
                "id": rds.id,
                "name": rds.name,
                "status": rds.status,
                "type": rds.kind,
                "engine": rds.engine,
                "version": rds.version,
                "created": rds.created.map(listed).unwrap_or_default(),
                "keep_days": rds.policy.keep_days,
                "start_time": rds.policy.start_time,
                "replication_mode": (rds.kind == "Ha").then_some("async"),
                "related": related,
            })
        })
        .collect()
}

/// The DDM instances likewise.
fn expected_ddm(estate: &Estate) -> Vec<Value> {
    let instances = estate.projects[0].ddm.iter();
    instances
        .map(|ddm| {
            json!({
                "id": ddm.id,
                "name": ddm.name,
                "status": ddm.status,
                "created": ddm.created.map(listed).unwrap_or_default(),
                "engine_version": ddm.version,
            })
        })
        .collect()
}

/// Instance, answer to the question for its policy, and restorable ranges in milliseconds: all that
/// are asked one by one.
fn expected_details(now: Timestamp) -> Value {
    let ago = |hours: i64| (now - SignedDuration::from_hours(hours)).as_millisecond();
    let of_backups = json!([[ago(4 * 24) + 240_000, ago(1) + 240_000]]);
    let every_day = json!([7, "01:00-02:00", "1,2,3,4,5,6,7"]);
    json!([
        [ORDERS, every_day, of_backups],
        [REPORTS, [30, "23:30-00:30", "1,3,5"], [[ago(90), ago(50)], [ago(30), ago(1)]]],
        [NEW, [0, null, null], []],
    ])
}

#[tokio::test]
async fn foreign_clients_read_every_backup_and_instance_and_are_refused_with_a_wrong_secret() {
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
        "narrow_ak": NARROW_KEY,
        "project_id": estate::PROJECT_ID,
        "project_name": estate::PROJECT_NAME,
        "rds_instance": ORDERS,
        "rds_expected": { "auto": ids("auto"), "incremental": ids("incremental"), "manual": [] },
        "window": { "begin": now.as_second() - 6 * 3600, "end": now.as_second() - 2 * 3600 },
        "rds_instances": expected_rds(&estate),
        "ddm_instances": expected_ddm(&estate),
        "details": expected_details(now),
        "replica": REPLICA,
        "unknown": "f".repeat(32) + "in01",
        "some_day": now.strftime("%Y-%m-%d").to_string(),
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
    let of_instances = |service, limit: &str| {
        cloud.count(|seen| {
            let is_list = seen.service == service && seen.path.ends_with("/instances");
            is_list && seen.parameter("limit") == Some(limit) && seen.status == Some(200)
        })
    };
    assert_eq!(of_instances(Service::Ddm, "5"), 3, "twelve DDM instances on pages of five");
    assert_eq!(of_instances(Service::Rds, "3"), 2, "four RDS instances on pages of three");
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
