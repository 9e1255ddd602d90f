//! What `docs/install.md` has people type.

use serde_json::Value;
use tempfile::TempDir;

use crate::chart::CHART;
use crate::resources::Resources;
use crate::tool::{self, tool};

/// The commands of a section.
fn commands(section: &str) -> String {
    let text = tool::text("docs/install.md");
    let section = text.split("\n## ").find(|it| it.starts_with(section)).expect("the section");
    let blocks = section.split("```").skip(1).step_by(2);
    blocks.map(|it| it.strip_prefix("sh\n").expect("commands")).collect()
}

#[test]
fn the_values_of_the_guide_install_what_its_commands_then_name() {
    let commands = commands("Kubernetes, with Helm");
    let (_, behind) = commands.split_once("<<'EOF'\n").unwrap();
    let (values, _) = behind.split_once("EOF\n").unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("values.yaml");
    std::fs::write(&file, values).unwrap();
    assert!(commands.contains(&format!("helm upgrade --install backups {CHART} -n databases")));
    let mut helm = tool("bin/helm");
    helm.args(["template", "backups", CHART, "-n", "databases", "-f"]).arg(file);
    let rendered = Resources::read(tool::succeed(&mut helm));
    named(&commands, &rendered);
    for kind in ["ServiceMonitor", "PrometheusRule"] {
        assert_eq!(rendered.one(kind)["metadata"]["labels"]["release"], "prometheus");
    }
    assert_eq!(rendered.of_kind("ConfigMap").len(), 2);
}

#[test]
fn the_manifests_are_what_the_commands_of_the_guide_name() {
    let commands = commands("Kubernetes, with plain manifests");
    assert!(commands.contains("cp -r deploy/kubernetes backups\n"));
    let applied = tool::succeed(tool("bin/kubectl").args(["kustomize", "deploy/kubernetes"]));
    named(&commands, &Resources::read(applied));
}

/// Whether the Deployment and the Secret are those of the commands.
fn named(commands: &str, rendered: &Resources) {
    let name = rendered.one("Deployment")["metadata"]["name"].as_str().unwrap();
    let words = commands.split_whitespace().filter_map(|it| it.strip_prefix("deployment/"));
    let named: Vec<&str> = words.collect();
    assert!(!named.is_empty() && named.iter().all(|it| *it == name), "{named:?}");
    let volumes = rendered.pod()["volumes"].as_array().unwrap();
    let secrets: Vec<&Value> =
        volumes.iter().map(|it| &it["secret"]["secretName"]).filter(|it| !it.is_null()).collect();
    assert_eq!(secrets, ["clouddb-shop"]);
    assert!(commands.contains("create secret generic clouddb-shop --from-file=password="));
    // What the exporter itself is asked to do, as the image has it.
    assert!(commands.contains("-- /usr/bin/clouddb-backup-exporter check --live"));
}
