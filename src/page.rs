//! Walks one paged list to its end. Knows offsets and totals, not what is asked or by whom.
//!
//! The service counts records, not pages, and the list may move while it is read: a record that is
//! inserted at the head pushes another onto the next page, one that is deleted pulls another off
//! it. So a walk is believed only if it adds up, and is done once more if it does not.

use foldhash::{HashSet, HashSetExt};

use crate::error::{Fault, Reason};
use crate::product::{Entry, Page};

/// The most pages one walk may have.
pub const MAX_PAGES: u64 = 10_000;

/// Room is made ahead for so many entries at most, whatever total is promised.
const MOST_EXPECTED: u64 = 4096;

/// A list that was read to its end and adds up.
#[derive(Debug)]
pub struct Walk<E> {
    /// Its entries, each once.
    pub entries: Vec<E>,
    /// Whether it moved the first time.
    pub moved: bool,
    /// The total that the cloud gave, if it is about something else than this list.
    pub foreign_total: Option<u64>,
}

/// A list that is read page by page.
pub trait Paged {
    /// What it is made of.
    type Entry: Entry;

    /// The entries from index `offset` on, at most `limit`.
    fn page(
        &mut self,
        offset: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Page<Self::Entry>, Fault>> + Send;

    /// Told when a walk does not add up: the list moved under it, or its total is about something
    /// else.
    fn moved(&mut self);
}

/// Reads a list to its end, with pages of `limit` records.
///
/// What is returned holds every record that was there during the whole walk and none that never
/// was.
pub async fn walk<P: Paged>(limit: u32, list: &mut P) -> Result<Walk<P::Entry>, Fault> {
    let first = pass(limit, None, list).await?;
    let Some(trouble) = first.trouble() else { return Ok(first.into_walk(false)) };
    list.moved();
    let second = pass(limit, None, list).await?;
    let Some(again) = second.trouble() else { return Ok(second.into_walk(true)) };
    if first.whole_but_for_its_total()
        && second.whole_but_for_its_total()
        && first.ids == second.ids
    {
        let beyond = list.page(second.came, second.limit).await?;
        if beyond.is_empty() {
            let foreign_total = second.foreign_total();
            return Ok(Walk { foreign_total, ..second.into_walk(foreign_total.is_none()) });
        }
    }
    list.moved();
    Err(Fault::new(
        Reason::Pagination,
        format!("the list moved while it was read, twice: {trouble}; then {again}"),
    ))
}

/// How many requests a walk of a list of that length takes, if it does not move.
pub fn requests(total: u64, limit: u32) -> u64 {
    look_requests(total, limit, MAX_PAGES)
}

/// How many requests a look at a list of that length takes: its pages, and the first one again, if
/// there are more and it is read to its end.
pub fn look_requests(total: u64, limit: u32, most_pages: u64) -> u64 {
    match total.div_ceil(u64::from(limit)) {
        0 | 1 => 1,
        pages if pages <= most_pages => pages + 1,
        _ => most_pages,
    }
}

/// What one way through a list brought, whether or not it adds up.
#[derive(Debug)]
pub struct Look<E> {
    /// Its entries, each once.
    pub entries: Vec<E>,
    /// Why they may not be all, if they may not.
    pub trouble: Option<String>,
    /// Whether it was left before its end, because that is too far.
    pub cut: bool,
}

/// Goes through a list once, and through no more than `most_pages` of it. What it brings is good
/// for seeing whether there is anything new in it.
pub async fn look<P: Paged>(
    limit: u32,
    most_pages: u64,
    list: &mut P,
) -> Result<Look<P::Entry>, Fault> {
    let pass = pass(limit, Some(most_pages), list).await?;
    Ok(Look { trouble: pass.trouble(), cut: pass.cut, entries: pass.entries })
}

/// One way through the list.
struct Pass<E: Entry> {
    entries: Vec<E>,
    ids: HashSet<E::Id>,
    /// What the first page had: so many of the entries, and what is left out. Where an entry came
    /// twice on it, the pass does not add up anyway.
    head: (usize, Vec<E::Id>),
    /// How many records came, each as often as it came.
    came: u64,
    /// The total of the last page.
    total: u64,
    /// The page size in force.
    limit: u32,
    pages: u64,
    /// How many records the last page had.
    last: u64,
    total_changed: bool,
    first_page_changed: bool,
    /// Whether it was left before its end.
    cut: bool,
}

async fn pass<P: Paged>(
    limit: u32,
    cut_after: Option<u64>,
    list: &mut P,
) -> Result<Pass<P::Entry>, Fault> {
    let head = list.page(0, limit).await?;
    // A service that gives less than it was asked for says so; with offsets that are no multiple
    // of what it uses, one that counts pages would be misread.
    let limit = head.limit.filter(|echo| (1..limit).contains(echo)).unwrap_or(limit);
    let most_pages = match cut_after {
        None => most_pages(head.total, limit)?,
        Some(most) => most,
    };
    let expected = usize::try_from(head.total.min(MOST_EXPECTED)).unwrap_or(0);
    let promised = head.total;
    let mut pass = Pass {
        entries: Vec::with_capacity(expected),
        ids: HashSet::with_capacity(expected),
        head: (0, head.left_out.clone()),
        came: 0,
        total: head.total,
        limit,
        pages: 0,
        last: 0,
        total_changed: false,
        first_page_changed: false,
        cut: false,
    };
    let mut brought_news = pass.take(head);
    pass.head.0 = pass.entries.len();
    while brought_news && !pass.at_end() {
        pass.cut = cut_after.is_some_and(|most| pass.pages >= most);
        if pass.cut {
            return Ok(pass);
        }
        if pass.pages >= most_pages {
            return Err(Fault::new(
                Reason::Limit,
                format!(
                    "the list has no end: {} pages read where its first page said {} records",
                    pass.pages, promised
                ),
            ));
        }
        let page = list.page(pass.pages * u64::from(limit), limit).await?;
        brought_news = pass.take(page);
    }
    if pass.pages > 1 {
        let head_now = list.page(0, limit).await?;
        pass.total_changed |= head_now.total != pass.total;
        let (entries, left_out) = &pass.head;
        pass.first_page_changed = Some(&head_now.entries[..]) != pass.entries.get(..*entries)
            || head_now.left_out != *left_out;
    }
    Ok(pass)
}

/// As many as the total needs, and room for a list that grows while it is read.
fn most_pages(total: u64, limit: u32) -> Result<u64, Fault> {
    let needed = total.div_ceil(u64::from(limit));
    if needed > MAX_PAGES {
        return Err(Fault::new(
            Reason::Limit,
            format!("the list has {total} records, which is more than {MAX_PAGES} pages"),
        ));
    }
    Ok((2 * needed + 10).min(MAX_PAGES))
}

impl<E: Entry> Pass<E> {
    /// Adds a page. False if it is full of records that came before: the service ignores the
    /// offset, or the list moved by a whole page, and going on brings nothing.
    fn take(&mut self, page: Page<E>) -> bool {
        self.total_changed |= page.total != self.total;
        self.total = page.total;
        self.pages += 1;
        self.last = page.len() as u64;
        self.came += self.last;
        let before = self.ids.len();
        for entry in page.entries {
            if self.ids.insert(entry.id().clone()) {
                self.entries.push(entry);
            }
        }
        self.ids.extend(page.left_out);
        self.ids.len() > before
    }

    /// A short or empty page, or all that the total promises.
    fn at_end(&self) -> bool {
        let limit = u64::from(self.limit);
        self.last < limit || self.pages * limit >= self.total || self.distinct() >= self.total
    }

    fn distinct(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Ended on a short page that was not empty, nothing came twice, and the head stood still.
    fn whole_but_for_its_total(&self) -> bool {
        let short = (1..u64::from(self.limit)).contains(&self.last);
        short && self.distinct() == self.came && !self.first_page_changed
    }

    /// The total, if it stood still and is yet not the number of records. One that changed during
    /// the pass tells no more than that the list moved.
    fn foreign_total(&self) -> Option<u64> {
        (!self.total_changed && self.distinct() != self.total).then_some(self.total)
    }

    /// Why the pass does not add up, if it does not.
    fn trouble(&self) -> Option<String> {
        if self.cut {
            Some(format!("only {} of {} records were read", self.came, self.total))
        } else if self.distinct() != self.came {
            Some(format!("{} of {} records came twice", self.came - self.distinct(), self.came))
        } else if self.distinct() != self.total {
            Some(format!("{} records came, and the total is {}", self.came, self.total))
        } else if self.total_changed {
            Some("the total changed".to_owned())
        } else if self.first_page_changed {
            Some("the first page changed".to_owned())
        } else {
            None
        }
    }

    fn into_walk(self, moved: bool) -> Walk<E> {
        Walk { entries: self.entries, moved, foreign_total: None }
    }
}

#[cfg(test)]
mod tests;
