//! What a daemon logs that runs on the thread of its test.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

thread_local! {
    static WRITTEN: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// The log of this thread, until it is dropped.
pub(crate) struct Log;

struct ToThread;

impl io::Write for ToThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WRITTEN.with_borrow_mut(|written| {
            if let Some(written) = written {
                written.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Begins to take down what this thread logs.
    ///
    /// The subscriber is that of the process: with one for this thread alone, another that comes
    /// first to a line of the code would switch it off for all.
    pub(crate) fn start() -> Self {
        static START: Once = Once::new();
        START.call_once(|| {
            let layer = tracing_subscriber::fmt::layer().with_ansi(false);
            let layer = layer.with_writer(|| ToThread);
            let registry = tracing_subscriber::registry().with(LevelFilter::INFO).with(layer);
            tracing::subscriber::set_global_default(registry).unwrap();
        });
        WRITTEN.set(Some(Vec::new()));
        Self
    }

    /// How many lines have this text.
    #[expect(clippy::unused_self, reason = "only who has started a log can ask it")]
    pub(crate) fn count(&self, part: &str) -> usize {
        let text = WRITTEN.with_borrow(|written| String::from_utf8(written.clone().unwrap()));
        text.unwrap().lines().filter(|line| line.contains(part)).count()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        WRITTEN.set(None);
    }
}
