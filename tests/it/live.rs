//! `check --live`, as a person runs it.

use std::process::Output;

use clouddb_backup_exporter::sim::{
    AccessKey, Cloud, DdmInstance, Estate, Fault, Project, RdsInstance, Seen, Service, User, estate,
};
use tokio::process::Command;
use tokio::time::timeout;

use crate::daemon::{keys, password};
use crate::running::{PATIENCE, PROGRAM, folder_with};
use crate::secrets;

const ORDERS: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const REPORTS: &str = "b48e43ff268f4c0e879652d65e63d0fbin04";
const REPLICA: &str = "c48e43ff268f4c0e879652d65e63d0fbin01";
const GONE: &str = "d48e43ff268f4c0e879652d65e63d0fbin01";
const ROUTER: &str = "e48e43ff268f4c0e879652d65e63d0fbin09";
const OTHER: &str = "0483b6b16e954cb88930a360d2c4e664";

fn estate() -> Estate {
    Estate::new()
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_rds(RdsInstance::new(REPORTS, "reports"))
        .with_rds(RdsInstance::replica(REPLICA, "orders-read", ORDERS))
        .with_ddm(DdmInstance::new(ROUTER, "router"))
        .with_project(Project::new(OTHER, "eu-de_other"))
        .with_rds(RdsInstance::new("f48e43ff268f4c0e879652d65e63d0fbin03", "other"))
}

async fn check_live(config: &str) -> (i32, Vec<String>) {
    let (_folder, flag) = folder_with(config);
    let run = Command::new(PROGRAM).args(["check", "--live", &flag]).output();
    let Output { status, stdout, stderr } = timeout(PATIENCE, run).await.unwrap().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    secrets::look_through(&stdout);
    secrets::look_through(&String::from_utf8(stderr).unwrap());
    let folder = flag.trim_start_matches("--config.file=").to_owned();
    let lines = stdout.lines().map(|line| line.replace(&folder, "config.yaml"));
    (status.code().unwrap(), lines.collect())
}

/// The config of a project with everything discovered, and more of it.
fn config(cloud: &Cloud, credential: &str, more: &str) -> String {
    let (rds, ddm) = (cloud.rds_url(), cloud.ddm_url());
    format!(
        "credentials:\n  main: {{ {credential} }}\n\
         projects:\n  - name: shop\n    project_id: {}\n    credentials: main\n    \
         rds: {{ endpoint: \"{rds}\", discover: true, restore_window: true{more} }}\n    \
         ddm: {{ endpoint: \"{ddm}\" }}\n",
        estate::PROJECT_ID
    )
}

#[tokio::test]
async fn what_works_is_told_line_by_line_with_one_page_of_each_list_and_nothing_is_asked_twice() {
    let cloud = Cloud::start(estate()).await.unwrap();
    let (code, lines) = check_live(&config(&cloud, &password(&cloud), "")).await;
    let columns = format!("shop     rds      {:<46}", format!("orders ({ORDERS})"));
    assert_eq!(
        lines,
        [
            format!("PROJECT  PRODUCT  {:<46}  RESULT", "WHAT"),
            format!("shop     rds      {:<46}  ok, 3 instances", "instances"),
            format!("shop     ddm      {:<46}  ok, 1 instances", "instances"),
            format!("{columns}  ok, 0 auto backups"),
            format!("shop     rds      {:<46}  ok, it is on", "backup policy of orders"),
            format!("shop     rds      {:<46}  ok, 0 ranges", "restore times of orders"),
            format!("shop     rds      {:<46}  ok, 0 auto backups", format!("reports ({REPORTS})")),
            format!("shop     ddm      {:<46}  ok, 0 backups", "backups"),
            "config.yaml: 1 projects, 1 targets, 2 instance lists, 0 findings".to_owned(),
        ]
    );
    assert_eq!(code, 0);
    assert_eq!(cloud.sign_ins(), 1);
    assert_eq!(cloud.count(|seen: &Seen| seen.service != Service::Iam), 7);
}

#[tokio::test]
async fn the_permission_that_is_missing_is_named() {
    for (action, failing) in [("rds:instance:list", 3), ("rds:backup:list", 2)] {
        let estate = Estate { keys: Vec::new(), ..estate() };
        let key = AccessKey::new(estate::ACCESS_KEY, estate::SECRET_KEY).denying(action);
        let cloud = Cloud::start(estate.with_key(key)).await.unwrap();
        let more = format!(", instances: [{{ id: {ORDERS} }}, {{ id: {REPORTS} }}]");
        let (code, lines) = check_live(&config(&cloud, &keys(), &more)).await;
        let denied: Vec<&String> =
            lines.iter().filter(|line| line.contains("forbidden: ")).collect();
        let named = denied.iter().filter(|line| line.contains(&format!("permission `{action}`")));
        assert_eq!((named.count(), denied.len()), (failing, failing), "{lines:#?}");
        assert_eq!(code, 1);
        assert!(lines.last().unwrap().ends_with(&format!(", {failing} findings")), "{lines:#?}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_named_and_does_not_hide_the_rest() {
    let cloud = Cloud::start(estate()).await.unwrap();
    let more = format!(", instances: [{{ id: {GONE}, name: gone }}]");
    let (code, lines) = check_live(&config(&cloud, &password(&cloud), &more)).await;
    let gone: Vec<&String> = lines.iter().filter(|line| line.contains("not_found: ")).collect();
    assert_eq!(gone.len(), 1, "{lines:#?}");
    assert!(gone[0].contains(&format!("gone ({GONE})")), "{gone:?}");
    assert!(lines.iter().any(|line| line.contains("ok, it is on")), "{lines:#?}");
    assert_eq!(code, 1);
}

#[tokio::test]
async fn a_credential_that_is_refused_is_tried_once_and_the_other_project_is_read() {
    let cloud =
        Cloud::start(estate().with_user(User::new("second", "Second-Word-8"))).await.unwrap();
    let wrong = password(&cloud).replace(estate::PASSWORD, "wrong");
    let second =
        password(&cloud).replace(estate::USER, "second").replace(estate::PASSWORD, "Second-Word-8");
    let text = config(&cloud, &wrong, "")
        .replace("projects:", &format!("  second: {{ {second} }}\nprojects:"));
    let text = format!(
        "{text}  - name: other\n    project_id: {OTHER}\n    credentials: second\n    \
         rds: {{ endpoint: \"{}\", discover: true }}\n",
        cloud.rds_url()
    );
    let (code, lines) = check_live(&text).await;
    let of = |project: &str, result: &str| {
        lines.iter().filter(|it| it.starts_with(project) && it.contains(result)).count()
    };
    assert_eq!(of("shop", " auth: "), 2, "{lines:#?}");
    assert_eq!(of("shop", "not asked"), 1, "{lines:#?}");
    assert_eq!((of("other", "  ok, "), of("other", "")), (3, 3), "{lines:#?}");
    assert_eq!(cloud.sign_ins(), 2, "one that is refused, one that is not");
    assert_eq!(code, 1);
}

#[tokio::test]
async fn a_service_that_is_down_is_asked_for_one_thing_and_the_other_service_for_all() {
    let cloud = Cloud::start(estate()).await.unwrap();
    cloud.fault(Fault::close().on(Service::Rds));
    let more = format!(", instances: [{{ id: {ORDERS} }}, {{ id: {REPORTS} }}]");
    let (code, lines) = check_live(&config(&cloud, &password(&cloud), &more)).await;
    let of = |result: &str| lines.iter().filter(|it| it.contains(result)).count();
    assert_eq!((of("connect: "), of("not asked"), of("  ok, ")), (1, 2, 2), "{lines:#?}");
    assert_eq!(code, 1);
}

#[tokio::test]
async fn a_config_that_would_not_start_is_2_and_nothing_is_asked() {
    let cloud = Cloud::start(estate()).await.unwrap();
    let text = config(&cloud, &password(&cloud), "").replace("discover", "discovr");
    let (code, lines) = check_live(&text).await;
    assert_eq!((code, cloud.requests().len()), (2, 0), "{lines:#?}");
}
