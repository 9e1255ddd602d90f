//! Collects the problems of one file, and gives each its place.

use std::path::{Path, PathBuf};

use super::position::{self, Index};
use super::problem::{Position, Problem, Severity};

/// The problems so far, and the places that they are looked up in.
pub(super) struct Report {
    file: PathBuf,
    index: Index,
    problems: Vec<Problem>,
}

impl Report {
    pub(super) fn new(file: &Path, index: Index) -> Self {
        Self { file: file.to_owned(), index, problems: Vec::new() }
    }

    /// A value that cannot be, or a key that its block lacks.
    pub(super) fn error(&mut self, path: &str, message: impl Into<String>) {
        self.push(Severity::Error, self.index.value(path), path, message.into());
    }

    /// A key that cannot be there.
    pub(super) fn error_at_key(&mut self, path: &str, message: impl Into<String>) {
        self.push(Severity::Error, self.index.key(path), path, message.into());
    }

    /// A value with which the daemon starts all the same.
    pub(super) fn finding(&mut self, path: &str, message: impl Into<String>) {
        self.push(Severity::Finding, self.index.value(path), path, message.into());
    }

    /// A key with which the daemon starts all the same.
    pub(super) fn finding_at_key(&mut self, path: &str, message: impl Into<String>) {
        self.push(Severity::Finding, self.index.key(path), path, message.into());
    }

    /// Every key that stands in its block again.
    pub(super) fn repeated_keys(&mut self) {
        for duplicate in std::mem::take(&mut self.index.duplicates) {
            let line = duplicate.first.line;
            let message = format!("the key is there twice, first in line {line}; remove one");
            self.push(Severity::Error, duplicate.at, &duplicate.path, message);
        }
    }

    /// The line that a value stands in, for messages about two places.
    pub(super) fn line(&self, path: &str) -> usize {
        self.index.value(path).line
    }

    /// All problems, in the order in which they were found.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    fn push(&mut self, severity: Severity, position: Position, path: &str, message: String) {
        // Of a repeated key it was told that it is one; its value counts for nothing.
        if !position::is_repeated(path) {
            let (file, path) = (self.file.clone(), path.to_owned());
            self.problems.push(Problem { severity, file, position: Some(position), path, message });
        }
    }
}
