//! A credential in use: what every project and product that names it shares.
//!
//! Its request budget, its pause when the cloud throttles, its pause when the cloud refuses it, and
//! its secrets while they rotate. It also decides on trying again, in one place for all that is
//! asked of the cloud.

mod keyring;
mod pause;
mod retry;
mod throttle;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use leaky_bucket::RateLimiter;
use reqwest::Request;
use reqwest::header::HeaderValue;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock::Clock;
use crate::config::Credential;
use crate::error::{Fault, Reason};
use crate::http::{self, Answer, Http, Role, TlsError};
use crate::meter::Meters;
use crate::shard::Shard;
use keyring::{Keyring, mask};
use retry::Next;
use throttle::Throttle;

pub use keyring::{Material, Secrets};
pub use pause::Pause;
pub use retry::Patience;

/// What the accounts of a daemon have in common.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The longest that one request takes, connecting included.
    pub request_timeout: Duration,
    /// How often and after which waits a request is tried.
    pub patience: Patience,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub meters: Meters,
    /// Whose part of the budget it is.
    pub shard: Shard,
}

/// A credential in use.
#[derive(Debug)]
pub struct Account {
    credential: Arc<Credential>,
    terms: Terms,
    http: Http,
    budget: RateLimiter,
    state: Mutex<State>,
    /// Apart from the state: a scrape asks for it.
    throttle: Mutex<Throttle>,
    /// Held while secrets are used that the cloud has not accepted yet: of many requests that start
    /// together with a wrong one a single one is refused, and not enough to lock the account. One
    /// that hangs holds the others for its time-out; they come in turn.
    proving: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    keyring: Keyring,
    refusal: Pause,
    /// After a fresh token was refused, which a good password does not mend.
    token_refusal: Pause,
    /// The project whose sign-in was refused, while the same secret works for others.
    scope_refused: Option<Box<str>>,
}

/// A question to the cloud, but for its text.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who is asked.
    pub role: Role,
    /// The project on whose behalf: a label.
    pub project: &'a str,
    /// What is asked: a label.
    pub api: &'a str,
    /// The secrets that authorise it; none with a token.
    pub material: Option<&'a Material>,
    /// The project's requests in flight.
    pub in_flight: Option<&'a Semaphore>,
}

impl State {
    /// The cloud refused these secrets for a project.
    ///
    /// A 403 of IAM is about the project, and so, it seems, is a 401 while the same secret works for
    /// others: only that project is then left alone, by its own pause. If another project is refused
    /// too, and none was accepted between, the secret itself no longer works.
    fn refused(
        &mut self,
        material: &Material,
        fresh: Option<Material>,
        ask: &Ask<'_>,
        status: Option<u16>,
        now: Instant,
    ) {
        if ask.role == Role::SignIn {
            let is_only_one = self.scope_refused.as_deref().is_none_or(|it| it == ask.project);
            if status == Some(403) || self.keyring.is_proven(material) && is_only_one {
                self.scope_refused = Some(ask.project.into());
                return;
            }
        }
        if !self.keyring.refused(material, fresh, now) {
            self.refusal.refused(now);
        }
    }
}

impl Account {
    /// Puts a credential to use; nothing is asked yet.
    pub fn new(credential: Arc<Credential>, terms: Terms) -> Result<Self, TlsError> {
        Ok(Self {
            http: Http::new(credential.ca_file.as_deref())?,
            budget: budget(terms.shard.part_of(credential.requests_per_second)),
            state: Mutex::new(State {
                keyring: Keyring::new(&credential),
                refusal: Pause::default(),
                token_refusal: Pause::default(),
                scope_refused: None,
            }),
            throttle: Mutex::default(),
            proving: tokio::sync::Mutex::default(),
            credential,
            terms,
        })
    }

    /// Whether an account of this credential would be the same.
    pub fn serves(&self, credential: &Credential, terms: &Terms) -> bool {
        *self.credential == *credential
            && self.terms.request_timeout == terms.request_timeout
            && self.http.trusts(credential.ca_file.as_deref())
    }

    /// The credential.
    pub fn credential(&self) -> &Arc<Credential> {
        &self.credential
    }

    /// What is counted.
    pub fn meters(&self) -> &Meters {
        &self.terms.meters
    }

    /// The time by which requests are made.
    pub fn now(&self) -> Timestamp {
        self.terms.clock.now()
    }

    /// The secrets to use next. An error is the pause after a refusal.
    pub fn material(&self) -> Result<Material, Fault> {
        self.check_refusal()?;
        // Read before the lock: a file may be slow.
        let fresh = Material::read(&self.credential);
        Ok(self.state().keyring.next(fresh, Instant::now()))
    }

    /// How long all that shares the credential still waits because the cloud throttles.
    pub fn backoff(&self) -> Duration {
        self.throttle().remaining(Instant::now()).unwrap_or_default()
    }

    /// The cloud refused a token twice, the second time one that was just fetched: that is as good as
    /// refusing the secret.
    pub fn token_refused(&self) {
        let fresh = Material::read(&self.credential);
        let mut state = self.state();
        let material = state.keyring.in_force();
        let now = Instant::now();
        if !state.keyring.refused(&material, fresh, now) {
            state.token_refusal.refused(now);
        }
    }

    /// The cloud accepted a token.
    pub fn token_accepted(&self) {
        self.state().token_refusal.accepted(Instant::now());
    }

    /// Asks, again after faults that may pass. `make` makes the request of each try, so that each is
    /// signed anew; `tried` is called for every request that goes out.
    pub async fn ask(
        &self,
        ask: &Ask<'_>,
        make: impl Fn() -> Result<Request, Fault>,
        tried: impl Fn(),
    ) -> Result<Answer, Fault> {
        let mut failed = 0;
        loop {
            let fault = match self.attempt(ask, &make, &tried).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            failed += 1;
            let jitter = fastrand::f64();
            match self.terms.patience.next(fault.reason, failed, fault.retry_after, jitter) {
                Next::GiveUp => return Err(fault),
                // The next attempt waits its turn.
                Next::PauseAll => {}
                Next::Wait(wait) => sleep(wait).await,
            }
            self.terms.meters.api_retry(ask.project, ask.api);
        }
    }

    async fn attempt(
        &self,
        ask: &Ask<'_>,
        make: &impl Fn() -> Result<Request, Fault>,
        tried: &impl Fn(),
    ) -> Result<Answer, Fault> {
        // First a slot, then the turn: what is taken from the budget is then sent at once, and does
        // not pile up behind requests that hang. A project has one credential, so that all who want
        // a slot wait for the same turn anyway.
        let closed = |_| Fault::new(Reason::Internal, "the client is closed");
        let _slot = match ask.in_flight {
            Some(slots) => Some(slots.acquire().await.map_err(closed)?),
            None => None,
        };
        self.turn().await?;
        let is_unproven = |material: &&Material| !self.state().keyring.is_proven(material);
        let _proving = match ask.material.filter(is_unproven) {
            Some(material) => {
                let proving = self.proving.lock().await;
                self.check_refusal()?;
                self.check_material(material)?;
                Some(proving)
            }
            None => None,
        };
        let request = make()?;
        let token = request.headers().get(http::TOKEN_HEADER).cloned();
        tried();
        let started = Instant::now();
        let outcome = self.http.exchange(request, self.terms.request_timeout).await;
        let meters = &self.terms.meters;
        let status = outcome.as_ref().ok().map(|answer| answer.status);
        meters.api_request(ask.project, ask.api, status, started.elapsed());
        let mut answer = outcome?;
        if !(200..300).contains(&answer.status) {
            self.mask(ask, token.as_ref(), &mut answer);
        }
        let now = self.now();
        let skew = answer.date().map(|date| date.duration_since(now));
        if let Some(skew) = skew {
            meters.clock_skew(ask.project, skew);
        }
        let outcome = http::check(ask.role, answer, now);
        self.learn(ask, outcome.as_ref().err());
        outcome.map_err(
            |fault| {
                if fault.reason == Reason::Auth { with_skew(fault, skew) } else { fault }
            },
        )
    }

    /// Takes secrets out of a refusal that echoes them, before anything of it is cut.
    fn mask(&self, ask: &Ask<'_>, token: Option<&HeaderValue>, answer: &mut Answer) {
        let text = self.state().keyring.mask(&String::from_utf8_lossy(&answer.body));
        let text = ask.material.map_or(text.clone(), |material| material.mask(&text));
        let token = token.and_then(|token| token.to_str().ok());
        answer.body = token.map_or(text.clone(), |token| mask(&text, token)).into_bytes();
    }

    /// What an answer says about the credential.
    fn learn(&self, ask: &Ask<'_>, fault: Option<&Fault>) {
        let now = Instant::now();
        let meters = &self.terms.meters;
        let fresh = match (fault, ask.material) {
            (Some(fault), Some(_)) if fault.reason == Reason::Auth => {
                Material::read(&self.credential)
            }
            _ => None,
        };
        let state = &mut *self.state();
        match fault.map(|fault| fault.reason) {
            Some(Reason::Throttled) => {
                meters.api_throttled(ask.project, ask.api);
                let asked = fault.and_then(|fault| fault.retry_after);
                self.throttle().throttled(&self.terms.patience, asked, fastrand::f64(), now);
            }
            Some(Reason::Auth) => {
                meters.auth_failure(ask.project);
                self.throttle().answered(now);
                if let Some(material) = ask.material {
                    let status = fault.and_then(|fault| fault.status);
                    state.refused(material, fresh, ask, status, now);
                }
            }
            Some(_) => self.throttle().answered(now),
            None => {
                self.throttle().answered(now);
                if let Some(material) = ask.material {
                    state.keyring.accepted(material);
                    state.refusal.accepted(now);
                    state.scope_refused = None;
                }
            }
        }
    }

    /// Waits until the cloud may be asked. An error is a pause after a refusal that lasts or began
    /// meanwhile: of a long queue, only those under way meet the refusal.
    async fn turn(&self) -> Result<(), Fault> {
        loop {
            self.check_refusal()?;
            if let Some(remaining) = self.throttled() {
                sleep_until(Instant::now() + remaining).await;
                continue;
            }
            self.budget.acquire_one().await;
            // A pause may have begun while the budget was waited for.
            if self.throttled().is_none() {
                return self.check_refusal();
            }
        }
    }

    fn throttled(&self) -> Option<Duration> {
        self.throttle().remaining(Instant::now())
    }

    /// An error if the cloud refused these secrets while they waited.
    fn check_material(&self, material: &Material) -> Result<(), Fault> {
        if !self.state().keyring.was_refused(material, Instant::now()) {
            return Ok(());
        }
        let name = &self.credential.name;
        let message = format!("the cloud refused the credential `{name}` meanwhile");
        Err(Fault::new(Reason::Auth, message))
    }

    fn check_refusal(&self) -> Result<(), Fault> {
        let now = Instant::now();
        {
            let state = self.state();
            if !state.refusal.has_begun() && !state.token_refusal.has_begun() {
                return Ok(());
            }
        }
        let fresh = Material::read(&self.credential);
        let mut state = self.state();
        let has_ended = state.refusal.has_ended(now) | state.token_refusal.has_ended(now);
        let remaining = state.refusal.remaining(now).max(state.token_refusal.remaining(now));
        let Some(remaining) = remaining else {
            if has_ended {
                state.keyring.start_over(fresh);
            }
            return Ok(());
        };
        if state.keyring.has_changed(fresh.as_ref()) {
            state.refusal = Pause::default();
            state.token_refusal = Pause::default();
            return Ok(());
        }
        Err(Fault::new(
            Reason::Auth,
            format!(
                "the credential `{}` is paused for another {} s, because the cloud refused it; the \
                 pause ends when the secret changes",
                self.credential.name,
                remaining.as_secs().max(1)
            ),
        ))
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole after every statement, so a panic elsewhere has not broken it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names the clocks where they are so far apart that they may be the cause: a signature is refused
/// from 15 minutes on.
fn with_skew(mut fault: Fault, skew: Option<SignedDuration>) -> Fault {
    if let Some(skew) = skew.filter(|skew| skew.abs() > SignedDuration::from_mins(5)) {
        let side = if skew.is_positive() { "behind" } else { "ahead of" };
        let seconds = skew.abs().as_secs();
        fault.message += &format!("; the clock here is {seconds} s {side} the cloud's");
    }
    fault
}

/// A burst of one second's worth, at least one request; then one at a time.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn budget(requests_per_second: f64) -> RateLimiter {
    let burst = (requests_per_second as usize).max(1);
    // Timers have milliseconds: faster budgets are refilled by several at a time.
    let refill = (requests_per_second / 1000.0).ceil().max(1.0);
    RateLimiter::builder()
        .max(burst)
        .initial(burst)
        .refill(refill as usize)
        .interval(Duration::from_secs_f64(refill / requests_per_second))
        .build()
}
