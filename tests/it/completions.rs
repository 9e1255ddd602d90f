//! What `completions` prints, in the shells that are there.

use std::fs;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::running::{PATIENCE, PROGRAM};

async fn stdout(command: &mut Command) -> String {
    let output = timeout(PATIENCE, command.kill_on_drop(true).output());
    let output = output.await.expect("it ends").unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

async fn script(shell: &str) -> String {
    stdout(Command::new(PROGRAM).args(["completions", shell])).await
}

/// What a bash that has read the script offers after these words, the last of which is begun.
async fn offered(words: &[&str]) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("completions");
    fs::write(&file, script("bash").await).unwrap();
    // As the shell does it when Tab is pressed: the function that is registered, by its variables.
    let ask = r#"
        source "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
        function=$(complete -p "$1" | sed -E 's/.* -F ([^ ]+) .*/\1/')
        "$function" "$1" "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", ask, "bash"]).arg(&file).arg("clouddb-backup-exporter").args(words);
    stdout(&mut bash).await.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_completes_commands_flags_and_their_words() {
    assert_eq!(offered(&["ch"]).await, ["check"]);
    assert_eq!(offered(&["sc"]).await, ["schema"]);
    assert_eq!(offered(&["check", "--li"]).await, ["--live"]);
    assert_eq!(offered(&["--config.f"]).await, ["--config.file"]);
    assert_eq!(offered(&["--log.level", "w"]).await, ["warn"]);
    assert_eq!(offered(&["completions", "po"]).await, ["powershell"]);
}

#[tokio::test]
async fn each_shell_has_a_script_of_its_own_that_names_every_command() {
    let mut seen = Vec::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = script(shell).await;
        for word in [
            "check",
            "completions",
            "demo",
            "explain",
            "gate",
            "man",
            "plan",
            "schema",
            "serve",
            "config.file",
        ] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
        assert!(!seen.contains(&script), "{shell}");
        seen.push(script);
    }
}

#[tokio::test]
async fn a_shell_that_is_not_known_is_told_which_are() {
    let output = Command::new(PROGRAM).args(["completions", "dash"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("dash"), "{errors}");
    assert!(errors.contains("--help"), "{errors}");
}
