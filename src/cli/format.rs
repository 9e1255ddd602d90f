//! The form of the findings of `gate`.

use clap::ValueEnum;

/// The form of the findings of `gate`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// A line for each.
    Text,
    /// JUnit XML, as pipelines show it.
    Junit,
}
