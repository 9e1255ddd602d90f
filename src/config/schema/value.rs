//! What the schema says of single values: as much of the rules as it can, and nothing that the reader
//! would let through.
//!
//! The patterns have no look-ahead, which not every validator knows.

use schemars::Schema;
use serde_json::{Value, json};

use crate::config::cloud;

/// A duration.
pub(in crate::config) fn duration(schema: &mut Schema) {
    add(schema, duration_terms());
}

/// A duration of a second or more.
pub(in crate::config) fn interval(schema: &mut Schema) {
    duration(schema);
    let not =
        json!({ "type": "string", "anyOf": [{ "pattern": TOO_LONG }, { "pattern": TOO_SHORT }] });
    add(schema, json!({ "not": not }));
}

/// A duration, or everything.
pub(in crate::config) fn lookback(schema: &mut Schema) {
    let mut kinds = vec![json!({ "const": "all" }), duration_terms()];
    if is_optional(schema) {
        kinds.push(json!({ "type": "null" }));
    }
    schema.remove("type");
    add(schema, json!({ "title": "duration or `all`", "anyOf": kinds }));
}

/// An objective: a duration, or none.
pub(super) fn max_age() -> Value {
    json!({ "title": "duration or `off`", "anyOf": [{ "const": "off" }, duration_terms()] })
}

/// Any text.
pub(in crate::config) fn word(schema: &mut Schema) {
    with_text(schema, json!({}));
}

/// A text that is not empty.
pub(in crate::config) fn text(schema: &mut Schema) {
    with_text(schema, json!({ "minLength": 1 }));
}

/// An id of the cloud.
pub(in crate::config) fn id(schema: &mut Schema) {
    with_text(schema, json!({ "title": "id", "pattern": "^[A-Za-z0-9_-]+$" }));
}

/// A path of a file.
pub(in crate::config) fn path(schema: &mut Schema) {
    with_text(schema, json!({ "title": "path of a file", "minLength": 1 }));
}

/// The name of an environment variable.
pub(in crate::config) fn variable(schema: &mut Schema) {
    with_text(schema, json!({ "title": "name of a variable", "minLength": 1 }));
}

/// A secret of which something is left without the newline at its end.
pub(in crate::config) fn secret(schema: &mut Schema) {
    with_text(schema, json!({ "title": "secret", "pattern": "[^\\r\\n]" }));
}

/// A secret that goes into a header.
pub(in crate::config) fn key(schema: &mut Schema) {
    with_text(schema, json!({ "title": "secret", "pattern": "^[!-~]+(\\r?\\n)?$" }));
}

/// The origin of an API.
pub(in crate::config) fn origin(schema: &mut Schema) {
    let pattern = format!("^{SCHEME}[^/?#@\\s]+/?$");
    add(schema, json!({ "title": "URL", "pattern": pattern }));
}

/// The address of IAM, which may have a path.
pub(in crate::config) fn identity(schema: &mut Schema) {
    let pattern = format!("^{SCHEME}[^/?#@\\s]+(/[^?#@\\s]*)?$");
    add(schema, json!({ "title": "URL", "pattern": pattern }));
}

/// An address that needs no leave to be without TLS.
pub(super) fn secure() -> Value {
    json!({ "pattern": "^[Hh][Tt][Tt][Pp]([Ss]://|://(localhost|127(\\.[0-9]+){3}|\\[::1\\])(:[0-9]+)?(/|$))" })
}

/// A cloud that is known.
pub(in crate::config) fn cloud(schema: &mut Schema) {
    let names = cloud::ALL.map(|cloud| Value::from(cloud.name));
    let none = is_optional(schema).then_some(Value::Null);
    schema.remove("type");
    add(schema, json!({ "enum": names.into_iter().chain(none).collect::<Vec<_>>() }));
}

/// Labels by name.
pub(in crate::config) fn labels(schema: &mut Schema) {
    let name = json!({ "minLength": 1 });
    add(schema, json!({ "propertyNames": name, "additionalProperties": { "type": TEXT } }));
}

/// A list of texts that are not empty.
pub(in crate::config) fn texts(schema: &mut Schema) {
    let text = json!({ "type": ["string", "number", "boolean"], "minLength": 1 });
    add(schema, json!({ "items": text }));
}

fn duration_terms() -> Value {
    json!({
        "title": "duration",
        "type": "string",
        "allOf": [{ "pattern": GRAMMAR }, { "pattern": "[1-9]" }],
        // A pattern holds for all that is no text.
        "not": { "type": "string", "pattern": TOO_LONG },
    })
}

/// Text, and what else YAML makes of a text without quotes, such as a name of digits only.
fn with_text(schema: &mut Schema, terms: Value) {
    add(schema, terms);
    let kinds = TEXT.iter().filter(|kind| **kind != "null" || is_optional(schema));
    let kinds: Vec<&str> = kinds.copied().collect();
    add(schema, json!({ "type": kinds }));
}

/// Adds the terms to the schema; a value that may be left out stays so.
fn add(schema: &mut Schema, terms: Value) {
    let optional = is_optional(schema);
    let Value::Object(terms) = terms else { return };
    for (key, value) in terms {
        let value = match value {
            Value::String(kind) if key == "type" && optional => json!([kind, "null"]),
            value => value,
        };
        schema.insert(key, value);
    }
}

/// Whether the value may be left empty.
fn is_optional(schema: &Schema) -> bool {
    let kinds = schema.get("type").and_then(Value::as_array);
    kinds.is_some_and(|kinds| kinds.contains(&json!("null")))
}

/// What a key of text can hold.
const TEXT: [&str; 4] = ["string", "number", "boolean", "null"];
/// Durations as Prometheus writes them.
const GRAMMAR: &str = "^([0-9]+(ms|s|m|h|d|w|y))+$";
/// Less than a second.
const TOO_SHORT: &str = "^0*[0-9]{1,3}ms$";
/// More years than can be counted.
const TOO_LONG: &str = "(^|[a-z])0*(29[3-9]|[3-9][0-9]{2}|[1-9][0-9]{3,})y";
const SCHEME: &str = "[Hh][Tt][Tt][Pp][Ss]?://";
