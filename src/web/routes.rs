//! Path and method → answer. Reads memory only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::Full;
use hyper::body::Body;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use maud::Markup;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::front::Terms;
use super::users::Verdict;
use super::{Crowd, Front, Reloader, gzip, page};
use crate::clock::Clock;
use crate::exposition::{self, Latest};
use crate::meter::{Meters, Refusal};
use crate::shard::Shard;
use crate::snapshot::Board;
use crate::status::{Query, QueryError, Report, Setting, Status, Which};

/// What the server shows.
#[derive(Debug)]
pub struct Site {
    /// What is known of the cloud.
    pub board: Arc<Board>,
    /// The same as it is told to scrapes.
    pub exposition: Arc<Latest>,
    /// What is counted.
    pub meters: Meters,
    /// Which part of the targets is polled here.
    pub shard: Shard,
    /// On which terms one may ask.
    pub front: Arc<Front>,
    /// Who is connected.
    pub crowd: Arc<Crowd>,
    /// The time at which ages are told.
    pub clock: Clock,
    /// The path of the exposition.
    pub telemetry_path: String,
    /// The way to reload the config, where that is allowed over HTTP.
    pub reloader: Option<Reloader>,
    /// When the daemon started.
    pub started: Instant,
    /// After how long it is ready although a target was not tried yet.
    pub ready_after: Duration,
    /// Whether it was ready before.
    pub ready: AtomicBool,
}

type Answer = Response<Full<exposition::Body>>;

/// What is there besides the metrics.
pub const PATHS: [&str; 6] =
    ["/", "/-/healthy", "/-/ready", "/-/reload", "/api/v1/status", "/instance"];

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

impl Site {
    /// The answer to a request.
    pub(super) async fn answer<B: Body>(&self, request: &Request<B>) -> Answer {
        let terms = self.front.terms();
        let mut answer = match self.refusal(&terms, request).await {
            Some(refusal) => refusal,
            None => self.admitted(request).await,
        };
        for (name, value) in &terms.headers {
            answer.headers_mut().insert(name, value.clone());
        }
        answer
    }

    /// What a request gets that is not let through.
    async fn refusal<B: Body>(&self, terms: &Terms, request: &Request<B>) -> Option<Answer> {
        if !request.body().is_end_stream() {
            let mut answer =
                text(StatusCode::PAYLOAD_TOO_LARGE, "413: nothing here takes a body\n");
            // Nobody reads it, so that the next request cannot be found behind it.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return Some(answer);
        }
        // Probes have no credentials, and must not fail because others ask too often.
        if matches!(request.uri().path(), "/-/healthy" | "/-/ready") {
            return None;
        }
        if terms.rate.as_ref().is_some_and(|rate| !rate.try_acquire(1)) {
            return Some(self.too_many(Refusal::RateLimit, "429: too many requests\n"));
        }
        let users = terms.users.as_ref()?;
        match users.check(request.headers().get(AUTHORIZATION)).await {
            Verdict::Good => None,
            Verdict::Busy => {
                let body = "429: too many passwords are being tried\n";
                Some(self.too_many(Refusal::Passwords, body))
            }
            Verdict::Wrong => {
                self.meters.web_refused(Refusal::Credentials);
                let body = "401: this needs a user and a password\n";
                let mut answer = text(StatusCode::UNAUTHORIZED, body);
                let scheme = "Basic realm=\"clouddb-backup-exporter\", charset=\"UTF-8\"";
                answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
                Some(answer)
            }
        }
    }

    fn too_many(&self, reason: Refusal, body: &'static str) -> Answer {
        self.meters.web_refused(reason);
        let mut answer = text(StatusCode::TOO_MANY_REQUESTS, body);
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        answer
    }

    async fn admitted<B>(&self, request: &Request<B>) -> Answer {
        let path = request.uri().path();
        if path == "/-/reload" {
            return self.reload(request.method()).await;
        }
        let metrics = path == self.telemetry_path;
        if !metrics && !PATHS.contains(&path) {
            return text(StatusCode::NOT_FOUND, "404: there is nothing at this path\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return not_allowed("GET, HEAD");
        }
        match path {
            _ if metrics => self.metrics(request),
            "/-/healthy" => text(StatusCode::OK, "healthy\n"),
            "/-/ready" if self.is_ready() => text(StatusCode::OK, "ready\n"),
            "/-/ready" => {
                text(StatusCode::SERVICE_UNAVAILABLE, "not ready: the first round is under way\n")
            }
            _ => {
                let Some(place) = self.crowd.page() else {
                    let body = "429: too many pages are on their way\n";
                    return self.too_many(Refusal::Pages, body);
                };
                let query = request.uri().query().unwrap_or_default();
                let answer = match path {
                    "/" => self.overview(query, place),
                    "/instance" => self.instance(query, place),
                    _ => self.report(query, place),
                };
                answer.unwrap_or_else(|refusal| *refusal)
            }
        }
    }

    async fn reload(&self, method: &Method) -> Answer {
        if !matches!(*method, Method::POST | Method::PUT) {
            return not_allowed("POST, PUT");
        }
        let Some(reloader) = &self.reloader else {
            let body = "403: reloading over HTTP needs --web.enable-lifecycle\n";
            return text(StatusCode::FORBIDDEN, body);
        };
        match reloader.reload().await {
            Ok(()) => text(StatusCode::OK, "reloaded\n"),
            Err(problems) => whole(StatusCode::BAD_REQUEST, PLAIN, problems + "\n"),
        }
    }

    /// Every target was tried once and scrapes show it, or that took too long. Never back: readiness must not follow
    /// the health of the cloud, or the pod, and with it every alert, drops out of the scrape during
    /// an outage.
    fn is_ready(&self) -> bool {
        if self.ready.load(Ordering::Acquire) {
            return true;
        }
        let is_late = self.started.elapsed() >= self.ready_after;
        let ready = self.exposition.has_first_round() || is_late;
        self.ready.fetch_or(ready, Ordering::AcqRel);
        ready
    }

    fn metrics<B>(&self, request: &Request<B>) -> Answer {
        let rendered = self.exposition.rendered();
        let now = self.clock.now();
        let wishes = request.headers().get_all(ACCEPT_ENCODING);
        let wishes: Vec<&str> = wishes.iter().filter_map(|value| value.to_str().ok()).collect();
        let is_accepted = gzip::accepted(&wishes.join(","));
        let packed = is_accepted.then(|| rendered.packed(&self.meters, now)).flatten();
        let is_packed = packed.is_some();
        let body = packed.unwrap_or_else(|| rendered.plain(&self.meters, now));
        let mut answer = joined(StatusCode::OK, exposition::CONTENT_TYPE, body);
        answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        if is_packed {
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        answer
    }

    /// Gives what is known now to `show`.
    fn status<T>(&self, show: impl FnOnce(&Status<'_>) -> T) -> T {
        let snapshot = self.board.snapshot();
        let setting = Setting {
            shard: self.shard,
            now: self.clock.now(),
            instant: Instant::now(),
            backoff: &|project| self.meters.remaining_backoff(project),
        };
        show(&Status::new(&snapshot, setting))
    }

    fn overview(&self, query: &str, place: OwnedSemaphorePermit) -> Result<Answer, Box<Answer>> {
        let query = Query::parse(query).map_err(|error| refused(&error))?;
        let page = self.status(|status| page::overview(status, &query, &self.telemetry_path));
        Ok(html(page, place))
    }

    fn instance(&self, query: &str, place: OwnedSemaphorePermit) -> Result<Answer, Box<Answer>> {
        let Which { project, product, id } =
            Which::parse(query).map_err(|error| refused(&error))?;
        let page = self.status(|status| {
            let entry = status.find(&project, &product, &id)?;
            Some(page::instance(status, entry, &self.telemetry_path))
        });
        let none = "404: there is no such instance (any more)\n";
        Ok(page.map_or_else(|| text(StatusCode::NOT_FOUND, none), |page| html(page, place)))
    }

    fn report(&self, query: &str, place: OwnedSemaphorePermit) -> Result<Answer, Box<Answer>> {
        let query = Query::parse(query).map_err(|error| refused(&error))?;
        let json = self.status(|status| {
            let selection = query.select(status);
            serde_json::to_vec(&Report::new(status, &selection))
        });
        let Ok(json) = json else {
            let body = "500: the status cannot be written as JSON\n";
            return Err(Box::new(text(StatusCode::INTERNAL_SERVER_ERROR, body)));
        };
        let mut answer = whole(StatusCode::OK, JSON, held(json, place));
        guard(&mut answer);
        Ok(answer)
    }
}

fn html(page: Markup, place: OwnedSemaphorePermit) -> Answer {
    let page = held(page.into_string().into_bytes(), place);
    let mut answer = whole(StatusCode::OK, HTML, page);
    if let Ok(policy) = HeaderValue::try_from(page::security_policy()) {
        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    guard(&mut answer);
    answer
}

/// A body that holds its place until it was taken, or dropped.
fn held(body: Vec<u8>, place: OwnedSemaphorePermit) -> Bytes {
    Bytes::from_owner(Held { body, _place: place })
}

struct Held {
    body: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// What is told to people is of this moment, and nobody else's business.
fn guard(answer: &mut Answer) {
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

/// A query that cannot be answered is told: an answer to another one would pass for the right one.
fn refused(error: &QueryError) -> Box<Answer> {
    Box::new(whole(StatusCode::BAD_REQUEST, PLAIN, format!("400: {error}\n")))
}

fn not_allowed(allowed: &'static str) -> Answer {
    let body = format!("405: {allowed} only\n");
    let mut answer = whole(StatusCode::METHOD_NOT_ALLOWED, PLAIN, body);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    whole(status, PLAIN, body)
}

fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    joined(status, content_type, body.into().chain(Bytes::new()))
}

fn joined(status: StatusCode, content_type: &'static str, body: exposition::Body) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
