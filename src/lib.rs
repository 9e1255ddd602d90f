//! Skeleton.
pub mod backup;
pub mod clock;
pub mod error;
pub mod product;
pub mod sim;
pub mod summary;
