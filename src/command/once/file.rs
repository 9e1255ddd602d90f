//! A file that is there whole: written aside, and then put in the place of the old one.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// Why there is no new file. The old one is as it was.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{path}`", path = path.display())]
pub(super) struct FileError {
    path: PathBuf,
    source: io::Error,
}

/// Whoever collects it is mostly another user.
const READABLE_BY_ALL: u32 = 0o644;

/// Whether a file could be written there.
pub(super) fn check(path: &Path) -> Result<(), FileError> {
    let check = || {
        if path.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        aside(path).map(drop)
    };
    check().map_err(|source| FileError { path: path.to_owned(), source })
}

/// Writes it whole or not at all.
pub(super) fn write(path: &Path, text: &str) -> Result<(), FileError> {
    let write = || {
        let mut file = aside(path)?;
        file.write_all(text.as_bytes())?;
        // The mask of the process does not count here.
        file.as_file().set_permissions(Permissions::from_mode(READABLE_BY_ALL))?;
        // On the disk before it takes the place of one that is.
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(|source| FileError { path: path.to_owned(), source })
}

/// A file in the same folder, so that it can be moved, under a name that no collector reads.
fn aside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    Builder::new().prefix(".clouddb-backup-exporter-").suffix(".tmp").tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finished_stands_beside_its_place_under_a_name_that_no_collector_reads() {
        let folder = tempfile::tempdir().unwrap();
        let file = aside(&folder.path().join("a.prom")).unwrap();
        assert_eq!(file.path().parent(), Some(folder.path()));
        assert!(file.path().extension().is_some_and(|it| it != "prom"));
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
