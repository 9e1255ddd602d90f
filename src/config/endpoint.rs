//! Addresses of the cloud's APIs, made uniform.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// The address of an API: scheme, host, port, and for IAM the path of its version. No user, query
/// or fragment. Printed without a final slash, so that a path can follow.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// It as a URL.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Why a text is no address of an API. Never repeats the text: it may have a password in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum EndpointError {
    #[error("a URL cannot be empty")]
    Empty,
    #[error("must be https, unless its credential has `insecure_http: true`")]
    Insecure,
    #[error("is not a URL: {0}")]
    Parse(&'static str),
    #[error("cannot have a path")]
    Path,
    #[error("cannot have a query or a fragment")]
    Query,
    #[error("must begin with `https://`")]
    Scheme,
    #[error("cannot have a user or a password")]
    User,
}

/// Reads the origin of an API, with or without a final slash.
pub(super) fn origin(text: &str, insecure_http: bool) -> Result<Endpoint, EndpointError> {
    let url = address(text, insecure_http)?;
    if url.path() == "/" { Ok(Endpoint(url)) } else { Err(EndpointError::Path) }
}

/// Reads the address of IAM, with or without a final slash and `/v3`; the result has the latter.
pub(super) fn identity(text: &str, insecure_http: bool) -> Result<Endpoint, EndpointError> {
    let mut url = address(text, insecure_http)?;
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/v3").unwrap_or(path).to_owned();
    url.set_path(&format!("{path}/v3"));
    Ok(Endpoint(url))
}

/// The same as it comes in a `clouds.yaml` or the environment: also without a scheme. The vendor file
/// of openstacksdk for the Swiss cloud has it so.
pub(super) fn lenient(text: &str, insecure_http: bool) -> Result<Endpoint, EndpointError> {
    if text.is_empty() || text.contains("://") {
        return identity(text, insecure_http);
    }
    identity(&format!("https://{text}"), insecure_http)
}

fn address(text: &str, insecure_http: bool) -> Result<Url, EndpointError> {
    if text.is_empty() {
        return Err(EndpointError::Empty);
    }
    let url = Url::parse(text).map_err(|_| EndpointError::Parse(what_is_wrong(text)))?;
    match url.scheme() {
        "https" => {}
        "http" if insecure_http || is_loopback(&url) => {}
        "http" => return Err(EndpointError::Insecure),
        _ => return Err(EndpointError::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointError::User);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(EndpointError::Query);
    }
    Ok(url)
}

/// The parser's own words would do, but they are not the same in each version.
fn what_is_wrong(text: &str) -> &'static str {
    if text.contains("://") { "the host or the port is wrong" } else { "the scheme is missing" }
}

/// Whether what is sent there does not leave the machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_with_and_without_its_slash() {
        for text in ["https://rds.example", "https://rds.example/", "https://rds.example:443"] {
            assert_eq!(origin(text, false).unwrap().to_string(), "https://rds.example");
        }
        assert_eq!(
            origin("https://rds.example:8443/", false).unwrap().to_string(),
            "https://rds.example:8443"
        );
    }

    #[test]
    fn the_address_of_iam_ends_in_its_version() {
        for text in [
            "https://iam.example",
            "https://iam.example/",
            "https://iam.example/v3",
            "https://iam.example/v3/",
            "https://iam.example:443/v3",
        ] {
            assert_eq!(identity(text, false).unwrap().to_string(), "https://iam.example/v3");
        }
        let behind = identity("https://proxy.example/iam/v3/", false).unwrap();
        assert_eq!(behind.to_string(), "https://proxy.example/iam/v3");
    }

    #[test]
    fn an_address_from_elsewhere_may_lack_its_scheme_and_its_version() {
        for text in [
            "https://iam.example:443/v3",
            "https://iam.example",
            "iam.example/v3",
            "iam.example:443/v3",
            "iam.example",
        ] {
            assert_eq!(lenient(text, false).unwrap().to_string(), "https://iam.example/v3");
        }
        assert_eq!(lenient("http://iam.example", false), Err(EndpointError::Insecure));
        assert_eq!(lenient("", false), Err(EndpointError::Empty));
    }

    #[test]
    fn http_is_for_loopback_or_by_leave() {
        for text in
            ["http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:1", "http://localhost"]
        {
            assert!(origin(text, false).is_ok(), "{text}");
        }
        for text in
            ["http://10.0.0.1", "http://localhost.example", "http://[::2]", "http://128.0.0.1"]
        {
            assert_eq!(origin(text, false), Err(EndpointError::Insecure), "{text}");
            assert!(origin(text, true).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for (text, error) in [
            ("", EndpointError::Empty),
            ("rds.example", EndpointError::Parse("the scheme is missing")),
            ("https://", EndpointError::Parse("the host or the port is wrong")),
            ("https://rds.example:99999", EndpointError::Parse("the host or the port is wrong")),
            ("ftp://rds.example", EndpointError::Scheme),
            ("rds.example:443", EndpointError::Scheme),
            ("https://rds.example/v3", EndpointError::Path),
            ("https://rds.example?x=1", EndpointError::Query),
            ("https://rds.example#x", EndpointError::Query),
            ("https://me@rds.example", EndpointError::User),
            ("https://me:word@rds.example", EndpointError::User),
        ] {
            assert_eq!(origin(text, false), Err(error), "{text}");
        }
    }
}
