//! One pod, several that do the same, and several that share the targets.

use serde_json::json;

use crate::chart::{rendered, rendered_with};

#[test]
fn shards_know_how_many_they_are_and_which_one_each_is() {
    let rendered = rendered("sharded");
    assert!(rendered.of_kind("Deployment").is_empty());
    let spec = &rendered.one("StatefulSet")["spec"];
    assert_eq!(spec["replicas"], 3);
    assert_eq!(spec["podManagementPolicy"], "Parallel");
    assert_eq!(spec["updateStrategy"], json!({ "type": "RollingUpdate" }));
    assert_eq!(spec["serviceName"], rendered.one("Service")["metadata"]["name"]);
    assert_eq!(
        rendered.container()["env"],
        json!([
            { "name": "CLOUDDB_SHARD_COUNT", "value": "3" },
            { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
            { "name": "NO_PROXY", "value": ".example" },
        ])
    );
}

#[test]
fn a_single_pod_is_no_shard_and_keeps_no_node_from_being_drained() {
    let rendered = rendered("minimal");
    assert_eq!(rendered.one("Deployment")["spec"]["replicas"], 1);
    assert_eq!(rendered.container().get("env"), None);
    assert!(rendered.of_kind("StatefulSet").is_empty());
    assert!(rendered.of_kind("PodDisruptionBudget").is_empty());
    assert_eq!(rendered.pod().get("topologySpreadConstraints"), None);
}

#[test]
fn of_several_pods_only_one_is_taken_away_at_a_time_and_nodes_are_shared() {
    for (values, count) in [("sharded", 3), ("full", 2)] {
        let rendered = rendered(values);
        assert_eq!(rendered.workload()["spec"]["replicas"], count);
        assert_eq!(rendered.one("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
        let spread = &rendered.pod()["topologySpreadConstraints"][0];
        assert_eq!(spread["maxSkew"], 1);
        assert_eq!(spread["topologyKey"], "kubernetes.io/hostname");
        // A shard on the node of another one is better than none.
        assert_eq!(spread["whenUnsatisfiable"], "ScheduleAnyway");
    }
}

#[test]
fn the_service_can_stay_when_one_pod_becomes_several_shards() {
    let service = |set: &[&str]| rendered_with("minimal", set).one("Service").clone();
    assert_eq!(service(&[]), service(&["shards=2"]));
}
