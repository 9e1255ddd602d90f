//! Who is let in: TLS, certificates of clients, users and passwords, and how that changes while the
//! daemon runs.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clouddb_backup_exporter::sim::{Cloud, Estate};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::authority::{Authority, Leaf, self_made};
use crate::daemon::{Daemon, Setup};
use crate::exposition::Exposition;
use crate::prometheus::Prometheus;
use crate::running::{PATIENCE, Running, crypto, folder_with};

/// At the least cost there is.
static HASH: LazyLock<String> = LazyLock::new(|| bcrypt::hash("correct-horse", 4).unwrap());

const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server-key.pem\n";

/// An authority, and a daemon with a certificate of it.
struct Door {
    authority: Authority,
    daemon: Daemon,
    _cloud: Cloud,
}

impl Door {
    /// With the text of a web config, beside which are `server.pem`, `server-key.pem` and `ca.pem`.
    async fn new(web: &str) -> Self {
        let authority = Authority::new();
        let server = authority.issue(&["localhost", "127.0.0.1"], 2100);
        let cloud = Cloud::start(Estate::new()).await.unwrap();
        let setup = Setup { poll: "interval: 1h", ..Setup::new(&cloud) };
        let files = [
            ("web.yaml", web),
            ("server.pem", &server.certificate),
            ("server-key.pem", &server.key),
            ("ca.pem", &authority.pem),
        ];
        let daemon = Daemon::start_beside(&files, &setup.with_ddm().text(&cloud)).await;
        promtool_accepts(web, &daemon.folder().join("web.yaml")).await;
        Self { authority, daemon, _cloud: cloud }
    }

    fn address(&self) -> &str {
        self.daemon.url().split("//").nth(1).unwrap()
    }

    async fn connect(&self, client: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
        connect(self.address(), client).await
    }

    /// The answer to one request over TLS.
    async fn ask(&self, client: &Arc<ClientConfig>, path: &str, more: &str) -> io::Result<String> {
        ask(self.address(), client, path, more).await
    }

    /// Whether a client gets an answer.
    async fn lets_in(&self, client: &Arc<ClientConfig>) -> bool {
        match timeout(PATIENCE, self.ask(client, "/metrics", "")).await.expect("it is decided") {
            Ok(answer) => answer.starts_with("HTTP/1.1 200 OK\r\n"),
            Err(_) => false,
        }
    }

    /// What a counter of the daemon says.
    async fn count(&self, client: &Arc<ClientConfig>, name: &str, labels: &[(&str, &str)]) -> f64 {
        let answer = self.ask(client, "/metrics", "").await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        Exposition::read(body).value(name, labels).unwrap()
    }

    async fn until<F: Future<Output = bool>>(&self, condition: impl Fn() -> F) {
        let begin = Instant::now();
        while !condition().await {
            assert!(begin.elapsed() < PATIENCE, "waited in vain");
            sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Writes a file as careful programs do: whole, or not at all.
    fn write(&self, name: &str, text: &str) {
        let path = self.daemon.folder().join(name);
        let new = path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }

    fn install(&self, leaf: &Leaf) {
        self.write("server.pem", &leaf.certificate);
        self.write("server-key.pem", &leaf.key);
    }
}

/// What is good here is good for the checker of Prometheus, but for keys that Debian's does not know
/// yet.
async fn promtool_accepts(text: &str, file: &Path) {
    if ["client_allowed_sans:", "rate_limit:"].iter().any(|newer| text.contains(newer)) {
        return;
    }
    let promtool = std::env::var_os("CLOUDDB_TEST_PROMTOOL")
        .expect("CLOUDDB_TEST_PROMTOOL names promtool; tests/run gets it and sets this");
    let checked = Command::new(promtool).args(["check", "web-config"]).arg(file).output();
    let checked = checked.await.unwrap();
    assert!(checked.status.success(), "{text}{}", String::from_utf8_lossy(&checked.stderr));
}

async fn connect(address: &str, client: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(client)).connect(name, stream).await
}

async fn ask(
    address: &str,
    client: &Arc<ClientConfig>,
    path: &str,
    more: &str,
) -> io::Result<String> {
    let mut stream = connect(address, client).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    if answer.is_empty() { read.and(Err(io::ErrorKind::UnexpectedEof.into())) } else { Ok(answer) }
}

#[tokio::test]
async fn a_scrape_over_tls_is_answered_and_without_it_is_not() {
    let door = Door::new(TLS).await;
    let client = door.authority.client(None);
    assert!(door.lets_in(&client).await);
    let mut plain = TcpStream::connect(door.address()).await.unwrap();
    plain.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).await.ok();
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"));
    // A probe by `tcpSocket` is nobody who was turned away.
    drop(TcpStream::connect(door.address()).await.unwrap());
    assert!(door.lets_in(&client).await);
    let failed = [("reason", "handshake")];
    assert_eq!(door.count(&client, "clouddb_exporter_web_refusals_total", &failed).await, 1.0);
    assert!(!door.lets_in(&Authority::new().client(None)).await, "a client that does not trust us");
    door.daemon.stop().await.unwrap();
}

#[tokio::test]
async fn each_kind_of_client_authentication_lets_in_whom_it_says() {
    let stranger = Authority::new().issue(&["prometheus.example"], 2100);
    let made = self_made("prometheus.example");
    let expired = |authority: &Authority| authority.issue(&["prometheus.example"], 2001);
    for (kind, ca, [none, any, issued]) in [
        ("NoClientCert", "", [true, true, true]),
        ("RequestClientCert", "", [true, true, true]),
        ("RequireAnyClientCert", "", [false, true, true]),
        ("VerifyClientCertIfGiven", "  client_ca_file: ca.pem\n", [true, false, true]),
        ("RequireAndVerifyClientCert", "  client_ca_file: ca.pem\n", [false, false, true]),
    ] {
        let door = Door::new(&format!("{TLS}  client_auth_type: {kind}\n{ca}")).await;
        let authority = &door.authority;
        let good = authority.issue(&["prometheus.example"], 2100);
        for (certificate, is_in) in [
            (None, none),
            (Some(&stranger), any),
            (Some(&made), any),
            (Some(&expired(authority)), any),
            (Some(&good), issued),
        ] {
            for version in [&TLS12, &TLS13] {
                let client = authority.client_of(certificate, &[version]);
                let told = certificate.map(|it| &it.certificate);
                assert_eq!(door.lets_in(&client).await, is_in, "{kind} {version:?} {told:?}");
            }
        }
        let thief = Leaf { certificate: good.certificate, key: made.key.clone() };
        for version in [&TLS12, &TLS13] {
            let thief = authority.client_of(Some(&thief), &[version]);
            let is_asked = kind != "NoClientCert";
            assert_eq!(
                door.lets_in(&thief).await,
                !is_asked,
                "{kind}: a certificate without its key"
            );
        }
        door.daemon.stop().await.unwrap();
    }
}

#[tokio::test]
async fn of_the_clients_only_those_with_an_allowed_name_are_let_in() {
    let door = Door::new(&format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  \
         client_allowed_sans: [prometheus.example, a.b.example, '*.c.example', 10.0.0.1, \
         'spiffe://example/prometheus']\n"
    ))
    .await;
    for (names, is_in) in [
        (["prometheus.example"].as_slice(), true),
        (&["other.example", "prometheus.example"], true),
        (&["10.0.0.1"], true),
        (&["*.c.example"], true),
        (&["spiffe://example/prometheus"], true),
        (&["other.example"], false),
        (&["*.b.example"], false),
        (&["a.c.example"], false),
        (&["a.prometheus.example"], false),
        (&["10.0.0.2"], false),
        (&["spiffe://example/prometheus/2"], false),
        (&[], false),
    ] {
        let client = door.authority.client(Some(&door.authority.issue(names, 2100)));
        assert_eq!(door.lets_in(&client).await, is_in, "{names:?}");
    }
    let stranger = Authority::new().issue(&["prometheus.example"], 2100);
    assert!(!door.lets_in(&door.authority.client(Some(&stranger))).await);
    let expired = door.authority.issue(&["prometheus.example"], 2001);
    assert!(!door.lets_in(&door.authority.client(Some(&expired))).await);
    assert!(!door.lets_in(&door.authority.client(None)).await);
    door.daemon.stop().await.unwrap();
}

/// Whether `openssl` shakes hands with these options.
async fn openssl(door: &Door, options: &[&str]) -> bool {
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", door.address()]).args(options);
    let ended =
        openssl.stdin(Stdio::null()).output().await.expect("openssl, which tests/run installs");
    ended.status.success()
}

#[tokio::test]
async fn only_the_versions_suites_and_curves_of_the_file_are_spoken() {
    let old = ["-cipher", "ALL:@SECLEVEL=0"];
    let door = Door::new(TLS).await;
    for (version, is_spoken) in
        [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)]
    {
        let spoken = openssl(&door, &[&[version], old.as_slice()].concat()).await;
        assert_eq!(spoken, is_spoken, "{version}");
    }
    assert!(!openssl(&door, &["-alpn", "h2"]).await, "it does not speak HTTP/2");
    assert!(openssl(&door, &["-alpn", "h2,http/1.1"]).await);
    door.daemon.stop().await.unwrap();

    let door = Door::new(&format!("{TLS}  min_version: TLS13\n")).await;
    assert!(!door.lets_in(&door.authority.client_of(None, &[&TLS12])).await);
    assert!(door.lets_in(&door.authority.client_of(None, &[&TLS13])).await);
    door.daemon.stop().await.unwrap();

    let door = Door::new(&format!(
        "{TLS}  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n  \
         curve_preferences: [CurveP384]\n"
    ))
    .await;
    assert!(!door.lets_in(&door.authority.client_of(None, &[&TLS13])).await);
    assert!(openssl(&door, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"]).await);
    assert!(!openssl(&door, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]).await);
    assert!(openssl(&door, &["-tls1_2", "-curves", "P-384:P-256"]).await);
    assert!(!openssl(&door, &["-tls1_2", "-curves", "P-256"]).await);
    door.daemon.stop().await.unwrap();
}

fn basic(pair: &str) -> String {
    format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(pair))
}

#[tokio::test]
async fn without_the_password_of_a_user_nothing_is_told_but_that_it_lives() {
    let door = Door::new(&format!("{TLS}basic_auth_users: {{ ann: '{}' }}\n", *HASH)).await;
    let client = door.authority.client(None);
    for path in ["/metrics", "/", "/instance", "/api/v1/status", "/nothing", "/-/reload"] {
        for pair in ["ann:wrong", "eve:correct-horse", "ann:", ":"] {
            let answer = door.ask(&client, path, &basic(pair)).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 401 "), "{path} {pair}: {answer}");
            assert!(answer.contains("www-authenticate: Basic realm="), "{answer}");
        }
        let answer = door.ask(&client, path, "").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
    }
    for path in ["/-/healthy", "/-/healthy?x"] {
        let answer = door.ask(&client, path, "").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
    let ready = door.ask(&client, "/-/ready", "").await.unwrap();
    assert!(!ready.starts_with("HTTP/1.1 401 "), "{ready}");
    for _ in 0..2 {
        let answer = door.ask(&client, "/metrics", &basic("ann:correct-horse")).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let refused = Exposition::read(body)
            .value("clouddb_exporter_web_refusals_total", &[("reason", "credentials")]);
        assert_eq!(refused, Some(30.0));
        assert!(!answer.contains(&*HASH) && !answer.contains("correct-horse"));
    }
    door.daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_does_not_keep_those_out_that_are_known() {
    // One at a time, only some of the flood get their turn.
    let hash = bcrypt::hash("correct-horse", 12).unwrap();
    let door = Door::new(&format!("{TLS}basic_auth_users: {{ ann: '{hash}' }}\n")).await;
    let client = door.authority.client(None);
    let good = basic("ann:correct-horse");
    let first = door.ask(&client, "/metrics", &good).await.unwrap();
    assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
    let mut flood = JoinSet::new();
    for at in 0..24 {
        let (address, client) = (door.address().to_owned(), Arc::clone(&client));
        flood.spawn(async move {
            let user = if at % 2 == 0 { "ann" } else { "eve" };
            ask(&address, &client, "/", &basic(&format!("{user}:{at}"))).await.unwrap()
        });
    }
    let mut answers = vec![flood.join_next().await.unwrap().unwrap()];
    let answer = door.ask(&client, "/metrics", &good).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!flood.is_empty(), "the flood goes on");
    answers.extend(flood.join_all().await);
    let count = |status: &str| answers.iter().filter(|it| it.starts_with(status)).count();
    assert_eq!(count("HTTP/1.1 401 ") + count("HTTP/1.1 429 "), 24);
    assert!(count("HTTP/1.1 429 ") > 0, "the processor was kept busy for all of them");
    door.daemon.stop().await.unwrap();
}

#[tokio::test]
async fn no_more_requests_are_answered_than_the_rate_limit_says_but_probes_are() {
    let door = Door::new(&format!("{TLS}rate_limit: {{ interval: 1h, burst: 3 }}\n")).await;
    let client = door.authority.client(None);
    for allowed in [true, true, true, false, false] {
        assert_eq!(door.lets_in(&client).await, allowed);
    }
    let answer = door.ask(&client, "/metrics", "").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("retry-after: "), "{answer}");
    let answer = door.ask(&client, "/-/healthy", "").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    door.daemon.stop().await.unwrap();
}

#[tokio::test]
async fn the_headers_of_the_file_are_in_every_answer() {
    let door = Door::new(&format!(
        "{TLS}http_server_config: {{ headers: {{ X-Frame-Options: deny, X-XSS-Protection: '' }} }}\n\
         basic_auth_users: {{ ann: '{}' }}\n",
        *HASH
    ))
    .await;
    let client = door.authority.client(None);
    for (path, more) in [
        ("/metrics", basic("ann:correct-horse")),
        ("/", String::new()),
        ("/-/healthy", String::new()),
    ] {
        let answer = door.ask(&client, path, &more).await.unwrap();
        assert!(answer.contains("x-frame-options: deny\r\n"), "{answer}");
        assert!(!answer.to_lowercase().contains("x-xss-protection"), "{answer}");
    }
    door.daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart_and_a_broken_one_is_not_taken_up() {
    const FAILURES: &str = "clouddb_exporter_web_config_reload_failures_total";
    let door = Door::new(TLS).await;
    let client = door.authority.client(None);
    // Who is connected stays until its request is answered, and no longer.
    let mut kept = door.connect(&client).await.unwrap();
    kept.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n").await.unwrap();

    let other = Authority::new();
    door.install(&other.issue(&["localhost"], 2100));
    let new = other.client(None);
    door.until(|| door.lets_in(&new)).await;
    assert!(!door.lets_in(&client).await, "the old certificate is gone");
    kept.write_all(b"\r\n").await.unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).await.ok();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let key = fs::read_to_string(door.daemon.folder().join("server-key.pem")).unwrap();
    for (failures, broken) in
        ["", "no key", &door.authority.issue(&["localhost"], 2100).key].into_iter().enumerate()
    {
        door.write("server-key.pem", broken);
        let expected = failures as f64 + 1.0;
        door.until(async || door.count(&new, FAILURES, &[]).await >= expected).await;
        assert_eq!(door.count(&new, FAILURES, &[]).await, expected, "once for each change");
    }
    door.write("server-key.pem", &key);
    door.write("web.yaml", &format!("{TLS}rate_limit: {{ interval: 1h, burst: 1 }}\n"));
    // Who connects at the moment of the change is sent away.
    door.until(async || {
        let answer = door.ask(&new, "/metrics", "").await;
        answer.is_ok_and(|it| it.starts_with("HTTP/1.1 429 "))
    })
    .await;
    door.daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_broken_file_of_any_kind_counts_and_leaves_all_in_force() {
    let text = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n\
         basic_auth_users: {{ ann: '{}' }}\n",
        *HASH
    );
    let door = Door::new(&text).await;
    let own = door.authority.client(Some(&door.authority.issue(&["prometheus.example"], 2100)));
    let stranger = Authority::new().issue(&["prometheus.example"], 2100);
    let stranger = door.authority.client(Some(&stranger));
    let good = basic("ann:correct-horse");
    let failures = async || {
        // Who connects at the moment of the change is sent away.
        let answer = door.ask(&own, "/metrics", &good).await.unwrap_or_default();
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Exposition::read(body).value("clouddb_exporter_web_config_reload_failures_total", &[])
    };
    let other_key = door.authority.issue(&["localhost"], 2100).key;
    let broken = [
        ("server.pem", "no certificate".to_owned()),
        ("server-key.pem", other_key),
        ("ca.pem", String::new()),
        ("web.yaml", text.replace(&*HASH, "correct-horse")),
        ("web.yaml", text.replace("client_auth_type", "client_auth_kind")),
        ("web.yaml", text[..text.len() / 2].to_owned()),
    ];
    for (at, (name, broken)) in broken.into_iter().enumerate() {
        let whole = fs::read_to_string(door.daemon.folder().join(name)).unwrap();
        door.write(name, &broken);
        door.until(async || failures().await > Some(at as f64)).await;
        assert_eq!(failures().await, Some(at as f64 + 1.0), "{name}: once");
        assert!(door.ask(&own, "/metrics", &basic("ann:wrong")).await.unwrap().contains(" 401 "));
        assert!(door.ask(&stranger, "/metrics", &good).await.is_err(), "{name}");
        assert!(door.ask(&door.authority.client(None), "/metrics", &good).await.is_err(), "{name}");
        door.write(name, &whole);
    }
    door.daemon.stop().await.unwrap();
}

/// As a process of its own, for its log.
#[tokio::test]
async fn what_is_wrong_with_a_new_web_config_is_logged_once_with_its_place() {
    crypto();
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let (folder, flag) = folder_with(&Setup::new(&cloud).with_ddm().text(&cloud));
    let file = folder.path().join("web.yaml");
    let text = |option: &str| {
        format!("http_server_config: {{ headers: {{ X-Frame-Options: {option} }} }}\n")
    };
    fs::write(&file, text("deny")).unwrap();
    let running = Running::start(&[&flag, &format!("--web.config.file={}", file.display())]).await;
    fs::write(&file, text("never")).unwrap();
    let name = "clouddb_exporter_web_config_reload_failures_total";
    running.until(|it| it.value(name, &[]) == Some(1.0)).await;
    running.logged("the web config has problems; the one in force stays").await;
    let place = "web.yaml:1:51: http_server_config.headers.X-Frame-Options: must be";
    let told = running.log().iter().filter(|line| line.contains(place)).count();
    assert_eq!(told, 1, "{:?}", running.log());
    fs::write(&file, text("sameorigin")).unwrap();
    running.logged("the web config was reloaded").await;
    running.until(|it| it.value(name, &[]) == Some(1.0)).await;
    assert_eq!(running.end("-TERM").await, Some(0));
}

#[tokio::test]
async fn a_file_that_no_longer_asks_for_tls_or_a_password_does_not_open_the_door() {
    let users = format!("basic_auth_users: {{ ann: '{}' }}\n", *HASH);
    let door = Door::new(&format!("{TLS}{users}")).await;
    let client = door.authority.client(None);
    let good = basic("ann:correct-horse");
    let failures = async || {
        let answer = door.ask(&client, "/metrics", &good).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let name = "clouddb_exporter_web_config_reload_failures_total";
        Exposition::read(body).value(name, &[]).unwrap()
    };
    for (at, weaker) in ["", &*users, TLS].into_iter().enumerate() {
        door.write("web.yaml", weaker);
        door.until(async || failures().await > at as f64).await;
        assert!(!door.lets_in(&client).await, "it asks for a password still");
    }
    door.daemon.stop().await.unwrap();
}

#[tokio::test]
async fn users_and_authorities_of_clients_change_without_a_restart() {
    let users = |name: &str| format!("basic_auth_users: {{ {name}: '{}' }}\n", *HASH);
    let door = Door::new(&format!("{TLS}{}", users("ann"))).await;
    let client = door.authority.client(None);
    let status = async |user: &str| {
        let more = basic(&format!("{user}:correct-horse"));
        match door.ask(&client, "/metrics", &more).await {
            Ok(answer) => answer.split(' ').nth(1).unwrap().to_owned(),
            // Who connects at the moment of the change is sent away.
            Err(_) => String::new(),
        }
    };
    assert_eq!((status("ann").await, status("bob").await), ("200".to_owned(), "401".to_owned()));
    door.write("web.yaml", &format!("{TLS}{}", users("bob")));
    door.until(async || status("bob").await == "200").await;
    assert_eq!(status("ann").await, "401", "though it was known");
    door.daemon.stop().await.unwrap();

    let mutual = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
    let door = Door::new(&format!("{TLS}{mutual}")).await;
    let own = door.authority.client(Some(&door.authority.issue(&["prometheus.example"], 2100)));
    let mut kept = door.connect(&own).await.unwrap();
    kept.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let other = Authority::new();
    let new = door.authority.client(Some(&other.issue(&["prometheus.example"], 2100)));
    assert!(door.lets_in(&own).await && !door.lets_in(&new).await);
    door.write("ca.pem", &other.pem);
    door.until(|| door.lets_in(&new)).await;
    assert!(!door.lets_in(&own).await);
    let mut rest = Vec::new();
    timeout(PATIENCE, kept.read_to_end(&mut rest))
        .await
        .expect("who was let in before is sent away")
        .ok();
    door.daemon.stop().await.unwrap();
}

/// The scrape config of `docs/security.md`, with the names of the test.
fn documented(target: &str) -> String {
    let docs = fs::read_to_string("docs/security.md").unwrap();
    let block = docs.split("```yaml\n").find(|block| block.contains("scrape_configs:")).unwrap();
    let (block, _) = block.split_once("```").unwrap();
    assert!(block.contains("/etc/prometheus/backups/") && block.contains("backup-exporter:19747"));
    block
        .replace("/etc/prometheus/backups/", "")
        .replace("backup-exporter:19747", target)
        .replace("server_name: backup-exporter", "server_name: localhost")
        .replace("scrape_interval: 1m", "scrape_interval: 1s\n    scrape_timeout: 1s")
}

/// The web config of `docs/security.md`.
fn documented_web(hash: &str) -> String {
    let docs = fs::read_to_string("docs/security.md").unwrap();
    let block = docs.split("```yaml\n").find(|block| block.contains("tls_server_config:")).unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let (line, _) = block.split_once("prometheus: ").expect("it has the user `prometheus`");
    format!("{line}prometheus: {hash}\n")
}

#[tokio::test]
async fn prometheus_scrapes_over_tls_with_a_certificate_and_a_password_as_documented() {
    let door = Door::new(&documented_web(&HASH)).await;
    let own = door.authority.issue(&["prometheus.example"], 2100);
    let start = async |certificate: &Leaf, password: &str, ca: &str| {
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", ca);
        write("client.pem", &certificate.certificate);
        write("client-key.pem", &certificate.key);
        write("password", password);
        Prometheus::start(folder, &documented(door.address())).await
    };
    let stranger = Authority::new();
    let unknown = stranger.issue(&["prometheus.example"], 2100);
    let expired = door.authority.issue(&["prometheus.example"], 2001);
    let misnamed = door.authority.issue(&["other.example"], 2100);
    // All at once, since each takes some seconds until it scrapes.
    let mut started = Vec::new();
    for (what, certificate, password, ca, up) in [
        ("as documented", &own, "correct-horse\n", &door.authority.pem, 1.0),
        ("a wrong password", &own, "wrong", &door.authority.pem, 0.0),
        ("a server of an unknown authority", &own, "correct-horse", &stranger.pem, 0.0),
        ("a client of an unknown authority", &unknown, "correct-horse", &door.authority.pem, 0.0),
        ("an expired client", &expired, "correct-horse", &door.authority.pem, 0.0),
        ("a client of another name", &misnamed, "correct-horse", &door.authority.pem, 0.0),
    ] {
        started.push((what, start(certificate, password, ca).await, up));
    }
    for (what, prometheus, up) in started {
        assert_eq!(prometheus.until("up").await, up, "{what}");
        let samples = prometheus.until("scrape_samples_scraped").await;
        assert_eq!(samples > 20.0, up == 1.0, "{what}");
        prometheus.stop().await;
    }
    door.daemon.stop().await.unwrap();
}

/// What the daemon says of the folder's files holds none of their secrets.
#[tokio::test]
async fn a_path_that_is_a_key_by_mistake_does_not_show() {
    let authority = Authority::new();
    let key = authority.issue(&["localhost"], 2100).key;
    let text = format!(
        "tls_server_config:\n  cert_file: |\n    {0}\n  key_file: |\n    {0}\n",
        key.replace('\n', "\n    ")
    );
    let loaded = clouddb_backup_exporter::config::web::Web::read(
        &text,
        Path::new("web.yaml"),
        &clouddb_backup_exporter::config::fetch,
        &mut Vec::new(),
    );
    let problems = loaded.unwrap_err().to_string();
    assert!(!problems.contains(key.lines().nth(1).unwrap()), "{problems}");
}
