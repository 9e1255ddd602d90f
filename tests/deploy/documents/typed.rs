//! What a block has the reader type, and what it shows as the answer.

use super::block::Block;
use crate::tool::run;

/// One command.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Typed {
    pub(super) command: String,
    /// The lines that are shown as its answer; without any, nothing is said about it.
    pub(super) answer: Vec<String>,
}

/// The commands of a block: in `console` those behind `$ `, in `sh` all lines.
pub(super) fn commands(block: &Block) -> Vec<Typed> {
    let mut all: Vec<Typed> = Vec::new();
    let is_console = block.language == "console";
    for line in block.text.lines() {
        let begun = all.last_mut().filter(|it| it.answer.is_empty() && !is_whole(&it.command));
        let typed = if is_console { line.strip_prefix("$ ") } else { Some(line) };
        match (begun, typed) {
            (Some(begun), _) => begun.command.push_str(&format!("\n{line}")),
            (None, Some(typed)) if typed.trim().is_empty() || typed.starts_with('#') => {}
            (None, Some(typed)) => {
                all.push(Typed { command: typed.to_owned(), answer: Vec::new() });
            }
            (None, None) => {
                let last = all.last_mut();
                let last = last.unwrap_or_else(|| panic!("{}: no `$ ` before it", block.place()));
                last.answer.push(line.to_owned());
            }
        }
    }
    all
}

/// Whether the shell would begin to run it, or wait for more lines.
fn is_whole(command: &str) -> bool {
    if !command.contains(['\'', '"', '\\', '<', '(', '{']) {
        return true;
    }
    let (output, told) = run(std::process::Command::new("bash").args(["-n", "-c", command]));
    output.status.success() && told.is_empty() && !command.ends_with('\\')
}

#[test]
fn a_command_goes_on_until_the_shell_has_all_of_it() {
    let page = "```console\n$ a 'b\n  c' # d\ne\n\nf\n$ g\n```\n\n```sh\n# h\ncat > i <<'E'\nj\nE\nk \\\n  l\n\nm\n```\n";
    let typed = |command: &str, answer: &[&str]| Typed {
        command: command.to_owned(),
        answer: answer.iter().map(|it| (*it).to_owned()).collect(),
    };
    let blocks = Block::read("a.md", page);
    assert_eq!(commands(&blocks[0]), [typed("a 'b\n  c' # d", &["e", "", "f"]), typed("g", &[])]);
    let expected = [typed("cat > i <<'E'\nj\nE", &[]), typed("k \\\n  l", &[]), typed("m", &[])];
    assert_eq!(commands(&blocks[1]), expected);
}
