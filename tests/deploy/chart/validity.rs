//! What Kubernetes and Prometheus Operator would say of it.

use crate::chart::{ALL, CHART, rendered, rendered_with, template};
use crate::resources::{self, NEWEST, OLDEST, Resources};
use crate::tool::{self, tool};

#[test]
fn helm_has_nothing_to_say_against_the_chart() {
    for values in ALL {
        let mut helm = tool("bin/helm");
        helm.args(["lint", "--strict", CHART, "--values=tests/deploy/values/minimal.yaml"]);
        helm.arg(format!("--values=tests/deploy/values/{values}.yaml"));
        let told = tool::succeed(&mut helm);
        assert!(told.contains("1 chart(s) linted, 0 chart(s) failed"), "{values}: {told}");
        for grave in ["[ERROR]", "[WARNING]"] {
            assert!(!told.contains(grave), "{values}: {told}");
        }
    }
}

#[test]
fn the_oldest_and_the_newest_kubernetes_know_every_field() {
    let renderings = ALL.map(rendered);
    let texts = renderings.map(Resources::text);
    for version in [OLDEST, NEWEST] {
        resources::validate(&texts, version).unwrap_or_else(|told| panic!("{version}: {told}"));
        let misspelt = texts[0].replace("readOnlyRootFilesystem", "readOnlyRootFileSystem");
        let told = resources::validate(&[&misspelt], version).unwrap_err();
        assert!(told.contains("readOnlyRootFileSystem"), "{told}");
    }
}

#[test]
fn a_kubernetes_older_than_the_oldest_that_is_tested_is_refused() {
    let (output, _) = tool::run(template("minimal").args(["--kube-version", OLDEST]));
    assert!(output.status.success());
    let (output, told) = tool::run(template("minimal").args(["--kube-version", "1.24.17"]));
    assert!(!output.status.success());
    assert!(told.contains(">=1.25.0-0"), "{told}");
}

#[test]
fn prometheus_operator_knows_what_is_meant_for_it() {
    let mut kinds = Vec::new();
    for values in ALL {
        let rendered = rendered(values);
        let monitoring = rendered.all().iter();
        let monitoring: Vec<_> =
            monitoring.filter(|it| it["apiVersion"] == "monitoring.coreos.com/v1").collect();
        resources::validate_monitoring(&monitoring)
            .unwrap_or_else(|told| panic!("{values}: {told}"));
        kinds.extend(monitoring.iter().map(|it| it["kind"].as_str().unwrap().to_owned()));
    }
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds, ["PodMonitor", "PrometheusRule", "ServiceMonitor"]);

    let mut wrong = rendered("full").one("ServiceMonitor").clone();
    wrong["spec"]["endpoints"][0]["interval"] = "60seconds".into();
    let told = resources::validate_monitoring(&[&wrong]).unwrap_err();
    assert!(told.contains("interval"), "{told}");
}

#[test]
fn nothing_of_an_operator_is_rendered_unless_it_is_asked_for() {
    let rendered = rendered("minimal");
    let mut kinds: Vec<_> = rendered.all().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["ConfigMap", "Deployment", "NetworkPolicy", "Service", "ServiceAccount"]);
}

#[test]
fn no_rendering_holds_a_secret() {
    for values in ALL {
        assert!(rendered(values).of_kind("Secret").is_empty(), "{values}");
    }
}

#[test]
fn a_list_or_block_that_is_emptied_leaves_no_field_without_a_value() {
    let rendered = rendered_with("minimal", &["resources={}", "podSecurityContext={}"]);
    resources::validate(&[rendered.text()], NEWEST).unwrap();
}
