//! Reads all lists of a target into its records, with as few requests as the truth allows. Knows which
//! lists there are from the product, and how to walk one from `page`; what the records mean is decided
//! elsewhere.

pub mod cost;
mod full;
mod incremental;
mod kept;
mod reader;
mod window;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use foldhash::HashSet;
use jiff::{SignedDuration, Timestamp};

use crate::backup::{Backup, BackupId, BackupType};
use crate::client::{Client, RequestCount};
use crate::config::Lookback;
use crate::error::Fault;
use crate::product::{List, Page};
use crate::schedule;
use crate::target::Target;
use full::Untyped;
use kept::Kept;
use reader::{Reader, is_bad_request};

/// How much is read when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rhythm {
    /// How far back incrementals are counted.
    pub lookback: Lookback,
    /// How often is read what is not needed in each poll.
    pub full_walk_interval: SignedDuration,
    /// Spreads that over the polls of all targets.
    pub phase: u64,
}

impl Rhythm {
    /// When something that is done at `now` and then in an interval is due again: at the latest after
    /// that interval.
    fn next(&self, now: Timestamp, interval: SignedDuration) -> Timestamp {
        let interval = Duration::try_from(interval).unwrap_or_default();
        let wait = schedule::next(now, Duration::from_millis(1), interval, self.phase);
        let wait = SignedDuration::try_from(wait).unwrap_or_default();
        now.checked_add(wait).unwrap_or(now)
    }
}

/// What one poll leaves to the next one of its target.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    untyped: Untyped,
    kept: Option<Kept>,
}

/// How far a poll has come; counted also when it fails.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests made.
    pub requests: RequestCount,
    /// Distinct records of the lists that were read to their end.
    pub records: AtomicU64,
    /// Pages of the lists that came.
    pub pages: AtomicU64,
    /// Pages that the lists begun so far have, by their totals.
    pub announced: AtomicU64,
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

/// Reads every list of the target; `now` is the time at which that begins.
pub async fn read(
    client: &Client,
    target: &Target,
    rhythm: &Rhythm,
    memory: &Memory,
    now: Timestamp,
    progress: &Progress,
) -> Result<Listing, Fault> {
    let reader = Reader::new(client, target, progress);
    let mut reading = Reading { reader, rhythm, now, found: Found::default() };
    let Memory { mut untyped, kept } = memory.clone();
    let lists = (target.product.lists)(target.instance_id());
    let is_due = target.product.untyped && untyped.is_due(rhythm, now);
    if !is_due && untyped.stands_for_full() && !reading.full_by_untyped().await? {
        untyped.distrust(now);
    }
    if !reading.found.is_full_whole {
        for list in lists.iter().filter(|list| !list.windowed) {
            reading.full(list).await?;
        }
    }
    for list in lists.iter().filter(|list| list.windowed) {
        reading.windowed(list, kept.as_ref()).await?;
    }
    let Reading { reader, mut found, .. } = reading;
    if let (Some(fault), false) = (found.refused.take(), found.has_answered) {
        return Err(fault);
    }
    let only_untyped = if is_due {
        let (next, news) =
            full::compare(&reader, &found.backups, &found.answered, rhythm, &untyped, now).await?;
        untyped = next;
        news
    } else if found.is_full_whole {
        let has_list =
            |it: &&Backup| lists.iter().any(|list| list.backup_type == Some(it.backup_type));
        found.backups.iter().filter(|it| !has_list(it)).cloned().collect()
    } else if untyped.only.is_empty() {
        Vec::new()
    } else {
        let known = ids(&found.backups);
        let is_news = |it: &&Backup| full::is_news(&known, &found.answered, it);
        untyped.only.iter().filter(is_news).cloned().collect()
    };
    // Of a type with a list of its own that list says from now on what there is: a record that came
    // between the two lists may be gone by then.
    let is_kept = |it: &&Backup| !found.answered.has(it.backup_type);
    untyped.only = only_untyped.iter().filter(is_kept).cloned().collect();
    found.add(only_untyped);
    progress.records.store(found.backups.len() as u64, Ordering::Relaxed);
    Ok(Listing {
        // Of incrementals that have no list of their own, too, those of the lookback are counted.
        counted_from: found.counted_from.or_else(|| begin_of(rhythm.lookback, now)),
        known_until: found.known_until,
        memory: Memory { untyped, kept: found.kept },
        backups: found.backups,
    })
}

/// The first record of the first list of a target, with the length of that list, and its type in
/// words: whether the list may be read at all.
pub async fn first_page(client: &Client, target: &Target) -> Result<(Page<Backup>, String), Fault> {
    let backup_type =
        (target.product.lists)(target.instance_id()).first().and_then(|it| it.backup_type);
    let progress = Progress::default();
    let page = Reader::new(client, target, &progress).page(backup_type, None, 0, 1).await?;
    Ok((page, backup_type.map_or_else(String::new, |it| format!("{it} "))))
}

fn ids(backups: &[Backup]) -> HashSet<&BackupId> {
    backups.iter().map(|backup| &backup.id).collect()
}

/// From when on incrementals are counted at a time; none counts all.
fn begin_of(lookback: Lookback, now: Timestamp) -> Option<Timestamp> {
    let Lookback::Last(length) = lookback else { return None };
    now.checked_sub(SignedDuration::try_from(length).ok()?).ok()
}

/// The types whose own list answered.
#[derive(Default)]
struct Answered {
    full: Vec<BackupType>,
    /// Those that were read by a window.
    windowed: Vec<BackupType>,
}

impl Answered {
    fn has(&self, backup_type: BackupType) -> bool {
        self.full.contains(&backup_type) || self.windowed.contains(&backup_type)
    }
}

/// What came so far.
#[derive(Default)]
struct Found {
    /// Each once.
    backups: Vec<Backup>,
    answered: Answered,
    /// Whether the list without a type brought all records of the full types.
    is_full_whole: bool,
    /// Whether any list answered.
    has_answered: bool,
    /// Why the cloud does not accept a type.
    refused: Option<Fault>,
    counted_from: Option<Timestamp>,
    known_until: Option<Timestamp>,
    kept: Option<Kept>,
}

impl Found {
    /// Adds the records of a list, each of which comes once. What came before by another list is
    /// what it is now.
    fn add(&mut self, backups: Vec<Backup>) {
        let known = ids(&self.backups);
        let again = backups.iter().map(|backup| &backup.id).filter(|id| known.contains(id));
        let again: HashSet<BackupId> = again.cloned().collect();
        if !again.is_empty() {
            self.backups.retain(|backup| !again.contains(&backup.id));
        }
        self.backups.extend(backups);
    }
}

/// A poll under way.
struct Reading<'a> {
    reader: Reader<'a>,
    rhythm: &'a Rhythm,
    now: Timestamp,
    found: Found,
}

impl Reading<'_> {
    /// Reads the full types by the list without a type. False if that contradicts itself.
    async fn full_by_untyped(&mut self) -> Result<bool, Fault> {
        let Some(backups) = full::by_untyped(&self.reader).await? else {
            return Ok(false);
        };
        self.found.is_full_whole = true;
        self.take(backups);
        Ok(true)
    }

    /// Reads a list whole.
    async fn full(&mut self, list: &List) -> Result<(), Fault> {
        let answers = self.reader.answers();
        match self.reader.walk(list.backup_type, None).await {
            Ok(walk) => {
                self.found.answered.full.extend(list.backup_type);
                self.take(walk.entries);
                Ok(())
            }
            Err(fault) => self.refusal(list, answers, fault).await,
        }
    }

    /// Reads a list as far back as it is counted.
    async fn windowed(&mut self, list: &List, kept: Option<&Kept>) -> Result<(), Fault> {
        let Some(backup_type) = list.backup_type else { return self.full(list).await };
        let answers = self.reader.answers();
        match incremental::read(&self.reader, backup_type, self.rhythm, kept, self.now).await {
            Ok(read) => {
                self.found.answered.windowed.push(backup_type);
                self.found.counted_from = read.counted_from;
                self.found.known_until = read.known_until;
                self.found.kept = read.kept;
                self.take(read.backups);
                Ok(())
            }
            Err(fault) => self.refusal(list, answers, fault).await,
        }
    }

    fn take(&mut self, backups: Vec<Backup>) {
        self.found.has_answered = true;
        self.found.add(backups);
        let records = self.found.backups.len() as u64;
        self.reader.progress.records.store(records, Ordering::Relaxed);
    }

    /// A type that the cloud does not accept for this instance has no records, if it accepts another.
    async fn refusal(&mut self, list: &List, answers: u64, fault: Fault) -> Result<(), Fault> {
        if !is_bad_request(&fault) || !self.refuses(list, answers).await? {
            return Err(fault);
        }
        self.found.refused = Some(fault);
        Ok(())
    }

    /// Whether the cloud refuses the type, after a 400. It does not if it gave a page of it before,
    /// and not if only the window was wrong.
    async fn refuses(&self, list: &List, answers_before: u64) -> Result<bool, Fault> {
        if self.reader.answers() > answers_before {
            return Ok(false);
        }
        if !list.windowed {
            return Ok(true);
        }
        match self.reader.page(list.backup_type, None, 0, 1).await {
            Ok(_) => Ok(false),
            Err(fault) if is_bad_request(&fault) => Ok(true),
            Err(fault) => Err(fault),
        }
    }
}
