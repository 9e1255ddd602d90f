//! Who reaches the pods, and whom they reach.

use serde_json::json;

use crate::chart::{ALL, rendered};

#[test]
fn the_service_leads_to_each_pod_by_itself() {
    for values in ALL {
        let rendered = rendered(values);
        let spec = &rendered.one("Service")["spec"];
        assert_eq!(spec["clusterIP"], "None", "{values}");
        assert_eq!(
            spec["ports"],
            json!([{ "name": "metrics", "port": 19747, "targetPort": "metrics", "protocol": "TCP" }]),
            "{values}"
        );
    }
    assert_eq!(
        rendered("full").one("Service")["metadata"]["annotations"],
        json!({ "prometheus.io/scrape": "true" })
    );
}

#[test]
fn only_prometheus_connects_and_only_names_and_https_are_reached() {
    let rendered = rendered("minimal");
    let mut spec = rendered.one("NetworkPolicy")["spec"].clone();
    spec["podSelector"].take();
    assert_eq!(
        spec,
        json!({
            "podSelector": null,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{
                "from": [{
                    "namespaceSelector": {},
                    "podSelector": { "matchLabels": { "app.kubernetes.io/name": "prometheus" } },
                }],
                "ports": [{ "port": "metrics", "protocol": "TCP" }],
            }],
            "egress": [
                { "ports": [{ "port": 53, "protocol": "UDP" }, { "port": 53, "protocol": "TCP" }] },
                { "ports": [{ "port": 443, "protocol": "TCP" }] },
            ],
        })
    );
}

#[test]
fn who_else_may_connect_and_what_else_is_reached_can_be_said() {
    let rendered = rendered("full");
    let spec = &rendered.one("NetworkPolicy")["spec"];
    assert_eq!(
        spec["ingress"][0]["from"],
        json!([{
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "monitoring" } },
        }])
    );
    assert_eq!(spec["egress"][2], json!({ "ports": [{ "port": 3128, "protocol": "TCP" }] }));
    assert!(self::rendered("pod-monitor").of_kind("NetworkPolicy").is_empty());
}
