//! Config turned into the instance lists to read: one for each product in a project that has one to
//! be read.

use std::collections::BTreeSet;
use std::fmt;

use reqwest::Url;

use crate::backup::InstanceId;
use crate::config::{Config, Discovery, ProjectId};
use crate::hash;
use crate::product::{Product, Scope};
use crate::shard::Shard;

/// An instance list that is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Census {
    /// The value of the label `project`.
    pub project: Box<str>,
    /// The cloud's id of the project, or how to find it.
    pub project_id: ProjectId,
    /// Whose list.
    pub product: &'static Product,
    /// Where.
    pub endpoint: Url,
    /// How, and what for.
    pub discovery: Discovery,
    /// The instances that the config names itself.
    pub configured: BTreeSet<InstanceId>,
}

impl Census {
    /// Whether it is about the same list, whatever its settings.
    pub fn is_same(&self, other: &Self) -> bool {
        self.project == other.project
            && self.project_id == other.project_id
            && self.product == other.product
            && self.endpoint == other.endpoint
    }

    /// A number that is the same for the same list in every process: its place in the schedule.
    pub fn stable_hash(&self) -> u64 {
        let Self { project, project_id, product, endpoint, .. } = self;
        let project_id = &project_id.key();
        hash::stable([&**project, project_id, product.name, endpoint.as_str(), "instances"])
    }

    /// Whether a shard reads it: where instances are targets all do, each to know its own, and where the
    /// project is one, its owner.
    pub fn is_read_by(&self, shard: Shard) -> bool {
        match self.product.scope {
            Scope::Instance => true,
            Scope::Project => shard.owns(self.hash_of_project()),
        }
    }

    /// The stable hash of the target that covers an instance of the list.
    pub fn hash_of_target(&self, id: &InstanceId) -> u64 {
        match self.product.scope {
            Scope::Instance => self.hash_of(id.as_str()),
            Scope::Project => self.hash_of_project(),
        }
    }

    /// The stable hash of the target that is all of the project.
    pub fn hash_of_project(&self) -> u64 {
        self.hash_of("")
    }

    fn hash_of(&self, id: &str) -> u64 {
        let Self { project, project_id, product, endpoint, .. } = self;
        hash::of_target([
            (&**project).into(),
            project_id.key(),
            product.name.into(),
            endpoint.as_str().into(),
            id.into(),
        ])
    }
}

/// `the instances of shop-prod/rds`, for logs.
impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the instances of {}/{}", self.project, self.product.name)
    }
}

/// Every instance list that the config asks to be read, in its order.
pub fn censuses(config: &Config) -> Vec<Census> {
    let mut censuses = Vec::new();
    for project in &config.projects {
        for product in &project.products {
            let Some(discovery) = &product.discovery else { continue };
            censuses.push(Census {
                project: project.name.as_str().into(),
                project_id: project.project_id.clone(),
                product: product.product,
                endpoint: product.endpoint.url().clone(),
                discovery: discovery.clone(),
                configured: product.instances.iter().map(|it| it.id.clone()).collect(),
            });
        }
    }
    censuses
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::target::tests::config;

    fn read(projects: &str) -> Vec<Census> {
        censuses(&config(projects))
    }

    fn one(keys: &str) -> Census {
        let mut read = read(&format!(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    \
             rds: {{ endpoint: https://rds.example, {keys} }}\n"
        ));
        read.remove(0)
    }

    #[test]
    fn lists_are_read_where_the_config_asks_for_it_and_of_ddm_unless_it_does_not_want_it() {
        let read = read(
            "  - name: a\n    project_id: p1\n    credentials: main\n    \
             rds: { endpoint: https://rds.example, instances: [{ id: db }] }\n    \
             ddm: { endpoint: https://ddm.example }\n  \
             - name: b\n    project_id: p2\n    credentials: main\n    \
             rds: { endpoint: https://rds.example, audit: true, discovery_interval: 1h }\n    \
             ddm: { endpoint: https://ddm.example, discover: false }\n  \
             - name: c\n    project_id: p3\n    credentials: main\n    \
             rds: { endpoint: https://rds.example, discover: true, instances: [{ id: db }] }\n",
        );
        let told = |census: &Census| {
            let Census { discovery, configured, .. } = census;
            let minutes = discovery.interval.as_secs() / 60;
            (census.to_string(), discovery.adopts, minutes, configured.len())
        };
        assert_eq!(
            read.iter().map(told).collect::<Vec<_>>(),
            [
                ("the instances of a/ddm".to_owned(), true, 10, 0),
                ("the instances of b/rds".to_owned(), false, 60, 0),
                ("the instances of c/rds".to_owned(), true, 10, 1),
            ]
        );
    }

    #[test]
    fn the_place_of_a_list_in_the_schedule_is_the_same_in_every_process_and_version() {
        // Whoever changes this moves every reading of every operator.
        assert_eq!(one("discover: true").stable_hash(), 6_574_924_569_258_021_239);
    }

    #[test]
    fn an_instance_of_the_list_has_the_hash_of_the_target_that_covers_it_however_it_is_written() {
        let projects = "  - name: shop\n    project_id: p1\n    credentials: main\n    \
             rds: { endpoint: https://rds.example, discover: true, instances: [{ id: DBin01 }] }\n    \
             ddm: { endpoint: https://ddm.example }\n";
        let (lists, targets) = (read(projects), crate::target::tests::read(projects));
        for (list, target) in lists.iter().zip(&targets) {
            let id = InstanceId::new("dbin01");
            assert_eq!(list.hash_of_target(&id), target.stable_hash(), "{target}");
        }
        assert_eq!((lists.len(), targets.len()), (2, 2));
    }

    #[test]
    fn every_shard_reads_the_list_of_instances_that_are_targets_and_one_that_of_a_project() {
        let lists = read(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    \
             rds: { endpoint: https://rds.example, discover: true }\n    \
             ddm: { endpoint: https://ddm.example }\n",
        );
        let shards = Shard::all(5).unwrap();
        let readers = |list: &Census| shards.iter().filter(|it| list.is_read_by(**it)).count();
        assert_eq!(lists.iter().map(readers).collect::<Vec<_>>(), [5, 1]);
    }

    #[test]
    fn settings_make_no_other_list_and_each_part_of_what_it_is_known_by_does() {
        let list = one("discover: true");
        let settings = "audit: true, exclude: [x], discovery_interval: 1h, instances: [{ id: db }]";
        for same in [one("audit: true"), one(settings)] {
            assert!(same.is_same(&list) && same.stable_hash() == list.stable_hash());
        }
        let other_product = crate::product::ALL.into_iter().find(|it| *it != list.product);
        for other in [
            Census { project: "other".into(), ..list.clone() },
            Census { project_id: ProjectId::Known("p2".to_owned()), ..list.clone() },
            Census { product: other_product.unwrap(), ..list.clone() },
            Census { endpoint: Url::parse("https://rds.example.org").unwrap(), ..list.clone() },
        ] {
            assert!(!other.is_same(&list) && other.stable_hash() != list.stable_hash());
        }
        assert_eq!(list.discovery.interval, Duration::from_secs(600));
    }
}
