//! The rules of a project, its products and its instances.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::draft::Draft;
use super::endpoint::{self, Endpoint};
use super::file;
use super::place::{self, Id, Site};
use super::position::{child, item};
use super::problem::{listed, quoted};
use super::report::Report;
use super::{Credential, CredentialKind, Instance, ProductConfig, Project, ProjectId};
use super::{discovery, duration, interval, label, schema};
use crate::backup::InstanceId;
use crate::objective::{Objective, Objectives, Origin};
use crate::product::{self, Product, Scope};

/// What was found good of the other blocks.
pub(super) struct Usable<'a> {
    /// Those without a fault.
    pub(super) credentials: &'a [Arc<Credential>],
    /// Those of all credentials.
    pub(super) drafts: &'a [Draft],
    /// Those of all projects, in their order.
    pub(super) sites: &'a [Site],
}

/// Checks all projects, and that each credential is used. `shared` is the interval of projects that have none of their own, unless it is wrong.
pub(super) fn check_all(
    written: &file::Config,
    usable: &Usable<'_>,
    shared: Option<Duration>,
    report: &mut Report,
) -> Option<Vec<Project>> {
    let projects = written.projects.as_deref().unwrap_or_default();
    if projects.is_empty() {
        report.error("projects", "at least one project is needed");
        return None;
    }
    let known = written.credentials.as_ref();
    let mut names = BTreeMap::new();
    let mut used = BTreeSet::new();
    let mut checked = Vec::new();
    for (at, (project, site)) in projects.iter().zip(usable.sites).enumerate() {
        let path = item("projects", at);
        used.extend(project.credentials.as_deref());
        if let Some(name) = project.name.as_deref().filter(|name| !name.is_empty()) {
            let place = child(&path, "name");
            let line = report.line(&place);
            if let Some(first) = names.get(name) {
                let message = format!(
                    "{} is the name of another project, in line {first}; names are unique",
                    quoted(name)
                );
                report.error(&place, message);
            } else {
                names.insert(name, line);
            }
        }
        let mut check = Check { written, usable, site, report };
        checked.push(check.project(&path, project, shared));
    }
    // Where a project lacks its credential, the one that is left over is probably meant.
    let is_known = |name: &str| known.is_some_and(|known| known.contains_key(name));
    let all_named =
        projects.iter().all(|project| project.credentials.as_deref().is_some_and(is_known));
    for name in known.into_iter().flat_map(BTreeMap::keys) {
        if all_named && !used.contains(name.as_str()) {
            report.finding_at_key(
                &child("credentials", name),
                "no project uses it; remove it, or name it in a project",
            );
        }
    }
    checked.into_iter().collect()
}

struct Check<'a> {
    written: &'a file::Config,
    usable: &'a Usable<'a>,
    /// Of the project under check.
    site: &'a Site,
    report: &'a mut Report,
}

impl Check<'_> {
    fn project(
        &mut self,
        path: &str,
        written: &file::Project,
        shared: Option<Duration>,
    ) -> Option<Project> {
        let name = match written.name.as_deref() {
            Some("") => self.error(path, "name", "a project name cannot be empty"),
            Some(name) => Some(name.to_owned()),
            None => self.error(path, "name", "is missing; it is the value of the label `project`"),
        };
        let credential = self.credential(path, written.credentials.as_deref());
        let project_id = self.project_id(path, written, credential.as_deref());
        // Whether http is allowed hangs on the credential; with a wrong one, nothing is said of it.
        let block = written.credentials.as_ref();
        let block = block.and_then(|name| self.written.credentials.as_ref()?.get(name));
        let insecure_http = block.is_none_or(|block| block.insecure_http.unwrap_or_default());
        let interval = match written.poll.as_ref().and_then(|poll| poll.interval.as_deref()) {
            Some(text) => interval(&child(path, "poll.interval"), text, self.report),
            None => shared,
        };
        let labels = label::check(&child(path, "labels"), written.labels.as_ref(), self.report);
        if written.products.is_empty() {
            let names = product::ALL.map(|product| product.name);
            let message = format!("needs a block of a product: {}", listed(names, "or"));
            self.report.error_at_key(path, message);
        }
        let mut products = Vec::new();
        for product in product::ALL {
            let blocks = written.products.iter().filter(|(named, _)| *named == product);
            for (product, block) in blocks {
                let path = child(path, product.name);
                products.push(self.product(&path, product, block, insecure_http, &labels));
            }
        }
        let products: Option<Vec<_>> = products.into_iter().collect();
        Some(Project {
            name: name?,
            project_id: project_id?,
            credential: credential?,
            interval: interval?,
            labels,
            products: products?,
        })
    }

    /// None as well if the credential is there and something is wrong inside it.
    fn credential(&mut self, path: &str, name: Option<&str>) -> Option<Arc<Credential>> {
        let known: Vec<&str> =
            self.written.credentials.iter().flat_map(BTreeMap::keys).map(String::as_str).collect();
        let Some(name) = name else {
            let message = "is missing; write the name of a block of `credentials`";
            return self.error(path, "credentials", message);
        };
        if !known.contains(&name) {
            let instead = match schema::nearest(name, known.iter().copied()) {
                Some(nearest) => format!("did you mean {}?", quoted(nearest)),
                None if known.is_empty() => "add a block `credentials`".to_owned(),
                None => format!("there is {}", listed(known, "and")),
            };
            let message = format!("there is no credential {}; {instead}", quoted(name));
            return self.error(path, "credentials", message);
        }
        let mut usable = self.usable.credentials.iter();
        usable.find(|usable| usable.name == name).cloned()
    }

    /// The id, and where to look it up if it is not known.
    fn project_id(
        &mut self,
        path: &str,
        written: &file::Project,
        credential: Option<&Credential>,
    ) -> Option<ProjectId> {
        let names = match self.site.project_id.as_ref()? {
            Id::Known(id) => return Some(ProjectId::Known(id.clone())),
            Id::Named(names) => names.clone(),
        };
        let of_place = || self.site.place.and_then(|place| place.iam());
        let auth_url = match &credential?.kind {
            CredentialKind::Password { auth_url, .. } => Some(auth_url.clone()),
            CredentialKind::Keys { .. } => {
                let name = written.credentials.as_deref();
                let mut drafts = self.usable.drafts.iter();
                let draft = drafts.find(|draft| Some(draft.name.as_str()) == name);
                let own = draft.and_then(|draft| draft.auth_url.clone()?.ok());
                own.or_else(of_place)
            }
        };
        match auth_url {
            Some(auth_url) => Some(ProjectId::LookedUp { auth_url, names }),
            None if self.site.is_told => None,
            None => {
                let message = "is missing, and nothing says where IAM is, to look it up; write the \
                               id, or `cloud` and `region`, or `auth_url` in the credential";
                self.error(path, "project_id", message)
            }
        }
    }

    /// The endpoint that is written, else the one of the project's place. None if there is none or
    /// it is wrong, which was told.
    fn endpoint(
        &mut self,
        path: &str,
        product: &'static Product,
        written: Option<&str>,
        insecure_http: bool,
    ) -> Option<Endpoint> {
        let example = format!("write such as `https://{}.eu-de.otc.t-systems.com`", product.name);
        let message = match (written, self.site.place) {
            (Some(text), _) => match endpoint::origin(text, insecure_http) {
                Ok(endpoint) => return Some(endpoint),
                Err(error) => format!("{error}; {example}"),
            },
            (None, Some(place)) => {
                let endpoint = place.origin(product)?;
                if place.lacks(product) {
                    let message = format!(
                        "the endpoints of {} have no {} in {}; `{endpoint}` is tried all the same; \
                         remove the block, or write its `endpoint`",
                        quoted(place.cloud.name),
                        quoted(product.name),
                        quoted(place.region)
                    );
                    self.report.finding_at_key(path, message);
                }
                return Some(endpoint);
            }
            (None, None) if self.site.is_told => return None,
            (None, None) => {
                format!("is missing; {example}, or `cloud` and `region` in the project")
            }
        };
        self.error(path, "endpoint", message)
    }

    fn product(
        &mut self,
        path: &str,
        product: &'static Product,
        written: &file::ProductBlock,
        insecure_http: bool,
        labels: &BTreeMap<String, String>,
    ) -> Option<ProductConfig> {
        let endpoint = self.endpoint(path, product, written.endpoint.as_deref(), insecure_http);
        let defaults = product.types.iter().filter_map(|(backup_type, max_age)| {
            let max_age = Some((*max_age)?);
            Some((*backup_type, Objective { max_age, origin: Origin::Default }))
        });
        let defaults: Objectives = defaults.collect();
        let place = child(path, "max_age");
        let written_ages = written.max_age.as_ref();
        let objectives =
            self.objectives(&place, product, &defaults, (written_ages, Origin::Product));
        for (key, why) in pointless_keys(product) {
            if is_written(written, key) {
                let message = format!("{why}; remove it");
                self.report.error_at_key(&child(path, key), message);
            }
        }
        let discovery = discovery::check(path, product, written, self.report);
        let listed = written.instances.as_deref().unwrap_or_default();
        let reads_list = written.discover == Some(true) || written.audit == Some(true);
        let instances = if product.scope == Scope::Instance && listed.is_empty() && !reads_list {
            let message = "at least one instance is needed, such as `- id: …`, or `discover: true` \
                           beside it for all instances of the project, or `audit: true`";
            self.report.error(&child(path, "instances"), message);
            None
        } else {
            let defaults = objectives.as_ref().unwrap_or(&defaults);
            self.instances(&child(path, "instances"), product, listed, defaults, labels)
        };
        let has_policy = product.policy.is_some();
        let policy = written.policy.unwrap_or_else(|| written.discover.unwrap_or_default());
        let place = child(path, "restore_window_interval");
        let restore_window = match written.restore_window_interval.as_deref() {
            Some(text) => interval(&place, text, self.report),
            None => Some(RESTORE_WINDOW_INTERVAL),
        };
        let reads_restore_window = written.restore_window.unwrap_or_default();
        let is_idle = product.restore_window.is_some() && !reads_restore_window;
        if written.restore_window_interval.is_some() && is_idle {
            let message = "has no effect without `restore_window: true`";
            self.report.finding_at_key(&place, message);
        }
        Some(ProductConfig {
            product,
            endpoint: endpoint?,
            objectives: objectives?,
            instances: instances?,
            discovery: discovery.ok()?,
            policy: policy && has_policy,
            restore_window: reads_restore_window.then_some(restore_window?),
        })
    }

    fn instances(
        &mut self,
        path: &str,
        product: &Product,
        written: &[file::Instance],
        objectives: &Objectives,
        project_labels: &BTreeMap<String, String>,
    ) -> Option<Vec<Instance>> {
        let mut seen = BTreeMap::new();
        let mut checked = Vec::new();
        for (at, instance) in written.iter().enumerate() {
            let path = item(path, at);
            let place = child(&path, "id");
            let id = self.instance_id(&place, instance.id.as_deref()).map(InstanceId::new);
            if let Some(id) = &id {
                let line = self.report.line(&place);
                // An id in capitals is found in the instance list as the same one.
                let letters = id.as_str().to_ascii_lowercase();
                if let Some(first) = seen.get(&letters) {
                    let message =
                        format!("the instance is listed twice, first in line {first}; remove one");
                    self.report.error(&place, message);
                } else {
                    seen.insert(letters, line);
                }
            }
            if instance.name.as_deref() == Some("") {
                self.report.error(
                    &child(&path, "name"),
                    "an instance name cannot be empty; leave it out to use the id",
                );
            }
            let place = child(&path, "max_age");
            let written_ages = instance.max_age.as_ref();
            let objectives =
                self.objectives(&place, product, objectives, (written_ages, Origin::Instance));
            let mut labels = project_labels.clone();
            let own = label::check(&child(&path, "labels"), instance.labels.as_ref(), self.report);
            labels.extend(own);
            let name = instance.name.clone();
            checked.push(id.zip(objectives).map(|(id, objectives)| Instance {
                id,
                name,
                objectives,
                labels,
            }));
        }
        checked.into_iter().collect()
    }

    /// The objectives above, with those written here laid over them type by type.
    fn objectives(
        &mut self,
        path: &str,
        product: &Product,
        above: &Objectives,
        (written, origin): (Option<&BTreeMap<String, String>>, Origin),
    ) -> Option<Objectives> {
        let mut merged = Some(above.clone());
        for (name, text) in written.into_iter().flatten() {
            let place = child(path, name);
            let known = product.backup_type(name).filter(|known| known.name == name);
            let Some(backup_type) = known else {
                let types: Vec<_> = product.types.iter().map(|(known, _)| known.name).collect();
                let instead = match schema::nearest(name, types.iter().copied()) {
                    Some(nearest) => format!("did you mean {}?", quoted(nearest)),
                    None => format!("there is {}", listed(types, "and")),
                };
                let message =
                    format!("{} has no such backup type; {instead}", quoted(product.name));
                self.report.error_at_key(&place, message);
                merged = None;
                continue;
            };
            match (duration::parse(text), &mut merged) {
                (Ok(max_age), Some(merged)) => {
                    merged.insert(backup_type, Objective { max_age: Some(max_age), origin });
                }
                (Err(_), Some(merged)) if text == OFF => {
                    merged.insert(backup_type, Objective { max_age: None, origin });
                }
                (Err(error), _) if text != OFF => {
                    // What YAML 1.1, and so a Helm chart, makes of a bare `off`.
                    let quotes = if text == "false" { " in quotes" } else { "" };
                    self.report.error(&place, format!("{error}, or `off`{quotes}"));
                    merged = None;
                }
                _ => {}
            }
        }
        merged
    }

    fn instance_id(&mut self, path: &str, written: Option<&str>) -> Option<String> {
        let message = match written {
            None => "is missing; write the id of the instance at the cloud".to_owned(),
            Some(id) => match place::wrong_id(id) {
                None => return Some(id.to_owned()),
                Some(what) => format!("an instance id {what}"),
            },
        };
        self.report.error(path, message);
        None
    }

    fn error<T>(&mut self, path: &str, key: &str, message: impl Into<String>) -> Option<T> {
        self.report.error(&child(path, key), message);
        None
    }
}

/// The keys of a product block that mean nothing for this product, and why.
pub(super) fn pointless_keys(
    product: &Product,
) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
    let covers_project = product.scope == Scope::Project;
    let keys = [
        ("instances", covers_project, "this product lists the backups of a whole project"),
        ("audit", covers_project, "this product lists the backups of every instance anyway"),
        ("policy", product.policy.is_none(), "this product has no backup policies to read"),
        ("restore_window", product.restore_window.is_none(), NO_RESTORE_WINDOW),
        ("restore_window_interval", product.restore_window.is_none(), NO_RESTORE_WINDOW),
    ];
    keys.into_iter().filter(|(_, is_pointless, _)| *is_pointless).map(|(key, _, why)| (key, why))
}

fn is_written(block: &file::ProductBlock, key: &str) -> bool {
    match key {
        "instances" => block.instances.is_some(),
        "audit" => block.audit.is_some(),
        "policy" => block.policy.is_some(),
        "restore_window" => block.restore_window.is_some(),
        "restore_window_interval" => block.restore_window_interval.is_some(),
        _ => false,
    }
}

const NO_RESTORE_WINDOW: &str = "this product does not tell what can be restored";
const RESTORE_WINDOW_INTERVAL: Duration = Duration::from_secs(15 * 60);
const OFF: &str = "off";
