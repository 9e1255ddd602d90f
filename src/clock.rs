//! The wall clock, handed to those who need it. Deciding code takes a time as an argument instead.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// Tells the time of day; a test gives its own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
        Self::new(Timestamp::now)
    }

    /// A clock that answers what `now` answers.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// Seconds since the epoch, as Prometheus counts time.
pub fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

/// A time for people: in UTC, to the second.
pub fn moment(time: Timestamp) -> String {
    time.strftime("%FT%TZ").to_string()
}

/// How long ago a time is; nothing, if it is yet to come.
pub fn age(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}
