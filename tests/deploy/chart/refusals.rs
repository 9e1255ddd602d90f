//! Values that would not do what they seem to are refused, in words that help.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::chart::{CHART, template};
use crate::tool;

/// What helm says to these values.
fn refusal(values: &str, set: &[&str]) -> String {
    let mut helm = template(values);
    for value in set {
        helm.args(["--set-json", value]);
    }
    let (output, told) = tool::run(&mut helm);
    assert!(!output.status.success(), "{values} {set:?} is taken");
    told
}

#[test]
fn what_the_schema_refuses_is_named_with_its_place() {
    for (set, told) in [
        ("bogus=1", "at '': additional properties 'bogus' not allowed"),
        ("image.sha=1", "at '/image': additional properties 'sha' not allowed"),
        ("shards=0", "at '/shards': minimum: got 0, want 1"),
        ("shards=\"three\"", "at '/shards': got string, want integer"),
        ("replicas=0", "at '/replicas': minimum: got 0, want 1"),
        (
            "log.level=\"trace\"",
            "at '/log/level': value must be one of 'debug', 'info', 'warn', 'error'",
        ),
        ("log.format=\"xml\"", "at '/log/format': value must be one of 'logfmt', 'json'"),
        ("image.pullPolicy=\"Sometimes\"", "at '/image/pullPolicy': value must be one of"),
        ("image.digest=\"sha256:12\"", "at '/image/digest': 'sha256:12' does not match"),
        ("image.tag=\"a b\"", "at '/image/tag': 'a b' does not match"),
        ("image.repository=\"\"", "at '/image/repository': minLength: got 0, want 1"),
        ("image.repository=null", "at '/image': missing property 'repository'"),
        ("image.pullSecrets=[\"registry\"]", "at '/image/pullSecrets/0': got string, want object"),
        ("monitor.kind=\"Servicemonitor\"", "at '/monitor/kind': value must be one of"),
        ("monitor.interval=\"60seconds\"", "at '/monitor/interval': '60seconds' does not match"),
        ("monitor.scrapeTimeout=10", "at '/monitor/scrapeTimeout': got number, want string"),
        ("monitor.labels.release=1", "at '/monitor/labels/release': got number, want string"),
        (
            "monitor.basicAuth.username={\"name\":\"a\",\"key\":\"b\"}",
            "properties 'password' required",
        ),
        (
            "monitor.basicAuth.password=\"hunter2\"",
            "at '/monitor/basicAuth/password': got string, want object",
        ),
        ("monitor.tlsConfig.ca={}", "at '/monitor/tlsConfig/ca': minProperties: got 0, want 1"),
        ("secrets.shop=\"not a name\"", "at '/secrets/shop': 'not a name' does not match"),
        ("config.project={}", "at '/config': additional properties 'project' not allowed"),
        ("config.projects={}", "at '/config/projects': got object, want array"),
        ("web.tls=\"yes\"", "at '/web/tls': got string, want boolean"),
        ("extraArgs=[\"log.level=debug\"]", "at '/extraArgs/0': 'log.level=debug' does not match"),
        ("networkPolicy.from=[]", "at '/networkPolicy/from': minItems: got 0, want 1"),
        ("rules.runbookBaseUrl=\"wiki\"", "at '/rules/runbookBaseUrl': 'wiki' does not match"),
        ("fullnameOverride=\"My Name\"", "at '/fullnameOverride': 'My Name' does not match"),
        ("podLabels.team=7", "at '/podLabels/team': got number, want string"),
        ("resources.limit={}", "at '/resources': additional properties 'limit' not allowed"),
        ("env=[{\"value\":\"x\"}]", "at '/env/0': missing property 'name'"),
        (
            "extraVolumeMounts=[{\"name\":\"x\"}]",
            "at '/extraVolumeMounts/0': missing property 'mountPath'",
        ),
    ] {
        let text = refusal("minimal", &[set]);
        assert!(text.contains(told), "{set}: {told} in\n{text}");
    }
}

#[test]
fn what_would_keep_it_blind_is_refused_with_the_way_to_mend_it() {
    for (values, set, told) in [
        ("minimal", "config=null", "config: say what to poll"),
        ("minimal", "config.projects=[]", "config: say what to poll"),
        ("minimal", "config.credentials={}", "config: say what to poll"),
        (
            "minimal",
            "secrets=null",
            "config.credentials.shop.password_file: nothing is mounted at /var/run/secrets/shop; name its \
             Secret in `secrets` (shop: NAME-OF-THE-SECRET)",
        ),
        (
            "tls",
            "config.credentials.pay={\"access_key_file\":\"/var/run/secrets/pay/ak\"}",
            "config.credentials.pay.access_key_file: nothing is mounted at /var/run/secrets/pay",
        ),
        (
            "minimal",
            "config.projects[0].rds.max_age.auto=false",
            "rds.max_age.auto of `shop-prod`: Helm takes a bare `off` for false; write \"off\"",
        ),
        (
            "full",
            "config.projects[0].rds.instances[0].max_age.auto=false",
            "rds.max_age.auto of `pay-prod`: Helm takes a bare `off`",
        ),
        (
            "full",
            "config.projects[0].ddm.max_age={\"auto_metadata\":false}",
            "ddm.max_age.auto_metadata of `pay-prod`: Helm takes a bare `off`",
        ),
        ("minimal", "secrets.Shop=\"x\"", "secrets.Shop: such a name is made of small letters"),
        ("sharded", "replicas=2", "shards and replicas: only one of them may be above 1"),
        ("minimal", "web.tls=true", "web.existingSecret: name the Secret"),
        ("minimal", "web.clientCertificates=true", "web.existingSecret: name the Secret"),
        ("mutual-tls", "web.tls=false", "web.tls: there are no client certificates without TLS"),
        (
            "mutual-tls",
            "monitor.tlsConfig={\"keySecret\":{\"name\":\"a\",\"key\":\"b\"}}",
            "monitor.tlsConfig: with `web.clientCertificates`",
        ),
        (
            "mutual-tls",
            "monitor.tlsConfig={\"cert\":{\"secret\":{\"name\":\"a\",\"key\":\"b\"}}}",
            "set `cert` and `keySecret`",
        ),
        ("tls", "web.tls=false", "monitor.tlsConfig: it has no effect without `web.tls`"),
    ] {
        let text = refusal(values, &[set]);
        assert!(text.contains(told), "{set}: {told} in\n{text}");
    }
}

#[test]
fn a_secret_in_the_values_is_refused_and_not_repeated() {
    for key in ["password", "access_key", "secret_key", "security_token"] {
        let set = format!("config.credentials.shop.{key}=\"hunter2\"");
        let text = refusal("minimal", &[&set]);
        for told in [
            &format!("config.credentials.shop.{key}: a secret does not belong in values"),
            "put it in a Secret, name that in `secrets` (shop: NAME-OF-THE-SECRET)",
            &format!("write `{key}_file: /var/run/secrets/shop/KEY`"),
        ] {
            assert!(text.contains(told), "{told} in\n{text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }
}

fn values() -> Value {
    serde_yaml::from_str(&tool::text(&format!("{CHART}/values.yaml"))).unwrap()
}

/// Blocks whose keys are not the chart's own.
const OPEN: [&str; 14] = [
    "affinity",
    "config",
    "dashboard.annotations",
    "dashboard.labels",
    "monitor.basicAuth",
    "monitor.labels",
    "monitor.tlsConfig",
    "nodeSelector",
    "podAnnotations",
    "podLabels",
    "podSecurityContext",
    "rules.alertLabels",
    "rules.labels",
    "secrets",
];

/// Each block of the values whose keys are fixed, by its path.
fn blocks(path: &str, value: &Value, found: &mut Vec<(String, BTreeSet<String>)>) {
    let Some(block) = value.as_object() else { return };
    if OPEN.contains(&path) || path == "service.annotations" || path.starts_with("resources.") {
        return;
    }
    found.push((path.to_owned(), block.keys().cloned().collect()));
    for (key, value) in block {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        blocks(&path, value, found);
    }
}

#[test]
fn a_mistyped_key_is_refused_in_every_block() {
    let mut found = Vec::new();
    blocks("", &values(), &mut found);
    assert!(found.len() > 8, "{found:?}");
    for path in found.iter().map(|(path, _)| path.as_str()).chain([
        "config",
        "monitor.basicAuth",
        "monitor.tlsConfig",
    ]) {
        let key = if path.is_empty() { "bogus".to_owned() } else { format!("{path}.bogus") };
        let text = refusal("minimal", &[&format!("{key}=1")]);
        assert!(text.contains("additional properties 'bogus' not allowed"), "{path}: {text}");
    }
}

#[test]
fn every_value_is_in_the_schema_and_shown_with_its_default() {
    let schema: Value =
        serde_json::from_str(&tool::text(&format!("{CHART}/values.schema.json"))).unwrap();
    let mut found = Vec::new();
    blocks("", &values(), &mut found);
    for (path, keys) in found {
        let mut block = &schema;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            block = &block["properties"][part];
        }
        let mut known: BTreeSet<String> = block["properties"]
            .as_object()
            .unwrap_or_else(|| panic!("{path} in the schema"))
            .keys()
            .cloned()
            .collect();
        // Helm's own.
        known.remove("global");
        assert_eq!(keys, known, "{path}");
    }
}

#[test]
fn every_value_is_followed_by_a_comment_or_a_name_that_says_it_all() {
    let text = tool::text(&format!("{CHART}/values.yaml"));
    let lines: Vec<&str> = text.lines().collect();
    let plain = [
        "podLabels",
        "podAnnotations",
        "nodeSelector",
        "tolerations",
        "affinity",
        "priorityClassName",
        "service",
        "image",
        "log",
        "nameOverride",
        "fullnameOverride",
        "extraVolumeMounts",
    ];
    for (at, line) in lines.iter().enumerate() {
        let top = line.split(':').next().unwrap();
        let is_key =
            !line.is_empty() && !line.starts_with([' ', '#', '-']) && !plain.contains(&top);
        assert!(!is_key || lines[at - 1].starts_with('#'), "no comment above {line}");
    }
}
