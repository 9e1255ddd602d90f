//! What is said of a web config that is wrong, and that the toolkit's own checker takes those that
//! are right.
//!
//! Each rule has a row in `tests/data/bad-web-config`, as the config has.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

use clouddb_backup_exporter::config::web::Web;
use clouddb_backup_exporter::config::{Loaded, Problems, SecretError, Source};
use proptest::prelude::*;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::process::Command;

use crate::authority::{Authority, Leaf};
use crate::mutated::mutated;
use crate::running::{PROGRAM, folder_with};

/// Stands in every place of the rows where a secret stands, or one that slipped.
const SENTINEL: &str = "SENTINEL";

struct Files {
    ca: String,
    server: Leaf,
    other_key: String,
}

static FILES: LazyLock<Files> = LazyLock::new(|| {
    let authority = Authority::new();
    let server = authority.issue(&["localhost"], 2100);
    let other_key = authority.issue(&["localhost"], 2100).key;
    Files { ca: authority.pem, server, other_key }
});

fn files(source: &Source, _limit: usize) -> Result<SecretString, SecretError> {
    let Source::File(path) = source else { return Err(SecretError::Unset) };
    let read = |code| Err(SecretError::Read(io::Error::from_raw_os_error(code)));
    match path.to_str().unwrap_or_default() {
        "cert.pem" => Ok(SecretString::from(FILES.server.certificate.clone())),
        "key.pem" => Ok(SecretString::from(FILES.server.key.clone())),
        "other-key.pem" => Ok(SecretString::from(FILES.other_key.clone())),
        "ca.pem" => Ok(SecretString::from(FILES.ca.clone())),
        "garbled" => Ok(SecretString::from(
            "-----BEGIN CERTIFICATE-----\nU0VOVElORUw=\n-----END CERTIFICATE-----\n\
             -----BEGIN PRIVATE KEY-----\nU0VOVElORUw=\n-----END PRIVATE KEY-----\n",
        )),
        "empty" => Err(SecretError::Empty),
        "unreadable" => read(13),
        "other" => Ok(SecretString::from(SENTINEL)),
        _ => read(2),
    }
}

fn read(text: &str) -> Result<Loaded<Web>, Problems> {
    Web::read(text, Path::new("web.yaml"), &files, &mut Vec::new())
}

/// Every line that `check` would print.
fn answer(text: &str) -> String {
    let problems = match read(text) {
        Ok(loaded) => loaded.findings,
        Err(problems) => problems.into_vec(),
    };
    let lines: Vec<_> = problems.iter().map(|problem| problem.to_string() + "\n").collect();
    lines.concat()
}

fn rows() -> io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bad-web-config");
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut rows: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    rows.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    rows.sort();
    Ok(rows)
}

#[test]
fn every_rule_says_where_what_is_wrong_and_what_would_be_right() -> Result<(), Box<dyn Error>> {
    let mut differences = Vec::new();
    for row in rows()? {
        let answer = answer(&std::fs::read_to_string(&row)?);
        let expected = row.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &answer)?;
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        if answer.is_empty() || answer != expected {
            differences.push(format!("{}:\n{answer}instead of\n{expected}", row.display()));
        }
        assert!(!answer.contains(SENTINEL), "{}", row.display());
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(rows()?.len() >= 40);
    Ok(())
}

#[test]
fn debug_of_a_web_config_holds_no_secret() {
    let key = FILES.server.key.replace('\n', "\n    ");
    let certificate = FILES.server.certificate.replace('\n', "\n    ");
    let hash = bcrypt::hash("word", 4).unwrap();
    let text = format!(
        "tls_server_config:\n  cert: |\n    {certificate}\n  key: |\n    {key}\n\
         basic_auth_users: {{ ann: '{hash}' }}\n"
    );
    let shown = format!("{:?}", read(&text).expect("a good config"));
    assert!(!shown.contains(&hash) && !shown.contains(FILES.server.key.lines().nth(1).unwrap()));
}

/// Good files, without a finding.
pub(crate) const GOOD: [&str; 6] = [
    "",
    "tls_server_config:\n  cert_file: server.pem\n  key_file: server-key.pem\n",
    "tls_server_config:
  cert_file: server.pem
  key_file: server-key.pem
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]
  curve_preferences: [X25519, CurveP256, CurveP384]
  prefer_server_cipher_suites: false
http_server_config:
  http2: false
  headers:
    Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    X-XSS-Protection: '0'
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  prometheus: $2y$10$TjQBhjfGlUAUbdLdfkGzkO7x5S0WBv.ZF.nGvQLbPZyKBn3VMEwe6
  Ann Müller: $2b$10$TjQBhjfGlUAUbdLdfkGzkO7x5S0WBv.ZF.nGvQLbPZyKBn3VMEwe6
",
    "tls_server_config:
  cert_file: ./server.pem
  key_file: server-key.pem
  client_auth_type: NoClientCert
  min_version: TLS13
",
    "http_server_config: { headers: { X-Frame-Options: sameorigin } }\n",
    "tls_server_config: { cert_file: server.pem, key_file: server-key.pem }\n\
     http_server_config: {}\nbasic_auth_users: {}\n",
];

/// A folder with the files that the good ones name, and one of them.
fn folder(text: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("server.pem", &FILES.server.certificate);
    write("server-key.pem", &FILES.server.key);
    write("ca.pem", &FILES.ca);
    write("web.yaml", text);
    let file = folder.path().join("web.yaml");
    (folder, file)
}

#[tokio::test]
async fn what_is_good_here_is_good_for_the_checker_of_prometheus() {
    let promtool = std::env::var_os("CLOUDDB_TEST_PROMTOOL")
        .expect("CLOUDDB_TEST_PROMTOOL names promtool; tests/run gets it and sets this");
    for text in GOOD {
        let (_folder, file) = folder(text);
        let loaded = Web::load(&file).outcome.unwrap();
        assert_eq!(loaded.findings, [], "{text}");
        let checked = Command::new(&promtool).args(["check", "web-config"]).arg(&file).output();
        let checked = checked.await.unwrap();
        assert!(checked.status.success(), "{text}{}", String::from_utf8_lossy(&checked.stderr));
    }
}

/// What Debian's Prometheus does not know yet.
#[test]
fn what_newer_toolkits_know_is_good_too() {
    for text in [
        "rate_limit: { interval: 100ms, burst: 5 }\n",
        "rate_limit: { interval: 1.5s, burst: 1 }\n",
        "rate_limit: { interval: 1m30s, burst: 1 }\n",
        "rate_limit: { interval: 0, burst: 5 }\n",
        "rate_limit: { interval: 0s }\n",
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server-key.pem\n  \
         client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  \
         client_allowed_sans: [prometheus.example, 10.0.0.1, 'spiffe://example/prometheus']\n",
    ] {
        let (_folder, file) = folder(text);
        let loaded = Web::load(&file).outcome.unwrap();
        assert_eq!(loaded.findings, [], "{text}");
    }
}

async fn check(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().await.unwrap()
}

const CONFIG: &str = "credentials: { main: { access_key: a, secret_key: s } }
projects:
  - name: shop
    project_id: p
    credentials: main
    ddm: { endpoint: 'https://ddm.example' }
";

#[tokio::test]
async fn check_tells_what_is_wrong_with_both_files_and_the_worse_one_decides() {
    let (_config, config) = folder_with(CONFIG);
    let (_broken, broken) = folder_with("surprise: 1\n");
    for (config, web, code, told) in [
        (&config, GOOD[2], 0, "web.yaml: TLS, 2 users, 0 findings"),
        (&config, "rate_limit: { burst: 5 }\n", 1, "web.yaml:1:1: finding: rate_limit: "),
        (&config, "surprise: 1\n", 2, "web.yaml:1:1: surprise: unknown key"),
        (&broken, GOOD[2], 2, "config.yaml:1:1: surprise: unknown key"),
        (&broken, "surprise: 1\n", 2, "web.yaml:1:1: surprise: unknown key"),
    ] {
        let (_folder, file) = folder(web);
        let flag = format!("--web.config.file={}", file.display());
        let output = check(&["check", config, &flag]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(told), "{told} in\n{text}");
        if config == &broken {
            assert!(text.contains("config.yaml:1:1: surprise: unknown key"), "{text}");
        }
        if code == 2 {
            let output = check(&["serve", config, &flag]).await;
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{text}");
            assert!(text.contains(told), "{told} in\n{text}");
        }
    }
    let output = check(&["check", &config, "--web.config.file=/nowhere/web.yaml"]).await;
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("/nowhere/web.yaml: cannot read the file: No such file"), "{text}");
}

fn pieces() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,8}", "[\\[\\]{}:,&*!|>'\"%@`#?\n\t -]{0,6}", "[$2aby./0-9]{0,60}"]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_web_config_that_is_nearly_right_panics_the_reader(text in mutated(GOOD[2], pieces())) {
        for line in answer(&text).lines() {
            prop_assert!(line.starts_with("web.yaml:"));
        }
    }
}
