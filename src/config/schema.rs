//! The JSON Schema of the config file, and from it the keys that a block can have.

pub(super) mod block;
pub(super) mod value;

use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::file;
use super::problem::{listed, quoted};

/// The JSON Schema (2020-12) of the config file, for editors and pipelines. What it refuses, the reader
/// refuses too, but for an address that is wrong and not used.
pub fn schema() -> Value {
    of::<file::Config>()
}

/// The schema of one block, with everything below it in place.
pub(super) fn of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(close))
        .with_transform(RecursiveTransform(polish))
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// What to say of a key that its block does not have. `schema` is that of the whole file.
pub(super) fn unknown_key(schema: &Value, path: &serde_ignored::Path<'_>) -> String {
    let (parent, key) = match path {
        serde_ignored::Path::Map { parent, key } => (*parent, key.as_str()),
        _ => (path, ""),
    };
    let known = part(schema, parent).and_then(|part| part.get("properties"));
    let known = known.and_then(Value::as_object).into_iter().flat_map(|keys| keys.keys());
    let known: Vec<&str> = known.map(String::as_str).collect();
    match nearest(key, known.iter().copied()) {
        Some(nearest) => format!("unknown key; did you mean {}?", quoted(nearest)),
        None if known.is_empty() => "unknown key; remove it".to_owned(),
        None => format!("unknown key; known here are {}", listed(known, "and")),
    }
}

/// The valid word that a mistyped one is most like, if any is like it.
pub(super) fn nearest<'a>(word: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&word, &other.to_lowercase());
    let near = |(distance, other): &(usize, &str)| *distance <= (other.chars().count() / 3).max(1);
    valid
        .into_iter()
        .filter(|other| word.len() <= 2 * other.len())
        .map(|other| (distance(other), other))
        .filter(near)
        .min()
        .map(|(_, other)| other)
}

/// The part of the schema that describes the block at a path.
fn part<'a>(schema: &'a Value, path: &serde_ignored::Path<'_>) -> Option<&'a Value> {
    use serde_ignored::Path;
    match path {
        Path::Root => Some(schema),
        Path::Seq { parent, .. } => part(schema, parent)?.get("items"),
        Path::Map { parent, key } => {
            let parent = part(schema, parent)?;
            let named = parent.get("properties").and_then(|keys| keys.get(key));
            named.or_else(|| parent.get("additionalProperties"))
        }
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => part(schema, parent),
    }
}

/// Tells editors what the reader does: a key that is not listed is an error.
fn close(schema: &mut Schema) {
    // What merely says which keys go together has no type.
    if schema.get("properties").is_some() && schema.get("type").is_some() {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
}

/// Leaves out how the source breaks its lines, and which type of Rust holds a number.
fn polish(schema: &mut Schema) {
    schema.remove("format");
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product;

    #[test]
    fn a_mistyped_word_finds_its_neighbour_and_a_strange_one_finds_none() {
        let valid = ["interval", "request_timeout", "concurrency"];
        assert_eq!(nearest("intervall", valid), Some("interval"));
        assert_eq!(nearest("Interval", valid), Some("interval"));
        assert_eq!(nearest("request-timeout", valid), Some("request_timeout"));
        assert_eq!(nearest("region", valid), None);
        assert_eq!(nearest(&"x".repeat(100_000), valid), None);
    }

    #[test]
    fn the_schema_has_a_block_for_each_product() {
        let schema = schema();
        let project = &schema["properties"]["projects"]["items"];
        for product in product::ALL {
            let endpoint = &project["properties"][product.name]["properties"]["endpoint"];
            assert!(endpoint.is_object(), "{schema:#}");
        }
        assert_eq!(project["additionalProperties"], false);
        assert_eq!(project["required"], json!(["name", "credentials"]));
    }

    #[test]
    fn descriptions_are_the_doc_comments() {
        let schema = schema();
        let interval = &schema["properties"]["projects"]["description"];
        assert_eq!(interval, "What is polled. At least one project.");
    }
}
