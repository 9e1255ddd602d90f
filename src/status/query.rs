//! What of all that somebody asks for, by the parameters of a URL, and in which order.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use form_urlencoded::Serializer;

use super::{Entry, EntryType, Mark, Status};

/// What is asked for. The default is everything, problems first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Query {
    /// Words that are all to be found in project, product, type, id, name or the names of alerts, in
    /// whatever letter case.
    pub words: String,
    /// What is to be said of an instance.
    pub state: Option<Mark>,
    /// The label of its project.
    pub project: String,
    /// The name of its product.
    pub product: String,
    /// A type that it has, the only one that is shown.
    pub backup_type: String,
    /// In which order.
    pub sort: Sort,
    /// Which page, from 1.
    pub page: usize,
    /// Instances on a page.
    pub per_page: usize,
}

/// In which order instances are shown; those that are equal by project, name and id.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Sort {
    /// The worst mark first.
    #[default]
    Problem,
    /// By project, product, name and id.
    Name,
    /// The last success that is oldest first, of types that are expected; before all what has none.
    Age,
    /// The most failures since the last success first.
    Failures,
    /// The size that is farthest from its baseline first.
    Size,
}

/// Why a query cannot be answered.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// A parameter that does not exist.
    #[error("there is no parameter `{name}`; there are: {valid}")]
    Parameter {
        /// What was given.
        name: String,
        /// What could be.
        valid: String,
    },
    /// A value that a parameter does not have.
    #[error("`{name}` is not `{value}`, but one of: {valid}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// What was given.
        value: String,
        /// What could be.
        valid: String,
    },
}

impl QueryError {
    fn parameter(name: &str, valid: &[&str]) -> Self {
        Self::Parameter { name: name.to_owned(), valid: valid.join(", ") }
    }
}

/// What a query may say.
pub const PARAMETERS: [&str; 8] =
    ["q", "state", "project", "product", "type", "sort", "page", "per_page"];
/// Instances on a page, unless another number is asked for.
const PER_PAGE: usize = 50;
/// Some 3 kB each.
const MOST_PER_PAGE: usize = 1000;
/// Each is looked for in each instance.
const MOST_WORDS: usize = 16;

impl Default for Query {
    fn default() -> Self {
        Self {
            words: String::new(),
            state: None,
            project: String::new(),
            product: String::new(),
            backup_type: String::new(),
            sort: Sort::default(),
            page: 1,
            per_page: PER_PAGE,
        }
    }
}

impl Sort {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Problem, Self::Name, Self::Age, Self::Failures, Self::Size];

    /// The word by which one asks for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Name => "name",
            Self::Age => "age",
            Self::Failures => "failures",
            Self::Size => "size",
        }
    }

    fn order(self, status: &Status<'_>, one: &Entry<'_>, other: &Entry<'_>) -> Ordering {
        let by = match self {
            Self::Name => Ordering::Equal,
            Self::Problem => rank(one).cmp(&rank(other)),
            Self::Age => oldest(status, other).cmp(&oldest(status, one)),
            Self::Failures => failures(other).cmp(&failures(one)),
            Self::Size => strangest(other).total_cmp(&strangest(one)),
        };
        by.then_with(|| name(one).cmp(&name(other)))
    }
}

fn name<'a>(entry: &Entry<'a>) -> (&'a str, &'static str, &'a str, &'a str) {
    (entry.project, entry.product, entry.name, entry.id())
}

/// The worst first, and what is well last.
fn rank(entry: &Entry<'_>) -> (bool, Option<Mark>) {
    let worst = entry.marks.worst();
    (worst.is_none(), worst)
}

/// The greatest age of an expected type; of one that never succeeded it is beyond all ages.
fn oldest(status: &Status<'_>, entry: &Entry<'_>) -> Option<(bool, Option<Duration>)> {
    let expected = entry.types.iter().filter(|it| it.of.max_age().is_some());
    let ages = expected.map(|it| it.age(status.now));
    ages.map(|age| (age.is_none(), age)).max()
}

fn failures(entry: &Entry<'_>) -> Option<u64> {
    entry.types.iter().filter_map(|it| it.of.summary.failures_since_last_success).max()
}

/// How many times the size is larger, or smaller, than the baseline.
fn strangest(entry: &Entry<'_>) -> f64 {
    let strange =
        entry.types.iter().filter_map(EntryType::size_ratio).map(|ratio| ratio.ln().abs());
    strange.fold(-1.0, f64::max)
}

/// What a query finds.
#[derive(Debug)]
pub struct Selection<'s, 'a> {
    /// The only type that is shown; empty for all.
    backup_type: String,
    /// Which page this is.
    pub page: usize,
    /// The instances of the page.
    pub entries: Vec<&'s Entry<'a>>,
    /// How many there are on all pages.
    pub found: usize,
    /// How many pages there are, at least one.
    pub pages: usize,
}

impl<'a> Selection<'_, 'a> {
    /// The types of an instance that are shown.
    pub fn types<'e>(&'e self, entry: &'e Entry<'a>) -> impl Iterator<Item = &'e EntryType<'a>> {
        entry.types.iter().filter(|it| is_asked(&self.backup_type, it.of.backup_type.name))
    }
}

impl Query {
    /// Reads the query of a URL. What is not a parameter is an error, and an empty value says nothing:
    /// a form sends all of its fields.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !PARAMETERS.contains(&&*name) {
                return Err(QueryError::parameter(&name, &PARAMETERS));
            }
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            match &*name {
                "q" if value.split_whitespace().count() > MOST_WORDS => {
                    let valid = format!("up to {MOST_WORDS} words");
                    return Err(QueryError::Value { name: "q", value: "…".to_owned(), valid });
                }
                "q" => value.clone_into(&mut asked.words),
                "project" => value.clone_into(&mut asked.project),
                "product" => value.clone_into(&mut asked.product),
                "type" => value.clone_into(&mut asked.backup_type),
                "state" => asked.state = Some(one_of("state", value, &Mark::ALL, Mark::word)?),
                "sort" => asked.sort = one_of("sort", value, &Sort::ALL, Sort::word)?,
                "page" => asked.page = number("page", value, usize::MAX)?,
                _ => asked.per_page = number("per_page", value, MOST_PER_PAGE)?,
            }
        }
        Ok(asked)
    }

    /// What it finds in a status. A page behind the last one is empty.
    pub fn select<'s, 'a>(&self, status: &'s Status<'a>) -> Selection<'s, 'a> {
        let words: Vec<String> = self.words.split_whitespace().map(str::to_lowercase).collect();
        let mut entries: Vec<&Entry<'a>> =
            status.entries.iter().filter(|entry| self.finds(&words, entry)).collect();
        entries.sort_by(|one, other| self.sort.order(status, one, other));
        let found = entries.len();
        let before = (self.page - 1).saturating_mul(self.per_page);
        let entries = entries.into_iter().skip(before).take(self.per_page).collect();
        let pages = found.div_ceil(self.per_page).max(1);
        Selection { backup_type: self.backup_type.clone(), page: self.page, entries, found, pages }
    }

    fn finds(&self, words: &[String], entry: &Entry<'_>) -> bool {
        let types = || entry.types.iter().map(|it| it.of.backup_type.name);
        let has_type = self.backup_type.is_empty() || types().any(|it| it == self.backup_type);
        let is_marked = self.state.is_none_or(|mark| entry.marks.has(mark));
        let is_there =
            is_asked(&self.project, entry.project) && is_asked(&self.product, entry.product);
        if !(is_there && has_type && is_marked) {
            return false;
        }
        let told = || {
            let names = [entry.project, entry.product, entry.id(), entry.name];
            let alerts = entry.conditions.iter().map(|it| it.alert.name);
            let told: Vec<&str> = names.into_iter().chain(types()).chain(alerts).collect();
            told.join("\n").to_lowercase()
        };
        words.is_empty() || {
            let told = told();
            words.iter().all(|word| told.contains(word.as_str()))
        }
    }

    /// The same, of another page.
    #[must_use]
    pub fn at(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }
}

/// Which instance is asked for.
#[derive(Debug, Eq, PartialEq)]
pub struct Which {
    /// The label of its project.
    pub project: String,
    /// The name of its product.
    pub product: String,
    /// Its id.
    pub id: String,
}

impl Which {
    /// Reads the query of a URL.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        let (mut project, mut product, mut id) = Default::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "project" => project = value.into_owned(),
                "product" => product = value.into_owned(),
                "id" => id = value.into_owned(),
                _ => return Err(QueryError::parameter(&name, &["project", "product", "id"])),
            }
        }
        Ok(Self { project, product, id })
    }
}

/// As the query of a URL, without what is the default.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut query = Serializer::new(String::new());
        let mut add = |name, value: &str, is_told: bool| {
            if is_told {
                query.append_pair(name, value);
            }
        };
        let texts = [&self.words, &self.project, &self.product, &self.backup_type];
        for (name, text) in ["q", "project", "product", "type"].into_iter().zip(texts) {
            add(name, text, !text.is_empty());
        }
        add("state", self.state.map_or("", Mark::word), self.state.is_some());
        add("sort", self.sort.word(), self.sort != Sort::default());
        add("page", &self.page.to_string(), self.page != 1);
        add("per_page", &self.per_page.to_string(), self.per_page != PER_PAGE);
        f.write_str(&query.finish())
    }
}

/// Whether something is what was asked for, if anything was.
fn is_asked(asked: &str, told: &str) -> bool {
    asked.is_empty() || asked == told
}

fn one_of<T: Copy>(
    name: &'static str,
    value: &str,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Result<T, QueryError> {
    let found = all.iter().copied().find(|it| word(*it) == value);
    found.ok_or_else(|| {
        let valid: Vec<&str> = all.iter().copied().map(word).collect();
        QueryError::Value { name, value: value.to_owned(), valid: valid.join(", ") }
    })
}

fn number(name: &'static str, value: &str, most: usize) -> Result<usize, QueryError> {
    let number = value.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| QueryError::Value {
        name,
        value: value.to_owned(),
        valid: format!("the numbers from 1 to {most}"),
    })
}
