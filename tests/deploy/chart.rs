//! The Helm chart, as helm renders it with the values of `tests/deploy/values/`.

mod guide;
mod identity;
mod monitoring;
mod network;
mod pod;
pub(crate) mod program;
mod refusals;
mod shards;
mod validity;

use std::process::Command;
use std::sync::OnceLock;

use crate::resources::Resources;
use crate::tool::{self, tool};

pub(crate) const CHART: &str = "deploy/helm/clouddb-backup-exporter";

/// The values files. Each but the first stands on the first.
const ALL: [&str; 7] =
    ["minimal", "full", "sharded", "tls", "mutual-tls", "basic-auth", "pod-monitor"];

/// `helm template` with one of the values files.
fn template(values: &str) -> Command {
    let mut helm = tool("bin/helm");
    helm.args(["template", "shop", CHART, "--namespace=databases"]);
    for values in ["minimal", values] {
        helm.arg(format!("--values=tests/deploy/values/{values}.yaml"));
    }
    helm
}

/// What that brings; asked for by many tests, and made once.
fn rendered(values: &str) -> &'static Resources {
    static MADE: [OnceLock<Resources>; ALL.len()] = [const { OnceLock::new() }; ALL.len()];
    let at = ALL.iter().position(|it| *it == values).expect("one of the values files");
    MADE[at].get_or_init(|| rendered_with(values, &[]))
}

/// The same with values that are set on top.
fn rendered_with(values: &str, set: &[&str]) -> Resources {
    let mut helm = template(values);
    for value in set {
        helm.args(["--set-json", value]);
    }
    let (output, told) = tool::run(&mut helm);
    assert!(output.status.success(), "{values} {set:?}: {told}");
    Resources::read(String::from_utf8(output.stdout).unwrap())
}
