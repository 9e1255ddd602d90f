//! The pod that the chart renders, run by podman: as this user, on this read-only root, with this
//! memory, with config and secret mounted, it polls a cloud, is scraped, and ends when it is asked to.
//!
//! What podman 4.3 cannot do is changed before: a pod on the network of the host may name no ports.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clouddb_backup_exporter::sim::{Cloud, Estate, RdsBackup, RdsInstance, User, estate};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::chart::CHART;
use crate::container::Engine;
use crate::image;
use crate::resources::Resources;
use crate::scrape::PATIENCE;
use crate::tool::{self, tool};

const IMAGE: &str = "localhost/clouddb-backup-exporter";
const ID: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
/// In a Secret it stands for "secret". Podman 4.3 mounts it as it is here, so it is the password.
const ENCODED: &str = "c2VjcmV0";

/// An engine with the image as it is shipped, by the name that the chart gives it.
fn engine() -> Engine {
    let engine = image::shipped();
    let name = format!("{IMAGE}:{}", env!("CARGO_PKG_VERSION"));
    tool::succeed(engine.podman().args(["tag", IMAGE, &name]));
    engine
}

/// What the chart renders for this cloud.
fn rendered(cloud: &Cloud) -> Resources {
    let values = json!({
        "config": {
            "credentials": { "shop": {
                "auth_url": cloud.iam_url(),
                "username": "backup-exporter",
                "user_domain_name": estate::DOMAIN,
                "password_file": "/var/run/secrets/shop/password",
                "requests_per_second": 100,
            } },
            "projects": [{
                "name": "shop-prod",
                "project_id": estate::PROJECT_ID,
                "credentials": "shop",
                "rds": { "endpoint": cloud.rds_url(), "discover": true },
            }],
        },
        "secrets": { "shop": "clouddb-shop" },
        "image": { "repository": IMAGE, "pullPolicy": "Never" },
        "extraArgs": ["--web.listen-address=127.0.0.1:0"],
    });
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("values.yaml");
    std::fs::write(&file, values.to_string()).unwrap();
    Resources::read(tool::succeed(
        tool("bin/helm").args(["template", "shop", CHART, "-f"]).arg(file),
    ))
}

/// The resources that podman knows, on the network of the host.
fn playable(rendered: &Resources) -> String {
    let mut workload = rendered.one("Deployment").clone();
    let pod = &mut workload["spec"]["template"]["spec"];
    pod["hostNetwork"] = true.into();
    drop(pod["containers"][0].as_object_mut().unwrap().remove("ports"));
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "clouddb-shop" },
        "data": { "password": ENCODED },
    });
    [&secret, rendered.one("ConfigMap"), &workload].map(|it| format!("---\n{it}\n")).concat()
}

/// A pod that is played, and goes with the test.
struct Played<'a> {
    engine: &'a Engine,
    file: PathBuf,
    /// The container of the exporter.
    id: String,
}

impl<'a> Played<'a> {
    fn start(engine: &'a Engine, file: PathBuf) -> Self {
        tool::succeed(engine.podman().args(["play", "kube"]).arg(&file));
        let mut list = engine.podman();
        list.args(["ps", "--all", "--quiet", "--filter", "name=-exporter$"]);
        let id = tool::succeed(&mut list).trim().to_owned();
        Self { engine, file, id }
    }

    /// What the kernel knows of its process.
    fn proc(&self, file: &str) -> String {
        let pid = self.engine.inspect(&self.id, "{{.State.Pid}}");
        std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap()
    }
}

impl Drop for Played<'_> {
    fn drop(&mut self) {
        tool::run(self.engine.podman().args(["play", "kube", "--down"]).arg(&self.file));
    }
}

/// Status and body.
fn get(url: &str) -> (String, String) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--max-time", "10", "--write-out", "\n%{http_code}", url]);
    let (_, told) = tool::run(&mut curl);
    let (body, status) = told.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rendered_pod_polls_is_scraped_and_ends_when_it_is_asked_to() {
    let cloud = Cloud::start(
        Estate::new()
            .with_user(User::new("backup-exporter", ENCODED))
            .with_rds(RdsInstance::new(ID, "orders")),
    );
    let cloud = cloud.await.unwrap();
    let ended = cloud.clock().now();
    let backup =
        RdsBackup::completed(ID, "auto", ended - SignedDuration::from_mins(5), ended, 2000);
    cloud.change(|estate| estate.projects[0].rds_backups.push(backup));
    let rendered = rendered(&cloud);
    let engine = engine();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("pod.yaml");
    std::fs::write(&file, playable(&rendered)).unwrap();
    let played = Played::start(&engine, file);
    let id = played.id.as_str();
    let address = engine.address(id).await;

    // As the kubelet sees it.
    let probe =
        |name: &str| rendered.container()[name]["httpGet"]["path"].as_str().unwrap().to_owned();
    let (healthy, ready) = (probe("livenessProbe"), probe("readinessProbe"));
    assert_eq!(get(&format!("http://{address}{healthy}")).0, "200");
    let until = Instant::now() + PATIENCE;
    while get(&format!("http://{address}{ready}")).0 != "200" {
        assert!(Instant::now() < until, "it does not become ready:\n{}", engine.log(id));
        sleep(Duration::from_millis(50)).await;
    }

    // As Prometheus sees it: with the mounted config and secret it signed in and read the backups.
    // What it has read is shown a little later than it is ready.
    let of = format!(
        "{{project=\"shop-prod\",product=\"rds\",instance_id=\"{ID}\",instance_name=\"orders\""
    );
    let samples = [
        format!("clouddb_poll_success{of}}} 1\n"),
        format!("clouddb_backups{of},backup_type=\"auto\",status=\"completed\"}} 1\n"),
    ];
    let until = Instant::now() + PATIENCE;
    loop {
        let (status, exposition) = get(&format!("http://{address}/metrics"));
        assert_eq!(status, "200");
        if samples.iter().all(|sample| exposition.contains(sample)) {
            break;
        }
        assert!(Instant::now() < until, "{samples:?} in\n{exposition}\n{}", engine.log(id));
        sleep(Duration::from_millis(50)).await;
    }

    // As the notes of the chart say.
    let mut check = engine.podman();
    check.args(["exec", id, "/usr/bin/clouddb-backup-exporter", "check", "--live"]);
    tool::succeed(&mut check);

    // As the kernel sees it.
    let status = played.proc("status");
    for line in [
        "Uid:\t65532\t65532\t65532\t65532",
        "Gid:\t65532\t65532\t65532\t65532",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(status.contains(line), "{line} in\n{status}");
    }
    let mounts = played.proc("mountinfo");
    for at in ["/", "/etc/clouddb-backup-exporter", "/var/run/secrets/shop"] {
        let mount = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let mount = mount.into_iter().find(|fields| fields[4] == at).expect("it is mounted");
        assert!(mount[5].starts_with("ro"), "{mount:?}");
    }
    assert_eq!(rendered.container()["resources"]["limits"]["memory"], "128Mi");
    assert_eq!(engine.inspect(id, "{{.HostConfig.Memory}}"), (128 << 20).to_string());

    // Within the grace period of the pod, or it would have been killed: 137.
    let grace = &rendered.pod()["terminationGracePeriodSeconds"];
    assert_eq!(engine.inspect(id, "{{.Config.StopTimeout}}"), grace.to_string());
    tool::succeed(engine.podman().args(["stop", id]));
    assert_eq!(engine.inspect(id, "{{.State.ExitCode}}"), "0", "{}", engine.log(id));
}

#[test]
fn what_is_changed_for_podman_is_nothing_that_is_tested_by_it() {
    let with = json!({ "kind": "Deployment", "spec": { "template": { "spec": {
        "containers": [{ "ports": [], "args": ["a"] }], "securityContext": { "runAsUser": 1 },
    } } } });
    let map = json!({ "kind": "ConfigMap" });
    let read = Resources::read(playable(&Resources::read(format!("---\n{with}\n---\n{map}\n"))));
    let mut expected = with;
    expected["spec"]["template"]["spec"]["hostNetwork"] = Value::Bool(true);
    drop(
        expected["spec"]["template"]["spec"]["containers"][0]
            .as_object_mut()
            .unwrap()
            .remove("ports"),
    );
    assert_eq!(read.one("Deployment"), &expected);
}
