//! Lists that stand still, lie and move.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::backup::{Backup, BackupId, BackupType, InstanceId, Origin, Status, Times};

const LIMIT: u32 = 10;

fn backup(id: u32) -> Backup {
    Backup {
        id: BackupId::new(&format!("{id:05}")),
        origin: Origin::bare(InstanceId::new("db")).into(),
        backup_type: BackupType { name: "auto", times: Times::Job },
        status: Status::Completed,
        begin: None,
        end: None,
        bytes: None,
        unknown: None,
    }
}

/// What happens to a list before a question is answered, given the number of the question.
type Happening = Box<dyn FnMut(usize, &mut Vec<Backup>) + Send>;

/// A list of the cloud, and what it makes of a question.
struct Server {
    list: Vec<Backup>,
    asked: Vec<(u64, u32)>,
    change: Happening,
    total: Box<dyn Fn(u64) -> u64 + Send>,
    cap: u32,
    /// How many records it gives to whom asks for fewer.
    least: u32,
    /// What it says of the limit, if not the one it used.
    echo: Option<u32>,
    ignores_offset: bool,
    moved: u32,
    /// How many questions the walk had asked when it began once more.
    asked_before: usize,
}

impl Server {
    fn new(records: u32) -> Self {
        Self {
            list: (0..records).map(backup).collect(),
            asked: Vec::new(),
            change: Box::new(|_, _| {}),
            total: Box::new(|total| total),
            cap: u32::MAX,
            least: 0,
            echo: None,
            ignores_offset: false,
            moved: 0,
            asked_before: 0,
        }
    }

    fn changing(
        records: u32,
        change: impl FnMut(usize, &mut Vec<Backup>) + Send + 'static,
    ) -> Self {
        Self { change: Box::new(change), ..Self::new(records) }
    }

    fn answer(&mut self, offset: u64, limit: u32) -> Page<Backup> {
        (self.change)(self.asked.len(), &mut self.list);
        self.asked.push((offset, limit));
        let limit = limit.min(self.cap).max(self.least);
        let start = if self.ignores_offset { 0 } else { usize::try_from(offset).unwrap() };
        let entries = self.list.iter().skip(start).take(limit as usize).cloned().collect();
        let total = (self.total)(self.list.len() as u64);
        Page { entries, left_out: Vec::new(), total, limit: self.echo.or(Some(limit)) }
    }

    fn walk(&mut self) -> Result<Walk<Backup>, Fault> {
        now_or_never(walk(LIMIT, self))
    }
}

impl Paged for Server {
    type Entry = Backup;

    async fn page(&mut self, offset: u64, limit: u32) -> Result<Page<Backup>, Fault> {
        Ok(self.answer(offset, limit))
    }

    fn moved(&mut self) {
        self.moved += 1;
        if self.moved == 1 {
            self.asked_before = self.asked.len();
        }
    }
}

/// Answers every question alike.
struct Always(Result<Page<Backup>, Fault>);

impl Paged for Always {
    type Entry = Backup;

    async fn page(&mut self, _: u64, _: u32) -> Result<Page<Backup>, Fault> {
        self.0.clone()
    }

    fn moved(&mut self) {}
}

/// Nothing here waits.
fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("a walk over a list in memory waited"),
    }
}

fn ids(backups: &[Backup]) -> BTreeSet<String> {
    backups.iter().map(|backup| backup.id.to_string()).collect()
}

#[test]
fn a_list_of_one_page_costs_one_request() {
    for records in [0, 1, 9, 10] {
        let mut server = Server::new(records);
        let walk = server.walk().unwrap();
        assert_eq!(walk.entries, server.list);
        assert_eq!(server.asked, [(0, LIMIT)], "{records}");
        assert_eq!(server.moved, 0);
    }
}

#[test]
fn a_longer_list_is_asked_by_multiples_of_the_limit_and_ends_with_its_first_page() {
    let mut server = Server::new(25);
    assert_eq!(server.walk().unwrap().entries, server.list);
    assert_eq!(server.asked, [(0, 10), (10, 10), (20, 10), (0, 10)]);
    let mut full = Server::new(20);
    assert_eq!(full.walk().unwrap().entries.len(), 20);
    assert_eq!(full.asked, [(0, 10), (10, 10), (0, 10)], "the total ends it, not an empty page");
}

#[test]
fn a_smaller_limit_that_the_answer_echoes_is_used_from_then_on() {
    let mut server = Server { cap: 4, ..Server::new(9) };
    assert_eq!(server.walk().unwrap().entries, server.list);
    assert_eq!(server.asked, [(0, 10), (4, 4), (8, 4), (0, 4)]);
}

#[test]
fn a_record_inserted_at_the_head_makes_the_list_be_walked_once_more() {
    let mut server = Server::changing(25, |question, list| {
        if question == 1 {
            list.insert(0, backup(900));
        }
    });
    let walk = server.walk().unwrap();
    assert_eq!(walk.entries, server.list);
    assert!(walk.moved);
    assert_eq!(server.moved, 1);
}

#[test]
fn a_record_deleted_in_the_middle_does_not_hide_another() {
    let mut server = Server::changing(25, |question, list| {
        if question == 1 {
            list.remove(3);
        }
    });
    assert_eq!(server.walk().unwrap().entries, server.list);
}

#[test]
fn head_and_tail_moving_together_are_seen_by_the_first_page() {
    let mut server = Server::changing(25, |question, list| {
        if question == 1 {
            list.insert(0, backup(900));
            list.pop();
        }
    });
    assert_eq!(server.walk().unwrap().entries, server.list);
    assert_eq!(server.moved, 1);
}

#[test]
fn a_status_that_changes_on_the_first_page_makes_the_list_be_walked_once_more() {
    let mut server = Server::changing(25, |question, list| {
        if question == 2 {
            list[0].status = Status::Failed;
        }
    });
    assert_eq!(server.walk().unwrap().entries, server.list);
    assert_eq!(server.moved, 1);
}

#[test]
fn a_list_that_moves_under_both_walks_is_a_pagination_fault() {
    let mut next = 900;
    let mut server = Server::changing(25, move |_, list| {
        next += 1;
        list.insert(0, backup(next));
    });
    assert_eq!(server.walk().unwrap_err().reason, Reason::Pagination);
    assert_eq!(server.moved, 2);
}

#[test]
fn a_service_that_ignores_the_offset_is_a_pagination_fault_after_few_requests() {
    let mut server = Server { ignores_offset: true, ..Server::new(2000) };
    assert_eq!(server.walk().unwrap_err().reason, Reason::Pagination);
    assert!(server.asked.len() <= 6, "{:?}", server.asked);
}

#[test]
fn a_total_of_another_list_is_set_aside_once_the_records_prove_whole() {
    let mut server = Server { total: Box::new(|total| total + 500), ..Server::new(25) };
    let walk = server.walk().unwrap();
    assert_eq!(walk.entries, server.list);
    assert_eq!(walk.foreign_total, Some(525));
    assert!(!walk.moved);
    assert_eq!(server.asked.last(), Some(&(25, 10)), "asked once beyond the end");
}

#[test]
fn a_total_of_another_list_is_not_set_aside_when_the_walk_ended_on_a_full_or_empty_page() {
    let mut server = Server { total: Box::new(|total| total + 500), ..Server::new(20) };
    assert_eq!(server.walk().unwrap_err().reason, Reason::Pagination);
    let mut empty = Server { total: Box::new(|_| 5), ..Server::new(0) };
    assert_eq!(empty.walk().unwrap_err().reason, Reason::Pagination);
}

#[test]
fn a_record_that_comes_twice_is_never_published_as_two() {
    let mut server = Server::new(25);
    server.list.push(backup(3));
    assert_eq!(server.walk().unwrap_err().reason, Reason::Pagination);
}

#[test]
fn a_list_of_more_than_ten_thousand_pages_is_refused_by_its_first_page() {
    let mut server = Server { total: Box::new(|_| 100_001), ..Server::new(10) };
    assert_eq!(server.walk().unwrap_err().reason, Reason::Limit);
    assert_eq!(server.asked.len(), 1);
}

#[test]
fn a_list_that_grows_without_end_is_refused_by_the_bound_of_its_first_page() {
    let mut next = 0;
    let mut server = Server::changing(30, move |_, list| {
        for _ in 0..LIMIT {
            next += 1;
            list.push(backup(1000 + next));
        }
    });
    assert_eq!(server.walk().unwrap_err().reason, Reason::Limit);
    assert!(server.asked.len() < 30, "{}", server.asked.len());
}

#[test]
fn records_that_a_product_leaves_out_count_for_the_paging_and_are_not_returned() {
    let page = Page {
        entries: vec![backup(1)],
        left_out: vec![BackupId::new("gone")],
        total: 2,
        limit: None,
    };
    let walk = now_or_never(walk(LIMIT, &mut Always(Ok(page)))).unwrap();
    assert_eq!(walk.entries, [backup(1)]);
}

#[test]
fn a_look_goes_through_a_list_once_and_no_further_than_it_may() {
    let look = |server: &mut Server, most| now_or_never(look(LIMIT, most, server)).unwrap();
    let whole = look(&mut Server::new(25), 3);
    assert_eq!((whole.entries.len(), whole.trouble, whole.cut), (25, None, false));
    let mut long = Server::new(500);
    let part = look(&mut long, 3);
    assert_eq!((part.entries.len(), part.cut), (30, true));
    assert_eq!(part.trouble.as_deref(), Some("only 30 of 500 records were read"));
    assert_eq!(long.asked.len(), 3);
    let mut endless = Server { total: Box::new(|_| 10_000_000), ..Server::new(500) };
    assert!(look(&mut endless, 3).cut, "a total beyond every bound is no fault of a look");
}

#[test]
fn a_fault_of_a_page_is_the_fault_of_the_walk() {
    let fault = Fault::new(Reason::Http5xx, "the cloud answered 502");
    let walk = now_or_never(walk(LIMIT, &mut Always(Err(fault.clone()))));
    assert_eq!(walk.unwrap_err(), fault);
}

#[test]
fn an_echoed_limit_that_is_none_or_above_what_was_asked_is_not_used() {
    for echo in [0, 11, 1000] {
        let mut server = Server { echo: Some(echo), ..Server::new(25) };
        assert_eq!(server.walk().unwrap().entries, server.list);
        assert_eq!(server.asked, [(0, 10), (10, 10), (20, 10), (0, 10)], "{echo}");
    }
}

#[test]
fn a_service_that_gives_more_than_it_was_asked_for_is_read_all_the_same() {
    let mut server = Server { least: 25, ..Server::new(25) };
    assert_eq!(server.walk().unwrap().entries, server.list);
    assert_eq!(server.asked, [(0, 10)]);
}

#[test]
fn the_offset_that_reaches_the_total_ends_a_walk_although_a_record_came_twice() {
    let mut server = Server::changing(20, |question, list| {
        if question == 1 {
            list.insert(0, backup(900));
            list.pop();
        }
    });
    assert_eq!(server.walk().unwrap().entries, server.list);
    let pass = [(0, 10), (10, 10), (0, 10)];
    assert_eq!(server.asked, [pass, pass].concat());
}

#[test]
fn a_total_that_changes_with_the_last_answer_makes_the_list_be_walked_once_more() {
    let mut server = Server::changing(25, |question, list| {
        if question == 3 {
            list.push(backup(900));
        }
    });
    assert_eq!(server.walk().unwrap().entries, server.list);
    assert_eq!(server.moved, 1);
}

#[test]
fn a_list_that_grows_by_a_page_while_it_is_read_is_walked_once_more() {
    let mut server = Server::changing(20, |question, list| {
        if question == 1 {
            list.extend((900..910).map(backup));
        }
    });
    assert_eq!(server.walk().unwrap().entries, server.list);
    assert_eq!(server.moved, 1);
}

#[test]
fn ten_thousand_pages_are_not_too_many() {
    let mut server = Server { total: Box::new(|_| 100_000), ..Server::new(5) };
    assert_eq!(server.walk().unwrap().foreign_total, Some(100_000));
}

#[test]
fn a_list_without_end_is_given_up_after_ten_thousand_pages_whatever_its_total() {
    struct Endless(u32);

    impl Paged for Endless {
        type Entry = Backup;

        async fn page(&mut self, _: u64, limit: u32) -> Result<Page<Backup>, Fault> {
            self.0 += 1;
            let entries = (self.0 * limit..(self.0 + 1) * limit).map(backup).collect();
            Ok(Page { entries, ..Page::of(60_000 + u64::from(self.0 * limit), None) })
        }

        fn moved(&mut self) {}
    }

    let mut list = Endless(0);
    assert_eq!(now_or_never(walk(LIMIT, &mut list)).unwrap_err().reason, Reason::Limit);
    assert_eq!(list.0, 10_000);
}

/// Pages that come one after the other, whatever is asked.
struct Script {
    pages: std::vec::IntoIter<Page<Backup>>,
    moved: u32,
}

impl Paged for Script {
    type Entry = Backup;

    async fn page(&mut self, _: u64, _: u32) -> Result<Page<Backup>, Fault> {
        Ok(self.pages.next().expect("the script has a page more"))
    }

    fn moved(&mut self) {
        self.moved += 1;
    }
}

/// Walks over these pages, to their end, and tells how often they moved.
fn play(pages: impl IntoIterator<Item = Page<Backup>>) -> (Result<Walk<Backup>, Fault>, u32) {
    let pages: Vec<Page<Backup>> = pages.into_iter().collect();
    let mut script = Script { pages: pages.into_iter(), moved: 0 };
    let walk = now_or_never(walk(LIMIT, &mut script));
    assert_eq!(script.pages.next(), None, "the script is played to its end");
    (walk, script.moved)
}

/// A page of records with these numbers.
fn page(ids: impl IntoIterator<Item = u32>, total: u64) -> Page<Backup> {
    Page { entries: ids.into_iter().map(backup).collect(), ..Page::of(total, None) }
}

#[test]
fn records_that_a_product_leaves_out_are_part_of_the_first_page_when_it_is_read_again() {
    let head = |gone: &str| Page { left_out: vec![BackupId::new(gone)], ..page(0..9, 12) };
    let rest = || page(10..12, 12);
    let (walk, moved) = play([head("a"), rest(), head("b"), head("b"), rest(), head("b")]);
    assert_eq!((walk.unwrap().entries.len(), moved), (11, 1));
}

#[test]
fn a_record_that_comes_twice_is_trouble_although_the_number_of_distinct_ones_fits_the_total() {
    let twice = || [page(0..10, 14), page(9..14, 14), page(0..10, 14)];
    let once = [page(0..10, 14), page(10..14, 14), page(0..10, 14)];
    let (walk, moved) = play(twice().into_iter().chain(once));
    assert_eq!((walk.unwrap().entries.len(), moved), (14, 1));
    let (walk, moved) = play(twice().into_iter().chain(twice()));
    assert_eq!((walk.unwrap_err().reason, moved), (Reason::Pagination, 2));
}

#[test]
fn a_total_is_set_aside_only_if_both_walks_brought_the_same_records_none_twice() {
    let pass = |rest: std::ops::Range<u32>| [page(0..10, 500), page(rest, 500), page(0..10, 500)];
    let whole = || pass(10..14);
    for (first, second) in [(whole(), pass(9..14)), (pass(9..14), whole()), (whole(), pass(11..15))]
    {
        // A page beyond the end would be asked for next, and is not in the script.
        let (walk, _) = play(first.into_iter().chain(second));
        assert_eq!(walk.unwrap_err().reason, Reason::Pagination);
    }
    let walks = || whole().into_iter().chain(whole());
    let (walk, _) = play(walks().chain([page([], 500)]));
    assert_eq!(walk.unwrap().foreign_total, Some(500));
    let (walk, _) = play(walks().chain([page(14..15, 500)]));
    assert_eq!(walk.unwrap_err().reason, Reason::Pagination);
}

#[test]
fn a_total_that_changes_while_the_list_is_read_is_that_of_a_list_that_moves_and_of_no_other() {
    let pass = |totals: [u64; 3]| {
        let [first, rest, again] = totals;
        [page(0..10, first), page(10..14, rest), page(0..10, again)]
    };
    // What the second walk was told is what counts.
    for (first, second, foreign) in [
        ([14, 14, 13], [14, 14, 13], None),
        ([14, 14, 13], [14, 15, 15], None),
        ([500, 500, 500], [500, 500, 501], None),
        ([14, 14, 13], [500, 500, 500], Some(500)),
        ([500, 500, 501], [501, 501, 501], Some(501)),
    ] {
        let pages = pass(first).into_iter().chain(pass(second)).chain([page([], 14)]);
        let (walk, _) = play(pages);
        let Walk { entries, moved, foreign_total } = walk.unwrap();
        assert_eq!(entries.len(), 14);
        assert_eq!((foreign_total, moved), (foreign, foreign.is_none()), "{first:?} {second:?}");
    }
}

/// What may happen to a list between two answers.
#[derive(Clone, Debug)]
enum Change {
    Delete(usize),
    ExpireTail,
    Finish(usize),
    InsertAt(usize),
    InsertHead,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..60_usize).prop_map(Change::Delete),
        Just(Change::ExpireTail),
        (0..60_usize).prop_map(Change::Finish),
        (0..60_usize).prop_map(Change::InsertAt),
        Just(Change::InsertHead),
    ]
}

proptest! {
    /// The promise, but for what no client can notice: changes behind the first page that leave
    /// the total as it was.
    #[test]
    fn what_is_published_was_there_and_misses_nothing_that_stayed(
        records in 0..60_u32,
        oldest_first: bool,
        changes in proptest::collection::vec((0..12_usize, change()), 0..4),
    ) {
        let ever = Arc::new(Mutex::new(Vec::<Vec<Backup>>::new()));
        let seen = Arc::clone(&ever);
        let mut next = 900;
        let mut server = Server::changing(records, move |question, list| {
            for (_, change) in changes.iter().filter(|(when, _)| *when == question) {
                match change {
                    Change::Delete(at) if *at < list.len() => { list.remove(*at); }
                    Change::Finish(at) if *at < list.len() => list[*at].status = Status::Failed,
                    // Where nobody orders the list.
                    Change::InsertAt(at) if *at <= list.len() => {
                        next += 1;
                        list.insert(*at, backup(next));
                    }
                    Change::InsertHead => {
                        next += 1;
                        if oldest_first { list.push(backup(next)) } else { list.insert(0, backup(next)) }
                    }
                    Change::ExpireTail if oldest_first && !list.is_empty() => { list.remove(0); }
                    Change::ExpireTail => { list.pop(); }
                    _ => {}
                }
            }
            seen.lock().unwrap().push(list.clone());
        });
        let Ok(walk) = server.walk() else { return Ok(()) };
        let ever = ever.lock().unwrap();
        // The walk that was believed is the first, or the second.
        let states = &ever[server.asked_before..];
        for backup in &walk.entries {
            prop_assert!(states.iter().any(|list| list.contains(backup)), "never was: {backup:?}");
        }
        prop_assert_eq!(ids(&walk.entries).len(), walk.entries.len());
        let totals: BTreeSet<usize> = states.iter().map(Vec::len).collect();
        let heads: BTreeSet<Vec<String>> = states
            .iter()
            .map(|list| list.iter().take(LIMIT as usize).map(|it| it.id.to_string()).collect())
            .collect();
        if totals.len() == 1 && heads.len() == 1 && states.iter().any(|list| *list != states[0]) {
            return Ok(());
        }
        let stayed = states.iter().map(|list| ids(list)).reduce(|a, b| &a & &b).unwrap_or_default();
        prop_assert!(stayed.is_subset(&ids(&walk.entries)));
    }
}
