//! The dashboard, asked of a Prometheus that scrapes an exporter with every trouble there is. It is
//! scraped at two addresses, as two replicas would be.

use std::collections::{BTreeMap, BTreeSet};

use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::sim::Cloud;
use serde_json::Value;

use crate::alertmanager::Alertmanager;
use crate::estate::{projects, troubled};
use crate::exporter::{Exporter, polling_often};
use crate::process::{tool, until};
use crate::prometheus::Prometheus;
use crate::shipped;
use crate::webhook::Webhook;

const DASHBOARD: &str = "deploy/grafana/clouddb-backups.json";

/// Alerts that this estate has no reason for; their tiles say 0.
const QUIET: [&str; 8] = [
    "BackupExporterAuthFailing",
    "BackupExporterBlind",
    "BackupExporterClockSkew",
    "BackupExporterConfigReloadFailed",
    "BackupExporterDown",
    "BackupExporterPollFailing",
    "BackupExporterShardMissing",
    "BackupExporterThrottled",
];

/// A slow machine has a reason for this one.
const EITHER: &str = "BackupExporterPollOverrun";

/// All panels, those in rows too.
fn panels(of: &Value) -> Vec<&Value> {
    let own = of["panels"].as_array().map_or(&[][..], Vec::as_slice);
    own.iter().flat_map(|panel| std::iter::once(panel).chain(panels(panel))).collect()
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_else(|| panic!("{key} of {of}"))
}

/// An expression as Grafana sends it, with all values of each variable chosen by name.
fn filled(expression: &str, variables: &BTreeMap<String, String>) -> String {
    let expression = expression.replace("$__rate_interval", "1m");
    let filled = variables
        .iter()
        .fold(expression, |text, (name, value)| text.replace(&format!("${name}"), value));
    assert!(!filled.contains('$'), "a variable that there is not: {filled}");
    filled
}

/// What each variable can be, asked in the way of Grafana; every one has to have values.
async fn variables(dashboard: &Value, prometheus: &Prometheus) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for variable in list(&dashboard["templating"], "list") {
        let name = text(variable, "name");
        if variable["type"] == "datasource" {
            continue;
        }
        let query = text(&variable["query"], "query");
        let inside =
            query.strip_prefix("label_values(").and_then(|it| it.strip_suffix(')')).unwrap();
        let (selector, label) = inside.rsplit_once(", ").unwrap();
        let selector = filled(selector, &values);
        let found = prometheus
            .ask(&format!("label/{label}/values"), &[("match[]", &selector)])
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let found: Vec<&str> =
            found.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        assert!(!found.is_empty(), "{name}: {query} has no values");
        values.insert(name.to_owned(), format!("({})", found.join("|")));
    }
    values
}

/// The words in double braces of a legend.
fn named(legend: &str) -> impl Iterator<Item = &str> {
    legend.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(name, _)| name)
}

/// The labels that a panel shows of the series of a query: those of its legend, or the columns of its table.
fn shown<'a>(panel: &'a Value, query: &'a Value) -> BTreeSet<&'a str> {
    let columns = list(panel, "transformations")
        .iter()
        .filter_map(|it| it["options"]["renameByName"].as_object())
        .flat_map(serde_json::Map::keys)
        .map(String::as_str)
        .filter(|name| !name.starts_with("Value #"));
    named(query["legendFormat"].as_str().unwrap_or_default()).chain(columns).collect()
}

async fn count(prometheus: &Prometheus, query: &str) -> f64 {
    prometheus.number(query).await.unwrap_or(0.0)
}

#[tokio::test]
async fn every_query_of_the_dashboard_has_an_answer_and_its_tiles_count_what_the_alerts_tell() {
    let cloud = Cloud::start(troubled(Clock::system().now())).await.unwrap();
    let exporter = Exporter::start(&(polling_often(&cloud) + &projects(&cloud))).await;
    let webhook = Webhook::start().await;
    let alertmanager = Alertmanager::start(&webhook).await;
    let replica = exporter.address().replace("127.0.0.1", "localhost");
    let prometheus = Prometheus::start(
        &tool("usr/bin/prometheus"),
        &[exporter.address(), &replica],
        alertmanager.address(),
    )
    .await;
    prometheus.until("count(clouddb_exporter_build_info) == 2").await;
    let dashboard: Value = serde_json::from_str(&shipped::text(DASHBOARD)).unwrap();

    // The tiles first: when all alerts are there, so is all else.
    let is_tile = |panel: &&Value| panel["type"] == "stat" && !list(panel, "links").is_empty();
    let everything = BTreeMap::from(
        ["project", "product", "instance"].map(|name| (name.to_owned(), ".*".to_owned())),
    );
    let mut quiet = BTreeSet::new();
    for tile in panels(&dashboard).into_iter().filter(is_tile) {
        let alert = text(&tile["links"][0], "title").rsplit(' ').next().unwrap();
        let query = filled(text(&tile["targets"][0], "expr"), &everything);
        let firing = format!("count(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})");
        let is_quiet = QUIET.contains(&alert);
        let told = until(
            async || {
                let told = prometheus.number(&query).await?;
                let agreed = count(&prometheus, &firing).await;
                (told.total_cmp(&agreed).is_eq() && (alert == EITHER || (told > 0.0) != is_quiet))
                    .then_some(told)
            },
            async || {
                let told = prometheus.number(&query).await;
                format!(
                    "{alert}: {told:?} in {query}, firing {:?}",
                    count(&prometheus, &firing).await
                )
            },
        )
        .await;
        if told < 1.0 && alert != EITHER {
            quiet.insert(alert);
        }
    }
    assert_eq!(quiet.into_iter().collect::<Vec<_>>(), QUIET);

    let variables = variables(&dashboard, &prometheus).await;
    // What is empty, unknown to the cloud, or watched by nobody can be chosen too.
    assert_eq!(variables["project"], "(billing|demo|empty)");
    assert_eq!(variables["product"], "(ddm|rds)");
    for instance in ["forgotten", "gone", "orders", "shop-router"] {
        assert!(variables["instance"].contains(instance), "{}", variables["instance"]);
    }
    let mut asked = 0;
    for panel in panels(&dashboard) {
        let title = text(panel, "title");
        let mut labels = BTreeSet::new();
        let mut wanted = BTreeSet::new();
        for query in list(panel, "targets") {
            let expression = filled(text(query, "expr"), &variables);
            let series = prometheus.until(&expression).await;
            asked += 1;
            let found: BTreeSet<String> = series
                .iter()
                .flat_map(|it| it["metric"].as_object().unwrap().keys().cloned())
                .collect();
            // Which of two replicas told it is of interest only where they are what is shown.
            let of_pods = shown(panel, query).contains("instance");
            assert!(
                of_pods || !found.contains("instance"),
                "{title}: {expression} tells replicas apart"
            );
            labels.extend(found);
            wanted.extend(shown(panel, query));
        }
        for label in wanted {
            assert!(labels.contains(label), "{title} shows {label}, and has {labels:?}");
        }
    }
    assert!(asked > 80, "{asked}");

    // Numbers that two replicas would double.
    let titled =
        |title: &str| panels(&dashboard).into_iter().find(|it| it["title"] == title).unwrap();
    for (title, expected) in [
        ("Instances watched", "count(count by (instance_id) (clouddb_backup_expected))"),
        ("Size of all backups", "sum(clouddb_backup_bytes{instance=~\"127.*\"})"),
        ("Targets by shard", "count(clouddb_poll_interval_seconds{instance=~\"127.*\"})"),
    ] {
        let query = filled(text(&titled(title)["targets"][0], "expr"), &variables);
        assert_eq!(prometheus.number(&query).await, prometheus.number(expected).await, "{title}");
    }
    drop(cloud);
}
