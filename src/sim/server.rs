//! The sockets of the simulated cloud: HTTP/1.1 on loopback, one listener per host. Knows how an
//! answer goes over the wire, whole or broken, and nothing of what it says.

use std::{
    convert::Infallible,
    future::pending,
    io::{self, Write},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use http_body_util::{BodyExt, Limited};
use hyper::{
    Response,
    body::{Bytes, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

use super::{
    answer::{Answer, REQUEST_ID},
    clock::Clock,
    iam::Addresses,
    id, lock,
    request::{Request, Service},
    state::{Reply, State},
    time,
};

/// What the listeners and the handle share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) addresses: Addresses,
    pub(super) state: Mutex<State>,
}

/// Accepts connections until it is dropped; they end with it.
pub(super) async fn listen(
    listener: TcpListener,
    service: Service,
    shared: Arc<Shared>,
) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, service, Arc::clone(&shared)));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers the requests of one connection.
async fn converse(stream: TcpStream, service: Service, shared: Arc<Shared>) {
    let respond = service_fn(move |request| respond(request, service, Arc::clone(&shared)));
    // A connection that breaks is the client's business; faults break it on purpose.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), respond).await);
}

/// Answers one request, or breaks the connection by an error.
async fn respond(
    request: hyper::Request<Incoming>,
    service: Service,
    shared: Arc<Shared>,
) -> Result<Response<Body>, io::Error> {
    let request = read(request, service).await?;
    let received = lock(&shared.state).receive(&request, shared.clock.now());
    let _under_way = UnderWay { shared: Arc::clone(&shared), project: received.project.clone() };
    if received.delay > Duration::ZERO {
        sleep(received.delay).await;
    }
    let now = shared.clock.now();
    let reply = lock(&shared.state).reply(&request, &received, now, &shared.addresses);
    let (answer, is_cut) = match reply {
        Reply::Whole(answer) => (answer, false),
        Reply::Cut(answer) => (answer, true),
        Reply::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
        // It stays under way until its client is gone.
        Reply::Hang => match pending::<Infallible>().await {},
    };
    let packs = lock(&shared.state).switches.gzip
        && request.header("accept-encoding").is_some_and(|accepted| accepted.contains("gzip"));
    let request_id = id::stem(&["request", &received.number.to_string()]);
    response(answer, is_cut, packs, &request_id, &time::dated(now))
}

/// Reads a request from the wire.
async fn read(request: hyper::Request<Incoming>, service: Service) -> Result<Request, io::Error> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        })
        .collect();
    let body = Limited::new(body, MOST_BODY).collect().await;
    let body = body.map_err(io::Error::other)?.to_bytes().to_vec();
    let method = parts.method.as_str();
    Ok(Request::new(service, method, &target, headers, body))
}

/// Puts an answer into the form of the wire.
fn response(
    answer: Answer,
    is_cut: bool,
    packs: bool,
    request_id: &str,
    date: &str,
) -> Result<Response<Body>, io::Error> {
    let mut response = Response::builder()
        .status(answer.status)
        .header("Date", date)
        .header("X-Request-Id", request_id);
    if !answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        response = response.header("Content-Type", "application/json");
    }
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let mut bytes = answer.body;
    if answer.status >= 400
        && let Ok(text) = std::str::from_utf8(&bytes)
        && text.contains(REQUEST_ID)
    {
        bytes = text.replace(REQUEST_ID, request_id).into_bytes();
    }
    if packs {
        bytes = packed(&bytes)?;
        response = response.header("Content-Encoding", "gzip");
    }
    response.body(Body::new(bytes, is_cut)).map_err(io::Error::other)
}

fn packed(bytes: &[u8]) -> Result<Vec<u8>, io::Error> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Counts a request as under way as long as it lives, also if its client goes away.
struct UnderWay {
    shared: Arc<Shared>,
    project: Option<String>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        lock(&self.shared.state).log.ended(self.project.as_deref());
    }
}

/// A body that may promise more than it sends.
struct Body {
    rest: Bytes,
    promised: u64,
    ending: Ending,
}

/// How a body ends.
enum Ending {
    /// With an error, at the next poll.
    Break,
    /// With a pause, in which what was sent so far leaves the house, and then an error.
    PauseAndBreak,
    Whole,
}

impl Body {
    fn new(bytes: Vec<u8>, is_cut: bool) -> Self {
        let promised = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let mut rest = Bytes::from(bytes);
        let mut ending = Ending::Whole;
        if is_cut {
            rest.truncate(rest.len() / 2);
            ending = Ending::PauseAndBreak;
        }
        Self { rest, promised, ending }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        match self.ending {
            Ending::Break => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
            Ending::PauseAndBreak => {
                self.ending = Ending::Break;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ending::Whole => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && matches!(self.ending, Ending::Whole)
    }

    fn size_hint(&self) -> SizeHint {
        match self.ending {
            Ending::Whole => {
                SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
            }
            Ending::Break | Ending::PauseAndBreak => SizeHint::with_exact(self.promised),
        }
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const MOST_BODY: usize = 1 << 20;
