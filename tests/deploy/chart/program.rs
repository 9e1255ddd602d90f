//! What the program itself says to what it is given in the pod.

use std::path::Path;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::chart::{ALL, rendered};
use crate::resources::Resources;
use crate::tool;

const PROGRAM: &str = env!("CARGO_BIN_EXE_clouddb-backup-exporter");

/// A pod's files below a folder, and its paths led there.
pub(crate) struct Rooted {
    folder: TempDir,
}

impl Rooted {
    /// With the config of this rendering, the secrets that it names, and this web config.
    pub(crate) fn new(rendered: &Resources, web: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let rooted = Self { folder };
        let config = rooted.lead(rendered.config());
        rooted.write("/etc/clouddb-backup-exporter/config.yaml", &config);
        rooted.write("/etc/clouddb-backup-exporter-web/web.yaml", &rooted.lead(web));
        for line in rendered.config().lines() {
            if let Some((_, path)) = line.split_once("_file: ") {
                rooted.write(path, "secret");
            }
        }
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["exporter".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .pem();
        for path in ["/var/run/ca/ca.pem", "/var/run/secrets/tls/tls.crt"] {
            rooted.write(path, &certificate);
        }
        rooted.write("/var/run/secrets/tls/tls.key", &key.serialize_pem());
        rooted
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn lead(&self, text: &str) -> String {
        let root = self.root().display();
        text.replace("/var/run/", &format!("{root}/var/run/"))
            .replace("/etc/clouddb", &format!("{root}/etc/clouddb"))
    }

    /// The program with the arguments and the environment of the pod, and this one more.
    pub(crate) fn run(&self, rendered: &Resources, argument: &str) -> (Option<i32>, String) {
        let container = rendered.container();
        let mut program = Command::new(PROGRAM);
        for flag in container["args"].as_array().unwrap() {
            program.arg(self.lead(flag.as_str().unwrap()));
        }
        for variable in container.get("env").and_then(Value::as_array).into_iter().flatten() {
            let value = variable["value"].as_str().map_or_else(
                || {
                    assert_eq!(variable["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name");
                    format!("{}-1", rendered.workload()["metadata"]["name"].as_str().unwrap())
                },
                str::to_owned,
            );
            program.env(variable["name"].as_str().unwrap(), value);
        }
        let (output, told) = tool::run(program.arg(argument));
        (output.status.code(), told)
    }
}

/// A web config as the values files say that it is.
fn web(values: &str) -> &'static str {
    match values {
        "tls" => {
            "tls_server_config:\n  cert_file: /var/run/secrets/tls/tls.crt\n  \
             key_file: /var/run/secrets/tls/tls.key\n"
        }
        _ => "{}\n",
    }
}

#[test]
fn the_program_takes_the_flags_and_the_config_of_every_rendering() {
    for values in ALL {
        let rendered = rendered(values);
        let rooted = Rooted::new(rendered, web(values));
        let (code, told) = rooted.run(rendered, "--config.check");
        assert_eq!(code, Some(0), "{values}: {told}\n{}", rendered.config());
    }
}

#[test]
fn a_pod_of_the_stateful_set_knows_which_shard_it_is() {
    let rendered = rendered("sharded");
    let (_, told) = Rooted::new(rendered, "").run(rendered, "plan");
    assert!(told.contains("1 of 3"), "{told}");
}

#[test]
fn the_port_of_the_pod_is_the_one_that_the_program_listens_on() {
    let (_, help) = tool::run(Command::new(PROGRAM).arg("--help"));
    let port = rendered("minimal").container()["ports"][0]["containerPort"].clone();
    assert!(help.contains(&format!("[default: 0.0.0.0:{port}")), "{port} in {help}");
    assert!(help.contains("[default: /metrics]"), "{help}");
}

#[test]
fn what_is_said_of_the_config_names_the_file_in_the_pod() {
    let rendered = rendered("minimal");
    let rooted = Rooted::new(rendered, "");
    rooted.write("/etc/clouddb-backup-exporter/config.yaml", "surprise: 1\n");
    let (code, told) = rooted.run(rendered, "--config.check");
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("config.yaml:1:1"), "{told}");
}
