//! A credential that the config only refers to: an entry of a `clouds.yaml` beside it, or the
//! environment.

use clouddb_backup_exporter::sim::{Cloud, Estate, RdsInstance, Seen, estate, id};

use crate::daemon::{Daemon, Setup};
use crate::running::{Running, crypto, folder_with};

const ID: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";

async fn cloud() -> Cloud {
    Cloud::start(Estate::new().with_rds(RdsInstance::new(ID, "orders"))).await.unwrap()
}

fn clouds(cloud: &Cloud, password: &str) -> String {
    format!(
        "clouds: {{ lab: {{ auth: {{ auth_url: '{}', username: {}, password: {password}, \
         user_domain_name: {} }} }} }}\n",
        cloud.iam_url(),
        estate::USER,
        estate::DOMAIN
    )
}

/// A daemon with this `clouds.yaml` beside its config.
async fn daemon(cloud: &Cloud, clouds: &str) -> Daemon {
    let credential = "cloud: lab, requests_per_second: 10000".to_owned();
    let setup = Setup { credential, ..Setup::new(cloud) }.with_rds(ID, "name: orders");
    Daemon::start_beside(&[("clouds.yaml", clouds)], &setup.text(cloud)).await
}

#[tokio::test]
async fn a_password_that_is_mended_in_clouds_yaml_ends_the_pause_without_a_reload() {
    let cloud = cloud().await;
    let daemon = daemon(&cloud, &clouds(&cloud, "hunter2-is-wrong")).await;
    let exposition = daemon.after_polls(2.0).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(0.0));
    assert_eq!(cloud.sign_ins(), 1, "it is paused");
    let mended = clouds(&cloud, estate::PASSWORD);
    std::fs::write(daemon.folder().join("clouds.yaml"), mended).unwrap();
    daemon.until(|it| it.value("clouddb_poll_success", &[]) == Some(1.0)).await;
    assert_eq!(cloud.sign_ins(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn keys_of_a_clouds_yaml_sign_and_nobody_signs_in() {
    let cloud = cloud().await;
    let (ak, sk) = (estate::ACCESS_KEY, estate::SECRET_KEY);
    let clouds = format!("clouds: {{ lab: {{ auth: {{ ak: {ak}, sk: '{sk}' }} }} }}\n");
    let daemon = daemon(&cloud, &clouds).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(exposition.value("clouddb_poll_success", &[]), Some(1.0));
    assert_eq!(cloud.count(Seen::is_sign_in), 0);
    daemon.stop().await.unwrap();
}

/// Runs the program with these variables until its only target is polled, and gives the project id.
async fn polled_with(cloud: &Cloud, place: &str, variables: &[(&str, &str)]) -> String {
    crypto();
    let credential = "from_env: true, requests_per_second: 10000".to_owned();
    let setup = Setup { credential, ..Setup::new(cloud) }.with_rds(ID, "name: orders");
    let project_id = format!("    project_id: {}\n", estate::PROJECT_ID);
    let (_folder, flag) = folder_with(&setup.text(cloud).replace(&project_id, place));
    let running = Running::start_with(&[&flag], variables).await;
    let good = running.until(|it| it.value("clouddb_poll_success", &[]) == Some(1.0)).await;
    let project = good.families()["clouddb_project_info"].samples[0].1["project_id"].clone();
    assert_eq!(running.end("-TERM").await, Some(0));
    project
}

#[tokio::test]
async fn the_variables_of_openstack_sign_in_and_name_the_project() {
    let cloud = cloud().await;
    let variables = [
        ("OS_AUTH_URL", cloud.iam_url()),
        ("OS_USERNAME", estate::USER),
        ("OS_PASSWORD", estate::PASSWORD),
        ("OS_USER_DOMAIN_NAME", estate::DOMAIN),
        ("OS_PROJECT_NAME", estate::PROJECT_NAME),
    ];
    assert_eq!(polled_with(&cloud, "", &variables).await, estate::PROJECT_ID);
    assert_eq!(cloud.sign_ins(), 2);
}

#[tokio::test]
async fn a_domain_that_is_said_by_its_id_signs_in() {
    let cloud = cloud().await;
    let domain_id = id::stem(&["domain", estate::DOMAIN]);
    let variables = [
        ("OS_AUTH_URL", cloud.iam_url()),
        ("OS_USERNAME", estate::USER),
        ("OS_PASSWORD", estate::PASSWORD),
        ("OS_USER_DOMAIN_ID", &domain_id),
        ("OS_PROJECT_ID", estate::PROJECT_ID),
    ];
    assert_eq!(polled_with(&cloud, "", &variables).await, estate::PROJECT_ID);
}

#[tokio::test]
async fn the_variables_of_the_sdk_of_huawei_cloud_sign() {
    let cloud = cloud().await;
    let variables = [
        ("HUAWEICLOUD_SDK_AK", estate::ACCESS_KEY),
        ("HUAWEICLOUD_SDK_SK", estate::SECRET_KEY),
        ("HUAWEICLOUD_SDK_PROJECT_ID", estate::PROJECT_ID),
    ];
    assert_eq!(polled_with(&cloud, "", &variables).await, estate::PROJECT_ID);
    assert_eq!(cloud.count(Seen::is_sign_in), 0);
}
