//! Signing in: tokens that are shared, kept and renewed, and signed requests.

use clouddb_backup_exporter::sim::{
    AccessKey, Caller, Cloud, Estate, Fault, Project, RdsInstance, Seen, Service, estate,
};
use jiff::SignedDuration;

use crate::daemon::{Daemon, Setup, keys, password};
use crate::exposition::Exposition;

fn id(at: usize) -> String {
    format!("{at:032x}in01")
}

/// So many instances without backups.
async fn cloud_with(instances: usize) -> Cloud {
    let mut estate = Estate::new();
    for at in 0..instances {
        estate = estate.with_rds(RdsInstance::new(&id(at), "x"));
    }
    Cloud::start(estate).await.unwrap()
}

fn setup_with(cloud: &Cloud, instances: usize) -> Setup<'static> {
    (0..instances).fold(Setup::new(cloud), |setup, at| setup.with_rds(&id(at), "name: x"))
}

fn all_good(exposition: &Exposition) -> bool {
    exposition.values("clouddb_poll_success", &[]).iter().all(|success| *success == 1.0)
}

fn refusals(cloud: &Cloud) -> usize {
    cloud.count(|seen: &Seen| seen.status == Some(401))
}

#[tokio::test]
async fn ten_polls_that_want_a_token_at_once_sign_in_once() {
    let cloud = cloud_with(10).await;
    let daemon = Daemon::start(&setup_with(&cloud, 10).text(&cloud)).await;
    let exposition = daemon.after_polls(2.0).await;
    assert!(all_good(&exposition));
    assert_eq!(cloud.sign_ins(), 1);
    let in_a_day = cloud.clock().now() + SignedDuration::from_hours(24);
    let expiry = exposition.value("clouddb_auth_token_expiry_timestamp_seconds", &[]).unwrap();
    assert!((expiry - in_a_day.as_second() as f64).abs() < 60.0);
    let counted = [("api", "iam_token"), ("code", "201"), ("project", "shop")];
    assert_eq!(exposition.value("clouddb_api_requests_total", &counted), Some(1.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let cloud = cloud_with(1).await;
    cloud.switches(|switches| switches.token_lifetime = SignedDuration::from_secs(4));
    let daemon = Daemon::start(&setup_with(&cloud, 1).text(&cloud)).await;
    let renewed = [("api", "iam_token"), ("code", "201")];
    let exposition =
        daemon.until(|it| it.value("clouddb_api_requests_total", &renewed) >= Some(2.0)).await;
    assert!(all_good(&exposition));
    assert_eq!(refusals(&cloud), 0, "no request went out with a dead token");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_is_for_one_project_and_one_credential() {
    const OTHER: &str = "1483b6b16e954cb88930a360d2c4e663";
    let other = Project::new(OTHER, "eu-de_other");
    let estate = Estate::new()
        .with_rds(RdsInstance::new(&id(0), "x"))
        .with_project(other)
        .with_rds(RdsInstance::new(&id(1), "y"));
    let cloud = Cloud::start(estate).await.unwrap();
    let mut text = setup_with(&cloud, 1).text(&cloud);
    text += &format!(
        "  - name: other\n    project_id: {OTHER}\n    credentials: main\n    rds:\n      \
         endpoint: {}\n      instances:\n        - {{ id: {}, name: y }}\n",
        cloud.rds_url(),
        id(1)
    );
    let daemon = Daemon::start(&text).await;
    assert!(all_good(&daemon.after_polls(1.0).await));
    assert_eq!(cloud.sign_ins(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_that_dies_early_is_dropped_and_fetched_once_more_for_all() {
    let cloud = cloud_with(10).await;
    let daemon = Daemon::start(&setup_with(&cloud, 10).text(&cloud)).await;
    daemon.after_polls(1.0).await;
    cloud.revoke_tokens();
    let exposition = daemon
        .until(|it| it.value("clouddb_api_requests_total", &[("api", "iam_token")]) >= Some(2.0))
        .await;
    drop(exposition);
    let polls: f64 = daemon.metrics().await.values("clouddb_polls_total", &[]).iter().sum();
    let exposition = daemon.after_polls(polls / 10.0 + 2.0).await;
    assert!(all_good(&exposition));
    assert_eq!(cloud.sign_ins(), 2);
    let failures = exposition.values("clouddb_poll_failures_total", &[]);
    assert_eq!(failures.iter().sum::<f64>(), 0.0, "no poll was lost");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_however_many_targets_there_are() {
    let cloud = cloud_with(10).await;
    let setup = setup_with(&cloud, 10);
    let credential = password(&cloud).replace(estate::PASSWORD, "wrong");
    let daemon = Daemon::start(&Setup { credential, ..setup }.text(&cloud)).await;
    let exposition = daemon.after_polls(2.0).await;
    assert_eq!(cloud.sign_ins(), 1, "more would lock the account");
    assert_eq!(exposition.value("clouddb_auth_failures_total", &[]), Some(1.0));
    let auth = exposition.value("clouddb_poll_failures_total", &[("reason", "auth")]);
    assert_eq!(auth, exposition.value("clouddb_polls_total", &[]));
    assert!(exposition.values("clouddb_poll_success", &[]).iter().all(|it| *it == 0.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn an_iam_that_is_down_fails_all_who_waited_with_one_request_and_is_asked_again() {
    let cloud = cloud_with(10).await;
    cloud.fault(Fault::status(503).on(Service::Iam).once());
    let daemon = Daemon::start(&setup_with(&cloud, 10).text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    let failed = exposition.value("clouddb_poll_failures_total", &[("reason", "http_5xx")]);
    assert!(failed >= Some(1.0));
    daemon.until(all_good).await;
    assert_eq!(cloud.sign_ins(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn with_keys_every_request_is_signed_and_nobody_signs_in() {
    let cloud = cloud_with(2).await;
    let setup = Setup { credential: keys(), ..setup_with(&cloud, 2) };
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    assert!(all_good(&daemon.after_polls(1.0).await));
    assert_eq!(cloud.sign_ins(), 0);
    let by_key = Caller::Key(estate::ACCESS_KEY.to_owned());
    assert!(cloud.requests().iter().all(|seen| seen.caller == by_key && seen.status == Some(200)));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn temporary_keys_sign_their_security_token_too() {
    let cloud = cloud_with(1).await;
    cloud.change(|estate| {
        estate.keys.push(AccessKey::temporary("TEMPORARY", "secret/+=", "token==/+abc"));
    });
    let good = "access_key: TEMPORARY, secret_key: secret/+=, security_token: token==/+abc, \
                requests_per_second: 1000";
    let setup = Setup { credential: good.to_owned(), ..setup_with(&cloud, 1) };
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    assert!(all_good(&daemon.after_polls(1.0).await));
    daemon.stop().await.unwrap();

    let credential = good.replace("token==", "wrong==");
    let daemon = Daemon::start(&Setup { credential, ..setup }.text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(exposition.value("clouddb_poll_failures_total", &[("reason", "auth")]), Some(1.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_secret_key_is_auth_and_not_tried_again_by_the_next_polls() {
    let cloud = cloud_with(1).await;
    let credential = keys().replace(estate::SECRET_KEY, "wrong");
    let setup = Setup { credential, ..setup_with(&cloud, 1) };
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let exposition = daemon.after_polls(3.0).await;
    let auth = exposition.value("clouddb_poll_failures_total", &[("reason", "auth")]);
    assert!(auth >= Some(3.0));
    assert_eq!(refusals(&cloud), 1, "five refusals lock the key");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn no_secret_shows_in_anything_that_is_served() {
    let cloud = cloud_with(2).await;
    for credential in [
        password(&cloud),
        password(&cloud).replace(estate::PASSWORD, "hunter2-is-wrong"),
        keys(),
        keys().replace(estate::SECRET_KEY, "hunter2-is-wrong"),
    ] {
        let setup = Setup { credential, ..setup_with(&cloud, 2) };
        let daemon = Daemon::start(&setup.text(&cloud)).await;
        daemon.after_polls(1.0).await;
        for path in ["/", "/metrics"] {
            let body = daemon.get(path).await.body;
            for secret in
                [estate::PASSWORD, estate::ACCESS_KEY, estate::SECRET_KEY, "hunter2-is-wrong"]
            {
                assert!(!body.contains(secret), "{path} shows {secret}");
            }
        }
        daemon.stop().await.unwrap();
    }
}
