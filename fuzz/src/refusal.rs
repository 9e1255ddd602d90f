//! Answers of the cloud that are no success.

use clouddb_backup_exporter::http::{Answer, Role, check};
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderValue};

/// The first two lines are the headers `Retry-After` and `Date`, the rest is the body. What is told of
/// it is one line that fits into a log.
pub fn throw(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in ["retry-after", "date"] {
        if let Ok(value) = HeaderValue::from_bytes(parts.next().unwrap_or_default()) {
            headers.insert(name, value);
        }
    }
    let body = parts.next().unwrap_or_default();
    for role in [Role::Service, Role::SignIn] {
        for status in [199, 302, 401, 403, 404, 429, 503, 999] {
            let answer = Answer { status, headers: headers.clone(), body: body.to_vec() };
            let fault = check(role, answer, Timestamp::UNIX_EPOCH).expect_err("it is no success");
            let told = fault.to_string();
            assert!(!told.contains(char::is_control), "{told:?}");
            assert!(told.chars().count() < 800, "{told}");
        }
    }
}
