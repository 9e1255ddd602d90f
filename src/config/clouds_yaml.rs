//! A credential out of the `clouds.yaml` that the `OpenStack` clients read.
//!
//! Sources: "Configuring `OpenStack` SDK Applications" of `openstacksdk` 4 and its loader (search,
//! `secure.yaml`, profiles); for the place of access keys the docs of python-otcextensions (beside
//! `auth`) and gophertelekomcloud (inside it).

mod entry;

use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeSeed;

use super::cloud;
use super::credential::Secrets;
use super::draft::{Found, Hints, Kind};
use super::endpoint::{self, Endpoint};
use super::problem::{listed, quoted};
use super::schema;
use super::secret::{self, Secret, SecretError, Source};
use super::{Domain, Fetch};
use crate::error::Chain;
use entry::{Entries, Entry, Wanted};

/// Where one secret of an entry stands.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct EntrySource {
    files: Files,
    entry: String,
    part: Part,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Files {
    clouds: PathBuf,
    /// Goes over the other.
    secure: Option<PathBuf>,
}

/// Which secret.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Part {
    AccessKey,
    Password,
    SecretKey,
    SecurityToken,
}

impl EntrySource {
    /// What the files have now.
    pub(super) fn fetch(&self, fetch: &Fetch<'_>) -> Result<SecretString, SecretError> {
        let entry = self.files.entry(&self.entry, fetch).map_err(|error| match error {
            ReadError::File { error, .. } => error,
            ReadError::Form { .. } | ReadError::NoEntry { .. } => SecretError::Form,
        })?;
        let value = match self.part {
            Part::AccessKey => entry.ak,
            Part::Password => entry.password,
            Part::SecretKey => entry.sk,
            Part::SecurityToken => entry.security_token,
        };
        secret::trimmed(value.ok_or(SecretError::Empty)?.expose_secret())
    }
}

/// Finds the file and reads an entry of it. The errors are for the person who wrote its name.
pub(super) fn read(
    name: &str,
    insecure_http: bool,
    secrets: &Secrets<'_>,
) -> Result<Found, Vec<String>> {
    let files = Files::find(secrets).map_err(|error| vec![error])?;
    let entry = files.entry(name, secrets.fetch).map_err(|error| vec![error.to_string()])?;
    let mut check = Check { files: &files, name, errors: Vec::new() };
    let found = check.found(entry, insecure_http, secrets);
    if check.errors.is_empty() { Ok(found) } else { Err(check.errors) }
}

impl Files {
    /// The first `clouds.yaml` there is, and what goes over it.
    fn find(secrets: &Secrets<'_>) -> Result<Self, String> {
        let variable = |name: &str| {
            let value = (secrets.fetch)(&Source::Env(name.to_owned()), secret::MAX_KIB).ok()?;
            Some(PathBuf::from(value.expose_secret()))
        };
        let clouds = variable(CONFIG_VARIABLE).map_or_else(
            || {
                let home = variable("HOME").map(|home| home.join(".config/openstack"));
                let mut folders = vec![secrets.folder.to_owned(), PathBuf::new()];
                folders.extend(home);
                folders.push(PathBuf::from("/etc/openstack"));
                folders.dedup();
                let candidates = candidates(&folders, "clouds");
                let first = candidates.iter().find(|file| exists(file, secrets.fetch));
                first.cloned().ok_or_else(|| {
                    let tried = candidates.iter().filter_map(|file| file.to_str());
                    format!(
                        "there is no `clouds.yaml`; write one, or name it in `{CONFIG_VARIABLE}`; \
                         looked for {}",
                        listed(tried, "and")
                    )
                })
            },
            Ok,
        )?;
        let beside = || {
            let folder = clouds.parent().unwrap_or_else(|| Path::new("")).to_owned();
            let mut candidates = candidates(&[folder], "secure").into_iter();
            candidates.find(|file| exists(file, secrets.fetch))
        };
        let secure = variable(SECURE_VARIABLE).or_else(beside);
        Ok(Self { clouds, secure })
    }

    /// The entry of that name in both, put together.
    fn entry(&self, name: &str, fetch: &Fetch<'_>) -> Result<Entry, ReadError> {
        let clouds = parse(&self.clouds, name, fetch)?;
        let secure = match &self.secure {
            Some(file) => parse(file, name, fetch)?.wanted,
            None => None,
        };
        let Some(entry) = clouds.wanted else {
            return Err(ReadError::NoEntry {
                file: self.clouds.clone(),
                name: name.to_owned(),
                known: clouds.names,
            });
        };
        let secure = secure.unwrap_or_default().expanded();
        Ok(secure.over(entry.expanded()).flat())
    }
}

fn candidates(folders: &[PathBuf], name: &str) -> Vec<PathBuf> {
    let both = |folder: &PathBuf| ["yaml", "yml"].map(|end| folder.join(format!("{name}.{end}")));
    folders.iter().flat_map(both).collect()
}

/// One that is there and cannot be read is not passed over: it may be the one that is meant.
fn exists(file: &Path, fetch: &Fetch<'_>) -> bool {
    match fetch(&Source::File(file.to_owned()), MOST_KIB) {
        Err(SecretError::Read(error)) => {
            !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        }
        _ => true,
    }
}

/// Why an entry cannot be read. Names files and entries, never what stands in them.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("cannot use `{}`: {}", file.display(), told(error))]
    File { file: PathBuf, error: SecretError },
    #[error("`{}`{place} is not YAML, or has what no `clouds.yaml` has, such as \
             a list in place of a text or a key twice", file.display())]
    Form { file: PathBuf, place: String },
    #[error("`{}` has no entry {}; {}", file.display(), quoted(name), instead(name, known))]
    NoEntry { file: PathBuf, name: String, known: Vec<String> },
}

fn told(error: &SecretError) -> String {
    match error {
        SecretError::Empty => "it is empty".to_owned(),
        SecretError::Text => "it is not UTF-8 text".to_owned(),
        error => Chain(error).to_string(),
    }
}

fn instead(name: &str, known: &[String]) -> String {
    let known = || known.iter().map(String::as_str);
    match schema::nearest(name, known()) {
        Some(nearest) => format!("did you mean {}?", quoted(nearest)),
        None if known().next().is_none() => "it has none below `clouds`".to_owned(),
        None => format!("there is {}", listed(known(), "and")),
    }
}

fn parse(file: &Path, name: &str, fetch: &Fetch<'_>) -> Result<Entries, ReadError> {
    let text = fetch(&Source::File(file.to_owned()), MOST_KIB)
        .map_err(|error| ReadError::File { file: file.to_owned(), error })?;
    let yaml = serde_yaml::Deserializer::from_str(text.expose_secret());
    // The words of the error may repeat a secret.
    Wanted(name).deserialize(yaml).map_err(|error| ReadError::Form {
        file: file.to_owned(),
        place: error.location().map_or_else(String::new, |at| {
            format!(", at line {}, column {},", at.line(), at.column())
        }),
    })
}

struct Check<'a> {
    files: &'a Files,
    name: &'a str,
    errors: Vec<String>,
}

impl Check<'_> {
    fn found(&mut self, entry: Entry, insecure_http: bool, secrets: &Secrets<'_>) -> Found {
        let hints = self.hints(&entry);
        let auth_url = self.auth_url(&entry, &hints, insecure_http);
        let is_typed = match entry.auth_type.as_deref() {
            None => None,
            Some("password" | "v3password") => Some(true),
            Some("aksk") => Some(false),
            Some(other) => {
                let other = quoted(other);
                self.errors.push(format!(
                    "{} is {other}; this program signs in with a password (`password`) or signs \
                     with `ak` and `sk`",
                    self.key("auth_type")
                ));
                return Found::default();
            }
        };
        // As openstacksdk, whose default is the password: keys beside it are for other services.
        let has_keys = entry.ak.is_some() || entry.sk.is_some();
        let is_password = is_typed.unwrap_or(entry.password.is_some() || !has_keys);
        let ca_file = entry.cacert.clone().map(|path| expanded(path, secrets));
        let is_empty = entry.password.is_none() && entry.username.is_none() && !has_keys;
        let kind = if is_empty && is_typed.is_none() {
            self.errors.push(format!(
                "{} has neither a password (`auth.username`, `auth.password`) nor keys (`ak`, `sk`)",
                self.place()
            ));
            None
        } else if is_password {
            self.password(entry)
        } else {
            self.keys(entry)
        };
        let auth_url_name = format!("{} ", self.key("auth.auth_url"));
        Found { is_password, kind, auth_url, auth_url_name, ca_file, hints }
    }

    fn hints(&self, entry: &Entry) -> Hints {
        let profile = entry.profile.as_deref();
        let is_swiss = profile == Some(SWISS_PROFILE);
        let swiss_region = is_swiss.then(|| cloud::SWISS_REGION.to_owned());
        let is_otc = is_swiss || profile == Some(cloud::OTC);
        Hints {
            source: self.place(),
            cloud: cloud::by_name(cloud::OTC).filter(|_| is_otc),
            region: entry.region_name.clone().or(swiss_region),
            project_id: entry.project_id.clone(),
            project_name: entry.project_name.clone(),
        }
    }

    fn auth_url(
        &mut self,
        entry: &Entry,
        hints: &Hints,
        insecure_http: bool,
    ) -> Option<Result<Endpoint, String>> {
        if let Some(text) = entry.auth_url.as_deref() {
            return Some(endpoint::lenient(text, insecure_http).map_err(|error| error.to_string()));
        }
        if let (Some(profile), None) = (&entry.profile, hints.cloud) {
            self.errors.push(format!(
                "{} is {}, which is not known here; write `auth.auth_url`",
                self.key("profile"),
                quoted(profile)
            ));
        }
        hints.cloud?.region(hints.region.as_deref()?)?.iam().map(Ok)
    }

    fn password(&mut self, entry: Entry) -> Option<Kind> {
        if entry.passcode.is_some() {
            self.errors.push(format!(
                "{} is of no use for a daemon, since each is valid once; use a user without it",
                self.key("auth.passcode")
            ));
        }
        let username = self.needed(entry.username, "auth.username");
        let by_name = entry
            .user_domain_name
            .or_else(|| if entry.user_domain_id.is_none() { entry.domain_name } else { None });
        let domain = match (by_name, entry.user_domain_id.or(entry.domain_id)) {
            (Some(name), _) => self.needed(Some(name), "auth.user_domain_name").map(Domain::Name),
            (None, Some(id)) => self.needed(Some(id), "auth.user_domain_id").map(Domain::Id),
            (None, None) => self.needed(None, "auth.user_domain_name").map(Domain::Name),
        };
        let password = self.secret(entry.password, Part::Password, "auth.password");
        Some(Kind::Password { username: username?, user_domain: domain?, password: password? })
    }

    fn keys(&mut self, entry: Entry) -> Option<Kind> {
        let access_key = self.key_secret(entry.ak, Part::AccessKey, "ak");
        let secret_key = self.key_secret(entry.sk, Part::SecretKey, "sk");
        let security_token = match entry.security_token {
            None => Some(None),
            token => self.key_secret(token, Part::SecurityToken, "security_token").map(Some),
        };
        Some(Kind::Keys {
            access_key: access_key?,
            secret_key: secret_key?,
            security_token: security_token?,
        })
    }

    fn needed(&mut self, value: Option<String>, key: &str) -> Option<String> {
        let what = match value {
            Some(value) if !value.is_empty() => return Some(value),
            Some(_) => "cannot be empty",
            None => "is missing",
        };
        self.errors.push(format!("{} {what}", self.key(key)));
        None
    }

    fn secret(&mut self, value: Option<SecretString>, part: Part, key: &str) -> Option<Secret> {
        let what = match value.map(|value| secret::trimmed(value.expose_secret())) {
            Some(Ok(value)) => {
                let (files, entry) = (self.files.clone(), self.name.to_owned());
                let source = Source::Entry(EntrySource { files, entry, part });
                return Some(Secret::new(source, value));
            }
            Some(Err(_)) => "cannot be empty",
            None => "is missing",
        };
        self.errors.push(format!("{} {what}", self.key(key)));
        None
    }

    /// A secret that goes into a header.
    fn key_secret(&mut self, value: Option<SecretString>, part: Part, key: &str) -> Option<Secret> {
        let secret = self.secret(value, part, key)?;
        if secret::fits_header(secret.value()) {
            return Some(secret);
        }
        self.errors.push(format!("{} {}", self.key(key), secret::NO_KEY));
        None
    }

    /// A key of the entry, and where that is.
    fn key(&self, key: &str) -> String {
        format!("{} of {}", quoted(key), self.place())
    }

    fn place(&self) -> String {
        let file = self.files.clouds.display();
        format!("the entry {} of `{file}`", quoted(self.name))
    }
}

fn expanded(path: String, secrets: &Secrets<'_>) -> String {
    let Some(rest) = path.strip_prefix("~/") else { return path };
    match (secrets.fetch)(&Source::Env("HOME".to_owned()), secret::MAX_KIB) {
        Ok(home) => format!("{}/{rest}", home.expose_secret()),
        Err(_) => path,
    }
}

const CONFIG_VARIABLE: &str = "OS_CLIENT_CONFIG_FILE";
const SECURE_VARIABLE: &str = "OS_CLIENT_SECURE_FILE";
const SWISS_PROFILE: &str = "otc-swiss";
/// As large as a `clouds.yaml` can be.
const MOST_KIB: usize = 1024;

#[cfg(test)]
mod tests;
