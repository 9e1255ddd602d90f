//! Asks one of the calls about an instance beside the lists, and keeps what came of it.

use jiff::Timestamp;

use crate::client::{Client, RequestCount};
use crate::error::{Chain, Fault, Reason};
use crate::product::Lookup;
use crate::target::Target;

/// What is known by a lookup. A fault changes nothing of the last answer.
#[derive(Clone, Debug)]
pub struct Looked<T> {
    /// The last answer, and when it came.
    pub answer: Option<(Timestamp, T)>,
    /// How often in a row there was none since then.
    pub failures: u64,
    /// When and why there was none last, whatever came after it.
    pub last_fault: Option<(Timestamp, Fault)>,
}

impl<T> Default for Looked<T> {
    fn default() -> Self {
        Self { answer: None, failures: 0, last_fault: None }
    }
}

impl<T: Clone> Looked<T> {
    /// What is known after it was asked once more.
    #[must_use]
    pub fn after(&self, ended: Timestamp, outcome: &Result<T, Fault>) -> Self {
        match outcome {
            Ok(answer) => Self {
                answer: Some((ended, answer.clone())),
                failures: 0,
                last_fault: self.last_fault.clone(),
            },
            Err(fault) => Self {
                answer: self.answer.clone(),
                failures: self.failures + 1,
                last_fault: Some((ended, fault.clone())),
            },
        }
    }
}

impl<T> Looked<T> {
    /// The last answer.
    pub fn value(&self) -> Option<&T> {
        self.answer.as_ref().map(|(_, value)| value)
    }

    /// When the last answer came.
    pub fn asked(&self) -> Option<Timestamp> {
        self.answer.as_ref().map(|(asked, _)| *asked)
    }

    /// Whether the last try brought an answer; none before the first one ended.
    pub fn is_well(&self) -> Option<bool> {
        let was_tried = self.answer.is_some() || self.last_fault.is_some();
        was_tried.then_some(self.failures == 0)
    }
}

/// Asks about the instance of a target.
pub async fn ask<T>(lookup: &Lookup<T>, client: &Client, target: &Target) -> Result<T, Fault> {
    let id = target.instance.as_ref().map(|instance| &instance.id);
    let count = RequestCount::default();
    let body = client.get(&lookup.api, id, &target.endpoint, &|_| Vec::new(), &count).await?;
    (lookup.decode)(&body).map_err(|error| {
        Fault::new(Reason::Decode, format!("the answer cannot be read: {}", Chain(&error)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_fault_changes_nothing_of_the_last_answer() {
        let new = Looked::default();
        assert_eq!(new.is_well(), None);
        let fault = || Err(Fault::new(Reason::Timeout, "no answer"));
        let untold = new.after(at(1), &fault());
        assert_eq!((untold.is_well(), untold.value()), (Some(false), None));
        let good = untold.after(at(2), &Ok(7));
        assert_eq!((good.is_well(), good.answer), (Some(true), Some((at(2), 7))));
        let failed = good.after(at(3), &fault()).after(at(4), &fault());
        assert_eq!((failed.is_well(), failed.answer), (Some(false), Some((at(2), 7))));
        assert_eq!(failed.failures, 2);
        assert_eq!(failed.last_fault.map(|(at, _)| at), Some(at(4)));
    }
}
