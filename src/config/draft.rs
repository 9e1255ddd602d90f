//! A credential as far as its own block says it. What is missing comes from the projects that use
//! it: where they are says where IAM is.

use std::path::PathBuf;

use super::cloud::Cloud;
use super::endpoint::Endpoint;
use super::file;
use super::place::{Id, Site};
use super::problem::quoted;
use super::report::Report;
use super::secret::Secret;
use super::{Credential, CredentialKind, Domain};

/// A credential that was read.
pub(super) struct Draft {
    pub(super) name: String,
    /// Where its address of IAM stands, or would stand.
    pub(super) auth_url_path: String,
    /// How it is called there, if that is not clear from the path.
    pub(super) auth_url_name: String,
    /// The address of IAM, or what is wrong with it; none if it is not said.
    pub(super) auth_url: Option<Result<Endpoint, String>>,
    /// Whether it is meant to have a password, which is of no use without IAM.
    pub(super) is_password: bool,
    /// None if something is wrong with it, which was told; so are the next two.
    pub(super) kind: Option<Kind>,
    pub(super) requests_per_second: Option<f64>,
    pub(super) ca_file: Result<Option<PathBuf>, ()>,
    pub(super) insecure_http: bool,
    /// What it says of the projects that use it. None if it could not be read, which was told.
    pub(super) hints: Option<Hints>,
}

/// What the block itself, an entry of a `clouds.yaml` or the environment says about signing in.
#[derive(Default)]
pub(super) struct Found {
    /// As in [`Draft`], and so are the others.
    pub(super) is_password: bool,
    pub(super) kind: Option<Kind>,
    pub(super) auth_url: Option<Result<Endpoint, String>>,
    pub(super) auth_url_name: String,
    pub(super) ca_file: Option<String>,
    pub(super) hints: Hints,
}

/// With what to sign in, but for the address.
pub(super) enum Kind {
    Keys { access_key: Secret, secret_key: Secret, security_token: Option<Secret> },
    Password { username: String, user_domain: Domain, password: Secret },
}

/// What a credential from elsewhere says about the project that it was written for.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    /// Where that stands, for messages.
    pub(super) source: String,
    pub(super) cloud: Option<&'static Cloud>,
    pub(super) region: Option<String>,
    pub(super) project_id: Option<String>,
    pub(super) project_name: Option<String>,
}

impl Draft {
    /// The credential. None if anything is wrong with it; the report then says what.
    pub(super) fn finish(
        &self,
        written: &file::Config,
        sites: &[Site],
        report: &mut Report,
    ) -> Option<Credential> {
        let projects = written.projects.as_deref().unwrap_or_default();
        let uses: Vec<(&file::Project, &Site)> = projects
            .iter()
            .zip(sites)
            .filter(|(project, _)| project.credentials.as_deref() == Some(&self.name))
            .collect();
        let auth_url = if self.is_password { self.auth_url(&uses, report) } else { None };
        if !self.is_password {
            self.check_address_of_keys(&uses, report)?;
        }
        let kind = match self.kind.as_ref()? {
            Kind::Keys { access_key, secret_key, security_token } => CredentialKind::Keys {
                access_key: access_key.clone(),
                secret_key: secret_key.clone(),
                security_token: security_token.clone(),
            },
            Kind::Password { username, user_domain, password } => CredentialKind::Password {
                auth_url: auth_url?,
                username: username.clone(),
                user_domain: user_domain.clone(),
                password: password.clone(),
            },
        };
        Some(Credential {
            name: self.name.clone(),
            kind,
            requests_per_second: self.requests_per_second?,
            ca_file: self.ca_file.clone().ok()?,
            insecure_http: self.insecure_http,
        })
    }

    /// The address of IAM: its own, else the one of all projects that use it.
    fn auth_url(&self, uses: &[(&file::Project, &Site)], report: &mut Report) -> Option<Endpoint> {
        let message = match &self.auth_url {
            Some(Ok(auth_url)) => return Some(auth_url.clone()),
            Some(Err(error)) => error.clone(),
            None => {
                let mut found: Vec<(String, &str)> = Vec::new();
                for (project, site) in uses {
                    let address = site.place.and_then(|place| place.iam());
                    let address = address.map(|address| address.to_string());
                    let name = project.name.as_deref().unwrap_or_default();
                    if let Some(address) = address
                        && !found.iter().any(|(known, _)| *known == address)
                    {
                        found.push((address, name));
                    }
                }
                match found.as_slice() {
                    [_] => {
                        return uses.iter().find_map(|(_, site)| site.place?.iam());
                    }
                    [] if uses.iter().any(|(_, site)| site.is_told) => return None,
                    [] => format!(
                        "is missing; write such as `{EXAMPLE}`, or `cloud` and `region` in the \
                         projects that use it"
                    ),
                    several => {
                        let several: Vec<String> = several
                            .iter()
                            .map(|(address, name)| {
                                format!("{} (project {})", quoted(address), quoted(name))
                            })
                            .collect();
                        format!(
                            "is missing, and its projects are in several places; write one of {}",
                            several.join(" or ")
                        )
                    }
                }
            }
        };
        report.error(&self.auth_url_path, format!("{}{message}", self.auth_url_name));
        None
    }

    /// Whether it stands in the config itself.
    fn is_own(&self) -> bool {
        self.hints.as_ref().is_some_and(|hints| hints.source.is_empty())
    }

    /// Keys are in no need of IAM, unless a project's id is to be looked up.
    fn check_address_of_keys(
        &self,
        uses: &[(&file::Project, &Site)],
        report: &mut Report,
    ) -> Option<()> {
        // A project with a wrong id may have been meant to be looked up.
        let mut ids = uses.iter().map(|(_, site)| site.project_id.as_ref());
        let is_used = ids.any(|id| !matches!(id, Some(Id::Known(_))));
        match &self.auth_url {
            Some(Err(error)) if is_used => {
                let message = format!("{}{error}", self.auth_url_name);
                report.error(&self.auth_url_path, message);
                None
            }
            Some(_) if !is_used && self.is_own() && self.kind.is_some() => {
                let message = "is not used: with an access key every request is signed, and each \
                               project has its `project_id`; remove it";
                report.finding_at_key(&self.auth_url_path, message);
                Some(())
            }
            _ => Some(()),
        }
    }
}

/// An address of IAM, as an example.
pub(super) const EXAMPLE: &str = "https://iam.eu-de.otc.t-systems.com/v3";
