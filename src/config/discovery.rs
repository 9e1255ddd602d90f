//! What is done with the instance list of a product.

use std::time::Duration;

use glob::Pattern;

use super::position::{child, item};
use super::report::Report;
use super::{file, interval};
use crate::product::Product;

/// How the instance list of a product in a project is read, and what for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Discovery {
    /// Whether every instance on it is monitored; else it is only shown which are not.
    pub adopts: bool,
    /// What is left alone.
    pub exclude: Exclude,
    /// How often. Default 10m, at least 1s.
    pub interval: Duration,
}

/// Instances that are left alone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Exclude(Vec<Pattern>);

impl Exclude {
    /// Whether an instance is left alone: by its id, or by its name.
    pub fn covers(&self, id: &str, name: Option<&str>) -> bool {
        let is =
            |pattern: &Pattern| pattern.matches(id) || name.is_some_and(|it| pattern.matches(it));
        self.0.iter().any(is)
    }
}

/// None if the list is not read. `Err` if anything is wrong, which is told.
pub(super) fn check(
    path: &str,
    product: &Product,
    written: &file::ProductBlock,
    report: &mut Report,
) -> Result<Option<Discovery>, ()> {
    let adopts = written.discover.unwrap_or(product.instances.by_default);
    let is_read = adopts || written.audit.unwrap_or_default();
    if written.discover == Some(true) && written.audit == Some(true) {
        let message = "has no effect beside `discover: true`, which leaves nobody out";
        report.finding_at_key(&child(path, "audit"), message);
    }
    let pointless = [
        ("exclude", written.exclude.is_some()),
        ("discovery_interval", written.discovery_interval.is_some()),
    ];
    for (key, _) in pointless.into_iter().filter(|(_, is_written)| *is_written && !is_read) {
        let message = "has no effect while the instance list is not read; write `discover: true`";
        report.finding_at_key(&child(path, key), message);
    }
    let exclude = exclude(&child(path, "exclude"), written.exclude.as_deref(), report);
    let interval = match written.discovery_interval.as_deref() {
        Some(text) => interval(&child(path, "discovery_interval"), text, report),
        None => Some(INTERVAL),
    };
    let discovery =
        Discovery { adopts, exclude: exclude.ok_or(())?, interval: interval.ok_or(())? };
    Ok(is_read.then_some(discovery))
}

fn exclude(path: &str, written: Option<&[String]>, report: &mut Report) -> Option<Exclude> {
    let mut patterns = Some(Vec::new());
    for (at, text) in written.unwrap_or_default().iter().enumerate() {
        let place = item(path, at);
        let pattern = match Pattern::new(text) {
            Ok(_) if text.is_empty() => Err("a pattern cannot be empty".to_owned()),
            Ok(pattern) => Ok(pattern),
            Err(error) => Err(format!(
                "is no pattern: {} at character {}; write an id, or a name with `*` and `?`",
                error.msg,
                error.pos + 1
            )),
        };
        match (pattern, &mut patterns) {
            (Ok(pattern), Some(patterns)) => patterns.push(pattern),
            (Ok(_), None) => {}
            (Err(message), _) => {
                report.error(&place, message);
                patterns = None;
            }
        }
    }
    patterns.map(Exclude)
}

const INTERVAL: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_left_alone_by_its_id_or_by_a_pattern_of_its_name() {
        let pattern = |text: &str| Pattern::new(text).unwrap();
        let exclude = Exclude(vec![pattern("db1"), pattern("test-*"), pattern("?")]);
        assert!(exclude.covers("db1", Some("orders")));
        assert!(exclude.covers("db2", Some("test-orders")));
        assert!(exclude.covers("db2", Some("x")));
        assert!(!exclude.covers("db2", Some("orders-test-1")));
        assert!(!exclude.covers("db11", None));
        assert!(!exclude.covers("db2", Some("Test-orders")), "letter case counts");
        assert!(!Exclude::default().covers("db1", Some("orders")));
    }
}
