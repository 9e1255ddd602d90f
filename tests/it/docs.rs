//! The docs say what the program does.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use clouddb_backup_exporter::metric;

/// `docs/metrics.md` between its markers, as the table of metrics makes it.
fn metric_table() -> String {
    let mut table = String::from("| name | type | labels | meaning |\n|---|---|---|---|\n");
    for metric in metric::ALL {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            metric.name,
            metric.kind.word(),
            labels.join(", "),
            metric.help
        )
        .unwrap();
    }
    table
}

#[test]
fn the_documented_metrics_are_those_of_the_program() {
    let file = "docs/metrics.md";
    let text = fs::read_to_string(file).unwrap();
    let begin = text.find("| name | type |").expect("the table");
    let end = begin + text[begin..].find("\n\n").expect("the end of the table") + 1;
    if std::env::var_os("CLOUDDB_UPDATE_DOCS").is_some() {
        fs::write(file, format!("{}{}{}", &text[..begin], metric_table(), &text[end..])).unwrap();
        return;
    }
    assert_eq!(
        &text[begin..end],
        metric_table(),
        "run the tests once with CLOUDDB_UPDATE_DOCS=1 to write the table anew"
    );
}

#[test]
fn the_readme_names_only_metrics_that_exist() {
    let text = fs::read_to_string("README.md").unwrap();
    let known: BTreeSet<&str> = metric::ALL.iter().map(|metric| metric.name).collect();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named: BTreeSet<&str> = words.filter(|word| word.starts_with("clouddb_")).collect();
    assert!(!named.is_empty());
    let unknown: Vec<_> = named.iter().filter(|name| !known.contains(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
