//! What cannot be run as a document has it typed, since it needs a machine, a cluster or hours of its own.

use super::block::Block;
use crate::tool::text;

/// Run by another test as it stands in the document: the document, the heading or how the command begins,
/// the test, and what that must hold for this to be true.
#[rustfmt::skip]
const TESTED: &[(&str, &str, &str, &str)] = &[
    ("docs/alerts.md", "promtool test rules tests/deploy/rules/*.yml", "tests/deploy/rules.rs", ".args([\"test\", \"rules\""),
    ("docs/install.md", "helm upgrade --install backups", "tests/deploy/chart/guide.rs", "helm upgrade --install backups"),
    ("docs/install.md", "podman build ", "tests/deploy/image.rs", "command(DOCUMENT, SECTION, \"podman build \")"),
    ("docs/install.md", "podman run ", "tests/deploy/image.rs", "command(DOCUMENT, SECTION, \"podman run \")"),
    ("docs/install.md", "podman exec ", "tests/deploy/image.rs", "documented(&engine, \"podman exec \")"),
    ("docs/install.md", "podman kill --signal=HUP ", "tests/deploy/image.rs", "documented(&engine, \"podman kill --signal=HUP \")"),
    ("docs/install.md", "podman stop ", "tests/deploy/image.rs", "documented(&engine, \"podman stop \")"),
    ("docs/install.md", "## systemd", "tests/deploy/systemd.rs", "commands(DOCUMENT, \"## systemd\")"),
    ("docs/security.md", "CLOUDDB_TEST_SLOWHTTPTEST=", "tests/it/limits.rs", "CLOUDDB_FULL_LOAD"),
];

/// Not run by any test.
#[rustfmt::skip]
const NOT: &[(&str, &str, &str)] = &[
    ("README.md", "tests/run", "it is what runs this"),
    ("benches/README.md", "", "they measure, for minutes, on a machine that does nothing else"),
    ("docs/first-alert.md", "cargo build --release --locked", "it takes minutes; the tests have the program"),
    ("docs/first-alert.md", "sudo ", "they change the machine; `tests/run` gets the same packages"),
    ("fuzz/README.md", "fuzz/run", "a build for fuzzing takes minutes; tests/it/thrown.rs throws the seeds"),
];

/// Whether it is run elsewhere, or why it is not. An error says what is not true of that.
pub(super) fn is_told(block: &Block, command: &str) -> Result<bool, String> {
    let is_it = |document: &str, what: &str| {
        document == block.document()
            && if what.starts_with("## ") {
                block.heading == what
            } else {
                command.starts_with(what)
            }
    };
    if NOT.iter().any(|(document, what, _)| is_it(document, what)) {
        return Ok(true);
    }
    let Some((.., test, held)) = TESTED.iter().find(|(document, what, ..)| is_it(document, what))
    else {
        return Ok(false);
    };
    if text(test).contains(held) {
        Ok(true)
    } else {
        Err(format!("{test} should run it, and has no {held:?}"))
    }
}

#[test]
fn nothing_is_excused_that_no_document_has() {
    let all = TESTED.iter().map(|(document, what, ..)| (document, what));
    for (document, what) in all.chain(NOT.iter().map(|(document, what, _)| (document, what))) {
        assert!(text(document).contains(what), "{what:?} is not in {document}");
    }
}
