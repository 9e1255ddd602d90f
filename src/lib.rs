//! A Prometheus exporter for the backups of managed databases on Open Telekom Cloud and Huawei
//! Cloud.
//!
//! On a schedule it reads the backup lists of the configured projects and instances, and serves
//! what it learnt as gauges. Data flows one way, and a module imports only what stands above it in
//! the list below (a test holds it to that):
//!
//! ```text
//! config ─→ census, target ─→ account, auth, client ─→ page, listing ─→ Backup ─→ Summary ─→ Snapshot ─→ exposition ─→ web
//! ```
//!
//! The words come first: what the cloud's services are (`product`), what a backup is (`backup`),
//! which metrics there are (`metric`).

#![forbid(unsafe_code)]

// Words.
pub mod build;
pub mod clock;
pub mod size;
pub mod hash;
pub mod schedule;
pub mod shard;
pub mod error;
pub mod backup;
pub mod instance;
pub mod policy;
pub mod restore;
pub mod objective;
pub mod product;
pub mod metric;
pub mod meter;

// The way of the data.
pub mod config;
pub mod census;
pub mod estate;
pub mod target;
pub mod http;
pub mod account;
pub mod auth;
pub mod client;
pub mod page;
pub mod listing;
pub mod discovery;
pub mod lookup;
pub mod summary;
pub mod snapshot;
pub mod alert;
pub mod status;
pub mod poll;
pub mod plan;
pub mod exposition;
pub mod web;

// What holds it together.
pub mod app;
pub mod sim;
pub mod cli;
pub mod log;
pub mod command;
