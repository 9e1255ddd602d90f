//! What `deploy/` promises, held by the programs that its files are for.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the exemption of tests in `.clippy.toml` does not reach their helper functions"
)]

mod container;
mod document;
mod documents;
mod machine;
mod resources;
mod scrape;
mod tool;

mod alertmanager;
mod chart;
mod conditions;
mod dashboard;
mod image;
mod manifests;
mod play;
mod rules;
mod runbooks;
mod systemd;
mod workflows;
