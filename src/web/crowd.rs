//! The connections that are open. There is always room for one more: when all places are taken,
//! the one on which nothing has moved for longest goes. So idle or slow peers, however many, keep
//! nobody out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::meter::{Meters, Refusal};

/// As many as a few Prometheus and some browsers need many times over.
const MOST_CONNECTIONS: usize = 512;
/// Answers at a time that nobody shares, of up to some megabytes each.
const MOST_PAGES: usize = 16;
/// For a peer to take the whole of an answer. Longer than the usual scrape timeout; what it has not
/// taken by then is memory that only it still needs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a connection is looked at that has no answer under way.
const LOOK: Duration = Duration::from_secs(10);

/// The connections of all listeners.
#[derive(Debug)]
pub struct Crowd {
    places: Arc<Semaphore>,
    /// For answers that nobody shares.
    pages: Arc<Semaphore>,
    seats: Mutex<Seats>,
    meters: Meters,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: BTreeMap<u64, Arc<Seat>>,
}

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Seat {
    state: Mutex<State>,
    leave: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// When bytes went either way.
    moved: Instant,
    /// Since when an answer is on its way.
    answering: Option<Instant>,
}

/// A place among the connections, as long as it is held.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    id: u64,
    seat: Arc<Seat>,
    _permit: OwnedSemaphorePermit,
}

/// How many connections there may be. Raises the limit of open files as far as it goes, and leaves
/// half of it to everything else: peers must not keep the polls from connecting.
pub fn most_connections() -> usize {
    // Without an answer it is what POSIX guarantees.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(20);
    usize::try_from(files / 2).map_or(MOST_CONNECTIONS, |half| half.clamp(1, MOST_CONNECTIONS))
}

impl Crowd {
    /// Room for so many.
    pub fn new(most: usize, meters: Meters) -> Self {
        let [places, pages] = [most, MOST_PAGES].map(|count| Arc::new(Semaphore::new(count)));
        Self { places, pages, seats: Mutex::default(), meters }
    }

    /// A place for an answer that is made for one peer alone, held until it was taken; none if too many
    /// are on their way.
    pub(super) fn page(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pages).try_acquire_owned().ok()
    }

    /// A place for a new connection.
    pub(super) async fn enter(self: &Arc<Self>) -> Option<Place> {
        let free = Arc::clone(&self.places).try_acquire_owned();
        let permit = if let Ok(permit) = free {
            permit
        } else {
            self.send_one_away();
            Arc::clone(&self.places).acquire_owned().await.ok()?
        };
        let state = State { moved: Instant::now(), answering: None };
        let seat = Arc::new(Seat { state: Mutex::new(state), leave: CancellationToken::new() });
        let mut seats = self.seats();
        let id = seats.next;
        seats.next += 1;
        seats.taken.insert(id, Arc::clone(&seat));
        drop(seats);
        Some(Place { crowd: Arc::clone(self), id, seat, _permit: permit })
    }

    /// Ends the connection on which nothing has moved for longest.
    pub(super) fn send_one_away(&self) {
        let seats = self.seats();
        let staying = seats.taken.values().filter(|seat| !seat.leave.is_cancelled());
        if let Some(seat) = staying.min_by_key(|seat| seat.state().moved) {
            seat.leave.cancel();
            self.meters.web_refused(Refusal::Crowded);
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// Waits until the connection has to end: its place is needed, or its peer does not take an
    /// answer in time.
    pub(super) async fn lost(&self) {
        tokio::select! {
            () = self.seat.leave.cancelled() => {}
            () = self.seat.overdue() => self.crowd.meters.web_refused(Refusal::Slow),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.seats().taken.remove(&self.id);
    }
}

impl Seat {
    /// Bytes went either way.
    pub(super) fn moved(&self) {
        self.state().moved = Instant::now();
    }

    /// An answer is on its way. Of several without a pause the first counts.
    pub(super) fn answers(&self) {
        self.state().answering.get_or_insert(Instant::now());
    }

    /// The peer's system has all that was written.
    pub(super) fn answered(&self) {
        self.state().answering = None;
    }

    async fn overdue(&self) {
        loop {
            let answering = self.state().answering;
            match answering.map(|since| since + ANSWER_TIMEOUT) {
                Some(until) if until <= Instant::now() => return,
                Some(until) => sleep_until(until).await,
                None => sleep(LOOK).await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn crowd(most: usize) -> Arc<Crowd> {
        Arc::new(Crowd::new(most, Meters::new().unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_places_are_taken_the_one_that_moved_least_recently_goes() {
        let crowd = crowd(3);
        let first = crowd.enter().await.unwrap();
        advance(SECOND).await;
        let second = crowd.enter().await.unwrap();
        advance(SECOND).await;
        let third = crowd.enter().await.unwrap();
        advance(SECOND).await;
        first.seat().moved();
        let ends = tokio::spawn(async move {
            second.lost().await;
        });
        crowd.enter().await.unwrap();
        ends.await.unwrap();
        for stays in [&first, &third] {
            assert!(!stays.seat().leave.is_cancelled());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_in_time_ends_its_connection_and_one_that_is_does_not() {
        let crowd = crowd(1);
        let place = crowd.enter().await.unwrap();
        place.seat().answers();
        advance(ANSWER_TIMEOUT / 2).await;
        place.seat().answered();
        let waits = tokio::time::timeout(10 * ANSWER_TIMEOUT, place.lost()).await;
        assert!(waits.is_err(), "it took the answer");
        place.seat().answers();
        advance(ANSWER_TIMEOUT / 2).await;
        // The next one without a pause between them.
        place.seat().answers();
        tokio::time::timeout(ANSWER_TIMEOUT, place.lost()).await.expect("it did not take it");
    }
}
