//! What the cloud saw: every request, who made it, what it was told, and how many were under way at
//! one moment. Tests count calls and sign-ins here.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::request::Service;

/// Who a request turned out to come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// An access key.
    Key(String),
    /// Nobody whom the cloud believed, or somebody who only asked for a token.
    Nobody,
    /// A user by a token.
    User(String),
}

/// One request as the cloud saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The host that was asked.
    pub service: Service,
    /// The method.
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// The decoded query pairs, in the order sent.
    pub query: Vec<(String, String)>,
    /// The project in the path.
    pub project: Option<String>,
    /// Who asked.
    pub caller: Caller,
    /// The status answered; none if there was no answer (yet).
    pub status: Option<u16>,
    /// When it came in.
    pub at: Timestamp,
}

impl Seen {
    /// A query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut named = self.query.iter().filter(|(key, _)| key == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// Whether this was a request for a token.
    pub fn is_sign_in(&self) -> bool {
        self.service == Service::Iam && self.method == "POST" && self.path.ends_with("/auth/tokens")
    }
}

/// The most requests that are remembered: the demo may run for months.
const MOST_SEEN: usize = 20_000;

/// The record of the requests since the start or the last `forget`.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Requests that were forgotten, so that the numbers of those under way stay valid.
    forgotten: usize,
    seen: VecDeque<Seen>,
    in_flight: BTreeMap<String, InFlight>,
}

#[derive(Debug, Default)]
struct InFlight {
    now: usize,
    most: usize,
}

impl Log {
    /// Writes a request down and gives its number. It is under way until it is `ended`.
    pub(super) fn begun(&mut self, seen: Seen) -> usize {
        if let Some(project) = &seen.project {
            let count = self.in_flight.entry(project.clone()).or_default();
            count.now += 1;
            count.most = count.most.max(count.now);
        }
        if self.seen.len() == MOST_SEEN {
            self.seen.pop_front();
            self.forgotten += 1;
        }
        self.seen.push_back(seen);
        self.forgotten + self.seen.len() - 1
    }

    /// Notes the status of a request.
    pub(super) fn answered(&mut self, number: usize, status: u16) {
        let at = number.checked_sub(self.forgotten);
        if let Some(seen) = at.and_then(|at| self.seen.get_mut(at)) {
            seen.status = Some(status);
        }
    }

    /// Notes that a request is no longer under way, answered or not.
    pub(super) fn ended(&mut self, project: Option<&str>) {
        if let Some(count) = project.and_then(|project| self.in_flight.get_mut(project)) {
            count.now = count.now.saturating_sub(1);
        }
    }

    pub(super) fn forget(&mut self) {
        self.forgotten += self.seen.len();
        self.seen.clear();
        for count in self.in_flight.values_mut() {
            count.most = count.now;
        }
    }

    pub(super) fn seen(&self) -> &VecDeque<Seen> {
        &self.seen
    }

    pub(super) fn most_in_flight(&self, project: &str) -> usize {
        self.in_flight.get(project).map_or(0, |count| count.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        Seen {
            service: Service::Rds,
            method: "GET".to_owned(),
            path: "/v3/p/backups".to_owned(),
            query: Vec::new(),
            project: Some("p".to_owned()),
            caller: Caller::Nobody,
            status: None,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_most_requests_at_one_moment_are_remembered() {
        let mut log = Log::default();
        log.begun(seen());
        log.begun(seen());
        log.ended(Some("p"));
        log.begun(seen());
        assert_eq!(log.most_in_flight("p"), 2);
        assert_eq!(log.most_in_flight("q"), 0);
    }

    #[test]
    fn old_requests_are_forgotten_when_there_are_very_many() {
        let mut log = Log::default();
        let first = log.begun(seen());
        for _ in 0..MOST_SEEN {
            log.begun(seen());
        }
        log.answered(first, 500);
        assert_eq!(log.seen().len(), MOST_SEEN);
        assert!(log.seen().iter().all(|seen| seen.status.is_none()));
    }

    #[test]
    fn a_request_under_way_while_the_log_is_forgotten_marks_no_other() {
        let mut log = Log::default();
        let old = log.begun(seen());
        log.forget();
        let new = log.begun(seen());
        log.answered(old, 500);
        log.answered(new, 200);
        assert_eq!(log.seen().len(), 1);
        assert_eq!(log.seen()[0].status, Some(200));
    }
}
