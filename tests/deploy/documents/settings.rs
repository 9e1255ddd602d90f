//! Files in YAML and parts of them, each held by the program that reads it.

use std::path::Path;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::block::Block;
use super::place::readme_config;
use crate::chart::CHART;
use crate::resources::{self, NEWEST};
use crate::tool::{checkout, run, text, tool};

const PROGRAM: &str = env!("CARGO_BIN_EXE_clouddb-backup-exporter");

/// What the block is, by its keys, and the word of the program that it is for.
pub(super) fn hold(block: &Block) -> Result<(), String> {
    let value: Value = serde_yaml::from_str(&block.text)
        .map_err(|error| format!("{}: it is not YAML: {error}", block.place()))?;
    let has = |keys: &[&str]| keys.iter().any(|key| value.get(key).is_some());
    let chart: Value = serde_yaml::from_str(&text(&format!("{CHART}/values.yaml"))).unwrap();
    let every = |is_key: &dyn Fn(&str) -> bool| {
        value.as_object().is_some_and(|it| it.keys().all(|key| is_key(key)))
    };
    let result = if value.is_null() {
        comment(block)
    } else if value.is_array() {
        rules(&json!([{ "name": "documented", "rules": value }]))
    } else if has(&["groups"]) {
        rules(&value["groups"])
    } else if has(&["credentials", "projects"]) {
        config(block, &value)
    } else if has(&["scrape_configs", "rule_files", "alerting"]) {
        prometheus(block)
    } else if has(&["route", "receivers", "inhibit_rules"]) {
        alertmanager(value)
    } else if has(&["tls_server_config", "basic_auth_users", "http_server_config"]) {
        web_config(block)
    } else if every(&|key| CONTAINER.contains(&key)) {
        container(&value)
    } else if every(&|key| chart.get(key).is_some()) {
        values(block)
    } else if every(&|key| value[key].get("script").is_some()) {
        gitlab(block, &value)
    } else {
        Err("nobody knows which program reads it: say so in tests/deploy/documents/settings.rs, by its keys"
            .to_owned())
    };
    result.map_err(|error| format!("{}: {error}", block.place()))
}

/// Parts of a container of Kubernetes.
const CONTAINER: [&str; 5] =
    ["env", "livenessProbe", "readinessProbe", "startupProbe", "volumeMounts"];

fn taken(command: &mut Command) -> Result<String, String> {
    let (output, told) = run(command);
    if output.status.success() { Ok(told) } else { Err(format!("{}\n{told}", output.status)) }
}

fn written(folder: &TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    file
}

/// A line for editors names the schema that is beside the document.
fn comment(block: &Block) -> Result<(), String> {
    let named = block.text.split_once("$schema=").map(|(_, schema)| schema.trim());
    let schema = named.ok_or("it says nothing")?;
    let folder = Path::new(block.document()).parent().unwrap();
    if checkout("").join(folder).join(schema).exists() {
        Ok(())
    } else {
        Err(format!("there is no {schema}"))
    }
}

/// Jobs of GitLab, by its schema; and what they run of the program, by the program's flags.
fn gitlab(block: &Block, value: &Value) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let mut command = tool("venv/bin/python");
    command.args(["-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci"]);
    taken(command.arg(written(&folder, ".gitlab-ci.yml", &block.text)))?;
    let jobs = value.as_object().into_iter().flat_map(|jobs| jobs.values());
    for line in jobs.flat_map(|job| job["script"].as_array().into_iter().flatten()) {
        let line = line.as_str().unwrap_or_default();
        let Some(flags) = line.strip_prefix("clouddb-backup-exporter ") else { continue };
        let flags = flags.split(" > ").next().unwrap_or_default().split_whitespace();
        taken(Command::new(PROGRAM).args(flags).arg("--help"))?;
    }
    Ok(())
}

fn rules(groups: &Value) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let file = written(&folder, "rules.yml", &json!({ "groups": groups }).to_string());
    let mut promtool = tool("usr/bin/promtool");
    taken(promtool.args(["check", "rules", "--lint=all", "--lint-fatal"]).arg(file)).map(drop)
}

/// A config of the exporter; what the block leaves out is that of the README.
fn config(block: &Block, value: &Value) -> Result<(), String> {
    let readme = readme_config();
    let (credentials, projects) = readme.split_at(readme.find("projects:").unwrap());
    let whole = match (value.get("credentials"), value.get("projects")) {
        (Some(_), Some(_)) => block.text.clone(),
        (Some(_), None) => format!("{}{projects}", block.text),
        (None, _) => format!("{}{credentials}", block.text),
    };
    let folder = TempDir::new().unwrap();
    // The secrets that it names, and the entry of a `clouds.yaml`.
    let mut text = String::new();
    for line in whole.lines() {
        let Some((key, path)) = line.split_once("_file: ") else {
            text.push_str(&format!("{line}\n"));
            continue;
        };
        let name = base(path);
        written(&folder, name, "secret");
        text.push_str(&format!("{key}_file: {}\n", folder.path().join(name).display()));
    }
    let clouds = "clouds:\n  otc-lab:\n    profile: otc\n    region_name: eu-de\n    auth: { username: u, password: p, \
                  user_domain_name: d }\n";
    written(&folder, "clouds.yaml", clouds);
    let file = written(&folder, "config.yaml", &text);
    taken(Command::new(PROGRAM).arg("check").arg(format!("--config.file={}", file.display())))
        .map(drop)
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn prometheus(block: &Block) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let file = written(&folder, "prometheus.yml", &block.text);
    let mut promtool = tool("usr/bin/promtool");
    // The certificates that it names are on the machine of the reader.
    taken(promtool.args(["check", "config", "--syntax-only"]).arg(file)).map(drop)
}

/// A config of Alertmanager; what it leaves out is the least that there must be.
fn alertmanager(mut value: Value) -> Result<(), String> {
    let whole = value.as_object_mut().ok_or("it has no keys")?;
    whole.entry("route").or_insert_with(|| json!({ "receiver": "nobody" }));
    whole.entry("receivers").or_insert_with(|| json!([{ "name": "nobody" }]));
    let folder = TempDir::new().unwrap();
    let file = written(&folder, "alertmanager.yml", &value.to_string());
    taken(tool("usr/bin/amtool").arg("check-config").arg(file)).map(drop)
}

/// A web config, with the certificates that it names, and a hash where there is the begin of one.
fn web_config(block: &Block) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["exporter".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    for line in block.text.lines() {
        if let Some((which, name)) = line.trim().split_once("_file: ") {
            let text = if which == "key" { &key.serialize_pem() } else { &certificate };
            written(&folder, base(name), text);
        }
    }
    let hash = bcrypt::hash("word", 10).unwrap();
    let web = written(&folder, "web.yaml", &block.text.replace("$2y$10$…", &hash));
    written(&folder, "password", "secret");
    let project =
        readme_config().replace("/var/run/secrets/shop", &folder.path().display().to_string());
    let file = written(&folder, "config.yaml", &project);
    let mut check = Command::new(PROGRAM);
    check.arg("check").arg(format!("--config.file={}", file.display()));
    taken(check.arg(format!("--web.config.file={}", web.display()))).map(drop)
}

/// A part of a container, in a pod.
fn container(value: &Value) -> Result<(), String> {
    let mut container = json!({ "name": "exporter", "image": "exporter" });
    for (key, part) in value.as_object().ok_or("it has no keys")? {
        container[key] = part.clone();
    }
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "exporter" },
        "spec": { "containers": [container] },
    });
    resources::validate(&[&pod.to_string()], NEWEST)
}

/// Values of the chart, on top of the least that it needs.
fn values(block: &Block) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let file = written(&folder, "values.yaml", &block.text);
    let mut helm = tool("bin/helm");
    helm.args(["template", "shop", CHART, "--values=tests/deploy/values/minimal.yaml", "--values"]);
    taken(helm.arg(file)).map(drop)
}

#[test]
fn each_kind_of_file_is_known_and_a_wrong_one_is_told() {
    let told = |yaml: &str| hold(&Block::read("docs/a.md", &format!("```yaml\n{yaml}\n```\n"))[0]);
    for good in [
        "projects: [{ name: a, project_id: b, credentials: shop, ddm: { endpoint: \"https://c.example\" } }]",
        "inhibit_rules: [{ source_matchers: [a=\"b\"], target_matchers: [c=\"d\"], equal: [e] }]",
        "replicas: 2",
        "groups: [{ name: a, rules: [{ record: \"b:c\", expr: d }] }]",
    ] {
        assert_eq!(told(good), Ok(()), "{good}");
    }
    for (wrong, part) in [
        ("projects: [{ title: a }]", "title"),
        ("scrape_configs: [{ job: a }]", "job"),
        ("inhibit_rules: [{ sauce_matchers: [] }]", "sauce_matchers"),
        ("livenessProbe: { tcpPlug: {} }", "tcpPlug"),
        ("- { alert: A, expr: \"sum(\" }", "parse error"),
        ("tls_server_config: { cert_fil: a }", "cert_fil"),
        ("replicas: many", "replicas"),
        ("surprise: 1", "nobody knows"),
        ("# $schema=none.json", "none.json"),
    ] {
        let error = told(wrong).expect_err(wrong);
        assert!(error.starts_with("docs/a.md:1: ") && error.contains(part), "{error}");
    }
}
