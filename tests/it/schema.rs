//! The JSON Schema, as `check-jsonschema` understands it: it refuses what it can see, and nothing that
//! the daemon starts with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clouddb_backup_exporter::config::{Config, SecretError, Source};
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::running::{PATIENCE, PROGRAM};

/// The rows of `tests/data/bad-config` that a schema lets through, and why. It refuses the others.
const SEEN_BY_THE_PROGRAM_ONLY: [(&str, &str); 25] = [
    ("auth-url-of-several-places", OTHER_BLOCK),
    ("ca-file-missing", FILE),
    ("ca-file-too-large", FILE),
    ("ca-file-unreadable-certificate", FILE),
    ("ca-file-without-certificate", FILE),
    ("cloud-entry-keys-without-iam", FILE),
    ("cloud-entry-wrong", FILE),
    ("cloud-without-region", OTHER_BLOCK),
    ("endpoint-http", OTHER_BLOCK),
    ("endpoint-missing", OTHER_BLOCK),
    ("from-env-empty", ENVIRONMENT),
    ("label-names-alike", "what a name becomes is no matter of its form"),
    ("project-credential-unknown", OTHER_BLOCK),
    ("project-id-without-iam", OTHER_BLOCK),
    ("project-name-twice", "a schema compares whole items of a list, not one key of them"),
    ("region-unknown", "an unknown region is an error only where it has to fill in something"),
    ("region-without-cloud", OTHER_BLOCK),
    ("requests-per-second-nan", "JSON has no such number, and no limit excludes it"),
    ("secret-file-empty", FILE),
    ("secret-file-missing", FILE),
    ("secret-file-no-text", FILE),
    ("secret-file-too-large", FILE),
    ("secret-file-unreadable", FILE),
    ("secret-variable-empty", ENVIRONMENT),
    ("secret-variable-unset", ENVIRONMENT),
];
const ENVIRONMENT: &str = "it hangs on the environment";
const FILE: &str = "it hangs on what another file holds";
const OTHER_BLOCK: &str = "it hangs on the block that another one names: the credential of a project, \
                           or the projects of a credential";

/// What `schema` prints, in a file.
struct Schema {
    folder: TempDir,
}

impl Schema {
    async fn printed() -> Self {
        let output = run(&mut Command::new(PROGRAM), &["schema"]).await;
        assert!(output.status.success());
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("schema.json"), output.stdout).unwrap();
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("schema.json")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// What it has against each of the files, if anything; also that it is no YAML.
    async fn refusals(&self, files: &[PathBuf]) -> BTreeMap<PathBuf, String> {
        let mut command = check_jsonschema();
        command.arg("--schemafile").arg(self.file()).args(["--output-format", "json"]).args(files);
        let output = run(&mut command, &[]).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {errors}"));
        let mut refusals = BTreeMap::new();
        for error in ["errors", "parse_errors"].into_iter().filter_map(|it| report[it].as_array()) {
            for error in error {
                let file = PathBuf::from(error["filename"].as_str().unwrap());
                refusals.insert(file, error.to_string());
            }
        }
        assert_eq!(output.status.success(), refusals.is_empty(), "{report}");
        refusals
    }

    /// The same of texts, by their place among them.
    async fn refusals_of(&self, texts: &[String]) -> BTreeMap<usize, String> {
        let folder = TempDir::new().unwrap();
        let file = |at: usize| folder.path().join(format!("{at}.yaml"));
        for (at, text) in texts.iter().enumerate() {
            fs::write(file(at), text).unwrap();
        }
        let files: Vec<PathBuf> = (0..texts.len()).map(file).collect();
        let mut refusals = self.refusals(&files).await;
        files.iter().enumerate().filter_map(|(at, it)| Some((at, refusals.remove(it)?))).collect()
    }
}

pub(crate) fn check_jsonschema() -> Command {
    let python = std::env::var_os("CLOUDDB_TEST_PYTHON")
        .expect("CLOUDDB_TEST_PYTHON names a Python with check-jsonschema; tests/run sets it");
    let mut command = Command::new(python);
    command.args(["-m", "check_jsonschema"]);
    command
}

async fn run(command: &mut Command, arguments: &[&str]) -> std::process::Output {
    let output = command.args(arguments).kill_on_drop(true).output();
    timeout(PATIENCE, output).await.expect("it ends").unwrap()
}

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The configs of a folder, by name.
fn rows(folder: &str) -> BTreeMap<String, PathBuf> {
    let files = fs::read_dir(checkout(folder)).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|file| file.extension().is_some_and(|it| it == "yaml"));
    files.map(|it| (it.file_stem().unwrap().to_str().unwrap().to_owned(), it)).collect()
}

fn example() -> String {
    fs::read_to_string(checkout("config.example.yaml")).unwrap()
}

/// Answers what the configs of these tests ask of files and of the environment.
fn surroundings(source: &Source, _: usize) -> Result<SecretString, SecretError> {
    let text = match source {
        Source::File(path) if path.ends_with("own-ca.pem") => {
            let key = rcgen::KeyPair::generate().unwrap();
            rcgen::CertificateParams::default().self_signed(&key).unwrap().pem()
        }
        Source::File(path) if path.ends_with("clouds.yaml") => {
            "clouds: { otc-lab: { profile: otc, region_name: eu-de, auth: { username: u, password: x, \
             user_domain_name: d, project_name: p } } }"
                .to_owned()
        }
        Source::File(path) if path.ends_with("secure.yaml") => "clouds: {}".to_owned(),
        Source::Env(name) => match name.as_str() {
            "OS_USERNAME" | "OS_PASSWORD" | "OS_USER_DOMAIN_NAME" | "OS_PROJECT_ID" => {
                "x".to_owned()
            }
            "OS_REGION_NAME" => "eu-de".to_owned(),
            "" => return Err(SecretError::Unset),
            name if name.starts_with("OS_") || name.starts_with("HUAWEICLOUD_SDK_") => {
                return Err(SecretError::Unset);
            }
            _ => "x".to_owned(),
        },
        _ => "x".to_owned(),
    };
    Ok(SecretString::from(text))
}

/// What keeps the daemon from starting with this config.
fn problems(text: &str) -> Option<String> {
    let read = Config::read(text, Path::new("config.yaml"), &surroundings);
    read.err().map(|problems| problems.to_string())
}

#[tokio::test]
async fn the_schema_is_a_good_one_and_the_example_names_it() {
    let schema = Schema::printed().await;
    let mut command = check_jsonschema();
    command.arg("--check-metaschema").arg(schema.file());
    let output = run(&mut command, &[]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let first = example().lines().next().unwrap().to_owned();
    assert_eq!(first, "# yaml-language-server: $schema=docs/config.schema.json");
}

#[tokio::test]
async fn the_schema_beside_the_docs_is_the_one_that_the_program_prints() {
    let file = checkout("docs/config.schema.json");
    let printed = Schema::printed().await.text();
    if std::env::var_os("CLOUDDB_UPDATE_DOCS").is_some() {
        fs::write(&file, &printed).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == printed, "run the tests once with CLOUDDB_UPDATE_DOCS=1 to write it anew");
}

#[tokio::test]
async fn each_key_has_a_sentence() {
    fn look(schema: &Value, path: &str, count: &mut usize) {
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            // The words of a list of types speak for themselves.
            if !path.contains(".max_age.") {
                let text = below["description"].as_str().unwrap_or_default();
                assert!(text.ends_with('.') && !text.contains('\n'), "{path}: {text}");
                *count += 1;
            }
            look(below, &path, count);
        }
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                look(&schema[inner], path, count);
            }
        }
    }
    let schema: Value = serde_json::from_str(&Schema::printed().await.text()).unwrap();
    let mut count = 0;
    look(&schema, "", &mut count);
    assert!(count > 50, "{count}");
}

#[tokio::test]
async fn good_configs_pass_the_schema_and_the_program() {
    let schema = Schema::printed().await;
    let mut files: Vec<PathBuf> = rows("tests/data/good-config").into_values().collect();
    assert!(files.len() >= 5);
    files.push(checkout("config.example.yaml"));
    files.push(checkout("deploy/kubernetes/config.yaml"));
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        assert_eq!(problems(&text), None, "{}", file.display());
    }
    assert_eq!(schema.refusals(&files).await, BTreeMap::new());
}

#[tokio::test]
async fn the_example_passes_with_each_of_its_other_ways_and_with_all_defaults() {
    let example = example();
    let lines: Vec<&str> = example.lines().collect();
    let mut texts = Vec::new();
    let mut defaults = lines.clone().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let mut count = 0;
    for (at, line) in lines.iter().enumerate() {
        let Some((indent, comment)) = line.split_once('#') else { continue };
        if !indent.trim().is_empty() {
            continue;
        }
        let is_key = |text: &str| {
            let key = text.split(": ").next().unwrap();
            text.contains(": ") && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        if is_key(comment) {
            defaults[at] = format!("{indent}{comment}");
            count += 1;
        } else if let Some(key) = comment.strip_prefix(' ').filter(|it| is_key(it))
            && ["_file: ", "_env: ", ": in place"].iter().any(|it| key.contains(it))
        {
            // Another way to give the secret that is written above it.
            let above = (0..at).rev().find(|at| !lines[*at].trim_start().starts_with('#')).unwrap();
            let mut text: Vec<String> = lines.iter().map(|it| (*it).to_owned()).collect();
            text[above] = format!("{indent}{key}");
            texts.push(text.join("\n"));
        }
    }
    assert!(count >= 9, "{count}");
    assert_eq!(texts.len(), 8);
    texts.push(defaults.join("\n"));
    for text in &texts {
        // A blank is no part of a key.
        assert_eq!(problems(&text.replace(": in place", ": in-place")), None);
    }
    let texts: Vec<String> =
        texts.iter().map(|it| it.replace(": in place", ": in-place")).collect();
    assert_eq!(Schema::printed().await.refusals_of(&texts).await, BTreeMap::new());
}

#[tokio::test]
async fn bad_configs_are_refused_but_for_what_only_the_program_can_see() {
    let rows = rows("tests/data/bad-config");
    let files: Vec<PathBuf> = rows.values().cloned().collect();
    let refusals = Schema::printed().await.refusals(&files).await;
    let unseen: BTreeMap<&str, &str> = SEEN_BY_THE_PROGRAM_ONLY.into_iter().collect();
    let mut wrong = Vec::new();
    for (name, file) in &rows {
        let told = fs::read_to_string(file.with_extension("txt")).unwrap();
        let starts = told.lines().all(|line| line.contains(": finding: "));
        let refusal = refusals.get(file);
        match (unseen.get(name.as_str()), refusal) {
            _ if starts && refusal.is_none() => {}
            (_, Some(refusal)) if starts => {
                wrong.push(format!("the daemon starts with {name}, and it is refused: {refusal}"));
            }
            (None, Some(_)) | (Some(_), None) => {}
            (None, None) => wrong
                .push(format!("{name} passes; if only the program can see what is wrong, say why")),
            (Some(why), Some(_)) => wrong.push(format!("{name} is refused, although {why}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known: BTreeSet<&str> = rows.keys().map(String::as_str).collect();
    let gone: Vec<_> = unseen.keys().filter(|name| !known.contains(**name)).collect();
    assert!(gone.is_empty(), "{gone:?}");
}

/// Configs that differ from a good one in the value of one line, or lack the line.
fn varied(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut texts = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let is_comment = line.trim_start().starts_with('#');
        let Some((key, _)) = line.split_once(": ").filter(|_| !is_comment) else { continue };
        let with = |line: Option<String>| {
            let mut text: Vec<String> = lines.iter().map(|it| (*it).to_owned()).collect();
            match line {
                Some(line) => text[at] = line,
                None => drop(text.remove(at)),
            }
            text.join("\n")
        };
        texts.push(with(None));
        texts.extend(VALUES.iter().map(|value| with(Some(format!("{key}: {value}")))));
    }
    texts
}

/// Of every kind, on both sides of each limit.
const VALUES: [&str; 34] = [
    "",
    "''",
    "x",
    "a b",
    "a_B-9",
    "007",
    "7",
    "-1",
    "0",
    "1",
    "64",
    "65",
    "1.5",
    "0.001",
    "10000",
    "10001",
    "true",
    "false",
    "off",
    "all",
    "otc",
    "999ms",
    "1000ms",
    "0s1s",
    "1h30m",
    "292y",
    "293y",
    "{}",
    "[]",
    "[x]",
    "{ auto: 1h }",
    "{ auto_metadata: off }",
    "https://h.example/v3",
    "http://127.0.0.1:1",
];

#[tokio::test]
async fn the_schema_refuses_nothing_that_the_daemon_starts_with() {
    let mut texts = varied(&example());
    for file in rows("tests/data/good-config").values() {
        texts.extend(varied(&fs::read_to_string(file).unwrap()));
    }
    texts.retain(|text| problems(text).is_none());
    assert!(texts.len() > 300, "{}", texts.len());
    let schema = Schema::printed().await;
    // Some at a time, so that each run of the checker is a short one.
    for texts in texts.chunks(200) {
        if let Some((at, refusal)) = schema.refusals_of(texts).await.into_iter().next() {
            panic!("{refusal} in\n{}", texts[at]);
        }
    }
}

#[tokio::test]
async fn the_schema_and_the_program_agree_on_which_keys_of_a_credential_go_together() {
    let around = |credentials: &str| {
        format!(
            "credentials: {credentials}\nprojects:\n  - {{ name: a, project_id: p, credentials: c, cloud: \
             otc, region: eu-de, ddm: {{}} }}\n"
        )
    };
    let secrets = ["password", "access_key", "secret_key", "security_token"];
    let ways =
        secrets.iter().flat_map(|it| ["", "_file", "_env"].map(|way| format!("{it}{way}: x")));
    let names = ["auth_url: 'https://iam.example'", "username: u", "user_domain_name: d"];
    let rest = ["cloud: otc-lab", "from_env: true", "from_env: false", "requests_per_second: 2"];
    let keys: Vec<String> =
        ways.chain(names.iter().chain(&rest).map(ToString::to_string)).collect();
    let kinds: [&[&str]; 4] = [
        &["username: u", "user_domain_name: d", "password: x"],
        &["access_key_file: x", "secret_key_env: x", "security_token: x"],
        &["cloud: otc-lab"],
        &["from_env: true"],
    ];
    let block = |keys: &[&str]| around(&format!("{{ c: {{ {} }} }}", keys.join(", ")));
    let mut texts = vec![around("{}"), around(""), around("{ c: }"), around("{ c: {} }")];
    for kind in kinds {
        texts.push(block(kind));
        for at in 0..kind.len() {
            texts.push(block(&[&kind[..at], &kind[at + 1..]].concat()));
        }
        for key in &keys {
            let name = key.split(':').next();
            if kind.iter().all(|it| it.split(':').next() != name) {
                texts.push(block(&[kind, &[key]].concat()));
            }
        }
    }
    let refusals = Schema::printed().await.refusals_of(&texts).await;
    for (at, text) in texts.iter().enumerate() {
        assert_eq!(refusals.contains_key(&at), problems(text).is_some(), "{text}");
    }
    assert!(refusals.len() > 30 && texts.len() - refusals.len() > 10, "{}", refusals.len());
}

#[tokio::test]
async fn a_result_that_cannot_be_written_whole_is_a_failure() {
    for arguments in [&["schema"][..], &["completions", "bash"], &["man"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(arguments).stdout(full).stderr(Stdio::piped()).kill_on_drop(true);
        let output = command.spawn().unwrap().wait_with_output();
        let output = timeout(PATIENCE, output).await.expect("it ends").unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("cannot write to stdout"), "{told}");
    }
}
