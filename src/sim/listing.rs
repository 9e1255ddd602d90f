//! A filtered, ordered list, and its memory: a walk over hundreds of thousands of records asks for the
//! same list thousands of times, and must not sort it for every page.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    page::{self, Slice},
    record::Record,
    switches::{Switches, Total},
};

/// The records that pass the filters, in the order of the list.
#[derive(Debug)]
pub(super) struct Found<R> {
    pub(super) records: Vec<R>,
    /// How many there were before the filters.
    unfiltered: usize,
}

impl<R: Record> Found<R> {
    /// Filters and orders.
    pub(super) fn new(all: Vec<R>, switches: &Switches, passes: impl Fn(&R) -> bool) -> Self {
        let unfiltered = all.len();
        let mut records: Vec<R> = all.into_iter().filter(passes).collect();
        page::sort(&mut records, switches.order);
        Self { records, unfiltered }
    }

    /// The records of one page as JSON.
    pub(super) fn shown(&self, slice: Slice, switches: &Switches) -> Vec<Value> {
        let records = slice.of(&self.records).iter();
        records.map(|record| record.shown(switches)).collect()
    }

    /// The total as the switch has it.
    pub(super) fn total(&self, switches: &Switches) -> Option<Value> {
        total(switches, self.records.len(), self.unfiltered)
    }
}

/// The total of a list as the switch has it.
pub(super) fn total(switches: &Switches, filtered: usize, unfiltered: usize) -> Option<Value> {
    match switches.total {
        Total::Absent => None,
        Total::Filtered => Some(json!(filtered)),
        Total::Fixed(count) => Some(json!(count)),
        Total::Unfiltered => Some(json!(unfiltered)),
    }
}

/// Lists made before, by what was asked. Cleared whenever the estate or a switch changes.
#[derive(Debug)]
pub(super) struct Memory<R> {
    lists: HashMap<String, Kept<R>>,
}

#[derive(Debug)]
struct Kept<R> {
    /// The second that the list is of; none if it does not change by itself.
    second: Option<i64>,
    found: Arc<Found<R>>,
}

impl<R> Default for Memory<R> {
    fn default() -> Self {
        Self { lists: HashMap::new() }
    }
}

impl<R> Memory<R> {
    /// The list kept under this key, or a new one. `moving` says that it changes as time passes.
    pub(super) fn list(
        &mut self,
        key: String,
        moving: bool,
        now: Timestamp,
        make: impl FnOnce() -> Found<R>,
    ) -> Arc<Found<R>> {
        let second = moving.then(|| now.as_second());
        if let Some(kept) = self.lists.get(&key)
            && kept.second == second
        {
            return Arc::clone(&kept.found);
        }
        if self.lists.len() >= MOST_LISTS {
            self.lists.clear();
        }
        let found = Arc::new(make());
        let kept = Kept { second, found: Arc::clone(&found) };
        self.lists.insert(key, kept);
        found
    }

    pub(super) fn clear(&mut self) {
        self.lists.clear();
    }
}

const MOST_LISTS: usize = 64;
