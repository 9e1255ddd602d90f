//! A secret from the config, a file or the environment. Wrapped from the first byte.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::clouds_yaml::EntrySource;

/// Where a secret comes from.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Source {
    /// An entry of a `clouds.yaml`, read again when it changes.
    Entry(EntrySource),
    /// The environment variable of that name.
    Env(String),
    /// The file, read again when it changes.
    File(PathBuf),
    /// The config itself.
    Value,
}

/// A secret and where it came from. `Debug` shows the source only.
#[derive(Clone)]
pub struct Secret {
    source: Source,
    value: SecretString,
}

impl Secret {
    /// A secret that was read from that source.
    pub fn new(source: Source, value: SecretString) -> Self {
        Self { source, value }
    }

    /// Where it comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What it was when the config was read.
    pub fn value(&self) -> &SecretString {
        &self.value
    }

    /// What it is now: the file is read again, and so is the environment.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        match &self.source {
            Source::Value => Ok(self.value.clone()),
            source => fetch(source, MAX_KIB),
        }
    }
}

/// Two that come from one file are the same, whatever it held when it was read: it is read again
/// whenever the secret is used.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let is_file = matches!(self.source, Source::File(_) | Source::Entry(_));
        let same = |a: &Self, b: &Self| a.value.expose_secret() == b.value.expose_secret();
        self.source == other.source && (is_file || same(self, other))
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("source", &self.source).finish_non_exhaustive()
    }
}

/// Why a secret cannot be had. Names neither the file nor the variable: a secret that was written
/// into the wrong key must not show.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Nothing is left of it.
    #[error("the secret is empty")]
    Empty,
    /// The file cannot be read.
    #[error("cannot read the file")]
    Read(#[source] io::Error),
    /// It is no text.
    #[error("the secret is not UTF-8 text")]
    Text,
    /// The `clouds.yaml` it should stand in has another form by now.
    #[error("the file has no such entry")]
    Form,
    /// The file is larger than such a file can be.
    #[error("the file is larger than {limit} KiB")]
    TooLarge {
        /// In KiB.
        limit: usize,
    },
    /// The environment has no such variable.
    #[error("the environment variable is not set")]
    Unset,
}

/// Reads a file of at most `limit` KiB, or a variable of this process. A secret that stands in the
/// config is not found anywhere else, so for [`Source::Value`] there is nothing.
pub fn fetch(source: &Source, limit: usize) -> Result<SecretString, SecretError> {
    match source {
        Source::Entry(entry) => entry.fetch(&fetch),
        Source::Env(name) => match env::var(name) {
            Ok(value) => trimmed(&Zeroizing::new(value)),
            Err(env::VarError::NotPresent) => Err(SecretError::Unset),
            Err(env::VarError::NotUnicode(_)) => Err(SecretError::Text),
        },
        Source::File(path) => from_file(path, limit),
        Source::Value => Err(SecretError::Empty),
    }
}

/// Without its final newline, which editors and `echo` add; a secret that is empty is none.
pub(super) fn trimmed(value: &str) -> Result<SecretString, SecretError> {
    let value =
        value.strip_suffix('\n').map_or(value, |line| line.strip_suffix('\r').unwrap_or(line));
    if value.is_empty() {
        return Err(SecretError::Empty);
    }
    Ok(SecretString::from(value))
}

fn from_file(path: &Path, limit: usize) -> Result<SecretString, SecretError> {
    // Reserved whole, so that no smaller buffer with a part of the secret is left behind.
    let max = limit * 1024;
    let mut bytes = Zeroizing::new(Vec::with_capacity(max + 1));
    File::open(path)
        .and_then(|file| file.take(max as u64 + 1).read_to_end(&mut bytes))
        .map_err(SecretError::Read)?;
    if bytes.len() > max {
        return Err(SecretError::TooLarge { limit });
    }
    trimmed(std::str::from_utf8(&bytes).map_err(|_| SecretError::Text)?)
}

/// Whether it can go into a header, where blanks and other letters have no place.
pub(super) fn fits_header(secret: &SecretString) -> bool {
    secret.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())
}

/// What is wrong if it does not.
pub(super) const NO_KEY: &str = "has a blank or a character that no key has; copy it again";

/// As large as the file of a secret can be, in KiB.
pub(super) const MAX_KIB: usize = 64;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(bytes: &[u8]) -> Result<String, SecretError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, bytes).unwrap();
        fetch(&Source::File(path), MAX_KIB).map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn one_final_newline_is_not_part_of_the_secret() {
        assert_eq!(read(b"word").unwrap(), "word");
        assert_eq!(read(b"word\n").unwrap(), "word");
        assert_eq!(read(b"word\r\n").unwrap(), "word");
        assert_eq!(read(b"word\n\n").unwrap(), "word\n");
        assert_eq!(read(b" word \n").unwrap(), " word ");
        assert_eq!(read(b"word\r").unwrap(), "word\r");
    }

    #[test]
    fn a_file_that_is_no_secret_is_refused() {
        assert!(matches!(read(b""), Err(SecretError::Empty)));
        assert!(matches!(read(b"\n"), Err(SecretError::Empty)));
        assert!(matches!(read(b"\xff\xfe"), Err(SecretError::Text)));
        assert!(read(&vec![b'x'; MAX_KIB * 1024]).is_ok());
        assert!(matches!(read(&vec![b'x'; MAX_KIB * 1024 + 1]), Err(SecretError::TooLarge { .. })));
        let missing = Source::File("/nonexistent/secret".into());
        assert!(matches!(fetch(&missing, MAX_KIB), Err(SecretError::Read(_))));
    }

    #[test]
    fn a_file_is_read_again_and_a_value_is_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "old\n").unwrap();
        let source = Source::File(path.clone());
        let secret = Secret::new(source.clone(), fetch(&source, MAX_KIB).unwrap());
        fs::write(&path, "new\n").unwrap();
        assert_eq!(secret.value().expose_secret(), "old");
        assert_eq!(secret.read().unwrap().expose_secret(), "new");
        let value = Secret::new(Source::Value, SecretString::from("word"));
        assert_eq!(value.read().unwrap().expose_secret(), "word");
    }

    #[test]
    fn a_variable_that_is_not_set_is_told() {
        let source = Source::Env("CLOUDDB_NO_SUCH_VARIABLE".to_owned());
        assert!(matches!(fetch(&source, MAX_KIB), Err(SecretError::Unset)));
    }

    #[test]
    fn debug_shows_the_source_only() {
        let secret = Secret::new(Source::Value, SecretString::from("hunter2"));
        assert_eq!(format!("{secret:?}"), "Secret { source: Value, .. }");
    }
}
