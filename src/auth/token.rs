//! Keystone v3: a password becomes a token that is scoped to one project.
//!
//! Source: "Obtaining a User Token Through Password Authentication" of both clouds. The token is in
//! the header `X-Subject-Token`, its end in the body.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Request, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::config::Domain;
use crate::error::{Fault, Reason};
use crate::http::Answer;

/// A token for one project, or for none.
#[derive(Debug)]
pub struct Token {
    pub(super) value: SecretString,
    /// What IAM says, by its clock.
    pub(super) expires_at: Timestamp,
    /// When to fetch the next one: after three quarters of its life.
    pub(super) renew_at: Instant,
    /// When it is certainly of no use any more, by our clock.
    pub(super) dead_at: Instant,
    /// The id of its project; none if it is for no project.
    pub(super) project_id: Option<Box<str>>,
    /// Whether the cloud has accepted it for anything.
    worked: AtomicBool,
}

/// Who signs in, and for what.
pub(super) struct SignIn<'a> {
    pub(super) auth_url: &'a Url,
    pub(super) username: &'a str,
    pub(super) user_domain: &'a Domain,
    pub(super) password: &'a SecretString,
    pub(super) scope: Scope<'a>,
}

/// What a token is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    /// The project of that id.
    Id(&'a str),
    /// The project of that name, in the domain of the user.
    Name(&'a str),
    /// No project.
    None,
}

impl SignIn<'_> {
    /// The request for a token. The catalogue, many kB of endpoints, is left out.
    pub(super) fn request(&self) -> Result<Request, Fault> {
        let question = Question {
            auth: Auth {
                identity: Identity {
                    methods: ["password"],
                    password: Password {
                        user: User {
                            name: self.username,
                            password: self.password.expose_secret(),
                            domain: match self.user_domain {
                                Domain::Id(id) => Named::Id(id),
                                Domain::Name(name) => Named::Name(name),
                            },
                        },
                    },
                },
                scope: match self.scope {
                    Scope::Id(id) => Some(InProject { project: Named::Id(id) }),
                    Scope::Name(name) => Some(InProject { project: Named::Name(name) }),
                    Scope::None => None,
                },
            },
        };
        let body = serde_json::to_vec(&question)
            .map_err(|error| Fault::new(Reason::Internal, format!("cannot sign in: {error}")))?;
        let mut url = self.auth_url.clone();
        url.set_path(&format!("{}/auth/tokens", url.path().trim_end_matches('/')));
        url.set_query(Some("nocatalog=true"));
        let mut request = Request::new(Method::POST, url);
        let json = HeaderValue::from_static("application/json;charset=utf8");
        request.headers_mut().insert(CONTENT_TYPE, json);
        *request.body_mut() = Some(Body::from(body));
        Ok(request)
    }
}

impl Token {
    /// Reads the answer of IAM, which arrived at `arrived` (`now` by the wall clock).
    pub(super) fn read(answer: &Answer, now: Timestamp, arrived: Instant) -> Result<Self, Fault> {
        let unreadable = |what: &str| {
            Fault::new(Reason::Decode, format!("IAM answered {} and {what}", answer.status))
        };
        let value = answer
            .headers
            .get("x-subject-token")
            .and_then(|value| value.to_str().ok())
            .filter(|value| !value.is_empty())
            .ok_or_else(|| unreadable("no token in `X-Subject-Token`"))?;
        let body: Body201 = serde_json::from_slice(&answer.body)
            // Where, and not what stands there: that may be the token.
            .map_err(|error| {
                let (line, column) = (error.line(), error.column());
                unreadable(&format!("a body that cannot be read at line {line}, column {column}"))
            })?;
        let expires_at = time(&body.token.expires_at)
            .ok_or_else(|| unreadable("an `expires_at` that is no time"))?;
        // Both ends by IAM's clock, so that a wrong clock here does not shorten or lengthen it.
        let issued_at = body.token.issued_at.as_deref().and_then(time).unwrap_or(now);
        let life: Duration = expires_at
            .duration_since(issued_at)
            .try_into()
            .map_err(|_| unreadable("a token that has expired"))?;
        Ok(Self {
            value: SecretString::from(value),
            expires_at,
            renew_at: arrived + life.mul_f64(0.75),
            dead_at: arrived + life,
            project_id: body.token.project.map(|project| project.id.into()),
            worked: AtomicBool::new(false),
        })
    }

    /// The cloud accepted it.
    pub(super) fn worked(&self) {
        self.worked.store(true, Ordering::Relaxed);
    }

    /// Whether the cloud has accepted it for anything.
    pub(super) fn has_worked(&self) -> bool {
        self.worked.load(Ordering::Relaxed)
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

#[derive(Serialize)]
struct Question<'a> {
    auth: Auth<'a>,
}

#[derive(Serialize)]
struct Auth<'a> {
    identity: Identity<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<InProject<'a>>,
}

#[derive(Serialize)]
struct Identity<'a> {
    methods: [&'static str; 1],
    password: Password<'a>,
}

#[derive(Serialize)]
struct Password<'a> {
    user: User<'a>,
}

#[derive(Serialize)]
struct User<'a> {
    name: &'a str,
    password: &'a str,
    domain: Named<'a>,
}

#[derive(Serialize)]
struct InProject<'a> {
    project: Named<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Named<'a> {
    Id(&'a str),
    Name(&'a str),
}

#[derive(Deserialize)]
struct Body201 {
    token: TokenBody,
}

#[derive(Deserialize)]
struct TokenBody {
    expires_at: String,
    #[serde(default)]
    issued_at: Option<String>,
    #[serde(default)]
    project: Option<ProjectBody>,
}

#[derive(Deserialize)]
struct ProjectBody {
    id: String,
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    fn answer(token: Option<&'static str>, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert("x-subject-token", HeaderValue::from_static(token));
        }
        Answer { status: 201, headers, body: body.into() }
    }

    const BODY: &str = r#"{"token":{"issued_at":"2026-01-01T00:00:00.000000Z",
        "expires_at":"2026-01-02T00:00:00.000000Z","project":{"id":"p"}}}"#;

    #[test]
    fn a_token_is_renewed_after_three_quarters_of_its_life_whatever_our_clock_says() {
        let arrived = Instant::now();
        let wrong_clock = "2031-05-05T00:00:00Z".parse().unwrap();
        let token = Token::read(&answer(Some("secret"), BODY), wrong_clock, arrived).unwrap();
        assert_eq!(token.value.expose_secret(), "secret");
        assert_eq!(token.renew_at - arrived, Duration::from_secs(18 * 3600));
        assert_eq!(token.dead_at - arrived, Duration::from_secs(24 * 3600));
        assert_eq!(token.expires_at, "2026-01-02T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn an_answer_without_token_end_or_sense_is_decode() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let cases = [
            (None, BODY),
            (Some(""), BODY),
            (Some("t"), ""),
            (Some("t"), "<html>"),
            (Some("t"), r#"{"token":{"expires_at":"soon"}}"#),
            (Some("t"), r#"{"token":{"expires_at":"2025-01-01T00:00:00Z"}}"#),
        ];
        for (token, body) in cases {
            let fault = Token::read(&answer(token, body), now, Instant::now()).unwrap_err();
            assert_eq!(fault.reason, Reason::Decode, "{body}");
        }
    }

    #[test]
    fn a_body_that_cannot_be_read_does_not_show() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let body = r#"{"token":"MIIF-sesame"}"#;
        let fault = Token::read(&answer(Some("t"), body), now, Instant::now()).unwrap_err();
        assert!(!fault.message.contains("sesame"), "{fault}");
    }

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let token = Token::read(&answer(Some("sesame"), BODY), now, Instant::now()).unwrap();
        assert!(!format!("{token:?}").contains("sesame"));
    }

    fn asked(auth_url: &str, user_domain: &Domain, scope: Scope<'_>) -> serde_json::Value {
        let sign_in = SignIn {
            auth_url: &Url::parse(auth_url).unwrap(),
            username: "u",
            user_domain,
            password: &SecretString::from("p\"w"),
            scope,
        };
        let request = sign_in.request().unwrap();
        assert_eq!(request.method(), Method::POST);
        let url = request.url().as_str();
        assert_eq!(url, "https://iam.example/v3/auth/tokens?nocatalog=true");
        assert_eq!(request.headers()[CONTENT_TYPE], "application/json;charset=utf8");
        let body = request.body().unwrap().as_bytes().unwrap();
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn a_sign_in_asks_for_a_token_of_the_project_and_no_catalogue() {
        let domain = Domain::Name("d".to_owned());
        for auth_url in ["https://iam.example/v3", "https://iam.example/v3/"] {
            let body = asked(auth_url, &domain, Scope::Id("id"));
            let user = json!({ "name": "u", "password": "p\"w", "domain": { "name": "d" } });
            let identity = json!({ "methods": ["password"], "password": { "user": user } });
            let scope = json!({ "project": { "id": "id" } });
            assert_eq!(body, json!({ "auth": { "identity": identity, "scope": scope } }));
        }
    }

    #[test]
    fn a_project_may_be_named_or_left_out_and_a_domain_may_be_said_by_its_id() {
        let domain = Domain::Id("d1".to_owned());
        let body = asked("https://iam.example/v3", &domain, Scope::Name("eu-de"));
        assert_eq!(body["auth"]["scope"], json!({ "project": { "name": "eu-de" } }));
        assert_eq!(body["auth"]["identity"]["password"]["user"]["domain"], json!({ "id": "d1" }));
        let body = asked("https://iam.example/v3", &domain, Scope::None);
        assert!(body["auth"].get("scope").is_none());
    }

    #[test]
    fn a_token_says_which_project_it_is_for() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let of = |body: &str| {
            Token::read(&answer(Some("t"), body), now, Instant::now()).unwrap().project_id
        };
        assert_eq!(of(BODY).as_deref(), Some("p"));
        assert_eq!(of(&BODY.replace("project", "domain")), None);
    }
}
