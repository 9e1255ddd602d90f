//! Signing in: tokens that are shared, kept and renewed, and signed requests.

use std::os::unix::fs::symlink;

use clouddb_backup_exporter::sim::{
    AccessKey, Answer, Caller, Cloud, Estate, Fault, Project, RdsInstance, Seen, Service, estate,
};
use jiff::SignedDuration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

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

/// A second project of the same user.
const OTHER: &str = "1483b6b16e954cb88930a360d2c4e663";

/// One instance in each of the two projects.
fn text_of_two(cloud: &Cloud) -> String {
    let mut text = setup_with(cloud, 1).text(cloud);
    text += &format!(
        "  - name: other\n    project_id: {OTHER}\n    credentials: main\n    rds:\n      \
         endpoint: {}\n      instances:\n        - {{ id: {}, name: y }}\n",
        cloud.rds_url(),
        id(1)
    );
    text
}

#[tokio::test]
async fn a_token_is_for_one_project_and_one_credential() {
    let other = Project::new(OTHER, "eu-de_other");
    let estate = Estate::new()
        .with_rds(RdsInstance::new(&id(0), "x"))
        .with_project(other)
        .with_rds(RdsInstance::new(&id(1), "y"));
    let cloud = Cloud::start(estate).await.unwrap();
    let daemon = Daemon::start(&text_of_two(&cloud)).await;
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
async fn an_iam_that_is_down_fails_all_who_waited_together_and_is_asked_again() {
    let cloud = cloud_with(10).await;
    cloud.fault(Fault::status(503).on(Service::Iam).times(4));
    let daemon = Daemon::start(&setup_with(&cloud, 10).text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    let failed = exposition.value("clouddb_poll_failures_total", &[("reason", "http_5xx")]);
    assert_eq!(failed, Some(10.0), "four tries, for all of them");
    let retries = [("api", "iam_token")];
    assert_eq!(exposition.value("clouddb_api_retries_total", &retries), Some(3.0));
    daemon.until(all_good).await;
    assert_eq!(cloud.sign_ins(), 5);
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
async fn a_wrong_secret_key_is_sent_once_however_many_targets_there_are() {
    let cloud = cloud_with(40).await;
    let credential = keys().replace(estate::SECRET_KEY, "wrong");
    let setup = Setup { credential, ..setup_with(&cloud, 40) };
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let exposition = daemon.after_polls(3.0).await;
    let auth = exposition.value("clouddb_poll_failures_total", &[("reason", "auth")]);
    assert_eq!(auth, exposition.value("clouddb_polls_total", &[]));
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

#[tokio::test]
async fn the_query_on_the_wire_is_the_canonical_one_that_was_signed() {
    // A cloud that only listens: what counts is the line that arrives.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let cloud = cloud_with(1).await;
    let setup = Setup { credential: keys(), ..setup_with(&cloud, 1) };
    let daemon = Daemon::start(&setup.text(&cloud).replace(cloud.rds_url(), &url)).await;
    let empty = r#"{"backups":[],"total_count":0}"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{empty}", empty.len());
    let mut targets = Vec::new();
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    while targets.len() < 3 {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let target = line.split(' ').nth(1).unwrap().to_owned();
        let mut names = Vec::new();
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
            names.extend(line.split_once(':').map(|(name, _)| name.to_ascii_lowercase()));
        }
        for name in ["host", "x-project-id", "x-sdk-date", "authorization"] {
            assert_eq!(names.iter().filter(|it| *it == name).count(), 1, "{name}");
        }
        targets.push(target);
        stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
    }
    daemon.stop().await.unwrap();
    let prefix = format!("/v3/{}/backups?", estate::PROJECT_ID);
    let query = targets[2].strip_prefix(&prefix).expect("no slash before the query");
    let names: Vec<&str> = query.split('&').map(|pair| pair.split('=').next().unwrap()).collect();
    assert_eq!(
        names,
        ["backup_type", "begin_time", "end_time", "instance_id", "limit", "offset"],
        "sorted by name"
    );
    assert!(query.contains("%3A") && query.contains("%2B0000"), "{query}");
    assert!(!query.contains([':', '+', ' ']), "{query}");
}

#[tokio::test]
async fn all_that_shares_a_credential_stays_within_its_budget() {
    let cloud = cloud_with(4).await;
    let credential = password(&cloud).replace("second: 10000", "second: 5");
    let setup = Setup { poll: "interval: 60s", credential, ..setup_with(&cloud, 4) };
    let begin = cloud.clock().now();
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    assert!(all_good(&daemon.after_polls(1.0).await));
    daemon.stop().await.unwrap();
    let times: Vec<_> = cloud.requests().iter().map(|seen| seen.at).collect();
    // One sign-in, and of each instance four lists and the question whether there are incrementals.
    assert_eq!(times.len(), 21);
    // A burst of five, then five a second: the last goes out 3.2 s after the budget began, which is
    // after `begin`. A busy machine only makes it later.
    let took = times[20].duration_since(begin).as_secs_f64();
    assert!(took >= 3.19, "{took} s");
}

#[tokio::test]
async fn a_project_without_a_role_for_the_user_does_not_blind_the_others() {
    let mut estate = Estate::new()
        .with_rds(RdsInstance::new(&id(0), "x"))
        .with_project(Project::new(OTHER, "eu-de_other"))
        .with_rds(RdsInstance::new(&id(1), "y"));
    estate.users[0].forbidden.push(OTHER.to_owned());
    let cloud = Cloud::start(estate).await.unwrap();
    let daemon = Daemon::start(&text_of_two(&cloud)).await;
    let exposition = daemon.after_polls(3.0).await;
    let of = |project| exposition.value("clouddb_poll_success", &[("project", project)]);
    assert_eq!((of("shop"), of("other")), (Some(1.0), Some(0.0)));
    let auth = [("project", "other"), ("reason", "auth")];
    assert!(exposition.value("clouddb_poll_failures_total", &auth) >= Some(2.0));
    assert_eq!(cloud.sign_ins(), 2, "that project is left alone for a while");
    assert!(daemon.get("/").await.body.contains("is paused for this project"));
    daemon.stop().await.unwrap();
}

/// Keys in files, as Kubernetes mounts them.
fn keys_in(folder: &TempDir, access_key: &str, secret_key: &str) -> String {
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("ak"), access_key).unwrap();
    std::fs::write(file("sk"), secret_key).unwrap();
    let (ak, sk) = (file("ak"), file("sk"));
    format!(
        "access_key_file: {}, secret_key_file: {}, requests_per_second: 10000",
        ak.display(),
        sk.display()
    )
}

#[tokio::test]
async fn keys_that_are_swapped_one_after_the_other_lose_no_poll() {
    let cloud = cloud_with(5).await;
    cloud.change(|estate| estate.keys.push(AccessKey::new("NEWACCESSKEY", "new-secret")));
    let folder = TempDir::new().unwrap();
    let credential = keys_in(&folder, estate::ACCESS_KEY, estate::SECRET_KEY);
    let daemon = Daemon::start(&Setup { credential, ..setup_with(&cloud, 5) }.text(&cloud)).await;
    daemon.after_polls(1.0).await;
    let by = |key: &'static str| {
        move |seen: &Seen| seen.caller == Caller::Key(key.to_owned()) && seen.status == Some(200)
    };
    // Half of the pair is new: it is refused, and the old pair goes on.
    std::fs::write(folder.path().join("ak"), "NEWACCESSKEY\n").unwrap();
    let polls = |exposition: &Exposition| exposition.value("clouddb_polls_total", &[]).unwrap();
    let before = polls(&daemon.metrics().await);
    daemon.until(|it| polls(it) >= before + 10.0).await;
    assert!(refusals(&cloud) >= 1);
    let old = cloud.count(by(estate::ACCESS_KEY));
    std::fs::write(folder.path().join("sk"), "new-secret\n").unwrap();
    let before = polls(&daemon.metrics().await);
    let exposition = daemon.until(|it| polls(it) >= before + 10.0).await;
    assert!(all_good(&exposition));
    assert!(cloud.count(by("NEWACCESSKEY")) > 0, "the new pair is in use");
    assert!(cloud.count(by(estate::ACCESS_KEY)) - old < 30, "the old pair is not");
    assert_eq!(exposition.values("clouddb_poll_failures_total", &[]).iter().sum::<f64>(), 0.0);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_pause_ends_at_once_when_the_secret_changes() {
    let cloud = cloud_with(3).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "wrong").unwrap();
    let credential = password(&cloud).replace(
        &format!("password: {}", estate::PASSWORD),
        &format!("password_file: {}", file.display()),
    );
    let daemon = Daemon::start(&Setup { credential, ..setup_with(&cloud, 3) }.text(&cloud)).await;
    daemon.after_polls(2.0).await;
    assert_eq!(cloud.sign_ins(), 1);
    std::fs::write(&file, format!("{}\n", estate::PASSWORD)).unwrap();
    daemon.until(all_good).await;
    assert_eq!(cloud.sign_ins(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_exported_and_named_where_a_signature_is_refused_for_it() {
    let cloud = cloud_with(1).await;
    cloud.clock().advance(SignedDuration::from_mins(20));
    let setup = Setup { credential: keys(), ..setup_with(&cloud, 1) };
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    let skew = exposition.value("clouddb_api_clock_skew_seconds", &[]).unwrap();
    assert!((skew - 1200.0).abs() < 10.0, "{skew}");
    let page = daemon.get("/").await.body;
    assert!(
        page.contains("s behind the cloud&#39;s") || page.contains("s behind the cloud's"),
        "{page}"
    );
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn what_the_cloud_echoes_of_a_secret_is_masked() {
    let cloud = cloud_with(1).await;
    for (credential, secrets) in [
        (keys(), [estate::ACCESS_KEY, estate::SECRET_KEY]),
        (password(&cloud), [estate::PASSWORD, "MIIF"]),
    ] {
        cloud.clear_faults();
        let told = format!("no such key {} or {} here", secrets[0], secrets[1]);
        let body = serde_json::json!({ "error_code": "APIGW.0301", "error_msg": told });
        cloud.fault(Fault::answer(Answer::json(401, &body)));
        let setup = Setup { credential, ..setup_with(&cloud, 1) };
        let daemon = Daemon::start(&setup.text(&cloud)).await;
        daemon.after_polls(1.0).await;
        let page = daemon.get("/").await.body;
        assert!(page.contains("no such key ***"), "{page}");
        assert!(!page.contains(secrets[0]), "{page}");
        daemon.stop().await.unwrap();
    }
}

#[tokio::test]
async fn many_projects_with_a_wrong_password_sign_in_once_between_them() {
    let mut estate = Estate::new();
    let ids: Vec<String> = (0..10).map(|at| format!("{at:032x}")).collect();
    for id in &ids {
        estate = estate.with_project(Project::new(id, "eu-de_x"));
    }
    let cloud = Cloud::start(estate).await.unwrap();
    let setup = Setup {
        credential: password(&cloud).replace(estate::PASSWORD, "wrong"),
        ..Setup::new(&cloud).with_ddm()
    };
    let mut text = setup.text(&cloud);
    for id in &ids {
        text += &format!(
            "  - name: p{id}\n    project_id: {id}\n    credentials: main\n    \
             ddm: {{ endpoint: {} }}\n",
            cloud.ddm_url()
        );
    }
    let daemon = Daemon::start(&text).await;
    let exposition = daemon.after_polls(2.0).await;
    assert!(exposition.values("clouddb_poll_success", &[]).iter().all(|it| *it == 0.0));
    assert_eq!(cloud.sign_ins(), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_password_that_is_swapped_by_its_link_under_load_loses_no_poll() {
    let cloud = cloud_with(10).await;
    // As Kubernetes mounts a secret: a link to a link to a folder that is exchanged.
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (version, word) in [("v1", estate::PASSWORD), ("v2", "the-next-one")] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("password"), format!("{word}\n")).unwrap();
    }
    symlink("v1", at("..data")).unwrap();
    symlink("..data/password", at("password")).unwrap();
    let credential = password(&cloud).replace(
        &format!("password: {}", estate::PASSWORD),
        &format!("password_file: {}", at("password").display()),
    );
    let daemon = Daemon::start(&Setup { credential, ..setup_with(&cloud, 10) }.text(&cloud)).await;
    daemon.after_polls(1.0).await;
    cloud.change(|estate| "the-next-one".clone_into(&mut estate.users[0].password));
    symlink("v2", at("..tmp")).unwrap();
    std::fs::rename(at("..tmp"), at("..data")).unwrap();
    cloud.revoke_tokens();
    let polls = |it: &Exposition| it.value("clouddb_polls_total", &[]).unwrap();
    let before = polls(&daemon.metrics().await);
    let exposition = daemon.until(|it| polls(it) >= before + 30.0).await;
    assert!(all_good(&exposition));
    assert_eq!(exposition.values("clouddb_poll_failures_total", &[]).iter().sum::<f64>(), 0.0);
    assert_eq!(cloud.sign_ins(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn the_pause_of_a_project_holds_for_the_password_that_was_refused_for_it_last() {
    let cloud = cloud_with(1).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, estate::PASSWORD).unwrap();
    let credential = password(&cloud).replace(
        &format!("password: {}", estate::PASSWORD),
        &format!("password_file: {}", file.display()),
    );
    let daemon = Daemon::start(&Setup { credential, ..setup_with(&cloud, 1) }.text(&cloud)).await;
    daemon.after_polls(1.0).await;
    // The new one is not known yet, and meanwhile the user lost the project: both are tried.
    std::fs::write(&file, "not-known-yet").unwrap();
    cloud.change(|estate| estate.users[0].forbidden.push(estate::PROJECT_ID.to_owned()));
    cloud.revoke_tokens();
    daemon.until(|_| cloud.sign_ins() >= 3).await;
    let polls = |it: &Exposition| it.value("clouddb_polls_total", &[]).unwrap();
    let before = polls(&daemon.metrics().await);
    daemon.until(|it| polls(it) >= before + 3.0).await;
    assert_eq!(cloud.sign_ins(), 3, "paused");
    assert!(daemon.get("/").await.body.contains("is paused for this project"));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn the_pause_of_a_project_ends_at_once_too_when_the_secret_changes() {
    let mut estate = Estate::new().with_rds(RdsInstance::new(&id(0), "x"));
    estate.users[0].forbidden.push(estate::PROJECT_ID.to_owned());
    let cloud = Cloud::start(estate).await.unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, estate::PASSWORD).unwrap();
    let credential = password(&cloud).replace(
        &format!("password: {}", estate::PASSWORD),
        &format!("password_file: {}", file.display()),
    );
    let daemon = Daemon::start(&Setup { credential, ..setup_with(&cloud, 1) }.text(&cloud)).await;
    daemon.after_polls(2.0).await;
    assert_eq!(cloud.sign_ins(), 1, "paused");
    cloud.change(|estate| {
        estate.users[0].forbidden.clear();
        "the-next-one".clone_into(&mut estate.users[0].password);
    });
    std::fs::write(&file, "the-next-one").unwrap();
    daemon.until(all_good).await;
    assert_eq!(cloud.sign_ins(), 2);
    daemon.stop().await.unwrap();
}
