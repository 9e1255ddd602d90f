//! Reads the instance list of a project to its end.

use crate::census::Census;
use crate::client::{Client, RequestCount};
use crate::error::{Chain, Fault, Reason};
use crate::instance::ListedInstance;
use crate::page::{self, Paged};
use crate::product::Page;

/// A list that was read.
#[derive(Debug)]
pub struct Discovered {
    /// Its instances, each once.
    pub instances: Vec<ListedInstance>,
    /// Whether the total that the cloud gave is about something else.
    pub has_foreign_total: bool,
}

/// Reads the list. It must add up, like a list of backups: half a list would look like instances
/// that are gone.
pub async fn read(client: &Client, census: &Census) -> Result<Discovered, Fault> {
    let mut list = List { client, census };
    let walk = page::walk(census.product.instances.page_limit, &mut list).await?;
    Ok(Discovered { instances: walk.entries, has_foreign_total: walk.foreign_total.is_some() })
}

struct List<'a> {
    client: &'a Client,
    census: &'a Census,
}

impl List<'_> {
    async fn ask(&self, offset: u64, limit: u32) -> Result<Page<ListedInstance>, Fault> {
        let Census { product, endpoint, .. } = self.census;
        let query = |_| vec![("offset", offset.to_string()), ("limit", limit.to_string())];
        let count = RequestCount::default();
        let api = &product.instances.api;
        let body = self.client.get(api, None, endpoint, &query, &count).await;
        let page = body.and_then(|body| {
            (product.instances.decode)(&body).map_err(|error| {
                Fault::new(Reason::Decode, format!("the answer cannot be read: {}", Chain(&error)))
            })
        });
        page.map_err(|fault| fault.during("cannot list instances"))
    }
}

impl Paged for List<'_> {
    type Entry = ListedInstance;

    fn page(
        &mut self,
        offset: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Page<ListedInstance>, Fault>> + Send {
        self.ask(offset, limit)
    }

    /// The next reading is soon enough.
    fn moved(&mut self) {}
}
