//! Time windows of lists that are not read whole.

use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};

/// A time window that is laid when its first page is asked for: before that the request may have
/// waited for the budget. All pages of a walk have the same one.
#[derive(Debug)]
pub(super) struct Window {
    begin: Begin,
    /// None for the time at which it is laid.
    end: Option<Timestamp>,
    laid: OnceLock<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
enum Begin {
    Ago(SignedDuration),
    At(Timestamp),
}

/// On both ends of a window on the wire: nothing says which of the two times of a record the cloud
/// filters, and an increment lies five minutes between them.
pub(super) const MARGIN: SignedDuration = SignedDuration::from_mins(10);

impl Window {
    /// The last so many hours.
    pub(super) fn last(length: SignedDuration) -> Self {
        Self { begin: Begin::Ago(length), end: None, laid: OnceLock::new() }
    }

    /// From a time on.
    pub(super) fn since(begin: Timestamp) -> Self {
        Self { begin: Begin::At(begin), end: None, laid: OnceLock::new() }
    }

    /// Between two times.
    pub(super) fn between(begin: Timestamp, end: Timestamp) -> Self {
        Self { begin: Begin::At(begin), end: Some(end), laid: OnceLock::new() }
    }

    /// When it was laid, if a page was asked for.
    pub(super) fn laid(&self) -> Option<Timestamp> {
        self.laid.get().copied()
    }

    /// Begin and end on the wire, given the time of a request.
    pub(super) fn around(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let laid = *self.laid.get_or_init(|| now);
        let begin = match self.begin {
            Begin::Ago(length) => laid.checked_sub(length).ok()?,
            Begin::At(begin) => begin,
        };
        let end = self.end.unwrap_or(laid);
        Some((begin.checked_sub(MARGIN).ok()?, end.checked_add(MARGIN).ok()?))
    }
}
