//! Order, offset and limit of a list, the same for every service.

use std::cmp::Reverse;

use super::{
    id,
    record::Record,
    request::Request,
    switches::{Order, Switches},
};

/// The part of a list that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Slice {
    /// Reads `offset` and `limit`; nothing if one of them is out of bounds or no number.
    pub(super) fn asked(request: &Request, default: usize, largest: usize) -> Option<Self> {
        let number = |name: &str, default: usize| match request.parameter(name) {
            None => Some(default),
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Some(_) => None,
        };
        let offset = number("offset", 0)?;
        let limit = number("limit", default)?;
        (1..=largest).contains(&limit).then_some(Self { offset, limit })
    }

    /// The slice that the cloud gives instead of the one that was asked.
    pub(super) fn granted(self, switches: &Switches) -> Self {
        Self {
            offset: if switches.offset_is_ignored { 0 } else { self.offset },
            limit: self.limit.min(switches.page_cap.unwrap_or(usize::MAX)).max(1),
        }
    }

    /// The records of this slice.
    pub(super) fn of<R>(self, list: &[R]) -> &[R] {
        let start = self.offset.min(list.len());
        let end = self.offset.saturating_add(self.limit).min(list.len());
        list.get(start..end).unwrap_or_default()
    }
}

/// Puts a list into the order of the switch. Records without a begin count as the oldest.
pub(super) fn sort(list: &mut [impl Record], order: Order) {
    match order {
        Order::NewestFirst => {
            list.sort_by(|one, other| {
                Reverse((one.begin(), one.id())).cmp(&Reverse((other.begin(), other.id())))
            });
        }
        Order::OldestFirst => {
            list.sort_by(|one, other| (one.begin(), one.id()).cmp(&(other.begin(), other.id())));
        }
        Order::Unordered => list.sort_by_cached_key(|record| id::hash(&[record.id()])),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::sim::{RdsBackup, Service};

    fn slice(query: &str) -> Option<Slice> {
        let target = format!("/v3/p/backups?{query}");
        let request = Request::new(Service::Rds, "GET", &target, Vec::new(), Vec::new());
        Slice::asked(&request, 100, 100)
    }

    #[test]
    fn offset_and_limit_have_bounds_and_defaults() {
        let whole = Slice { offset: 0, limit: 100 };
        assert_eq!(slice(""), Some(whole));
        assert_eq!(slice("offset=200&limit=1"), Some(Slice { offset: 200, limit: 1 }));
        for wrong in
            ["limit=0", "limit=101", "limit=-1", "offset=-1", "offset=x", "limit=1.5", "limit=%2B5"]
        {
            assert_eq!(slice(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn slices_cover_a_list_once_and_end_empty() {
        let list: Vec<u32> = (0..25).collect();
        let mut read = Vec::new();
        for offset in [0, 10, 20, 30] {
            read.extend_from_slice(Slice { offset, limit: 10 }.of(&list));
        }
        assert_eq!(read, list);
        assert!(Slice { offset: usize::MAX, limit: 10 }.of(&list).is_empty());
    }

    #[test]
    fn the_shuffle_is_the_same_each_time_and_is_no_order_of_time() {
        let list = || -> Vec<RdsBackup> {
            (0..50)
                .map(|hour| {
                    let begin = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
                    RdsBackup::building("a48e43ff268f4c0e879652d65e63d0fbin01", "auto", begin)
                })
                .collect()
        };
        let (mut one, mut other, mut newest, mut oldest) = (list(), list(), list(), list());
        other.reverse();
        sort(&mut one, Order::Unordered);
        sort(&mut other, Order::Unordered);
        sort(&mut newest, Order::NewestFirst);
        sort(&mut oldest, Order::OldestFirst);
        assert_eq!(one, other);
        assert_eq!(oldest, list());
        assert_ne!(one, newest);
        assert_ne!(one, oldest);
        newest.reverse();
        assert_eq!(newest, oldest);
    }
}
