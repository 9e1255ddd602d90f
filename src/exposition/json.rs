//! The exposition as JSON: made of its text, so that both say the same.

use std::collections::BTreeMap;

use serde::Serialize;

/// A family with its samples.
#[derive(Serialize)]
struct Family<'a> {
    name: &'a str,
    help: String,
    r#type: &'a str,
    samples: Vec<Sample<'a>>,
}

/// A series and its value.
#[derive(Serialize)]
struct Sample<'a> {
    /// That of the family, of a histogram with its suffix.
    name: &'a str,
    labels: BTreeMap<&'a str, String>,
    value: f64,
}

/// An array with an object for each family, in the order of the text. None if that is not such a text.
pub fn json(text: &str) -> Option<String> {
    let mut families: Vec<Family<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ')?;
            let (help, _) = unescaped(help, None)?;
            families.push(Family { name, help, r#type: "untyped", samples: Vec::new() });
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            families.last_mut()?.r#type = rest.split_once(' ')?.1;
        } else {
            families.last_mut()?.samples.push(sample(line)?);
        }
    }
    serde_json::to_string_pretty(&families).ok()
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let (name, mut rest) = line.split_at_checked(line.find(['{', ' '])?)?;
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, behind) = rest.split_once("=\"")?;
            let (value, behind) = unescaped(behind, Some('"'))?;
            labels.insert(label, value);
            rest = behind.strip_prefix(',').unwrap_or(behind);
        }
        rest = rest.strip_prefix('}')?;
    }
    let value: f64 = rest.strip_prefix(' ')?.parse().ok()?;
    // JSON has no other numbers.
    value.is_finite().then_some(Sample { name, labels, value })
}

/// The text up to `end`, and what is behind that.
fn unescaped(text: &str, end: Option<char>) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            _ if Some(c) == end => return Some((plain, rest.as_str())),
            '\\' => plain.push(match rest.next()? {
                'n' => '\n',
                other => other,
            }),
            _ => plain.push(c),
        }
    }
    end.is_none().then_some((plain, ""))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    #[test]
    fn names_help_types_labels_and_values_come_through_as_they_are_meant() {
        let text = "# HELP a_total One \\\\ two.\\nThree.\n# TYPE a_total counter\na_total 3\n\
                    # HELP b B.\n# TYPE b gauge\nb{x=\"q\\\"},{\",y=\"\\\\n\\n\"} 0.5\nb{x=\"\"} -1\n";
        let read: Value = serde_json::from_str(&super::json(text).unwrap()).unwrap();
        assert_eq!(
            read,
            json!([
                { "name": "a_total", "help": "One \\ two.\nThree.", "type": "counter",
                  "samples": [{ "name": "a_total", "labels": {}, "value": 3.0 }] },
                { "name": "b", "help": "B.", "type": "gauge", "samples": [
                    { "name": "b", "labels": { "x": "q\"},{", "y": "\\n\n" }, "value": 0.5 },
                    { "name": "b", "labels": { "x": "" }, "value": -1.0 },
                ] },
            ])
        );
    }

    #[test]
    fn what_is_no_exposition_or_no_number_is_not_passed_on() {
        for line in ["a", "a{x=\"1\" 1", "a{x=\"1} 1", "a NaN", "a +Inf", "a x"] {
            let text = format!("# HELP a A.\n# TYPE a gauge\n{line}\n");
            assert_eq!(super::json(&text), None, "{line}");
        }
        assert_eq!(super::json("a 1\n"), None);
    }
}
