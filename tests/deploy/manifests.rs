//! The plain manifests, which are the chart rendered, and the kustomization that applies them.

use std::process::Command;

use tempfile::TempDir;

use crate::chart::program::Rooted;
use crate::resources::{self, NEWEST, OLDEST, Resources};
use crate::tool::{self, checkout, tool};

const FOLDER: &str = "deploy/kubernetes";

/// What `kubectl apply -k` would apply.
fn kustomized() -> Resources {
    let mut kubectl = tool("bin/kubectl");
    let (output, told) = tool::run(kubectl.args(["kustomize", FOLDER]));
    assert!(output.status.success(), "{told}");
    Resources::read(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_manifests_are_the_chart_as_it_is_now() {
    let folder = TempDir::new().unwrap();
    tool::succeed(Command::new(checkout(FOLDER).join("render")).arg(folder.path()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(
            std::fs::read_to_string(&path).unwrap() == tool::text(&format!("{FOLDER}/{name}")),
            "{FOLDER}/{name} is not what the chart renders: run {FOLDER}/render"
        );
        names.push(name);
    }
    assert!(names.len() > 5, "{names:?}");
    // Nothing is rendered that is then not applied, nor the other way round.
    let kustomization = tool::text(&format!("{FOLDER}/kustomization.yaml"));
    let kustomization: serde_json::Value = serde_yaml::from_str(&kustomization).unwrap();
    let mut applied: Vec<&str> = kustomization["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    applied.sort_unstable();
    names.sort();
    assert_eq!(applied, names);
}

#[test]
fn kubernetes_and_prometheus_operator_know_every_field() {
    let applied = kustomized();
    for version in [OLDEST, NEWEST] {
        resources::validate(&[applied.text()], version).unwrap();
    }
    let monitoring: Vec<_> =
        ["ServiceMonitor", "PrometheusRule"].iter().map(|kind| applied.one(kind)).collect();
    resources::validate_monitoring(&monitoring).unwrap();
    resources::check_rules(monitoring[1]);
}

#[test]
fn the_example_is_a_config_that_the_program_takes() {
    let applied = kustomized();
    let (code, told) = Rooted::new(&applied, "").run(&applied, "--config.check");
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(applied.config(), tool::text(&format!("{FOLDER}/config.yaml")));
}

#[test]
fn a_changed_config_rolls_the_pod_by_the_name_of_its_config_map() {
    let name = |applied: &Resources| {
        let volumes = applied.pod()["volumes"].as_array().unwrap();
        volumes.iter().find(|it| it["name"] == "config").unwrap()["configMap"]["name"].clone()
    };
    let before = kustomized();
    let folder = TempDir::new().unwrap();
    for entry in std::fs::read_dir(checkout(FOLDER)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let file = folder.path().join("config.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("poll: {{ interval: 10m }}\n{text}")).unwrap();
    let after = tool::succeed(tool("bin/kubectl").arg("kustomize").arg(folder.path()));
    let after = Resources::read(after);
    assert_ne!(name(&before), name(&after));
    // It is the ConfigMap that is applied, or this panics.
    assert!(after.config().starts_with("poll:"));
}

#[test]
fn the_image_is_named_once_and_helm_never() {
    let applied = kustomized();
    let image = applied.container()["image"].as_str().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(image, format!("registry.example.com/clouddb-backup-exporter:{version}"));
    for mark in ["Helm", "helm.sh", "checksum/config"] {
        assert!(!applied.text().contains(mark), "{mark}");
    }
}
