//! A file as it was when it was read, so that a change is noticed without reading it again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file at a moment. Two are equal if it did not change in between, nor was replaced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    path: PathBuf,
    /// Device, inode, size, and when content and inode changed. None if it cannot be looked at.
    state: Option<[i128; 5]>,
}

impl Seen {
    /// What a path leads to now. Links are followed: Kubernetes swaps those.
    pub fn of(path: &Path) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        let state = fs::metadata(path).ok().map(|it| {
            [
                i128::from(it.dev()),
                i128::from(it.ino()),
                i128::from(it.size()),
                nanoseconds(it.mtime(), it.mtime_nsec()),
                nanoseconds(it.ctime(), it.ctime_nsec()),
            ]
        });
        Self { path: path.to_owned(), state }
    }

    /// The same path, now.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::of(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_that_is_written_replaced_or_behind_another_link_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let missing = Seen::of(&path);
        assert_eq!(missing.again(), missing);
        fs::write(&path, "a").unwrap();
        let first = missing.again();
        assert!(first != missing && first.again() == first);
        fs::write(&path, "ab").unwrap();
        let second = first.again();
        assert_ne!(second, first);

        fs::write(folder.path().join("other"), "ab").unwrap();
        let link = folder.path().join("link");
        symlink("file", &link).unwrap();
        let through = Seen::of(&link);
        fs::remove_file(&link).unwrap();
        symlink("other", &link).unwrap();
        assert_ne!(through.again(), through);
    }
}
