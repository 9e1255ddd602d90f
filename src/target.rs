//! Config turned into the list of things to ask: one target is what one poll covers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use crate::backup::InstanceId;
use crate::config::{self, Config, Credential, ProductConfig, Project, ProjectId};
use crate::estate::Estate;
use crate::hash;
use crate::instance::ListedInstance;
use crate::objective::Objectives;
use crate::product::{Product, Scope};

/// An instance of a product that lists by instance, or all instances of a project.
#[derive(Debug, PartialEq)]
pub struct Target {
    /// The value of the label `project`.
    pub project: Box<str>,
    /// The cloud's id of the project, or how to find it.
    pub project_id: ProjectId,
    /// Whose list is read.
    pub product: &'static Product,
    /// Where.
    pub endpoint: Url,
    /// The credential that reads it.
    pub credential: Arc<Credential>,
    /// Which instance; none for all of the project.
    pub instance: Option<Instance>,
    /// How often.
    pub interval: Duration,
    /// The freshness objectives of the config.
    pub objectives: Objectives,
    /// Whether the instance's automated backup policy is read.
    pub policy: bool,
    /// How often it is read what the instance can be restored to; none if it is not.
    pub restore_window: Option<Duration>,
    /// The labels of the config.
    pub labels: BTreeMap<String, String>,
}

/// What a target is known by: the label of its project, the project at the cloud, the product, the
/// endpoint and the id of the instance.
pub type Key<'a> = [Cow<'a, str>; 5];

/// The instance of a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its name in the config, else the one that the instance list tells.
    pub name: Option<Box<str>>,
}

impl Target {
    /// The label `instance_id` of the target's own series; empty for a project.
    pub fn instance_id(&self) -> &str {
        self.instance.as_ref().map_or("", |instance| instance.id.as_str())
    }

    /// The label `instance_name` of the target's own series; empty for a project.
    pub fn instance_name(&self) -> &str {
        self.instance.as_ref().map_or("", Instance::label)
    }

    /// What it is known by, whatever its settings.
    pub fn key(&self) -> Key<'_> {
        [
            (&*self.project).into(),
            self.project_id.key(),
            self.product.name.into(),
            self.endpoint.as_str().into(),
            self.instance_id().into(),
        ]
    }

    /// Whether it is the same target, whatever its settings.
    pub fn is_same(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// A number that is the same for the same target in every process: its place in the schedule, and
    /// who polls it.
    pub fn stable_hash(&self) -> u64 {
        hash::of_target(self.key())
    }
}

/// `shop-prod/rds/orders`, for logs and the status page.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.product.name)?;
        match &self.instance {
            Some(instance) => write!(f, "/{}", instance.label()),
            None => Ok(()),
        }
    }
}

impl Instance {
    /// The label `instance_name`: the name in the config, else the id.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(self.id.as_str())
    }
}

/// Everything that is to be polled, given what is known of the instance lists: in the order of the
/// config, and behind what it names itself what was found besides.
pub fn targets(config: &Config, estates: &[Arc<Estate>]) -> Vec<Arc<Target>> {
    let mut targets = Vec::new();
    for project in &config.projects {
        for product in &project.products {
            let estate = estates.iter().find(|estate| {
                *estate.census.project == *project.name && estate.census.product == product.product
            });
            match product.product.scope {
                Scope::Instance => {
                    let configured = product.instances.iter();
                    let configured =
                        configured.map(|it| configured_one(project, product, it, estate));
                    targets.extend(configured.map(Arc::new));
                    let found = estate.into_iter().flat_map(|estate| estate.adopted());
                    targets.extend(found.map(|it| Arc::new(found_one(project, product, it))));
                }
                Scope::Project => targets.push(Arc::new(whole(project, product))),
            }
        }
    }
    targets
}

fn configured_one(
    project: &Project,
    product: &ProductConfig,
    configured: &config::Instance,
    estate: Option<&Arc<Estate>>,
) -> Target {
    let id = estate.map_or(&configured.id, |estate| estate.spelling(&configured.id));
    let listed_name = estate.and_then(|estate| estate.name(id));
    Target {
        instance: Some(Instance {
            id: id.clone(),
            name: configured.name.as_deref().or(listed_name).map(Into::into),
        }),
        objectives: configured.objectives.clone(),
        labels: configured.labels.clone(),
        ..whole(project, product)
    }
}

fn found_one(project: &Project, product: &ProductConfig, listed: &ListedInstance) -> Target {
    Target {
        instance: Some(Instance { id: listed.id.clone(), name: listed.name.clone() }),
        ..whole(project, product)
    }
}

fn whole(project: &Project, product: &ProductConfig) -> Target {
    Target {
        project: project.name.as_str().into(),
        project_id: project.project_id.clone(),
        product: product.product,
        endpoint: product.endpoint.url().clone(),
        credential: Arc::clone(&project.credential),
        instance: None,
        interval: project.interval,
        objectives: product.objectives.clone(),
        policy: product.policy,
        restore_window: product.restore_window,
        labels: project.labels.clone(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;
    use crate::backup::BackupType;
    use crate::config::{self, Loaded};
    use crate::objective::Objective;

    /// A config with one credential, `main`, and these projects.
    pub(crate) fn config(projects: &str) -> Config {
        let text = format!(
            "poll: {{ interval: 60s }}\n\
             credentials:\n  main: {{ access_key: AK, secret_key: SK }}\n\
             projects:\n{projects}"
        );
        let loaded = Config::read(&text, Path::new("test"), &config::fetch);
        let Loaded { config, .. } = loaded.unwrap_or_else(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("the config has problems:\n{}", lines.join("\n"))
        });
        config
    }

    /// The targets of such a config, before any instance list is known.
    pub(crate) fn read(projects: &str) -> Vec<Arc<Target>> {
        targets(&config(projects), &[])
    }

    fn one() -> Target {
        let targets = read(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    \
             rds: { endpoint: https://rds.example, instances: [{ id: db, name: orders }] }\n",
        );
        let [target] = <[_; 1]>::try_from(targets).unwrap();
        Arc::into_inner(target).unwrap()
    }

    fn looked_up(names: &[&str]) -> Target {
        let names = names.iter().map(ToString::to_string).collect();
        let targets =
            read("  - { name: shop, cloud: otc, region: eu-de, credentials: main, ddm: {} }\n");
        let ProjectId::LookedUp { auth_url, .. } = targets[0].project_id.clone() else {
            panic!("a known id")
        };
        Target { project_id: ProjectId::LookedUp { auth_url, names }, ..one() }
    }

    #[test]
    fn the_hash_of_a_target_is_the_same_in_every_process_and_version() {
        // Whoever changes this moves every poll of every operator, and every target to another shard.
        assert_eq!(one().stable_hash(), 17_982_813_045_496_653_747);
    }

    #[test]
    fn each_part_of_what_a_target_is_known_by_changes_its_hash() {
        let instance = |id: &str| Some(Instance { id: InstanceId::new(id), name: None });
        let other_product = crate::product::ALL.into_iter().find(|it| **it != *one().product);
        let changed = [
            Target { project: "other".into(), ..one() },
            Target { project_id: ProjectId::Known("p2".to_owned()), ..one() },
            looked_up(&["shop"]),
            looked_up(&["shop", "eu-de"]),
            Target { product: other_product.unwrap(), ..one() },
            Target { endpoint: Url::parse("https://rds.example.org").unwrap(), ..one() },
            Target { instance: instance("other"), ..one() },
            Target { instance: None, ..one() },
            // The same letters, parted elsewhere.
            Target {
                project: "shopp".into(),
                project_id: ProjectId::Known("1".to_owned()),
                ..one()
            },
        ];
        let mut hashes: Vec<u64> = changed.iter().map(Target::stable_hash).collect();
        hashes.push(one().stable_hash());
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), changed.len() + 1);
    }

    #[test]
    fn what_is_only_shown_or_tuned_does_not_change_its_hash() {
        let labels = BTreeMap::from([("label_team".to_owned(), "blue".to_owned())]);
        let name = Some("renamed".into());
        let instance = one().instance.map(|instance| Instance { name, ..instance });
        for same in [
            Target { labels, ..one() },
            Target { instance, ..one() },
            Target { interval: Duration::from_secs(1), ..one() },
            Target { objectives: Objectives::new(), ..one() },
            Target { policy: true, restore_window: Some(Duration::from_secs(1)), ..one() },
        ] {
            assert_eq!(same.stable_hash(), one().stable_hash());
        }
    }

    #[test]
    fn a_target_has_the_settings_of_its_instance_merged_over_those_of_its_product_and_project() {
        let targets = read(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    \
             poll: { interval: 90s }\n    labels: { team: blue, tier: \"1\" }\n    \
             rds:\n      endpoint: https://rds.example\n      max_age: { manual: 7d }\n      \
             instances:\n        \
             - { id: a, name: orders, labels: { team: red }, max_age: { auto: off } }\n        \
             - { id: b }\n    \
             ddm: { endpoint: https://ddm.example, max_age: { metadata: 1h } }\n",
        );
        let of = |target: &Target| {
            let age = |(kind, it): (&BackupType, &Objective)| {
                (kind.name, it.max_age.map_or(0, |age| age.as_secs() / 3600))
            };
            let label = |(name, value): (&String, &String)| format!("{name}={value}");
            (
                target.to_string(),
                target.interval.as_secs(),
                target.objectives.iter().map(age).collect::<Vec<_>>(),
                target.labels.iter().map(label).collect::<Vec<_>>().join(" "),
            )
        };
        let of: Vec<_> = targets.iter().map(|target| of(target)).collect();
        let row = |name: &str, ages: &[(&'static str, u64)], labels: &str| {
            (name.to_owned(), 90, ages.to_vec(), labels.to_owned())
        };
        assert_eq!(
            of,
            [
                row(
                    "shop/rds/orders",
                    &[("auto", 0), ("manual", 168)],
                    "label_team=red label_tier=1"
                ),
                row("shop/rds/b", &[("auto", 26), ("manual", 168)], "label_team=blue label_tier=1"),
                row(
                    "shop/ddm",
                    &[("auto_metadata", 26), ("metadata", 1)],
                    "label_team=blue label_tier=1"
                ),
            ]
        );
        let ids: Vec<_> = targets.iter().map(|it| (it.instance_id(), it.instance_name())).collect();
        assert_eq!(ids, [("a", "orders"), ("b", "b"), ("", "")]);
    }

    fn listed(id: &str, name: Option<&str>) -> ListedInstance {
        ListedInstance {
            id: InstanceId::new(id),
            name: name.map(Into::into),
            status: None,
            engine: None,
            created: None,
            is_replica: false,
        }
    }

    #[test]
    fn found_instances_stand_behind_the_configured_ones_and_have_the_settings_of_the_product() {
        let config = config(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    labels: { team: blue }\n    \
             rds:\n      endpoint: https://rds.example\n      discover: true\n      \
             restore_window: true\n      max_age: { auto: 7h }\n      instances:\n        \
             - { id: Z, name: orders, labels: { tier: gold }, max_age: { auto: 8h } }\n        \
             - { id: y }\n        - { id: lost }\n",
        );
        let [census] = <[_; 1]>::try_from(crate::census::censuses(&config)).unwrap();
        let list = [
            listed("a", Some("found")),
            listed("b", None),
            listed("y", Some("of the list")),
            listed("z", Some("at the cloud")),
        ];
        let estate = Estate::new(Arc::new(census));
        let estate = estate.after(jiff::Timestamp::UNIX_EPOCH, Ok(list.into()));
        let targets = targets(&config, &[Arc::new(estate)]);
        let told = |target: &Arc<Target>| {
            let hours =
                target.objectives.values().next().unwrap().max_age.unwrap().as_secs() / 3600;
            let (id, name) = (target.instance_id().to_owned(), target.instance_name().to_owned());
            (id, name, hours, target.labels.len(), target.policy, target.restore_window.is_some())
        };
        let row = |id: &str, name: &str, hours: u64, labels: usize| {
            (id.to_owned(), name.to_owned(), hours, labels, true, true)
        };
        assert_eq!(
            targets.iter().map(told).collect::<Vec<_>>(),
            [
                row("z", "orders", 8, 2),
                row("y", "of the list", 7, 1),
                row("lost", "lost", 7, 1),
                row("a", "found", 7, 1),
                row("b", "b", 7, 1),
            ]
        );
    }
}
