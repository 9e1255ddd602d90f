//! The way to ask the daemon for a reload of its config.

use tokio::sync::{mpsc, oneshot};

/// Asks for reloads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloader(mpsc::Sender<oneshot::Sender<Result<(), String>>>);

impl Reloader {
    /// A way that ends at the other end of the channel.
    pub fn new(sender: mpsc::Sender<oneshot::Sender<Result<(), String>>>) -> Self {
        Self(sender)
    }

    /// Waits for a reload. An error is everything that is wrong with the new config, which is then
    /// not in force.
    pub async fn reload(&self) -> Result<(), String> {
        let (sender, receiver) = oneshot::channel();
        let sent = self.0.send(sender).await.is_ok();
        let outcome = if sent { receiver.await.ok() } else { None };
        outcome.unwrap_or_else(|| Err("the daemon is stopping".to_owned()))
    }
}
