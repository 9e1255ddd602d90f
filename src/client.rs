//! The one way to ask the cloud: a GET for a project, with its credentials, within its budget and
//! its number of requests in flight.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use reqwest::Url;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::account::{Account, Ask};
use crate::auth::Access;
use crate::backup::InstanceId;
use crate::config::ProjectId;
use crate::error::{Fault, Reason};
use crate::http::Role;
use crate::product::Api;

/// Asks for one project. Cheap to share.
#[derive(Debug)]
pub struct Client {
    access: Access,
    project: Box<str>,
    project_id: ProjectId,
    concurrency: usize,
    in_flight: Semaphore,
    under_way: Semaphore,
}

/// So many polls of instances may be under way for each request in flight. One that is half read
/// holds its records: were all under way at once, as after a start, all would be half read, and all
/// would end late. More than one, so that those whose answers are read or that wait to try again
/// leave no slot empty.
const POLLS_PER_REQUEST: usize = 4;

/// Names and values before encoding.
pub type Query = Vec<(&'static str, String)>;

/// Counts the requests of one poll.
#[derive(Debug, Default)]
pub struct RequestCount(AtomicU64);

impl RequestCount {
    /// How many requests were made.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Client {
    /// A client for the project of that name (the label) and id, with at most `concurrency`
    /// requests in flight.
    pub fn new(
        account: Arc<Account>,
        project: &str,
        project_id: &ProjectId,
        concurrency: usize,
    ) -> Self {
        Self {
            access: Access::new(account, project, project_id),
            project: project.into(),
            project_id: project_id.clone(),
            concurrency,
            in_flight: Semaphore::new(concurrency),
            under_way: Semaphore::new(
                POLLS_PER_REQUEST.saturating_mul(concurrency).min(Semaphore::MAX_PERMITS),
            ),
        }
    }

    /// The account behind it.
    pub fn account(&self) -> &Arc<Account> {
        self.access.account()
    }

    /// When the token in use expires, if there is one.
    pub fn token_expires_at(&self) -> Option<Timestamp> {
        self.access.token_expires_at()
    }

    /// The id of the project at the cloud, if it is known by now.
    pub fn known_project_id(&self) -> Option<&str> {
        self.access.known_project_id()
    }

    /// The id of the project at the cloud, which may have to be looked up first.
    pub async fn project_id(&self) -> Result<&str, Fault> {
        self.access.project_id().await
    }

    /// Whether a client for these would be the same.
    pub fn serves(
        &self,
        account: &Arc<Account>,
        project_id: &ProjectId,
        concurrency: usize,
    ) -> bool {
        Arc::ptr_eq(self.account(), account)
            && self.project_id == *project_id
            && self.concurrency == concurrency
    }

    /// Waits until a poll of an instance may begin; another may when what this gives is dropped.
    pub async fn begin(&self) -> Option<SemaphorePermit<'_>> {
        self.under_way.acquire().await.ok()
    }

    /// The body of an answer of a call, for the project or for an instance of it.
    ///
    /// The query is made when the request goes out, from the time of that moment: waiting for the
    /// budget may take minutes.
    pub async fn get(
        &self,
        api: &Api,
        instance_id: Option<&InstanceId>,
        endpoint: &Url,
        query: &(impl Fn(Timestamp) -> Query + Sync),
        count: &RequestCount,
    ) -> Result<Vec<u8>, Fault> {
        let path = match instance_id {
            Some(id) => api.path_of(id).ok_or_else(|| {
                let message = format!("the instance id `{id}` has a character that no id has");
                Fault::new(Reason::Decode, message)
            })?,
            None => api.path.to_owned(),
        };
        let path = format!("/{}/{}/{path}", api.version, self.project_id().await?);
        let account = self.access.account();
        let mut proof = self.access.proof().await?;
        let mut refusals = 0;
        loop {
            // What was sent, which is not what this began to wait with.
            let sent = Mutex::new(proof.clone());
            let make = || {
                let newest = self.access.newest(&proof);
                *sent.lock().unwrap_or_else(PoisonError::into_inner) = newest.clone();
                let query = query(account.now());
                let query: Vec<_> =
                    query.iter().map(|(name, value)| (*name, value.as_str())).collect();
                self.access.request(&newest, endpoint, &path, &query)
            };
            let ask = Ask {
                role: Role::Service,
                project: &self.project,
                api: api.name,
                material: proof.material(),
                in_flight: Some(&self.in_flight),
            };
            let tried = || {
                count.0.fetch_add(1, Ordering::Relaxed);
            };
            let outcome = account.ask(&ask, make, tried).await;
            let sent = sent.into_inner().unwrap_or_else(PoisonError::into_inner);
            let fault = match outcome {
                Ok(answer) => {
                    self.access.accepted(&sent);
                    return Ok(answer.body);
                }
                Err(fault) => fault,
            };
            // Without a status the cloud was not asked: nothing is wrong with the token.
            let is_no_refusal = fault.status.is_none() && sent.material().is_none();
            if fault.reason != Reason::Auth || is_no_refusal {
                return Err(with_permission(fault, api));
            }
            match self.access.after_refusal(&sent, refusals).await {
                Some(next) => proof = next,
                None => return Err(fault),
            }
            refusals += 1;
        }
    }
}

/// Names what is missing, where the cloud documents it.
fn with_permission(mut fault: Fault, api: &Api) -> Fault {
    if fault.reason == Reason::Forbidden {
        fault.message += &match api.permission {
            Some(permission) => format!("; it needs the permission `{permission}`"),
            None => "; the cloud names no permission for it, the role `Tenant Guest` has it".into(),
        };
    }
    fault
}
