//! A credential out of the environment variables that the `OpenStack` clients and the SDK of Huawei
//! Cloud read.
//!
//! Sources: the docs of openstacksdk and python-otcextensions (`OS_…`), the loader of
//! gophertelekomcloud (keys), `huaweicloudsdkcore` 3.1.219 (`HUAWEICLOUD_SDK_…`).

use secrecy::{ExposeSecret, SecretString};

use super::Domain;
use super::credential::Secrets;
use super::draft::{Found, Hints, Kind};
use super::endpoint;
use super::problem::listed;
use super::secret::{self, Secret, SecretError, Source};

/// Reads the variables. The errors name them, never what they hold.
pub(super) fn read(insecure_http: bool, secrets: &Secrets<'_>) -> Result<Found, Vec<String>> {
    let mut variables = Variables { secrets, errors: Vec::new() };
    let found = variables.found(insecure_http);
    if variables.errors.is_empty() { Ok(found) } else { Err(variables.errors) }
}

struct Variables<'a> {
    secrets: &'a Secrets<'a>,
    errors: Vec<String>,
}

/// A variable that is set.
struct Variable {
    name: &'static str,
    value: SecretString,
}

impl Variable {
    fn text(self) -> String {
        self.value.expose_secret().to_owned()
    }

    fn secret(self) -> Secret {
        Secret::new(Source::Env(self.name.to_owned()), self.value)
    }
}

impl Variables<'_> {
    fn found(&mut self, insecure_http: bool) -> Found {
        let hints = Hints {
            source: "the environment".to_owned(),
            cloud: None,
            region: self.pick(&["OS_REGION_NAME"]).map(Variable::text),
            project_id: self.pick(&PROJECT_ID).map(Variable::text),
            project_name: self.pick(&["OS_PROJECT_NAME", "OS_TENANT_NAME"]).map(Variable::text),
        };
        let auth_url = self.pick(&["OS_AUTH_URL"]);
        let auth_url = auth_url.map(|it| {
            endpoint::lenient(it.value.expose_secret(), insecure_http)
                .map_err(|error| error.to_string())
        });
        let username = self.pick(&["OS_USERNAME"]);
        let password = self.pick(&["OS_PASSWORD"]);
        let domain = self.pick(&["OS_USER_DOMAIN_NAME", "OS_DOMAIN_NAME"]);
        let domain = domain.map(|it| (it.name, Domain::Name(it.text())));
        let by_id = self.pick(&["OS_USER_DOMAIN_ID"]);
        let domain = domain.or_else(|| by_id.map(|it| (it.name, Domain::Id(it.text()))));
        let access_key = self.pick(&ACCESS_KEY);
        let secret_key = self.pick(&SECRET_KEY);
        let security_token = self.pick(&SECURITY_TOKEN);
        let name = |variable: &Option<Variable>| variable.as_ref().map(|it| it.name);
        let of_password =
            [name(&username), name(&password), domain.as_ref().map(|(name, _)| *name)];
        let of_keys = [name(&access_key), name(&secret_key)];
        let is_begun = |names: &[Option<&str>]| names.iter().any(Option::is_some);
        let is_password = is_begun(&of_password) && !of_keys.iter().all(Option::is_some);
        let kind = match (username, password, domain, access_key, secret_key) {
            (Some(_), Some(_), Some(_), Some(_), Some(_)) => {
                self.errors.push(format!(
                    "the environment has both a password ({}) and keys ({}); unset one of them",
                    listed(of_password.into_iter().flatten(), "and"),
                    listed(of_keys.into_iter().flatten(), "and")
                ));
                None
            }
            (Some(username), Some(password), Some((_, user_domain)), _, _) => {
                let (username, password) = (username.text(), password.secret());
                Some(Kind::Password { username, user_domain, password })
            }
            (_, _, _, Some(access_key), Some(secret_key)) => {
                let keys = [Some(access_key), Some(secret_key), security_token];
                let [access_key, secret_key, security_token] = keys.map(|it| self.key(it));
                access_key.zip(secret_key).map(|(access_key, secret_key)| Kind::Keys {
                    access_key,
                    secret_key,
                    security_token,
                })
            }
            _ => {
                let password = ["OS_USERNAME", "OS_PASSWORD", "OS_USER_DOMAIN_NAME"];
                self.missing(&password, &of_password, &of_keys);
                None
            }
        };
        let auth_url_name = "`OS_AUTH_URL` ".to_owned();
        Found { is_password, kind, auth_url, auth_url_name, ca_file: None, hints }
    }

    /// Neither a password nor keys are whole.
    fn missing(
        &mut self,
        password: &[&'static str; 3],
        of_password: &[Option<&str>; 3],
        of_keys: &[Option<&str>; 2],
    ) {
        let keys = [ACCESS_KEY[0], SECRET_KEY[0]];
        let missing = |all: &[&'static str], set: &[Option<&str>]| {
            let unset = all.iter().zip(set).filter(|(_, set)| set.is_none());
            listed(unset.map(|(name, _)| *name), "and")
        };
        let (password, of_keys_missing) = (missing(password, of_password), missing(&keys, of_keys));
        let is_begun = |set: &[Option<&str>]| set.iter().any(Option::is_some);
        self.errors.push(match (is_begun(of_password), is_begun(of_keys)) {
            (true, false) => format!("the environment lacks {password} for a password"),
            (false, true) => format!("the environment lacks {of_keys_missing} for keys"),
            _ => format!(
                "the environment lacks {password} for a password, or {of_keys_missing} for keys"
            ),
        });
    }

    /// The first of several names of one thing that is set. They may not differ.
    fn pick(&mut self, names: &[&'static str]) -> Option<Variable> {
        let mut found: Option<Variable> = None;
        for name in names.iter().copied() {
            let value = match (self.secrets.fetch)(&Source::Env(name.to_owned()), secret::MAX_KIB) {
                Ok(value) => value,
                Err(SecretError::Unset | SecretError::Empty) => continue,
                Err(error) => {
                    self.errors.push(format!("`{name}`: {error}"));
                    continue;
                }
            };
            match &found {
                Some(first) if first.value.expose_secret() != value.expose_secret() => {
                    let both = listed([first.name, name], "and");
                    self.errors.push(format!("{both} differ; unset one of them"));
                }
                Some(_) => {}
                None => found = Some(Variable { name, value }),
            }
        }
        found
    }

    /// A secret that goes into a header. None as well if it does not fit, which is told.
    fn key(&mut self, variable: Option<Variable>) -> Option<Secret> {
        let variable = variable?;
        if secret::fits_header(&variable.value) {
            return Some(variable.secret());
        }
        self.errors.push(format!("`{}` {}", variable.name, secret::NO_KEY));
        None
    }
}

const PROJECT_ID: [&str; 3] = ["OS_PROJECT_ID", "OS_TENANT_ID", "HUAWEICLOUD_SDK_PROJECT_ID"];
const ACCESS_KEY: [&str; 4] = ["OS_ACCESS_KEY", "OS_ACCESS_KEY_ID", "OS_AK", "HUAWEICLOUD_SDK_AK"];
const SECRET_KEY: [&str; 4] =
    ["OS_SECRET_KEY", "OS_ACCESS_KEY_SECRET", "OS_SK", "HUAWEICLOUD_SDK_SK"];
const SECURITY_TOKEN: [&str; 4] =
    ["OS_SECURITY_TOKEN", "OS_AKSK_SECURITY_TOKEN", "OS_ST", "HUAWEICLOUD_SDK_SECURITY_TOKEN"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::Made;
    use crate::config::{CredentialKind, Loaded, ProjectId};

    const PASSWORD: [(&str, &str); 4] = [
        ("OS_AUTH_URL", "iam.example:443"),
        ("OS_USERNAME", "me"),
        ("OS_PASSWORD", "SENTINEL"),
        ("OS_USER_DOMAIN_NAME", "OTC1"),
    ];
    const KEYS: [(&str, &str); 2] = [("OS_AK", "SENTINEL-a"), ("OS_SK", "SENTINEL-s")];

    fn loaded(variables: &[(&str, &str)], project: &str) -> Result<Loaded, String> {
        let mut made = Made::default();
        for (name, value) in variables {
            made = made.with_variable(name, value);
        }
        let project = format!("{project}, ddm: {{ endpoint: 'https://ddm.example' }}");
        made.load("from_env: true", &[&project]).map_err(|problems| {
            assert!(!problems.contains("SENTINEL"), "{problems}");
            problems
        })
    }

    #[test]
    fn a_password_is_taken_from_the_variables_of_openstack() {
        let loaded = loaded(&PASSWORD, "project_id: p1").unwrap();
        assert_eq!(loaded.findings, []);
        assert!(!format!("{loaded:?}").contains("SENTINEL"));
        let kind = &loaded.config.credentials[0].kind;
        let CredentialKind::Password { auth_url, username, user_domain, password } = kind else {
            panic!("not a password");
        };
        assert_eq!(auth_url.to_string(), "https://iam.example/v3");
        assert_eq!((username.as_str(), user_domain), ("me", &Domain::Name("OTC1".to_owned())));
        assert_eq!(password.source(), &Source::Env("OS_PASSWORD".to_owned()));
        assert_eq!(password.value().expose_secret(), "SENTINEL");
    }

    #[test]
    fn keys_are_taken_from_each_of_their_variables() {
        for (ak, sk, token) in [
            ("OS_ACCESS_KEY", "OS_SECRET_KEY", "OS_SECURITY_TOKEN"),
            ("OS_ACCESS_KEY_ID", "OS_ACCESS_KEY_SECRET", "OS_AKSK_SECURITY_TOKEN"),
            ("OS_AK", "OS_SK", "OS_ST"),
            ("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN"),
        ] {
            let variables = [(ak, "a"), (sk, "s"), (token, "t"), ("OS_USERNAME", "left over")];
            let loaded = loaded(&variables, "project_id: p1").unwrap();
            let kind = &loaded.config.credentials[0].kind;
            let CredentialKind::Keys { access_key, secret_key, security_token } = kind else {
                panic!("no keys");
            };
            let value = |secret: &Secret| secret.value().expose_secret().to_owned();
            assert_eq!([value(access_key), value(secret_key)], ["a", "s"]);
            assert_eq!(security_token.as_ref().map(value).as_deref(), Some("t"));
        }
    }

    #[test]
    fn the_project_is_that_of_the_variables_unless_it_is_written() {
        let of = |variables: &[(&str, &str)], project: &str| {
            let all = [&PASSWORD[..], variables].concat();
            match &loaded(&all, project).unwrap().config.projects[0].project_id {
                ProjectId::Known(id) => id.clone(),
                ProjectId::LookedUp { names, .. } => names.join(" "),
            }
        };
        for id in ["OS_PROJECT_ID", "OS_TENANT_ID", "HUAWEICLOUD_SDK_PROJECT_ID"] {
            assert_eq!(of(&[(id, "p7"), ("OS_PROJECT_NAME", "n")], "name: shop"), "p7");
        }
        for name in ["OS_PROJECT_NAME", "OS_TENANT_NAME"] {
            let variables = [(name, "eu-de_shop"), ("OS_REGION_NAME", "eu-de")];
            assert_eq!(of(&variables, "name: shop"), "eu-de_shop shop eu-de");
        }
        assert_eq!(of(&[("OS_PROJECT_ID", "p7")], "project_id: p1"), "p1");
    }

    #[test]
    fn a_domain_may_be_said_by_its_id() {
        let mut variables = PASSWORD;
        variables[3] = ("OS_USER_DOMAIN_ID", "d1");
        let loaded = loaded(&variables, "project_id: p1").unwrap();
        let CredentialKind::Password { user_domain, .. } = &loaded.config.credentials[0].kind
        else {
            panic!("not a password");
        };
        assert_eq!(user_domain, &Domain::Id("d1".to_owned()));
    }

    #[test]
    fn what_is_missing_or_there_twice_is_told_by_the_names_of_the_variables() {
        let told = |variables: &[(&str, &str)], words: &str| {
            let problems = loaded(variables, "project_id: p1").unwrap_err();
            assert_eq!(problems, format!("config.yaml:2:21: credentials.main.from_env: {words}"));
        };
        told(
            &[],
            "the environment lacks `OS_USERNAME`, `OS_PASSWORD` and `OS_USER_DOMAIN_NAME` for a \
             password, or `OS_ACCESS_KEY` and `OS_SECRET_KEY` for keys",
        );
        told(
            &PASSWORD[..2],
            "the environment lacks `OS_PASSWORD` and `OS_USER_DOMAIN_NAME` for a password",
        );
        told(&KEYS[..1], "the environment lacks `OS_SECRET_KEY` for keys");
        told(
            &[&PASSWORD[..], &KEYS[..]].concat(),
            "the environment has both a password (`OS_USERNAME`, `OS_PASSWORD` and \
             `OS_USER_DOMAIN_NAME`) and keys (`OS_AK` and `OS_SK`); unset one of them",
        );
        told(
            &[&KEYS[..], &[("HUAWEICLOUD_SDK_AK", "SENTINEL-b")]].concat(),
            "`OS_AK` and `HUAWEICLOUD_SDK_AK` differ; unset one of them",
        );
        told(
            &[("OS_AK", "SENTINEL a"), ("OS_SK", "s")],
            "`OS_AK` has a blank or a character that no key has; copy it again",
        );
        told(
            &PASSWORD[1..],
            "`OS_AUTH_URL` is missing; write such as `https://iam.eu-de.otc.t-systems.com/v3`, or \
             `cloud` and `region` in the projects that use it",
        );
    }
}
