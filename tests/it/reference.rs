//! The reference of the config in the docs, made from the schema.

use std::fmt::Write;
use std::fs;

use clouddb_backup_exporter::config;
use serde_json::{Map, Value};

const FILE: &str = "docs/configuration.md";
/// What stands below it is made here.
const MARK: &str = "<!-- Made from the schema by the tests, with CLOUDDB_UPDATE_DOCS=1. -->\n";

/// The tables of a block and of the blocks in it.
fn tables(path: &str, block: &Value, text: &mut String) {
    let heading = if path.is_empty() { "The file".to_owned() } else { format!("`{path}`") };
    writeln!(text, "\n## {heading}\n\n{}\n", meaning(block, false).0).unwrap();
    if let Some(ways) = block["oneOf"].as_array() {
        let ways: Vec<&str> = ways.iter().map(|way| way["title"].as_str().unwrap()).collect();
        writeln!(text, "It signs in in exactly one way: {}.\n", ways.join(", ")).unwrap();
    }
    text.push_str("| key | meaning | value | default |\n|---|---|---|---|\n");
    let required: Vec<&str> =
        block["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let keys = block["properties"].as_object().unwrap();
    for (key, value) in keys {
        let (meaning, default) = meaning(value, required.contains(&key.as_str()));
        let kind = kind(value);
        assert!(!meaning.contains('|') && !default.contains('|'), "{key} would break its table");
        writeln!(text, "| `{key}` | {meaning} | {kind} | {default} |").unwrap();
    }
    for (key, value) in keys {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if value["items"]["properties"].is_object() {
            tables(&format!("{path}[]"), &value["items"], text);
        } else if value["additionalProperties"]["properties"].is_object() {
            tables(&format!("{path}.NAME"), &value["additionalProperties"], text);
        } else if value["properties"].is_object() && types_of(value).is_none() {
            tables(&path, value, text);
        }
    }
}

/// What the key means, and what holds without it.
fn meaning(schema: &Value, is_required: bool) -> (String, String) {
    let text = schema["description"].as_str().unwrap_or_default();
    let (text, told) = match text.split_once(" Default: ") {
        Some((text, told)) => (text, Some(told.trim_end_matches('.'))),
        None => (text, None),
    };
    let of_types: Vec<String> = types_of(schema)
        .into_iter()
        .flatten()
        .filter_map(|(name, age)| Some(format!("`{name}: {}`", age["default"].as_str()?)))
        .collect();
    let default = match (&schema["default"], told) {
        _ if is_required => "required".to_owned(),
        (Value::String(default), _) => format!("`{default}`"),
        (Value::Null, Some(told)) => told.to_owned(),
        (Value::Null, None) if of_types.is_empty() => "none".to_owned(),
        (Value::Null, None) => of_types.join(", "),
        (default, _) => format!("`{default}`"),
    };
    (text.to_owned(), default)
}

/// The backup types of a block of objectives.
fn types_of(schema: &Value) -> Option<&Map<String, Value>> {
    let types = schema["properties"].as_object()?;
    types.values().all(|it| it["description"].is_null()).then_some(types)
}

/// What can be written there.
fn kind(schema: &Value) -> String {
    if let Some(types) = types_of(schema) {
        let names: Vec<String> = types.keys().map(|name| format!("`{name}`")).collect();
        let value = types.values().next().map(kind).unwrap_or_default();
        return format!("of {}: {value}", names.join(", "));
    }
    if let Some(title) = schema["title"].as_str() {
        return title.to_owned();
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> =
            words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        return words.join(" or ");
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let kind = kinds.first().and_then(Value::as_str).unwrap_or_default();
    let limits = || format!("from {} to {}", schema["minimum"], schema["maximum"]);
    match kind {
        "array" if schema["items"]["properties"].is_object() => "list of blocks, below".to_owned(),
        "array" => "list of texts".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "integer" => format!("whole number {}", limits()),
        "number" => format!("number {}", limits()),
        "object" if schema["properties"].is_object() => "block, below".to_owned(),
        "object" if schema["additionalProperties"]["properties"].is_object() => {
            "blocks by name, below".to_owned()
        }
        "object" => "texts by name".to_owned(),
        "string" => "text".to_owned(),
        other => panic!("nothing says how to write {other:?}: {schema}"),
    }
}

#[test]
fn the_reference_has_every_key_as_the_schema_has_it() {
    let text = fs::read_to_string(FILE).unwrap();
    let (written, kept) = text.split_once(MARK).expect("the mark");
    let mut made = String::new();
    tables("", &config::schema(), &mut made);
    if std::env::var_os("CLOUDDB_UPDATE_DOCS").is_some() {
        fs::write(FILE, format!("{written}{MARK}{made}")).unwrap();
        return;
    }
    assert_eq!(
        kept, made,
        "run the tests once with CLOUDDB_UPDATE_DOCS=1 to write the tables anew"
    );
}
