//! The text format: heads of families, labels, values. Knows nothing of what they are about.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::metric::Metric;

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Text(pub(super) String);

impl Text {
    /// A family to add samples to; without any it leaves no trace.
    pub(super) fn family(&mut self, metric: &'static Metric) -> Family<'_> {
        Family { text: &mut self.0, metric, begun: false }
    }
}

/// The first labels of samples, or all of them, written once for many families.
#[derive(Debug)]
pub(super) struct Labels {
    names: &'static [&'static str],
    /// Without the brace at the end.
    text: String,
}

impl Labels {
    /// None yet.
    pub(super) const NONE: Self = Self { names: &[], text: String::new() };

    /// Those of these names, with their values in the same order.
    pub(super) fn new(names: &'static [&'static str], values: &[&str]) -> Self {
        let mut text = String::new();
        let mut separator = '{';
        for (name, value) in names.iter().zip(values) {
            write_label(&mut text, separator, name, value);
            separator = ',';
        }
        Self { names, text }
    }
}

/// A family that is being written. Each of its samples has a label.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    metric: &'static Metric,
    begun: bool,
}

impl Family<'_> {
    /// A sample with these labels.
    pub(super) fn sample(&mut self, labels: &Labels, value: f64) {
        self.begin(labels);
        self.end(value);
    }

    /// The same with the values of the declared labels behind them, in their order.
    pub(super) fn sample_with(&mut self, labels: &Labels, values: &[&str], value: f64) {
        self.begin(labels);
        let metric = self.metric;
        let names = metric.labels.iter().skip(labels.names.len());
        let mut separator = if labels.text.is_empty() { '{' } else { ',' };
        for (label, value) in names.zip(values) {
            write_label(self.text, separator, label, value);
            separator = ',';
        }
        self.end(value);
    }

    /// The same with labels that are not declared by name.
    pub(super) fn open_sample(
        &mut self,
        labels: &Labels,
        open: &BTreeMap<String, String>,
        value: f64,
    ) {
        self.begin(labels);
        for (label, value) in open {
            write_label(self.text, ',', label, value);
        }
        self.end(value);
    }

    /// A sample that lacks its value and the end of the line. Gives where that would stand.
    pub(super) fn sample_without_value(&mut self, labels: &Labels) -> usize {
        self.begin(labels);
        self.text.push_str("} ");
        self.text.len()
    }

    fn begin(&mut self, labels: &Labels) {
        let Metric { name, help, kind, labels: declared } = self.metric;
        debug_assert!(declared.starts_with(labels.names), "{name} has other labels");
        if !self.begun {
            self.begun = true;
            // Writing to a string does not fail.
            writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.word()).ok();
        }
        self.text.push_str(name);
        self.text.push_str(&labels.text);
    }

    fn end(&mut self, value: f64) {
        self.text.push_str("} ");
        write_value(self.text, value);
    }
}

/// A value, and the end of its line.
pub(super) fn write_value(text: &mut String, value: f64) {
    // Writing to a string does not fail.
    writeln!(text, "{value}").ok();
}

fn write_label(text: &mut String, separator: char, name: &str, value: &str) {
    text.push(separator);
    text.push_str(name);
    text.push_str("=\"");
    // What a label value may not have as it is.
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            _ => text.push(c),
        }
    }
    text.push('"');
}
