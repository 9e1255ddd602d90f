//! The handle: starts the simulated cloud, tells its addresses, changes it while it runs, and shows
//! what it saw.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinSet};

use super::{
    clock::Clock,
    estate::Estate,
    fault::Fault,
    iam::Addresses,
    lock,
    log::Seen,
    request::Service,
    server::{Shared, listen},
    state::State,
    switches::Switches,
};

/// A running simulated cloud. It ends when this is dropped.
#[derive(Debug)]
pub struct Cloud {
    shared: Arc<Shared>,
    listeners: JoinSet<Infallible>,
}

impl Cloud {
    /// Starts a cloud with the real time.
    pub async fn start(estate: Estate) -> io::Result<Self> {
        Self::start_at(estate, Clock::real()).await
    }

    /// Starts a cloud that goes by this clock.
    pub async fn start_at(estate: Estate, clock: Clock) -> io::Result<Self> {
        let (iam, iam_url) = bind().await?;
        let (rds, rds_url) = bind().await?;
        let (ddm, ddm_url) = bind().await?;
        let shared = Arc::new(Shared {
            clock,
            addresses: Addresses { iam: format!("{iam_url}/v3"), rds: rds_url, ddm: ddm_url },
            state: State::new(estate).into(),
        });
        let mut listeners = JoinSet::new();
        listeners.spawn(listen(ddm, Service::Ddm, Arc::clone(&shared)));
        listeners.spawn(listen(iam, Service::Iam, Arc::clone(&shared)));
        listeners.spawn(listen(rds, Service::Rds, Arc::clone(&shared)));
        Ok(Self { shared, listeners })
    }

    /// Stops listening, ends all connections, and waits until that is done.
    pub async fn stop(mut self) {
        self.listeners.shutdown().await;
    }

    /// The identity service, with its `/v3`.
    pub fn iam_url(&self) -> &str {
        &self.shared.addresses.iam
    }

    /// The endpoint of RDS.
    pub fn rds_url(&self) -> &str {
        &self.shared.addresses.rds
    }

    /// The endpoint of DDM.
    pub fn ddm_url(&self) -> &str {
        &self.shared.addresses.ddm
    }

    /// The clock, to read or to move it.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Changes what exists, all at once.
    pub fn change<T>(&self, change: impl FnOnce(&mut Estate) -> T) -> T {
        let mut state = lock(&self.shared.state);
        state.forget_lists();
        change(&mut state.estate)
    }

    /// What exists now, besides what the jobs make.
    pub fn estate(&self) -> Estate {
        lock(&self.shared.state).estate.clone()
    }

    /// Changes how the cloud behaves.
    pub fn switches<T>(&self, change: impl FnOnce(&mut Switches) -> T) -> T {
        let mut state = lock(&self.shared.state);
        state.forget_lists();
        change(&mut state.switches)
    }

    /// Adds a fault. The first rule that strikes hides later ones.
    pub fn fault(&self, fault: Fault) {
        lock(&self.shared.state).faults.push(fault);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        lock(&self.shared.state).faults.clear();
    }

    /// Makes every token bad, as a changed password does.
    pub fn revoke_tokens(&self) {
        lock(&self.shared.state).tokens.revoke();
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.shared.state).log.seen().iter().cloned().collect()
    }

    /// How many requests so far meet this condition.
    pub fn count(&self, condition: impl Fn(&Seen) -> bool) -> usize {
        let state = lock(&self.shared.state);
        let seen = state.log.seen().iter();
        seen.filter(|seen| condition(seen)).count()
    }

    /// How many tokens were asked for, given or not.
    pub fn sign_ins(&self) -> usize {
        self.count(Seen::is_sign_in)
    }

    /// The most requests with this project in their path that were under way at one moment.
    pub fn most_in_flight(&self, project_id: &str) -> usize {
        lock(&self.shared.state).log.most_in_flight(project_id)
    }

    /// Starts the counting anew.
    pub fn forget_requests(&self) {
        lock(&self.shared.state).log.forget();
    }
}

/// A listener on a free port of loopback, and its address.
async fn bind() -> io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}
