//! Queries of Prometheus.

use serde_json::json;
use tempfile::TempDir;

use super::block::Block;
use crate::rules::{declared, metrics_named};
use crate::tool::{run, tool};

pub(super) fn hold(block: &Block) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("query.yml");
    let rule = json!({ "record": "of:document", "expr": block.text });
    let groups = json!({ "groups": [{ "name": "queries", "rules": [rule] }] });
    std::fs::write(&file, groups.to_string()).unwrap();
    let mut promtool = tool("usr/bin/promtool");
    let (output, told) = run(promtool.args(["check", "rules", "--lint=none"]).arg(&file));
    if !output.status.success() {
        return Err(format!("{}: {told}", block.place()));
    }
    // Of a histogram, the series that it is made of.
    let family = |name: &str| name.strip_suffix("_bucket").unwrap_or(name).to_owned();
    let unknown = metrics_named(&block.text).into_iter().find(|it| declared(&family(it)).is_none());
    unknown.map_or(Ok(()), |name| Err(format!("{}: there is no metric {name}", block.place())))
}
