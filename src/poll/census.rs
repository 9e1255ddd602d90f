//! The readings of an instance list: at once, and then once per interval.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::{Polling, panicked};
use crate::census::Census;
use crate::client::Client;
use crate::discovery;
use crate::error::Fault;
use crate::instance::ListedInstance;
use crate::schedule;

/// What a reading of an instance list brought.
#[derive(Debug)]
pub struct Found {
    /// Which list.
    pub census: Arc<Census>,
    /// The cloud's id of the project, if it is known by now.
    pub project_id: Option<Box<str>>,
    /// When it was read.
    pub ended: Timestamp,
    /// The instances, or why there are none.
    pub outcome: Result<Vec<ListedInstance>, Fault>,
}

impl Polling {
    /// Reads the list until the task is dropped or nobody wants to know any more.
    pub async fn census(
        self: Arc<Self>,
        census: Arc<Census>,
        client: Arc<Client>,
        found: mpsc::Sender<Found>,
    ) {
        let interval = census.discovery.interval;
        let wait = schedule::next(self.clock.now(), interval / 2, interval, census.stable_hash());
        let mut due = Instant::now() + wait;
        loop {
            let read = self.read_census(&census, &client).await;
            if found.send(read).await.is_err() {
                return;
            }
            sleep_until(due).await;
            // A reading that took longer leaves out the times that went by.
            while due <= Instant::now() {
                due += interval;
            }
        }
    }

    /// Reads the list once.
    pub async fn read_census(&self, census: &Arc<Census>, client: &Arc<Client>) -> Found {
        let work = {
            let (census, client) = (Arc::clone(census), Arc::clone(client));
            async move { discovery::read(&client, &census).await }
        };
        // In a task of its own a panic is an outcome.
        let read = AbortOnDropHandle::new(tokio::spawn(work)).await;
        let read = read.unwrap_or_else(|end| Err(panicked(end)));
        if read.as_ref().is_ok_and(|read| read.has_foreign_total)
            && self.told.is_new("total of instances", census.to_string())
        {
            warn!(
                project = %census.project,
                product = census.product.name,
                "the cloud gives for {census} a total that is about something else than the \
                 list; the list was read to its end and is used"
            );
        }
        Found {
            census: Arc::clone(census),
            project_id: client.known_project_id().map(Into::into),
            ended: self.clock.now(),
            outcome: read.map(|read| read.instances),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Told;
    use super::super::tests::{client, target};
    use super::*;
    use crate::census::censuses;
    use crate::clock::Clock;
    use crate::error::Reason;
    use crate::meter::Meters;
    use crate::product::{InstanceList, Product};
    use crate::sim::{AccessKey, Cloud, Estate, RdsInstance};
    use crate::snapshot::Board;

    #[tokio::test]
    async fn a_reading_that_panics_is_a_failed_one_and_the_list_is_read_again() {
        let cloud = Cloud::start(Estate::new()).await.unwrap();
        cloud.change(|estate| {
            estate.projects[0].id = "p1".to_owned();
            estate.projects[0].rds.push(RdsInstance::new("db", "orders"));
            estate.keys = vec![AccessKey::new("AK", "SK")];
        });
        let config = crate::target::tests::config(&format!(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    \
             rds: {{ endpoint: {}, discover: true, discovery_interval: 1s }}\n",
            cloud.rds_url()
        ));
        let census = censuses(&config).remove(0);
        let instances =
            InstanceList { decode: |_| panic!("index 7 of 3"), ..census.product.instances };
        let product: &Product = Box::leak(Box::new(Product { instances, ..*census.product }));
        let census = Arc::new(Census { product, ..census });
        let (meters, clock) = (Meters::new().unwrap(), Clock::system());
        let client =
            client(&clock, &meters, &target(|_| &[], cloud.rds_url()), Duration::from_secs(20));
        let (board, told) = (Arc::new(Board::default()), Told::default());
        let polling = Arc::new(Polling { board, meters, clock, told });
        let (sender, mut found) = mpsc::channel(1);
        let work = polling.census(Arc::clone(&census), Arc::new(client), sender);
        let _work = AbortOnDropHandle::new(tokio::spawn(work));
        for _ in 0..2 {
            let fault = found.recv().await.unwrap().outcome.unwrap_err();
            assert_eq!(fault.reason, Reason::Internal, "{fault}");
            assert!(fault.message.contains("index 7 of 3"), "{fault}");
        }
    }
}
