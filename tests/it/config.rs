//! What is said of a config that is wrong, and that no secret is ever said.
//!
//! Each rule has a row in `tests/data/bad-config`: a config and, beside it, every line of the answer.
//! `BLESS=1 cargo test` writes the answers anew; read the difference before you commit it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

use clouddb_backup_exporter::config::{self, Config, Loaded, Problems, SecretError, Source};
use proptest::prelude::*;
use secrecy::SecretString;

use crate::mutated::mutated;

/// Stands in every place of the rows where a secret stands, or one that slipped.
const SENTINEL: &str = "SENTINEL";

const CLOUDS: &str = "
clouds:
  good: { auth: { auth_url: iam.example, username: u, password: SENTINEL, user_domain_name: d } }
  wrong: { profile: otc, region_name: eu-de, auth: { username: u, password: SENTINEL, passcode: 1 } }
  keys: { region_name: eu-de, ak: SENTINEL, sk: SENTINEL }
";

/// Files and variables for the rows; all but those named here hold the sentinel, and the variables
/// of `OpenStack` are not set.
fn secrets(source: &Source, limit: usize) -> Result<SecretString, SecretError> {
    let name = match source {
        Source::Env(name) => name.as_str(),
        Source::File(path) => path.to_str().unwrap_or_default(),
        Source::Entry(_) | Source::Value => "",
    };
    let read = |code| Err(SecretError::Read(io::Error::from_raw_os_error(code)));
    match name {
        "BLANK" => Ok(SecretString::from("SENTINEL two")),
        "EMPTY" | "empty" => Err(SecretError::Empty),
        "UNSET" => Err(SecretError::Unset),
        "binary" => Err(SecretError::Text),
        "large" => Err(SecretError::TooLarge { limit }),
        "clouds.yaml" => Ok(SecretString::from(CLOUDS)),
        name if name.starts_with("OS_") || name.starts_with("HUAWEICLOUD_SDK_") => {
            Err(SecretError::Unset)
        }
        "garbled" => Ok(SecretString::from(
            "-----BEGIN CERTIFICATE-----\nU0VOVElORUw=\n-----END CERTIFICATE-----\n",
        )),
        "missing" | "secure.yaml" | "secure.yml" => read(2),
        "unreadable" => read(13),
        _ => Ok(SecretString::from(SENTINEL)),
    }
}

fn read(text: &str) -> Result<Loaded, Problems> {
    Config::read(text, Path::new("config.yaml"), &secrets)
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bad-config");
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            rows.push(path);
        }
    }
    rows.sort();
    Ok(rows)
}

#[test]
fn every_rule_says_where_what_is_wrong_and_what_would_be_right() -> Result<(), Box<dyn Error>> {
    let mut differences = Vec::new();
    for row in rows()? {
        let answer = answer(&fs::read_to_string(&row)?);
        let expected = row.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &answer)?;
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if answer.is_empty() || answer != expected {
            differences.push(format!("{}:\n{answer}instead of\n{expected}", row.display()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(rows()?.len() >= 30);
    Ok(())
}

#[test]
fn no_answer_holds_a_secret() -> Result<(), Box<dyn Error>> {
    for row in rows()? {
        let text = fs::read_to_string(&row)?;
        assert!(!answer(&text).contains(SENTINEL), "{}", row.display());
        if let Ok(loaded) = read(&text) {
            assert!(!format!("{loaded:?}").contains(SENTINEL), "{}", row.display());
        }
    }
    Ok(())
}

#[test]
fn debug_of_a_config_holds_no_secret() {
    let keys = ["password", "access_key", "secret_key", "security_token"];
    for suffix in ["", "_file", "_env"] {
        let [password, access_key, secret_key, token] = keys.map(|key| match suffix {
            "" => format!("{key}: {SENTINEL}"),
            _ => format!("{key}{suffix}: elsewhere"),
        });
        let text = format!(
            "credentials:
  shop: {{ auth_url: 'https://iam.example', username: u, user_domain_name: d, {password} }}
  pay: {{ {access_key}, {secret_key}, {token} }}
projects:
  - {{ name: a, project_id: a, credentials: shop, ddm: {{ endpoint: 'https://ddm.example' }} }}
  - {{ name: b, project_id: b, credentials: pay, ddm: {{ endpoint: 'https://ddm.example' }} }}
"
        );
        let loaded = read(&text).unwrap();
        assert!(!format!("{loaded:?}").contains(SENTINEL));
        assert!(!format!("{loaded:#?}").contains(SENTINEL));
    }
}

#[test]
fn a_file_that_cannot_be_a_config_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let answer = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let problems = Config::load(&path).unwrap_err();
        problems.to_string().replace(&folder.path().display().to_string(), "…")
    };
    let large = format!("# {}\n", "x".repeat(1024 * 1024));
    assert_eq!(answer(large.as_bytes()), "…/config.yaml:1:1: the file is larger than 1 MiB");
    assert_eq!(
        answer(b"poll: \xff"),
        "…/config.yaml: cannot read the file: stream did not contain valid UTF-8"
    );
    fs::remove_file(&path).unwrap();
    let problems = Config::load(&path).unwrap_err();
    assert!(problems.to_string().contains("cannot read the file: No such file"), "{problems}");
}

#[test]
fn a_config_is_loaded_with_the_files_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let text = "credentials:
  shop: { access_key_file: ak, secret_key_file: sk }
projects:
  - { name: a, project_id: a, credentials: shop, ddm: { endpoint: 'https://ddm.example' } }
";
    let path = folder.path().join("config.yaml");
    fs::write(&path, text).unwrap();
    fs::write(folder.path().join("ak"), "ak\n").unwrap();
    let problems = Config::load(&path).unwrap_err();
    assert!(problems.to_string().contains("shop.secret_key_file: cannot read the file"));
    fs::write(folder.path().join("sk"), "sk\n").unwrap();
    let loaded = Config::load(&path).unwrap();
    assert_eq!(loaded.findings, []);
}

#[test]
fn the_schema_is_an_object_with_the_top_keys() {
    let schema = config::schema();
    for key in ["poll", "credentials", "projects"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
}

fn pieces() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,8}",
        "[\\[\\]{}:,&*!|>'\"%@`#?\n\t -]{0,6}",
        Just("\n  interval: 5m\n".to_owned()),
        Just("\u{e000}: &a [*a]".to_owned()),
        Just("<<: *x".to_owned()),
        Just("\r\n---\r\n".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_config_that_is_nearly_right_panics_the_reader(
        text in mutated(include_str!("../../config.example.yaml"), pieces())
    ) {
        for line in answer(&text).lines() {
            prop_assert!(line.starts_with("config.yaml:"));
        }
    }

    #[test]
    fn no_text_panics_the_reader(text in "([\\[\\]{}:,&*!|>'\"%@`#?\n\t a-c1-]|\\PC){0,80}") {
        let _unused = answer(&text);
    }
}
