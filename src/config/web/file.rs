//! The web config as it is written: one struct per block. Knows no rule.
//!
//! The names of the keys are those of Prometheus' exporter-toolkit.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct Web {
    pub(super) tls_server_config: Option<Tls>,
    pub(super) http_server_config: Option<Http>,
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(super) basic_auth_users: Option<BTreeMap<String, SecretString>>,
    pub(super) rate_limit: Option<RateLimit>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct Tls {
    /// May hold a key by mistake.
    #[schemars(with = "Option<String>")]
    pub(super) cert: Option<SecretString>,
    pub(super) cert_file: Option<String>,
    #[schemars(with = "Option<String>")]
    pub(super) key: Option<SecretString>,
    pub(super) key_file: Option<String>,
    pub(super) client_auth_type: Option<String>,
    #[schemars(with = "Option<String>")]
    pub(super) client_ca: Option<SecretString>,
    pub(super) client_ca_file: Option<String>,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) min_version: Option<String>,
    pub(super) max_version: Option<String>,
    pub(super) cipher_suites: Option<Vec<String>>,
    pub(super) curve_preferences: Option<Vec<String>>,
    pub(super) prefer_server_cipher_suites: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct Http {
    pub(super) http2: Option<bool>,
    pub(super) headers: Option<Headers>,
}

/// All that the toolkit lets one set.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct Headers {
    #[serde(rename = "Content-Security-Policy")]
    pub(super) content_security_policy: Option<String>,
    #[serde(rename = "X-Frame-Options")]
    pub(super) x_frame_options: Option<String>,
    #[serde(rename = "X-Content-Type-Options")]
    pub(super) x_content_type_options: Option<String>,
    #[serde(rename = "X-XSS-Protection")]
    pub(super) x_xss_protection: Option<String>,
    #[serde(rename = "Strict-Transport-Security")]
    pub(super) strict_transport_security: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct RateLimit {
    pub(super) interval: Option<String>,
    pub(super) burst: Option<i64>,
}
