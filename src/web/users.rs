//! Basic auth. A wrong password costs the one who tries it time, and the program no more than one
//! processor; the answer tells nothing of which users there are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::digest::CtOutput;
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::HeaderValue;
use rustls::crypto::ring;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Hashes at a time. Whoever tries passwords must not keep the polls from their processors.
const HASHES: usize = 1;
/// For a turn to hash. Some twenty tries at the usual cost.
const TURN: Duration = Duration::from_secs(2);
/// Pairs that are remembered; each user has one password, but that can end in anything behind the 72
/// bytes that bcrypt reads.
const MOST_KNOWN: usize = 64;
/// The hash of nothing in particular, at a cost that is filled in.
const DUMMY: [&str; 2] = ["$2b$", "$CloudDbBackupExporteru.NoPasswordHasThisHash.NoneAtA."];

/// Who may ask.
pub(super) struct Users {
    hashes: BTreeMap<String, SecretString>,
    /// What the password of a user that is not there is compared with.
    dummy: SecretString,
    memory: Arc<Memory>,
}

/// Which pairs were good, and whose turn it is to be tried. Outlives the users: a pair is remembered
/// with the hash that it was good for, so that it is good only as long as its user has that one.
pub(super) struct Memory {
    /// Keyed at random by each process; none if there is no randomness to be had, and then nothing
    /// is remembered.
    mac: Option<Hmac<Sha256>>,
    /// Of good pairs. Neither user nor password can be had from it.
    known: Mutex<Vec<CtOutput<Hmac<Sha256>>>>,
    turns: Arc<Semaphore>,
}

/// What comes of credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The password is that of the user.
    Good,
    /// There are none, or they are wrong.
    Wrong,
    /// Too many others are being tried.
    Busy,
}

impl Users {
    /// At least one user, each with a bcrypt hash.
    pub(super) fn new(hashes: BTreeMap<String, SecretString>, memory: Arc<Memory>) -> Self {
        let cost = |hash: &SecretString| hash.expose_secret().get(4..6).map(str::to_owned);
        let cost = hashes.values().filter_map(cost).max().unwrap_or_default();
        Self { hashes, dummy: SecretString::from(DUMMY.join(&cost)), memory }
    }

    /// Whether the header `Authorization` has the password of one of the users.
    pub(super) async fn check(&self, header: Option<&HeaderValue>) -> Verdict {
        let Some((user, password)) = header.and_then(credentials) else { return Verdict::Wrong };
        let found = std::str::from_utf8(&user).ok().and_then(|user| self.hashes.get(user));
        let is_user = found.is_some();
        let hash = found.unwrap_or(&self.dummy).clone();
        let mac = self.memory.mac.clone().map(|mac| {
            // With their lengths, so that no two pairs give the same bytes.
            let parts = [&*user, hash.expose_secret().as_bytes(), &*password];
            let whole = parts.iter().fold(mac, |mac, part| {
                mac.chain_update(part.len().to_le_bytes()).chain_update(part)
            });
            whole.finalize()
        });
        if mac.as_ref().is_some_and(|mac| self.memory.has(mac)) {
            return Verdict::Good;
        }
        let turn = timeout(TURN, Arc::clone(&self.memory.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Verdict::Busy };
        // The turn lasts as long as the hash, whoever still waits for it.
        let hashed = spawn_blocking(move || {
            let is_same = bcrypt::verify(&*password, hash.expose_secret());
            drop(turn);
            is_same.unwrap_or(false)
        });
        if !(hashed.await.unwrap_or(false) && is_user) {
            return Verdict::Wrong;
        }
        self.memory.keep(mac);
        Verdict::Good
    }
}

impl Default for Memory {
    fn default() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        let filled = ring::default_provider().secure_random.fill(&mut *key).ok();
        Self {
            mac: filled.and_then(|()| Hmac::new_from_slice(&*key).ok()),
            known: Mutex::default(),
            turns: Arc::new(Semaphore::new(HASHES)),
        }
    }
}

impl Memory {
    fn has(&self, mac: &CtOutput<Hmac<Sha256>>) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // In constant time, as the type compares.
        known.iter().any(|known| known == mac)
    }

    fn keep(&self, mac: Option<CtOutput<Hmac<Sha256>>>) {
        let Some(mac) = mac else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.remove(0);
        }
        known.push(mac);
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("users", &self.hashes.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

/// User and password of a header, if it has them.
fn credentials(header: &HeaderValue) -> Option<(Vec<u8>, Zeroizing<Vec<u8>>)> {
    let (scheme, coded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = Zeroizing::new(BASE64_STANDARD.decode(coded.trim()).ok()?);
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let (user, password) = pair.split_at_checked(colon)?;
    Some((user.to_vec(), Zeroizing::new(password.get(1..)?.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At the least cost there is.
    fn users(pairs: &[(&str, &str)]) -> Users {
        let hash = |password: &str| SecretString::from(bcrypt::hash(password, 4).unwrap());
        let hashes = pairs.iter().map(|(user, password)| ((*user).to_owned(), hash(password)));
        Users::new(hashes.collect(), Arc::default())
    }

    fn header(pair: &str) -> HeaderValue {
        HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair))).unwrap()
    }

    async fn verdict(users: &Users, pair: &str) -> Verdict {
        users.check(Some(&header(pair))).await
    }

    #[tokio::test]
    async fn only_the_password_of_that_user_is_good() {
        let users = users(&[("ann", "a:b"), ("bob", "über")]);
        for good in ["ann:a:b", "bob:über"] {
            assert_eq!(verdict(&users, good).await, Verdict::Good, "{good}");
            assert_eq!(verdict(&users, good).await, Verdict::Good, "{good}, remembered");
        }
        for wrong in
            ["ann:über", "bob:a:b", "ann:", "ann", "", ":", "eve:a:b", "ann:a:b ", "Ann:a:b"]
        {
            assert_eq!(verdict(&users, wrong).await, Verdict::Wrong, "{wrong}");
        }
        assert_eq!(users.check(None).await, Verdict::Wrong);
        for broken in ["Basic", "Basic ", "Basic !!!!", "Bearer YW5uOmE6Yg==", "basic  YW5uOmE6Yg"]
        {
            let header = HeaderValue::from_static(broken);
            assert_eq!(users.check(Some(&header)).await, Verdict::Wrong, "{broken}");
        }
        let other_case = HeaderValue::from_static("bAsIc YW5uOmE6Yg==");
        assert_eq!(users.check(Some(&other_case)).await, Verdict::Good);
    }

    #[tokio::test]
    async fn a_password_of_a_user_that_is_not_there_is_hashed_at_the_cost_of_the_others() {
        let users = users(&[("ann", "a")]);
        let hash = users.dummy.expose_secret();
        assert!(hash.starts_with("$2b$04$"), "{hash}");
        assert!(bcrypt::verify("a", hash).is_ok_and(|is_same| !is_same));
        // It waits for its turn as others do: nothing is told before.
        let turn = Arc::clone(&users.memory.turns).acquire_owned().await.unwrap();
        tokio::time::pause();
        assert_eq!(verdict(&users, "eve:a").await, Verdict::Busy);
        assert_eq!(verdict(&users, "ann:a").await, Verdict::Busy);
        drop(turn);
    }

    /// Neither of a user that is there nor of one that is not.
    #[test]
    fn no_password_is_hashed_on_a_thread_that_serves() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let users = users(&[("ann", "a")]);
            for (pair, expected) in [("ann:a", Verdict::Good), ("eve:a", Verdict::Wrong)] {
                // All other threads are busy as long as this is there.
                let (busy, until) = std::sync::mpsc::channel::<()>();
                spawn_blocking(move || until.recv());
                let mut verdict = std::pin::pin!(verdict(&users, pair));
                for _ in 0..100 {
                    tokio::select! {
                        biased;
                        verdict = verdict.as_mut() => panic!("{pair}: {verdict:?} by itself"),
                        () = tokio::task::yield_now() => {}
                    }
                }
                drop(busy);
                assert_eq!(verdict.await, expected, "{pair}");
            }
        });
    }

    #[tokio::test]
    async fn who_is_known_waits_for_nobody() {
        let users = users(&[("ann", "a")]);
        assert_eq!(verdict(&users, "ann:a").await, Verdict::Good);
        let _turn = Arc::clone(&users.memory.turns).acquire_owned().await.unwrap();
        assert_eq!(verdict(&users, "ann:a").await, Verdict::Good);
    }

    #[tokio::test]
    async fn who_is_known_stays_so_with_the_next_users_unless_the_hash_is_another() {
        let old = users(&[("ann", "a"), ("bob", "b")]);
        for pair in ["ann:a", "bob:b"] {
            assert_eq!(verdict(&old, pair).await, Verdict::Good);
        }
        let mut hashes = users(&[("bob", "b")]).hashes;
        hashes.insert("ann".to_owned(), old.hashes["ann"].clone());
        let new = Users::new(hashes, Arc::clone(&old.memory));
        let _turn = Arc::clone(&new.memory.turns).acquire_owned().await.unwrap();
        assert_eq!(verdict(&new, "ann:a").await, Verdict::Good);
        tokio::time::pause();
        assert_eq!(verdict(&new, "bob:b").await, Verdict::Busy);
        let without = Users::new(BTreeMap::new(), Arc::clone(&old.memory));
        assert_eq!(verdict(&without, "ann:a").await, Verdict::Busy);
    }

    #[tokio::test]
    async fn what_is_remembered_has_a_bound_and_is_of_good_pairs_only() {
        let users = users(&[("ann", &"a".repeat(72))]);
        for at in 0..2 * MOST_KNOWN {
            let pair = format!("ann:{}{at}", "a".repeat(72));
            assert_eq!(verdict(&users, &pair).await, Verdict::Good);
        }
        assert_eq!(users.memory.known.lock().unwrap().len(), MOST_KNOWN);
        let users = self::users(&[("ann", "a")]);
        verdict(&users, "ann:b").await;
        verdict(&users, "eve:a").await;
        assert_eq!(users.memory.known.lock().unwrap().len(), 0);
    }

    #[test]
    fn what_is_shown_of_users_is_how_many_there_are() {
        assert_eq!(format!("{:?}", users(&[("ann", "a")])), "Users { users: 1, .. }");
    }
}
