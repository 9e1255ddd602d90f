//! Answers of the cloud to what it is asked, as each product reads them.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use clouddb_backup_exporter::backup::InstanceId;
use clouddb_backup_exporter::census;
use clouddb_backup_exporter::config::Config;
use clouddb_backup_exporter::error::{Fault, Reason};
use clouddb_backup_exporter::estate::Estate;
use clouddb_backup_exporter::exposition;
use clouddb_backup_exporter::lookup::Looked;
use clouddb_backup_exporter::meter::Meters;
use clouddb_backup_exporter::page::{Paged, walk};
use clouddb_backup_exporter::product::{Decoded, Entry, Page};
use clouddb_backup_exporter::snapshot::{Board, PollOutcome, Reading, TargetState};
use clouddb_backup_exporter::target::targets;
use jiff::Timestamp;
use secrecy::SecretString;

use super::exposition::Exposition;

/// An instance that the examples of the documents are about.
const ID: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";

/// Both products, with all that is asked beside the backups.
const CONFIG: &str = "
credentials: { main: { access_key: a, secret_key: s } }
projects:
  - name: shop
    project_id: p
    credentials: main
    rds:
      endpoint: https://rds.example
      discover: true
      restore_window: true
      instances: [{ id: a48e43ff268f4c0e879652d65e63d0fbin01 }]
    ddm: { endpoint: 'https://ddm.example', discover: true }
";

/// What can be read is folded and shown, and what is shown is what Prometheus reads.
pub fn throw(bytes: &[u8]) {
    let fetch = |_: &_, _| Ok(SecretString::from("x"));
    let config = Config::read(CONFIG, Path::new("config.yaml"), &fetch).expect("a good config");
    let config = config.config;
    let now = Timestamp::from_second(1_700_000_000).expect("a time");
    let estates: Vec<_> = census::censuses(&config)
        .into_iter()
        .map(|census| {
            let (limit, decode) =
                (census.product.instances.page_limit, census.product.instances.decode);
            let estate = Estate::new(Arc::new(census));
            match all(limit, &|| decode(bytes)) {
                Ok(listed) => Arc::new(estate.after(now, Ok(listed))),
                Err(_) => Arc::new(estate),
            }
        })
        .collect();
    let board = Board::default();
    board.reassign(&targets(&config, &estates), &estates);
    let id = InstanceId::new(ID);
    for state in board.snapshot().targets {
        let (target, product) = (&state.target, state.target.product);
        let looked = TargetState {
            policy: answered(product.policy.and_then(|it| (it.decode)(bytes).ok()), now),
            restore_window: answered(
                product.restore_window.and_then(|it| (it.decode)(bytes).ok()),
                now,
            ),
            ..TargetState::clone(&state)
        };
        board.update(target, |_| looked);
        for asked in [None, Some(&id)] {
            let Ok(backups) = all(product.page_limit, &|| (product.decode)(bytes, asked)) else {
                continue;
            };
            for counted_from in [None, Some(now)] {
                let reading = Arc::new(Reading::new(target, &backups, counted_from, now));
                let outcome = PollOutcome {
                    ended: now,
                    took: Duration::ZERO,
                    requests: 1,
                    records: backups.len() as u64,
                    fault: None,
                };
                board.update(target, |state| state.after(&outcome, Some(&reading)));
            }
        }
    }
    let meters = Meters::new().expect("the metrics are declared once");
    meters.know("shop", "rds", []);
    Exposition::read(&exposition::render(&board.snapshot(), &meters, now));
}

fn answered<T: Clone>(answer: Option<T>, now: Timestamp) -> Looked<T> {
    answer.map_or_else(Looked::default, |answer| Looked::default().after(now, &Ok(answer)))
}

/// The entries of a list of which this is the first page, and nothing else.
fn all<E: Entry + Send>(
    limit: u32,
    decode: &(dyn Fn() -> Decoded<Page<E>> + Sync),
) -> Result<Vec<E>, Fault> {
    let mut list = First(decode);
    let mut walk = pin!(walk(limit, &mut list));
    match walk.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(walk) => Ok(walk?.entries),
        Poll::Pending => panic!("it waits, and for nothing"),
    }
}

struct First<'a, E: Entry>(&'a (dyn Fn() -> Decoded<Page<E>> + Sync));

impl<E: Entry + Send> Paged for First<'_, E> {
    type Entry = E;

    async fn page(&mut self, offset: u64, _limit: u32) -> Result<Page<E>, Fault> {
        let page = (self.0)().map_err(|error| Fault::new(Reason::Decode, error.to_string()))?;
        Ok(if offset == 0 { page } else { Page::of(page.total, page.limit) })
    }

    fn moved(&mut self) {}
}
