//! `completions`: what makes a shell complete the command line.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::Arguments;

pub(super) fn text(shell: Shell) -> Vec<u8> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    // Into memory first: the library panics where it cannot write.
    let mut text = Vec::new();
    generate(shell, &mut command, name.clone(), &mut text);
    if shell == Shell::Bash { repaired(&text, &name).into_bytes() } else { text }
}

/// The library spells a name with hyphens in two ways, so that nothing behind a command is completed:
/// <https://github.com/clap-rs/clap/issues/6421>. Where it no longer does, nothing is replaced here.
fn repaired(script: &[u8], name: &str) -> String {
    let wrong = name.replace('-', "__subcmd__");
    String::from_utf8_lossy(script).replace(&wrong, &name.replace('-', "__"))
}
