//! What is wrong with a config file, each with its place. Knows no rule.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The daemon does not start with it, and a reload keeps the old config.
    Error,
    /// The daemon starts, but it will hardly do what was meant.
    Finding,
}

/// A place in a text, as editors count it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// One thing that is wrong, told so that it can be mended without looking anywhere else.
///
/// No text of it holds a secret, nor a value that might be one by mistake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The config file, as it was named to the program.
    pub file: PathBuf,
    /// Where: at a wrong value, at an unknown key, or at the block that lacks a key. None if the
    /// file could not be read at all.
    pub position: Option<Position>,
    /// The key, such as `projects[1].rds.instances[0].id`; empty for the file as a whole.
    pub path: String,
    /// What is wrong and what would be right, in one line.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if self.severity == Severity::Finding {
            f.write_str(": finding")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why a config cannot be used: every problem at once, findings included, by position.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Sorts them by position; those of one place stay in the order in which they were found.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.position);
        Self(problems)
    }

    /// In the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// In the order of the file.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    /// One line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl Error for Problems {}

/// A file with a million problems has said enough.
const MOST_LINES: usize = 100;

/// What is told of problems, however many there are: a line for each of the first, and how many more
/// there are. In the order of the file, but if not all are told those that keep the daemon from
/// starting come first, so that they are not among the others.
pub fn first_lines<'a>(problems: impl IntoIterator<Item = &'a Problem>) -> Vec<String> {
    let mut problems: Vec<&Problem> = problems.into_iter().collect();
    let more = problems.len().saturating_sub(MOST_LINES);
    if more > 0 {
        problems.sort_by_key(|problem| problem.severity);
    }
    let mut lines: Vec<String> =
        problems.iter().take(MOST_LINES).map(ToString::to_string).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// A word of the file for a message: in backticks, on one line, not longer than it helps.
pub(super) fn quoted(word: &str) -> String {
    format!("`{}`", shown(word))
}

/// The same without backticks.
pub(super) fn shown(word: &str) -> String {
    let mut shown: String = word.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if word.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Several words, such as `` `a`, `b` or `c` ``; `last` is what joins the last one.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

const SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(severity: Severity, path: &str) -> Problem {
        Problem {
            severity,
            file: "config.yaml".into(),
            position: Some(Position { line: 14, column: 13 }),
            path: path.to_owned(),
            message: "an instance id cannot be empty".to_owned(),
        }
    }

    #[test]
    fn an_error_is_one_line_with_place_path_and_words() {
        let error = problem(Severity::Error, "projects[1].rds.instances[0].id");
        assert_eq!(
            error.to_string(),
            "config.yaml:14:13: projects[1].rds.instances[0].id: an instance id cannot be empty"
        );
    }

    #[test]
    fn a_finding_says_that_it_is_one() {
        let finding = problem(Severity::Finding, "");
        assert_eq!(
            finding.to_string(),
            "config.yaml:14:13: finding: an instance id cannot be empty"
        );
    }

    #[test]
    fn of_very_many_problems_the_first_hundred_are_told_and_how_many_more_there_are() {
        let findings =
            |count: usize| (0..count).map(|at| problem(Severity::Finding, &at.to_string()));
        let few: Vec<Problem> = findings(99).chain([problem(Severity::Error, "bad")]).collect();
        let all: Vec<String> = few.iter().map(ToString::to_string).collect();
        assert_eq!(first_lines(&few), all, "in the order of the file");
        let many: Vec<Problem> = findings(250).chain([problem(Severity::Error, "bad")]).collect();
        let lines = first_lines(&many);
        assert_eq!(lines.len(), 101);
        assert_eq!(lines[0], many[250].to_string(), "the daemon does not start for it");
        assert_eq!(lines[1..100], all[..99]);
        assert_eq!(lines[100], "and 151 more");
    }

    #[test]
    fn words_are_listed_as_they_are_spoken() {
        assert_eq!(listed(["a"], "or"), "`a`");
        assert_eq!(listed(["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }

    #[test]
    fn a_quoted_word_stays_on_its_line_and_short() {
        assert_eq!(quoted("a\nb"), "`a\\nb`");
        assert_eq!(shown(&"x".repeat(90)).chars().count(), 81);
    }
}
