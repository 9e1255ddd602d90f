//! How sizes are told to people.

use indicatif::BinaryBytes;

/// In the largest unit that leaves at least one, such as `8.01 GiB`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "half a byte is not told, and no size is below zero"
)]
pub fn print(bytes: f64) -> String {
    BinaryBytes(bytes as u64).to_string()
}
