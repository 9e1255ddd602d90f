//! Checks AK/SK signatures (`SDK-HMAC-SHA256`). Written from the algorithm and from the raw request
//! alone, as a second opinion on whoever signed; it shares no code with a signer.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::request::{Request, decoded, encoded, pairs};

/// The `Authorization` header, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authorization {
    pub(super) access_key: String,
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: String,
}

impl Authorization {
    /// Reads `SDK-HMAC-SHA256 Access=…, SignedHeaders=…, Signature=…`.
    pub(super) fn read(header: &str) -> Option<Self> {
        let fields: BTreeMap<&str, &str> = header
            .strip_prefix(ALGORITHM)?
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
            .collect();
        Some(Self {
            access_key: (*fields.get("Access")?).to_owned(),
            signed_headers: fields
                .get("SignedHeaders")?
                .split(';')
                .map(str::to_lowercase)
                .collect(),
            signature: (*fields.get("Signature")?).to_owned(),
        })
    }

    /// Whether this header is among the signed ones.
    pub(super) fn covers(&self, header: &str) -> bool {
        self.signed_headers.iter().any(|name| name == header)
    }

    /// Whether the request was signed with this secret and is as it was when it was signed.
    pub(super) fn fits(&self, request: &Request, secret_key: &str) -> bool {
        let expected = canonical_request(request, &self.signed_headers)
            .zip(request.header("x-sdk-date"))
            .and_then(|(canonical, date)| {
                let text = format!("{ALGORITHM}\n{date}\n{}", sha256(canonical.as_bytes()));
                hmac_sha256(secret_key, &text)
            });
        expected.is_some_and(|expected| expected == self.signature)
    }
}

/// The canonical request, or nothing if a header that claims to be signed was not sent.
fn canonical_request(request: &Request, signed_headers: &[String]) -> Option<String> {
    let mut path: String = request
        .path()
        .split('/')
        .map(|segment| encoded(&decoded(segment)))
        .collect::<Vec<_>>()
        .join("/");
    if !path.ends_with('/') {
        path.push('/');
    }
    let (_, query) = request.target.split_once('?').unwrap_or_default();
    let mut query = pairs(query);
    query.sort();
    let query: Vec<String> =
        query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let mut names = signed_headers.to_vec();
    names.sort();
    let headers: String = names
        .iter()
        .map(|name| Some(format!("{name}:{}\n", request.header(name)?)))
        .collect::<Option<_>>()?;
    Some(format!(
        "{}\n{path}\n{}\n{headers}\n{}\n{}",
        request.method,
        query.join("&"),
        names.join(";"),
        sha256(&request.body),
    ))
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hmac_sha256(key: &str, text: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    mac.update(text.as_bytes());
    Some(hex::encode(mac.finalize().into_bytes()))
}

/// Signs these headers of a request, for tests that need a signature no vector has.
#[cfg(test)]
pub(super) fn sign(request: &mut Request, access_key: &str, secret_key: &str, headers: &[&str]) {
    let names: Vec<String> = headers.iter().map(|&name| name.to_owned()).collect();
    let canonical = canonical_request(request, &names).unwrap();
    let date = request.header("x-sdk-date").unwrap();
    let text = format!("{ALGORITHM}\n{date}\n{}", sha256(canonical.as_bytes()));
    let signature = hmac_sha256(secret_key, &text).unwrap();
    let names = names.join(";");
    request.headers.push((
        "authorization".to_owned(),
        format!("{ALGORITHM} Access={access_key}, SignedHeaders={names}, Signature={signature}"),
    ));
}

const ALGORITHM: &str = "SDK-HMAC-SHA256";

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::sim::Service;

    const VECTORS: &str = include_str!("../../tests/data/signing-vectors.json");

    fn vectors() -> Vec<(Request, Value)> {
        let file: Value = serde_json::from_str(VECTORS).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        assert!(vectors.len() >= 8);
        vectors.iter().map(|v| (request(v), v.clone())).collect()
    }

    fn request(vector: &Value) -> Request {
        let headers = vector["headers_signed"].as_object().unwrap();
        Request::new(
            Service::Rds,
            vector["method"].as_str().unwrap(),
            vector["expected_request_target"].as_str().unwrap(),
            headers
                .iter()
                .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
                .collect(),
            vector["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
        )
    }

    fn authorization(vector: &Value) -> Authorization {
        Authorization::read(vector["expected_authorization"].as_str().unwrap()).unwrap()
    }

    #[test]
    fn the_vendor_sdk_s_signatures_are_accepted() {
        for (request, vector) in vectors() {
            let name = &vector["name"];
            let authorization = authorization(&vector);
            assert_eq!(
                canonical_request(&request, &authorization.signed_headers).as_deref(),
                vector["expected_canonical_request"].as_str(),
                "{name}"
            );
            let secret_key = vector["secret_key"].as_str().unwrap();
            assert!(authorization.fits(&request, secret_key), "{name}");
            assert_eq!(authorization.access_key, vector["access_key"]);
        }
    }

    #[test]
    fn a_signature_fails_when_anything_it_covers_changes() {
        for (request, vector) in vectors() {
            let name = &vector["name"];
            let authorization = authorization(&vector);
            let secret_key = vector["secret_key"].as_str().unwrap();
            assert!(!authorization.fits(&request, "another secret"), "{name}");

            let mut other = request.clone();
            other.method = "DELETE".to_owned();
            assert!(!authorization.fits(&other, secret_key), "method of {name}");

            let mut other = request.clone();
            other.target = format!("/x{}", other.target);
            assert!(!authorization.fits(&other, secret_key), "path of {name}");

            let mut other = request.clone();
            other.body.push(b' ');
            assert!(!authorization.fits(&other, secret_key), "body of {name}");

            for at in 0..request.headers.len() {
                let mut other = request.clone();
                let header = other.headers[at].0.clone();
                other.headers[at].1.push('x');
                assert!(
                    !authorization.fits(&other, secret_key) || !authorization.covers(&header),
                    "{header} of {name}"
                );
                other.headers.remove(at);
                assert!(
                    !authorization.fits(&other, secret_key) || !authorization.covers(&header),
                    "missing {header} of {name}"
                );
            }
        }
    }

    #[test]
    fn the_order_of_the_query_on_the_wire_does_not_matter() {
        let (mut request, vector) = vectors().swap_remove(2);
        let (path, query) = request.target.split_once('?').unwrap();
        let reversed: Vec<&str> = query.rsplit('&').collect();
        let target = format!("{path}?{}", reversed.join("&"));
        assert_ne!(target, request.target);
        request.target = target;
        let secret_key = vector["secret_key"].as_str().unwrap();
        assert!(authorization(&vector).fits(&request, secret_key));
    }

    #[test]
    fn another_form_of_the_header_is_not_read() {
        for wrong in ["", "Bearer x", "SDK-HMAC-SHA256 Access=a, Signature=b"] {
            assert_eq!(Authorization::read(wrong), None, "{wrong}");
        }
    }
}
