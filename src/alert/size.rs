//! The size of the last success against the usual one, and how sizes are told.

use indicatif::BinaryBytes;

use crate::snapshot::ShownType;

/// Both in bytes, if both are known. Manual backups are made at odd moments, and incrementals are as
/// large as what was written.
pub(super) fn of(of: &ShownType<'_>) -> Option<(f64, f64)> {
    let size = of.summary.last_success?.bytes?;
    let usual = of.summary.size_baseline?.bytes();
    (of.backup_type.name == JUDGED).then_some((size as f64, usual))
}

const JUDGED: &str = "auto";

/// `8.01 GiB`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "half a byte is not told, and no size is below zero"
)]
pub(crate) fn print(bytes: f64) -> String {
    BinaryBytes(bytes as u64).to_string()
}
