//! What `PROJECT[/INSTANCE]` means, and what of a round is about it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::app::round::Round;
use crate::app::wanted::Wanted;
use crate::backup::InstanceId;
use crate::config::{Config, ProductConfig, Project};
use crate::error::one_line;
use crate::estate::Estate;
use crate::instance::ListedInstance;
use crate::snapshot::{Shown, TargetState};

/// What is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// Of the config what has to do with it: one project.
    pub(super) config: Config,
    /// The instance; none for all of the project.
    pub(super) wanted: Option<Wanted>,
}

/// Why nothing is meant, or not one thing.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum AskedError {
    /// It may be read in several ways.
    #[error("{} may be {}; write the id or the name that tells them apart", quoted(word), meanings.join(", or "))]
    Ambiguous { word: String, meanings: Vec<String> },
    /// There is no such instance.
    #[error("{project} has no instance {}{}", quoted(word), there_is(word, there))]
    NoInstance { project: String, word: String, there: BTreeSet<String> },
    /// There is no such project.
    #[error("no project of the config is named {}{}", quoted(word), there_is(word, there))]
    NoProject { word: String, there: BTreeSet<String> },
}

impl Asked {
    /// What a word means to a config. Names may have a `/` in them, so every one may be the one that
    /// parts the project from the instance.
    pub(super) fn read(word: &str, config: &Config) -> Result<Self, AskedError> {
        let mut meanings: Vec<(&Project, Option<&str>)> = Vec::new();
        for project in &config.projects {
            for key in [Some(&*project.name), project.project_id.known()].into_iter().flatten() {
                let instance = match word.strip_prefix(key) {
                    Some("") => None,
                    Some(rest) => match rest.strip_prefix('/') {
                        Some(instance) if !instance.is_empty() => Some(instance),
                        _ => continue,
                    },
                    None => continue,
                };
                let meaning = (project, instance);
                let is_new = |it: &(&Project, _)| it.0.name != project.name || it.1 != instance;
                if meanings.iter().all(is_new) {
                    meanings.push(meaning);
                }
            }
        }
        match meanings[..] {
            [(project, instance)] => Ok(Self::of(config, project, instance)),
            [] => Err(AskedError::NoProject {
                word: word.to_owned(),
                there: config.projects.iter().map(|project| project.name.clone()).collect(),
            }),
            _ => {
                let told = |(project, instance): &(&Project, Option<&str>)| match instance {
                    Some(it) => {
                        format!(
                            "the instance {} of the project {}",
                            quoted(it),
                            quoted(&project.name)
                        )
                    }
                    None => format!("the project {}", quoted(&project.name)),
                };
                let meanings = meanings.iter().map(told).collect();
                Err(AskedError::Ambiguous { word: word.to_owned(), meanings })
            }
        }
    }

    fn of(config: &Config, project: &Project, instance: Option<&str>) -> Self {
        let wanted = instance.map(Wanted::new);
        let mut project = project.clone();
        // An id that the config has is no other product's.
        if let Some(wanted) = &wanted
            && project.products.iter().any(|product| has(product, wanted))
        {
            project.products.retain(|product| has(product, wanted));
        }
        let credentials = config.credentials.iter();
        let credentials = credentials.filter(|it| it.name == project.credential.name);
        let config = Config {
            credentials: credentials.cloned().collect(),
            projects: vec![project],
            ..config.clone()
        };
        Self { config, wanted }
    }

    /// What of a round is about it.
    pub(super) fn subjects<'a>(&self, round: &'a Round) -> Vec<Subject<'a>> {
        let snapshot = &round.snapshot;
        let states = snapshot.targets.iter();
        let shown = states.flat_map(|state| state.shown()).map(Subject::Watched);
        let lists = snapshot.estates.iter();
        let Some(wanted) = &self.wanted else {
            let unmonitored = lists.flat_map(|estate| {
                estate.unmonitored().map(move |it| Subject::Left(estate, it, Left::Unmonitored))
            });
            return shown.chain(unmonitored).collect();
        };
        let mut all: Vec<Subject<'a>> = shown.collect();
        let watched: BTreeSet<String> = all.iter().map(Subject::key).collect();
        let left = lists.flat_map(|estate| {
            let known = estate.instances().map(|known| &known.listed);
            known.map(move |it| Subject::Left(estate, it, Left::of(estate, it)))
        });
        all.extend(left.filter(|it| !watched.contains(&it.key())));
        let is_named = |it: &&Subject<'_>| wanted.names(it.id(), it.name());
        if all.iter().any(|it| is_named(&it)) {
            return all.into_iter().filter(|it| is_named(&it)).collect();
        }
        let spelled: Vec<Subject<'a>> =
            all.into_iter().filter(|it| wanted.spells(it.id())).collect();
        // If more than one id differs in nothing else, none is meant.
        let ids: BTreeSet<&str> = spelled.iter().map(|it| it.id().as_str()).collect();
        if ids.len() > 1 { Vec::new() } else { spelled }
    }

    /// What to say if nothing is about it, though everything was read.
    pub(super) fn nothing(&self, round: &Round) -> Option<AskedError> {
        let (project, wanted) = (self.config.projects.first()?, self.wanted.as_ref()?);
        let listed = round.snapshot.estates.iter().flat_map(|estate| estate.instances());
        let listed = listed.map(|known| {
            known.listed.name.as_deref().unwrap_or(known.listed.id.as_str()).to_owned()
        });
        let read = round.snapshot.targets.iter().flat_map(|state| state.shown());
        let read = read.map(|shown| shown.name.to_owned());
        let configured = project.products.iter().flat_map(|product| &product.instances);
        let configured =
            configured.map(|it| it.name.as_deref().unwrap_or(it.id.as_str()).to_owned());
        Some(AskedError::NoInstance {
            project: quoted(&project.name),
            word: wanted.as_str().to_owned(),
            there: listed.chain(read).chain(configured).collect(),
        })
    }
}

/// Whether the config names an instance of the product by this id.
fn has(product: &ProductConfig, wanted: &Wanted) -> bool {
    product.instances.iter().any(|it| wanted.spells(&it.id))
}

/// An instance that is meant.
#[derive(Debug)]
pub(super) enum Subject<'a> {
    /// Its backups are watched.
    Watched(Shown<'a>),
    /// It is on the list of the cloud, and its backups are not watched.
    Left(&'a Arc<Estate>, &'a ListedInstance, Left),
}

/// Why the backups of an instance are not watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Left {
    Excluded,
    Replica,
    Unmonitored,
}

impl Left {
    fn of(estate: &Estate, listed: &ListedInstance) -> Self {
        if listed.is_replica {
            Self::Replica
        } else if estate.excludes(&listed.id, listed.name.as_deref()) {
            Self::Excluded
        } else {
            Self::Unmonitored
        }
    }

    /// A sentence without a full stop.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Excluded => "the config leaves it out (`exclude`)",
            Self::Replica => "it is a read replica, of which the cloud makes no backups",
            Self::Unmonitored => "the config neither names it nor discovers it",
        }
    }
}

impl Subject<'_> {
    pub(super) fn id(&self) -> &InstanceId {
        match self {
            Self::Watched(shown) => shown.id,
            Self::Left(_, listed, _) => &listed.id,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Watched(shown) => shown.name,
            Self::Left(_, listed, _) => listed.name.as_deref().unwrap_or(listed.id.as_str()),
        }
    }

    /// `shop-prod/rds/orders`, on one line: names are foreign text.
    pub(super) fn place(&self) -> String {
        one_line(&format!("{}/{}", self.list(), self.name()))
    }

    /// `shop-prod/rds`.
    fn list(&self) -> String {
        let (project, product) = match self {
            Self::Watched(Shown { state, .. }) => (&state.target.project, state.target.product),
            Self::Left(estate, ..) => (&estate.census.project, estate.census.product),
        };
        format!("{project}/{}", product.name)
    }

    /// What no other instance has.
    fn key(&self) -> String {
        format!("{}/{}", self.list(), self.id())
    }

    /// The target that it was read with.
    pub(super) fn state(&self) -> Option<&TargetState> {
        match self {
            Self::Watched(shown) => Some(shown.state),
            Self::Left(..) => None,
        }
    }
}

fn quoted(word: &str) -> String {
    format!("`{}`", one_line(word))
}

/// So many are told of what there is.
const NEAREST: usize = 5;

/// What there is instead, the nearest first.
fn there_is(word: &str, there: &BTreeSet<String>) -> String {
    let word = word.to_lowercase();
    let mut nearest: Vec<(usize, &String)> = there
        .iter()
        .map(|it| (strsim::damerau_levenshtein(&word, &it.to_lowercase()), it))
        .collect();
    nearest.sort_unstable();
    let told: Vec<String> = nearest.iter().take(NEAREST).map(|(_, it)| quoted(it)).collect();
    let more = match nearest.len().saturating_sub(NEAREST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    if told.is_empty() {
        "; it has none".to_owned()
    } else {
        format!("; there are {}{more}", told.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::tests;

    fn config(names: &[(&str, &str)]) -> Config {
        let project = |(name, id): &(&str, &str)| {
            format!(
                "  - name: \"{name}\"\n    project_id: {id}\n    credentials: main\n    \
                 rds: {{ endpoint: https://rds.example, instances: [{{ id: ABC, name: orders }}] }}\n    \
                 ddm: {{ endpoint: https://ddm.example }}\n"
            )
        };
        tests::config(&names.iter().map(project).collect::<String>())
    }

    /// The project and the instance that are meant.
    fn meant(word: &str, config: &Config) -> Result<(String, String), String> {
        let Asked { config, wanted } =
            Asked::read(word, config).map_err(|error| error.to_string())?;
        let wanted = wanted.map(|it| it.as_str().to_owned()).unwrap_or_default();
        Ok((config.projects[0].name.clone(), wanted))
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what may be none")]
    fn is(project: &str, instance: &str) -> Result<(String, String), String> {
        Ok((project.to_owned(), instance.to_owned()))
    }

    #[test]
    fn a_project_is_meant_by_name_or_id_and_what_is_behind_it_is_the_instance() {
        let config = config(&[("shop", "p1"), ("a/b", "p2")]);
        for (word, project, instance) in [
            ("shop", "shop", ""),
            ("p1", "shop", ""),
            ("shop/orders", "shop", "orders"),
            ("p1/orders", "shop", "orders"),
            ("shop/with/slash", "shop", "with/slash"),
            ("a/b", "a/b", ""),
            ("a/b/c/d", "a/b", "c/d"),
            ("p2/c", "a/b", "c"),
        ] {
            assert_eq!(meant(word, &config), is(project, instance), "{word}");
        }
    }

    #[test]
    fn what_names_no_project_is_told_with_the_nearest_that_there_are() {
        let config = config(&[("shop-prod", "p1"), ("pay", "p2"), ("shop-test", "p3")]);
        for word in ["shop-prd", "", "/", "shop-prod/", "Shop-prod", "orders", "shop-prodx/y"] {
            let told = meant(word, &config).unwrap_err();
            assert!(
                told.starts_with(&format!("no project of the config is named `{word}`")),
                "{told}"
            );
        }
        assert_eq!(
            meant("shop-prd", &config).unwrap_err(),
            "no project of the config is named `shop-prd`; there are `shop-prod`, `shop-test`, `pay`"
        );
        let many: Vec<String> = (10..20).map(|at| format!("p{at}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|it| (&**it, &**it)).collect();
        let told = meant("p15/x\ny", &self::config(&many)).map(|it| it.1);
        assert_eq!(told, Ok("x\ny".to_owned()));
        let told = meant("x\ny", &self::config(&many)).unwrap_err();
        assert!(told.ends_with("and 5 more") && !told.contains('\n'), "{told}");
    }

    #[test]
    fn what_may_be_read_in_several_ways_is_told_with_all_of_them() {
        let config = config(&[("a", "p1"), ("a/b", "p2"), ("other", "p2")]);
        assert_eq!(
            meant("a/b/c", &config).unwrap_err(),
            "`a/b/c` may be the instance `b/c` of the project `a`, or the instance `c` of the \
             project `a/b`; write the id or the name that tells them apart"
        );
        assert!(meant("a/b", &config).unwrap_err().contains("or the project `a/b`"));
        // Two projects of the config at one project of the cloud.
        assert!(meant("p2/c", &config).unwrap_err().contains("of the project `other`"));
        assert_eq!(meant("p1/b/c", &config), is("a", "b/c"));
    }

    #[test]
    fn of_the_config_is_left_what_may_hold_the_instance() {
        let config = config(&[("shop", "p1"), ("pay", "p2")]);
        let lists = |word: &str| {
            let Asked { config, .. } = Asked::read(word, &config).unwrap();
            assert_eq!(config.projects.len(), 1);
            config.projects[0].products.len()
        };
        assert_eq!(lists("shop"), 2);
        assert_eq!(lists("shop/orders"), 2, "the other product may have one of this name too");
        for id in ["ABC", "abc"] {
            assert_eq!(lists(&format!("shop/{id}")), 1, "an id that is known");
        }
    }
}
