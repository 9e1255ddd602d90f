//! What the documents tell the reader to type.

use crate::tool::text;

/// The commands of the fenced `sh` blocks below a heading, each on one line.
pub(crate) fn commands(file: &str, heading: &str) -> Vec<String> {
    let text = text(file).replace("\\\n", " ");
    let begin =
        text.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading} in {file}"));
    let level = heading.split(' ').next().unwrap();
    let section = &text[begin + 1 + heading.len()..];
    let section = &section[..section.find(&format!("\n{level} ")).unwrap_or(section.len())];
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(words).filter(|line| !line.is_empty()).collect()
}

/// The one command of a section that begins like this.
pub(crate) fn command(file: &str, heading: &str, begin: &str) -> String {
    let mut found = commands(file, heading);
    found.retain(|command| command.starts_with(begin));
    assert_eq!(found.len(), 1, "`{begin}` below `{heading}` in {file}: {found:?}");
    found.remove(0)
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
