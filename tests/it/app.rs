//! The daemon as a whole: what its parts share, and when it is ready.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clouddb_backup_exporter::account::Patience;
use clouddb_backup_exporter::app::{self, Options};
use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::config::{self, Config};
use clouddb_backup_exporter::shard::Shard;
use clouddb_backup_exporter::sim::{Cloud, Estate, Fault, Project, RdsInstance, Service, estate};
use jiff::Timestamp;
use reqwest::Client;
use tokio::time::{advance, pause, resume, timeout};
use tokio_util::sync::CancellationToken;

use crate::daemon::{Daemon, Setup, password};

const ID: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";

#[tokio::test]
async fn projects_that_share_a_credential_share_its_pause() {
    const OTHER: &str = "1483b6b16e954cb88930a360d2c4e663";
    let estate = Estate::new().with_rds(RdsInstance::new(ID, "x"));
    let cloud =
        Cloud::start(estate.with_project(Project::new(OTHER, "eu-de_other"))).await.unwrap();
    let credential = password(&cloud).replace(estate::PASSWORD, "wrong");
    // One request at a time, so that the second sign-in is not under way with the first.
    let credential = credential.replace("second: 10000", "second: 1");
    let setup = Setup { credential, ..Setup::new(&cloud) }.with_rds(ID, "name: a");
    let mut text = setup.text(&cloud);
    text += &format!(
        "  - name: other\n    project_id: {OTHER}\n    credentials: main\n    \
         ddm: {{ endpoint: {} }}\n",
        cloud.ddm_url()
    );
    let daemon = Daemon::start(&text).await;
    let exposition = daemon.after_polls(1.0).await;
    for project in ["shop", "other"] {
        let auth = [("project", project), ("reason", "auth")];
        assert!(exposition.value("clouddb_poll_failures_total", &auth) >= Some(1.0), "{project}");
    }
    assert_eq!(cloud.sign_ins(), 1, "more would lock the user");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn every_address_is_served_and_the_metrics_stand_at_the_path_asked_for() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let text = Setup::new(&cloud).with_ddm().text(&cloud);
    let loaded = Config::read(&text, Path::new("test"), &config::fetch).expect("a good config");
    let options = Options {
        listen_addresses: vec!["127.0.0.1:0".to_owned(), "127.0.0.1:0".to_owned()],
        front: Arc::default(),
        most_connections: 512,
        telemetry_path: "/probe".to_owned(),
        enable_lifecycle: false,
        config_file: None,
        shard: Shard::WHOLE,
        clock: Clock::system(),
        patience: Patience::default(),
        render_gap: Duration::ZERO,
    };
    let daemon = app::Daemon::start(&loaded.config, options).await.unwrap();
    let addresses = daemon.addresses();
    assert_eq!(addresses.len(), 2);
    let stop = CancellationToken::new();
    let run = tokio::spawn(daemon.run(stop.clone()));
    let client = Client::builder().build().unwrap();
    for address in addresses {
        for (path, status) in [("/probe", 200), ("/metrics", 404), ("/-/healthy", 200)] {
            let answer = client.get(format!("http://{address}{path}")).send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
        }
        let mut page = client.get(format!("http://{address}/")).send().await.unwrap();
        let page = page.chunk().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&page).contains("href=\"/probe\""));
    }
    stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn ready_comes_after_five_minutes_at_the_latest_however_long_the_interval() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    cloud.fault(Fault::hang().on(Service::Iam));
    let setup = Setup { poll: "interval: 1h, request_timeout: 1h", ..Setup::new(&cloud) };
    let daemon = Daemon::start(&setup.with_ddm().text(&cloud)).await;
    assert_eq!(daemon.get("/-/ready").await.status, 503);
    for (seconds, status) in [(290, 503), (11, 200)] {
        pause();
        advance(Duration::from_secs(seconds)).await;
        resume();
        assert_eq!(daemon.get("/-/ready").await.status, status);
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn one_target_that_was_not_tried_yet_holds_readiness() {
    let cloud = Cloud::start(Estate::new().with_rds(RdsInstance::new(ID, "x"))).await.unwrap();
    cloud.fault(Fault::hang().on(Service::Ddm));
    let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) };
    let daemon = Daemon::start(&setup.with_rds(ID, "name: a").with_ddm().text(&cloud)).await;
    daemon.until(|it| it.value("clouddb_poll_success", &[("product", "rds")]) == Some(1.0)).await;
    let answer = daemon.get("/-/ready").await;
    assert_eq!((answer.status, &*answer.body), (503, "not ready: the first round is under way\n"));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_loop_that_dies_ends_the_daemon_instead_of_leaving_its_target_unwatched() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let text = Setup::new(&cloud).with_ddm().text(&cloud);
    let loaded = Config::read(&text, Path::new("test"), &config::fetch).expect("a good config");
    // The start asks for the time once; whoever asks next dies of it.
    let asked = AtomicUsize::new(0);
    let clock = Clock::new(move || {
        assert_eq!(asked.fetch_add(1, Ordering::Relaxed), 0, "the clock is broken");
        Timestamp::UNIX_EPOCH
    });
    let options = Options {
        listen_addresses: vec!["127.0.0.1:0".to_owned()],
        front: Arc::default(),
        most_connections: 512,
        telemetry_path: "/metrics".to_owned(),
        enable_lifecycle: false,
        config_file: None,
        shard: Shard::WHOLE,
        clock,
        patience: Patience::default(),
        render_gap: Duration::ZERO,
    };
    let daemon = app::Daemon::start(&loaded.config, options).await.unwrap();
    let ended = timeout(Duration::from_secs(30), daemon.run(CancellationToken::new())).await;
    assert!(ended.expect("it ends").is_err());
}
