//! A request as it came over the wire, before anyone believes it: raw target, decoded path and query,
//! headers by lower-case name.

use std::fmt::Write;

/// The three hosts of the simulated cloud. RDS and DDM share their paths and differ by host only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Distributed database middleware.
    Ddm,
    /// Identity: tokens and projects.
    Iam,
    /// Relational databases.
    Rds,
}

/// What a client asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The host that was asked.
    pub service: Service,
    /// The method, in upper case.
    pub method: String,
    /// Path and query exactly as sent; a signature is computed from these bytes.
    pub target: String,
    /// The query pairs, decoded, in the order sent.
    pub query: Vec<(String, String)>,
    /// Headers in the order sent, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Takes a request apart.
    pub fn new(
        service: Service,
        method: &str,
        target: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Self {
        let (_, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            service,
            method: method.to_uppercase(),
            target: target.to_owned(),
            query: pairs(query),
            headers,
            body,
        }
    }

    /// The path as sent, without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The parts of the path between its slashes.
    pub fn segments(&self) -> Vec<&str> {
        self.path().trim_matches('/').split('/').collect()
    }

    /// A query parameter; an empty one counts as not given.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut named = self.query.iter().filter(|(key, _)| key == name);
        named.next().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A header, trimmed.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(key, _)| key == name);
        named.next().map(|(_, value)| value.trim())
    }
}

/// The decoded pairs of a query. A raw plus is a blank, as the platform's gateways read it, so a
/// client that forgets to escape `+0000` is caught.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
        })
        .collect()
}

/// Percent-decodes; what is no valid escape stays as it is.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| hex::decode(digits).ok());
        if let Some(byte) = escaped {
            bytes.extend(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Percent-encodes all but the unreserved characters, in upper-case hexadecimal.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_once_and_a_raw_plus_is_a_blank() {
        let request = Request::new(
            Service::Rds,
            "get",
            "/v3/p/backups?begin_time=a%2B0000&end_time=a+0000&empty=&x=100%25",
            Vec::new(),
            Vec::new(),
        );
        assert_eq!(request.method, "GET");
        assert_eq!(request.segments(), ["v3", "p", "backups"]);
        assert_eq!(request.parameter("begin_time"), Some("a+0000"));
        assert_eq!(request.parameter("end_time"), Some("a 0000"));
        assert_eq!(request.parameter("empty"), None);
        assert_eq!(request.parameter("x"), Some("100%"));
    }

    #[test]
    fn encoding_is_undone_by_decoding() {
        let text = "*prod db/eu~1-_.x Jürgen&co 50%+:";
        assert_eq!(decoded(&encoded(text)), text);
        assert_eq!(decoded("50%zz%4"), "50%zz%4");
    }
}
