//! The freshness objective of a backup type: how old its last success may become, and who says so.
//! Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::backup::BackupType;
use crate::policy::Policy;

/// What is expected of one type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Objective {
    /// The age that the last success should not pass; none if nothing is expected.
    pub max_age: Option<Duration>,
    /// Who says so.
    pub origin: Origin,
}

/// Who says what is expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The default of the product.
    Default,
    /// The config of the instance.
    Instance,
    /// The instance's own automated backup policy.
    Policy,
    /// The config of the product in its project.
    Product,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Instance => "config of the instance",
            Self::Policy => "backup policy",
            Self::Product => "config of the product",
        })
    }
}

/// Objectives by type. A type without one is not expected.
pub type Objectives = BTreeMap<BackupType, Objective>;

/// The objectives in force: those of the config, and for the type that the cloud makes by itself,
/// unless the config speaks of it, what the instance's policy comes to. A policy that is switched
/// off takes the default away, and nothing that somebody wrote down.
pub fn in_force(
    configured: &Objectives,
    automated: BackupType,
    policy: Option<&Policy>,
) -> Objectives {
    let mut objectives = configured.clone();
    let is_open = configured.get(&automated).is_none_or(|it| it.origin == Origin::Default);
    let Some(policy) = policy.filter(|_| is_open) else { return objectives };
    // An enabled policy without a plan says nothing of the gap: the default stays.
    if !policy.is_enabled() || policy.max_age().is_some() {
        let objective = Objective { max_age: policy.max_age(), origin: Origin::Policy };
        objectives.insert(automated, objective);
    }
    objectives
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::Times;
    use crate::policy::Plan;

    const AUTO: BackupType = BackupType { name: "auto", times: Times::Job };
    const MANUAL: BackupType = BackupType { name: "manual", times: Times::Job };
    const HOUR: Duration = Duration::from_secs(3600);

    fn objectives(auto: Option<u32>, origin: Origin) -> Objectives {
        let of = |hours: Option<u32>, origin| Objective {
            max_age: hours.map(|hours| HOUR * hours),
            origin,
        };
        BTreeMap::from([(AUTO, of(auto, origin)), (MANUAL, of(Some(168), Origin::Product))])
    }

    fn weekly() -> Policy {
        Policy { retention: Some(HOUR * 240), plan: Plan::new([3], HOUR, HOUR) }
    }

    #[test]
    fn a_policy_replaces_the_default_of_the_automated_type_and_nothing_else() {
        let default = objectives(Some(26), Origin::Default);
        let weekly = in_force(&default, AUTO, Some(&weekly()));
        assert_eq!(weekly, objectives(Some(170), Origin::Policy));
        let off = in_force(&default, AUTO, Some(&Policy::default()));
        assert_eq!(off, objectives(None, Origin::Policy));
    }

    #[test]
    fn without_a_policy_or_a_plan_the_default_stays() {
        let default = objectives(Some(26), Origin::Default);
        assert_eq!(in_force(&default, AUTO, None), default);
        let planless = Policy { plan: None, ..weekly() };
        assert_eq!(in_force(&default, AUTO, Some(&planless)), default);
    }

    #[test]
    fn what_the_config_says_of_the_automated_type_stays_whatever_the_policy() {
        for origin in [Origin::Product, Origin::Instance] {
            for hours in [Some(8), None] {
                let configured = objectives(hours, origin);
                for policy in [weekly(), Policy::default()] {
                    assert_eq!(in_force(&configured, AUTO, Some(&policy)), configured);
                }
            }
        }
    }
}
