//! What the program promises, over real sockets.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the exemption of tests in `.clippy.toml` does not reach their helper functions"
)]

mod sdk;
mod sim;
