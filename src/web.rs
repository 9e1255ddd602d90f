//! The server: what may connect, and how long it may take. Which path answers what is decided in
//! `routes`.

mod gzip;
mod reloader;
mod routes;
mod status;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub use reloader::Reloader;
pub use routes::Site;

/// Connections at a time; more wait in the backlog of the socket.
const MOST_CONNECTIONS: usize = 512;
/// For a request's headers, and between two requests of a kept connection. Above the usual scrape
/// interval, so that a scrape does not need a new connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
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
    let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let site = Arc::clone(&site);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(
                TokioIo::new(Box::pin(limited(stream))),
                service_fn(move |request| {
                    let site = Arc::clone(&site);
                    async move { Ok::<_, Infallible>(site.answer(&request).await) }
                }),
            );
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%peer, %error, "a connection ended badly");
            }
            drop(permit);
        });
    }
    drop(listener);
    if timeout(GRACE, graceful.shutdown()).await.is_err() {
        warn!("some answers had not ended {} s after the end was asked for", GRACE.as_secs());
    }
}

/// A stream whose peer has to take its answer.
fn limited<S: AsyncRead + AsyncWrite>(stream: S) -> TimeoutStream<S> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    stream
}

/// The next connection, with the permit that it holds. None after a failure, which never ends the
/// server.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            warn!(%error, "cannot accept a connection");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
