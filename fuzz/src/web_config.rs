//! Texts of the web config file.

use std::path::Path;
use std::sync::LazyLock;

use clouddb_backup_exporter::config::web::Web;
use clouddb_backup_exporter::config::{SecretError, Source};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use secrecy::SecretString;

/// A certificate and its key.
static OWN: LazyLock<CertifiedKey<KeyPair>> =
    LazyLock::new(|| generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate"));

/// Every problem has its place, and what is accepted shows no secret.
pub fn throw(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match Web::read(text, Path::new("web.yaml"), &fetch, &mut Vec::new()) {
        Ok(loaded) => {
            let shown = format!("{:?}", loaded.config);
            assert!(!shown.contains("$2"), "{shown}");
        }
        Err(problems) => {
            for line in problems.iter().map(ToString::to_string) {
                assert!(line.starts_with("web.yaml"), "{line}");
            }
        }
    }
}

fn fetch(source: &Source, _limit: usize) -> Result<SecretString, SecretError> {
    let Source::File(path) = source else { return Err(SecretError::Unset) };
    match path.to_str() {
        Some("cert.pem" | "ca.pem") => Ok(SecretString::from(OWN.cert.pem())),
        Some("key.pem") => Ok(SecretString::from(OWN.signing_key.serialize_pem())),
        _ => Err(SecretError::Empty),
    }
}
