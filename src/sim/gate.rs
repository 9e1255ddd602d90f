//! The gateway before the services: who is asking, may they, and is it too often?

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::{
    answer::Answer,
    clock::moved,
    estate::Estate,
    iam::{Tokens, is_forbidden},
    log::Caller,
    request::Request,
    signature::Authorization,
    switches::{RateLimit, Switches},
    time,
};

/// Finds out who asks and whether they may use the project in the path. IAM's own calls have none.
pub(super) fn admit(
    request: &Request,
    project: Option<&str>,
    estate: &Estate,
    tokens: &Tokens,
    now: Timestamp,
) -> Result<Caller, Answer> {
    if let Some(text) = request.header("x-auth-token") {
        return by_token(text, project, estate, tokens, now);
    }
    match request.header("authorization") {
        Some(header) => by_key(header, request, project, estate, now),
        None => Err(unauthorized("x-auth-token not found")),
    }
}

fn by_token(
    text: &str,
    project: Option<&str>,
    estate: &Estate,
    tokens: &Tokens,
    now: Timestamp,
) -> Result<Caller, Answer> {
    let token = tokens.find(text, now).ok_or_else(|| unauthorized("decrypt token fail"))?;
    let caller = Caller::User(token.user.clone());
    match project {
        Some(project) if token.project.as_deref() != Some(project) => {
            Err(forbidden("the token is not of the project in the path"))
        }
        Some(project) if is_forbidden(project, estate, &caller) => {
            Err(forbidden("no permission for the project"))
        }
        _ => Ok(caller),
    }
}

fn by_key(
    header: &str,
    request: &Request,
    project: Option<&str>,
    estate: &Estate,
    now: Timestamp,
) -> Result<Caller, Answer> {
    let authorization =
        Authorization::read(header).ok_or_else(|| unauthorized("unknown authorization header"))?;
    let date = request.header("x-sdk-date").and_then(time::signed);
    let date = date.ok_or_else(|| unauthorized("x-sdk-date not found"))?;
    if !REQUIRED.iter().all(|name| authorization.covers(name)) {
        return Err(unauthorized("host and x-sdk-date must be signed"));
    }
    if time::apart(date, now) > MOST_SKEW {
        let message = "Incorrect app authentication information: signature expired";
        return Err(Answer::gateway(401, "APIGW.0303", message));
    }
    let key = estate.keys.iter().find(|key| key.access == authorization.access_key);
    let key = key.ok_or_else(|| unauthorized("aksk not found"))?;
    if !authorization.fits(request, &key.secret) {
        return Err(unauthorized("verify aksk signature fail"));
    }
    // What is not signed can be changed by anybody on the way, so it counts as not sent.
    let signed = |name: &str| request.header(name).filter(|_| authorization.covers(name));
    if signed("x-security-token") != key.security_token.as_deref() {
        return Err(unauthorized("the security token is missing or wrong"));
    }
    let caller = Caller::Key(key.access.clone());
    match project {
        Some(project) if signed("x-project-id") != Some(project) => {
            Err(forbidden("x-project-id is not the project in the path"))
        }
        Some(project) if is_forbidden(project, estate, &caller) => {
            Err(forbidden("no permission for the project"))
        }
        _ => Ok(caller),
    }
}

/// Counts requests per caller.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    recent: BTreeMap<Caller, VecDeque<Timestamp>>,
}

impl Throttle {
    /// Lets a request pass, or refuses it if there were too many lately. A refused one does not count.
    pub(super) fn pass(
        &mut self,
        caller: &Caller,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<(), Answer> {
        let Some(RateLimit { requests, window }) = switches.rate_limit else {
            return Ok(());
        };
        let recent = self.recent.entry(caller.clone()).or_default();
        while recent.front().is_some_and(|at| moved(*at, window) <= now) {
            recent.pop_front();
        }
        if recent.len() >= requests {
            return Err(throttled(requests, window, switches.retry_after));
        }
        recent.push_back(now);
        Ok(())
    }
}

fn throttled(requests: usize, window: SignedDuration, retry_after: Option<u32>) -> Answer {
    let message = format!(
        "The throttling threshold has been reached: policy user over ratelimit,limit:{requests},\
         time:{} seconds",
        window.as_secs()
    );
    let answer = Answer::gateway(429, "APIGW.0308", &message);
    match retry_after {
        Some(seconds) => answer.with_header("Retry-After", &seconds.to_string()),
        None => answer,
    }
}

fn unauthorized(message: &str) -> Answer {
    let message = format!("Incorrect IAM authentication information: {message}");
    Answer::gateway(401, "APIGW.0301", &message)
}

fn forbidden(message: &str) -> Answer {
    let message = format!("The IAM user is not authorized to access the API: {message}");
    Answer::gateway(403, "APIGW.0302", &message)
}

const REQUIRED: [&str; 2] = ["host", "x-sdk-date"];
const MOST_SKEW: SignedDuration = SignedDuration::from_mins(15);

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::sim::{AccessKey, Project, Service, signature::sign};

    const VECTORS: &str = include_str!("../../tests/data/signing-vectors.json");
    const SIGNED_AT: &str = "2024-02-29T23:59:59Z";

    /// A signed request of the vectors, and an estate that knows its key and project.
    fn signed(name: &str) -> (Request, Estate, String) {
        let file: Value = serde_json::from_str(VECTORS).unwrap();
        let mut vectors = file["vectors"].as_array().unwrap().iter();
        let vector = vectors.find(|vector| vector["name"] == name).unwrap();
        let text = |key: &str| vector[key].as_str().unwrap_or_default().to_owned();
        let headers = vector["headers_signed"].as_object().unwrap().iter();
        let mut headers: Vec<(String, String)> = headers
            .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
            .collect();
        headers.push(("authorization".to_owned(), text("expected_authorization")));
        let target = text("expected_request_target");
        let request = Request::new(Service::Rds, "GET", &target, headers, Vec::new());
        let mut key = AccessKey::new(&text("access_key"), &text("secret_key"));
        key.security_token = vector["security_token"].as_str().map(str::to_owned);
        let project = text("project_id");
        let estate = Estate::default().with_key(key).with_project(Project::new(&project, "shop"));
        (request, estate, project)
    }

    /// Status and code of the refusal, or nothing.
    fn refusal(request: &Request, project: &str, estate: &Estate, now: Timestamp) -> String {
        let tokens = Tokens::default();
        let Err(answer) = admit(request, Some(project), estate, &tokens, now) else {
            return String::new();
        };
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        format!("{} {}", answer.status, body["error_code"].as_str().unwrap())
    }

    #[test]
    fn a_signed_request_passes_within_a_quarter_of_an_hour() {
        let (request, estate, project) = signed("rds-backups-first-page");
        let at: Timestamp = SIGNED_AT.parse().unwrap();
        for minutes in [-15, 0, 15] {
            let now = at + SignedDuration::from_mins(minutes);
            assert_eq!(refusal(&request, &project, &estate, now), "");
        }
        for minutes in [-16, 16] {
            let now = at + SignedDuration::from_mins(minutes);
            assert_eq!(refusal(&request, &project, &estate, now), "401 APIGW.0303");
        }
    }

    #[test]
    fn an_unknown_key_a_wrong_secret_and_no_credentials_are_refused() {
        let (mut request, mut estate, project) = signed("rds-backups-first-page");
        let at = SIGNED_AT.parse().unwrap();
        estate.keys[0].secret.push('x');
        assert_eq!(refusal(&request, &project, &estate, at), "401 APIGW.0301");
        estate.keys.clear();
        assert_eq!(refusal(&request, &project, &estate, at), "401 APIGW.0301");
        request.headers.retain(|(name, _)| name != "authorization");
        assert_eq!(refusal(&request, &project, &estate, at), "401 APIGW.0301");
        request.headers.push(("x-auth-token".to_owned(), "made-up".to_owned()));
        assert_eq!(refusal(&request, &project, &estate, at), "401 APIGW.0301");
    }

    #[test]
    fn a_key_speaks_for_the_project_that_it_signed_and_may_use() {
        let (request, mut estate, project) = signed("rds-backups-first-page");
        let at = SIGNED_AT.parse().unwrap();
        assert_eq!(refusal(&request, "another", &estate, at), "403 APIGW.0302");
        estate.keys[0].forbidden.push(project.clone());
        assert_eq!(refusal(&request, &project, &estate, at), "403 APIGW.0302");
    }

    #[test]
    fn a_temporary_key_needs_its_own_token() {
        let (request, mut estate, project) = signed("temporary-credentials");
        let at = SIGNED_AT.parse().unwrap();
        assert_eq!(refusal(&request, &project, &estate, at), "");
        estate.keys[0].security_token = Some("another".to_owned());
        assert_eq!(refusal(&request, &project, &estate, at), "401 APIGW.0301");
        let (request, mut estate, project) = signed("rds-backups-first-page");
        estate.keys[0].security_token = Some("not sent".to_owned());
        assert_eq!(refusal(&request, &project, &estate, at), "401 APIGW.0301");
    }

    #[test]
    fn what_was_sent_but_not_signed_counts_as_not_sent() {
        let (request, estate, project) = signed("temporary-credentials");
        let at = SIGNED_AT.parse().unwrap();
        let key = &estate.keys[0];
        let with = |headers: &[&str]| {
            let mut request = request.clone();
            request.headers.retain(|(name, _)| name != "authorization");
            sign(&mut request, &key.access, &key.secret, headers);
            refusal(&request, &project, &estate, at)
        };
        let (host, project_id, date, token) =
            ("host", "x-project-id", "x-sdk-date", "x-security-token");
        assert_eq!(with(&[host, project_id, date, token]), "");
        assert_eq!(with(&[host, project_id, date]), "401 APIGW.0301");
        assert_eq!(with(&[host, date, token]), "403 APIGW.0302");
        assert_eq!(with(&[project_id, date, token]), "401 APIGW.0301");
    }

    #[test]
    fn the_limit_is_per_caller_and_passes_with_time() {
        let mut throttle = Throttle::default();
        let switches = Switches {
            rate_limit: Some(RateLimit { requests: 2, window: SignedDuration::from_mins(1) }),
            retry_after: Some(30),
            ..Switches::default()
        };
        let now = Timestamp::UNIX_EPOCH;
        let (one, other) = (Caller::User("a".to_owned()), Caller::Key("a".to_owned()));
        assert!(throttle.pass(&one, &switches, now).is_ok());
        assert!(throttle.pass(&one, &switches, now).is_ok());
        let refusal = throttle.pass(&one, &switches, now).unwrap_err();
        assert_eq!(refusal.status, 429);
        assert_eq!(refusal.headers, [("Retry-After".to_owned(), "30".to_owned())]);
        assert!(throttle.pass(&other, &switches, now).is_ok());
        let later = now + SignedDuration::from_mins(1);
        assert!(throttle.pass(&one, &switches, later).is_ok());
    }
}
