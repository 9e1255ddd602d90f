//! Reads all lists of a target into its records. Knows which lists there are from the product, and
//! how to walk one from `page`; what the records mean is decided elsewhere.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::backup::{Backup, BackupId, BackupType, Status};
use crate::client::{Client, RequestCount};
use crate::config::Lookback;
use crate::error::{Chain, Fault, Reason};
use crate::page::{self, Look, Paged, Walk};
use crate::product::{List, Page, Question};
use crate::target::Target;

/// What one poll leaves to the next one of its target.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// When the list without a type was read.
    untyped_read: Option<Timestamp>,
    /// What only that list brought, of types that have no list of their own.
    only_untyped: Vec<Backup>,
}

/// How far a poll has come; counted also when it fails.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests made.
    pub requests: RequestCount,
    /// Distinct records of the lists that were read to their end.
    pub records: AtomicU64,
    /// Lists that moved while they were read.
    pub moved: AtomicU64,
    /// A list whose total is about something else.
    pub has_foreign_total: AtomicBool,
    /// A list without a type that was too long to be read to its end.
    pub is_untyped_cut: AtomicBool,
}

/// The records of a target, each once, and what the next poll should know.
#[derive(Debug)]
pub struct Listing {
    /// The records.
    pub backups: Vec<Backup>,
    /// From when on the records of a windowed type are counted; none counts all.
    pub counted_from: Option<Timestamp>,
    /// Until when everything is known, if a window ended before the listing was complete.
    pub known_until: Option<Timestamp>,
    /// For the next poll.
    pub memory: Memory,
}

/// The list without a type is read at the first poll and then once a day.
const UNTYPED_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// On both ends of a window on the wire: nothing says which of the two times of a record the cloud
/// filters, and an increment lies five minutes between them.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);
/// Where the list without a type holds the incrementals, it may have thousands of pages. Types that
/// nobody documented are looked for in so many of them.
const MOST_UNTYPED_PAGES: u64 = 100;
/// No backup is kept for longer than this, so a wider window is the whole list.
const LONGEST_WINDOW: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// Reads every list of the target; `now` is the time at which that begins.
pub async fn read(
    client: &Client,
    target: &Target,
    lookback: Lookback,
    memory: &Memory,
    now: Timestamp,
    progress: &Progress,
) -> Result<Listing, Fault> {
    let mut reader = Reader::new(client, target, lookback, progress);
    reader.counted_from = begin_of(lookback, now);
    let answered = reader.typed().await?;
    // A clock that was set back makes it due too.
    let is_fresh = |read| (SignedDuration::ZERO..UNTYPED_EVERY).contains(&now.duration_since(read));
    let due = !memory.untyped_read.is_some_and(is_fresh);
    let mut untyped_read = memory.untyped_read;
    let only_untyped = if target.product.untyped && due {
        untyped_read = Some(now);
        let news = reader.untyped(&answered).await?;
        reader.add(news.iter().cloned());
        news
    } else {
        let news = memory.only_untyped.iter().filter(|backup| reader.is_news(&answered, backup));
        news.cloned().collect()
    };
    // Of a type with a list of its own that list says from now on what there is: a record that came
    // between the two lists may be gone by then.
    let kept = only_untyped.iter().filter(|backup| !answered.types.contains(&backup.backup_type));
    let memory = Memory { untyped_read, only_untyped: kept.cloned().collect() };
    reader.found.extend(only_untyped.into_iter().map(|backup| (backup.id.clone(), backup)));
    Ok(Listing {
        counted_from: reader.counted_from,
        known_until: reader.known_until,
        memory,
        backups: reader.found.into_values().collect(),
    })
}

/// The first record of the first list of a target, with the length of that list and its type in
/// words: whether the list may be read at all.
pub async fn first_page(client: &Client, target: &Target) -> Result<(Page<Backup>, String), Fault> {
    let backup_type =
        (target.product.lists)(target.instance_id()).first().and_then(|it| it.backup_type);
    let progress = Progress::default();
    let reader = Reader::new(client, target, Lookback::All, &progress);
    let page = reader.page(backup_type, None, 0, 1).await?;
    Ok((page, backup_type.map_or_else(String::new, |it| format!("{it} "))))
}

/// From when on incrementals are counted at a time; none counts all.
fn begin_of(lookback: Lookback, now: Timestamp) -> Option<Timestamp> {
    let Lookback::Last(length) = lookback else { return None };
    now.checked_sub(SignedDuration::try_from(length).ok()?).ok()
}

/// The types whose own list answered.
#[derive(Default)]
struct Answered {
    types: Vec<BackupType>,
    /// Those of them that were read by a window.
    windowed: Vec<BackupType>,
}

struct Reader<'a> {
    client: &'a Client,
    target: &'a Target,
    lookback: Lookback,
    progress: &'a Progress,
    found: HashMap<BackupId, Backup>,
    /// Pages that the cloud gave.
    answers: AtomicU64,
    counted_from: Option<Timestamp>,
    known_until: Option<Timestamp>,
}

/// A time window that is laid when its first page is asked for: before that the request may have
/// waited for the budget. All pages of a walk have the same one.
struct Window {
    length: SignedDuration,
    laid: OnceLock<Timestamp>,
}

impl Window {
    fn new(length: SignedDuration) -> Self {
        Self { length, laid: OnceLock::new() }
    }

    /// Begin and end on the wire, given the time of a request.
    fn around(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let laid = *self.laid.get_or_init(|| now);
        let begin = laid.checked_sub(self.length.saturating_add(MARGIN)).ok()?;
        Some((begin, laid.checked_add(MARGIN).ok()?))
    }
}

impl<'a> Reader<'a> {
    fn new(
        client: &'a Client,
        target: &'a Target,
        lookback: Lookback,
        progress: &'a Progress,
    ) -> Self {
        Self {
            client,
            target,
            lookback,
            progress,
            found: HashMap::new(),
            answers: AtomicU64::new(0),
            counted_from: None,
            known_until: None,
        }
    }
}

impl Reader<'_> {
    /// Reads the lists that the product names. A type that the cloud does not accept for this
    /// instance has no records, if it accepts another.
    async fn typed(&mut self) -> Result<Answered, Fault> {
        let mut answered = Answered::default();
        let mut refused = None;
        for list in (self.target.product.lists)(self.target.instance_id()) {
            let answers = self.answers.load(Ordering::Relaxed);
            let outcome = match self.lookback {
                Lookback::Last(lookback) if list.windowed => {
                    self.within(list.backup_type, lookback).await
                }
                _ => self.walk(list.backup_type, None).await,
            };
            match outcome {
                Ok(backups) => {
                    answered.types.extend(list.backup_type);
                    if list.windowed {
                        answered.windowed.extend(list.backup_type);
                    }
                    self.add(backups);
                }
                Err(fault) if is_bad_request(&fault) && self.refuses(list, answers).await? => {
                    refused = Some(fault);
                }
                Err(fault) => return Err(fault),
            }
        }
        match refused {
            Some(fault) if answered.types.is_empty() => Err(fault),
            _ => Ok(answered),
        }
    }

    /// Whether the cloud refuses the type, after a 400. It does not if it gave a page of it before,
    /// and not if only the window was wrong.
    async fn refuses(&self, list: &List, answers_before: u64) -> Result<bool, Fault> {
        if self.answers.load(Ordering::Relaxed) > answers_before {
            return Ok(false);
        }
        if !list.windowed {
            return Ok(true);
        }
        match self.page(list.backup_type, None, 0, 1).await {
            Ok(_) => Ok(false),
            Err(fault) if is_bad_request(&fault) => Ok(true),
            Err(fault) => Err(fault),
        }
    }

    /// What the list without a type brings besides. Nothing says that it may be asked for, nor that
    /// it leaves out the incrementals, which are many and come while it is read: so it is gone
    /// through once, and only if it has news must it prove that they are all.
    async fn untyped(&mut self, answered: &Answered) -> Result<Vec<Backup>, Fault> {
        let answers = self.answers.load(Ordering::Relaxed);
        let (first, trouble) = match self.look(answered).await {
            Ok(look) => look,
            Err(fault) if is_bad_request(&fault) => {
                let refused = self.answers.load(Ordering::Relaxed) == answers;
                return if refused { Ok(Vec::new()) } else { Err(fault) };
            }
            Err(fault) => return Err(fault),
        };
        let Some(trouble) = trouble.filter(|_| !first.is_empty()) else { return Ok(first) };
        let (second, again) = self.look(answered).await?;
        let Some(again) = again.filter(|_| first != second) else { return Ok(second) };
        self.moved();
        Err(Fault::new(
            Reason::Pagination,
            format!("the list without a type moved while it was read: {trouble}; then {again}"),
        ))
    }

    /// The news of the list without a type by id, and why they may not be all.
    async fn look(&self, answered: &Answered) -> Result<(Vec<Backup>, Option<String>), Fault> {
        let mut list = ListOf { reader: self, backup_type: None, window: None };
        let limit = self.target.product.page_limit;
        let Look { entries, trouble, cut } =
            page::look(limit, MOST_UNTYPED_PAGES, &mut list).await?;
        if cut {
            self.progress.is_untyped_cut.store(true, Ordering::Relaxed);
        }
        let mut news: Vec<Backup> =
            entries.into_iter().filter(|backup| self.is_news(answered, backup)).collect();
        news.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok((news, trouble))
    }

    /// Whether no other list brought the record. The list of a windowed type is all there is to know
    /// of that type: what another list brings of it lies outside the window.
    fn is_news(&self, answered: &Answered, backup: &Backup) -> bool {
        !self.found.contains_key(&backup.id) && !answered.windowed.contains(&backup.backup_type)
    }

    /// Reads what began within the lookback; if that holds no completed record, further back until
    /// there is one.
    async fn within(
        &mut self,
        backup_type: Option<BackupType>,
        lookback: Duration,
    ) -> Result<Vec<Backup>, Fault> {
        let mut length = SignedDuration::try_from(lookback).unwrap_or(LONGEST_WINDOW);
        let window = Window::new(length);
        let mut backups = self.walk(backup_type, Some(&window)).await?;
        if let Some(laid) = window.laid.get() {
            self.counted_from = begin_of(self.lookback, *laid);
            self.known_until = laid.checked_add(MARGIN).ok();
        }
        if has_success(&backups, backup_type) {
            return Ok(backups);
        }
        let all = self.page(backup_type, None, 0, 1).await?;
        if all.is_empty() {
            return Ok(backups);
        }
        while !has_success(&backups, backup_type) && (backups.len() as u64) < all.total {
            length = length.saturating_mul(2);
            if length > LONGEST_WINDOW {
                return self.walk(backup_type, None).await;
            }
            backups = self.walk(backup_type, Some(&Window::new(length))).await?;
        }
        Ok(backups)
    }

    async fn walk(
        &self,
        backup_type: Option<BackupType>,
        window: Option<&Window>,
    ) -> Result<Vec<Backup>, Fault> {
        let mut list = ListOf { reader: self, backup_type, window };
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
        walk.map(|walk| walk.entries)
    }

    async fn page(
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

    fn moved(&self) {
        self.progress.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes what a list of this poll brought.
    fn add(&mut self, backups: impl IntoIterator<Item = Backup>) {
        for backup in backups {
            self.found.insert(backup.id.clone(), backup);
        }
        self.progress.records.store(self.found.len() as u64, Ordering::Relaxed);
    }
}

/// One of the reader's lists.
struct ListOf<'r, 'a> {
    reader: &'r Reader<'a>,
    backup_type: Option<BackupType>,
    window: Option<&'r Window>,
}

impl Paged for ListOf<'_, '_> {
    type Entry = Backup;

    fn page(
        &mut self,
        offset: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Page<Backup>, Fault>> + Send {
        self.reader.page(self.backup_type, self.window, offset, limit)
    }

    /// What becomes of it is told by the walk.
    fn moved(&mut self) {}
}

/// Whether the cloud does not accept the question, rather than who asks.
fn is_bad_request(fault: &Fault) -> bool {
    fault.reason == Reason::Http4xx && fault.status == Some(400)
}

fn has_success(backups: &[Backup], backup_type: Option<BackupType>) -> bool {
    backups
        .iter()
        .any(|backup| backup.status == Status::Completed && Some(backup.backup_type) == backup_type)
}
