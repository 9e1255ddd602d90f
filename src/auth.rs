//! Credentials onto a request.
//!
//! An [`Account`] is a credential in use: every project that names it shares its request budget and
//! its pause after a refusal. An [`Access`] is an account's way into one project: with a password
//! a token that is fetched once and kept, with keys a signature on every request.

mod pause;
mod sign;
mod token;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use leaky_bucket::RateLimiter;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Request, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::{Credential, CredentialKind, Secret};
use crate::error::{Fault, Reason};
use crate::http::{self, Answer, Http, Role, TlsError};
use crate::meter::Meters;
use pause::Pause;
use token::{SignIn, Token};

/// A credential in use.
#[derive(Debug)]
pub struct Account {
    credential: Arc<Credential>,
    http: Http,
    budget: RateLimiter,
    pause: Mutex<Pause>,
    /// Of one request.
    request_timeout: Duration,
    clock: Clock,
    meters: Meters,
}

impl Account {
    /// Puts a credential to use; nothing is asked yet.
    pub fn new(
        credential: Arc<Credential>,
        request_timeout: Duration,
        clock: Clock,
        meters: Meters,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            http: Http::new(credential.ca_file.as_deref())?,
            budget: budget(credential.requests_per_second),
            pause: Mutex::default(),
            credential,
            request_timeout,
            clock,
            meters,
        })
    }

    /// Waits until the budget allows one more request. An error is a pause that lasts or began
    /// meanwhile: of a long queue, only those under way meet a refusal.
    pub async fn turn(&self) -> Result<(), Fault> {
        self.check_pause()?;
        self.budget.acquire_one().await;
        self.check_pause()
    }

    /// Sends a request for which [`Account::turn`] was waited, and counts it under `project` and
    /// `api`.
    pub async fn send(
        &self,
        role: Role,
        project: &str,
        api: &str,
        request: Request,
    ) -> Result<Answer, Fault> {
        let started = Instant::now();
        let outcome = self.http.exchange(request, self.request_timeout).await;
        let status = outcome.as_ref().ok().map(|answer| answer.status);
        self.meters.api_request(project, api, status, started.elapsed());
        outcome.and_then(|answer| http::check(role, answer))
    }

    /// The time by which requests are made.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn check_pause(&self) -> Result<(), Fault> {
        let Some(remaining) = self.lock_pause().remaining(Instant::now()) else { return Ok(()) };
        Err(Fault::new(
            Reason::Auth,
            format!(
                "the credential `{}` is paused for another {} s, because the cloud refused it",
                self.credential.name,
                remaining.as_secs().max(1)
            ),
        ))
    }

    fn refused(&self) {
        self.lock_pause().refused(Instant::now());
    }

    fn accepted(&self) {
        self.lock_pause().accepted(Instant::now());
    }

    fn lock_pause(&self) -> std::sync::MutexGuard<'_, Pause> {
        // The state is whole after every statement, so a panic elsewhere has not broken it.
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// An account's way into one project.
#[derive(Debug)]
pub struct Access {
    account: Arc<Account>,
    project: Box<str>,
    project_id: Box<str>,
    token: tokio::sync::Mutex<TokenSlot>,
}

/// What a request is authorised with.
#[derive(Clone, Debug)]
pub struct Proof(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Keys,
    Token(Arc<Token>),
}

/// The token of a project, behind a lock that is held while one is fetched: who comes meanwhile
/// waits for that one.
#[derive(Debug, Default)]
struct TokenSlot {
    token: Option<Arc<Token>>,
    /// The last failed fetch, which is that of all who waited for it.
    failure: Option<(Instant, Fault)>,
}

impl Access {
    /// The way into the project of that name (the label) and id.
    pub fn new(account: Arc<Account>, project: &str, project_id: &str) -> Self {
        Self {
            account,
            project: project.into(),
            project_id: project_id.into(),
            token: tokio::sync::Mutex::default(),
        }
    }

    /// The account behind it.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// What to authorise the next request with: a token in force, or the keys.
    pub async fn proof(&self) -> Result<Proof, Fault> {
        self.account.check_pause()?;
        let CredentialKind::Password { auth_url, username, user_domain_name, password } =
            &self.account.credential.kind
        else {
            return Ok(Proof(Kind::Keys));
        };
        let asked = Instant::now();
        let mut slot = self.token.lock().await;
        let now = Instant::now();
        if let Some(token) = slot.token.as_ref().filter(|token| now < token.renew_at) {
            return Ok(Proof(Kind::Token(Arc::clone(token))));
        }
        let failed_meanwhile = slot.failure.as_ref().filter(|(at, _)| *at >= asked);
        let fetched = if let Some((_, fault)) = failed_meanwhile {
            Err(fault.clone())
        } else {
            let sign_in = SignIn {
                auth_url: auth_url.url(),
                username,
                user_domain_name,
                password: password.value(),
                project_id: &self.project_id,
            };
            self.fetch(&sign_in).await
        };
        match fetched {
            Ok(token) => {
                let token = Arc::new(token);
                *slot = TokenSlot { token: Some(Arc::clone(&token)), failure: None };
                Ok(Proof(Kind::Token(token)))
            }
            Err(fault) => {
                if failed_meanwhile.is_none() {
                    slot.failure = Some((Instant::now(), fault.clone()));
                }
                // An old token is good until its end, whatever became of its renewal.
                let old = slot.token.as_ref().filter(|token| Instant::now() < token.dead_at);
                old.map(|token| Proof(Kind::Token(Arc::clone(token)))).ok_or(fault)
            }
        }
    }

    /// A GET with its credentials, signed now.
    pub fn request(
        &self,
        proof: &Proof,
        endpoint: &Url,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Request, Fault> {
        let mut request = http::get(endpoint, path, &sign::canonical_query(query));
        let headers = match (&proof.0, &self.account.credential.kind) {
            (Kind::Token(token), _) => {
                vec![(HeaderName::from_static("x-auth-token"), token.value.clone())]
            }
            (Kind::Keys, CredentialKind::Keys { access_key, secret_key, security_token }) => self
                .signature(
                    &http::host(endpoint),
                    path,
                    query,
                    access_key.value(),
                    secret_key.value(),
                    security_token.as_ref().map(Secret::value),
                ),
            (Kind::Keys, CredentialKind::Password { .. }) => Vec::new(),
        };
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| {
                Fault::new(
                    Reason::Auth,
                    format!(
                        "the credential `{}` has a character that no header may have",
                        self.account.credential.name
                    ),
                )
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    /// The cloud accepted a request.
    pub fn accepted(&self) {
        self.account.accepted();
    }

    /// The cloud refused a request with `proof`, the first time or `again`. True if it is worth
    /// another try: the token may have died early, and is then dropped, once for all who used it.
    pub async fn refused(&self, proof: &Proof, again: bool) -> bool {
        self.account.meters.auth_failure(&self.project);
        if let Kind::Token(refused) = &proof.0
            && !again
        {
            let mut slot = self.token.lock().await;
            if slot.token.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused)) {
                slot.token = None;
            }
            return true;
        }
        self.account.refused();
        false
    }

    async fn fetch(&self, sign_in: &SignIn<'_>) -> Result<Token, Fault> {
        let account = &self.account;
        account.turn().await?;
        let request = sign_in.request()?;
        let answer = account.send(Role::SignIn, &self.project, "iam_token", request).await;
        let token = answer
            .and_then(|answer| Token::read(&answer, account.now(), Instant::now()))
            .map_err(|fault| {
                fault.during(format_args!("cannot sign in as `{}`", account.credential.name))
            });
        match &token {
            Ok(token) => account.meters.auth_token(&self.project, token.expires_at),
            Err(fault) if fault.reason == Reason::Auth => {
                account.meters.auth_failure(&self.project);
                account.refused();
            }
            Err(_) => {}
        }
        token
    }

    fn signature(
        &self,
        host: &str,
        path: &str,
        query: &[(&str, &str)],
        access_key: &SecretString,
        secret_key: &SecretString,
        security_token: Option<&SecretString>,
    ) -> Vec<(HeaderName, SecretString)> {
        let date = sign::date(self.account.now());
        let mut headers =
            vec![("host", host), ("x-project-id", &*self.project_id), ("x-sdk-date", &date)];
        if let Some(token) = security_token {
            headers.push(("x-security-token", token.expose_secret()));
        }
        let unsigned = sign::Unsigned { method: "GET", path, query, headers: &headers, body: b"" };
        let authorization = sign::authorization(
            &unsigned,
            &date,
            access_key.expose_secret(),
            secret_key.expose_secret(),
        );
        // `Host` is written by the client from the URL, which is where it was taken from.
        let sent = headers.iter().filter(|(name, _)| *name != "host");
        let mut sent: Vec<_> = sent
            .map(|(name, value)| (HeaderName::from_static(name), SecretString::from(*value)))
            .collect();
        sent.push((AUTHORIZATION, SecretString::from(authorization)));
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target;

    #[tokio::test(start_paused = true)]
    async fn the_budget_has_a_burst_of_one_second_and_then_keeps_its_rate() {
        for (rate, burst) in [(0.2, 1), (0.5, 1), (1.0, 1), (2.5, 2), (20.0, 20), (4000.0, 4000)] {
            let budget = budget(rate);
            let begin = Instant::now();
            for _ in 0..burst {
                budget.acquire_one().await;
            }
            assert!(begin.elapsed() < Duration::from_millis(2), "{rate}: the burst waits");
            let more = if rate < 1.0 { 3 } else { 3 * burst };
            for _ in 0..more {
                budget.acquire_one().await;
            }
            let expected = f64::from(more) / rate;
            let took = begin.elapsed().as_secs_f64();
            assert!((took - expected).abs() < 0.01 * expected + 0.01, "{rate}: {took} s");
        }
    }

    #[tokio::test]
    async fn what_authorises_a_request_does_not_show_in_its_debug_output() {
        let targets = target::tests::read(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    \
             ddm: { endpoint: https://ddm.example }\n",
        );
        let credential = Arc::clone(&targets[0].credential);
        let clock = Clock::new(|| Timestamp::UNIX_EPOCH);
        let account =
            Account::new(credential, Duration::from_secs(1), clock, Meters::new().unwrap());
        let access = Access::new(Arc::new(account.unwrap()), "shop", "p1");
        let proof = access.proof().await.unwrap();
        let request = access.request(&proof, &targets[0].endpoint, "/v3/p1/backups", &[]).unwrap();
        assert!(request.headers()[AUTHORIZATION].to_str().unwrap().contains("Access=AK"));
        assert!(!format!("{request:?}").contains("Access=AK"), "{request:?}");
    }
}
