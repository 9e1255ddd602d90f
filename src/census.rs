//! Config turned into the instance lists to read: one for each product in a project that has one to
//! be read.

use std::collections::BTreeSet;
use std::fmt;

use reqwest::Url;
use sha2::{Digest, Sha256};

use crate::backup::InstanceId;
use crate::config::{Config, Discovery};
use crate::product::Product;

/// An instance list that is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Census {
    /// The value of the label `project`.
    pub project: Box<str>,
    /// The cloud's id of the project.
    pub project_id: Box<str>,
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
        stable_hash([project, project_id, product.name, endpoint.as_str(), "instances"])
    }
}

/// A number that is the same for the same parts in every process and version.
pub fn stable_hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
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
                project_id: project.project_id.as_str().into(),
                product: product.product,
                endpoint: product.endpoint.url().clone(),
                discovery: discovery.clone(),
                configured: product.instances.iter().map(|it| it.id.clone()).collect(),
            });
        }
    }
    censuses
}
