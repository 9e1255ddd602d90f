//! What `deploy/` promises, held by the programs that its files are for.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "the exemption of tests in `.clippy.toml` does not reach their helper functions"
)]

mod tool;

mod alertmanager;
mod dashboard;
mod rules;
mod runbooks;
