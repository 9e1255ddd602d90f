//! Tells the program its commit and its compiler.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    // A container build has no repository, and gives the commit by this variable.
    println!("cargo::rerun-if-env-changed=CLOUDDB_REVISION");
    let revision = env::var("CLOUDDB_REVISION").ok().or_else(revision);
    println!(
        "cargo::rustc-env=CLOUDDB_BUILD_REVISION={}",
        revision.as_deref().unwrap_or("unknown")
    );

    let rustc = env::var("RUSTC").ok().and_then(|rustc| answer(&rustc, &["--version"]));
    let version = rustc.as_deref().and_then(|text| text.split(' ').nth(1));
    println!("cargo::rustc-env=CLOUDDB_BUILD_RUSTC={}", version.unwrap_or("unknown"));
}

fn revision() -> Option<String> {
    // Made anew whenever HEAD moves; without the log of HEAD (a bare export) there is nothing to
    // follow.
    let log = answer("git", &["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    answer("git", &["rev-parse", "--short=12", "HEAD"])
}

fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
