//! The programs that `tests/run` gets, and the files they are given.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A file of the checkout.
pub(crate) fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the checkout.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(checkout(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A program below `.tools`, run from the root of the checkout.
pub(crate) fn tool(path: &str) -> Command {
    let program = checkout(".tools").join(path);
    assert!(program.exists(), "{}: tests/run gets it", program.display());
    let mut command = Command::new(program);
    command.current_dir(checkout(""));
    command
}

/// What the program printed, both ways; panics with it if the program failed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let (output, text) = run(command);
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}

/// How it ended, and what it printed, both ways.
pub(crate) fn run(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it)).concat();
    (output, text)
}
