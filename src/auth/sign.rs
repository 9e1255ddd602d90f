//! `SDK-HMAC-SHA256`: signs a request with an access key and a secret key. A pure function of the
//! request and the time that stands in it.
//!
//! Source: Huawei Cloud, "API Request Signing Guide"; checked against vectors of the official
//! Python SDK (huaweicloudsdkcore 3.1.219).

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

/// The name of the scheme.
const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// What is signed of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsigned<'a> {
    /// The method, in capitals.
    pub(super) method: &'a str,
    /// The path, percent-encoded or not.
    pub(super) path: &'a str,
    /// Names and values before encoding, in any order.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// The headers to be signed, `X-Sdk-Date` and `Host` among them.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub(super) body: &'a [u8],
}

/// The time in the form of the header `X-Sdk-Date`.
pub(super) fn date(now: Timestamp) -> String {
    now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The value of the header `Authorization`; `date` is what `X-Sdk-Date` says.
pub(super) fn authorization(
    request: &Unsigned<'_>,
    date: &str,
    access_key: &str,
    secret_key: &str,
) -> String {
    let digest = hex::encode(Sha256::digest(canonical_request(request)));
    let text = format!("{ALGORITHM}\n{date}\n{digest}");
    let signature = hmac(secret_key.as_bytes(), text.as_bytes());
    let names = signed_headers(request);
    format!("{ALGORITHM} Access={access_key}, SignedHeaders={names}, Signature={signature}")
}

/// The query in the one form that is both signed and sent.
pub(super) fn canonical_query(query: &[(&str, &str)]) -> String {
    let mut pairs = query.to_vec();
    pairs.sort_unstable();
    let encoded = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    encoded.collect::<Vec<_>>().join("&")
}

/// The text whose digest is signed.
fn canonical_request(request: &Unsigned<'_>) -> String {
    let mut headers = String::new();
    for (name, value) in sorted_headers(request) {
        headers += &name;
        headers += ":";
        headers += value;
        headers += "\n";
    }
    [
        request.method,
        &canonical_path(request.path),
        &canonical_query(request.query),
        &headers,
        &signed_headers(request),
        &hex::encode(Sha256::digest(request.body)),
    ]
    .join("\n")
}

/// Each segment decoded and encoded again, with a slash at the end that the wire does not have.
fn canonical_path(path: &str) -> String {
    let segments: Vec<String> =
        path.split('/').map(|segment| encode_bytes(&decode(segment))).collect();
    let mut path = segments.join("/");
    if !path.ends_with('/') {
        path.push('/');
    }
    path
}

fn sorted_headers<'a>(request: &Unsigned<'a>) -> Vec<(String, &'a str)> {
    let lower = |(name, value): &(&str, &'a str)| (name.to_ascii_lowercase(), value.trim());
    let mut headers: Vec<_> = request.headers.iter().map(lower).collect();
    headers.sort_unstable();
    headers
}

fn signed_headers(request: &Unsigned<'_>) -> String {
    let names: Vec<String> = sorted_headers(request).into_iter().map(|(name, _)| name).collect();
    names.join(";")
}

fn hmac(key: &[u8], text: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    hex::encode(mac.finalize().into_bytes())
}

fn encode(text: &str) -> String {
    encode_bytes(text.as_bytes())
}

/// Everything but the unreserved characters of RFC 3986; the sets of the URL crates differ.
fn encode_bytes(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            // Writing to a string does not fail.
            write!(encoded, "%{byte:02X}").ok();
        }
    }
    encoded
}

/// Undoes percent-encoding; a percent sign that starts none stands for itself.
fn decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let byte = match tail {
            [high, low, ..] if *first == b'%' => {
                hex::decode([*high, *low]).ok().and_then(|byte| byte.first().copied())
            }
            _ => None,
        };
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What one vector asks and expects.
    fn check(vector: &Value) {
        let text = |field: &str| vector[field].as_str().unwrap_or_default();
        let query: Vec<(&str, &str)> = vector["query"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
            .collect();
        let headers: Vec<(&str, &str)> = vector["headers_signed"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .filter(|(name, _)| !name.contains('_'))
            .collect();
        let request = Unsigned {
            method: text("method"),
            path: text("path"),
            query: &query,
            headers: &headers,
            body: text("body").as_bytes(),
        };
        let name = text("name");
        let signed =
            authorization(&request, text("x_sdk_date"), text("access_key"), text("secret_key"));
        assert_eq!(canonical_request(&request), text("expected_canonical_request"), "{name}");
        assert_eq!(signed, text("expected_authorization"), "{name}");
        let query = canonical_query(&query);
        let target = if query.is_empty() {
            text("path").to_owned()
        } else {
            format!("{}?{query}", text("path"))
        };
        assert_eq!(target, text("expected_request_target"), "{name}");
    }

    #[test]
    fn every_vector_of_the_official_sdk_is_signed_alike() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../tests/data/signing-vectors.json")).unwrap();
        let vectors = vectors["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 8);
        vectors.iter().for_each(check);
    }

    #[test]
    fn the_date_is_compact_and_in_utc() {
        assert_eq!(date("2024-02-29T23:59:59.9+01:00".parse().unwrap()), "20240229T225959Z");
    }

    #[test]
    fn a_path_is_decoded_before_it_is_encoded() {
        assert_eq!(canonical_path("/a%2Fb/c d/100%"), "/a%2Fb/c%20d/100%25/");
        assert_eq!(canonical_path("/"), "/");
    }

    #[test]
    fn neither_the_order_of_the_headers_nor_blanks_around_them_change_what_is_signed() {
        let sorted = [("host", "h"), ("x-project-id", "p"), ("x-sdk-date", "20240229T225959Z")];
        let odd = [("X-Sdk-Date", " 20240229T225959Z"), ("x-project-id", "p "), ("Host", "h")];
        let [sorted, odd] = [&sorted, &odd].map(|headers| {
            let request = Unsigned { method: "GET", path: "/", query: &[], headers, body: b"" };
            authorization(&request, "20240229T225959Z", "AK", "SK")
        });
        assert_eq!(sorted, odd);
        assert!(sorted.contains("SignedHeaders=host;x-project-id;x-sdk-date,"), "{sorted}");
    }
}
