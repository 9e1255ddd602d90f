//! Texts of a `clouds.yaml`.

use std::io;
use std::path::Path;

use clouddb_backup_exporter::config::{Config, SecretError, Source};
use secrecy::SecretString;

use super::config::{bad, good};

/// Takes an entry of the file for all that it needs.
const CONFIG: &str = "
credentials: { lab: { cloud: lab } }
projects:
  - { name: a, project_id: a, credentials: lab, ddm: { endpoint: 'https://ddm.example' } }
";

/// As with a config: every problem has its place, and a good one can be planned and shown.
pub fn throw(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let fetch = |source: &Source, _limit: usize| match source {
        Source::File(path) if path.ends_with("clouds.yaml") => Ok(SecretString::from(text)),
        Source::File(_) => Err(SecretError::Read(io::ErrorKind::NotFound.into())),
        _ => Err(SecretError::Unset),
    };
    match Config::read(CONFIG, Path::new("config.yaml"), &fetch) {
        Ok(loaded) => good(&loaded, text),
        Err(problems) => bad(&problems, text),
    }
}
