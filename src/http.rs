//! One exchange with the cloud: bounded in time and size, and every way it can end badly named.
//! Knows no credentials and no products.

mod fault;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, Method, Request, Url, redirect};

use crate::config;
use crate::error::{Chain, Fault, Reason};

pub use fault::{Role, check};

/// The most an answer may hold, unpacked.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// A page of any list fits into so much; a larger body is given room as it comes.
const LIKELY_BODY_BYTES: usize = 64 * 1024;

/// The header of a token.
pub const TOKEN_HEADER: &str = "x-auth-token";

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, unpacked.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The time of day at the cloud when it answered.
    pub fn date(&self) -> Option<Timestamp> {
        http_date(self.header("date")?)
    }
}

/// A date as HTTP writes it.
fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|date| date.timestamp())
}

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates that are trusted besides those of the system.
    #[error("cannot read the CA certificates in `{}`", path.display())]
    Ca {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// TLS itself.
    #[error("cannot start TLS (are there CA certificates on this system, or a `ca_file`?)")]
    Start(#[source] reqwest::Error),
}

/// A connection pool.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    /// For hosts on loopback: never through the proxy of the environment, which would see what is
    /// not even encrypted.
    loopback: Client,
    /// What the PEM file held.
    ca: Option<Vec<u8>>,
}

impl Http {
    /// A pool that trusts the CAs of the system, and those in a PEM file besides.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, TlsError> {
        // The one place that chooses cryptography; an error says that it is chosen already.
        rustls::crypto::ring::default_provider().install_default().ok();
        let read = |path: &Path| {
            fs::read(path).map_err(|source| TlsError::Ca { path: path.to_owned(), source })
        };
        let ca = ca_file.map(read).transpose()?;
        let client = |proxy: bool| -> Result<Client, TlsError> {
            let mut builder = Client::builder()
                .user_agent(concat!("clouddb-backup-exporter/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .referer(false)
                // Below the idle limit of the gateways, so that a kept connection is not just closing.
                .pool_idle_timeout(Duration::from_secs(30));
            if let Some(pem) = &ca {
                let certificates = Certificate::from_pem_bundle(pem).map_err(TlsError::Start)?;
                builder = builder.tls_certs_merge(certificates);
            }
            if !proxy {
                builder = builder.no_proxy();
            }
            builder.build().map_err(TlsError::Start)
        };
        Ok(Self { client: client(true)?, loopback: client(false)?, ca })
    }

    /// Whether a pool with that PEM file, as it is now, would trust the same.
    pub fn trusts(&self, ca_file: Option<&Path>) -> bool {
        let now = ca_file.map(fs::read).transpose();
        now.is_ok_and(|now| now == self.ca)
    }

    /// Sends one request and reads its answer, both within `timeout`.
    ///
    /// Redirects are not followed, and no status is an error here: see [`check`].
    pub async fn exchange(&self, mut request: Request, timeout: Duration) -> Result<Answer, Fault> {
        let host = host(request.url());
        let loopback = config::is_loopback(request.url());
        *request.timeout_mut() = Some(timeout);
        let outcome = async {
            let client = if loopback { &self.loopback } else { &self.client };
            let response = client.execute(request).await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = read(response).await?;
            Ok(Answer { status, headers, body })
        };
        outcome.await.map_err(|error| match error {
            Broken::TooLarge => Fault::new(
                Reason::Limit,
                format!("the answer of {host} is larger than {} MiB", MAX_BODY_BYTES >> 20),
            ),
            Broken::Transport(error) if error.is_timeout() => Fault::new(
                Reason::Timeout,
                format!("no answer of {host} within {} s", timeout.as_secs_f64()),
            ),
            Broken::Transport(error) => transport(&host, error),
        })
    }
}

/// A GET of `path` (percent-encoded) and `query` (canonical, may be empty) at an endpoint.
pub fn get(endpoint: &Url, path: &str, query: &str) -> Request {
    Request::new(Method::GET, url(endpoint, path, query))
}

/// The host as it stands in the `Host` header: with its port, if that is not the usual one.
pub fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn url(endpoint: &Url, path: &str, query: &str) -> Url {
    let mut url = endpoint.clone();
    url.set_path(path);
    url.set_query((!query.is_empty()).then_some(query));
    url
}

enum Broken {
    TooLarge,
    Transport(reqwest::Error),
}

impl From<reqwest::Error> for Broken {
    fn from(error: reqwest::Error) -> Self {
        Self::Transport(error)
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, Broken> {
    let length = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = Vec::with_capacity(length.unwrap_or(0).min(LIKELY_BODY_BYTES));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Broken::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Names a fault of the connection by what stands in its chain of causes.
fn transport(host: &str, error: reqwest::Error) -> Fault {
    // The URL may hold ids; the host is told by us.
    let error = error.without_url();
    let reason = if has_cause(&error, <dyn Error>::is::<rustls::Error>) {
        Reason::Tls
    } else if has_cause(&error, is_bad_data) {
        Reason::Decode
    } else if error.is_builder() {
        Reason::Internal
    } else {
        Reason::Connect
    };
    Fault::new(reason, format!("no answer of {host}: {}", Chain(&error)))
}

/// Looks through the chain, and into I/O errors that wrap another without being its `source`.
fn has_cause(error: &(dyn Error + 'static), is: impl Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if is(cause) {
            return true;
        }
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    false
}

/// Whether the body was there and could not be unpacked.
fn is_bad_data(cause: &(dyn Error + 'static)) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    let io = cause.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| matches!(error.kind(), InvalidData | InvalidInput))
}
