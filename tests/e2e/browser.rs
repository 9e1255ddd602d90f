//! The status page as a person uses it, in Debian's Chromium. What is promised stands in `browser.mjs`; its
//! pictures are kept in `target/browser/`.

use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::sim::{Cloud, RdsInstance, estate};
use tokio::process::Command;
use tokio::time::timeout;

use crate::exporter::{Exporter, polling_often};
use crate::process::{PATIENCE, shipped, tool};

const HOSTILE: &str =
    r#"</title><script>window.hacked=1</script><img src=x onerror="window.hacked=1">'&amp;"#;

#[tokio::test]
async fn in_a_browser_the_status_page_finds_shows_and_survives_what_it_should() {
    let estate = estate::demo(Clock::system().now());
    let id = "5f0c8f6f3c5e4b6aa1f2d9c7e8b60a19in01";
    let cloud = Cloud::start(estate.with_rds(RdsInstance::new(id, HOSTILE))).await.unwrap();
    let (rds, ddm) = (cloud.rds_url(), cloud.ddm_url());
    let exporter = Exporter::start(&format!(
        "{}  - name: demo\n    project_id: {}\n    credentials: main\n    \
         rds: {{ endpoint: {rds}, discover: true, restore_window: true }}\n    \
         ddm: {{ endpoint: {ddm} }}\n",
        polling_often(&cloud),
        estate::DEMO_PROJECT_ID,
    ))
    .await;
    let url = format!("http://{}", exporter.address());
    let pictures = shipped("target/browser");
    std::fs::create_dir_all(&pictures).unwrap();
    let browser = Command::new("node")
        .arg(shipped("tests/e2e/browser.mjs"))
        .arg(&url)
        .arg(&pictures)
        .env("NODE_PATH", tool("node/node_modules"))
        .kill_on_drop(true)
        .output();
    let output = timeout(2 * PATIENCE, browser).await.expect("it ends").unwrap();
    let [said, complained] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    assert!(output.status.success(), "{said}\n{complained}");
    assert_eq!(said.lines().count(), 9, "{said}");
}
