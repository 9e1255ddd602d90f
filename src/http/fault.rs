//! The one place that decides what an answer of the cloud that is no success means.
//!
//! Sources: "Abnormal Request Results" and "Error Codes" of RDS and DDM, "Status Codes" of IAM, the
//! gateway's codes; the shapes differ by service, and an edge may answer HTML or nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Answer, http_date};
use crate::error::{Fault, Reason, one_line};

/// Who answers: the same status means something else at the door than inside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// A service that was asked with a credential.
    Service,
    /// IAM, which was asked for a token.
    SignIn,
}

/// The answer of a success, or what the refusal means. `now` is for a `Retry-After` that is a date,
/// where the answer does not say what the time is.
pub fn check(role: Role, answer: Answer, now: Timestamp) -> Result<Answer, Fault> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let told = Told::read(&answer);
    let reason = reason(role, answer.status, told.code.as_deref());
    Err(Fault {
        status: Some(answer.status),
        retry_after: retry_after(&answer, now),
        ..Fault::new(reason, told.sentence(answer.status))
    })
}

/// Seconds, or a date by the clock of the cloud.
fn retry_after(answer: &Answer, now: Timestamp) -> Option<Duration> {
    let value = answer.header("retry-after")?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(value)?;
    let wait = until.duration_since(answer.date().unwrap_or(now));
    Some(Duration::try_from(wait).unwrap_or_default())
}

fn reason(role: Role, status: u16, code: Option<&str>) -> Reason {
    match (code.unwrap_or_default(), status) {
        ("APIGW.0308" | "APIG.0308", _) | (_, 429) => Reason::Throttled,
        // "Invalid token", which is documented with 403. With another status the status decides: a
        // service in trouble may say anything, and a refusal costs the token and pauses the credential.
        ("DBS.280056", 403) | (_, 401) => Reason::Auth,
        (_, 403) if role == Role::SignIn => Reason::Auth,
        // "Resource not found or permission denied": the cloud does not tell which.
        ("DBS.200044" | "DBS.201003" | "DBS.280015", _) | (_, 403) => Reason::Forbidden,
        ("DBS.200002" | "DBS.200045" | "DBS.201010", _) | (_, 404) => Reason::NotFound,
        (_, 500..) => Reason::Http5xx,
        _ => Reason::Http4xx,
    }
}

/// What the body of a refusal says.
#[derive(Debug, Default, Eq, PartialEq)]
struct Told {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

impl Told {
    fn read(answer: &Answer) -> Self {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        // IAM and some services put everything one level down: `{"error": {…}}`.
        let nested = body.as_object().and_then(|fields| fields.values().find(|it| it.is_object()));
        let find = |names: &[&str]| {
            let text = |value: &Value| names.iter().find_map(|name| text(value.get(name)?));
            text(&body).or_else(|| nested.and_then(text))
        };
        Self {
            code: find(&["error_code", "errCode", "errorCode", "code"]),
            message: find(&["error_msg", "externalMessage", "errorMsg", "message"]),
            request_id: find(&["request_id"])
                .or_else(|| answer.header("x-request-id").and_then(bounded)),
        }
    }

    fn sentence(&self, status: u16) -> String {
        let code = self.code.as_ref().map(|code| format!(" `{code}`"));
        let message = self.message.as_ref().map(|message| format!(" \"{message}\""));
        let id = self.request_id.as_ref().map(|id| format!(" (request id {id})"));
        let parts = [code, message, id].map(Option::unwrap_or_default);
        format!("the cloud answered {status}{}", parts.concat())
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => bounded(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn bounded(text: &str) -> Option<String> {
    let line: String = one_line(text).chars().take(200).collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    fn fault(role: Role, status: u16, body: &str) -> Fault {
        let answer = Answer { status, headers: HeaderMap::new(), body: body.into() };
        check(role, answer, Timestamp::UNIX_EPOCH).unwrap_err()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_clock_of_the_cloud() {
        let wait = |retry_after: &'static str, date: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", HeaderValue::from_static(retry_after));
            if let Some(date) = date {
                headers.insert("date", HeaderValue::from_static(date));
            }
            let answer = Answer { status: 429, headers, body: Vec::new() };
            let now = "2025-03-10T12:00:00Z".parse().unwrap();
            check(Role::Service, answer, now).unwrap_err().retry_after
        };
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!(wait("7", None), seconds(7));
        assert_eq!(wait("Mon, 10 Mar 2025 12:01:00 GMT", None), seconds(60));
        let ahead = Some("Mon, 10 Mar 2025 12:00:50 GMT");
        assert_eq!(wait("Mon, 10 Mar 2025 12:01:00 GMT", ahead), seconds(10));
        assert_eq!(wait("Mon, 10 Mar 2025 11:00:00 GMT", None), seconds(0), "it is over");
        for nonsense in ["", "-1", "soon", "1.5"] {
            assert_eq!(wait(nonsense, None), None, "{nonsense}");
        }
    }

    #[test]
    fn every_documented_status_and_code_has_its_reason() {
        let cases = [
            (401, r#"{"error_code":"APIGW.0301","error_msg":"x"}"#, Reason::Auth),
            (401, "", Reason::Auth),
            (403, r#"{"errCode":"DBS.280056","externalMessage":"Invalid token"}"#, Reason::Auth),
            (401, r#"{"errCode":"DBS.280056","externalMessage":"Invalid token"}"#, Reason::Auth),
            (403, r#"{"error_code":"DBS.200044","error_msg":"x"}"#, Reason::Forbidden),
            (400, r#"{"error_code":"DBS.201003","error_msg":"x"}"#, Reason::Forbidden),
            (403, r#"{"errCode":"DBS.280015","externalMessage":"x"}"#, Reason::Forbidden),
            (403, "<html>", Reason::Forbidden),
            (404, r#"{"error_code":"APIGW.0101","error_msg":"x"}"#, Reason::NotFound),
            (400, r#"{"error_code":"DBS.200002","error_msg":"x"}"#, Reason::NotFound),
            (400, r#"{"error_code":"DBS.200045","error_msg":"x"}"#, Reason::NotFound),
            (400, r#"{"errorCode":"DBS.201010","errorMsg":"x"}"#, Reason::NotFound),
            (429, "", Reason::Throttled),
            (400, r#"{"error_code":"APIG.0308","error_msg":"x"}"#, Reason::Throttled),
            (403, r#"{"error_code":"APIGW.0308","error_msg":"x"}"#, Reason::Throttled),
            (302, "", Reason::Http4xx),
            (400, r#"{"error_code":"DBS.200001","error_msg":"x"}"#, Reason::Http4xx),
            (500, r#"{"error_code":"DBS.108000","error_msg":"x"}"#, Reason::Http5xx),
            (502, "<html>bad gateway</html>", Reason::Http5xx),
        ];
        for (status, body, reason) in cases {
            assert_eq!(fault(Role::Service, status, body).reason, reason, "{status} {body}");
        }
    }

    #[test]
    fn the_code_of_an_invalid_token_is_a_refusal_only_with_403() {
        let body = r#"{"errCode":"DBS.280056","externalMessage":"Invalid token"}"#;
        for (status, reason) in [
            (400, Reason::Http4xx),
            (404, Reason::NotFound),
            (429, Reason::Throttled),
            (500, Reason::Http5xx),
            (503, Reason::Http5xx),
        ] {
            assert_eq!(fault(Role::Service, status, body).reason, reason, "{status}");
        }
    }

    #[test]
    fn a_refused_sign_in_is_auth_whether_401_or_403() {
        let body = r#"{"error":{"code":403,"message":"locked","title":"Forbidden"}}"#;
        assert_eq!(fault(Role::SignIn, 403, body).reason, Reason::Auth);
        assert_eq!(fault(Role::SignIn, 401, "").reason, Reason::Auth);
    }

    #[test]
    fn code_message_and_request_id_are_told_in_every_shape() {
        let cases = [
            (
                r#"{"error_code":"DBS.200022","error_msg":"bad","request_id":"r1"}"#,
                "the cloud answered 400 `DBS.200022` \"bad\" (request id r1)",
            ),
            (
                r#"{"errCode":"DBS.280001","externalMessage":"bad"}"#,
                "the cloud answered 400 `DBS.280001` \"bad\"",
            ),
            (
                r#"{"error":{"code":401,"message":"wrong\npassword","title":"Unauthorized"}}"#,
                "the cloud answered 400 `401` \"wrongpassword\"",
            ),
            (
                r#"{"errorCode":"DBS.280001","errorMsg":"bad"}"#,
                "the cloud answered 400 `DBS.280001` \"bad\"",
            ),
            ("<html>", "the cloud answered 400"),
            ("", "the cloud answered 400"),
        ];
        for (body, sentence) in cases {
            assert_eq!(fault(Role::Service, 400, body).message, sentence);
        }
    }

    #[test]
    fn a_request_id_that_only_a_header_has_is_told_too() {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", "r7".parse().unwrap());
        let answer = Answer { status: 502, headers, body: b"<html>".to_vec() };
        let fault = check(Role::Service, answer, Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(fault.message, "the cloud answered 502 (request id r7)");
        assert_eq!(fault.status, Some(502));
    }

    #[test]
    fn of_a_long_text_of_the_cloud_only_the_beginning_is_told() {
        let body = format!(r#"{{"error_msg":"{}"}}"#, "x".repeat(100_000));
        let expected = format!("the cloud answered 400 \"{}\"", "x".repeat(200));
        assert_eq!(fault(Role::Service, 400, &body).message, expected);
    }
}
