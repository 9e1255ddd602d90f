//! The latest rendering of what is on the board. Made ahead, so that a scrape takes what is there
//! and waits for nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use super::Rendered;
use crate::snapshot::Board;

/// Between two renderings. Far below the usual scrape interval, and long enough that packing costs
/// little even where there is always something new.
pub const GAP: Duration = Duration::from_secs(5);

/// The latest rendering, and how it is kept so.
#[derive(Debug)]
pub struct Latest {
    board: Arc<Board>,
    gap: Duration,
    newest: watch::Sender<Numbered>,
}

/// A rendering, and how many publications it shows.
#[derive(Clone, Debug)]
struct Numbered {
    publications: u64,
    has_first_round: bool,
    rendered: Arc<Rendered>,
}

impl Latest {
    /// Renders what is on the board now; what is published next does not wait for the gap.
    pub fn new(board: Arc<Board>, gap: Duration) -> Self {
        let numbered = Numbered::new(&board);
        Self { board, gap, newest: watch::Sender::new(numbered) }
    }

    /// What a scrape is answered from.
    pub fn rendered(&self) -> Arc<Rendered> {
        Arc::clone(&self.newest.borrow().rendered)
    }

    /// Whether a scrape is answered with every target and every instance list tried once.
    pub fn has_first_round(&self) -> bool {
        self.newest.borrow().has_first_round
    }

    /// Renders what is published: at once if that is the first thing for a while, else with all
    /// that comes until the gap has passed. Ends only if a rendering panics.
    pub async fn keep(&self) -> JoinError {
        let mut publications = self.board.publications();
        let mut next = Instant::now();
        loop {
            let shown = self.newest.borrow().publications;
            // An error says that the board is gone, and it is held here.
            publications.wait_for(|published| *published != shown).await.ok();
            sleep_until(next).await;
            let board = Arc::clone(&self.board);
            // Packing a large estate takes longer than a task may without a pause.
            match spawn_blocking(move || Numbered::new(&board)).await {
                Ok(numbered) => drop(self.newest.send_replace(numbered)),
                Err(error) => return error,
            }
            next = Instant::now() + self.gap;
        }
    }

    /// Waits until everything is rendered that was published before.
    pub async fn caught_up(&self) {
        let published = *self.board.publications().borrow();
        let is_shown = |latest: &Numbered| latest.publications >= published;
        // An error says that the sender is gone, and it is held here.
        self.newest.subscribe().wait_for(is_shown).await.ok();
    }
}

impl Numbered {
    fn new(board: &Board) -> Self {
        // The number first: what is published between the two is rendered once more, not missed.
        let publications = *board.publications().borrow();
        let snapshot = board.snapshot();
        let has_first_round = snapshot.was_tried();
        Self { publications, has_first_round, rendered: Arc::new(Rendered::new(&snapshot)) }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;
    use jiff::Timestamp;
    use tokio::time::{sleep, timeout};
    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::backup::{Backup, BackupId, BackupType, InstanceId, Origin, Status, Times};
    use crate::meter::Meters;
    use crate::snapshot::{PollOutcome, Reading};
    use crate::target::{Target, tests::read};

    const INSTANT: Duration = Duration::from_millis(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    /// A board with a target, and its latest rendering, which is kept so.
    struct Kept {
        board: Arc<Board>,
        target: Arc<Target>,
        latest: Arc<Latest>,
        _keep: AbortOnDropHandle<JoinError>,
    }

    impl Kept {
        fn start() -> Self {
            Self::with("{ id: db }")
        }

        /// Of these instances the first one is polled.
        fn with(instances: &str) -> Self {
            let targets = read(&format!(
                "  - name: shop\n    project_id: p1\n    credentials: main\n    \
                 rds: {{ endpoint: https://rds.example, instances: [{instances}] }}\n",
            ));
            let board = Arc::new(Board::default());
            board.reassign(&targets, &[]);
            let latest = Arc::new(Latest::new(Arc::clone(&board), GAP));
            let keeper = Arc::clone(&latest);
            let keep = AbortOnDropHandle::new(tokio::spawn(async move { keeper.keep().await }));
            Self { board, target: Arc::clone(&targets[0]), latest, _keep: keep }
        }

        /// A poll that found a backup which ended at that second.
        fn publish(&self, second: i64) {
            let backup = Backup {
                id: BackupId::new("x"),
                origin: Origin::bare(InstanceId::new("db")).into(),
                backup_type: BackupType { name: "auto", times: Times::Job },
                status: Status::Completed,
                begin: Some(at(second)),
                end: Some(at(second)),
                bytes: None,
                unknown: None,
            };
            let reading = Arc::new(Reading::new(&self.target, &[backup], None, at(0)));
            let (ended, took) = (at(0), Duration::ZERO);
            let outcome = PollOutcome { ended, took, requests: 1, records: 1, fault: None };
            self.board.update(&self.target, |state| state.after(&outcome, Some(&reading)));
        }

        /// The value of a metric of the backup, as a scrape at that second shows it.
        fn value(&self, metric: &str, second: i64) -> Option<f64> {
            let meters = Meters::new().unwrap();
            let mut body = self.latest.rendered().plain(&meters, at(second));
            let text = String::from_utf8(body.copy_to_bytes(body.remaining()).into()).unwrap();
            let line = text.lines().find(|line| line.starts_with(&format!("{metric}{{")))?;
            line.rsplit(' ').next().unwrap().parse().ok()
        }

        /// When the backup ended that a scrape shows now.
        fn shown(&self) -> Option<f64> {
            let end = self.value("clouddb_backup_last_success_timestamp_seconds", 0)?;
            Some(end - 1_700_000_000.0)
        }
    }

    /// Waits for the next rendering.
    async fn next(newest: &mut watch::Receiver<Numbered>) {
        let rendering = timeout(GAP * 10, newest.changed()).await;
        rendering.expect("what is published is rendered").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_publication_is_shown_at_once_and_those_of_the_gap_together_at_its_end() {
        let kept = Kept::start();
        assert_eq!(kept.shown(), None);
        let mut newest = kept.latest.newest.subscribe();
        for _ in 0..2 {
            let begin = Instant::now();
            kept.publish(1);
            next(&mut newest).await;
            assert_eq!((begin.elapsed(), kept.shown()), (Duration::ZERO, Some(1.0)));
            for second in [2, 3] {
                sleep(Duration::from_secs(1)).await;
                kept.publish(second);
            }
            sleep_until(begin + GAP - INSTANT).await;
            assert_eq!(kept.shown(), Some(1.0));
            next(&mut newest).await;
            assert!((GAP..GAP + INSTANT * 2).contains(&begin.elapsed()), "{:?}", begin.elapsed());
            assert_eq!(kept.shown(), Some(3.0));
            // And once more after a while in which nothing was published.
            sleep(GAP + INSTANT).await;
            assert!(!newest.has_changed().unwrap());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_round_is_over_when_scrapes_show_all_of_it() {
        let mut kept = Kept::with("{ id: db }, { id: other }");
        kept.publish(1);
        kept.latest.caught_up().await;
        assert!(!kept.latest.has_first_round(), "the other one was not tried");
        let other = kept.board.snapshot().targets[1].target.clone();
        kept.target = other;
        kept.publish(2);
        sleep(GAP / 2).await;
        assert!(!kept.latest.has_first_round(), "it is not rendered yet");
        kept.latest.caught_up().await;
        assert!(kept.latest.has_first_round());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_rendered_as_long_as_nothing_is_published() {
        let kept = Kept::start();
        let mut newest = kept.latest.newest.subscribe();
        assert!(timeout(GAP * 10, newest.changed()).await.is_err());
        kept.publish(1);
        next(&mut newest).await;
        // No series tells when the next poll is due.
        kept.board.schedule(&kept.target, Instant::now());
        assert!(timeout(GAP * 10, newest.changed()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_ages_of_a_scrape_are_those_of_the_backups_that_it_shows() {
        let kept = Kept::start();
        let age = || kept.value("clouddb_backup_last_success_age_seconds", 100);
        kept.publish(1);
        kept.latest.caught_up().await;
        kept.publish(40);
        assert_eq!((kept.shown(), age()), (Some(1.0), Some(99.0)));
        kept.latest.caught_up().await;
        assert_eq!((kept.shown(), age()), (Some(40.0), Some(60.0)));
    }
}
