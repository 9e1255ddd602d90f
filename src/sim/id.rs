//! Ids that look random and are the same on every run.

/// 32 hexadecimal digits that follow from the parts.
pub fn stem(parts: &[&str]) -> String {
    let seed = hash(parts);
    format!("{:016x}{:016x}", mixed(seed), mixed(seed ^ u64::MAX))
}

/// A number that follows from the parts (FNV-1a, each part ended by a zero byte).
pub(super) fn hash(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let sum = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mixed(sum)
}

/// Spreads a number over all bits (the finish of `SplitMix64`).
fn mixed(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_follow_from_their_parts_and_do_not_clash() {
        assert_eq!(stem(&["a", "b"]), stem(&["a", "b"]));
        assert_ne!(stem(&["ab", ""]), stem(&["a", "b"]));
        let many: BTreeSet<String> = (0..10_000).map(|n: u32| stem(&[&n.to_string()])).collect();
        assert_eq!(many.len(), 10_000);
        assert!(many.iter().all(|id| id.len() == 32));
    }
}
