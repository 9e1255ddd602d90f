//! The fenced blocks of a document.

use crate::tool::text;

/// What stands between two fences.
#[derive(Clone, Debug)]
pub(super) struct Block {
    document: String,
    /// The line of its first fence, counted from 1.
    line: usize,
    /// The second-level heading above it.
    pub(super) heading: String,
    pub(super) language: String,
    pub(super) text: String,
    /// The command that this is an excerpt of: `<!-- of: COMMAND -->` on the line before.
    pub(super) of: Option<String>,
    /// What there is for its commands to read: `<!-- with: ESTATE -->` on the line before.
    pub(super) with: Option<String>,
}

impl Block {
    /// Those of a document of the checkout.
    pub(super) fn all(document: &str) -> Vec<Self> {
        Self::read(document, &text(document))
    }

    pub(super) fn read(document: &str, page: &str) -> Vec<Self> {
        let mut blocks = Vec::new();
        let mut open: Option<(Self, usize)> = None;
        let (mut heading, mut before) = (String::new(), "");
        for (at, line) in page.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(language)) => {
                    let note = before.strip_prefix("<!-- ").and_then(|it| it.strip_suffix(" -->"));
                    let noted = |key: &str| Some(note?.strip_prefix(key)?.to_owned());
                    let block = Self {
                        document: document.to_owned(),
                        line: at + 1,
                        heading: heading.clone(),
                        language: language.trim().to_owned(),
                        text: String::new(),
                        of: noted("of: "),
                        with: noted("with: "),
                    };
                    open = Some((block, line.len() - line.trim_start().len()));
                }
                (Some(_), Some("")) => blocks.extend(open.take().map(|(block, _)| block)),
                (Some((block, indent)), _) => {
                    block.text.push_str(line.get(*indent..).unwrap_or(line.trim_start()));
                    block.text.push('\n');
                }
                (None, None) if line.starts_with("## ") => line.clone_into(&mut heading),
                (None, None) => {}
            }
            if !line.trim().is_empty() {
                before = line.trim();
            }
        }
        assert!(open.is_none(), "{document}: a block has no end");
        blocks
    }

    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.document, self.line)
    }

    pub(super) fn document(&self) -> &str {
        &self.document
    }
}

#[test]
fn blocks_are_read_with_their_place_their_heading_and_what_they_are_of() {
    let page = "# A\n\n## B\n\n- c\n\n  <!-- with: h -->\n\n  ```console\n  $ d\n    e\n  ```\n\n<!-- of: f -g -->\n\n```json\n{}\n```\n";
    let blocks = Block::read("a.md", page);
    let told: Vec<_> = blocks
        .iter()
        .map(|it| {
            (
                it.place(),
                &*it.heading,
                &*it.language,
                &*it.text,
                it.of.as_deref(),
                it.with.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("a.md:9".to_owned(), "## B", "console", "$ d\n  e\n", None, Some("h")),
            ("a.md:16".to_owned(), "## B", "json", "{}\n", Some("f -g"), None),
        ]
    );
}
