//! Which part of all targets is polled by one of several exporters with the same config. Pure.
//!
//! Each target has one owner, which every one of them finds by itself from the target's stable hash,
//! by jump consistent hashing (Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash
//! Algorithm", 2014, <https://arxiv.org/abs/1406.2294>): shards of even size, and from n to n + 1 of
//! them one in n + 1 targets moves, to the new one. Its quotient is of whole numbers here, so that it
//! is the same on every machine.

use crate::hash;

/// One of several exporters that share a config and the budgets of its credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shard {
    /// Which one, from 0.
    index: u32,
    /// How many there are.
    count: u32,
}

/// Why there is no such shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ShardError {
    /// It is not among them.
    #[error("there is no shard {index} of {count}: they are counted from 0, so the last one is {}", count - 1)]
    Beyond {
        /// Which one.
        index: u32,
        /// Of how many.
        count: u32,
    },
    /// There cannot be so many.
    #[error("there cannot be {count} shards; write a number from 1 (no shards) to {MOST}")]
    Count {
        /// How many.
        count: u32,
    },
}

/// There are at most so many: each one reads the instance lists, and has its part of the budget.
pub const MOST: u32 = 1000;

impl Shard {
    /// All in one.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// One of several, counted from 0.
    pub fn new(index: u32, count: u32) -> Result<Self, ShardError> {
        if count == 0 || count > MOST {
            return Err(ShardError::Count { count });
        }
        if index >= count {
            return Err(ShardError::Beyond { index, count });
        }
        Ok(Self { index, count })
    }

    /// All of so many.
    pub fn all(count: u32) -> Result<Vec<Self>, ShardError> {
        let last = Self::new(0, count)?;
        Ok((0..count).map(|index| Self { index, ..last }).collect())
    }

    /// Which one it is, from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether it polls the target of this stable hash.
    pub fn owns(self, hash: u64) -> bool {
        self.count == 1 || owner(hash, self.count) == self.index
    }

    /// Its part of what all of them may do together.
    pub fn part_of(self, whole: f64) -> f64 {
        whole / f64::from(self.count)
    }
}

/// The shard that a hash belongs to.
fn owner(number: u64, count: u32) -> u32 {
    // The place in the schedule is a remainder of the same hash: mixed once more, the one says nothing
    // of the other, and the polls of a shard are spread over the interval like those of all.
    let mut key = hash::stable(["shard", &number.to_string()]);
    let (mut owner, mut next) = (0, 0);
    while next < count {
        owner = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let jump = (u64::from(owner) + 1) << 31;
        next = u32::try_from(jump / ((key >> 33) + 1)).unwrap_or(u32::MAX);
    }
    owner
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The stable hashes of an estate of any ids.
    fn hashes(ids: &[String]) -> Vec<u64> {
        ids.iter()
            .map(|id| hash::stable(["shop", "p1", "rds", "https://rds.example/", id]))
            .collect()
    }

    fn many(count: u64) -> Vec<u64> {
        (0..count).map(|at| hash::stable(["shop", &format!("{at:032x}in01")])).collect()
    }

    proptest! {
        #[test]
        fn each_target_has_exactly_one_owner_however_many_shards_there_are(
            ids in prop::collection::vec("[0-9a-f]{4,32}in0[1-4]", 1..100),
            count in 1..50_u32,
        ) {
            let shards = Shard::all(count).unwrap();
            for hash in hashes(&ids) {
                let owners = shards.iter().filter(|shard| shard.owns(hash)).count();
                prop_assert_eq!(owners, 1);
            }
        }

        #[test]
        fn with_one_shard_more_targets_move_to_the_new_one_only(
            ids in prop::collection::vec("[0-9a-f]{4,32}in0[1-4]", 1..100),
            count in 1..50_u32,
        ) {
            for hash in hashes(&ids) {
                let (before, after) = (owner(hash, count), owner(hash, count + 1));
                prop_assert!(after == before || after == count, "{} -> {}", before, after);
            }
        }
    }

    #[test]
    fn one_in_n_targets_moves_to_the_nth_shard_and_all_have_about_as_many() {
        let hashes = many(10_000);
        let owners = |count| hashes.iter().map(|it| owner(*it, count)).collect::<Vec<_>>();
        for count in [1, 2, 3, 7, 20] {
            let (before, after) = (owners(count), owners(count + 1));
            let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
            let part = moved.count() as f64 * f64::from(count + 1) / hashes.len() as f64;
            assert!((0.85..1.15).contains(&part), "{part} of what should move to shard {count}");
            for shard in 0..count {
                let own = before.iter().filter(|owner| **owner == shard).count();
                let part = own as f64 * f64::from(count) / hashes.len() as f64;
                assert!((0.8..1.2).contains(&part), "{part} of its part for {shard} of {count}");
            }
        }
    }

    #[test]
    fn the_polls_of_one_shard_are_spread_over_the_interval() {
        for (interval, count) in [(60_000, 4), (300_000, 3), (1 << 18, 4)] {
            let mut tenths = [[0; 10]; 4];
            for hash in many(2000 * u64::from(count)) {
                let tenth = usize::try_from(hash % interval * 10 / interval).unwrap();
                tenths[owner(hash, count) as usize][tenth] += 1;
            }
            for tenths in &tenths[..count as usize] {
                assert!(tenths.iter().all(|it| (140..260).contains(it)), "{tenths:?}");
            }
        }
    }

    #[test]
    fn the_owner_of_a_target_is_the_same_in_every_process_and_version() {
        // Whoever changes this moves the targets of every operator who has shards.
        let owners: Vec<u32> = (0..16).map(|hash| owner(hash, 5)).collect();
        assert_eq!(owners, [3, 2, 4, 0, 1, 1, 3, 4, 2, 0, 0, 4, 4, 0, 2, 1]);
    }

    #[test]
    fn there_are_at_least_one_and_no_shard_beyond_the_last() {
        assert_eq!(Shard::new(0, 1), Ok(Shard::WHOLE));
        assert_eq!(Shard::new(0, 0), Err(ShardError::Count { count: 0 }));
        assert_eq!(Shard::new(0, MOST + 1), Err(ShardError::Count { count: MOST + 1 }));
        let beyond = Shard::new(3, 3).unwrap_err();
        assert_eq!(
            beyond.to_string(),
            "there is no shard 3 of 3: they are counted from 0, so the last one is 2"
        );
    }

    #[test]
    fn all_shards_together_have_the_whole_budget() {
        let parts = Shard::all(4).unwrap().into_iter().map(|shard| shard.part_of(2.0));
        assert_eq!(parts.collect::<Vec<_>>(), [0.5; 4]);
    }
}
