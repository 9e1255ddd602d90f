//! What Prometheus and Grafana are told.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::chart::{CHART, rendered, rendered_with};
use crate::resources;
use crate::tool::{self, tool};

fn shipped_rules() -> Value {
    serde_yaml::from_str(&tool::text("deploy/prometheus/rules.yml")).unwrap()
}

/// Each alert of each group.
fn alerts(rules: &Value) -> Vec<&Value> {
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let alerts: Vec<&Value> = rules.filter(|rule| rule.get("alert").is_some()).collect();
    assert!(!alerts.is_empty());
    alerts
}

#[test]
fn a_monitor_scrapes_the_port_of_the_service() {
    for (values, interval, timeout) in [("full", "30s", "20s"), ("tls", "1m", "10s")] {
        let rendered = rendered_with(values, &[r#"web={"tls":false}"#, "monitor.tlsConfig=null"]);
        let monitor = rendered.one("ServiceMonitor");
        assert_eq!(
            monitor["spec"]["endpoints"],
            json!([{
                "port": "metrics", "path": "/metrics", "interval": interval, "scrapeTimeout": timeout,
            }])
        );
        let mut keys: Vec<_> = monitor["spec"].as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["endpoints", "selector"]);
    }
    assert_eq!(
        rendered("full").one("ServiceMonitor")["metadata"]["labels"]["release"],
        "prometheus"
    );
}

#[test]
fn a_monitor_speaks_tls_where_the_exporter_does() {
    let of = |values| rendered(values).one("ServiceMonitor")["spec"]["endpoints"][0].clone();
    let tls = of("tls");
    assert_eq!(tls["scheme"], "https");
    assert_eq!(
        tls["tlsConfig"],
        json!({
            "ca": { "secret": { "name": "exporter-tls", "key": "ca.crt" } },
            "serverName": "shop-clouddb-backup-exporter.databases.svc",
        })
    );
    let mutual = of("mutual-tls");
    assert_eq!(mutual["scheme"], "https");
    assert_eq!(
        mutual["tlsConfig"],
        json!({
            "ca": { "configMap": { "name": "own-ca", "key": "ca.pem" } },
            "cert": { "secret": { "name": "prometheus-client", "key": "tls.crt" } },
            "keySecret": { "name": "prometheus-client", "key": "tls.key" },
            "serverName": "backup-exporter.example",
        })
    );
}

#[test]
fn a_monitor_signs_in_by_reference() {
    let rendered = rendered("basic-auth");
    assert_eq!(
        rendered.one("ServiceMonitor")["spec"]["endpoints"][0],
        json!({
            "port": "metrics", "path": "/metrics", "interval": "1m", "scrapeTimeout": "10s",
            "basicAuth": {
                "username": { "name": "prometheus-user", "key": "username" },
                "password": { "name": "prometheus-user", "key": "password" },
            },
        })
    );
}

#[test]
fn a_pod_monitor_scrapes_the_port_of_the_pods() {
    let rendered = rendered("pod-monitor");
    assert!(rendered.of_kind("ServiceMonitor").is_empty());
    let monitor = rendered.one("PodMonitor");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(monitor["spec"].get("endpoints"), None);
    assert_eq!(
        monitor["spec"]["podMetricsEndpoints"],
        json!([{
            "port": "metrics", "path": "/metrics", "interval": "1m", "scrapeTimeout": "10s",
            "scheme": "https",
            "tlsConfig": {
                "insecureSkipVerify": true,
                "serverName": "shop-clouddb-backup-exporter.databases.svc",
            },
            "basicAuth": {
                "username": { "name": "prometheus-user", "key": "username" },
                "password": { "name": "prometheus-user", "key": "password" },
            },
        }])
    );
    assert_eq!(rendered.container()["ports"][0]["name"], "metrics");
}

#[test]
fn the_chart_holds_the_rules_and_the_dashboard_that_are_shipped() {
    for (own, shipped) in [
        ("rules.yml", "deploy/prometheus/rules.yml"),
        ("clouddb-backups.json", "deploy/grafana/clouddb-backups.json"),
    ] {
        let own = format!("{CHART}/files/{own}");
        assert!(
            tool::text(&own) == tool::text(shipped),
            "{own} is not {shipped}: run deploy/kubernetes/render"
        );
    }
}

#[test]
fn the_rules_are_rendered_as_they_are_shipped() {
    let rendered = rendered_with("minimal", &["rules.enabled=true"]);
    let rule = rendered.one("PrometheusRule");
    assert_eq!(rule["spec"], shipped_rules());
    // Helm would have made nothing of what is Prometheus' to fill in.
    assert!(rendered.text().contains("{{ $labels."));
    resources::check_rules(rule);
}

#[test]
fn labels_and_runbooks_of_the_rules_can_be_the_operators_own() {
    let rendered = rendered("full");
    let rule = rendered.one("PrometheusRule");
    assert_eq!(rule["metadata"]["labels"]["release"], "prometheus");
    resources::check_rules(rule);
    let shipped = shipped_rules();
    let (own, shipped) = (alerts(&rule["spec"]), alerts(&shipped));
    assert_eq!(own.len(), shipped.len());
    for (own, shipped) in own.into_iter().zip(shipped) {
        let mut expected = shipped.clone();
        // The severity stays that of the rule.
        expected["labels"]["team"] = "databases".into();
        let url = shipped["annotations"]["runbook_url"].as_str().unwrap();
        let file = url.rsplit('/').next().unwrap();
        expected["annotations"]["runbook_url"] =
            format!("https://wiki.example/runbooks/{file}").into();
        assert_eq!(own, &expected);
    }
}

#[test]
fn runbooks_have_a_file_for_each_alert() {
    let rules = shipped_rules();
    let urls = alerts(&rules);
    let urls: BTreeSet<_> =
        urls.iter().map(|alert| alert["annotations"]["runbook_url"].as_str().unwrap()).collect();
    let files: BTreeSet<_> = urls.iter().map(|url| url.rsplit('/').next().unwrap()).collect();
    assert_eq!(files.len(), urls.len(), "the last part of a runbook_url is the alert's own");
}

#[test]
fn the_dashboard_is_where_the_sidecar_of_grafana_looks() {
    let shipped: Value =
        serde_json::from_str(&tool::text("deploy/grafana/clouddb-backups.json")).unwrap();
    for (values, set, label) in
        [("full", "replicas=1", "yes"), ("minimal", "dashboard.enabled=true", "1")]
    {
        let rendered = rendered_with(values, &[set]);
        let maps = rendered.of_kind("ConfigMap");
        let map = maps.iter().find(|it| it["data"].get("clouddb-backups.json").is_some()).unwrap();
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], label);
        let text = map["data"]["clouddb-backups.json"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), shipped);
        if values == "full" {
            assert_eq!(map["metadata"]["annotations"], json!({ "grafana_folder": "Databases" }));
        }
    }
}

#[test]
fn whoever_installs_it_blind_is_told_so() {
    let notes = |values: &str| {
        let mut helm = tool("bin/helm");
        helm.args(["install", "shop", CHART, "--namespace=databases", "--dry-run=client"]);
        helm.arg("--values=tests/deploy/values/minimal.yaml");
        helm.arg(format!("--values=tests/deploy/values/{values}.yaml"));
        tool::succeed(&mut helm).split_once("NOTES:").expect("notes").1.to_owned()
    };
    let minimal = notes("minimal");
    for told in [
        "polls 1 project(s) with 1 pod(s)",
        "NOBODY SCRAPES IT YET",
        "else scrape shop-clouddb-backup-exporter.databases.svc:19747",
        "THERE ARE NO ALERTS YET",
        "else load\ndeploy/prometheus/rules.yml into Prometheus",
        "kubectl -n databases logs deployment/shop-clouddb-backup-exporter",
        "kubectl -n databases port-forward deployment/shop-clouddb-backup-exporter 19747",
        "kubectl -n databases rollout status deployment/shop-clouddb-backup-exporter",
        "kubectl -n databases exec deployment/shop-clouddb-backup-exporter -- /usr/bin/clouddb",
        "http://127.0.0.1:19747/",
        "Only those who networkPolicy.from names may connect",
    ] {
        assert!(minimal.contains(told), "{told} in {minimal}");
    }
    let full = notes("full");
    assert!(!full.contains("YET"), "{full}");
    assert!(notes("sharded").contains("rollout status statefulset/shop-"));
    let pods = notes("pod-monitor");
    assert!(pods.contains("https://127.0.0.1") && !pods.contains("networkPolicy"), "{pods}");
}
