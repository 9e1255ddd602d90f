//! Skeleton.
pub mod sim;
