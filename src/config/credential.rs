//! The rules of a credential: which keys go together, and where its secrets come from.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};

use super::clouds_yaml;
use super::draft::{Draft, EXAMPLE, Found, Kind};
use super::endpoint;
use super::environment;
use super::file;
use super::position::child;
use super::problem::{listed, quoted};
use super::report::Report;
use super::secret::{self, Secret, SecretError, Source};
use super::{Domain, Fetch};
use crate::error::Chain;

/// How the secrets of a file are had.
pub(super) struct Secrets<'a> {
    pub(super) fetch: &'a Fetch<'a>,
    /// What relative paths are relative to.
    pub(super) folder: &'a Path,
}

/// Reads one credential, and reports what is wrong with it.
pub(super) fn read(
    name: &str,
    written: &file::Credential,
    report: &mut Report,
    secrets: &Secrets<'_>,
) -> Draft {
    let path = child("credentials", name);
    let mut block = Block { path, written, report, secrets };
    let found = block.found();
    let requests_per_second = block.requests_per_second();
    let ca_file = block.ca_file(&found);
    Draft {
        name: name.to_owned(),
        auth_url_path: found.path,
        auth_url_name: found.found.auth_url_name,
        auth_url: found.found.auth_url,
        is_password: found.found.is_password,
        kind: found.found.kind,
        requests_per_second,
        ca_file,
        insecure_http: written.insecure_http.unwrap_or_default(),
        hints: found.is_readable.then_some(found.found.hints),
    }
}

/// What a block says, by itself or by what it refers to.
struct FoundAt {
    /// Where the address of IAM stands, or would stand.
    path: String,
    found: Found,
    /// Whether what it refers to could be read.
    is_readable: bool,
}

/// What the keys of a block make it.
struct Own {
    is_password: bool,
    kind: Option<Kind>,
}

/// A credential under check.
struct Block<'a> {
    path: String,
    written: &'a file::Credential,
    report: &'a mut Report,
    secrets: &'a Secrets<'a>,
}

/// One secret, as it is written: in how many of its three ways, and how.
struct Ways<'a> {
    key: &'static str,
    value: Option<&'a SecretString>,
    file: Option<&'a str>,
    env: Option<&'a str>,
}

impl Ways<'_> {
    /// The keys that are there, of the three that there could be.
    fn given(&self) -> Vec<String> {
        let present = [self.value.is_some(), self.file.is_some(), self.env.is_some()];
        self.keys().into_iter().zip(present).filter(|it| it.1).map(|it| it.0).collect()
    }

    fn keys(&self) -> [String; 3] {
        [self.key.to_owned(), format!("{}_file", self.key), format!("{}_env", self.key)]
    }
}

impl Block<'_> {
    /// Reads the block itself, or what it refers to.
    fn found(&mut self) -> FoundAt {
        let insecure_http = self.written.insecure_http.unwrap_or_default();
        let from_env = self.written.from_env == Some(true);
        let unreadable = |path| FoundAt { path, found: Found::default(), is_readable: false };
        let cloud = self.written.cloud.as_deref();
        let key = match (cloud, from_env) {
            (None, false) => return self.own(insecure_http),
            (Some(_), _) => "cloud",
            (None, true) => "from_env",
        };
        let path = child(&self.path, key);
        let others = self.others(key);
        if !others.is_empty() {
            let message = format!(
                "must say how to sign in either by {} or by itself; it has {} besides",
                quoted(key),
                listed(others.iter().map(String::as_str), "and")
            );
            self.report.error_at_key(&self.path, message);
            return unreadable(path);
        }
        let read = match cloud {
            Some("") => {
                Err(vec!["the name of an entry of `clouds.yaml` cannot be empty".to_owned()])
            }
            Some(name) => clouds_yaml::read(name, insecure_http, self.secrets),
            None => environment::read(insecure_http, self.secrets),
        };
        match read {
            Ok(found) => FoundAt { path, found, is_readable: true },
            Err(errors) => {
                for error in errors {
                    self.report.error(&path, error);
                }
                unreadable(path)
            }
        }
    }

    /// The keys that have no place beside this one.
    fn others(&self, key: &str) -> Vec<String> {
        let written = self.written;
        let mut others = Vec::new();
        for (other, is_given) in [
            ("auth_url", written.auth_url.is_some()),
            ("username", written.username.is_some()),
            ("user_domain_name", written.user_domain_name.is_some()),
            ("from_env", written.from_env == Some(true) && key != "from_env"),
        ] {
            if is_given {
                others.push(other.to_owned());
            }
        }
        for ways in [self.password(), self.access_key(), self.secret_key(), self.security_token()] {
            others.extend(ways.given());
        }
        others
    }

    fn own(&mut self, insecure_http: bool) -> FoundAt {
        let Own { is_password, kind } = self.kind();
        let auth_url = self.written.auth_url.as_deref().map(|text| {
            endpoint::identity(text, insecure_http)
                .map_err(|error| format!("{error}; write such as `{EXAMPLE}`"))
        });
        let path = child(&self.path, "auth_url");
        let found = Found { is_password, kind, auth_url, ..Found::default() };
        FoundAt { path, found, is_readable: true }
    }

    fn kind(&mut self) -> Own {
        let password = self.password().given();
        let keys = [self.access_key().given(), self.secret_key().given()].concat();
        let token = self.security_token().given();
        let user = [
            ("username", self.written.username.is_some()),
            ("user_domain_name", self.written.user_domain_name.is_some()),
            ("auth_url", self.written.auth_url.is_some()),
        ];
        if !password.is_empty() && !keys.is_empty() {
            let found = password.iter().chain(&keys).map(String::as_str);
            let message = format!(
                "must have either a password or keys, not both; it has {}",
                listed(found, "and")
            );
            self.report.error_at_key(&self.path, message);
            Own { is_password: false, kind: None }
        } else if !keys.is_empty() || (!token.is_empty() && password.is_empty()) {
            Own { is_password: false, kind: self.keys_kind() }
        } else if !password.is_empty() || user.iter().any(|(_, given)| *given) {
            for key in token {
                let message = "belongs to an access key and a secret key; remove it";
                self.report.error_at_key(&child(&self.path, &key), message);
            }
            Own { is_password: true, kind: self.password_kind() }
        } else {
            let message = "needs either `auth_url`, `username`, `user_domain_name` and a password, \
                           or an access key and a secret key, or `cloud`, or `from_env: true`";
            self.report.error_at_key(&self.path, message);
            Own { is_password: false, kind: None }
        }
    }

    fn keys_kind(&mut self) -> Option<Kind> {
        for (key, given) in [
            ("username", self.written.username.is_some()),
            ("user_domain_name", self.written.user_domain_name.is_some()),
        ] {
            if given {
                let message = "belongs to a password; remove it, or the keys";
                self.report.error_at_key(&child(&self.path, key), message);
            }
        }
        let access_key = self.key_secret(&self.access_key());
        let secret_key = self.key_secret(&self.secret_key());
        let token = self.security_token();
        let security_token =
            if token.given().is_empty() { Some(None) } else { self.key_secret(&token).map(Some) };
        Some(Kind::Keys {
            access_key: access_key?,
            secret_key: secret_key?,
            security_token: security_token?,
        })
    }

    fn password_kind(&mut self) -> Option<Kind> {
        let written = self.written;
        let username = self.name("username", written.username.as_deref());
        let user_domain_name = self.name("user_domain_name", written.user_domain_name.as_deref());
        let password = self.secret(&self.password()).map(|(secret, _)| secret);
        Some(Kind::Password {
            username: username?,
            user_domain: Domain::Name(user_domain_name?),
            password: password?,
        })
    }

    fn name(&mut self, key: &str, written: Option<&str>) -> Option<String> {
        match written {
            Some("") => self.error(key, "cannot be empty"),
            Some(name) => return Some(name.to_owned()),
            None => self.error(key, "is missing; a password needs it"),
        }
        None
    }

    /// A secret that goes into a header, where blanks and other letters have no place.
    fn key_secret(&mut self, ways: &Ways<'_>) -> Option<Secret> {
        let (secret, key) = self.secret(ways)?;
        if secret::fits_header(secret.value()) {
            return Some(secret);
        }
        self.error(&key, secret::NO_KEY);
        None
    }

    /// The secret, and the key it was given by.
    fn secret(&mut self, ways: &Ways<'_>) -> Option<(Secret, String)> {
        let given = ways.given();
        let [key] = given.as_slice() else {
            let keys = ways.keys();
            let all = listed(keys.iter().map(String::as_str), "or");
            let message = match given.as_slice() {
                [] => format!("is missing; write exactly one of {all}"),
                _ => format!(
                    "must be given in exactly one way; it has {}",
                    listed(given.iter().map(String::as_str), "and")
                ),
            };
            let place = given.get(1).map_or(ways.key, String::as_str);
            let place = child(&self.path, place);
            if given.is_empty() {
                self.report.error(&place, message);
            } else {
                self.report.error_at_key(&place, message);
            }
            return None;
        };
        let source = match (ways.file, ways.env) {
            (Some(path), _) => self.file(path).map(Source::File),
            (_, Some(name)) => Some(Source::Env(name.to_owned())),
            _ => Some(Source::Value),
        };
        let value = match (&source, ways.value) {
            (Some(Source::Value), Some(value)) => secret::trimmed(value.expose_secret()),
            (Some(source), _) => (self.secrets.fetch)(source, secret::MAX_KIB),
            (None, _) => Err(SecretError::Empty),
        };
        match value {
            Ok(value) => Some((Secret::new(source?, value), key.clone())),
            Err(error) => {
                let message = match &source {
                    Some(_) => Chain(&error).to_string(),
                    None => "a path cannot be empty".to_owned(),
                };
                self.error(key, message);
                None
            }
        }
    }

    fn requests_per_second(&mut self) -> Option<f64> {
        let rate = self.written.requests_per_second.unwrap_or(1.0);
        if (SLOWEST..=FASTEST).contains(&rate) {
            return Some(rate);
        }
        self.error("requests_per_second", "must be from 0.001 to 10000, such as `1` or `0.5`");
        None
    }

    /// The path, if there is one. `Err` if the file is no good, which is told.
    fn ca_file(&mut self, found: &FoundAt) -> Result<Option<PathBuf>, ()> {
        // One of a `clouds.yaml` is, as there, relative to where the program runs.
        let (path, file) = match (self.written.ca_file.as_deref(), &found.found.ca_file) {
            (Some(written), _) => (child(&self.path, "ca_file"), self.file(written)),
            (None, Some(elsewhere)) => (found.path.clone(), Some(PathBuf::from(elsewhere))),
            (None, None) => return Ok(None),
        };
        let message = match file {
            None => "a path cannot be empty".to_owned(),
            Some(path) => match (self.secrets.fetch)(&Source::File(path.clone()), MAX_PEM_KIB) {
                Ok(pem) => match certificates(pem.expose_secret()) {
                    Some(1..) => return Ok(Some(path)),
                    Some(0) => NO_CERTIFICATE.to_owned(),
                    None => "the file has a certificate that cannot be read".to_owned(),
                },
                Err(SecretError::Empty | SecretError::Text) => NO_CERTIFICATE.to_owned(),
                Err(error) => Chain(&error).to_string(),
            },
        };
        let is_own = self.written.ca_file.is_some();
        let name = if is_own { "" } else { "`cacert` of the entry: " };
        self.report.error(&path, format!("{name}{message}"));
        Err(())
    }

    /// The file of a path that may be relative to the config.
    fn file(&self, path: &str) -> Option<PathBuf> {
        (!path.is_empty()).then(|| self.secrets.folder.join(path))
    }

    fn error(&mut self, key: &str, message: impl Into<String>) {
        self.report.error(&child(&self.path, key), message);
    }
}

impl<'a> Block<'a> {
    fn password(&self) -> Ways<'a> {
        let written = self.written;
        Ways {
            key: "password",
            value: written.password.as_ref(),
            file: written.password_file.as_deref(),
            env: written.password_env.as_deref(),
        }
    }

    fn access_key(&self) -> Ways<'a> {
        let written = self.written;
        Ways {
            key: "access_key",
            value: written.access_key.as_ref(),
            file: written.access_key_file.as_deref(),
            env: written.access_key_env.as_deref(),
        }
    }

    fn secret_key(&self) -> Ways<'a> {
        let written = self.written;
        Ways {
            key: "secret_key",
            value: written.secret_key.as_ref(),
            file: written.secret_key_file.as_deref(),
            env: written.secret_key_env.as_deref(),
        }
    }

    fn security_token(&self) -> Ways<'a> {
        let written = self.written;
        Ways {
            key: "security_token",
            value: written.security_token.as_ref(),
            file: written.security_token_file.as_deref(),
            env: written.security_token_env.as_deref(),
        }
    }
}

/// A bundle of public certificates has some 200.
pub(super) const MAX_PEM_KIB: usize = 1024;
pub(super) const NO_CERTIFICATE: &str = "the file has no certificate; it must be PEM";
/// Slower than this is a request in seventeen minutes, faster than any gateway allows.
const SLOWEST: f64 = 0.001;
const FASTEST: f64 = 10_000.0;

/// How many certificates a text has; none if one of them is none that can be trusted.
fn certificates(pem: &str) -> Option<usize> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.ok()?).ok()?;
    }
    Some(roots.len())
}
