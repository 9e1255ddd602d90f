//! Credentials onto a request: an account's way into one project, with a password by a token that
//! is fetched once and kept, with keys by a signature on every request.

mod lookup;
mod sign;
mod token;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Request, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::account::{Account, Ask, Material, Pause, Secrets};
use crate::config::{CredentialKind, ProjectId};
use crate::error::{Fault, Reason};
use crate::http::{self, Role};
use lookup::Lookup;
use token::{Scope, SignIn, Token};

pub use lookup::PROJECTS_API;

/// An account's way into one project.
#[derive(Debug)]
pub struct Access {
    account: Arc<Account>,
    project: Box<str>,
    project_id: ProjectId,
    lookup: Lookup,
    known: Mutex<Known>,
    /// Held while a token is fetched: who comes meanwhile waits for that one.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    token: Option<Arc<Token>>,
    /// Tokens in a row that were refused without having worked for anything.
    useless: u32,
    /// The last failed fetch, which is that of all who waited for it.
    failure: Option<(Instant, Fault)>,
    /// After a refusal that was about this project, and the secrets that were refused for it.
    refusal: Pause,
    refused: Option<Material>,
}

/// What a request is authorised with.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A signature.
    Keys(Material),
    /// A token.
    Token(Arc<Token>),
}

impl Proof {
    /// The keys, if it is a signature.
    pub fn material(&self) -> Option<&Material> {
        match self {
            Self::Keys(material) => Some(material),
            Self::Token(_) => None,
        }
    }
}

/// The label `api` of sign-ins.
pub const SIGN_IN_API: &str = "iam_token";

/// One token that never worked may have died early; with the second it is the user that is refused.
const MOST_USELESS: u32 = 2;
/// So many tokens may die early under one request.
const MOST_REFUSALS: u32 = 3;

/// After a failed renewal the old token is used for so long before the next one.
const RENEW_AGAIN: Duration = Duration::from_secs(60);

impl Access {
    /// The way into the project of that name (the label) and id.
    pub fn new(account: Arc<Account>, project: &str, project_id: &ProjectId) -> Self {
        Self {
            account,
            project: project.into(),
            project_id: project_id.clone(),
            lookup: Lookup::new(project_id),
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The account behind it.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// When the token in use expires, if there is one.
    pub fn token_expires_at(&self) -> Option<Timestamp> {
        self.known().token.as_ref().map(|token| token.expires_at)
    }

    /// What to authorise the next request with: the keys, or a token in force.
    pub async fn proof(&self) -> Result<Proof, Fault> {
        let project_id = self.project_id().await?;
        let material = self.account.material()?;
        if matches!(material.secrets(), Secrets::Keys { .. }) {
            return Ok(Proof::Keys(material));
        }
        let asked = Instant::now();
        let (usable, due) = self.known().usable(asked);
        let _fetching = match usable {
            Some(token) if !due => return Ok(Proof::Token(token)),
            // One renews; the others need not wait while the old one is good.
            Some(token) => match self.fetching.try_lock() {
                Ok(fetching) => fetching,
                Err(_) => return Ok(Proof::Token(token)),
            },
            None => self.fetching.lock().await,
        };
        {
            let known = self.known();
            if let (Some(token), false) = known.usable(Instant::now()) {
                return Ok(Proof::Token(token));
            }
            if let Some((_, fault)) = known.failure.as_ref().filter(|(at, _)| *at >= asked) {
                return Err(fault.clone());
            }
        }
        if let Some(pause) = self.pause_of(&material, asked) {
            return self.known().or_old(pause);
        }
        match self.fetch(Scope::Id(project_id)).await {
            Ok(token) => Ok(Proof::Token(self.keep(token))),
            Err((fault, refused)) => {
                self.known().failure = Some((Instant::now(), fault.clone()));
                self.note_refusal(refused);
                self.known().or_old(fault)
            }
        }
    }

    /// Takes a token of the project into use.
    fn keep(&self, token: Token) -> Arc<Token> {
        let token = Arc::new(token);
        let mut known = self.known();
        known.token = Some(Arc::clone(&token));
        known.failure = None;
        known.refusal.accepted(Instant::now());
        token
    }

    /// The pause of this project, if these secrets were refused for it.
    fn pause_of(&self, material: &Material, now: Instant) -> Option<Fault> {
        let known = self.known();
        let remaining = known.refusal.remaining(now)?;
        (known.refused.as_ref() == Some(material)).then(|| self.paused(remaining))
    }

    /// Begins a pause of this project, if it is this project that these secrets were refused for.
    fn note_refusal(&self, refused: Option<Material>) {
        if refused.is_some() {
            let mut known = self.known();
            known.refusal.refused(Instant::now());
            known.refused = refused;
        }
    }

    /// A GET of the project with its credentials, signed now.
    pub fn request(
        &self,
        proof: &Proof,
        endpoint: &Url,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Request, Fault> {
        self.request_for(self.lookup.id(), proof, endpoint, path, query)
    }

    /// The same for no project, as long as its id is not known.
    fn request_for(
        &self,
        project_id: Option<&str>,
        proof: &Proof,
        endpoint: &Url,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Request, Fault> {
        let mut request = http::get(endpoint, path, &sign::canonical_query(query));
        let headers = match proof {
            Proof::Token(token) => {
                vec![(HeaderName::from_static(http::TOKEN_HEADER), token.value.clone())]
            }
            Proof::Keys(material) => {
                self.signature(project_id, material, &http::host(endpoint), path, query)
            }
        };
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| {
                let name = &self.account.credential().name;
                let message =
                    format!("a secret of `{name}` has a character that no header may have");
                Fault::new(Reason::Auth, message)
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    /// What to send instead of a proof that waited: of tokens the one in force by now. Where a token
    /// died early, what was queued with it does not meet the refusal one by one.
    pub fn newest(&self, proof: &Proof) -> Proof {
        match (proof, self.known().usable(Instant::now())) {
            (Proof::Token(_), (Some(token), _)) => Proof::Token(token),
            _ => proof.clone(),
        }
    }

    /// The cloud accepted a request with this proof.
    pub fn accepted(&self, proof: &Proof) {
        if let Proof::Token(token) = proof {
            token.worked();
            self.known().useless = 0;
            self.account.token_accepted();
        }
    }

    /// A request with this proof was refused, after so many refusals before. Gives the next one to
    /// try, if there is any: a token may have died early, and is then dropped, once for all who used
    /// it; keys may have been changed.
    pub async fn after_refusal(&self, proof: &Proof, before: u32) -> Option<Proof> {
        match proof {
            Proof::Keys(refused) => self.other_keys(refused),
            Proof::Token(refused) => {
                let useless = self.known().drop_token(refused);
                if useless >= MOST_USELESS {
                    self.account.token_refused();
                }
                if useless >= MOST_USELESS || before >= MOST_REFUSALS {
                    return None;
                }
                self.proof().await.ok()
            }
        }
    }

    /// Keys to try after these were refused, if they were changed.
    fn other_keys(&self, refused: &Material) -> Option<Proof> {
        let next = self.account.material().ok()?;
        (next != *refused).then_some(Proof::Keys(next))
    }

    /// A token, or why there is none. If it is the project that is to be left alone, and not the
    /// whole account, the secrets that were refused for it last come with it.
    async fn fetch(&self, scope: Scope<'_>) -> Result<Token, (Fault, Option<Material>)> {
        let name = &self.account.credential().name;
        let mut material = self.account.material().map_err(|fault| (fault, None))?;
        loop {
            let fault = match self.sign_in(&material, scope).await {
                Ok(token) => return Ok(token),
                Err(fault) => fault.during(format_args!("cannot sign in as `{name}`")),
            };
            let is_refused = fault.reason == Reason::Auth;
            match self.account.material() {
                // A password that was changed a moment ago may not be known yet: then the one before
                // it is tried. Each is refused at most once, so this ends.
                Ok(next) if is_refused && next != material => material = next,
                Ok(_) => return Err((fault, is_refused.then_some(material))),
                Err(_) => return Err((fault, None)),
            }
        }
    }

    async fn sign_in(&self, material: &Material, scope: Scope<'_>) -> Result<Token, Fault> {
        let (
            CredentialKind::Password { auth_url, username, user_domain, .. },
            Secrets::Password(password),
        ) = (&self.account.credential().kind, material.secrets())
        else {
            return Err(Fault::new(Reason::Internal, "keys do not sign in"));
        };
        let sign_in = SignIn { auth_url: auth_url.url(), username, user_domain, password, scope };
        let ask = Ask {
            role: Role::SignIn,
            project: &self.project,
            api: SIGN_IN_API,
            material: Some(material),
            in_flight: None,
        };
        let answer = self.account.ask(&ask, || sign_in.request(), || {}).await?;
        Token::read(&answer, self.account.now(), Instant::now())
    }

    fn signature(
        &self,
        project_id: Option<&str>,
        material: &Material,
        host: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Vec<(HeaderName, SecretString)> {
        let Secrets::Keys { access_key, secret_key, security_token } = material.secrets() else {
            return Vec::new();
        };
        let date = sign::date(self.account.now());
        let mut headers = vec![("host", host), ("x-sdk-date", &date)];
        headers.extend(project_id.map(|id| ("x-project-id", id)));
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

    fn paused(&self, remaining: Duration) -> Fault {
        Fault::new(
            Reason::Auth,
            format!(
                "the credential `{}` is paused for this project for another {} s, because the cloud \
                 refused it (has the user a role in the project, and is its id right?)",
                self.account.credential().name,
                remaining.as_secs().max(1)
            ),
        )
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // The state is whole after every statement, so a panic elsewhere has not broken it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The token if it is not dead, and whether it is time to fetch the next.
    fn usable(&self, now: Instant) -> (Option<Arc<Token>>, bool) {
        let token = self.token.as_ref().filter(|token| now < token.dead_at);
        let renewed_lately = self.failure.as_ref().is_some_and(|(at, _)| now < *at + RENEW_AGAIN);
        let due = token.is_some_and(|token| now >= token.renew_at) && !renewed_lately;
        (token.cloned(), due)
    }

    /// Drops a token that was refused, once for all who used it. Gives how many in a row never worked.
    fn drop_token(&mut self, refused: &Arc<Token>) -> u32 {
        if self.token.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused)) {
            self.token = None;
            self.useless = if refused.has_worked() { 0 } else { self.useless.saturating_add(1) };
        }
        self.useless
    }

    /// The old token, which is good until its end whatever became of its renewal; else the fault.
    fn or_old(&self, fault: Fault) -> Result<Proof, Fault> {
        self.usable(Instant::now()).0.map(Proof::Token).ok_or(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Patience, Terms};
    use crate::clock::Clock;
    use crate::meter::Meters;
    use crate::target;

    #[tokio::test]
    async fn what_authorises_a_request_does_not_show_in_its_debug_output() {
        let targets = target::tests::read(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    \
             ddm: { endpoint: https://ddm.example }\n",
        );
        let credential = Arc::clone(&targets[0].credential);
        let terms = Terms {
            request_timeout: Duration::from_secs(1),
            patience: Patience::default(),
            clock: Clock::new(|| Timestamp::UNIX_EPOCH),
            meters: Meters::new().unwrap(),
            shard: crate::shard::Shard::WHOLE,
        };
        let account = Account::new(credential, terms);
        let access = Access::new(Arc::new(account.unwrap()), "shop", &targets[0].project_id);
        let proof = access.proof().await.unwrap();
        let request = access.request(&proof, &targets[0].endpoint, "/v3/p1/backups", &[]).unwrap();
        assert!(request.headers()[AUTHORIZATION].to_str().unwrap().contains("Access=AK"));
        assert!(!format!("{request:?}").contains("Access=AK"), "{request:?}");
    }
}
