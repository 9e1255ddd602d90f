//! What the fuzzer throws, at every run: the seeds in `fuzz/seeds`, by the same functions. A build for
//! the fuzzer takes minutes, so that only `fuzz/run` makes one.

#![allow(unreachable_pub, reason = "for the fuzzer what is thrown is a library")]

use std::cell::Cell;
use std::fs;
use std::panic::{self, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::exposition;

#[path = "../../fuzz/src/clouds.rs"]
mod clouds;
#[path = "../../fuzz/src/config.rs"]
mod config;
#[path = "../../fuzz/src/duration.rs"]
mod duration;
#[path = "../../fuzz/src/listener.rs"]
mod listener;
#[path = "../../fuzz/src/listing.rs"]
mod listing;
#[path = "../../fuzz/src/refusal.rs"]
mod refusal;
#[path = "../../fuzz/src/time.rs"]
mod time;
#[path = "../../fuzz/src/web_config.rs"]
mod web_config;

/// A name, what throws, and where there are seeds besides its own.
type Target = (&'static str, fn(&[u8]), Option<&'static str>);

/// Each target of `fuzz/Cargo.toml`.
const TARGETS: [Target; 8] = [
    ("clouds", clouds::throw, None),
    ("config", config::throw, Some("tests/data/bad-config")),
    ("duration", duration::throw, None),
    ("listener", listener::throw, None),
    ("listing", listing::throw, Some("tests/data/listings")),
    ("refusal", refusal::throw, None),
    ("time", time::throw, None),
    ("web_config", web_config::throw, Some("tests/data/bad-web-config")),
];

fn seeds(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the panics of each thread: one of a task does not end its thread.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
}

#[test]
fn no_seed_of_the_fuzzer_breaks_what_its_target_promises() {
    count_panics();
    for (target, throw, more) in TARGETS {
        let own = seeds(&format!("fuzz/seeds/{target}"));
        assert!(!own.is_empty(), "{target}");
        for seed in own.into_iter().chain(more.into_iter().flat_map(seeds)) {
            throw(&fs::read(&seed).unwrap());
            assert_eq!(PANICS.get(), 0, "{}", seed.display());
        }
    }
}

#[test]
fn every_target_of_the_fuzzer_is_among_those_of_this_test() {
    let manifest = fs::read_to_string("fuzz/Cargo.toml").unwrap();
    let (_, bins) = manifest.split_once("[[bin]]").unwrap();
    let names = bins.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    assert_eq!(names, TARGETS.map(|(name, ..)| name));
    for name in names {
        let target = fs::read_to_string(format!("fuzz/fuzz_targets/{name}.rs")).unwrap();
        assert!(target.contains(&format!("thrown::{name}::throw(bytes)")), "{target}");
    }
}
