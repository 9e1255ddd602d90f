//! The one way to ask the cloud: a GET for a project, with its credentials, within its budget and
//! its number of requests in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use reqwest::Url;
use tokio::sync::Semaphore;

use crate::auth::{Access, Account};
use crate::error::{Fault, Reason};
use crate::http::Role;

/// Asks for one project. Cheap to share.
#[derive(Debug)]
pub struct Client {
    access: Access,
    project: Box<str>,
    project_id: Box<str>,
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
    pub fn new(account: Arc<Account>, project: &str, project_id: &str, concurrency: usize) -> Self {
        Self {
            access: Access::new(account, project, project_id),
            project: project.into(),
            project_id: project_id.into(),
            in_flight: Semaphore::new(concurrency),
        }
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
        let path = format!("/v3/{}/{path}", self.project_id);
        let mut again = false;
        loop {
            let proof = self.access.proof().await?;
            let account = self.access.account();
            // First the budget, then a slot: who waits for the budget holds no slot.
            account.turn().await?;
            let closed = |_| Fault::new(Reason::Internal, "the client is closed");
            let slot = self.in_flight.acquire().await.map_err(closed)?;
            let query = query(account.now());
            let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let request = self.access.request(&proof, endpoint, &path, &query)?;
            count.0.fetch_add(1, Ordering::Relaxed);
            let answer = account.send(Role::Service, &self.project, api, request).await;
            drop(slot);
            match answer {
                Ok(answer) => {
                    self.access.accepted();
                    return Ok(answer.body);
                }
                Err(fault) if fault.reason == Reason::Auth => {
                    if !self.access.refused(&proof, again).await {
                        return Err(fault);
                    }
                    again = true;
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}
