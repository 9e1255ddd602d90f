//! Names, labels and what finds what by them.

use serde_json::{Value, json};

use crate::chart::{ALL, CHART, rendered, rendered_with};
use crate::resources::Resources;
use crate::tool::{self, tool};

/// Whether a selector selects these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let selector = selector.as_object().expect("a selector");
    assert!(!selector.is_empty(), "it would select everything");
    selector.iter().all(|(name, value)| &labels[name] == value)
}

#[test]
fn everything_that_selects_pods_selects_these_and_no_other_release() {
    for values in ALL {
        let rendered = rendered(values);
        let labels = &rendered.template()["metadata"]["labels"];
        let mut foreign = labels.clone();
        foreign["app.kubernetes.io/instance"] = "another".into();
        let service = rendered.one("Service");
        let mut selectors = vec![
            &rendered.workload()["spec"]["selector"]["matchLabels"],
            &service["spec"]["selector"],
        ];
        selectors.extend(
            ["PodDisruptionBudget", "PodMonitor"]
                .iter()
                .flat_map(|kind| rendered.of_kind(kind))
                .map(|it| &it["spec"]["selector"]["matchLabels"]),
        );
        selectors.extend(
            rendered
                .of_kind("NetworkPolicy")
                .iter()
                .map(|it| &it["spec"]["podSelector"]["matchLabels"]),
        );
        if let Some(spread) = rendered.pod().get("topologySpreadConstraints") {
            selectors.push(&spread[0]["labelSelector"]["matchLabels"]);
        }
        for selector in selectors {
            assert!(selects(selector, labels), "{values}: {selector} {labels}");
            assert!(!selects(selector, &foreign), "{values}: {selector}");
        }
        for monitor in rendered.of_kind("ServiceMonitor") {
            let selector = &monitor["spec"]["selector"]["matchLabels"];
            assert!(selects(selector, &service["metadata"]["labels"]), "{values}: {selector}");
            let mut foreign = service["metadata"]["labels"].clone();
            foreign["app.kubernetes.io/instance"] = "another".into();
            assert!(!selects(selector, &foreign), "{values}: {selector}");
        }
    }
}

#[test]
fn everything_tells_what_it_is_and_where_it_comes_from() {
    for values in ALL {
        let rendered = rendered(values);
        for resource in rendered.all() {
            let labels = &resource["metadata"]["labels"];
            let expected = json!({
                "app.kubernetes.io/name":
                    if values == "full" { "backups" } else { "clouddb-backup-exporter" },
                "app.kubernetes.io/instance": "shop",
                "app.kubernetes.io/version": env!("CARGO_PKG_VERSION"),
                "app.kubernetes.io/managed-by": "Helm",
                "helm.sh/chart": "clouddb-backup-exporter-0.1.0",
            });
            for (name, value) in expected.as_object().unwrap() {
                assert_eq!(&labels[name], value, "{values}: {resource}");
            }
        }
    }
}

#[test]
fn the_chart_is_of_the_version_of_the_program() {
    let chart = tool::text(&format!("{CHART}/Chart.yaml"));
    let chart: Value = serde_yaml::from_str(&chart).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let image = rendered("minimal").container()["image"].clone();
    assert_eq!(image, format!("clouddb-backup-exporter:{}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn everything_has_the_name_of_the_release() {
    for (values, name) in [
        ("minimal", "shop-clouddb-backup-exporter"),
        ("sharded", "shop-clouddb-backup-exporter"),
        ("full", "cloud-backups"),
    ] {
        for resource in rendered(values).all() {
            let own = resource["metadata"]["name"].as_str().unwrap();
            assert!(own == name || own == format!("{name}-dashboard"), "{own}");
        }
    }
}

#[test]
fn a_release_that_is_named_like_the_program_is_not_named_twice() {
    let mut helm = tool("bin/helm");
    helm.args(["template", "my-clouddb-backup-exporter", CHART]);
    helm.arg("--values=tests/deploy/values/minimal.yaml");
    let rendered = Resources::read(tool::succeed(&mut helm));
    assert_eq!(rendered.workload()["metadata"]["name"], "my-clouddb-backup-exporter");
}

#[test]
fn names_leave_room_for_the_hash_that_a_stateful_set_appends() {
    let long = format!("\"{}\"", ["exporter"; 12].join("-"));
    for set in [format!("fullnameOverride={long}"), format!("nameOverride={long}")] {
        let rendered = rendered_with("sharded", &[&set]);
        for resource in rendered.all() {
            let name = resource["metadata"]["name"].as_str().unwrap();
            assert!(name.len() <= 52 && !name.ends_with('-'), "{name}");
            let label = resource["metadata"]["labels"]["app.kubernetes.io/name"].as_str().unwrap();
            assert!(label.len() <= 52 && !label.ends_with('-'), "{label}");
        }
    }
}
