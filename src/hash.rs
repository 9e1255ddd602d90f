//! Numbers that stand for things and are the same in every process and version: where a thing stands
//! in the schedule, and which shard it belongs to.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// The number of these parts.
pub fn stable(parts: impl IntoIterator<Item: AsRef<str>>) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_ref());
        hash.update([0]);
    }
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The number of a target, given what it is known by, the id of its instance last. A config may write
/// that in another letter case than the cloud, and it is still the same instance.
pub fn of_target([project, project_id, product, endpoint, id]: [Cow<'_, str>; 5]) -> u64 {
    stable([project, project_id, product, endpoint, id.to_ascii_lowercase().into()])
}
