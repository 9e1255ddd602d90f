//! The simulated cloud: identity, RDS and DDM as real HTTP on loopback, with a clock, an estate that
//! makes backups as time passes, faults on demand, and a log of what was asked.
//!
//! The `demo` command and the tests use the same one. It is written from the cloud's documents alone
//! and imports nothing else of this crate, so that it is a second opinion on whoever talks to it: it
//! verifies signatures with its own code, and refuses what the documents do not allow. Where they are
//! silent, [`Switches`] let a test try every answer.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use clouddb_backup_exporter::sim::{Cloud, Estate, Fault, RdsInstance, Schedule, Service};
//!
//! let orders = "a48e43ff268f4c0e879652d65e63d0fbin01";
//! let estate = Estate::new()
//!     .with_rds(RdsInstance::new(orders, "orders"))
//!     .with_schedule(Schedule::daily(orders, 1));
//! let cloud = Cloud::start(estate).await?;
//! cloud.fault(Fault::status(503).on(Service::Rds).once());
//! println!("{}", cloud.rds_url());
//! # Ok(())
//! # }
//! ```

mod answer;
mod change;
mod clock;
mod cloud;
mod ddm;
pub mod estate;
mod fault;
mod gate;
mod iam;
pub mod id;
mod instance;
mod listing;
mod log;
mod page;
mod rds;
mod record;
mod request;
mod route;
mod schedule;
mod server;
mod signature;
mod state;
mod switches;
mod time;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::{
    answer::Answer,
    clock::Clock,
    cloud::Cloud,
    estate::{AccessKey, Estate, Project, User},
    fault::{Change, Endless, EstateChange, Fault},
    instance::{DdmInstance, Policy, RdsInstance},
    log::{Caller, Seen},
    record::{DdmBackup, RdsBackup},
    request::{Request, Service},
    schedule::{Job, Schedule},
    switches::{MissingEnd, Order, RateLimit, ReplicaPolicy, Switches, Total, Window},
    time::listed,
};

/// Locks. A panic of another thread leaves plain data behind, which is as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
