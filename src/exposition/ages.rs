//! The ages of the last successes: all of their text but the numbers, which a scrape fills in.

use jiff::Timestamp;

use super::Labelled;
use super::text::{Text, write_value};
use crate::metric;

/// The ages that go with a snapshot.
#[derive(Debug)]
pub(super) struct Ages {
    /// What stands before each number, one behind the other.
    text: String,
    /// Where in it a number belongs, and the end of the success that it is the age of.
    ends: Vec<(usize, Timestamp)>,
}

impl Ages {
    pub(super) fn new(shown: &[Labelled<'_>]) -> Self {
        let mut text = Text::default();
        let mut family = text.family(&metric::LAST_SUCCESS_AGE);
        let mut ends = Vec::new();
        for (labels, of) in shown.iter().flat_map(Labelled::types) {
            if let Some(success) = of.summary.last_success {
                ends.push((family.sample_without_value(labels), success.end));
            }
        }
        Self { text: text.0, ends }
    }

    /// Writes them as they are at a time. A clock of ours that is late does not make a backup
    /// younger than nothing.
    pub(super) fn write(&self, text: &mut String, now: Timestamp) {
        text.reserve(self.text.len() + MOST_DIGITS * self.ends.len());
        let mut from = 0;
        for (to, end) in &self.ends {
            text.push_str(self.text.get(from..*to).unwrap_or_default());
            write_value(text, now.duration_since(*end).as_secs_f64().max(0.0));
            from = *to;
        }
    }
}

/// Of an age of years that is told to the nanosecond, with the end of its line.
const MOST_DIGITS: usize = 20;
