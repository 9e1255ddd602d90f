//! An exporter that runs, as Prometheus sees it.

use std::time::Duration;

use tokio::time::Instant;

/// Longer than anything here takes on a busy machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What it serves.
pub(crate) async fn get(address: &str, path: &str) -> String {
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().build().unwrap();
    let mut response = client.get(format!("http://{address}{path}")).send().await.unwrap();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).unwrap()
}

/// The first scrape that is as it should be.
pub(crate) async fn until(address: &str, condition: impl Fn(&str) -> bool) -> String {
    let begin = Instant::now();
    loop {
        let scrape = get(address, "/metrics").await;
        if condition(&scrape) {
            return scrape;
        }
        assert!(begin.elapsed() < PATIENCE, "{scrape}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether every target of the demo was polled, and well.
pub(crate) fn all_is_polled(scrape: &str) -> bool {
    let names = ["orders", "customers", "reports", "sandbox", "warehouse", "shop-router"];
    let mut polls = scrape.lines().filter(|line| line.starts_with("clouddb_poll_success{"));
    polls.all(|line| line.ends_with(" 1"))
        && names.iter().all(|name| {
            let its = format!("instance_name=\"{name}\"");
            scrape.lines().any(|line| line.starts_with("clouddb_backups{") && line.contains(&its))
        })
}
