//! Incrementals: what may have changed since the last poll, or the whole lookback.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::kept::Kept;
use super::reader::{Reader, is_bad_request};
use super::window::{MARGIN, Window};
use super::{Rhythm, begin_of};
use crate::backup::{Backup, BackupType, Status};
use crate::config::Lookback;
use crate::error::{Fault, Reason};

/// What is known of the incrementals now.
pub(super) struct Incrementals {
    /// Those of the lookback, and what is needed for the last success and the failures since.
    pub(super) backups: Vec<Backup>,
    /// From when on they are counted; none counts all.
    pub(super) counted_from: Option<Timestamp>,
    /// Until when everything is known; none if that is the end of the poll.
    pub(super) known_until: Option<Timestamp>,
    /// For the next poll.
    pub(super) kept: Option<Kept>,
}

/// The whole lookback is read so often.
pub(super) const WHOLE_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// No backup is kept for longer than this, so a wider window is the whole list.
const LONGEST_WINDOW: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// Reads them as cheaply as what was kept allows.
pub(super) async fn read(
    reader: &Reader<'_>,
    backup_type: BackupType,
    rhythm: &Rhythm,
    kept: Option<&Kept>,
    now: Timestamp,
) -> Result<Incrementals, Fault> {
    let lookback = rhythm.lookback;
    if let Some(kept) = kept.filter(|kept| kept.is_good(lookback, now, WHOLE_EVERY)) {
        let outcome = match kept.from() {
            Some(from) => since(reader, backup_type, lookback, kept, from).await,
            None => still_none(reader, backup_type, kept, begin_of(lookback, now)).await,
        };
        match outcome {
            Ok(Some(incrementals)) => return Ok(incrementals),
            // The whole window tells what it is about.
            Ok(None) => {}
            Err(fault) if fault.reason == Reason::Pagination || is_bad_request(&fault) => {}
            Err(fault) => return Err(fault),
        }
    }
    let whole_due = rhythm.next(now, WHOLE_EVERY);
    whole(reader, backup_type, lookback, whole_due).await
}

/// Nothing, where there was none at all: the list has no record, in whatever window. None if it has.
async fn still_none(
    reader: &Reader<'_>,
    backup_type: BackupType,
    kept: &Kept,
    counted_from: Option<Timestamp>,
) -> Result<Option<Incrementals>, Fault> {
    let all = reader.page(Some(backup_type), None, 0, 1).await?;
    let none = Incrementals {
        backups: Vec::new(),
        counted_from,
        known_until: None,
        kept: Some(kept.clone()),
    };
    Ok((all.is_empty() && all.total == 0).then_some(none))
}

/// What may have changed, and what was kept of the rest. None if that does not fit together.
async fn since(
    reader: &Reader<'_>,
    backup_type: BackupType,
    lookback: Lookback,
    kept: &Kept,
    from: Timestamp,
) -> Result<Option<Incrementals>, Fault> {
    let window = Window::since(from);
    let walk = reader.walk(Some(backup_type), Some(&window)).await?;
    let answer = walk.entries;
    if walk.foreign_total.is_some() {
        return Ok(None);
    }
    let laid = window.laid();
    let counted_from = laid.and_then(|laid| begin_of(lookback, laid));
    let Some(mut older) = kept.older(&answer, counted_from) else { return Ok(None) };
    if let Some(tail) = older.tail().filter(|_| !kept.reaches_back()) {
        let window = Window::between(tail.0, tail.1);
        let walk = reader.walk(Some(backup_type), Some(&window)).await?;
        if walk.foreign_total.is_some() || !older.confirm(tail, &walk.entries) {
            return Ok(None);
        }
    }
    let mut backups = answer;
    if let Some(like) = backups.first().cloned() {
        backups.extend(older.into_backups(&like, backup_type));
    }
    let own = || of_type(&backups, backup_type);
    if lookback == Lookback::All {
        // A window may leave out what has no end yet, which the whole list has.
        let all = reader.page(Some(backup_type), None, 0, 1).await?;
        if all.total != own().count() as u64 {
            return Ok(None);
        }
    }
    let kept = Kept::of(own(), lookback, kept.reaches_back(), kept.whole_due());
    let known_until = laid.and_then(|laid| laid.checked_add(MARGIN).ok());
    Ok(Some(Incrementals { backups, counted_from, known_until, kept }))
}

/// Reads what began within the lookback; if that holds no completed record, further back until
/// there is one.
async fn whole(
    reader: &Reader<'_>,
    backup_type: BackupType,
    lookback: Lookback,
    whole_due: Timestamp,
) -> Result<Incrementals, Fault> {
    let Lookback::Last(length) = lookback else {
        let backups = reader.walk(Some(backup_type), None).await?.entries;
        let kept = Kept::of(of_type(&backups, backup_type), lookback, false, whole_due);
        return Ok(Incrementals { backups, counted_from: None, known_until: None, kept });
    };
    let mut length = signed(length);
    let window = Window::last(length);
    let mut backups = reader.walk(Some(backup_type), Some(&window)).await?.entries;
    let laid = window.laid();
    let counted_from = laid.and_then(|laid| begin_of(lookback, laid));
    let known_until = laid.and_then(|laid| laid.checked_add(MARGIN).ok());
    if !has_success(&backups, backup_type) {
        let all = reader.page(Some(backup_type), None, 0, 1).await?;
        while !all.is_empty()
            && !has_success(&backups, backup_type)
            && (backups.len() as u64) < all.total
        {
            length = length.saturating_mul(2);
            let window = (length <= LONGEST_WINDOW).then(|| Window::last(length));
            backups = reader.walk(Some(backup_type), window.as_ref()).await?.entries;
            if window.is_none() {
                break;
            }
        }
    }
    let own = || of_type(&backups, backup_type);
    let reaches_back = own().any(|backup| backup.begin.is_some() && backup.begin < counted_from);
    let kept = Kept::of(own(), lookback, reaches_back, whole_due);
    Ok(Incrementals { backups, counted_from, known_until, kept })
}

/// A server that ignores the type brings others too; they are taken, and not kept.
fn of_type(backups: &[Backup], backup_type: BackupType) -> impl Iterator<Item = &Backup> + Clone {
    backups.iter().filter(move |backup| backup.backup_type == backup_type)
}

fn has_success(backups: &[Backup], backup_type: BackupType) -> bool {
    let is_one = |it: &Backup| it.status == Status::Completed && it.backup_type == backup_type;
    backups.iter().any(is_one)
}

pub(super) fn signed(length: Duration) -> SignedDuration {
    SignedDuration::try_from(length).unwrap_or(LONGEST_WINDOW)
}
