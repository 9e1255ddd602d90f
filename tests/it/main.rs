//! What the program promises, over real sockets.

#![expect(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the exemption of tests in `.clippy.toml` does not reach their helper functions, and \
              samples are compared as they are printed"
)]

mod authority;
mod daemon;
mod exposition;
mod log;
mod mutated;
mod prometheus;
mod running;
mod secrets;
mod slowhttptest;

mod app;
mod auth;
mod client;
mod completions;
mod config;
mod discovery;
mod docs;
mod door;
mod economy;
mod elsewhere;
mod explain;
mod faults;
mod flow;
mod gate;
mod gzip;
mod http;
mod limits;
mod listing;
mod live;
mod lookup;
mod lookups;
mod man;
mod once;
mod planning;
mod polling;
mod process;
mod reference;
mod reload;
mod rounds;
mod schema;
mod sdk;
mod sharding;
mod sim;
mod soak;
mod status;
mod thrown;
mod tls;
mod web;
mod web_config;
