//! The secrets of a credential while they rotate. Pure but for [`Material::read`].
//!
//! Files are read again whenever a secret is used, since Kubernetes swaps them under a running
//! program; an access key and its secret key may be swapped one after the other. So what was read
//! is tried, and what was accepted last is kept until something else is: a half of a pair is
//! refused and does no harm.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::config::{Credential, CredentialKind, Secret};

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
    pub(super) fn read(credential: &Credential) -> Option<Self> {
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

    /// A text in which the cloud may have echoed these secrets, without them.
    pub(super) fn mask(&self, text: &str) -> String {
        let (_, parts) = self.0.parts();
        parts.into_iter().flatten().fold(text.to_owned(), |text, secret| mask(&text, secret))
    }
}

/// A text without a secret.
pub(super) fn mask(text: &str, secret: &str) -> String {
    // Shorter ones are words: masking them tells what they are.
    if secret.len() < 4 { text.to_owned() } else { text.replace(secret, "***") }
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

/// What was refused is remembered, but neither all nor for ever: the cloud may not have known a new
/// secret yet.
const MOST_REFUSED: usize = 4;
const REFUSED_FOR: Duration = Duration::from_secs(5 * 60);

/// What is used, what was accepted and what was refused. `fresh` is what is in the files.
#[derive(Debug)]
pub(super) struct Keyring {
    /// Accepted last; at first what the config had.
    in_force: Material,
    /// Whether the cloud has ever accepted `in_force`.
    proven: bool,
    /// What was refused, and when.
    refused: Vec<(Material, Instant)>,
    /// What was in the files when there was nothing else to try.
    exhausted_with: Option<Material>,
}

impl Keyring {
    pub(super) fn new(credential: &Credential) -> Self {
        Self {
            in_force: Material::configured(credential),
            proven: false,
            refused: Vec::new(),
            exhausted_with: None,
        }
    }

    /// What to use next: what is in the files, unless that was refused lately.
    pub(super) fn next(&self, fresh: Option<Material>, now: Instant) -> Material {
        let untried = fresh.filter(|fresh| !self.was_refused(fresh, now));
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

    /// Whether the cloud refused this lately, and has not accepted it since.
    pub(super) fn was_refused(&self, material: &Material, now: Instant) -> bool {
        self.refused.iter().any(|(it, at)| it == material && now < *at + REFUSED_FOR)
    }

    /// The cloud accepted this.
    pub(super) fn accepted(&mut self, material: &Material) {
        self.refused.retain(|(refused, _)| refused != material);
        self.in_force = material.clone();
        self.proven = true;
    }

    /// The cloud refused this. True if there is something else to try.
    pub(super) fn refused(
        &mut self,
        material: &Material,
        fresh: Option<Material>,
        now: Instant,
    ) -> bool {
        self.refused.retain(|(refused, _)| refused != material);
        self.refused.push((material.clone(), now));
        if self.refused.len() > MOST_REFUSED {
            self.refused.remove(0);
        }
        let others = !self.was_refused(&self.next(fresh.clone(), now), now);
        if !others {
            self.exhausted_with = fresh;
        }
        others
    }

    /// After a pause: what is in the files is tried, and if that is refused nothing else is.
    pub(super) fn start_over(&mut self, fresh: Option<Material>) {
        self.refused.clear();
        if let Some(fresh) = fresh {
            self.proven &= fresh == self.in_force;
            self.in_force = fresh;
        }
    }

    /// Whether the files hold something else than when there was nothing else to try.
    pub(super) fn has_changed(&self, fresh: Option<&Material>) -> bool {
        fresh.is_some() && fresh != self.exhausted_with.as_ref()
    }

    /// A text in which the cloud may have echoed a secret, without it.
    pub(super) fn mask(&self, text: &str) -> String {
        let all = self.refused.iter().map(|(material, _)| material).chain([&self.in_force]);
        all.fold(text.to_owned(), |text, material| material.mask(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(word: &str) -> Material {
        Material(Arc::new(Secrets::Password(SecretString::from(word))))
    }

    fn keyring(word: &str) -> Keyring {
        let in_force = password(word);
        Keyring { in_force, proven: false, refused: Vec::new(), exhausted_with: None }
    }

    #[test]
    fn what_is_in_the_files_is_tried_and_what_worked_is_kept_until_it_works() {
        let now = Instant::now();
        let mut ring = keyring("old");
        ring.accepted(&password("old"));
        let new = || Some(password("new"));
        assert_eq!(ring.next(new(), now), password("new"));
        assert!(ring.refused(&password("new"), new(), now), "the old one is still to try");
        assert_eq!(ring.next(new(), now), password("old"));
        assert_eq!(ring.next(None, now), password("old"), "a file is being swapped");
        let later = now + REFUSED_FOR;
        assert_eq!(ring.next(new(), later), password("new"), "the cloud may know it by now");
        ring.accepted(&password("new"));
        assert!(ring.is_proven(&password("new")) && !ring.is_proven(&password("old")));
    }

    #[test]
    fn after_a_pause_one_secret_is_tried_and_no_more() {
        let now = Instant::now();
        let mut ring = keyring("old");
        ring.accepted(&password("old"));
        let typo = || Some(password("typo"));
        assert!(ring.refused(&password("typo"), typo(), now));
        assert!(!ring.refused(&password("old"), typo(), now), "nothing is left");
        ring.start_over(typo());
        assert_eq!(ring.next(typo(), now), password("typo"));
        assert!(!ring.refused(&password("typo"), typo(), now), "the old one is not tried again");
    }

    #[test]
    fn any_change_of_the_files_ends_a_pause_a_return_to_an_old_secret_too() {
        let now = Instant::now();
        let mut ring = keyring("old");
        ring.refused(&password("old"), Some(password("old")), now);
        ring.refused(&password("new"), Some(password("new")), now);
        assert!(!ring.has_changed(Some(&password("new"))));
        assert!(!ring.has_changed(None));
        assert!(ring.has_changed(Some(&password("old"))));
    }
}
