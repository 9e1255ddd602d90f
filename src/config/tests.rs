//! What the example promises, and what a valid config becomes. The rules themselves are rows of
//! `tests/data/bad-config`.

use std::io;

use secrecy::ExposeSecret;

use super::*;
use crate::objective::Objective;
use crate::product;

/// Files and variables that a test makes up; there are no others.
#[derive(Default)]
pub(super) struct Made {
    files: BTreeMap<PathBuf, String>,
    variables: BTreeMap<String, String>,
}

impl Made {
    pub(super) fn with_file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), text.to_owned());
        self
    }

    pub(super) fn without_file(mut self, path: &str) -> Self {
        assert!(self.files.remove(Path::new(path)).is_some(), "{path}");
        self
    }

    pub(super) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn fetch(&self, source: &Source) -> Result<SecretString, SecretError> {
        match source {
            Source::Env(name) => {
                secret::trimmed(self.variables.get(name).ok_or(SecretError::Unset)?)
            }
            Source::File(path) => {
                let missing = || SecretError::Read(io::Error::from(io::ErrorKind::NotFound));
                secret::trimmed(self.files.get(path).ok_or_else(missing)?)
            }
            Source::Entry(_) | Source::Value => panic!("{source:?}"),
        }
    }

    /// A config with the credential `main`, and projects that use it; the problems are lines.
    pub(super) fn load(&self, credential: &str, projects: &[&str]) -> Result<Loaded, String> {
        let mut text = format!("credentials:\n  main: {{ {credential} }}\nprojects:\n");
        for (at, project) in projects.iter().enumerate() {
            let name =
                if project.starts_with("name:") { String::new() } else { format!("name: p{at}, ") };
            text += &format!("  - {{ {name}credentials: main, {project} }}\n");
        }
        let fetch = |source: &Source, _| self.fetch(source);
        Config::read(&text, Path::new("config.yaml"), &fetch).map_err(|it| it.to_string())
    }
}

/// Answers any question for a secret, and those that the example asks of its surroundings.
fn any(source: &Source, _: usize) -> Result<SecretString, SecretError> {
    let text = match source {
        Source::File(path) if path.ends_with("own-ca.pem") => return Ok(certificate()),
        Source::File(path) if path.ends_with("clouds.yaml") => CLOUDS,
        Source::File(path) if path.ends_with("secure.yaml") => "clouds: {}",
        Source::Env(name) if name.starts_with("OS_") || name.starts_with("HUAWEICLOUD_SDK_") => {
            let known = VARIABLES.iter().find(|(known, _)| known == name);
            known.ok_or(SecretError::Unset)?.1
        }
        _ => "x",
    };
    Ok(SecretString::from(text))
}

/// What the example finds in its `clouds.yaml`.
const CLOUDS: &str = "
clouds:
  otc-lab:
    profile: otc
    region_name: eu-de
    auth: { username: u, password: x, user_domain_name: OTC1, project_name: eu-de_lab }
";

/// What the example finds in the environment.
const VARIABLES: [(&str, &str); 5] = [
    ("OS_USERNAME", "u"),
    ("OS_PASSWORD", "x"),
    ("OS_USER_DOMAIN_NAME", "OTC1"),
    ("OS_PROJECT_ID", "p1"),
    ("OS_REGION_NAME", "eu-de"),
];

fn certificate() -> SecretString {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    SecretString::from(certificate.pem())
}

fn loaded(text: &str) -> Loaded {
    Config::read(text, Path::new("config.yaml"), &any)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

/// A whole config around the block of one RDS instance.
fn around(instance: &str) -> String {
    format!(
        "credentials:
  shop: {{ access_key: ak, secret_key: sk }}
projects:
  - name: shop
    project_id: p1
    credentials: shop
    labels: {{ team: shop, tier: bronze }}
    rds:
      endpoint: https://rds.example
      max_age: {{ incremental: 1h }}
      instances: [{instance}]
"
    )
}

fn ages(objectives: &Objectives) -> Vec<(&str, String)> {
    let age = |it: &Objective| it.max_age.map_or("off".to_owned(), duration::print);
    objectives.iter().map(|(kind, it)| (kind.name, age(it))).collect()
}

const EXAMPLE: &str = include_str!("../../config.example.yaml");

/// The key of a line that shows a default, and its place.
fn default_of(line: &str) -> Option<(&str, &str)> {
    let (indent, rest) = line.split_once('#')?;
    let is_default = indent.trim().is_empty() && rest.starts_with(|c: char| c.is_ascii_lowercase());
    is_default.then_some((indent, rest))
}

#[test]
fn the_example_loads_without_a_finding() {
    let loaded = loaded(EXAMPLE);
    assert_eq!(loaded.findings, []);
    assert_eq!(loaded.config.credentials.len(), 4);
    assert_eq!(loaded.config.projects.len(), 4);
}

#[test]
fn the_defaults_of_the_example_are_those_of_the_program() {
    let mut switched = 0;
    let lines = EXAMPLE.lines().map(|line| match default_of(line) {
        Some((indent, rest)) => {
            switched += 1;
            format!("{indent}{rest}\n")
        }
        None => format!("{line}\n"),
    });
    let on: String = lines.collect();
    assert!(switched >= 9, "{switched}");
    assert_eq!(loaded(&on), loaded(EXAMPLE));
}

#[test]
fn each_default_of_the_example_is_read() {
    // Any other value in its place is noticed: the line does stand where it means something.
    for (at, line) in EXAMPLE.lines().enumerate() {
        let Some((indent, rest)) = default_of(line) else { continue };
        let other = rest
            .replace("5m", "7m")
            .replace("10m", "11m")
            .replace("30s", "31s")
            .replace(": 4", ": 5")
            .replace("24h", "25h")
            .replace("26h", "27h")
            .replace(": 1", ": 2")
            .replace("true", "FALSE")
            .replace("false", "true")
            .replace("FALSE", "false");
        assert_ne!(other, rest);
        let mut lines: Vec<String> = EXAMPLE.lines().map(str::to_owned).collect();
        lines[at] = format!("{indent}{other}");
        assert_ne!(loaded(&lines.join("\n")), loaded(EXAMPLE), "{other}");
    }
}

/// Every key of the schema, by its path without the names that are free.
fn keys(schema: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    if let Some(keys_here) = schema["properties"].as_object() {
        for (key, below) in keys_here {
            let path = format!("{path}.{key}");
            found.push(path.clone());
            // The backup types below are the product's.
            if key != "max_age" {
                keys(below, &path, found);
            }
        }
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            keys(&schema[inner], path, found);
        }
    }
}

#[test]
fn the_example_has_every_key_of_the_schema_and_no_other() {
    let mut known = Vec::new();
    keys(&schema(), "", &mut known);
    // A key of a comment, such as `#interval: 5m` or `# password_env: NAME`, counts as one.
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut written = Vec::new();
    for line in EXAMPLE.lines() {
        let code = line.replace('#', "").replace("- ", "  ");
        let bare = line.trim_start().trim_start_matches("# ").trim_start_matches('#');
        let bare = bare.trim_start_matches("- ");
        let Some((key, rest)) = bare.split_once(':') else { continue };
        let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if !is_key || !(rest.is_empty() || rest.starts_with(' ')) {
            continue;
        }
        let shift = usize::from(line.trim_start().starts_with("# "));
        let indent = code.len() - code.trim_start().len() - shift;
        open.retain(|(outer, _)| *outer < indent);
        open.push((indent, key.to_owned()));
        let path: Vec<&str> = open.iter().map(|(_, key)| key.as_str()).collect();
        let path = format!(".{}", path.join("."));
        written.push(
            path.replace(".credentials.shop", ".credentials")
                .replace(".credentials.pay", ".credentials")
                .replace(".credentials.lab", ".credentials")
                .replace(".credentials.ci", ".credentials"),
        );
        for inner in ["interval"] {
            if rest.contains(&format!("{{ {inner}:")) {
                written.push(format!("{}.{inner}", written.last().unwrap()));
            }
        }
    }
    for key in &known {
        assert!(written.contains(key), "the example lacks {key}: {written:#?}");
    }
    for key in &written {
        assert!(known.contains(key), "the example has {key}");
    }
}

#[test]
fn defaults_are_filled_in() {
    let config = loaded(&around("{ id: a }")).config;
    let minutes = |count: u64| Duration::from_secs(60 * count);
    assert_eq!(config.poll.interval, minutes(5));
    assert_eq!(config.poll.request_timeout, Duration::from_secs(30));
    assert_eq!(config.poll.concurrency, 4);
    assert_eq!(config.poll.incremental_lookback, Lookback::Last(minutes(24 * 60)));
    assert!((config.credentials[0].requests_per_second - 1.0).abs() < f64::EPSILON);
    assert_eq!(config.projects[0].interval, minutes(5));
    assert_eq!(config.projects[0].products[0].instances[0].name, None);
}

#[test]
fn objectives_are_merged_type_by_type_and_off_takes_one_away() {
    let text = around("{ id: a, max_age: { auto: off, manual: 7d } }, { id: b }");
    let config = loaded(&text).config;
    let rds = &config.projects[0].products[0];
    let sorted = |objectives| {
        let mut ages = ages(objectives);
        ages.sort();
        ages
    };
    let expected = [("auto", "26h".to_owned()), ("incremental", "1h".to_owned())];
    assert_eq!(sorted(&rds.objectives), expected);
    assert_eq!(sorted(&rds.instances[1].objectives), expected);
    let expected =
        [("auto", "off".to_owned()), ("incremental", "1h".to_owned()), ("manual", "1w".to_owned())];
    assert_eq!(sorted(&rds.instances[0].objectives), expected);
}

#[test]
fn labels_of_an_instance_go_over_those_of_its_project() {
    let text = around("{ id: a, labels: { tier: gold, costCenter: 4711 } }");
    let labels = &loaded(&text).config.projects[0].products[0].instances[0].labels;
    let labels: Vec<_> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(
        labels,
        [("label_cost_center", "4711"), ("label_team", "shop"), ("label_tier", "gold")]
    );
}

#[test]
fn a_project_may_have_its_own_interval_and_products_come_in_their_order() {
    let text = "poll: { interval: 10m, incremental_lookback: all }
credentials: { shop: { access_key: ak, secret_key: sk } }
projects:
  - name: one
    project_id: p1
    credentials: shop
    poll: { interval: 1h }
    ddm: { endpoint: 'https://ddm.example/' }
    rds: { endpoint: 'https://rds.example', instances: [{ id: a }] }
  - { name: two, project_id: p1, credentials: shop, ddm: { endpoint: 'http://[::1]:80' } }
";
    let config = loaded(text).config;
    assert_eq!(config.poll.incremental_lookback, Lookback::All);
    assert_eq!(config.projects[0].interval, Duration::from_secs(3600));
    assert_eq!(config.projects[1].interval, Duration::from_secs(600));
    let names: Vec<_> = config.projects[0].products.iter().map(|it| it.product.name).collect();
    assert_eq!(names, product::ALL.map(|product| product.name));
    assert!(Arc::ptr_eq(&config.projects[0].credential, &config.projects[1].credential));
    assert_eq!(config.projects[1].products[0].endpoint.to_string(), "http://[::1]");
}

#[test]
fn a_secret_stays_as_typed_and_loses_one_newline() {
    let text = around("{ id: a }")
        .replace("access_key: ak", "access_key: 0123")
        .replace("secret_key: sk", "secret_key: \"1e5\\n\"");
    let config = loaded(&text).config;
    let CredentialKind::Keys { access_key, secret_key, security_token } =
        &config.credentials[0].kind
    else {
        panic!("not keys");
    };
    assert_eq!(access_key.value().expose_secret(), "0123");
    assert_eq!(secret_key.value().expose_secret(), "1e5");
    assert_eq!(security_token, &None);
}

#[test]
fn paths_are_relative_to_the_folder_of_the_config() {
    let text = around("{ id: a }").replace("secret_key: sk", "secret_key_file: keys/sk");
    let file = Path::new("/etc/exporter/config.yaml");
    let config = Config::read(&text, file, &any).unwrap().config;
    let CredentialKind::Keys { secret_key, .. } = &config.credentials[0].kind else {
        panic!("not keys");
    };
    assert_eq!(secret_key.source(), &Source::File("/etc/exporter/keys/sk".into()));
}

#[test]
fn a_byte_order_mark_and_line_ends_of_windows_change_nothing() {
    let text = around("{ id: a }");
    let other = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(loaded(&other), loaded(&text));
}

#[test]
fn an_anchor_is_read_and_a_problem_behind_it_is_told_where_it_is_used() {
    let text = around("{ id: a, max_age: &ages { manual: 7d } }, { id: b, max_age: *ages }");
    let rds = &loaded(&text).config.projects[0].products[0];
    assert_eq!(rds.instances[0].objectives, rds.instances[1].objectives);
    let text = text.replace("manual: 7d", "manual: 7");
    let problems = Config::read(&text, Path::new("config.yaml"), &any).unwrap_err();
    let columns: Vec<_> = problems.iter().map(|it| it.position.unwrap().column).collect();
    assert_eq!(columns, [53, 69]);
}

#[test]
fn leave_for_http_comes_from_the_credential_of_the_project() {
    let text = around("{ id: a }").replace("https://rds.example", "http://rds.example");
    let problems = Config::read(&text, Path::new("config.yaml"), &any).unwrap_err();
    assert_eq!(problems.iter().count(), 1, "{problems}");
    let text = text.replace("secret_key: sk", "secret_key: sk, insecure_http: true");
    let config = loaded(&text).config;
    assert_eq!(config.projects[0].products[0].endpoint.to_string(), "http://rds.example");
}

/// The addresses of the products of a project, and of IAM.
fn addresses(credential: &str, project: &str) -> (Vec<String>, Option<String>) {
    let text = format!(
        "credentials: {{ shop: {{ {credential} }} }}\n\
         projects: [{{ name: shop, credentials: shop, {project} }}]\n"
    );
    let config = loaded(&text).config;
    let products = config.projects[0].products.iter();
    let auth_url = match (&config.credentials[0].kind, &config.projects[0].project_id) {
        (CredentialKind::Password { auth_url, .. }, _)
        | (_, ProjectId::LookedUp { auth_url, .. }) => Some(auth_url.to_string()),
        _ => None,
    };
    (products.map(|product| product.endpoint.to_string()).collect(), auth_url)
}

const PASSWORD: &str = "username: u, user_domain_name: d, password: p";
const KEYS: &str = "access_key: ak, secret_key: sk";

#[test]
fn cloud_and_region_fill_in_the_endpoints_and_the_address_of_iam() {
    let place = "project_id: p1, cloud: otc, region: eu-de";
    let both = "rds: { instances: [{ id: a }] }, ddm: {}";
    let (products, iam) = addresses(PASSWORD, &format!("{place}, {both}"));
    assert_eq!(
        products,
        ["https://rds.eu-de.otc.t-systems.com", "https://ddm.eu-de.otc.t-systems.com"]
    );
    assert_eq!(iam.unwrap(), "https://iam.eu-de.otc.t-systems.com/v3");
    let (_, iam) = addresses(KEYS, &format!("{place}, {both}"));
    assert_eq!(iam, None, "keys that look nothing up need none");
}

#[test]
fn what_is_written_goes_over_what_cloud_and_region_would_fill_in() {
    let password = format!("auth_url: 'https://iam.example', {PASSWORD}");
    let project = "project_id: p1, cloud: otc, region: eu-de, \
                   rds: { endpoint: 'https://rds.example', instances: [{ id: a }] }, ddm: {}";
    let (products, iam) = addresses(&password, project);
    assert_eq!(products, ["https://rds.example", "https://ddm.eu-de.otc.t-systems.com"]);
    assert_eq!(iam.unwrap(), "https://iam.example/v3");
}

#[test]
fn a_project_without_an_id_is_looked_up_by_its_name_and_then_by_its_region() {
    let text = "credentials: { shop: { access_key: ak, secret_key: sk } }
projects:
  - { name: shop, credentials: shop, cloud: otc, region: eu-nl, rds: { instances: [{ id: a }] } }
  - { name: eu-de, credentials: shop, cloud: otc, region: eu-de, ddm: {} }
";
    let loaded = loaded(text);
    assert_eq!(loaded.findings, []);
    let names = |at: usize| match &loaded.config.projects[at].project_id {
        ProjectId::LookedUp { auth_url, names } => (auth_url.to_string(), names.join(" ")),
        ProjectId::Known(id) => panic!("known: {id}"),
    };
    let iam = |region: &str| format!("https://iam.{region}.otc.t-systems.com/v3");
    assert_eq!(names(0), (iam("eu-nl"), "shop eu-nl".to_owned()));
    assert_eq!(names(1), (iam("eu-de"), "eu-de".to_owned()), "each IAM knows its own region");
}

#[test]
fn one_project_may_say_where_iam_is_for_all_that_share_a_password() {
    let text = format!(
        "credentials: {{ shop: {{ {PASSWORD} }} }}
projects:
  - {{ name: a, credentials: shop, cloud: otc, region: eu-de, ddm: {{}} }}
  - {{ name: b, credentials: shop, region: eu-de_b, ddm: {{ endpoint: 'https://ddm.example' }} }}
"
    );
    let loaded = loaded(&text);
    assert_eq!(loaded.findings, []);
    let ProjectId::LookedUp { auth_url, names } = &loaded.config.projects[1].project_id else {
        panic!("a known id");
    };
    assert_eq!(auth_url.to_string(), "https://iam.eu-de.otc.t-systems.com/v3");
    assert_eq!(names.join(" "), "b eu-de_b");
}

#[test]
fn keys_with_an_address_of_iam_look_up_there() {
    let keys = format!("auth_url: 'https://iam.example', {KEYS}");
    let project = "region: eu-de, ddm: { endpoint: 'https://ddm.example' }";
    let (_, iam) = addresses(&keys, project);
    assert_eq!(iam.unwrap(), "https://iam.example/v3");
}
