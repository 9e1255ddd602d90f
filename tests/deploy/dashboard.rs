//! The dashboard for Grafana, as far as it can be held without one: by the types of Grafana's own schema,
//! by the rules, by the docs. That its queries have answers is held in `tests/e2e/dashboard.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::rules::{CONTRACT, declared, expression, metrics_named, rules};
use crate::tool::{checkout, run, text, tool};

const DASHBOARD: &str = "deploy/grafana/clouddb-backups.json";

/// What the dashboard is assigned to. JSON writes the values of enumerations, and not their names.
const TYPED: &str = "import type { Dashboard } from '@grafana/schema';
type Written<T> = T extends string ? `${T}`
  : T extends (infer U)[] ? Written<U>[]
  : T extends object ? { [K in keyof T]: Written<T[K]> }
  : T;
export const dashboard: Written<Dashboard> = ";

/// What else a query may read: of the exporters only, which have the series on the right.
const OF_EXPORTERS: &str = "and on (job, instance) clouddb_exporter_build_info";

fn dashboard() -> Value {
    serde_json::from_str(&text(DASHBOARD)).unwrap()
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

fn word<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_else(|| panic!("{key} of {of}"))
}

/// All panels, rows and those in rows too.
fn panels(of: &Value) -> Vec<&Value> {
    list(of, "panels").iter().flat_map(|panel| [vec![panel], panels(panel)].concat()).collect()
}

/// All panels but the rows.
fn shown(of: &Value) -> Vec<&Value> {
    panels(of).into_iter().filter(|panel| panel["type"] != "row").collect()
}

fn expressions(of: &Value) -> Vec<(&str, &str)> {
    let of_panel = |panel| {
        list(panel, "targets").iter().map(move |it| (word(panel, "title"), word(it, "expr")))
    };
    shown(of).into_iter().flat_map(of_panel).collect()
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An expression without what the variables choose.
fn unfiltered(expression: &str) -> String {
    let chosen = ["project", "product", "instance"].map(|name| {
        let label = if name == "instance" { "instance_name" } else { name };
        format!("{label}=~\"${name}\"")
    });
    let mut text = expression.to_owned();
    for matcher in &chosen {
        text = text.replace(&format!(",{matcher}"), "").replace(matcher, "");
    }
    words(&text.replace("{,", "{").replace("{}", ""))
}

/// What the compiler of TypeScript has against a dashboard.
fn objections(json: &str) -> Option<String> {
    let folder = tempfile::tempdir_in(checkout(".tools/node")).unwrap();
    let file = folder.path().join("dashboard.ts");
    fs::write(&file, format!("{TYPED}{json};\n")).unwrap();
    let (output, said) = run(tool("node/node_modules/.bin/tsc")
        .args(["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"])
        .args(["--module", "nodenext", "--moduleResolution", "nodenext"])
        .arg(&file));
    (!output.status.success()).then_some(said)
}

#[test]
fn the_types_of_grafana_have_nothing_against_the_dashboard() {
    let json = text(DASHBOARD);
    assert_eq!(objections(&json), None);
    assert!(dashboard()["schemaVersion"].as_u64() >= Some(39));
    // The types see what they are for.
    for (right, wrong) in [
        ("\"gridPos\"", "\"gridpos\""),
        ("\"mode\": \"absolute\"", "\"mode\": \"absolut\""),
        ("\"refresh\": \"1m\"", "\"refresh\": 60"),
    ] {
        assert!(json.contains(right), "{right}");
        assert!(objections(&json.replacen(right, wrong, 1)).is_some(), "{wrong}");
    }
}

#[test]
fn every_panel_says_what_it_shows_and_what_it_means_if_it_shows_nothing() {
    let dashboard = dashboard();
    let mut titles = BTreeSet::new();
    for panel in shown(&dashboard) {
        let title = word(panel, "title");
        assert!(titles.insert(title), "{title} comes twice");
        assert!(word(panel, "description").ends_with('.'), "{title}");
        let defaults = &panel["fieldConfig"]["defaults"];
        assert!(!word(defaults, "noValue").is_empty(), "{title}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
    }
}

#[test]
fn a_tile_counts_the_condition_of_its_alert_and_says_0_only_where_something_is_known() {
    let dashboard = dashboard();
    let mut left: BTreeMap<_, _> = rules().into_iter().collect();
    for panel in shown(&dashboard) {
        let Some(link) = list(panel, "links").first() else { continue };
        let alert = word(link, "title").rsplit(' ').next().unwrap();
        let rule = left.remove(alert).unwrap_or_else(|| panic!("{alert} is no alert, or twice"));
        assert!(word(link, "url").ends_with(&format!("/{alert}.md")), "{link}");
        let [target] = list(panel, "targets") else { panic!("{alert}") };
        let counted = unfiltered(word(target, "expr"));
        let shipped = words(&format!("count( {} ) or 0 * count(", expression(&rule)));
        let known = counted.strip_prefix(&shipped).and_then(|rest| rest.strip_suffix(')'));
        let known = known.unwrap_or_else(|| panic!("{alert}: {counted}\nis not\n{shipped}"));
        assert!(metrics_named(known).contains(known), "{alert}: {known}");
        let (_, severity, ..) = CONTRACT.iter().find(|(name, ..)| *name == alert).unwrap();
        let colour = match *severity {
            "critical" => "red",
            "warning" => "orange",
            _ => "blue",
        };
        let steps = serde_json::json!([
            { "color": "green", "value": null }, { "color": colour, "value": 1 }
        ]);
        let defaults = &panel["fieldConfig"]["defaults"];
        assert_eq!(defaults["thresholds"]["steps"], steps, "{alert}");
        assert_eq!(defaults["noValue"], "no data", "{alert}");
        let description = word(panel, "description");
        assert!(description.contains(&format!("{alert} ({severity})")), "{alert}: {description}");
    }
    assert!(left.is_empty(), "alerts without a tile: {:?}", left.keys());
}

#[test]
fn the_dashboard_names_only_metrics_of_the_table_and_of_the_exporters() {
    let page = text("docs/metrics.md");
    let table: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let dashboard = dashboard();
    for (title, expression) in expressions(&dashboard) {
        let named = metrics_named(expression);
        assert!(!named.is_empty(), "{title}: {expression}");
        for metric in named {
            let family = metric.strip_suffix("_bucket").unwrap_or(metric);
            assert!(table.contains(family), "{title}: {metric}");
        }
        if ["process_", "scrape_"].iter().any(|it| expression.contains(it)) {
            assert!(expression.contains(OF_EXPORTERS), "{title}: {expression}");
        }
    }
    let variables = dashboard["templating"].to_string();
    for metric in metrics_named(&variables) {
        assert!(table.contains(metric), "{metric}");
    }
}

#[test]
fn the_variables_choose_in_every_query_that_has_their_label() {
    let dashboard = dashboard();
    let variables: BTreeSet<&str> =
        list(&dashboard["templating"], "list").iter().map(|it| word(it, "name")).collect();
    assert_eq!(variables, BTreeSet::from(["datasource", "instance", "product", "project"]));
    for (title, expression) in expressions(&dashboard) {
        for name in metrics_named(expression) {
            let family = name.strip_suffix("_bucket").unwrap_or(name);
            let has = declared(family).unwrap().labels.contains(&"project");
            // The matchers stand right behind the name.
            for (at, _) in expression.match_indices(name) {
                let rest = &expression[at + name.len()..];
                if rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
                    continue;
                }
                let matchers = rest.strip_prefix('{').and_then(|it| it.split('}').next());
                let chosen = matchers.is_some_and(|it| it.contains("project=~\"$project\""));
                assert_eq!(chosen, has, "{title}: {name} in {expression}");
            }
        }
    }
}

#[test]
fn every_link_of_the_dashboard_leads_to_a_page_below_the_base_of_the_runbooks() {
    let (_, rule) = rules().swap_remove(0);
    let url = rule.get("annotations").and_then(|it| it.get("runbook_url")).unwrap();
    let base = url.as_str().unwrap().rsplit_once('/').unwrap().0;
    let dashboard = dashboard();
    let own = list(&dashboard, "links");
    let all = shown(&dashboard).into_iter().flat_map(|panel| list(panel, "links")).chain(own);
    let mut pages = 0;
    for link in all {
        let url = word(link, "url");
        let page = url.strip_prefix(base).unwrap_or_else(|| panic!("{url} is not below {base}"));
        let file = checkout("docs/runbooks").join(page.trim_start_matches('/'));
        assert!(file.exists(), "{}", file.display());
        pages += 1;
    }
    assert_eq!(pages, CONTRACT.len() + 3);
    // Replaced in one go, as in the rules.
    assert_eq!(text(DASHBOARD).matches("https://").count(), pages);
}

#[test]
fn no_panel_covers_another_and_each_has_its_own_number() {
    let dashboard = dashboard();
    let mut numbers = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels(&dashboard) {
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{panel}");
    }
    // What a collapsed row holds is laid out by itself, when it is opened.
    for group in [&dashboard].into_iter().chain(panels(&dashboard)) {
        taken.clear();
        for panel in list(group, "panels") {
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(x + w <= 24, "{panel}");
            for place in (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y))) {
                assert!(taken.insert(place), "{} covers another", word(panel, "title"));
            }
        }
    }
}

#[test]
fn the_docs_say_where_the_dashboard_is() {
    for page in ["README.md", "docs/alerts.md"] {
        assert!(text(page).contains(DASHBOARD), "{page}");
    }
}
