//! Config turned into the list of things to ask: one target is what one poll covers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use sha2::{Digest, Sha256};

use crate::backup::{BackupType, InstanceId};
use crate::config::{Config, Credential, ProductConfig, Project};
use crate::product::{Product, Scope};

/// An instance of a product that lists by instance, or all instances of a project.
#[derive(Debug)]
pub struct Target {
    /// The value of the label `project`.
    pub project: Box<str>,
    /// The cloud's id of the project.
    pub project_id: Box<str>,
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
    /// The freshness objective of each type that is expected.
    pub max_age: BTreeMap<BackupType, Duration>,
    /// The labels of the config.
    pub labels: BTreeMap<String, String>,
}

/// The instance of a target.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its name in the config.
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

    /// Whether it is the same target, whatever its settings.
    pub fn is_same(&self, other: &Self) -> bool {
        self.project == other.project
            && self.project_id == other.project_id
            && self.product == other.product
            && self.endpoint == other.endpoint
            && self.instance_id() == other.instance_id()
    }

    /// A number that is the same for the same target in every process: its place in the schedule.
    pub fn stable_hash(&self) -> u64 {
        let mut hash = Sha256::new();
        for part in [
            &*self.project,
            &*self.project_id,
            self.product.name,
            self.endpoint.as_str(),
            self.instance_id(),
        ] {
            hash.update(part);
            hash.update([0]);
        }
        let digest = hash.finalize();
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
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

/// Everything that the config asks to be polled, in its order.
pub fn targets(config: &Config) -> Vec<Arc<Target>> {
    let mut targets = Vec::new();
    for project in &config.projects {
        for product in &project.products {
            match product.product.scope {
                Scope::Instance => {
                    targets.extend(product.instances.iter().map(|instance| {
                        Arc::new(Target {
                            instance: Some(Instance {
                                id: instance.id.clone(),
                                name: instance.name.as_deref().map(Into::into),
                            }),
                            max_age: instance.max_age.clone(),
                            labels: instance.labels.clone(),
                            ..whole(project, product)
                        })
                    }));
                }
                Scope::Project => targets.push(Arc::new(whole(project, product))),
            }
        }
    }
    targets
}

fn whole(project: &Project, product: &ProductConfig) -> Target {
    Target {
        project: project.name.as_str().into(),
        project_id: project.project_id.as_str().into(),
        product: product.product,
        endpoint: product.endpoint.url().clone(),
        credential: Arc::clone(&project.credential),
        instance: None,
        interval: project.interval,
        max_age: product.max_age.clone(),
        labels: project.labels.clone(),
    }
}
