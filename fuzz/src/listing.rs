//! Answers of the cloud to what it is asked, as each product reads them.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

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

/// Both products, with all that is asked beside the backups. The instance is that of the examples in
/// the documents.
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

static READ: LazyLock<Config> = LazyLock::new(|| {
    let fetch = |_: &_, _| Ok(SecretString::from("x"));
    Config::read(CONFIG, Path::new("config.yaml"), &fetch).expect("a good config").config
});

/// What can be read is folded and shown, and what is shown is what Prometheus reads.
pub fn throw(bytes: &[u8]) {
    let config = &*READ;
    let now = Timestamp::from_second(1_700_000_000).expect("a time");
    let counted_from = Timestamp::from_second(1_699_920_000).ok();
    let mut is_read = false;
    let estates: Vec<_> = census::censuses(config)
        .into_iter()
        .map(|census| {
            let (limit, decode) =
                (census.product.instances.page_limit, census.product.instances.decode);
            let estate = Estate::new(Arc::new(census));
            match all(limit, &|| decode(bytes)) {
                Ok(listed) => {
                    is_read = true;
                    Arc::new(estate.after(now, Ok(listed)))
                }
                Err(_) => Arc::new(estate),
            }
        })
        .collect();
    let board = Board::default();
    board.reassign(&targets(config, &estates), &estates);
    for state in board.snapshot().targets {
        let (target, product) = (&state.target, state.target.product);
        let policy = product.policy.and_then(|it| (it.decode)(bytes).ok());
        let restore_window = product.restore_window.and_then(|it| (it.decode)(bytes).ok());
        let asked = target.instance.as_ref().map(|instance| &instance.id);
        let backups = all(product.page_limit, &|| (product.decode)(bytes, asked)).ok();
        is_read |= policy.is_some() || restore_window.is_some() || backups.is_some();
        let reading = backups.as_deref().map(|it| Reading::new(target, it, counted_from, now));
        let outcome = PollOutcome {
            ended: now,
            took: Duration::ZERO,
            requests: 1,
            records: backups.as_ref().map_or(0, Vec::len) as u64,
            fault: None,
        };
        let looked = TargetState {
            policy: answered(policy, now),
            restore_window: answered(restore_window, now),
            ..state.after(&outcome, reading.map(Arc::new).as_ref())
        };
        board.update(target, |_| looked);
    }
    // Most of what a fuzzer makes up.
    if !is_read {
        return;
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
