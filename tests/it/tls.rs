//! Real handshakes: whom the client trusts, and what an untrusted cloud is called.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clouddb_backup_exporter::error::{Fault, Reason};
use clouddb_backup_exporter::http::{self, Answer, Http};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use reqwest::Url;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An authority of our own, in a folder that holds its certificate.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A server with a certificate for `name`, good until the end of `until`.
    async fn server(&self, name: &str, until: i32) -> Url {
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not trust us ends the handshake.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await.unwrap();
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                stream.write_all(answer).await.unwrap();
                stream.shutdown().await.ok();
            }
        });
        Url::parse(&format!("https://localhost:{port}")).unwrap()
    }
}

async fn ask(http: &Http, url: &Url) -> Result<Answer, Fault> {
    http.exchange(http::get(url, "/", ""), Duration::from_secs(10)).await
}

#[tokio::test]
async fn a_ca_of_ones_own_is_trusted_besides_those_of_the_system() {
    let authority = Authority::new();
    let url = authority.server("localhost", 2100).await;
    let http = Http::new(Some(&authority.file())).unwrap();
    assert_eq!(ask(&http, &url).await.unwrap().body, b"ok");
}

#[tokio::test]
async fn an_unknown_issuer_a_wrong_name_and_an_expired_certificate_are_tls() {
    let authority = Authority::new();
    let trusting = Http::new(Some(&authority.file())).unwrap();
    let system_only = Http::new(None).unwrap();
    for (http, name, until) in [
        (&system_only, "localhost", 2100),
        (&trusting, "other.example", 2100),
        (&trusting, "localhost", 2001),
    ] {
        let fault = ask(http, &authority.server(name, until).await).await.unwrap_err();
        assert_eq!(fault.reason, Reason::Tls, "{name} {until}: {fault}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_tls_and_nobody_at_all_is_connect() {
    let http = Http::new(None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
        }
    });
    assert_eq!(ask(&http, &url).await.unwrap_err().reason, Reason::Tls);

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = Url::parse(&format!("http://{free}")).unwrap();
    assert_eq!(ask(&http, &url).await.unwrap_err().reason, Reason::Connect);
    let url = Url::parse("http://no-such-host.invalid").unwrap();
    assert_eq!(ask(&http, &url).await.unwrap_err().reason, Reason::Connect);
}

#[test]
fn a_ca_file_that_changed_is_another() {
    let (old, new) = (Authority::new(), Authority::new());
    let http = Http::new(Some(&old.file())).unwrap();
    assert!(http.trusts(Some(&old.file())) && !http.trusts(None));
    std::fs::copy(new.file(), old.file()).unwrap();
    assert!(!http.trusts(Some(&old.file())));
}
