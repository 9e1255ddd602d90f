//! The config as it is written: one struct per block, options and texts. Knows no rule.
//!
//! The doc comments are the descriptions of the JSON Schema. Unknown keys are let through here and
//! collected by the reader, so that all of them are told at once.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::schema::{block, value};
use crate::product::{self, Product};

/// The config of clouddb-backup-exporter.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(title = "clouddb-backup-exporter config")]
pub(super) struct Config {
    /// How the backup lists are polled. Default: as below.
    pub(super) poll: Option<Poll>,
    /// How to sign in, by a name of your choice.
    #[schemars(required, extend("minProperties" = 1))]
    pub(super) credentials: Option<BTreeMap<String, Credential>>,
    /// What is polled. At least one project.
    #[schemars(required, length(min = 1), extend("uniqueItems" = true))]
    pub(super) projects: Option<Vec<Project>>,
}

/// How the backup lists are polled.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct Poll {
    /// Every target is polled once per interval. At least 1s; from 30s on without a finding.
    #[schemars(extend("default" = "5m"), transform = value::interval)]
    pub(super) interval: Option<String>,
    /// The longest that one request takes, connecting included. At least 1s.
    #[schemars(extend("default" = "30s"), transform = value::interval)]
    pub(super) request_timeout: Option<String>,
    /// Requests in flight per project. From 1 to 64.
    #[schemars(range(min = 1, max = 64), extend("default" = 4))]
    pub(super) concurrency: Option<u64>,
    /// How often the lists are compared with each other, which is not needed in each poll: what the
    /// list without a type holds. At least 1s.
    #[schemars(extend("default" = "24h"), transform = value::interval)]
    pub(super) full_walk_interval: Option<String>,
    /// How far back incremental backups are counted; `all` for everything.
    #[schemars(extend("default" = "24h"), transform = value::lookback)]
    pub(super) incremental_lookback: Option<String>,
}

/// How to sign in: a user and password, an access key and a secret key, an entry of a `clouds.yaml`,
/// or what the environment says. Each secret is given in one of three ways: in place, in a file, in
/// an environment variable.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(transform = block::credential)]
pub(super) struct Credential {
    /// The Keystone v3 endpoint of IAM, with or without `/v3`. Needed with a password, and to look
    /// up project ids. Default: that of the `cloud` and `region` of the projects that use it.
    #[schemars(transform = value::identity)]
    pub(super) auth_url: Option<String>,
    /// The name of the IAM user. Needed with a password.
    #[schemars(transform = value::text)]
    pub(super) username: Option<String>,
    /// The name of the domain (account) that the user belongs to. Needed with a password.
    #[schemars(transform = value::text)]
    pub(super) user_domain_name: Option<String>,
    /// The password.
    #[schemars(with = "Option<String>", transform = value::secret)]
    pub(super) password: Option<SecretString>,
    /// The file of the password.
    #[schemars(transform = value::path)]
    pub(super) password_file: Option<String>,
    /// The environment variable of the password.
    #[schemars(transform = value::variable)]
    pub(super) password_env: Option<String>,
    /// The access key.
    #[schemars(with = "Option<String>", transform = value::key)]
    pub(super) access_key: Option<SecretString>,
    /// The file of the access key.
    #[schemars(transform = value::path)]
    pub(super) access_key_file: Option<String>,
    /// The environment variable of the access key.
    #[schemars(transform = value::variable)]
    pub(super) access_key_env: Option<String>,
    /// The secret key.
    #[schemars(with = "Option<String>", transform = value::key)]
    pub(super) secret_key: Option<SecretString>,
    /// The file of the secret key.
    #[schemars(transform = value::path)]
    pub(super) secret_key_file: Option<String>,
    /// The environment variable of the secret key.
    #[schemars(transform = value::variable)]
    pub(super) secret_key_env: Option<String>,
    /// The security token of temporary keys.
    #[schemars(with = "Option<String>", transform = value::key)]
    pub(super) security_token: Option<SecretString>,
    /// The file of the security token.
    #[schemars(transform = value::path)]
    pub(super) security_token_file: Option<String>,
    /// The environment variable of the security token.
    #[schemars(transform = value::variable)]
    pub(super) security_token_env: Option<String>,
    /// The name of an entry of `clouds.yaml`, which says how to sign in. Beside it there is room for
    /// `requests_per_second`, `ca_file` and `insecure_http` only.
    #[schemars(transform = value::text)]
    pub(super) cloud: Option<String>,
    /// Whether the `OS_…` variables of the environment say how to sign in. If so, there is room for the
    /// same three only.
    #[schemars(extend("default" = false))]
    pub(super) from_env: Option<bool>,
    /// Requests per second of everything that uses this credential, from 0.001 to 10000; decimals
    /// are allowed.
    #[schemars(range(min = 0.001, max = 10_000), extend("default" = 1))]
    pub(super) requests_per_second: Option<f64>,
    /// A PEM file of certificates that are trusted besides the public ones.
    #[schemars(transform = value::path)]
    pub(super) ca_file: Option<String>,
    /// Whether http without TLS is allowed beyond loopback.
    #[schemars(extend("default" = false))]
    pub(super) insecure_http: Option<bool>,
}

/// One project of the cloud: one key per product besides its own.
#[derive(Debug, Default, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those of the file")]
#[schemars(transform = block::project)]
pub(super) struct Project {
    /// The value of the label `project`. Unique.
    #[schemars(required, transform = value::text)]
    pub(super) name: Option<String>,
    /// The id of the project at the cloud. Default: that of its credential, else the id of the one
    /// project of that name: the name that its credential says, `name`, or `region`.
    #[schemars(transform = value::id)]
    pub(super) project_id: Option<String>,
    /// The name of its credential.
    #[schemars(required, transform = value::word)]
    pub(super) credentials: Option<String>,
    /// The cloud, `otc` or `huaweicloud`. With `region` it fills in `endpoint` and `auth_url`.
    #[schemars(transform = value::cloud)]
    pub(super) cloud: Option<String>,
    /// The region, such as `eu-de`.
    #[schemars(transform = value::word)]
    pub(super) region: Option<String>,
    /// Labels of its instances, for `clouddb_instance_labels`.
    #[schemars(transform = value::labels)]
    pub(super) labels: Option<BTreeMap<String, String>>,
    /// How this project is polled, where that differs. Default: as all projects.
    pub(super) poll: Option<ProjectPoll>,
    #[schemars(skip)]
    pub(super) products: Vec<(&'static Product, ProductBlock)>,
}

/// How one project is polled.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct ProjectPoll {
    /// Every target of the project is polled once per interval. Default: that of all projects.
    #[schemars(transform = value::interval)]
    pub(super) interval: Option<String>,
}

/// One product in a project.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct ProductBlock {
    /// The origin of its API, such as `https://rds.eu-de.otc.t-systems.com` for `rds`. Default: that of `cloud`
    /// and `region`.
    #[schemars(transform = value::origin)]
    pub(super) endpoint: Option<String>,
    /// Freshness objective per backup type: how old the last success may become; `off` takes a default
    /// away.
    pub(super) max_age: Option<BTreeMap<String, String>>,
    /// The instances whose backups are listed.
    #[schemars(extend("uniqueItems" = true))]
    pub(super) instances: Option<Vec<Instance>>,
    /// Whether the instance list of the project is read, and every instance on it is monitored.
    pub(super) discover: Option<bool>,
    /// Whether the instance list of the project is read, only to show instances that nobody
    /// monitors.
    #[schemars(extend("default" = false))]
    pub(super) audit: Option<bool>,
    /// Instances of the instance list that are left alone: ids, or names, with `*` and `?`.
    #[schemars(transform = value::texts)]
    pub(super) exclude: Option<Vec<String>>,
    /// How often the instance list is read. At least 1s.
    #[schemars(extend("default" = "10m"), transform = value::interval)]
    pub(super) discovery_interval: Option<String>,
    /// Whether the automated backup policy of each instance is read, for its objective. Default:
    /// with `discover`.
    pub(super) policy: Option<bool>,
    /// Whether it is read what each instance can be restored to.
    #[schemars(extend("default" = false))]
    pub(super) restore_window: Option<bool>,
    /// How often is read what each instance can be restored to. At least 1s.
    #[schemars(extend("default" = "15m"), transform = value::interval)]
    pub(super) restore_window_interval: Option<String>,
}

/// One instance.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct Instance {
    /// The id of the instance at the cloud.
    #[schemars(required, transform = value::id)]
    pub(super) id: Option<String>,
    /// The value of the label `instance_name`. Default: the id.
    #[schemars(transform = value::text)]
    pub(super) name: Option<String>,
    /// Freshness objective per backup type, over that of the product; `off` takes one away.
    pub(super) max_age: Option<BTreeMap<String, String>>,
    /// Labels, over those of the project.
    #[schemars(transform = value::labels)]
    pub(super) labels: Option<BTreeMap<String, String>>,
}

impl<'de> Deserialize<'de> for Project {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ProjectVisitor)
    }
}

struct ProjectVisitor;

impl<'de> Visitor<'de> for ProjectVisitor {
    type Value = Project;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Project, A::Error> {
        let mut project = Project::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => project.name = map.next_value()?,
                "project_id" => project.project_id = map.next_value()?,
                "credentials" => project.credentials = map.next_value()?,
                "cloud" => project.cloud = map.next_value()?,
                "region" => project.region = map.next_value()?,
                "labels" => project.labels = map.next_value()?,
                "poll" => project.poll = map.next_value()?,
                other => match product::by_name(other) {
                    Some(product) => {
                        let block = map.next_value::<Option<ProductBlock>>()?;
                        project.products.push((product, block.unwrap_or_default()));
                    }
                    None => {
                        map.next_value::<IgnoredAny>()?;
                    }
                },
            }
        }
        Ok(project)
    }
}
