//! Which shard this is: by the flags, else by what a `StatefulSet` tells its pods. Pure: the
//! environment comes as an argument.

use super::Arguments;
use crate::shard::{Shard, ShardError};

/// The variable that says how many shards there are.
const COUNT: &str = "CLOUDDB_SHARD_COUNT";
/// The variable with the name of the pod, whose ordinal is the index.
const POD: &str = "POD_NAME";

/// Why nobody knows which shard this is.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ShardingError {
    /// The variable is no number.
    #[error("the environment variable {COUNT} is `{0}`, which is no number; write such as `3`")]
    Count(String),
    /// There are several, and nothing says which one this is.
    #[error(
        "there are {0} shards, and nothing says which one this is; give --shard.index, or set \
         {POD} to the name of the pod of a StatefulSet"
    )]
    Index(u32),
    /// The pod has no ordinal.
    #[error(
        "the environment variable {POD} is `{0}`, which does not end in `-` and a number as the pods \
         of a StatefulSet do; give --shard.index"
    )]
    Pod(String),
    /// There is no such shard.
    #[error(transparent)]
    Shard(#[from] ShardError),
}

impl Arguments {
    /// Which shard this is. A flag goes before the environment.
    pub fn shard(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, ShardingError> {
        let count = self.shard_count(&variable)?;
        let index = match self.shard_index {
            Some(index) => index,
            // The name of a pod that is no part of a StatefulSet may end in a number too.
            None if count == 1 => 0,
            None => {
                let pod = variable(POD).ok_or(ShardingError::Index(count))?;
                ordinal(&pod).ok_or(ShardingError::Pod(pod))?
            }
        };
        Ok(Shard::new(index, count)?)
    }

    /// How many shards there are.
    pub fn shard_count(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<u32, ShardingError> {
        let count = match (self.shard_count, variable(COUNT)) {
            (Some(count), _) => count,
            (None, None) => 1,
            (None, Some(text)) => text.trim().parse().map_err(|_| ShardingError::Count(text))?,
        };
        Ok(Shard::new(0, count)?.count())
    }
}

/// The number behind the last `-`.
fn ordinal(pod: &str) -> Option<u32> {
    let (_, digits) = pod.rsplit_once('-')?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn shard(flags: &[&str], environment: &[(&str, &str)]) -> Result<Shard, ShardingError> {
        let arguments = Arguments::parse_from([&["x"], flags].concat());
        let find = |name: &str| environment.iter().find(|(known, _)| *known == name);
        arguments.shard(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    fn of(index: u32, count: u32) -> Shard {
        Shard::new(index, count).unwrap()
    }

    #[test]
    fn without_a_word_there_is_one_shard_whatever_the_pod_is_called() {
        assert_eq!(shard(&[], &[]), Ok(Shard::WHOLE));
        assert_eq!(shard(&[], &[(POD, "exporter-3")]), Ok(Shard::WHOLE));
        assert_eq!(shard(&[], &[(POD, "exporter-6b9d"), (COUNT, "1")]), Ok(Shard::WHOLE));
    }

    #[test]
    fn a_pod_of_a_stateful_set_is_the_shard_of_its_ordinal() {
        let pod = (POD, "clouddb-backup-exporter-3");
        assert_eq!(shard(&[], &[pod, (COUNT, "5")]), Ok(of(3, 5)));
        assert_eq!(shard(&["--shard.count=4"], &[pod]), Ok(of(3, 4)));
        assert_eq!(shard(&[], &[(POD, "x-12"), (COUNT, " 20\n")]), Ok(of(12, 20)));
    }

    #[test]
    fn a_flag_goes_before_the_environment() {
        let environment = [(POD, "exporter-3"), (COUNT, "5")];
        assert_eq!(shard(&["--shard.index=1"], &environment), Ok(of(1, 5)));
        assert_eq!(shard(&["--shard.index=1", "--shard.count=2"], &environment), Ok(of(1, 2)));
        assert_eq!(shard(&["--shard.count=7"], &[(POD, "x-3"), (COUNT, "many")]), Ok(of(3, 7)));
    }

    #[test]
    fn who_cannot_tell_which_shard_it_is_polls_nothing() {
        for (flags, environment, message) in [
            (&[][..], &[(COUNT, "3")][..], "nothing says which one this is"),
            (&["--shard.count=3"], &[], "nothing says which one this is"),
            (&[], &[(COUNT, "3"), (POD, "exporter-7d9f-x2b")], "does not end in `-` and a number"),
            (&[], &[(COUNT, "3"), (POD, "exporter-")], "does not end in `-` and a number"),
            (&[], &[(COUNT, "3"), (POD, "7")], "does not end in `-` and a number"),
            (&[], &[(COUNT, "3"), (POD, "exporter-+1")], "does not end in `-` and a number"),
            (&[], &[(COUNT, "3"), (POD, "exporter-3")], "there is no shard 3 of 3"),
            (&["--shard.index=3"], &[(COUNT, "3")], "there is no shard 3 of 3"),
            (&["--shard.index=1"], &[], "there is no shard 1 of 1"),
            (&[], &[(COUNT, "0")], "there cannot be 0 shards"),
            (&["--shard.count=0"], &[], "there cannot be 0 shards"),
            (&[], &[(COUNT, "three")], "is `three`, which is no number"),
            (&[], &[(COUNT, "")], "is ``, which is no number"),
            (&[], &[(COUNT, "-1")], "is `-1`, which is no number"),
        ] {
            let error = shard(flags, environment).unwrap_err().to_string();
            assert!(error.contains(message), "{flags:?} {environment:?}: {error}");
        }
    }
}
