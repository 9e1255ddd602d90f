//! Text to file structs, once: syntax and type errors stop it, unknown and repeated keys do not.

use std::cell::LazyCell;
use std::path::Path;

use schemars::JsonSchema;
use secrecy::zeroize::Zeroizing;
use serde::de::DeserializeOwned;

use super::position::{self, Index, Kind};
use super::problem::{Position, Problem, Severity};
use super::report::Report;
use super::schema;

/// Reads the text, and notes unknown and repeated keys in the report that comes with it. An error
/// of syntax or type comes alone.
pub(super) fn parse<T>(text: &str, file: &Path) -> Result<(T, Report), Problem>
where
    T: Default + DeserializeOwned + JsonSchema,
{
    let problem = |position, path: &str, message| Problem {
        severity: Severity::Error,
        file: file.to_owned(),
        position: Some(position),
        path: path.to_owned(),
        message,
    };
    let start = Position { line: 1, column: 1 };
    if text.len() > MAX_BYTES {
        return Err(problem(start, "", "the file is larger than 1 MiB".to_owned()));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let index = Index::new(text).map_err(|error| {
        problem(error.at, "", format!("cannot read this as YAML: {}", error.message))
    })?;
    let renamed = index.without_duplicates(text).map(Zeroizing::new);
    let readable = renamed.as_ref().map_or(text, |text| text.as_str());
    let mut unknown = Vec::new();
    let config = if index.root() == Kind::Nothing {
        T::default()
    } else {
        read(readable, &mut unknown).map_err(|error| {
            let place = error.location();
            let place = place.map_or(start, |at| Position { line: at.line(), column: at.column() });
            let (path, found) =
                index.at(place).map_or(("", None), |(path, kind)| (path, Some(kind)));
            problem(place, path, type_error(&error, found))
        })?
    };
    let mut report = Report::new(file, index);
    report.repeated_keys();
    for (path, message) in unknown {
        report.error_at_key(&path, message);
    }
    Ok((config, report))
}

/// Reads the structs, and collects the path of each unknown key and what to say of it.
fn read<T>(text: &str, unknown: &mut Vec<(String, String)>) -> Result<T, serde_yaml::Error>
where
    T: DeserializeOwned + JsonSchema,
{
    let schema = LazyCell::new(schema::of::<T>);
    serde_ignored::deserialize(serde_yaml::Deserializer::from_str(text), |path| {
        unknown.push((written(&path), schema::unknown_key(&schema, &path)));
    })
}

/// The path in the form of the messages.
fn written(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => position::item(&written(parent), *index),
        Path::Map { parent, key } => position::child(&written(parent), key),
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => written(parent),
    }
}

/// Says what was expected and what kind of thing is there. The text of the error itself repeats the
/// value, which may be a secret that slipped by an indentation, so only its known endings are used.
fn type_error(error: &serde_yaml::Error, found: Option<Kind>) -> String {
    let text = error.to_string();
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| expected);
    let expected = expected.map(|expected| {
        expected.rsplit_once(" at line ").map_or(expected, |(expected, _)| expected)
    });
    let expected = match expected {
        Some("a string") => "text",
        Some("a map") => "a block of keys",
        Some(expected) if expected.starts_with("struct ") => "a block of keys",
        Some("a sequence") => "a list",
        Some("u64" | "an integer") => WHOLE,
        Some("f64" | "a float") => "a number",
        Some("a boolean") => "`true` or `false`",
        _ => {
            return "cannot read this; check the indentation, the quotes and the kind of value"
                .to_owned();
        }
    };
    let found = match found {
        None => return format!("must be {expected}"),
        Some(Kind::Alias) => "an alias of something else",
        Some(Kind::Block) => "a block of keys",
        Some(Kind::Flag) => "`true` or `false`",
        Some(Kind::List) => "a list",
        Some(Kind::Nothing) => "nothing",
        Some(Kind::Number) if expected == WHOLE => return format!("must be {WHOLE}, 0 or more"),
        Some(Kind::Number) => "a number",
        Some(Kind::Text) => "text",
    };
    format!("must be {expected}, not {found}")
}

const WHOLE: &str = "a whole number";
/// As large as a config can be; it is read whole.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
