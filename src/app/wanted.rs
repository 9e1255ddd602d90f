//! Which instances are asked for, where a round is not over all of them.

use crate::backup::InstanceId;
use crate::target::{Instance, Target};

/// An instance by its id or its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted(Box<str>);

impl Wanted {
    /// What somebody typed.
    pub fn new(word: &str) -> Self {
        Self(word.into())
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the id or the name of this instance.
    pub fn names(&self, id: &InstanceId, name: &str) -> bool {
        *self.0 == *id.as_str() || *self.0 == *name
    }

    /// Whether it is the id of this instance in other letter case: ids are hexadecimal, and somebody
    /// may have typed one in capitals.
    pub fn spells(&self, id: &InstanceId) -> bool {
        self.0.eq_ignore_ascii_case(id.as_str())
    }

    /// Whether the instance may be found by polling this target. What is in a project only its list
    /// tells.
    pub fn may_be_of(&self, target: &Target) -> bool {
        let is_it = |it: &Instance| self.names(&it.id, it.label()) || self.spells(&it.id);
        target.instance.as_ref().is_none_or(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::tests::read;

    #[test]
    fn only_targets_that_may_hold_the_instance_are_polled() {
        let targets = read(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    \
             rds: { endpoint: https://rds.example, instances: [{ id: abc, name: orders }, { id: b }] }\n    \
             ddm: { endpoint: https://ddm.example }\n",
        );
        let of = |word: &str| -> Vec<String> {
            let wanted = Wanted::new(word);
            let may_be = targets.iter().filter(|target| wanted.may_be_of(target));
            may_be.map(ToString::to_string).collect()
        };
        for word in ["orders", "abc", "ABC"] {
            assert_eq!(of(word), ["shop/rds/orders", "shop/ddm"], "{word}");
        }
        assert_eq!(of("b"), ["shop/rds/b", "shop/ddm"]);
        assert_eq!(of("Orders"), ["shop/ddm"], "a name is as it is written");
    }
}
