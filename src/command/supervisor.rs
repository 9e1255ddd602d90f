//! What a service manager such as systemd is told, over the socket that `NOTIFY_SOCKET` names. Without
//! that variable nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::warn;

/// A service manager that does not read must not hold the daemon.
const PATIENCE: Duration = Duration::from_secs(1);

/// The sockets are bound, and what connects is answered. This does not wait for the cloud: a daemon
/// whose cloud is down does its work by saying so.
pub(super) async fn serving() {
    tell(vec![NotifyState::Ready]).await;
}

/// The config is being read again.
pub(super) async fn reloading() {
    // From systemd 253 on, `Type=notify-reload` asks for the time.
    let now = NotifyState::monotonic_usec_now();
    tell(std::iter::once(NotifyState::Reloading).chain(now).collect()).await;
}

/// The config was read again, or is in force as it was.
pub(super) async fn reloaded<T, E>(outcome: &Result<T, E>) {
    // `systemctl reload` succeeds either way; `systemctl status` shows this.
    let status = match outcome {
        Ok(_) => "the config was reloaded",
        Err(_) => "the config has problems, which the log tells; the one in force stays",
    };
    tell(vec![NotifyState::Ready, NotifyState::Status(status)]).await;
}

/// The daemon was asked to end.
pub(super) async fn stopping() {
    tell(vec![NotifyState::Stopping]).await;
}

async fn tell(states: Vec<NotifyState<'static>>) {
    let told = timeout(PATIENCE, spawn_blocking(move || sd_notify::notify(&states)));
    match told.await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => warn!(%error, "cannot tell the service manager"),
        Ok(Err(error)) => warn!(%error, "cannot tell the service manager"),
        Err(_) => warn!("the service manager does not read what it is told"),
    }
}
