//! The image as it is shipped: what is in it, and that it runs where nothing is allowed.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::sim::{Cloud, estate};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::container::Engine;
use crate::document::command;
use crate::scrape::{all_is_polled, until};
use crate::tool::{checkout, succeed, text, tool};

const DOCUMENT: &str = "docs/install.md";
const SECTION: &str = "## Container";
const IMAGE: &str = "clouddb-backup-exporter";
const PROGRAM: &str = "usr/bin/clouddb-backup-exporter";
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// An engine with the image, built by the documented command with `stage` in place of what the first stage
/// makes.
fn built(stage: &Path) -> Engine {
    let engine = Engine::new();
    let line = command(DOCUMENT, SECTION, "podman build ");
    let context = format!("podman build --build-context=build={} ", stage.display());
    engine.sh(&line.replacen("podman build ", &context, 1));
    engine
}

/// An engine with the image as it is shipped.
pub(crate) fn shipped() -> Engine {
    built(&checkout(".tools/image"))
}

/// A folder with this config, and with the password of the cloud, as it is mounted.
fn config(text: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("config.yaml"), text).unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, estate::PASSWORD).unwrap();
    std::fs::set_permissions(&password, Permissions::from_mode(0o400)).unwrap();
    std::os::unix::fs::chown(&password, Some(65532), None).unwrap();
    folder
}

/// Runs the image by the documented command, but for what is of this machine: the folder, the way to a
/// loopback where the cloud is simulated, a port that is free, and less memory.
fn start(engine: &Engine, folder: &Path, more: &[&str]) {
    let line = command(DOCUMENT, SECTION, "podman run ");
    let mut words: Vec<&str> = line.split(' ').skip(1).collect();
    assert_eq!(words.pop(), Some(IMAGE), "the image comes last");
    let volume = format!("--volume={}:/etc/clouddb-backup-exporter:ro", folder.display());
    for (documented, here) in [
        ("--volume=./backup-exporter:/etc/clouddb-backup-exporter:ro", volume.as_str()),
        ("--publish=19747:19747", "--network=host"),
        ("--memory=64m", "--memory=32m"),
    ] {
        let word = words.iter_mut().find(|word| **word == documented);
        *word.unwrap_or_else(|| panic!("{documented} in {line}")) = here;
    }
    let mut podman = engine.podman();
    podman.args(words).args(more).args([IMAGE, "--web.listen-address=127.0.0.1:0"]);
    succeed(&mut podman);
}

/// Runs a documented command as it is.
fn documented(engine: &Engine, begin: &str) -> String {
    engine.sh(&command(DOCUMENT, SECTION, begin))
}

/// What an operator would write for the simulated cloud, but for an interval at which there is something
/// to watch.
pub(crate) fn demo_config(cloud: &Cloud, password_file: &str) -> String {
    format!(
        "poll: {{ interval: 30s }}\ncredentials:\n  demo:\n    auth_url: {}\n    username: {}\n    \
         password_file: {password_file}\n    user_domain_name: {}\n    requests_per_second: 100\n\
         projects:\n  - name: demo\n    project_id: {}\n    credentials: demo\n    rds: {{ endpoint: \
         \"{}\", discover: true }}\n    ddm: {{ endpoint: \"{}\" }}\n",
        cloud.iam_url(),
        estate::USER,
        estate::DOMAIN,
        estate::DEMO_PROJECT_ID,
        cloud.rds_url(),
        cloud.ddm_url(),
    )
}

#[tokio::test]
async fn it_serves_with_nothing_allowed_and_32_mib_and_ends_with_0_within_five_seconds() {
    let cloud = Cloud::start(estate::demo(Clock::system().now())).await.unwrap();
    let folder = config(&demo_config(&cloud, "password"));
    let engine = shipped();
    start(&engine, folder.path(), &[]);
    let address = engine.address("backup-exporter").await;
    let scrape = until(&address, all_is_polled).await;
    assert!(scrape.contains("revision=\""), "{scrape}");

    let process = engine.inspect("backup-exporter", "{{.State.Pid}}");
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let fields: Vec<Vec<&str>> =
        status.lines().map(|line| line.split_whitespace().collect()).collect();
    for field in [
        &["Uid:", "65532", "65532", "65532", "65532"][..],
        &["Gid:", "65532", "65532", "65532", "65532"],
        &["CapBnd:", "0000000000000000"],
        &["CapEff:", "0000000000000000"],
        &["CapPrm:", "0000000000000000"],
        &["NoNewPrivs:", "1"],
        &["Seccomp:", "2"],
    ] {
        assert!(fields.iter().any(|it| it == field), "{field:?} in\n{status}");
    }
    let mounts = std::fs::read_to_string(format!("/proc/{process}/mounts")).unwrap();
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap();
    let is_read_only = root.split(' ').nth(3).unwrap().split(',').any(|option| option == "ro");
    assert!(is_read_only, "{root}");

    let check = documented(&engine, "podman exec ");
    assert!(check.contains("0 findings"), "{check}");
    std::fs::write(folder.path().join("config.yaml"), "nonsense").unwrap();
    documented(&engine, "podman kill --signal=HUP ");
    until(&address, |scrape| {
        scrape.contains("\nclouddb_exporter_config_last_reload_successful 0\n")
    })
    .await;

    // After ten seconds it would be killed.
    documented(&engine, "podman stop ");
    let state = engine.inspect("backup-exporter", "{{.State.ExitCode}} {{.State.OOMKilled}}");
    assert_eq!(state, "0 false", "{}", engine.log("backup-exporter"));
}

#[test]
fn it_holds_one_program_and_the_authorities_and_says_what_it_is() {
    let engine = shipped();
    let told = succeed(engine.podman().args(["image", "inspect", IMAGE]));
    let image = &serde_json::from_str::<Value>(&told).unwrap()[0];
    let config = &image["Config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], json!(["/usr/bin/clouddb-backup-exporter"]));
    assert_eq!(config["Cmd"], Value::Null);
    assert_eq!(config["WorkingDir"], "/etc/clouddb-backup-exporter");
    assert_eq!(config["ExposedPorts"], json!({ "19747/tcp": {} }));
    let mut labels = config["Labels"].clone();
    labels.as_object_mut().unwrap().remove("io.buildah.version");
    let manifest = text("Cargo.toml");
    let of_manifest = |key: &str| {
        let line = manifest.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    let mut git = Command::new("git");
    let commit = succeed(git.args(["rev-parse", "--short=12", "HEAD"]).current_dir(checkout("")));
    let expected = json!({
        "org.opencontainers.image.title": of_manifest("name"),
        "org.opencontainers.image.description": of_manifest("description"),
        "org.opencontainers.image.licenses": of_manifest("license"),
        "org.opencontainers.image.version": of_manifest("version"),
        "org.opencontainers.image.revision": commit.trim(),
    });
    assert_eq!(labels, expected);
    let size = image["Size"].as_u64().unwrap();
    assert!(size < 12_000_000, "{size} bytes");

    let files = files(&engine, IMAGE);
    let modes: Vec<String> = files.iter().map(|(name, mode)| format!("{mode} {name}")).collect();
    assert_eq!(
        modes,
        [
            "drwxr-xr-x etc/",
            "drwxr-xr-x etc/clouddb-backup-exporter/",
            "drwxr-xr-x etc/ssl/",
            "drwxr-xr-x etc/ssl/certs/",
            "-rw-r--r-- etc/ssl/certs/ca-certificates.crt",
            "drwxr-xr-x usr/",
            "drwxr-xr-x usr/bin/",
            "-rwxr-xr-x usr/bin/clouddb-backup-exporter",
        ]
    );
    let authorities = text(&format!(".tools/image/out/{AUTHORITIES}"));
    assert!(authorities.matches("BEGIN CERTIFICATE").count() > 100, "the public ones");
}

/// The files of an image with their modes, in the order of their names; all belong to root.
fn files(engine: &Engine, image: &str) -> Vec<(String, String)> {
    let folder = TempDir::new().unwrap();
    let archive = folder.path().join("files.tar");
    succeed(engine.podman().args(["create", "--name=files", image, "none"]));
    succeed(engine.podman().args(["export", "--output"]).arg(&archive).arg("files"));
    let mut tar = Command::new("tar");
    let listing = succeed(tar.arg("--numeric-owner").arg("-tvf").arg(&archive));
    let mut files: Vec<(String, String)> = listing
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[1], "0/0", "{line}");
            (words[5].to_owned(), words[0].to_owned())
        })
        // Where the engine mounts something of its own.
        .filter(|(name, _)| {
            !["dev/", "proc/", "run/", "sys/"].iter().any(|its| name.starts_with(its))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn nothing_else_of_the_checkout_gets_into_the_build() {
    let engine = Engine::new();
    let folder = TempDir::new().unwrap();
    let all = folder.path().join("Dockerfile");
    std::fs::write(&all, "FROM scratch\nCOPY . /\n").unwrap();
    let mut build = engine.buildah();
    build.args(["bud", "--quiet", "--tag=context", "--ignorefile"]);
    build.arg("deploy/container/Dockerfile.dockerignore").arg("--file").arg(all).arg(".");
    succeed(&mut build);
    let files = files(&engine, "context");
    let first = |name: &str| name.split('/').next().unwrap().to_owned();
    let top: BTreeSet<String> = files.iter().map(|(name, _)| first(name)).collect();
    let expected = ["Cargo.lock", "Cargo.toml", "LICENSE", "benches", "build.rs", "deploy", "src"];
    assert_eq!(top.into_iter().collect::<Vec<_>>(), expected);
    let deploy: Vec<&str> = files
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| name.starts_with("deploy/") && !name.ends_with('/'))
        .collect();
    assert_eq!(deploy, ["deploy/container/build"]);
}

/// An authority that nobody knows yet.
fn authority() -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

/// TLS in front of a server, with a certificate for `name`.
async fn front(issuer: &Issuer<'static, KeyPair>, name: &str, server: &str) -> SocketAddr {
    rustls::crypto::ring::default_provider().install_default().ok();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let acceptor =
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = server.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                // A client that does not trust it ends the handshake.
                if let Ok(mut from) = acceptor.accept(stream).await {
                    let mut to = TcpStream::connect(server).await.unwrap();
                    copy_bidirectional(&mut from, &mut to).await.ok();
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn names_are_resolved_and_its_authorities_are_the_ones_that_are_trusted() {
    let cloud = Cloud::start(estate::demo(Clock::system().now())).await.unwrap();
    // What the first stage makes, with one authority more.
    let stage = TempDir::new().unwrap();
    let (known, pem) = authority();
    for file in [PROGRAM, AUTHORITIES] {
        let to = stage.path().join("out").join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(checkout(".tools/image/out").join(file), &to).unwrap();
    }
    let bundle = format!("{}{pem}", text(&format!(".tools/image/out/{AUTHORITIES}")));
    std::fs::write(stage.path().join("out").join(AUTHORITIES), bundle).unwrap();
    let trusted = front(&known, "cloud.test", cloud.rds_url()).await;
    let (stranger, _) = authority();
    let untrusted = front(&stranger, "cloud.test", cloud.rds_url()).await;

    let project = |name: &str, endpoint: &str| {
        format!(
            "  - name: {name}\n    project_id: {}\n    credentials: demo\n    rds: {{ endpoint: \
             \"{endpoint}\", instances: [{{ id: {} }}] }}\n",
            estate::DEMO_PROJECT_ID,
            cloud.estate().projects[0].rds[0].id,
        )
    };
    let folder = config(&format!(
        "poll: {{ interval: 1s }}\ncredentials:\n  demo:\n    access_key: {}\n    secret_key: {}\n    \
         requests_per_second: 100\nprojects:\n{}{}{}",
        estate::ACCESS_KEY,
        estate::SECRET_KEY,
        project("trusted", &format!("https://cloud.test:{}", trusted.port())),
        project("untrusted", &format!("https://cloud.test:{}", untrusted.port())),
        project("nowhere", "https://no-such-host.invalid"),
    ));
    let engine = built(stage.path());
    // Nobody answers at the resolver: that must be told at once, and like any other name that is not
    // found.
    start(&engine, folder.path(), &["--add-host=cloud.test:127.0.0.1", "--dns=127.0.0.1"]);
    let address = engine.address("backup-exporter").await;
    let failed = |scrape: &str, project: &str, reason: &str| {
        scrape.lines().any(|line| {
            line.starts_with("clouddb_poll_failures_total{")
                && line.contains(&format!("project=\"{project}\""))
                && line.contains(&format!("reason=\"{reason}\""))
                && !line.ends_with(" 0")
        })
    };
    until(&address, |scrape| {
        let polled = |line: &str| {
            line.starts_with("clouddb_poll_success{project=\"trusted\"") && line.ends_with(" 1")
        };
        scrape.lines().any(polled)
            && failed(scrape, "untrusted", "tls")
            && failed(scrape, "nowhere", "connect")
    })
    .await;
    assert_eq!(engine.inspect("backup-exporter", "{{.State.Status}}"), "running");
}

#[test]
fn scanners_of_the_image_see_the_crates_that_the_program_is_made_of() {
    let engine = shipped();
    let folder = TempDir::new().unwrap();
    let image = format!("oci-archive:{}", folder.path().join("image.tar").display());
    succeed(engine.podman().args(["push", "--quiet", IMAGE, &image]));
    let mut syft = tool("venv/bin/syft");
    syft.args(["scan", "--quiet", "--output=cyclonedx-json", &image]);
    syft.env("SYFT_CHECK_FOR_APP_UPDATE", "false");
    let bill: Value = serde_json::from_str(&succeed(&mut syft)).unwrap();
    let parts: BTreeSet<String> = bill["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            format!("{} {}", it["name"].as_str().unwrap(), it["version"].as_str().unwrap_or(""))
        })
        .collect();
    let lock = text("Cargo.lock");
    for name in
        ["clouddb-backup-exporter", "hyper", "reqwest", "ring", "rustls", "tokio", "yaml_serde"]
    {
        let (_, behind) = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).unwrap();
        let part = format!("{name} {}", behind.split('"').next().unwrap());
        assert!(parts.contains(&part), "{part} in {parts:?}");
    }
    // What is for the tests only is not in the program.
    assert!(!parts.iter().any(|part| part.starts_with("proptest ")), "{parts:?}");
}

#[test]
fn hadolint_has_nothing_to_say_of_the_dockerfile() {
    assert_eq!(succeed(tool("venv/bin/hadolint").arg("deploy/container/Dockerfile")), "");
}
