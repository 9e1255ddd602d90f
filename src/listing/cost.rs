//! How many requests the lists of a target take: what the files beside this one do, told ahead. A test
//! compares the two by counting at the simulated cloud.

use std::time::Duration;

use super::incremental::{WHOLE_EVERY, signed};
use super::reader::{Reader, is_bad_request};
use super::window::{MARGIN, Window};
use super::{Progress, full};
use crate::client::Client;
use crate::config::{Lookback, Poll};
use crate::error::Fault;
use crate::page;
use crate::product::Product;
use crate::target::Target;

/// How many records the lists of a target have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Totals {
    /// Each list, in the order of the product; of a windowed one what lies in the window of the
    /// lookback. None where the cloud does not accept the type.
    pub lists: Vec<Option<u64>>,
    /// The list without a type, where it is read besides. None where the cloud does not accept it.
    pub untyped: Option<u64>,
}

/// What the lists of a target take, in requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cost {
    /// The first poll.
    pub first: u64,
    /// Each further one.
    pub steady: u64,
    /// What is added where the whole lookback is read.
    pub whole: Extra,
    /// What is added where the list without a type is compared with those of the types.
    pub comparison: Extra,
}

/// What some polls take besides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extra {
    /// In requests.
    pub requests: u64,
    /// How often there is such a poll.
    pub every: Duration,
}

/// Incrementals of a day, where they are not counted: one every five minutes, as the cloud's documents
/// say.
pub const INCREMENTALS_A_DAY: u64 = 288;
/// The days of incrementals that there are, where all of them are counted and nobody asked: as long as
/// the cloud keeps backups unless it is told otherwise.
pub const DAYS_KEPT: u64 = 7;
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Totals {
    /// What is assumed of an instance, or of a project, that nobody has asked for: one page of full
    /// backups, and an incremental every five minutes.
    pub fn assumed(product: &Product, instance_id: &str, lookback: Lookback) -> Self {
        let lists = (product.lists)(instance_id);
        let full = lists.iter().filter(|list| !list.windowed).count() as u64;
        let each = u64::from(product.page_limit) / full.max(1);
        let days = match lookback {
            Lookback::All => DAY * u32::try_from(DAYS_KEPT).unwrap_or(u32::MAX),
            Lookback::Last(length) => length.saturating_add(MARGIN.unsigned_abs()),
        };
        let windowed = days.as_secs().saturating_mul(INCREMENTALS_A_DAY).div_ceil(DAY.as_secs());
        Self {
            lists: lists.iter().map(|it| Some(if it.windowed { windowed } else { each })).collect(),
            untyped: product.untyped.then_some(each * full),
        }
    }

    /// What polls of a target with these lists take.
    pub fn cost(&self, product: &Product, instance_id: &str, poll: &Poll) -> Cost {
        let limit = product.page_limit;
        let lists = (product.lists)(instance_id).iter().zip(&self.lists);
        // The first poll, or one that compares: each list by itself. A refused type is asked for in
        // vain, a windowed one once more without the window.
        let (mut full, mut whole, mut since) = (0, 0, 0);
        let mut full_records = 0;
        for (list, total) in lists {
            match (list.windowed, total) {
                (false, Some(total)) => {
                    full += page::requests(*total, limit);
                    full_records += total;
                }
                (false, None) => full += 1,
                (true, None) => {
                    whole += 2;
                    since += 2;
                }
                (true, Some(total)) => {
                    // Whether there are any before the lookback.
                    let is_asked_beyond = *total == 0 && poll.incremental_lookback != Lookback::All;
                    whole += page::requests(*total, limit) + u64::from(is_asked_beyond);
                    // A lookback without begin: how many there are, and whether the oldest ones, which
                    // are not of the last hour, have expired.
                    let is_all = poll.incremental_lookback == Lookback::All;
                    let has_tail = is_all && *total > INCREMENTALS_A_DAY / 24 + 1;
                    since += 1 + u64::from(is_all) + u64::from(has_tail);
                }
            }
        }
        let untyped = self.untyped.filter(|_| product.untyped);
        let compared = match untyped {
            _ if !product.untyped => 0,
            None => 1,
            Some(total) => page::look_requests(total, limit, full::MOST_PAGES),
        };
        let stands_for_full = untyped == Some(full_records);
        let full_steady = if stands_for_full { page::requests(full_records, limit) } else { full };
        Cost {
            first: full + whole + compared,
            steady: full_steady + since,
            whole: Extra {
                requests: whole.saturating_sub(since),
                every: WHOLE_EVERY.unsigned_abs(),
            },
            comparison: Extra {
                requests: (full + compared).saturating_sub(full_steady),
                every: poll.full_walk_interval.unsigned_abs(),
            },
        }
    }
}

/// Asks how many records each list has, by one request for each.
pub async fn totals(client: &Client, target: &Target, lookback: Lookback) -> Result<Totals, Fault> {
    let progress = Progress::default();
    let reader = Reader::new(client, target, &progress);
    let mut totals = Totals { lists: Vec::new(), untyped: None };
    for list in (target.product.lists)(target.instance_id()) {
        let window = match lookback {
            Lookback::Last(length) if list.windowed => Some(Window::last(signed(length))),
            _ => None,
        };
        let page = reader.page(list.backup_type, window.as_ref(), 0, 1).await;
        totals.lists.push(accepted(page.map(|page| page.total))?);
    }
    if target.product.untyped {
        totals.untyped = accepted(reader.page(None, None, 0, 1).await.map(|page| page.total))?;
    }
    Ok(totals)
}

/// None if the cloud does not accept the question.
fn accepted(total: Result<u64, Fault>) -> Result<Option<u64>, Fault> {
    match total {
        Ok(total) => Ok(Some(total)),
        Err(fault) if is_bad_request(&fault) => Ok(None),
        Err(fault) => Err(fault),
    }
}
