//! Skeleton.
pub mod backup;
pub mod build;
pub mod clock;
pub mod error;
pub mod http;
pub mod meter;
pub mod metric;
pub mod page;
pub mod product;
pub mod sim;
pub mod summary;
mod auth {
    #[path = "pause.rs"]
    mod pause;
    #[path = "sign.rs"]
    pub mod sign;
    #[path = "token.rs"]
    mod token;
}
