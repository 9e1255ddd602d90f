//! A webhook of this process, which keeps what Alertmanager tells it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use reqwest::Client;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::process::until;

/// What was told of one alert.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The path of the webhook, without its slash: the receiver.
    pub(crate) receiver: String,
    alert: Value,
}

impl Told {
    /// Whether it is of this alert and has this status, `firing` or `resolved`.
    pub(crate) fn is(&self, alert: &str, status: &str) -> bool {
        self.label("alertname") == alert && self.alert["status"] == status
    }

    pub(crate) fn label(&self, name: &str) -> &str {
        self.alert["labels"][name].as_str().unwrap_or_default()
    }

    pub(crate) fn annotation(&self, name: &str) -> &str {
        self.alert["annotations"][name].as_str().unwrap_or_default()
    }
}

type All = Arc<Mutex<Vec<Told>>>;

/// One that listens.
pub(crate) struct Webhook {
    url: String,
    told: All,
    _listener: JoinSet<()>,
}

impl Webhook {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let told = All::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, Arc::clone(&told)));
        Self { url, told, _listener: tasks }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Everything that was told, in the order of its arrival.
    pub(crate) fn all(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// The first that is as it should be, once there is one.
    pub(crate) async fn until(&self, condition: impl Fn(&Told) -> bool) -> Told {
        until(
            async || self.all().into_iter().find(&condition),
            async || format!("the webhook was told {:#?}", self.all()),
        )
        .await
    }
}

async fn listen(listener: TcpListener, all: All) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let all = Arc::clone(&all);
        let answer = service_fn(move |request| keep(request, Arc::clone(&all)));
        tokio::spawn(async move {
            // A connection that Alertmanager breaks off is not the test's business.
            http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.ok();
        });
    }
}

async fn keep(request: Request<Incoming>, all: All) -> Result<Response<Empty<Bytes>>, Infallible> {
    let receiver = request.uri().path().trim_start_matches('/').to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let message: Value = serde_json::from_slice(&body).unwrap();
    let alerts = message["alerts"].as_array().unwrap().clone();
    let told = alerts.into_iter().map(|alert| Told { receiver: receiver.clone(), alert });
    all.lock().unwrap().extend(told);
    Ok(Response::new(Empty::new()))
}

/// A client for Prometheus and Alertmanager.
pub(crate) fn client() -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy().build().unwrap()
}

/// The body of an answer.
pub(crate) async fn json_of(mut answer: reqwest::Response) -> Value {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    let text = String::from_utf8_lossy(&body);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
