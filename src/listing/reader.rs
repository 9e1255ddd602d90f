//! Asks for pages of a target's lists and walks them, and counts what that takes.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Progress;
use super::window::Window;
use crate::backup::{Backup, BackupType};
use crate::client::Client;
use crate::error::{Chain, Fault, Reason};
use crate::page::{self, Look, Paged, Walk};
use crate::product::{Page, Question};
use crate::target::Target;

/// The way to the lists of one target.
pub(super) struct Reader<'a> {
    pub(super) client: &'a Client,
    pub(super) target: &'a Target,
    pub(super) progress: &'a Progress,
    /// Pages that the cloud gave.
    answers: AtomicU64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(client: &'a Client, target: &'a Target, progress: &'a Progress) -> Self {
        Self { client, target, progress, answers: AtomicU64::new(0) }
    }

    /// How many pages the cloud gave so far.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Reads a list to its end.
    pub(super) async fn walk(
        &self,
        backup_type: Option<BackupType>,
        window: Option<&Window>,
    ) -> Result<Walk<Backup>, Fault> {
        let mut list = ListOf { reader: self, backup_type, window, left: None };
        let walk = page::walk(self.target.product.page_limit, &mut list).await;
        match &walk {
            Ok(Walk { foreign_total: Some(_), .. }) => {
                self.progress.has_foreign_total.store(true, Ordering::Relaxed);
            }
            Ok(Walk { moved: false, .. }) => {}
            Ok(_) => self.moved(),
            Err(fault) if fault.reason == Reason::Pagination => self.moved(),
            Err(_) => {}
        }
        walk
    }

    /// Goes through the list without a type once.
    pub(super) async fn look(&self, most_pages: u64) -> Result<Look<Backup>, Fault> {
        let mut list = ListOf { reader: self, backup_type: None, window: None, left: None };
        page::look(self.target.product.page_limit, most_pages, &mut list).await
    }

    /// One page.
    pub(super) async fn page(
        &self,
        backup_type: Option<BackupType>,
        window: Option<&Window>,
        offset: u64,
        limit: u32,
    ) -> Result<Page<Backup>, Fault> {
        let Target { product, endpoint, instance, .. } = self.target;
        let instance_id = instance.as_ref().map(|instance| &instance.id);
        let query = |now| {
            let window = window.and_then(|window| window.around(now));
            let mut query = (product.query)(&Question { instance_id, backup_type, window });
            query.push(("offset", offset.to_string()));
            query.push(("limit", limit.to_string()));
            query
        };
        let requests = &self.progress.requests;
        let body = self.client.get(&product.backups, None, endpoint, &query, requests).await;
        let page = body.and_then(|body| {
            self.answers.fetch_add(1, Ordering::Relaxed);
            (product.decode)(&body, instance_id).map_err(|error| {
                Fault::new(Reason::Decode, format!("the answer cannot be read: {}", Chain(&error)))
            })
        });
        page.map_err(|fault| match backup_type {
            Some(backup_type) => fault.during(format_args!("cannot list `{backup_type}` backups")),
            None => fault.during("cannot list backups"),
        })
    }

    /// Notes that a list was left before its end.
    pub(super) fn tell_cut(&self, look: &Look<Backup>) {
        self.progress.is_untyped_cut.fetch_or(look.cut, Ordering::Relaxed);
    }

    /// A list moved while it was read.
    pub(super) fn moved(&self) {
        self.progress.moved.fetch_add(1, Ordering::Relaxed);
    }
}

/// One of the reader's lists.
struct ListOf<'r, 'a> {
    reader: &'r Reader<'a>,
    backup_type: Option<BackupType>,
    window: Option<&'r Window>,
    /// Pages announced and not come yet; none before the first page.
    left: Option<u64>,
}

impl ListOf<'_, '_> {
    /// Counts a page that came, for those who watch.
    fn count(&mut self, total: u64, limit: u32) {
        let progress = self.reader.progress;
        let announced = match self.left {
            None => {
                let pages = total.div_ceil(u64::from(limit.max(1))).clamp(1, page::MAX_PAGES);
                // A walk of more than one ends by its first page.
                pages + u64::from(pages > 1)
            }
            // One more than was thought.
            Some(0) => 1,
            Some(_) => 0,
        };
        progress.announced.fetch_add(announced, Ordering::Relaxed);
        progress.pages.fetch_add(1, Ordering::Relaxed);
        self.left = Some(self.left.unwrap_or_default() + announced - 1);
    }
}

impl Paged for ListOf<'_, '_> {
    type Entry = Backup;

    async fn page(&mut self, offset: u64, limit: u32) -> Result<Page<Backup>, Fault> {
        let page = self.reader.page(self.backup_type, self.window, offset, limit).await?;
        self.count(page.total, limit);
        Ok(page)
    }

    /// What becomes of it is told by the walk.
    fn moved(&mut self) {}
}

/// Whether the cloud does not accept the question, rather than who asks.
pub(super) fn is_bad_request(fault: &Fault) -> bool {
    fault.reason == Reason::Http4xx && fault.status == Some(400)
}
