//! The server: what may connect, and how long it may take. Which path answers what is decided in
//! `routes`.

mod crowd;
mod front;
mod gzip;
mod page;
mod reloader;
mod routes;
mod users;
mod watched;

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::error::Chain;
use crate::meter::Refusal;
use crowd::Place;
use front::Terms;
use watched::Watched;

pub use crowd::{Crowd, most_connections};
pub use front::{Front, GAP};
pub use reloader::Reloader;
pub use routes::{PATHS, Site};

/// For a request's headers, and between two requests of a kept connection. Above the usual scrape
/// interval, so that a scrape does not need a new connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// For request line and headers together; a hundred headers are the most by hyper's default.
const MOST_HEADER_BYTES: usize = 16 * 1024;
/// For the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// After a failed `accept`, which mostly says that file descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// For a peer to take some more of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// For running answers after the end was asked for.
const GRACE: Duration = Duration::from_secs(4);

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{address}`")]
pub struct ListenError {
    /// Where.
    pub address: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Binds an address; `:PORT` is that port on all interfaces, as in Prometheus' family.
pub async fn listen(address: &str) -> Result<TcpListener, ListenError> {
    let everywhere = address.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
    let bound = TcpListener::bind(everywhere.as_deref().unwrap_or(address)).await;
    bound.map_err(|source| ListenError { address: address.to_owned(), source })
}

/// Serves the site on a listener until `stop`; then running answers have a few seconds to end.
pub async fn serve(listener: TcpListener, site: Arc<Site>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let mut is_failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &site, &mut is_failing) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        connections.spawn(connection(stream, peer, place, Arc::clone(&site), stop.clone()));
    }
    drop(listener);
    connections.close();
    if timeout(GRACE, connections.wait()).await.is_err() {
        warn!("some answers had not ended {} s after the end was asked for", GRACE.as_secs());
    }
}

/// The next connection, with its place. None after a failure, which never ends the server.
async fn accept(
    listener: &TcpListener,
    site: &Site,
    is_failing: &mut bool,
) -> Option<(TcpStream, SocketAddr, Place)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            *is_failing = false;
            Some((stream, peer, site.crowd.enter().await?))
        }
        // The peer left before its turn, of which there may be many: no reason to pause.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => None,
        Err(error) => {
            site.meters.web_refused(Refusal::Accept);
            if !*is_failing {
                warn!(%error, "cannot accept connections");
            }
            *is_failing = true;
            site.crowd.send_one_away();
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Serves one connection, on the terms that are in force when it begins.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    site: Arc<Site>,
    stop: CancellationToken,
) {
    let terms = site.front.terms();
    let Some(tls) = &terms.tls else {
        return requests(stream, peer, &place, &site, &terms, &stop).await;
    };
    let handshake = TlsAcceptor::from(Arc::clone(tls));
    let handshake = tokio::select! {
        handshake = timeout(HANDSHAKE_TIMEOUT, handshake.accept(stream)) => handshake,
        () = place.lost() => return,
        () = stop.cancelled() => return,
    };
    match handshake {
        Ok(Ok(stream)) => requests(stream, peer, &place, &site, &terms, &stop).await,
        // Who only looks whether somebody listens, as probes do, was not turned away.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        Ok(Err(error)) => {
            site.meters.web_refused(Refusal::Handshake);
            debug!(%peer, error = %Chain(&error), "a TLS handshake failed");
        }
        Err(_) => {
            site.meters.web_refused(Refusal::Handshake);
            debug!(%peer, "a TLS handshake took too long");
        }
    }
}

/// Answers the requests of a connection. It ends between two of them when the end is asked for, and
/// when other terms are in force: those may not let its peer in.
async fn requests<S: AsyncRead + AsyncWrite + Send>(
    stream: S,
    peer: SocketAddr,
    place: &Place,
    site: &Site,
    terms: &Terms,
    stop: &CancellationToken,
) {
    let seat = place.seat();
    let stream = Watched { stream: Box::pin(limited(stream)), seat: Arc::clone(seat) };
    let answer = service_fn(|request| async move {
        let answer = site.answer(&request).await;
        seat.answers();
        Ok::<_, Infallible>(answer)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MOST_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let is_last = async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = terms.replaced.cancelled() => {}
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = place.lost() => return,
        () = is_last => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = place.lost() => return,
            }
        }
    };
    if let Err(error) = ended {
        if is_stalled(&error) {
            site.meters.web_refused(Refusal::Slow);
        }
        debug!(%peer, error = %Chain(&error), "a connection ended badly");
    }
}

/// Whether the peer took nothing more of its answer.
fn is_stalled(error: &hyper::Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// A stream whose peer has to take its answer.
fn limited<S: AsyncRead + AsyncWrite>(stream: S) -> TimeoutStream<S> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    stream
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use bytes::Bytes;
    use http_body_util::Empty;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, advance};

    use super::*;
    use crate::clock::Clock;
    use crate::exposition::{self, Latest};
    use crate::meter::Meters;
    use crate::metric;
    use crate::snapshot::Board;

    fn site() -> Arc<Site> {
        let (board, meters) = (Arc::new(Board::default()), Meters::new().unwrap());
        Arc::new(Site {
            exposition: Arc::new(Latest::new(Arc::clone(&board), exposition::GAP)),
            board,
            front: Arc::default(),
            crowd: Arc::new(Crowd::new(1, meters.clone())),
            meters,
            shard: crate::shard::Shard::WHOLE,
            clock: Clock::system(),
            telemetry_path: "/metrics".to_owned(),
            reloader: None,
            started: Instant::now(),
            ready_after: Duration::ZERO,
            ready: AtomicBool::new(true),
        })
    }

    #[tokio::test]
    async fn pages_that_nobody_takes_do_not_add_up_and_scrapes_go_on_beside_them() {
        let site = site();
        let ask = async |path: &str| {
            let request = hyper::Request::get(path).body(Empty::<Bytes>::new()).unwrap();
            site.answer(&request).await
        };
        let mut held = Vec::new();
        for path in ["/", "/api/v1/status"].into_iter().cycle() {
            let answer = ask(path).await;
            if answer.status() == 429 {
                break;
            }
            assert!(answer.status() == 200 && held.len() < 100, "{}", held.len());
            held.push(answer);
        }
        assert_eq!(held.len(), 16);
        assert_eq!(ask("/metrics").await.status(), 200);
        held.pop();
        assert_eq!(ask("/").await.status(), 200);
    }

    /// The peer's end of a connection with little room in between.
    async fn peer(site: &Arc<Site>) -> (DuplexStream, JoinHandle<()>) {
        let (ours, theirs) = duplex(128);
        let (site, place) = (Arc::clone(site), site.crowd.enter().await.unwrap());
        let served = tokio::spawn(async move {
            let (terms, stop) = (site.front.terms(), CancellationToken::new());
            requests(ours, ([127, 0, 0, 1], 1).into(), &place, &site, &terms, &stop).await;
        });
        (theirs, served)
    }

    /// Whether anybody was sent away for that reason.
    fn was_refused(site: &Site, reason: Refusal) -> bool {
        let families = site.meters.gather();
        let name = metric::WEB_REFUSALS.name;
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let of_reason = family
            .get_metric()
            .iter()
            .find(|metric| metric.get_label().iter().any(|label| label.value() == reason.label()));
        of_reason.unwrap().get_counter().get_value() > 0.0
    }

    const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

    /// What the peer has got after so many sips of 16 bytes in so many seconds each, and whether it
    /// is still connected.
    async fn sips(count: usize, seconds: u64) -> bool {
        let site = site();
        let (mut peer, served) = peer(&site).await;
        peer.write_all(REQUEST).await.unwrap();
        for _ in 0..count {
            settle().await;
            advance(Duration::from_secs(seconds)).await;
            settle().await;
            if peer.read_exact(&mut [0; 16]).await.is_err() {
                break;
            }
        }
        let is_served = !served.is_finished();
        assert_eq!(was_refused(&site, Refusal::Slow), !is_served);
        is_served
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_be_taken_slowly_but_neither_with_a_long_pause_nor_for_ever() {
        assert!(sips(10, 5).await, "within a minute");
        assert!(!sips(1, 45).await, "with a pause of more than half a minute");
        assert!(!sips(40, 5).await, "for more than a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_has_to_come_within_a_while_however_steadily_its_bytes_do() {
        let (mut peer, served) = peer(&site()).await;
        let mut sent = 0;
        while peer.write_all(b"G").await.is_ok() {
            advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
            sent += 1;
            assert!(sent < 100, "it is never cut off");
        }
        served.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_between_scrapes_that_are_a_minute_apart_and_no_longer() {
        let (mut peer, served) = peer(&site()).await;
        for _ in 0..3 {
            settle().await;
            advance(Duration::from_secs(60)).await;
            settle().await;
            peer.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"healthy\n") {
                assert!(peer.read_buf(&mut answer).await.unwrap() > 0);
            }
        }
        settle().await;
        advance(Duration::from_secs(80)).await;
        settle().await;
        assert!(served.is_finished(), "it was idle for too long");
        let (_peer, served) = self::peer(&site()).await;
        settle().await;
        advance(Duration::from_secs(80)).await;
        settle().await;
        assert!(served.is_finished(), "it never asked");
    }

    /// Lets the server do all that it can do without time passing.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    /// Otherwise hyper copies each answer, and a peer that reads slowly holds a copy of its own.
    #[tokio::test]
    async fn the_parts_of_an_answer_are_written_from_where_they_lie() {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(limited(stream).is_write_vectored());
    }

    #[tokio::test]
    async fn a_port_alone_is_that_port_on_all_interfaces() {
        let everywhere = listen(":0").await.unwrap().local_addr().unwrap();
        assert!(everywhere.ip().is_unspecified());
        let loopback = listen("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(loopback.ip().is_loopback());
        let error = listen("127.0.0.1:port").await.unwrap_err();
        assert_eq!(error.to_string(), "cannot listen on `127.0.0.1:port`");
    }
}
