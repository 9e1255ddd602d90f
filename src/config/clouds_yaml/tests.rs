use std::fs;

use super::*;
use crate::config::tests::Made;
use crate::config::{Config, CredentialKind, Loaded, ProjectId};

const DDM: &str = "ddm: { endpoint: 'https://ddm.example' }";

/// An entry with a password, and more in its block `auth` and beside it.
fn entry(auth: &str, more: &str) -> String {
    format!(
        "clouds:
  other: {{}}
  lab:
    auth: {{ auth_url: 'https://iam.example', username: me, password: SENTINEL, \
         user_domain_name: OTC1{auth} }}
{more}"
    )
}

/// The config with this as its only `clouds.yaml`, and one project.
fn load(clouds: &str, project: &str) -> Result<Loaded, String> {
    let made = Made::default().with_file("clouds.yaml", clouds);
    let loaded = made.load("cloud: lab", &[&format!("{project}, {DDM}")]);
    match &loaded {
        Ok(loaded) => assert!(!format!("{loaded:?}").contains("SENTINEL"), "{loaded:?}"),
        Err(problems) => assert!(!problems.contains("SENTINEL"), "{problems}"),
    }
    loaded
}

/// Address, user, domain and password.
fn password(loaded: &Loaded) -> (String, &str, &Domain, &str) {
    let CredentialKind::Password { auth_url, username, user_domain, password } =
        &loaded.config.credentials[0].kind
    else {
        panic!("not a password");
    };
    (auth_url.to_string(), username, user_domain, password.value().expose_secret())
}

/// Access key, secret key and security token.
fn keys(loaded: &Loaded) -> Vec<&str> {
    let CredentialKind::Keys { access_key, secret_key, security_token } =
        &loaded.config.credentials[0].kind
    else {
        panic!("no keys");
    };
    let all = [Some(access_key), Some(secret_key), security_token.as_ref()];
    all.into_iter().flatten().map(|key| key.value().expose_secret()).collect()
}

/// The id of the first project, or the names that it is looked up by.
fn project(loaded: &Loaded) -> String {
    match &loaded.config.projects[0].project_id {
        ProjectId::Known(id) => id.clone(),
        ProjectId::LookedUp { names, .. } => names.join(" "),
    }
}

#[test]
fn an_entry_with_a_password_is_read_as_openstacksdk_reads_it() {
    let loaded = load(&entry("", ""), "project_id: p1").unwrap();
    assert_eq!(loaded.findings, []);
    let otc1 = Domain::Name("OTC1".to_owned());
    let iam = "https://iam.example/v3".to_owned();
    assert_eq!(password(&loaded), (iam, "me", &otc1, "SENTINEL"));
    // A number is a text, some keys have other names, and most may stand beside `auth`.
    let text = "clouds: { lab: { auth: { auth-url: iam.example, password: 0123, domain_id: 7 }, \
                username: me, tenant_name: eu-de, auth_type: v3password, verify: false } }";
    let loaded = load(text, "name: shop").unwrap();
    let id = Domain::Id("7".to_owned());
    assert_eq!(password(&loaded), ("https://iam.example/v3".to_owned(), "me", &id, "0123"));
    assert_eq!(project(&loaded), "eu-de shop");
}

#[test]
fn what_another_entry_has_is_of_no_concern() {
    let text = entry("", "  list: { region_name: [a, b], auth: [] }\n  text: SENTINEL\n");
    assert_eq!(password(&load(&text, "project_id: p1").unwrap()).1, "me");
}

#[test]
fn the_first_file_of_the_search_is_read() {
    let places = [
        "/named.yaml",
        "/conf/clouds.yaml",
        "/conf/clouds.yml",
        "clouds.yaml",
        "clouds.yml",
        "/home/me/.config/openstack/clouds.yaml",
        "/etc/openstack/clouds.yaml",
    ];
    let mut made = Made::default().with_variable("HOME", "/home/me");
    for place in places {
        made = made.with_file(place, &entry("", "").replace("username: me", place_as_user(place)));
    }
    let text = "credentials: { main: { cloud: lab } }
projects: [{ name: a, project_id: p1, credentials: main, ddm: { endpoint: 'https://ddm.example' } }]
";
    made = made.with_variable("OS_CLIENT_CONFIG_FILE", "/named.yaml");
    for place in places {
        let fetch = |source: &Source, _: usize| made.fetch(source);
        let loaded = Config::read(text, Path::new("/conf/config.yaml"), &fetch).unwrap();
        assert_eq!(format!("username: {}", password(&loaded).1), place_as_user(place));
        made = made.without_file(place).with_variable("OS_CLIENT_CONFIG_FILE", "");
    }
    let fetch = |source: &Source, _: usize| made.fetch(source);
    let problems = Config::read(text, Path::new("/conf/config.yaml"), &fetch).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "/conf/config.yaml:1:31: credentials.main.cloud: there is no `clouds.yaml`; write one, or \
         name it in `OS_CLIENT_CONFIG_FILE`; looked for `/conf/clouds.yaml`, `/conf/clouds.yml`, \
         `clouds.yaml`, `clouds.yml`, `/home/me/.config/openstack/clouds.yaml`, \
         `/home/me/.config/openstack/clouds.yml`, `/etc/openstack/clouds.yaml` and \
         `/etc/openstack/clouds.yml`"
    );
}

fn place_as_user(place: &str) -> &'static str {
    Box::leak(format!("username: {place}").into_boxed_str())
}

#[test]
fn a_secure_file_goes_over_the_other_key_by_key() {
    let clouds = entry("", "");
    let secure = |word: &str| format!("clouds: {{ lab: {{ auth: {{ password: {word} }} }} }}");
    let project = format!("project_id: p1, {DDM}");
    let made = Made::default()
        .with_file("clouds.yaml", &clouds)
        .with_file("secure.yaml", &secure("beside"))
        .with_file("/s.yaml", &secure("named"));
    let loaded = made.load("cloud: lab", &[&project]).unwrap();
    assert_eq!((password(&loaded).1, password(&loaded).3), ("me", "beside"));
    let made = made.with_variable("OS_CLIENT_SECURE_FILE", "/s.yaml");
    assert_eq!(password(&made.load("cloud: lab", &[&project]).unwrap()).3, "named");
}

#[test]
fn an_anchor_that_is_merged_in_brings_its_keys() {
    let text = "
x-base: &base
  region_name: eu-de
  auth: &auth { auth_url: 'https://iam.example', user_domain_name: OTC1, username: base }
clouds:
  lab:
    <<: *base
    auth: { <<: *auth, username: me, password: SENTINEL }
";
    let loaded = load(text, "name: shop").unwrap();
    assert_eq!((password(&loaded).1, password(&loaded).3), ("me", "SENTINEL"));
    assert_eq!(project(&loaded), "shop eu-de");
}

#[test]
fn keys_may_stand_in_either_place_and_a_password_goes_before_them() {
    for text in [
        "clouds: { lab: { ak: a, sk: s, security_token: t } }",
        "clouds: { lab: { access_key: a, secret_key: s, security_token: t } }",
        "clouds: { lab: { auth: { ak: a, sk: s, security_token: t } } }",
        "clouds: { lab: { auth_type: aksk, ak: a, sk: s, auth: { password: p, security_token: t } } }",
    ] {
        assert_eq!(keys(&load(text, "project_id: p1").unwrap()), ["a", "s", "t"], "{text}");
    }
    let loaded = load(&entry("", "    ak: a\n    sk: s\n"), "project_id: p1").unwrap();
    assert_eq!(password(&loaded).3, "SENTINEL");
}

#[test]
fn a_profile_says_the_cloud_and_where_iam_is() {
    let made = |profile: &str| {
        let text = entry("", &format!("    profile: {profile}\n"));
        Made::default()
            .with_file("clouds.yaml", &text.replace("auth_url: 'https://iam.example', ", ""))
    };
    let endpoint = |loaded: &Loaded| loaded.config.projects[0].products[0].endpoint.to_string();
    let loaded = made("otc\n    region_name: eu-nl")
        .load("cloud: lab", &["project_id: p1, rds: { instances: [{ id: a }] }"])
        .unwrap();
    assert_eq!(password(&loaded).0, "https://iam.eu-nl.otc.t-systems.com/v3");
    assert_eq!(endpoint(&loaded), "https://rds.eu-nl.otc.t-systems.com");
    let loaded = made("otc-swiss").load("cloud: lab", &["project_id: p1, ddm: {}"]).unwrap();
    assert_eq!(password(&loaded).0, "https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3");
    assert_eq!(endpoint(&loaded), "https://ddm.eu-ch2.sc.otc.t-systems.com");
    // The region may be that of the project.
    let loaded =
        made("otc").load("cloud: lab", &["project_id: p1, region: eu-de, ddm: {}"]).unwrap();
    assert_eq!(password(&loaded).0, "https://iam.eu-de.otc.t-systems.com/v3");
}

#[test]
fn the_project_of_the_entry_is_that_of_the_one_project_that_leaves_it_out() {
    let with_id = entry(", project_id: p7, project_name: eu-de_shop", "");
    assert_eq!(project(&load(&with_id, "name: shop").unwrap()), "p7");
    assert_eq!(project(&load(&with_id, "project_id: p1").unwrap()), "p1");
    let with_name = entry(", project_name: eu-de_shop", "    region_name: eu-de\n");
    assert_eq!(project(&load(&with_name, "name: shop").unwrap()), "eu-de_shop shop eu-de");
    let with_region = entry("", "    region_name: eu-de\n");
    assert_eq!(project(&load(&with_region, "name: shop").unwrap()), "shop eu-de");

    let made = Made::default().with_file("clouds.yaml", &with_name);
    let project = format!("name: shop, {DDM}");
    let other = format!("name: pay, {DDM}");
    assert_eq!(
        made.load("cloud: lab", &[&project, &other]).unwrap_err(),
        "config.yaml:5:5: projects[1].project_id: is missing; the project `eu-de_shop` of the entry \
         `lab` of `clouds.yaml` is already the one in line 4"
    );
    assert_eq!(
        load(&with_name, "name: shop, region: eu-nl").unwrap_err(),
        "config.yaml:4:5: projects[0].project_id: is missing; the project `eu-de_shop` of the entry \
         `lab` of `clouds.yaml` is in `eu-de` and not in `eu-nl`; write the id of the project that \
         is meant"
    );
    assert_eq!(
        load(&entry(", project_id: a/b", ""), "name: shop").unwrap_err(),
        "config.yaml:4:5: projects[0].project_id: the id in the entry `lab` of `clouds.yaml` has \
         only letters, digits, `_` and `-`"
    );
}

#[test]
fn what_is_wrong_is_told_with_the_file_and_the_key() {
    let told = |clouds: &str, words: &str| {
        let problems = load(clouds, "project_id: p1").unwrap_err();
        let expected: Vec<String> = words
            .lines()
            .map(|line| format!("config.yaml:2:18: credentials.main.cloud: {line}"))
            .collect();
        assert_eq!(problems, expected.join("\n"));
    };
    let of = "of the entry `lab` of `clouds.yaml`";
    told("", "cannot use `clouds.yaml`: it is empty");
    told("clouds: {}", "`clouds.yaml` has no entry `lab`; it has none below `clouds`");
    told("clouds: { labb: {}, x: {} }", "`clouds.yaml` has no entry `lab`; did you mean `labb`?");
    told(
        "clouds: { one: {}, two: {} }",
        "`clouds.yaml` has no entry `lab`; there is `one` and `two`",
    );
    told(
        "clouds: { lab: { auth: SENTINEL } }",
        "`clouds.yaml`, at line 1, column 24, is not YAML, or has what no `clouds.yaml` has, such \
         as a list in place of a text or a key twice",
    );
    told(
        "clouds: { lab: {} }",
        "the entry `lab` of `clouds.yaml` has neither a password (`auth.username`, \
         `auth.password`) nor keys (`ak`, `sk`)",
    );
    told(
        "clouds: { lab: { auth: { username: '', password: '' } } }",
        &format!(
            "`auth.username` {of} cannot be empty\n`auth.user_domain_name` {of} is missing\n\
             `auth.password` {of} cannot be empty"
        ),
    );
    told("clouds: { lab: { ak: SENTINEL } }", &format!("`sk` {of} is missing"));
    told(
        "clouds: { lab: { ak: SENTINEL 1, sk: s } }",
        &format!("`ak` {of} has a blank or a character that no key has; copy it again"),
    );
    for auth_type in ["token", "agency", "v3applicationcredential", "v3totp"] {
        told(
            &entry("", &format!("    auth_type: {auth_type}\n")),
            &format!(
                "`auth_type` {of} is `{auth_type}`; this program signs in with a password \
                 (`password`) or signs with `ak` and `sk`"
            ),
        );
    }
    told(
        &entry(", passcode: 1", ""),
        &format!(
            "`auth.passcode` {of} is of no use for a daemon, since each is valid once; use a user \
             without it"
        ),
    );
    told(
        &entry("", "    profile: ovh\n").replace("auth_url: 'https://iam.example', ", ""),
        &format!("`profile` {of} is `ovh`, which is not known here; write `auth.auth_url`"),
    );
    told(
        &entry("", "").replace("auth_url: 'https://iam.example', ", ""),
        &format!(
            "`auth.auth_url` {of} is missing; write such as \
             `https://iam.eu-de.otc.t-systems.com/v3`, or `cloud` and `region` in the projects \
             that use it"
        ),
    );
    told(
        &entry("", "").replace("https://iam", "http://iam"),
        &format!(
            "`auth.auth_url` {of} must be https, unless its credential has `insecure_http: true`"
        ),
    );
    told(
        &entry("", "    cacert: missing.pem\n"),
        "`cacert` of the entry: cannot read the file: entity not found",
    );
}

#[test]
fn a_file_that_a_variable_names_has_to_be_there() {
    let made = Made::default()
        .with_file("clouds.yaml", &entry("", ""))
        .with_variable("OS_CLIENT_CONFIG_FILE", "/gone.yaml");
    assert_eq!(
        made.load("cloud: lab", &[&format!("project_id: p1, {DDM}")]).unwrap_err(),
        "config.yaml:2:18: credentials.main.cloud: cannot use `/gone.yaml`: cannot read the file: \
         entity not found"
    );
}

#[test]
fn a_secret_is_read_again_from_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let config = "credentials: { main: { cloud: lab } }
projects: [{ name: a, project_id: p1, credentials: main, ddm: { endpoint: 'https://ddm.example' } }]
";
    fs::write(file("clouds.yaml"), entry("", "")).unwrap();
    // Of the process only the files of this folder are seen.
    let fetch = |source: &Source, limit: usize| match source {
        Source::Env(_) => Err(SecretError::Unset),
        source => secret::fetch(source, limit),
    };
    let loaded = Config::read(config, &file("config.yaml"), &fetch).unwrap();
    let CredentialKind::Password { password, .. } = &loaded.config.credentials[0].kind else {
        panic!("not a password");
    };
    let now = || password.read().map(|secret| secret.expose_secret().to_owned());
    assert_eq!(now().unwrap(), "SENTINEL");
    fs::write(file("clouds.yaml"), entry("", "").replace("SENTINEL", "the-next-one")).unwrap();
    assert_eq!(now().unwrap(), "the-next-one");
    let again = Config::read(config, &file("config.yaml"), &fetch).unwrap();
    assert_eq!(again.config.credentials, loaded.config.credentials, "it is the same credential");
    fs::write(file("clouds.yaml"), "clouds: {}").unwrap();
    assert!(now().is_err());
    fs::remove_file(file("clouds.yaml")).unwrap();
    assert!(now().is_err());
}
