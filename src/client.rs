//! The one way to ask the cloud: a GET for a project, with its credentials, within its budget and
//! its number of requests in flight.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use reqwest::Url;
use tokio::sync::Semaphore;

use crate::account::{Account, Ask};
use crate::auth::Access;
use crate::config::ProjectId;
use crate::error::{Fault, Reason};
use crate::http::Role;

/// Asks for one project. Cheap to share.
#[derive(Debug)]
pub struct Client {
    access: Access,
    project: Box<str>,
    project_id: ProjectId,
    concurrency: usize,
    in_flight: Semaphore,
}

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
        }
    }

    /// The account behind it.
    pub fn account(&self) -> &Arc<Account> {
        self.access.account()
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

    /// The body of `/v3/{project_id}/{path}?{query}` at an endpoint. `api` is the label under which
    /// the request is counted.
    ///
    /// The query is made when the request goes out, from the time of that moment: waiting for the
    /// budget may take minutes.
    pub async fn get(
        &self,
        api: &str,
        endpoint: &Url,
        path: &str,
        query: &(impl Fn(Timestamp) -> Query + Sync),
        count: &RequestCount,
    ) -> Result<Vec<u8>, Fault> {
        let path = format!("/v3/{}/{path}", self.project_id().await?);
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
                api,
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
                return Err(fault);
            }
            match self.access.after_refusal(&sent, refusals).await {
                Some(next) => proof = next,
                None => return Err(fault),
            }
            refusals += 1;
        }
    }
}
