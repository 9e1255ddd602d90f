//! The secrets of a credential while they rotate.
//!
//! Files are read again whenever a secret is used, since Kubernetes swaps them under a running
//! program; an access key and its secret key may be swapped one after the other. So what was read
//! is tried, and what was accepted last is kept until something else is: a half of a pair is
//! refused once and does no harm.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::config::{Credential, CredentialKind, Secret};
use crate::error::Fault;

/// Everything secret about a credential at one moment. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Material(Arc<Secrets>);

/// The secrets themselves.
pub enum Secrets {
    /// For signatures.
    Keys {
        /// The access key.
        access_key: SecretString,
        /// The secret key.
        secret_key: SecretString,
        /// The token of temporary keys.
        security_token: Option<SecretString>,
    },
    /// For tokens.
    Password(SecretString),
}

impl Material {
    /// The secrets themselves.
    pub fn secrets(&self) -> &Secrets {
        &self.0
    }

    /// What the config had when it was read.
    fn configured(credential: &Credential) -> Self {
        Self(Arc::new(match &credential.kind {
            CredentialKind::Keys { access_key, secret_key, security_token } => Secrets::Keys {
                access_key: access_key.value().clone(),
                secret_key: secret_key.value().clone(),
                security_token: security_token.as_ref().map(|token| token.value().clone()),
            },
            CredentialKind::Password { password, .. } => {
                Secrets::Password(password.value().clone())
            }
        }))
    }

    /// What is in the files now. None while they are being swapped: one is not there, or holds what
    /// no header can.
    fn read(credential: &Credential) -> Option<Self> {
        let for_header = |secret: &Secret| {
            let value = secret.read().ok()?;
            let printable = |byte: u8| byte.is_ascii_graphic();
            value.expose_secret().bytes().all(printable).then_some(value)
        };
        Some(Self(Arc::new(match &credential.kind {
            CredentialKind::Keys { access_key, secret_key, security_token } => Secrets::Keys {
                access_key: for_header(access_key)?,
                secret_key: for_header(secret_key)?,
                security_token: match security_token {
                    Some(token) => Some(for_header(token)?),
                    None => None,
                },
            },
            CredentialKind::Password { password, .. } => Secrets::Password(password.read().ok()?),
        })))
    }
}

impl Secrets {
    /// Which they are, and each as text.
    fn parts(&self) -> (bool, [Option<&str>; 3]) {
        match self {
            Self::Keys { access_key, secret_key, security_token } => {
                let token = security_token.as_ref().map(ExposeSecret::expose_secret);
                (true, [Some(access_key.expose_secret()), Some(secret_key.expose_secret()), token])
            }
            Self::Password(password) => (false, [Some(password.expose_secret()), None, None]),
        }
    }
}

impl PartialEq for Material {
    fn eq(&self, other: &Self) -> bool {
        self.0.parts() == other.0.parts()
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material")
    }
}

/// What was refused is remembered, but not for ever.
const MOST_REFUSED: usize = 4;

/// What is used, what was accepted and what was refused.
#[derive(Debug)]
pub(super) struct Keyring {
    /// Accepted last; at first what the config had.
    in_force: Material,
    /// Whether the cloud has ever accepted `in_force`.
    proven: bool,
    /// Refused since something else was accepted.
    refused: Vec<Material>,
}

impl Keyring {
    pub(super) fn new(credential: &Credential) -> Self {
        Self { in_force: Material::configured(credential), proven: false, refused: Vec::new() }
    }

    /// What to use next: what is in the files, unless that was refused.
    pub(super) fn next(&self, credential: &Credential) -> Material {
        let untried = Material::read(credential).filter(|fresh| !self.refused.contains(fresh));
        untried.unwrap_or_else(|| self.in_force.clone())
    }

    /// What was accepted last, or was in the config.
    pub(super) fn in_force(&self) -> Material {
        self.in_force.clone()
    }

    /// Whether the cloud has accepted this.
    pub(super) fn is_proven(&self, material: &Material) -> bool {
        self.proven && self.in_force == *material
    }

    /// The cloud accepted this.
    pub(super) fn accepted(&mut self, material: &Material) {
        self.refused.retain(|refused| refused != material);
        self.in_force = material.clone();
        self.proven = true;
    }

    /// Whether the cloud refused this, and nothing else has been accepted since.
    pub(super) fn was_refused(&self, material: &Material) -> bool {
        self.refused.contains(material)
    }

    /// A fault without the secrets that the cloud may have echoed.
    pub(super) fn mask(&self, fault: Fault) -> Fault {
        let all = self.refused.iter().chain([&self.in_force]);
        let parts = all.map(|material| material.0.parts().1);
        parts.flatten().flatten().fold(fault, Fault::without)
    }

    /// The cloud refused this. True if there is something else to try.
    pub(super) fn refused(&mut self, material: &Material, credential: &Credential) -> bool {
        if !self.refused.contains(material) {
            self.refused.push(material.clone());
        }
        if self.refused.len() > MOST_REFUSED {
            self.refused.remove(0);
        }
        !self.refused.contains(&self.next(credential))
    }

    /// What was refused may be tried again.
    pub(super) fn forget_refused(&mut self) {
        self.refused.clear();
    }

    /// Whether the files hold something that was not refused.
    pub(super) fn has_changed(&self, credential: &Credential) -> bool {
        Material::read(credential).is_some_and(|fresh| !self.refused.contains(&fresh))
    }
}
