//! What `deploy/` promises, held by the programs that its files are for.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the exemption of tests in `.clippy.toml` does not reach their helper functions"
)]

mod container;
mod document;
mod machine;
mod scrape;
mod tool;

mod image;
mod rules;
mod systemd;
mod workflows;
