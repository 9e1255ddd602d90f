//! The rules of where a project is: its cloud and region, and whether its id is known or has to be
//! looked up.

use std::collections::BTreeMap;

use super::cloud::{self, Cloud, Place};
use super::draft::{Draft, Hints};
use super::file;
use super::position::{child, item};
use super::problem::{listed, quoted};
use super::report::Report;
use super::schema;

/// What is known of where a project is.
#[derive(Debug)]
pub(super) struct Site {
    /// What fills in addresses that are left out.
    pub(super) place: Option<Place>,
    /// Whether something is wrong with the place, which was told. Then nobody misses what it would
    /// have filled in.
    pub(super) is_told: bool,
    /// None if it is wrong, which was told.
    pub(super) project_id: Option<Id>,
}

/// The id of a project.
#[derive(Debug)]
pub(super) enum Id {
    Known(String),
    /// That of the one project of the first of these names that there is.
    Named(Vec<String>),
}

/// The sites of all projects, in their order.
pub(super) fn check_all(
    written: &file::Config,
    drafts: &[Draft],
    report: &mut Report,
) -> Vec<Site> {
    let mut taken = BTreeMap::new();
    let projects = written.projects.as_deref().unwrap_or_default();
    let sites = projects.iter().enumerate().map(|(at, project)| {
        let path = item("projects", at);
        let name = project.credentials.as_deref();
        let draft = drafts.iter().find(|draft| Some(draft.name.as_str()) == name);
        // The address of IAM is one for all who sign in with the same password.
        let others = projects.iter().enumerate().filter(|(other, _)| *other != at);
        let mut others = others.filter(|(_, other)| other.credentials == project.credentials);
        let is_placed = others.any(|(_, other)| other.cloud.is_some() && other.region.is_some());
        let mut check = Check { path, written: project, draft, is_placed, report };
        check.site(&mut taken)
    });
    sites.collect()
}

struct Check<'a, 'r> {
    path: String,
    written: &'a file::Project,
    /// None if the project names no credential that there is.
    draft: Option<&'a Draft>,
    /// Whether another project of the credential says cloud and region.
    is_placed: bool,
    report: &'r mut Report,
}

impl<'a> Check<'a, '_> {
    /// `taken` are the credentials whose own project a project before this one is, and its line.
    fn site(&mut self, taken: &mut BTreeMap<&'a str, usize>) -> Site {
        let project_id = self.project_id(taken);
        let (place, is_told) = match self.place(project_id.as_ref()) {
            Ok(place) => (place, false),
            Err(()) => (None, true),
        };
        Site { place, is_told, project_id }
    }

    fn hints(&self) -> Option<&'a Hints> {
        self.draft.and_then(|draft| draft.hints.as_ref())
    }

    fn region(&self) -> Option<&'a str> {
        let hinted = self.hints().and_then(|hints| hints.region.as_deref());
        self.written.region.as_deref().or(hinted)
    }

    /// The place, if it is said. An error was told.
    fn place(&mut self, project_id: Option<&Id>) -> Result<Option<Place>, ()> {
        let (written, region) = (self.written, self.region());
        let fills_in = self.fills_in(project_id);
        // What a credential that cannot be read would have said is not missed.
        let is_unreadable = self.draft.is_some_and(|draft| draft.hints.is_none());
        let cloud = match written.cloud.as_deref() {
            Some(name) => Some(self.cloud(name)?),
            None => self.hints().and_then(|hints| hints.cloud),
        };
        let (cloud, region) = match (cloud, region) {
            (Some(cloud), Some(region)) => (cloud, region),
            (Some(cloud), None) if written.cloud.is_some() && !is_unreadable => {
                let regions = listed(cloud.regions(), "or");
                return self.half("region", "cloud", &regions, fills_in);
            }
            (None, Some(_)) if written.region.is_some() && !is_unreadable => {
                let is_used = !matches!(project_id, Some(Id::Known(_)));
                if is_used && !fills_in {
                    return Ok(None);
                }
                let clouds = listed(cloud::ALL.map(|cloud| cloud.name), "or");
                return self.half("cloud", "region", &clouds, fills_in);
            }
            _ if is_unreadable => return Err(()),
            _ => return Ok(None),
        };
        if let Some(place) = cloud.region(region) {
            return Ok(Some(place));
        }
        let regions = cloud.regions();
        let instead = match schema::nearest(region, regions.iter().copied()) {
            Some(nearest) => format!("did you mean {}?", quoted(nearest)),
            None => format!("there is {}", listed(regions, "and")),
        };
        let message = format!("{} has no region {}; {instead}", quoted(cloud.name), quoted(region));
        let place = child(&self.path, "region");
        if fills_in {
            self.report.error(&place, message);
            return Err(());
        }
        self.report.finding(&place, format!("{message} (nothing had to be filled in from it)"));
        Ok(None)
    }

    /// Whether anything is left out that a place would fill in.
    fn fills_in(&self, project_id: Option<&Id>) -> bool {
        let lacks_endpoint = self.written.products.iter().any(|(_, it)| it.endpoint.is_none());
        let asks_iam = |draft: &Draft| {
            let looks_up = matches!(project_id, Some(Id::Named(_)));
            if draft.is_password { !self.is_placed } else { looks_up }
        };
        let lacks_address =
            self.draft.is_some_and(|draft| draft.auth_url.is_none() && asks_iam(draft));
        lacks_endpoint || lacks_address
    }

    fn cloud(&mut self, name: &str) -> Result<&'static Cloud, ()> {
        if let Some(cloud) = cloud::by_name(name) {
            return Ok(cloud);
        }
        let names = cloud::ALL.map(|cloud| cloud.name);
        let instead = match schema::nearest(name, names) {
            Some(nearest) => format!("did you mean {}?", quoted(nearest)),
            None => format!("there is {}", listed(names, "and")),
        };
        let message = format!("there is no cloud {}; {instead}", quoted(name));
        self.report.error(&child(&self.path, "cloud"), message);
        Err(())
    }

    /// Only one of `cloud` and `region` is there, the other is missing.
    fn half(
        &mut self,
        missing: &str,
        given: &str,
        valid: &str,
        fills_in: bool,
    ) -> Result<Option<Place>, ()> {
        if fills_in {
            let message = format!(
                "is missing; only with it {} fills in what is left out: write {valid}",
                quoted(given)
            );
            self.report.error(&child(&self.path, missing), message);
            return Err(());
        }
        let message = format!("is not used without {}; remove it, or add that", quoted(missing));
        self.report.finding_at_key(&child(&self.path, given), message);
        Ok(None)
    }

    fn project_id(&mut self, taken: &mut BTreeMap<&'a str, usize>) -> Option<Id> {
        let place = child(&self.path, "project_id");
        if let Some(id) = self.written.project_id.as_deref() {
            return match wrong_id(id) {
                None => Some(Id::Known(id.to_owned())),
                Some(what) => self.error(&place, format!("a project id {what}")),
            };
        }
        if self.draft.is_some_and(|draft| draft.hints.is_none()) {
            return None;
        }
        let hints = self.hints().cloned().unwrap_or_default();
        let own = hints.project_id.as_deref().or(hints.project_name.as_deref());
        if let (Some(own), Some(draft)) = (own, self.draft) {
            if let (Some(region), Some(hinted)) = (&self.written.region, &hints.region)
                && region != hinted
            {
                let message = format!(
                    "is missing; the project {} of {} is in {} and not in {}; write the id of the \
                     project that is meant",
                    quoted(own),
                    hints.source,
                    quoted(hinted),
                    quoted(region)
                );
                return self.error(&place, message);
            }
            let line = self.report.line(&self.path);
            if let Some(first) = taken.get(draft.name.as_str()) {
                let message = format!(
                    "is missing; the project {} of {} is already the one in line {first}",
                    quoted(own),
                    hints.source
                );
                return self.error(&place, message);
            }
            taken.insert(&draft.name, line);
        }
        if let Some(id) = hints.project_id {
            return match wrong_id(&id) {
                None => Some(Id::Known(id)),
                Some(what) => self.error(&place, format!("the id in {} {what}", hints.source)),
            };
        }
        let (name, region) = (self.written.name.as_deref(), self.region());
        if hints.project_name.is_none() && region.is_none() {
            let message = "is missing; write the id of the project at the cloud, or `region` to have \
                           it looked up by name";
            return self.error(&place, message);
        }
        let mut names: Vec<String> = Vec::new();
        for name in [hints.project_name.as_deref(), name, region].into_iter().flatten() {
            if !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Some(Id::Named(names))
    }

    fn error<T>(&mut self, path: &str, message: impl Into<String>) -> Option<T> {
        self.report.error(path, message);
        None
    }
}

/// What is wrong with the text of an id, if anything.
pub(super) fn wrong_id(id: &str) -> Option<&'static str> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    match id {
        "" => Some("cannot be empty"),
        id if id.bytes().all(is_good) => None,
        _ => Some("has only letters, digits, `_` and `-`"),
    }
}
