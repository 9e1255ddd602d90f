//! The pod: its rights, its limits, what it mounts, how it is probed and replaced.

use serde_json::{Value, json};

use crate::chart::{ALL, rendered, rendered_with};

fn volume<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let found = pod["volumes"].as_array().unwrap().iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("{name} in {}", pod["volumes"]))
}

fn mount<'a>(container: &'a Value, name: &str) -> &'a Value {
    let found = container["volumeMounts"].as_array().unwrap().iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("{name} in {}", container["volumeMounts"]))
}

#[test]
fn the_container_has_no_rights_and_can_write_nothing() {
    for values in ALL {
        assert_eq!(
            rendered(values).container()["securityContext"],
            json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            }),
            "{values}"
        );
    }
}

#[test]
fn the_pod_is_a_user_of_its_own_whom_the_platform_may_choose() {
    assert_eq!(
        rendered("minimal").pod()["securityContext"],
        json!({
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": { "type": "RuntimeDefault" },
        })
    );
    assert_eq!(
        rendered("full").pod()["securityContext"],
        json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } })
    );
}

#[test]
fn nothing_of_kubernetes_is_in_its_reach() {
    for values in ALL {
        let rendered = rendered(values);
        let pod = rendered.pod();
        assert_eq!(pod["automountServiceAccountToken"], false, "{values}");
        assert_eq!(pod["enableServiceLinks"], false, "{values}");
        if values == "full" {
            assert_eq!(pod["serviceAccountName"], "monitoring");
            assert!(rendered.of_kind("ServiceAccount").is_empty());
        } else {
            let account = rendered.one("ServiceAccount");
            assert_eq!(pod["serviceAccountName"], account["metadata"]["name"], "{values}");
            assert_eq!(account["automountServiceAccountToken"], false, "{values}");
        }
    }
    let named = rendered_with("minimal", &[r#"serviceAccount={"create":true,"name":"own"}"#]);
    assert_eq!(named.pod()["serviceAccountName"], "own");
    assert_eq!(named.one("ServiceAccount")["metadata"]["name"], "own");
    let none = rendered_with("minimal", &[r#"serviceAccount={"create":false}"#]);
    assert_eq!(none.pod()["serviceAccountName"], "default");
}

#[test]
fn it_has_the_memory_that_was_measured_and_no_limit_of_cpu() {
    assert_eq!(
        rendered("minimal").container()["resources"],
        json!({
            "requests": { "cpu": "10m", "memory": "48Mi" },
            "limits": { "memory": "128Mi" },
        })
    );
}

#[test]
fn the_kubelet_asks_whether_it_lives_and_whether_it_has_polled() {
    let rendered = rendered("minimal");
    let container = rendered.container();
    assert_eq!(
        container["livenessProbe"],
        json!({
            "httpGet": { "path": "/-/healthy", "port": "metrics" },
            "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6,
        })
    );
    assert_eq!(
        container["readinessProbe"],
        json!({
            "httpGet": { "path": "/-/ready", "port": "metrics" },
            "periodSeconds": 5, "timeoutSeconds": 5,
        })
    );
    assert_eq!(
        container["ports"],
        json!([{ "name": "metrics", "containerPort": 19747, "protocol": "TCP" }])
    );
}

#[test]
fn the_kubelet_speaks_tls_where_the_exporter_does() {
    for values in ["tls", "pod-monitor"] {
        let rendered = rendered(values);
        for (probe, path) in [("livenessProbe", "/-/healthy"), ("readinessProbe", "/-/ready")] {
            assert_eq!(
                rendered.container()[probe]["httpGet"],
                json!({ "path": path, "port": "metrics", "scheme": "HTTPS" }),
                "{values}"
            );
        }
    }
}

#[test]
fn a_kubelet_that_has_no_client_certificate_only_connects() {
    let rendered = rendered("mutual-tls");
    for probe in ["livenessProbe", "readinessProbe"] {
        let probe = &rendered.container()[probe];
        assert_eq!(probe["tcpSocket"], json!({ "port": "metrics" }));
        assert_eq!(probe.get("httpGet"), None);
    }
    // Such a probe is content at once, so the old pod has to be kept for as long as polling may take.
    assert_eq!(rendered.workload()["spec"]["minReadySeconds"], 300);
    assert_eq!(self::rendered("tls").workload()["spec"].get("minReadySeconds"), None);
}

#[test]
fn the_old_pod_serves_until_the_new_one_has_polled() {
    assert_eq!(
        rendered("minimal").workload()["spec"]["strategy"],
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } })
    );
}

#[test]
fn it_is_given_longer_to_end_than_it_takes() {
    for values in ALL {
        assert_eq!(rendered(values).pod()["terminationGracePeriodSeconds"], 10, "{values}");
    }
}

#[test]
fn the_names_of_the_cloud_are_looked_up_as_they_are() {
    for values in ALL {
        assert_eq!(
            rendered(values).pod()["dnsConfig"],
            json!({ "options": [{ "name": "ndots", "value": "1" }] }),
            "{values}"
        );
    }
}

#[test]
fn pods_are_replaced_when_the_config_changes_and_only_then() {
    let checksum = |set: &[&str]| {
        let rendered = rendered_with("minimal", set);
        rendered.template()["metadata"]["annotations"]["checksum/config"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let before = checksum(&[]);
    assert_eq!(before.len(), 64);
    assert_ne!(checksum(&[r#"config.poll={"interval":"10m"}"#]), before);
    assert_eq!(checksum(&["rules.enabled=true", "monitor.interval=\"2m\""]), before);
    assert_eq!(
        rendered("full").template()["metadata"]["annotations"]["example.com/inject"],
        "false"
    );
}

#[test]
fn the_config_is_mounted_where_the_program_is_told_to_look() {
    for values in ALL {
        let rendered = rendered(values);
        let container = rendered.container();
        assert_eq!(
            mount(container, "config"),
            &json!({
                "name": "config", "mountPath": "/etc/clouddb-backup-exporter", "readOnly": true,
            }),
            "{values}"
        );
        assert_eq!(
            container["args"][0], "--config.file=/etc/clouddb-backup-exporter/config.yaml",
            "{values}"
        );
        // Fails if no such ConfigMap is rendered.
        assert!(rendered.config().contains("credentials:"));
    }
}

#[test]
fn secrets_are_folders_that_the_group_may_read_and_that_have_to_be_there() {
    let rendered = rendered("full");
    for (name, secret) in [("shop", "clouddb-shop"), ("pay", "clouddb-pay")] {
        let folder = format!("secret-{name}");
        assert_eq!(
            volume(rendered.pod(), &folder)["secret"],
            json!({ "secretName": secret, "optional": false, "defaultMode": 0o440 })
        );
        // Without a `subPath`, which would keep a rotated secret away.
        assert_eq!(
            mount(rendered.container(), &folder),
            &json!({
                "name": folder, "mountPath": format!("/var/run/secrets/{name}"), "readOnly": true,
            })
        );
    }
}

#[test]
fn the_web_config_is_a_secret_too() {
    for values in ["tls", "mutual-tls", "basic-auth", "pod-monitor"] {
        let rendered = rendered(values);
        assert_eq!(
            volume(rendered.pod(), "web")["secret"],
            json!({ "secretName": "exporter-web", "optional": false, "defaultMode": 0o440 })
        );
        assert_eq!(
            mount(rendered.container(), "web"),
            &json!({
                "name": "web", "mountPath": "/etc/clouddb-backup-exporter-web", "readOnly": true,
            })
        );
        let args = rendered.container()["args"].as_array().unwrap();
        let flag = "--web.config.file=/etc/clouddb-backup-exporter-web/web.yaml";
        assert!(args.iter().any(|it| it == flag), "{values}: {args:?}");
    }
    assert!(!rendered("minimal").text().contains("web.config.file"));
}

#[test]
fn what_the_operator_says_of_the_pod_is_done() {
    let rendered = rendered("full");
    let (pod, container) = (rendered.pod(), rendered.container());
    let digest = "0123456789abcdef".repeat(4);
    assert_eq!(
        container["image"],
        format!("registry.example.com/tools/clouddb-backup-exporter@sha256:{digest}")
    );
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(self::rendered("minimal").container()["imagePullPolicy"], "IfNotPresent");
    assert_eq!(pod["imagePullSecrets"], json!([{ "name": "registry" }]));
    let args = container["args"].as_array().unwrap();
    for flag in ["--log.level=debug", "--log.format=json", "--web.listen-address=[::]:19747"] {
        assert!(args.iter().any(|it| it == flag), "{flag} in {args:?}");
    }
    assert_eq!(
        container["env"],
        json!([{ "name": "HTTPS_PROXY", "value": "http://proxy.example:3128" }])
    );
    assert_eq!(volume(pod, "ca")["configMap"]["name"], "own-ca");
    assert_eq!(mount(container, "ca")["mountPath"], "/var/run/ca");
    assert_eq!(container["resources"]["limits"], json!({ "cpu": 1, "memory": "1Gi" }));
    assert_eq!(container["resources"]["requests"], json!({ "cpu": "100m", "memory": "200Mi" }));
    let labels = &rendered.template()["metadata"]["labels"];
    assert_eq!(labels["team"], "databases");
    assert_eq!(labels["app.kubernetes.io/name"], "backups");
    assert_eq!(pod["nodeSelector"], json!({ "kubernetes.io/os": "linux" }));
    assert_eq!(pod["tolerations"], json!([{ "key": "monitoring", "operator": "Exists" }]));
    assert!(pod["affinity"]["nodeAffinity"].is_object());
    assert_eq!(pod["priorityClassName"], "system-cluster-critical");
}

#[test]
fn a_tag_is_taken_where_there_is_no_digest() {
    let rendered = rendered_with("minimal", &[r#"image.tag="2.0.0""#]);
    assert_eq!(rendered.container()["image"], "clouddb-backup-exporter:2.0.0");
}
