//! Texts of the config file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use clouddb_backup_exporter::census;
use clouddb_backup_exporter::config::{Config, Loaded, Problems, SecretError, Source};
use clouddb_backup_exporter::estate::Estate;
use clouddb_backup_exporter::exposition;
use clouddb_backup_exporter::meter::Meters;
use clouddb_backup_exporter::plan;
use clouddb_backup_exporter::shard::Shard;
use clouddb_backup_exporter::snapshot::Board;
use clouddb_backup_exporter::target;
use jiff::Timestamp;
use secrecy::SecretString;

use super::exposition::Exposition;

/// What is in all files and variables, and must not be told.
const SECRET: &str = "SENTINEL";

/// Every problem has its place, no secret is told, and a good config can be planned and shown.
pub fn throw(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match Config::read(text, Path::new("config.yaml"), &fetch) {
        Ok(loaded) => good(&loaded, text),
        Err(problems) => bad(&problems, text),
    }
}

pub(super) fn bad(problems: &Problems, text: &str) {
    for problem in problems {
        let line = problem.to_string();
        assert!(line.starts_with("config.yaml"), "{line}");
        assert!(text.contains(SECRET) || !line.contains(SECRET), "{line}");
    }
}

pub(super) fn good(loaded: &Loaded, text: &str) {
    let shown = format!("{loaded:?}");
    assert!(text.contains(SECRET) || !shown.contains(SECRET), "{shown}");
    let config = &loaded.config;
    let censuses = census::censuses(config).into_iter().map(Arc::new);
    let estates: Vec<_> = censuses.map(|census| Arc::new(Estate::new(census))).collect();
    let targets = target::targets(config, &estates);
    plan::plan(config, &estates, |_| None, &[Shard::WHOLE]);
    let board = Board::default();
    board.reassign(&targets, &estates);
    let meters = Meters::new().expect("the metrics are declared once");
    for target in &targets {
        meters.know(&target.project, target.product.name, target.product.apis());
    }
    Exposition::read(&exposition::render(&board.snapshot(), &meters, Timestamp::UNIX_EPOCH));
}

fn fetch(source: &Source, _limit: usize) -> Result<SecretString, SecretError> {
    match source {
        Source::File(path) if path.to_str() == Some("missing") => {
            Err(SecretError::Read(io::ErrorKind::NotFound.into()))
        }
        Source::Env(name) => match name.as_str() {
            // Names of files, which are told.
            "HOME" | "OS_CLIENT_CONFIG_FILE" | "OS_CLIENT_SECURE_FILE" => Err(SecretError::Unset),
            "OS_AUTH_URL" => Ok(SecretString::from("https://iam.example/v3")),
            "OS_CLOUD"
            | "OS_PROJECT_ID"
            | "OS_TENANT_ID"
            | "HUAWEICLOUD_SDK_PROJECT_ID"
            | "OS_PROJECT_NAME"
            | "OS_REGION_NAME"
            | "OS_USERNAME"
            | "OS_USER_DOMAIN_NAME" => Ok(SecretString::from("told")),
            _ => Ok(SecretString::from(SECRET)),
        },
        Source::File(_) => Ok(SecretString::from(SECRET)),
        Source::Entry(_) | Source::Value => Err(SecretError::Unset),
    }
}
