//! Blocks that show a part of what a command prints.

use serde_json::Value;

use super::block::Block;
use super::place::Place;
use super::{answer, server};

/// Whether it is a part of what its command prints here.
pub(super) fn hold(block: &Block, place: &mut Place) -> Result<(), String> {
    let Some(command) = &block.of else {
        return Err("nobody knows what it is an excerpt of: write `<!-- of: COMMAND -->` and an empty line before \
                    it"
            .to_owned());
    };
    place.configure(block.with.as_deref())?;
    let command = place.here(command);
    server::assume(&mut place.session, &command)?;
    let (_, said) = place.session.run(&command)?;
    let told = |error| format!("{command}\n{error}");
    if block.language == "text" {
        return answer::holds(&block.text, &said).map_err(told);
    }
    let shown: Value =
        serde_json::from_str(&block.text).map_err(|error| told(error.to_string()))?;
    let actual: Value =
        serde_json::from_str(&said).map_err(|error| told(format!("{error} in\n{said}")))?;
    contains(&actual, &shown, "").map_err(told)
}

/// Whether all that is shown is there. In lists it may be anywhere; a number with a fraction stands for any.
fn contains(actual: &Value, shown: &Value, path: &str) -> Result<(), String> {
    let is_there = match (actual, shown) {
        (Value::Object(actual), Value::Object(shown)) => {
            for (key, value) in shown {
                let path = format!("{path}.{key}");
                let its = actual.get(key).ok_or_else(|| format!("there is no {path}"))?;
                contains(its, value, &path)?;
            }
            true
        }
        (Value::Array(actual), Value::Array(shown)) => {
            for value in shown {
                let any = actual.iter().any(|it| contains(it, value, path).is_ok());
                if !any {
                    let near = actual.iter().find_map(|it| contains(it, value, path).err());
                    return Err(format!("{path}[] has no {value}; {}", near.unwrap_or_default()));
                }
            }
            true
        }
        (Value::String(actual), Value::String(shown)) => answer::is_like(shown, actual),
        (Value::Number(_), Value::Number(shown)) if shown.is_f64() => true,
        (actual, shown) => actual == shown,
    };
    if is_there { Ok(()) } else { Err(format!("{path} is {actual}")) }
}

#[test]
fn an_excerpt_is_a_part_of_the_whole() {
    let whole = serde_json::json!({ "a": [{ "b": "in01xyz", "c": 1 }, { "b": "d", "c": 7.25 }], "e": null });
    let is = |shown: Value| contains(&whole, &shown, "").is_ok();
    assert!(is(serde_json::json!({ "a": [{ "b": "in01…" }, { "c": 1.5 }] })));
    assert!(is(serde_json::json!({ "e": null })) && !is(serde_json::json!({ "f": null })));
    assert!(!is(serde_json::json!({ "a": [{ "b": "in01…", "c": 2 }] })));
    assert!(!is(serde_json::json!({ "a": [{ "b": "in02…" }] })));
}
