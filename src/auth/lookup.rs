//! The id of a project that the config does not have: IAM is asked for it by name.
//!
//! Sources: "Querying Project Information Based on the Specified Criteria" of both clouds for the
//! list, "Obtaining a User Token Through Password Authentication" for a token that is scoped by name.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use tracing::info;

use super::token::Scope;
use super::{Access, Proof};
use crate::account::{Ask, Material, Secrets};
use crate::config::{Endpoint, ProjectId};
use crate::error::{Fault, Reason};
use crate::http::Role;

/// The label `api` of look-ups.
pub const PROJECTS_API: &str = "iam_projects";

/// That there is no such project is not asked again for so long.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// The same for who may not ask, since each try is a sign-in or two that IAM refuses, and several of
/// them within a quarter of an hour may lock the user (IAM, login policy).
const ASK_AGAIN_FORBIDDEN: Duration = Duration::from_secs(15 * 60);

/// What is known of the id.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    id: OnceLock<Box<str>>,
    /// The last failure, which is that of all who waited for it.
    failure: Mutex<Option<(Instant, Fault)>>,
    /// Held while the cloud is asked: who comes meanwhile waits for that answer.
    asking: tokio::sync::Mutex<()>,
}

impl Lookup {
    /// Nothing is asked if the config has the id.
    pub(super) fn new(project_id: &ProjectId) -> Self {
        let lookup = Self::default();
        if let ProjectId::Known(id) = project_id {
            lookup.id.get_or_init(|| id.as_str().into());
        }
        lookup
    }

    /// The id, if it is known.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.get().map(|id| &**id)
    }

    /// The failure that also answers who began to ask at `asked`.
    fn failure(&self, asked: Instant) -> Option<Fault> {
        let failure = self.lock();
        let (at, fault) = failure.as_ref()?;
        let holds = match fault.reason {
            Reason::Forbidden => ASK_AGAIN_FORBIDDEN,
            Reason::NotFound => ASK_AGAIN,
            _ => Duration::ZERO,
        };
        let answers = *at >= asked || asked < *at + holds;
        answers.then(|| fault.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Fault)>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Access {
    /// The id of the project, if it is known by now.
    pub fn known_project_id(&self) -> Option<&str> {
        self.lookup.id()
    }

    /// The id of the project. If the config does not have it, it is looked up the first time that it
    /// is wanted, once for all who want it, and kept.
    pub async fn project_id(&self) -> Result<&str, Fault> {
        if let Some(id) = self.lookup.id.get() {
            return Ok(id);
        }
        let asked = Instant::now();
        let _asking = self.lookup.asking.lock().await;
        if let Some(id) = self.lookup.id.get() {
            return Ok(id);
        }
        let ProjectId::LookedUp { auth_url, names } = &self.project_id else {
            return Err(Fault::new(Reason::Internal, "a known project id is looked up"));
        };
        if let Some(fault) = self.lookup.failure(asked) {
            return Err(fault);
        }
        match self.ask_for_id(auth_url, names, asked).await {
            Ok((id, name)) => {
                let project = &self.project;
                info!(
                    project = %project,
                    project_id = %id,
                    "the project `{project}` is `{name}` at the cloud, with the id {id}"
                );
                Ok(self.lookup.id.get_or_init(|| id))
            }
            Err(fault) => {
                let fault = fault.during("cannot look up the id of the project");
                *self.lookup.lock() = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }

    /// The id, and the name that it was found by.
    async fn ask_for_id<'a>(
        &self,
        auth_url: &Endpoint,
        names: &'a [String],
        asked: Instant,
    ) -> Result<(Box<str>, &'a str), Fault> {
        let material = self.account.material()?;
        if let Some(pause) = self.pause_of(&material, asked) {
            return Err(pause);
        }
        self.look_up(auth_url, names).await.map_err(|(fault, refused)| {
            self.note_refusal(refused);
            fault
        })
    }

    /// If it is the project that is to be left alone, the secrets that were refused for it come with
    /// the fault.
    async fn look_up<'a>(
        &self,
        auth_url: &Endpoint,
        names: &'a [String],
    ) -> Result<(Box<str>, &'a str), (Fault, Option<Material>)> {
        let material = self.account.material().map_err(|fault| (fault, None))?;
        // A password needs a token for this too, of no project yet; keys sign.
        let token = match material.secrets() {
            Secrets::Keys { .. } => None,
            Secrets::Password(_) => Some(Proof::Token(self.fetch(Scope::None).await?.into())),
        };
        for name in names {
            let projects = match self.list(auth_url, name, token.as_ref()).await {
                Ok(projects) => projects,
                Err(fault) if fault.reason == Reason::Forbidden && token.is_some() => {
                    return self
                        .look_up_by_scope(names, fault)
                        .await
                        .map_err(|fault| (fault, None));
                }
                Err(fault) if fault.reason == Reason::Forbidden => {
                    return Err((fault.during(self.may_not_list()), None));
                }
                Err(fault) => {
                    let is_refused =
                        fault.reason == Reason::Auth && self.account.material().is_ok();
                    return Err((fault, is_refused.then_some(material)));
                }
            };
            match projects.as_slice() {
                [] => {}
                [project] => {
                    let id = checked(&project.id).map_err(|fault| (fault, None))?;
                    return Ok((id, name));
                }
                several => return Err((ambiguous(name, several), None)),
            }
        }
        let message =
            format!("there is no enabled project named {}; write its `project_id`", listed(names));
        Err((Fault::new(Reason::NotFound, message), None))
    }

    /// The enabled projects of that name. `token` is for who has no keys.
    async fn list(
        &self,
        auth_url: &Endpoint,
        name: &str,
        token: Option<&Proof>,
    ) -> Result<Vec<Project>, Fault> {
        let url = auth_url.url();
        let path = format!("{}/projects", url.path().trim_end_matches('/'));
        let query = [("name", name)];
        loop {
            let proof = match token {
                Some(token) => token.clone(),
                None => Proof::Keys(self.account.material()?),
            };
            let ask = Ask {
                role: Role::Service,
                project: &self.project,
                api: PROJECTS_API,
                material: proof.material(),
                in_flight: None,
            };
            let make = || self.request_for(None, &proof, url, &path, &query);
            let fault = match self.account.ask(&ask, make, || {}).await {
                Ok(answer) => {
                    self.accepted(&proof);
                    return Project::read(&answer.body, name);
                }
                Err(fault) => fault,
            };
            // Keys that were changed a moment ago are tried before the refusal is believed.
            let is_refusal = fault.reason == Reason::Auth && fault.status.is_some();
            let refused = proof.material().filter(|_| is_refusal);
            if refused.and_then(|refused| self.other_keys(refused)).is_none() {
                return Err(fault);
            }
        }
    }

    /// Who may not list projects may still sign in to one by its name: the answer has the id, and the
    /// token is the one that the project needs anyway.
    async fn look_up_by_scope<'a>(
        &self,
        names: &'a [String],
        list: Fault,
    ) -> Result<(Box<str>, &'a str), Fault> {
        for name in names {
            match self.fetch(Scope::Name(name)).await {
                Ok(token) => {
                    let id = token.project_id.as_deref().map(checked);
                    self.keep(token);
                    let id = id.unwrap_or_else(|| {
                        let message = "IAM answered without the id of the project of its token";
                        Err(Fault::new(Reason::Decode, message))
                    })?;
                    return Ok((id, name));
                }
                // IAM refuses a project that there is not as it refuses a password, which has just
                // been accepted.
                Err((fault, _)) if fault.reason == Reason::Auth && fault.status.is_some() => {}
                Err((fault, _)) => return Err(fault),
            }
        }
        let act = format!("{}; it cannot sign in to {} either", self.may_not_list(), listed(names));
        Err(list.during(act))
    }

    fn may_not_list(&self) -> String {
        let name = &self.account.credential().name;
        format!("the credential `{name}` may not list projects (write `project_id`)")
    }
}

/// A project in the answer of IAM, as far as it is used.
#[derive(Debug, Deserialize)]
struct Project {
    id: String,
    name: String,
    #[serde(default = "yes")]
    enabled: bool,
}

#[derive(Deserialize)]
struct Answer {
    projects: Vec<Project>,
}

impl Project {
    /// The enabled ones of exactly that name.
    fn read(body: &[u8], name: &str) -> Result<Vec<Self>, Fault> {
        let answer: Answer = serde_json::from_slice(body).map_err(|error| {
            let message = format!("the list of projects cannot be read: {error}");
            Fault::new(Reason::Decode, message)
        })?;
        let mut projects = answer.projects;
        projects.retain(|project| project.enabled && project.name == name);
        Ok(projects)
    }
}

fn yes() -> bool {
    true
}

/// The id becomes a part of paths.
fn checked(id: &str) -> Result<Box<str>, Fault> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if !id.is_empty() && id.bytes().all(is_good) {
        return Ok(id.into());
    }
    let message =
        format!("IAM gave the id \"{id}\", which has other than letters, digits, _ and -");
    Err(Fault::new(Reason::Decode, message))
}

fn ambiguous(name: &str, projects: &[Project]) -> Fault {
    let candidates: Vec<String> =
        projects.iter().map(|project| format!("`{}` ({})", project.id, project.name)).collect();
    let message = format!(
        "several projects are named `{name}`: {}; write the `project_id` of the one that is meant",
        candidates.join(", ")
    );
    Fault::new(Reason::NotFound, message)
}

fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enabled_projects_of_exactly_that_name_are_hits() {
        let body = br#"{"projects":[
            {"id":"a","name":"eu-de","enabled":true,"more":1},
            {"id":"b","name":"eu-de","enabled":false},
            {"id":"c","name":"eu-de_shop","enabled":true},
            {"id":"d","name":"eu-de"}],"links":{}}"#;
        let ids = |name| -> Vec<String> {
            Project::read(body, name).unwrap().into_iter().map(|project| project.id).collect()
        };
        assert_eq!(ids("eu-de"), ["a", "d"]);
        assert_eq!(ids("eu"), [""; 0]);
    }

    #[test]
    fn an_answer_that_is_no_list_is_decode() {
        for body in ["", "{}", "<html>", r#"{"projects":[{"name":"eu-de"}]}"#] {
            let fault = Project::read(body.as_bytes(), "eu-de").unwrap_err();
            assert_eq!(fault.reason, Reason::Decode, "{body}");
        }
    }

    #[test]
    fn an_id_that_would_change_a_path_is_refused() {
        assert_eq!(&*checked("0483b6b1-6e95_A").unwrap(), "0483b6b1-6e95_A");
        for id in ["", "a/b", "..", "a?b", "a b", "ä"] {
            assert_eq!(checked(id).unwrap_err().reason, Reason::Decode, "{id}");
        }
    }

    #[test]
    fn what_only_the_operator_can_change_is_not_asked_at_once_again() {
        let lookup = Lookup::default();
        let at = Instant::now();
        let second = Duration::from_secs(1);
        for (reason, seconds) in
            [(Reason::NotFound, 60), (Reason::Forbidden, 900), (Reason::Connect, 1)]
        {
            *lookup.lock() = Some((at, Fault::new(reason, "")));
            assert!(lookup.failure(at).is_some(), "who waited for it has it too");
            assert_eq!(lookup.failure(at + second).is_some(), reason != Reason::Connect);
            assert!(lookup.failure(at + (seconds - 1) * second).is_some());
            assert!(lookup.failure(at + seconds * second).is_none());
        }
    }
}
