//! Whatever a daemon of these tests serves or logs is looked through for every secret they use.

use clouddb_backup_exporter::sim::estate;

/// The secrets of all tests. Those that are words are not here: they stand in texts of their own.
const SECRETS: [&str; 9] = [
    estate::ACCESS_KEY,
    estate::PASSWORD,
    estate::SECRET_KEY,
    "NEWACCESSKEY",
    "hunter2-is-wrong",
    "new-secret",
    "secret/+=",
    "the-next-one",
    "token==/+abc",
];

/// Fails the test if a text that was served or logged holds a secret.
pub(crate) fn look_through(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "`{secret}` shows in\n{text}");
    }
    // A token of the simulated cloud is mostly two thousand hexadecimal digits.
    let mut runs = text.split(|c: char| !c.is_ascii_hexdigit());
    assert!(!runs.any(|run| run.len() > 100), "a token shows in\n{text}");
}

#[test]
fn a_secret_and_a_token_are_found() {
    for text in [format!("password={}", estate::PASSWORD), format!("x MIIF{} y", "0a".repeat(1024))]
    {
        assert!(std::panic::catch_unwind(|| look_through(&text)).is_err(), "{text}");
    }
    look_through("a48e43ff268f4c0e879652d65e63d0fbin01");
}
