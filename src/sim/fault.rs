//! Faults on demand: rules that say which requests go wrong, how often, and how.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::json;

use super::{
    answer::Answer,
    estate::Estate,
    request::{Request, Service},
};

/// A rule. Without further words it is about every request, for ever.
#[derive(Clone)]
#[must_use]
pub struct Fault {
    service: Option<Service>,
    part: String,
    when: Option<Condition>,
    skip: usize,
    left: Option<usize>,
    delay: Duration,
    action: Action,
}

type Condition = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// What happens instead of, or besides, the ordinary answer.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Answer(Answer),
    Change(Change),
    Close,
    Cut,
    Endless(Endless),
    Hang,
    Pass,
}

/// What the total of an endless list says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// Always this number.
    Fixed(u64),
    /// Always more than what was read.
    Growing,
}

/// A function that changes what exists, given the time.
pub type EstateChange = Arc<dyn Fn(&mut Estate, Timestamp) + Send + Sync>;

/// A change to the list (of backups or of instances) that was asked for, made right after a page of it was answered. Head and tail
/// are those of the list in the order it is served.
#[derive(Clone)]
pub enum Change {
    /// Whatever the function does.
    Apply(EstateChange),
    /// The first record goes.
    DeleteHead,
    /// The record in the middle goes.
    DeleteMiddle,
    /// The last record goes.
    DeleteTail,
    /// The first running record completes; of instances, the first one that is still being made.
    FinishRunning,
    /// A record comes before the first one, and is like it.
    InsertAtHead,
}

impl Fault {
    /// An answer of this status, with a body as the gateway writes it.
    pub fn status(status: u16) -> Self {
        let body = match status {
            429 => Answer::gateway(429, "APIGW.0308", "The throttling threshold has been reached"),
            _ => Answer::gateway(status, "APIGW.0999", "A fault on demand"),
        };
        Self::answer(body)
    }

    /// Exactly this answer.
    pub fn answer(answer: Answer) -> Self {
        Self::new(Action::Answer(answer))
    }

    /// Status 200 and exactly this body.
    pub fn body(body: impl Into<Vec<u8>>) -> Self {
        Self::answer(Answer::text(200, body))
    }

    /// Status 200 and a valid list, of backups or of instances, of more than 8 MiB.
    pub fn huge_body() -> Self {
        let body = json!({
            "backups": [],
            "instances": [],
            "padding": "x".repeat(9 << 20),
            "total": 0,
            "total_count": 0,
            "total_record": 0,
        });
        Self::answer(Answer::json(200, &body))
    }

    /// The connection is closed without an answer.
    pub fn close() -> Self {
        Self::new(Action::Close)
    }

    /// The ordinary answer breaks off half-way through its body.
    pub fn cut() -> Self {
        Self::new(Action::Cut)
    }

    /// No answer, ever; the connection stays open.
    pub fn hang() -> Self {
        Self::new(Action::Hang)
    }

    /// The ordinary answer, later. The pause is on the runtime's clock.
    pub fn delay(pause: Duration) -> Self {
        Self::new(Action::Pass).delayed(pause)
    }

    /// Every page of a list is full of records, or instances, never seen before.
    pub fn endless(endless: Endless) -> Self {
        Self::new(Action::Endless(endless))
    }

    /// The list changes after each page that is answered.
    pub fn change(change: Change) -> Self {
        Self::new(Action::Change(change))
    }

    fn new(action: Action) -> Self {
        Self {
            service: None,
            part: String::new(),
            when: None,
            skip: 0,
            left: None,
            delay: Duration::ZERO,
            action,
        }
    }

    /// With one more header, if the rule answers by itself.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Action::Answer(answer) = self.action {
            self.action = Action::Answer(answer.with_header(name, value));
        }
        self
    }

    /// Only on this host.
    pub fn on(mut self, service: Service) -> Self {
        self.service = Some(service);
        self
    }

    /// Only where path and query, as sent, hold this text.
    pub fn at(mut self, part: &str) -> Self {
        part.clone_into(&mut self.part);
        self
    }

    /// Only for requests of which this is true.
    pub fn when(mut self, condition: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Arc::new(condition));
        self
    }

    /// Not for the first few requests that it is about.
    pub fn after(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Only so many times.
    pub fn times(mut self, count: usize) -> Self {
        self.left = Some(count);
        self
    }

    /// Only one time.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// After a pause on the runtime's clock.
    pub fn delayed(mut self, pause: Duration) -> Self {
        self.delay = pause;
        self
    }

    /// Whether this rule strikes now. Asking counts as one time.
    fn strikes(&mut self, request: &Request) -> bool {
        let meant = self.service.is_none_or(|service| service == request.service)
            && request.target.contains(&self.part)
            && self.when.as_ref().is_none_or(|when| when(request));
        if !meant || self.left == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.left = self.left.map(|left| left - 1);
        true
    }
}

/// The pause and the action of the first rule that strikes.
pub(super) fn strike(faults: &mut [Fault], request: &Request) -> (Duration, Action) {
    let struck = faults.iter_mut().find_map(|fault| {
        let strikes = fault.strikes(request);
        strikes.then(|| (fault.delay, fault.action.clone()))
    });
    struck.unwrap_or((Duration::ZERO, Action::Pass))
}

impl Change {
    /// Whatever the function does.
    pub fn apply(change: impl Fn(&mut Estate, Timestamp) + Send + Sync + 'static) -> Self {
        Self::Apply(Arc::new(change))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Fault")
            .field("service", &self.service)
            .field("part", &self.part)
            .field("left", &self.left)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Apply(_) => "Apply",
            Self::DeleteHead => "DeleteHead",
            Self::DeleteMiddle => "DeleteMiddle",
            Self::DeleteTail => "DeleteTail",
            Self::FinishRunning => "FinishRunning",
            Self::InsertAtHead => "InsertAtHead",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> Request {
        Request::new(Service::Rds, "GET", target, Vec::new(), Vec::new())
    }

    fn struck(faults: &mut [Fault], target: &str) -> bool {
        !matches!(strike(faults, &request(target)).1, Action::Pass)
    }

    #[test]
    fn a_rule_strikes_where_and_as_often_as_it_says() {
        let faults = &mut [Fault::close().on(Service::Rds).at("offset=100").after(1).times(2)];
        assert!(!struck(faults, "/v3/p/backups?offset=0"));
        let struck: Vec<bool> =
            (0..4).map(|_| struck(faults, "/v3/p/backups?offset=100")).collect();
        assert_eq!(struck, [false, true, true, false]);
    }

    #[test]
    fn the_first_rule_that_strikes_hides_the_others() {
        let faults = &mut [
            Fault::hang().on(Service::Ddm),
            Fault::close().when(|request| request.parameter("limit") == Some("1")).once(),
            Fault::cut(),
        ];
        let action = |faults: &mut [Fault]| strike(faults, &request("/v3/p/backups?limit=1")).1;
        assert!(matches!(action(faults), Action::Close));
        assert!(matches!(action(faults), Action::Cut));
    }
}
