//! Bytes of peers, over a real socket.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::exposition::{GAP, Latest};
use clouddb_backup_exporter::meter::Meters;
use clouddb_backup_exporter::shard::Shard;
use clouddb_backup_exporter::snapshot::Board;
use clouddb_backup_exporter::web::{self, Crowd, Front, Site};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Longer than anything takes; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(20);
const PAIR: &str = "ann:correct-horse";

thread_local! {
    static SERVERS: Servers = Servers::start();
}

/// One that answers everybody, and one that asks for a password.
struct Servers {
    runtime: Runtime,
    addresses: [SocketAddr; 2],
}

/// Whatever comes, each server answers or closes, and goes on. The server is on this thread: if it
/// panics, that is the place.
pub fn throw(bytes: &[u8]) {
    SERVERS.with(|servers| {
        servers.runtime.block_on(async {
            for address in servers.addresses {
                let answers = exchange(address, bytes).await;
                is_an_answer(&answers);
                let alive = exchange(address, b"GET /-/healthy HTTP/1.0\r\n\r\n").await;
                assert!(alive.ends_with(b"\r\n\r\nhealthy\n"), "{}", alive.escape_ascii());
            }
        });
    });
}

/// Nothing, or the head of an answer that there can be.
fn is_an_answer(answers: &[u8]) {
    let Some(head) = answers.get(..12) else { return assert_eq!(answers, b"") };
    let known = ["200", "400", "401", "403", "404", "405", "413", "414", "429", "431"];
    let is_known = |status: &[u8]| known.iter().any(|known| known.as_bytes() == status);
    let (version, status) = head.split_at(9);
    assert!(
        (version == b"HTTP/1.1 " || version == b"HTTP/1.0 ") && is_known(status),
        "{}",
        answers.escape_ascii()
    );
}

/// Everything that is answered until the server closes.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let socket = TcpSocket::new_v4().expect("a socket");
    let mut stream = socket.connect(address).await.expect("it is accepted");
    let mut answers = Vec::new();
    let all = async {
        // It may close before it has read everything, and a reset may cost the end of its answer.
        stream.write_all(bytes).await.ok();
        stream.shutdown().await.ok();
        stream.read_to_end(&mut answers).await.ok();
    };
    timeout(PATIENCE, all).await.expect("it answers or closes");
    answers
}

impl Servers {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let addresses = runtime.block_on(async {
            let hash = bcrypt::hash("correct-horse", 4).expect("a hash");
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("web.yaml");
            let text = format!(
                "http_server_config: {{ headers: {{ X-Frame-Options: deny }} }}\n\
                 basic_auth_users: {{ ann: '{hash}' }}\n"
            );
            fs::write(&file, text).expect("a file");
            let (front, _) = Front::open(&file, Duration::from_secs(3600)).expect("a good config");
            let addresses = [serve(Front::default()).await, serve(front).await];
            // From now on the pair is known, and is not hashed again.
            let pair = BASE64_STANDARD.encode(PAIR);
            let request = format!("GET / HTTP/1.0\r\nAuthorization: Basic {pair}\r\n\r\n");
            let mut stream = tokio::net::TcpStream::connect(addresses[1]).await.expect("accepted");
            stream.write_all(request.as_bytes()).await.expect("it reads");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("it answers");
            assert!(answer.starts_with(b"HTTP/1.0 200 "), "{}", answer.escape_ascii());
            addresses
        });
        Self { runtime, addresses }
    }
}

async fn serve(front: Front) -> SocketAddr {
    let (board, meters) = (Arc::new(Board::default()), Meters::new().expect("the metrics"));
    let site = Site {
        exposition: Arc::new(Latest::new(Arc::clone(&board), GAP)),
        board,
        front: Arc::new(front),
        crowd: Arc::new(Crowd::new(8, meters.clone())),
        meters,
        shard: Shard::WHOLE,
        clock: Clock::system(),
        telemetry_path: "/metrics".to_owned(),
        reloader: None,
        started: Instant::now(),
        ready_after: Duration::ZERO,
        ready: AtomicBool::new(true),
    };
    let listener = web::listen("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(web::serve(listener, Arc::new(site), CancellationToken::new()));
    address
}
