//! `man`: the man page, one for all commands.

use std::io;

use clap::{Arg, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::cli::Arguments;

pub(super) fn text() -> io::Result<Vec<u8>> {
    let mut command = Arguments::command();
    command.build();
    let mut commands = Roff::new();
    commands.control("SH", ["COMMANDS"]);
    // The library would refer to a page for each.
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let own: Vec<&Arg> = command.get_arguments().filter(|it| is_own(it)).collect();
        let mut synopsis = vec![bold(command.get_name())];
        for argument in &own {
            synopsis.extend([roman(" "), italic(written(argument))]);
        }
        commands.control("TP", []).text(synopsis);
        commands.text([roman(help(command.get_long_about().or(command.get_about())))]);
        commands.control("RS", []);
        for argument in own {
            commands.control("TP", []).text([bold(written(argument))]);
            commands.text([roman(help(argument.get_long_help().or(argument.get_help())))]);
        }
        commands.control("RE", []);
    }
    let page = Man::new(command).section("8").source(env!("CARGO_PKG_VERSION"));
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    commands.to_writer(&mut text)?;
    page.render_options_section(&mut text)?;
    page.render_version_section(&mut text)?;
    Ok(text)
}

/// Whether it belongs to its command alone.
fn is_own(argument: &Arg) -> bool {
    !argument.is_global_set() && !["help", "version"].contains(&argument.get_id().as_str())
}

fn written(argument: &Arg) -> String {
    match argument.get_long() {
        Some(flag) => format!("--{flag}"),
        None => argument.get_id().as_str().to_uppercase(),
    }
}

fn help(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}
