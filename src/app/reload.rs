//! How a reload is asked for and answered.

use tokio::sync::{mpsc, oneshot};

use crate::web::Reloader;

/// Where the outcome of a reload goes.
pub(super) type Request = oneshot::Sender<Result<(), String>>;

/// Both ends. One reload waits at a time; who comes meanwhile waits for its place.
pub(super) fn channel() -> (Reloader, mpsc::Receiver<Request>) {
    let (sender, receiver) = mpsc::channel(1);
    (Reloader::new(sender), receiver)
}
