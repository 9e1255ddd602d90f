//! Resources of Kubernetes, as they were rendered.

use std::io::Write;
use std::process::Stdio;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::tool::{self, tool};

/// The versions of Kubernetes whose schemas everything is held against. `Chart.yaml` names the first.
pub(crate) const OLDEST: &str = "1.25.0";
pub(crate) const NEWEST: &str = "1.37.0";

/// What one rendering brought.
pub(crate) struct Resources {
    text: String,
    all: Vec<Value>,
}

impl Resources {
    pub(crate) fn read(text: String) -> Self {
        let documents = serde_yaml::Deserializer::from_str(&text);
        let all = documents.map(|it| Value::deserialize(it).expect("it is YAML"));
        let all = all.filter(|it| !it.is_null()).collect();
        Self { text, all }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn all(&self) -> &[Value] {
        &self.all
    }

    pub(crate) fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.all.iter().filter(|it| it["kind"] == kind).collect()
    }

    /// The only one of its kind.
    pub(crate) fn one(&self, kind: &str) -> &Value {
        let found = self.of_kind(kind);
        assert_eq!(found.len(), 1, "{kind} in\n{}", self.text);
        found[0]
    }

    /// What runs the pods.
    pub(crate) fn workload(&self) -> &Value {
        let kind =
            if self.of_kind("StatefulSet").is_empty() { "Deployment" } else { "StatefulSet" };
        self.one(kind)
    }

    /// The template of its pods.
    pub(crate) fn template(&self) -> &Value {
        &self.workload()["spec"]["template"]
    }

    /// The pod.
    pub(crate) fn pod(&self) -> &Value {
        &self.template()["spec"]
    }

    /// Its only container.
    pub(crate) fn container(&self) -> &Value {
        let containers = self.pod()["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1);
        &containers[0]
    }

    /// The config that the pod mounts.
    pub(crate) fn config(&self) -> &str {
        let volumes = self.pod()["volumes"].as_array().unwrap();
        let name = &volumes.iter().find(|it| it["name"] == "config").unwrap()["configMap"]["name"];
        let maps = self.of_kind("ConfigMap");
        let map =
            maps.iter().find(|it| &it["metadata"]["name"] == name).expect("it is rendered too");
        map["data"]["config.yaml"].as_str().unwrap()
    }
}

/// Holds renderings against the schemas of Kubernetes; fields that it does not know are wrong.
pub(crate) fn validate(renderings: &[&str], version: &str) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let mut validate = tool("venv/bin/kubernetes-validate");
    // Kinds of others it has no schema for, and says so by a warning.
    validate.args(["--strict", "--quiet", "--no-warn", "-k", version]);
    for (at, text) in renderings.iter().enumerate() {
        let file = folder.path().join(format!("{at}.yaml"));
        std::fs::write(&file, text).unwrap();
        validate.arg(file);
    }
    let (output, told) = tool::run(&mut validate);
    if output.status.success() { Ok(()) } else { Err(told) }
}

/// Holds resources of Prometheus Operator against the schemas of its types.
pub(crate) fn validate_monitoring(resources: &[&Value]) -> Result<(), String> {
    let mut node = std::process::Command::new("node");
    node.arg(tool::checkout("tests/deploy/crd.mjs")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = node.stderr(Stdio::piped()).spawn().expect("tests/run installs node");
    let text = serde_json::to_vec(resources).unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    if output.status.success() { Ok(()) } else { Err(told.concat()) }
}

/// Holds the rules of a `PrometheusRule` against Prometheus.
pub(crate) fn check_rules(resource: &Value) -> String {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("rules.yml");
    std::fs::write(&file, serde_yaml::to_string(&resource["spec"]).unwrap()).unwrap();
    tool::succeed(tool("usr/bin/promtool").args(["check", "rules", "--lint=all"]).arg(&file))
}
