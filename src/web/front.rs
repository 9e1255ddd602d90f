//! On which terms one may connect and ask: what the web config file says, as it is now.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::header::{HeaderName, HeaderValue};
use leaky_bucket::RateLimiter;
use rustls::ServerConfig;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::users::{Memory, Users};
use crate::config::web::{Reading, Seen, Web};
use crate::config::{Loaded, Problem, Problems, first_lines};
use crate::meter::Meters;

/// Between two looks at the files. A change is taken up when it has lasted for one, so that a
/// certificate and its key may be written one after the other.
pub const GAP: Duration = Duration::from_secs(2);

/// The terms in force, and the file that they come from.
#[derive(Debug, Default)]
pub struct Front {
    terms: ArcSwap<Terms>,
    source: Option<Source>,
    memory: Arc<Memory>,
}

#[derive(Debug)]
struct Source {
    file: PathBuf,
    seen: Vec<Seen>,
    gap: Duration,
}

/// On which terms one may connect and ask.
#[derive(Debug, Default)]
pub(super) struct Terms {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) users: Option<Users>,
    pub(super) rate: Option<RateLimiter>,
    /// Other terms are in force since.
    pub(super) replaced: CancellationToken,
}

impl Front {
    /// Reads a web config file, and gives besides what is doubtful about it. `gap` is that between
    /// two looks at it later.
    pub fn open(file: &Path, gap: Duration) -> Result<(Self, Vec<Problem>), Problems> {
        let Reading { seen, outcome } = Web::load(file);
        let Loaded { config, findings } = outcome?;
        let source = Source { file: file.to_owned(), seen, gap };
        let memory = Arc::default();
        let terms = ArcSwap::from_pointee(Terms::new(config, &memory));
        Ok((Self { terms, source: Some(source), memory }, findings))
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.terms.load().tls.is_some()
    }

    pub(super) fn terms(&self) -> Arc<Terms> {
        self.terms.load_full()
    }

    /// Takes up the file whenever it, or one that it names, changes. What is wrong is told once for
    /// each change, and the terms in force stay. Ends only if the reading panics.
    pub async fn keep(&self, meters: &Meters) -> JoinError {
        let Some(Source { file, seen, gap }) = &self.source else {
            return std::future::pending().await;
        };
        let (mut tried, mut last) = (seen.clone(), seen.clone());
        loop {
            sleep(*gap).await;
            let before = last.clone();
            let now = spawn_blocking(move || before.iter().map(Seen::again).collect::<Vec<_>>());
            let now = match now.await {
                Ok(now) => now,
                Err(error) => return error,
            };
            let has_settled = now == last;
            last = now;
            if !has_settled || last == tried {
                continue;
            }
            let path = file.clone();
            let Reading { seen, outcome } = match spawn_blocking(move || Web::load(&path)).await {
                Ok(reading) => reading,
                Err(error) => return error,
            };
            tried.clone_from(&seen);
            last = seen;
            self.take_up(file, outcome, meters);
        }
    }

    fn take_up(&self, file: &Path, outcome: Result<Loaded<Web>, Problems>, meters: &Meters) {
        let lines = match outcome {
            Ok(Loaded { config, findings }) => match self.weakens(&config) {
                None => {
                    for finding in first_lines(&findings) {
                        warn!("{finding}");
                    }
                    let old = self.terms.swap(Arc::new(Terms::new(config, &self.memory)));
                    old.replaced.cancel();
                    info!(file = %file.display(), "the web config was reloaded");
                    return;
                }
                Some(block) => vec![format!(
                    "{}: `{block}` is gone, which only a restart takes up: a file that is being \
                     written must not open the door",
                    file.display()
                )],
            },
            Err(problems) => first_lines(&problems),
        };
        meters.web_config_refused();
        for line in lines {
            error!("{line}");
        }
        error!("the web config has problems; the one in force stays");
    }

    /// The block without which everybody could read along, or ask.
    fn weakens(&self, new: &Web) -> Option<&'static str> {
        let old = self.terms.load();
        if old.tls.is_some() && new.tls.is_none() {
            Some("tls_server_config")
        } else if old.users.is_some() && new.users.is_empty() {
            Some("basic_auth_users")
        } else {
            None
        }
    }
}

impl Terms {
    fn new(config: Web, memory: &Arc<Memory>) -> Self {
        let rate = config.rate_limit.map(|limit| {
            let mut bucket = RateLimiter::builder();
            bucket.max(limit.burst).initial(limit.burst).refill(1).interval(limit.interval);
            bucket.build()
        });
        Self {
            tls: config.tls,
            headers: config.headers,
            users: (!config.users.is_empty()).then(|| Users::new(config.users, Arc::clone(memory))),
            rate,
            replaced: CancellationToken::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::metric;

    /// As it is printed.
    fn failures(meters: &Meters) -> String {
        let families = meters.gather();
        let name = metric::WEB_CONFIG_RELOAD_FAILURES.name;
        let family = families.iter().find(|family| family.name() == name).unwrap();
        family.get_metric()[0].get_counter().get_value().to_string()
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_cannot_be_taken_up_counts_once_and_one_that_does_not_last_never() {
        const GOOD: &str = "rate_limit: { interval: 1s, burst: 1 }\n";
        const BROKEN: &str = "rate_limit: { interval: 1s, burst: 0 }\n";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("web.yaml");
        // Of other lengths, since all is written in one tick of the system's clock.
        let write =
            |text: &str, spare: usize| fs::write(&file, text.to_owned() + &" ".repeat(spare));
        write(GOOD, 0).unwrap();
        let (front, _) = Front::open(&file, GAP).unwrap();
        let (front, meters) = (Arc::new(front), Meters::new().unwrap());
        let kept = (Arc::clone(&front), meters.clone());
        let kept = tokio::spawn(async move { kept.0.keep(&kept.1).await });
        let first = front.terms();

        sleep(10 * GAP + GAP / 2).await;
        assert_eq!(failures(&meters), "0", "nothing changed");
        write(BROKEN, 1).unwrap();
        sleep(GAP).await;
        write(GOOD, 2).unwrap();
        assert!(!first.replaced.is_cancelled());
        sleep(10 * GAP).await;
        assert_eq!(failures(&meters), "0", "it was mended between two looks");
        assert!(first.replaced.is_cancelled());
        let second = front.terms();
        for spare in 3..5 {
            write(BROKEN, spare).unwrap();
            sleep(10 * GAP).await;
            assert_eq!(failures(&meters), (spare - 2).to_string());
        }
        assert!(!second.replaced.is_cancelled());
        kept.abort();
    }
}
