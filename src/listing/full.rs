//! The full types, which are read whole in every poll: by the list without a type where that was
//! seen to hold just them, else type by type.
//!
//! Nothing says what the list without a type holds. So it is compared with the lists of the types at
//! the first poll and then every `full_walk_interval`. Where it holds all records of the full types
//! and no incremental it stands for them, and shows types that nobody documented as well. An answer
//! that contradicts it ends that at once.

use std::collections::BTreeSet;

use foldhash::HashSet;
use jiff::{SignedDuration, Timestamp};

use super::reader::{Reader, is_bad_request};
use super::{Answered, Rhythm};
use crate::backup::{Backup, BackupId, Times};
use crate::error::{Fault, Reason};
use crate::page::Look;

/// What is known of the list without a type.
#[derive(Clone, Debug, Default)]
pub(super) struct Untyped {
    /// Whether it stands for the full types.
    stands_for_full: bool,
    /// When it is compared again; none before the first time.
    due: Option<Timestamp>,
    /// How often in a row it did not stand for the full types, and might next time.
    failures: u32,
    /// What only it brought, of types that have no list of their own.
    pub(super) only: Vec<Backup>,
}

/// Where the list without a type holds the incrementals, it may have thousands of pages. Types that
/// nobody documented are looked for in so many of them.
pub(super) const MOST_PAGES: u64 = 100;
/// After a comparison that a moving list may have spoilt the next one is due after this, and twice
/// that after each further one.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(10);

impl Untyped {
    /// Whether the list is to be compared now.
    pub(super) fn is_due(&self, rhythm: &Rhythm, now: Timestamp) -> bool {
        // A clock that was set back makes it due too.
        let in_time = |due: Timestamp| {
            let left = due.duration_since(now);
            left.is_positive() && left <= rhythm.full_walk_interval
        };
        !self.due.is_some_and(in_time)
    }

    /// Whether it stands for the full types.
    pub(super) fn stands_for_full(&self) -> bool {
        self.stands_for_full
    }

    /// It contradicted itself: it stands for nothing until it is compared again.
    pub(super) fn distrust(&mut self, now: Timestamp) {
        self.stands_for_full = false;
        self.due = self.due.min(Some(self.again_at(now)));
        self.failures = self.failures.saturating_add(1);
    }

    fn again_at(&self, now: Timestamp) -> Timestamp {
        let wait = AGAIN_AFTER.saturating_mul(1 << self.failures.min(16));
        now.checked_add(wait).unwrap_or(now)
    }
}

/// All records of the full types by the list without a type. None if an answer contradicts that.
pub(super) async fn by_untyped(reader: &Reader<'_>) -> Result<Option<Vec<Backup>>, Fault> {
    let walk = match reader.walk(None, None).await {
        Ok(walk) => walk,
        Err(fault) if fault.reason == Reason::Pagination || is_bad_request(&fault) => {
            return Ok(None);
        }
        Err(fault) => return Err(fault),
    };
    let is_mixed = walk.entries.iter().any(is_incremental);
    Ok((!is_mixed && walk.foreign_total.is_none()).then_some(walk.entries))
}

/// Compares the list without a type with what the lists of the types brought, and gives what it
/// brings besides.
pub(super) async fn compare(
    reader: &Reader<'_>,
    found: &[Backup],
    answered: &Answered,
    rhythm: &Rhythm,
    before: &Untyped,
    now: Timestamp,
) -> Result<(Untyped, Vec<Backup>), Fault> {
    let whole_due = rhythm.next(now, rhythm.full_walk_interval);
    let Some((look, news)) = besides(reader, found, answered).await? else {
        let untyped = Untyped { due: Some(whole_due), ..Untyped::default() };
        return Ok((untyped, Vec::new()));
    };
    let is_full = |backup: &&Backup| answered.full.contains(&backup.backup_type);
    let ids = |backups: &mut dyn Iterator<Item = &Backup>| -> BTreeSet<BackupId> {
        backups.filter(is_full).map(|backup| backup.id.clone()).collect()
    };
    let is_mixed = look.entries.iter().any(is_incremental);
    let is_whole = look.trouble.is_none() && !look.cut;
    let holds_full = ids(&mut look.entries.iter()) == ids(&mut found.iter());
    let stands_for_full = is_whole && !is_mixed && holds_full;
    let untyped = if stands_for_full || is_mixed || look.cut {
        Untyped { stands_for_full, due: Some(whole_due), ..Untyped::default() }
    } else {
        Untyped {
            due: Some(whole_due.min(before.again_at(now))),
            failures: before.failures.saturating_add(1),
            ..Untyped::default()
        }
    };
    Ok((untyped, news))
}

/// What the list without a type brings, and what of it is new. None if the cloud does not accept
/// that it is asked for.
///
/// Nothing says that it leaves out the incrementals, which are many and come while it is read: so it
/// is gone through once, and only if it has news must it prove that they are all.
async fn besides(
    reader: &Reader<'_>,
    found: &[Backup],
    answered: &Answered,
) -> Result<Option<(Look<Backup>, Vec<Backup>)>, Fault> {
    let answers = reader.answers();
    let first = match reader.look(MOST_PAGES).await {
        Ok(look) => look,
        Err(fault) if is_bad_request(&fault) && reader.answers() == answers => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let known = super::ids(found);
    let is_news = |it: &&Backup| is_news(&known, answered, it);
    let news = |look: &Look<Backup>| -> Vec<Backup> {
        let mut news: Vec<Backup> = look.entries.iter().filter(is_news).cloned().collect();
        news.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        news
    };
    reader.tell_cut(&first);
    let first_news = news(&first);
    // Incrementals come all the time, also where nobody asks for them.
    let to_prove = |news: &[Backup]| -> Vec<Backup> {
        news.iter().filter(|it| !is_incremental(it)).cloned().collect()
    };
    if to_prove(&first_news).is_empty() || first.trouble.is_none() {
        return Ok(Some((first, first_news)));
    }
    let second = reader.look(MOST_PAGES).await?;
    reader.tell_cut(&second);
    let second_news = news(&second);
    match (&first.trouble, &second.trouble) {
        (Some(trouble), Some(again)) if to_prove(&first_news) != to_prove(&second_news) => {
            reader.moved();
            Err(Fault::new(
                Reason::Pagination,
                format!("the list without a type moved while it was read: {trouble}; then {again}"),
            ))
        }
        _ => Ok(Some((second, second_news))),
    }
}

/// Whether it is of a type of which there are too many to read them all.
fn is_incremental(backup: &Backup) -> bool {
    backup.backup_type.times == Times::Commit
}

/// Whether no other list brought the record. The list of a windowed type is all there is to know of
/// that type: what another list brings of it lies outside the window.
pub(super) fn is_news(known: &HashSet<&BackupId>, answered: &Answered, backup: &Backup) -> bool {
    !known.contains(&backup.id) && !answered.windowed.contains(&backup.backup_type)
}
