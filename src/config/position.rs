//! One pass over the events of a YAML text: where each key and value stands, and which key stands
//! twice. Knows nothing of what the keys mean.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::problem::{Position, shown};

/// The places of a text, by path.
#[derive(Debug, Default)]
pub(super) struct Index {
    nodes: BTreeMap<String, Node>,
    /// Keys that stand in their block for the second time or more.
    pub(super) duplicates: Vec<Duplicate>,
}

/// Where one value stands.
#[derive(Debug)]
struct Node {
    key: Option<Position>,
    value: Position,
    kind: Kind,
}

/// What the text has at a place, in the words of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Alias,
    Block,
    Flag,
    List,
    Nothing,
    Number,
    Text,
}

/// A key that stands in its block again.
#[derive(Debug)]
pub(super) struct Duplicate {
    pub(super) path: String,
    pub(super) at: Position,
    pub(super) first: Position,
    /// The characters of the key.
    span: Range<usize>,
}

/// Why the events end early. The words come from the parser or from here, never from the text.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) at: Position,
    pub(super) message: String,
}

impl Index {
    /// Reads the text once.
    pub(super) fn new(text: &str) -> Result<Self, SyntaxError> {
        let mut builder = Builder::default();
        for event in Parser::new_from_str(text) {
            match event {
                Ok((event, span)) => builder.take(&event, span)?,
                Err(error) => {
                    return Err(SyntaxError {
                        at: position(error.marker()),
                        // The one text of the parser that repeats what it read.
                        message: match error.info() {
                            info if info.starts_with("unexpected character") => {
                                "unexpected character".to_owned()
                            }
                            info => shown(info),
                        },
                    });
                }
            }
        }
        Ok(builder.index)
    }

    /// What stands at the top of the file.
    pub(super) fn root(&self) -> Kind {
        self.nodes.get("").map_or(Kind::Nothing, |node| node.kind)
    }

    /// The place of a value; that of the enclosing block if there is none.
    pub(super) fn value(&self, path: &str) -> Position {
        match self.nodes.get(path) {
            Some(Node { kind: Kind::Nothing, key: Some(key), .. }) => *key,
            Some(node) => node.value,
            None => self.key(parent(path)),
        }
    }

    /// The place of a key; of an item of a list, which has none, that of the item.
    pub(super) fn key(&self, path: &str) -> Position {
        match self.nodes.get(path) {
            Some(node) => node.key.unwrap_or(node.value),
            None if path.is_empty() => Position { line: 1, column: 1 },
            None => self.key(parent(path)),
        }
    }

    /// The value that begins at a place.
    pub(super) fn at(&self, place: Position) -> Option<(&str, Kind)> {
        let mut nodes = self.nodes.iter();
        nodes.find(|(_, node)| node.value == place).map(|(path, node)| (path.as_str(), node.kind))
    }

    /// The text with every repeated key renamed to one that nobody uses, at the same places. So a
    /// reader that stops at a repeated key can read on. None if no key is repeated.
    pub(super) fn without_duplicates(&self, text: &str) -> Option<String> {
        if self.duplicates.is_empty() {
            return None;
        }
        let mut spans = self.duplicates.iter().map(|duplicate| &duplicate.span).peekable();
        let mut renamed = String::with_capacity(text.len());
        for (at, character) in text.chars().enumerate() {
            while spans.next_if(|span| span.end <= at).is_some() {}
            renamed.push(match spans.peek() {
                Some(span) if span.start == at => REPEATED,
                Some(span) if span.contains(&at) && character != '\n' => ' ',
                _ => character,
            });
        }
        Some(renamed)
    }
}

/// Whether a path leads through a repeated key, about which enough is said.
pub(super) fn is_repeated(path: &str) -> bool {
    path.contains(REPEATED)
}

/// The path of a key of the block `path`.
pub(super) fn child(path: &str, key: &str) -> String {
    let key = match key {
        "" => "\"\"".to_owned(),
        key if key.starts_with(REPEATED) => REPEATED.to_string(),
        key => shown(key),
    };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// The path of an item of the list `path`.
pub(super) fn item(path: &str, at: usize) -> String {
    format!("{path}[{at}]")
}

fn parent(path: &str) -> &str {
    path.rfind(['.', '[']).and_then(|end| path.get(..end)).unwrap_or_default()
}

#[derive(Default)]
struct Builder {
    index: Index,
    open: Vec<Frame>,
    documents: usize,
}

/// A block or list that is not at its end yet.
struct Frame {
    path: String,
    is_key: bool,
    inside: Inside,
}

enum Inside {
    Block { key: Option<(String, Position)>, seen: HashMap<String, Position> },
    List { next: usize },
}

impl Builder {
    fn take(&mut self, event: &Event<'_>, span: Span) -> Result<(), SyntaxError> {
        let at = position(&span.start);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a config is one document; remove what follows `---`".to_owned();
                    return Err(SyntaxError { at, message });
                }
            }
            Event::Scalar(text, style, ..) => {
                if let Some(key) = self.awaits_key() {
                    if text.starts_with(REPEATED) {
                        let message = "a key cannot begin with U+E000".to_owned();
                        return Err(SyntaxError { at, message });
                    }
                    let duplicate = key.take(text, at, span);
                    self.index.duplicates.extend(duplicate);
                } else {
                    self.value(at, kind(text, *style));
                }
            }
            Event::Alias(_) => {
                if let Some(key) = self.awaits_key() {
                    key.take_unnamed(at);
                } else {
                    self.value(at, Kind::Alias);
                }
            }
            Event::MappingStart(..) => {
                let inside = Inside::Block { key: None, seen: HashMap::new() };
                self.open(at, Kind::Block, inside)?;
            }
            Event::SequenceStart(..) => self.open(at, Kind::List, Inside::List { next: 0 })?,
            Event::MappingEnd | Event::SequenceEnd => {
                let is_key = self.open.pop().is_some_and(|frame| frame.is_key);
                if is_key && let Some(key) = self.awaits_key() {
                    key.take_unnamed(at);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The open block, if a key of it comes next.
    fn awaits_key(&mut self) -> Option<&mut Frame> {
        let frame = self.open.last_mut()?;
        matches!(frame.inside, Inside::Block { key: None, .. }).then_some(frame)
    }

    fn open(&mut self, at: Position, kind: Kind, inside: Inside) -> Result<(), SyntaxError> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("a config is not nested more than {MAX_DEPTH} deep");
            return Err(SyntaxError { at, message });
        }
        let is_key = self.awaits_key().is_some();
        let path = if is_key { UNNAMED.to_owned() } else { self.value(at, kind) };
        self.open.push(Frame { path, is_key, inside });
        Ok(())
    }

    /// Notes the value that comes next and gives its path.
    fn value(&mut self, at: Position, kind: Kind) -> String {
        let (path, key) = match self.open.last_mut() {
            None => (String::new(), None),
            Some(Frame { path, inside: Inside::List { next }, .. }) => {
                *next += 1;
                (item(path, *next - 1), None)
            }
            Some(Frame { inside: Inside::Block { key, .. }, .. }) => {
                key.take().map_or_else(Default::default, |(path, at)| (path, Some(at)))
            }
        };
        self.index.nodes.insert(path.clone(), Node { key, value: at, kind });
        path
    }
}

impl Frame {
    /// Takes a key; one that the block has already is given back as a duplicate.
    fn take(&mut self, name: &str, at: Position, span: Span) -> Option<Duplicate> {
        let Inside::Block { key, seen } = &mut self.inside else { return None };
        let path = child(&self.path, name);
        if let Some(first) = seen.get(name) {
            *key = Some((child(&self.path, &REPEATED.to_string()), at));
            let span = span.start.index()..span.end.index();
            return Some(Duplicate { path, at, first: *first, span });
        }
        seen.insert(name.to_owned(), at);
        *key = Some((path, at));
        None
    }

    /// A key that is no plain word, which no block of a config has.
    fn take_unnamed(&mut self, at: Position) {
        if let Inside::Block { key, .. } = &mut self.inside {
            *key = Some((child(&self.path, UNNAMED), at));
        }
    }
}

fn position(marker: &saphyr_parser::Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

fn kind(text: &str, style: ScalarStyle) -> Kind {
    match text {
        _ if style != ScalarStyle::Plain => Kind::Text,
        "" | "~" | "null" | "Null" | "NULL" => Kind::Nothing,
        "true" | "false" => Kind::Flag,
        text if text.contains(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok() => {
            Kind::Number
        }
        _ => Kind::Text,
    }
}

/// Stands for a repeated key: of the private use area, and refused as the begin of a key.
const REPEATED: char = '\u{e000}';
const UNNAMED: &str = "?";
/// Twice what the deepest key of a config needs. Paths grow with the depth.
const MAX_DEPTH: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: usize, column: usize) -> Position {
        Position { line, column }
    }

    const TEXT: &str = "\
poll:
  interval: 5s
projects:
  - name: shop
    rds:
      instances: [{ id: a }, { id: '' }]
    ddm:
";

    #[test]
    fn values_and_keys_are_found_by_path() {
        let index = Index::new(TEXT).unwrap();
        assert_eq!(index.value("poll.interval"), at(2, 13));
        assert_eq!(index.key("poll.interval"), at(2, 3));
        assert_eq!(index.value("projects[0].rds.instances[1].id"), at(6, 36));
        assert_eq!(index.key("projects[0]"), at(4, 5));
        assert_eq!(index.root(), Kind::Block);
    }

    #[test]
    fn what_is_not_there_is_at_the_block_that_lacks_it() {
        let index = Index::new(TEXT).unwrap();
        assert_eq!(index.value("projects[0].project_id"), at(4, 5));
        assert_eq!(index.value("projects[0].rds.endpoint"), at(5, 5));
        assert_eq!(index.value("projects[0].ddm"), at(7, 5));
        assert_eq!(index.value("projects[0].ddm.endpoint"), at(7, 5));
        assert_eq!(index.value("credentials"), at(1, 1));
    }

    #[test]
    fn a_repeated_key_is_found_in_blocks_of_both_forms_and_renamed_in_place() {
        let text = "a:\n  id: 1\n  \"id\" : 2\nb: { é: 1, é: 2 }\n? [x]\n: 1\n";
        let index = Index::new(text).unwrap();
        let found: Vec<_> =
            index.duplicates.iter().map(|d| (d.path.as_str(), d.at, d.first)).collect();
        assert_eq!(found, [("a.id", at(3, 3), at(2, 3)), ("b.é", at(4, 12), at(4, 6))]);
        assert_eq!(
            index.without_duplicates(text).unwrap(),
            "a:\n  id: 1\n  \u{e000}    : 2\nb: { é: 1, \u{e000}: 2 }\n? [x]\n: 1\n"
        );
    }

    #[test]
    fn depth_and_documents_are_limited() {
        let deep = Index::new(&format!("{}{}", "[".repeat(100), "]".repeat(100)));
        assert_eq!(deep.unwrap_err().at, at(1, 25));
        assert!(Index::new(&"[".repeat(100_000)).is_err());
        assert!(Index::new(&"- ".repeat(100_000)).is_err());
        let second = Index::new("a: 1\n---\nb: 2\n").unwrap_err();
        assert_eq!(second.at, at(2, 1));
        // Else nothing would be said of an unknown key of that name.
        let reserved = Index::new("a: { \u{e000}: 1 }").unwrap_err();
        assert_eq!(reserved.at, at(1, 6));
    }
}
