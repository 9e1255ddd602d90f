//! A strict reader of the text format, version 0.0.4: what Prometheus would forgive is an error
//! here.

use std::collections::{BTreeMap, BTreeSet};

/// The labels of a sample, sorted.
pub(crate) type Labels = BTreeMap<String, String>;

/// An exposition that was read.
#[derive(Debug)]
pub(crate) struct Exposition {
    text: String,
    families: BTreeMap<String, Family>,
}

/// A metric family.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) help: String,
    /// Name (of a histogram with its suffix), labels and value.
    pub(crate) samples: Vec<(String, Labels, f64)>,
}

impl Exposition {
    /// Reads a text and fails the test on anything that the format does not allow.
    pub(crate) fn read(text: &str) -> Self {
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut current = String::new();
        let mut help = None;
        assert!(text.ends_with('\n'), "the last line does not end");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, text) = rest.split_once(' ').expect("HELP has a text");
                help = Some((name.to_owned(), text.to_owned()));
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("TYPE has a kind");
                let (of, text) = help.take().expect("HELP stands before TYPE");
                assert_eq!(of, name, "HELP and TYPE are of one family");
                let family = Family { kind: kind.to_owned(), help: text, samples: Vec::new() };
                assert!(families.insert(name.to_owned(), family).is_none(), "{name} comes twice");
                name.clone_into(&mut current);
            } else {
                let (name, labels, value) = sample(line);
                let family = families.get_mut(&current).expect("a family stands before samples");
                let own = family.kind == "histogram"
                    && ["_bucket", "_sum", "_count"]
                        .iter()
                        .any(|suffix| name.strip_suffix(suffix) == Some(&current));
                assert!(name == current || own, "{name} stands in the family {current}");
                family.samples.push((name, labels, value));
            }
        }
        for (name, family) in &families {
            assert!(!family.samples.is_empty(), "{name} has no samples");
            let series: BTreeSet<_> =
                family.samples.iter().map(|(name, labels, _)| (name, labels)).collect();
            assert_eq!(series.len(), family.samples.len(), "{name} has a series twice");
        }
        Self { text: text.to_owned(), families }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn families(&self) -> &BTreeMap<String, Family> {
        &self.families
    }

    /// The value of the one sample with that name and all of these labels; others may be there.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let values = self.values(name, labels);
        assert!(values.len() <= 1, "{name}{labels:?} is {} samples", values.len());
        values.first().copied()
    }

    /// The values of all samples with that name and all of these labels.
    pub(crate) fn values(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let samples = self.families.get(name).map_or(&[][..], |family| &family.samples);
        let fits = |of: &Labels| {
            labels.iter().all(|(name, value)| of.get(*name).is_some_and(|it| it == value))
        };
        samples.iter().filter(|(_, of, _)| fits(of)).map(|(_, _, value)| *value).collect()
    }

    /// The lines of the families whose names begin so, comments left out.
    pub(crate) fn lines(&self, prefix: &str) -> Vec<&str> {
        self.text.lines().filter(|line| line.starts_with(prefix)).collect()
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).expect("a sample has a value");
    let name = &line[..end];
    let valid = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    assert!(valid(name), "`{name}` is no name");
    let mut rest = &line[end..];
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, behind) = rest.split_once("=\"").expect("a label has a value");
            assert!(valid(label), "`{label}` is no label");
            let (value, behind) = quoted(behind);
            assert!(labels.insert(label.to_owned(), value).is_none(), "`{label}` comes twice");
            match behind.split_at(1) {
                (",", behind) => rest = behind,
                ("}", behind) => {
                    rest = behind;
                    break;
                }
                _ => panic!("`{line}` has no end of its labels"),
            }
        }
    }
    let value = rest.strip_prefix(' ').expect("one blank stands before the value");
    let value = value.parse().unwrap_or_else(|_| panic!("`{value}` is no value (or a timestamp)"));
    (name.to_owned(), labels, value)
}

fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, c @ ('\\' | '"'))) => c,
                other => panic!("`\\{other:?}` is no escape"),
            }),
            _ => value.push(c),
        }
    }
    panic!("`{text}` has no closing quote");
}
