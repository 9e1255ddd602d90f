//! The form of a `clouds.yaml`, as far as it is about signing in, and how its blocks are put together.

use std::fmt;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

/// One entry of a file, and the names of all. The others may have what this program cannot read.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) wanted: Option<Entry>,
    pub(super) names: Vec<String>,
}

/// Reads the file, but of its entries only the one of this name.
pub(super) struct Wanted<'a>(pub(super) &'a str);

/// Reads what is below `clouds`.
struct WantedEntry<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = Entries;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entries, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == "clouds" {
                entries = map.next_value_seed(WantedEntry(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(entries)
    }
}

impl<'de> DeserializeSeed<'de> for WantedEntry<'_> {
    type Value = Entries;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entries, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for WantedEntry<'_> {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::default();
        while let Some(name) = map.next_key::<String>()? {
            if name == self.0 {
                entries.wanted = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            entries.names.push(name);
        }
        Ok(entries)
    }
}

/// An entry, or its block `auth`: openstacksdk takes most keys in either place. What is not read here
/// is not about signing in.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    /// What an anchor brings: serde knows no merge keys.
    #[serde(rename = "<<")]
    merged: Option<Box<Entry>>,
    auth: Option<Box<Entry>>,
    #[serde(alias = "auth_plugin")]
    pub(super) auth_type: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) region_name: Option<String>,
    pub(super) cacert: Option<String>,
    #[serde(alias = "auth-url")]
    pub(super) auth_url: Option<String>,
    #[serde(alias = "user_name", alias = "user-name")]
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) passcode: Option<SecretString>,
    #[serde(alias = "user-domain-name")]
    pub(super) user_domain_name: Option<String>,
    #[serde(alias = "user-domain-id")]
    pub(super) user_domain_id: Option<String>,
    #[serde(alias = "domain-name")]
    pub(super) domain_name: Option<String>,
    #[serde(alias = "domain-id")]
    pub(super) domain_id: Option<String>,
    #[serde(alias = "project-id", alias = "tenant_id", alias = "tenant-id")]
    pub(super) project_id: Option<String>,
    #[serde(alias = "project-name", alias = "tenant_name", alias = "tenant-name")]
    pub(super) project_name: Option<String>,
    #[serde(alias = "access_key")]
    pub(super) ak: Option<SecretString>,
    #[serde(alias = "secret_key")]
    pub(super) sk: Option<SecretString>,
    pub(super) security_token: Option<SecretString>,
}

impl Entry {
    /// This, and what it lacks from the other.
    pub(super) fn over(self, other: Self) -> Self {
        let auth = match (self.auth, other.auth) {
            (Some(auth), Some(other)) => Some(Box::new(auth.over(*other))),
            (auth, other) => auth.or(other),
        };
        Self {
            merged: None,
            auth,
            auth_type: self.auth_type.or(other.auth_type),
            profile: self.profile.or(other.profile),
            region_name: self.region_name.or(other.region_name),
            cacert: self.cacert.or(other.cacert),
            auth_url: self.auth_url.or(other.auth_url),
            username: self.username.or(other.username),
            password: self.password.or(other.password),
            passcode: self.passcode.or(other.passcode),
            user_domain_name: self.user_domain_name.or(other.user_domain_name),
            user_domain_id: self.user_domain_id.or(other.user_domain_id),
            domain_name: self.domain_name.or(other.domain_name),
            domain_id: self.domain_id.or(other.domain_id),
            project_id: self.project_id.or(other.project_id),
            project_name: self.project_name.or(other.project_name),
            ak: self.ak.or(other.ak),
            sk: self.sk.or(other.sk),
            security_token: self.security_token.or(other.security_token),
        }
    }

    /// With what its anchors bring; a merge key replaces a block and does not look into it.
    pub(super) fn expanded(mut self) -> Self {
        self.auth = self.auth.map(|auth| Box::new(auth.expanded()));
        match self.merged.take() {
            Some(mut merged) => {
                if self.auth.is_some() {
                    merged.auth = None;
                }
                self.over(merged.expanded())
            }
            None => self,
        }
    }

    /// With the keys of `auth` beside the others, which go first as they do in openstacksdk.
    pub(super) fn flat(mut self) -> Self {
        match self.auth.take() {
            Some(auth) => self.over(*auth),
            None => self,
        }
    }
}
