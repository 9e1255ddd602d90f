//! From a backup in the cloud to a message at a webhook: the program, Prometheus and Alertmanager as
//! processes on loopback, with the shipped rules and configs, of which only durations are shortened.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the exemption of tests in `.clippy.toml` does not reach their helper functions"
)]

mod alertmanager;
mod estate;
mod exporter;
mod process;
mod prometheus;
mod shipped;
mod stack;
mod webhook;

mod browser;
mod dashboard;
mod death;
mod failure;
mod newer;
mod outage;
