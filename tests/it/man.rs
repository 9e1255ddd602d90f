//! The man page, as `groff` sets it.

use std::collections::BTreeSet;
use std::process::Stdio;

use clap::CommandFactory;
use clouddb_backup_exporter::cli::Arguments;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::running::{PATIENCE, PROGRAM};

/// The page as text, in lines that are wide enough for every word; with all warnings of `groff`.
async fn set() -> String {
    let page = Command::new(PROGRAM).arg("man").output().await.unwrap();
    assert!(page.status.success() && page.stderr.is_empty());
    let mut groff = Command::new("groff");
    groff.args(["-man", "-ww", "-Tascii", "-P-cbou", "-rLL=150n", "-rLT=150n", "-rHY=0"]);
    groff.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut groff = groff.spawn().expect("groff; tests/run installs it");
    groff.stdin.take().unwrap().write_all(&page.stdout).await.unwrap();
    let output = timeout(PATIENCE, groff.wait_with_output()).await.expect("it ends").unwrap();
    let warnings = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && warnings.is_empty(), "{warnings}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_man_page_names_every_command_and_every_flag_and_sets_without_a_warning() {
    let text = set().await;
    let words: BTreeSet<&str> =
        text.split(|c: char| c.is_whitespace() || ",[]|".contains(c)).collect();
    let mut command = Arguments::command();
    command.build();
    let commands: Vec<_> = command.get_subcommands().collect();
    assert!(commands.len() > 5);
    let mut count = 0;
    for command in std::iter::once(&command).chain(commands.iter().copied()) {
        if command.get_name() == "help" {
            continue;
        }
        assert!(words.contains(command.get_name()), "{}", command.get_name());
        for flag in command.get_arguments().filter_map(|argument| argument.get_long()) {
            // Where it is explained, and not only in the synopsis.
            let begins = |line: &str| {
                let line = line.trim_start();
                let line =
                    line.split_once(", ").filter(|it| it.0.len() == 2).map_or(line, |it| it.1);
                line.split(' ').next() == Some(format!("--{flag}").as_str())
            };
            assert!(text.lines().any(begins), "--{flag} in\n{text}");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

#[tokio::test]
async fn the_man_page_refers_to_no_page_that_there_is_not() {
    let text = set().await;
    let own = "clouddb-backup-exporter(8)";
    for word in
        text.split_whitespace().filter(|word| word.ends_with("(8)") || word.ends_with("(1)"))
    {
        assert_eq!(word, own);
    }
    assert!(text.contains(own));
    assert!(text.contains(env!("CARGO_PKG_VERSION")));
}
