//! Labels of an operator's own, named as kube-state-metrics names them.

use std::collections::BTreeMap;

use super::position::child;
use super::problem::quoted;
use super::report::Report;

/// Reads a block of labels. The names in the result are those of the metric.
pub(super) fn check(
    path: &str,
    written: Option<&BTreeMap<String, String>>,
    report: &mut Report,
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut from: BTreeMap<String, &str> = BTreeMap::new();
    for (key, value) in written.into_iter().flatten() {
        let place = child(path, key);
        if key.is_empty() {
            report.error_at_key(&place, "a label name cannot be empty; write such as `team`");
            continue;
        }
        let name = name(key);
        if let Some(other) = from.insert(name.clone(), key) {
            let message = format!(
                "{} and {} both become {}; rename one",
                quoted(other),
                quoted(key),
                quoted(&name)
            );
            report.error_at_key(&place, message);
        }
        labels.insert(name, value.clone());
    }
    labels
}

/// `label_` and the key in snake case, every other character than letters and digits an underscore.
fn name(key: &str) -> String {
    let mut name = "label_".to_owned();
    let mut before = ' ';
    for character in key.chars() {
        let starts_word = character.is_ascii_uppercase();
        if starts_word && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            name.push('_');
        }
        let allowed = character.is_ascii_alphanumeric();
        name.push(if allowed { character.to_ascii_lowercase() } else { '_' });
        before = character;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_as_kube_state_metrics_makes_them() {
        for (key, expected) in [
            ("team", "label_team"),
            ("costCenter", "label_cost_center"),
            ("app.kubernetes.io/name", "label_app_kubernetes_io_name"),
            ("a1B", "label_a1_b"),
            ("URL", "label_url"),
            ("größe", "label_gr__e"),
        ] {
            assert_eq!(name(key), expected);
        }
    }
}
