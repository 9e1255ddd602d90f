//! `completions`: what makes a shell complete the command line.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::Arguments;

pub(super) fn text(shell: Shell) -> Vec<u8> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    // Into memory first: the library panics where it cannot write.
    let mut text = Vec::new();
    generate(shell, &mut command, name, &mut text);
    text
}
