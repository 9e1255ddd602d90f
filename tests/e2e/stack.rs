//! All of it: a simulated cloud, the exporter, Prometheus, Alertmanager and a webhook.

use clouddb_backup_exporter::sim::{Cloud, Estate};

use crate::alertmanager::Alertmanager;
use crate::exporter::{Exporter, polling_often};
use crate::process::tool;
use crate::prometheus::Prometheus;
use crate::webhook::Webhook;

pub(crate) struct Stack {
    pub(crate) cloud: Cloud,
    pub(crate) exporter: Exporter,
    pub(crate) webhook: Webhook,
    pub(crate) alertmanager: Alertmanager,
    pub(crate) prometheus: Prometheus,
}

impl Stack {
    /// Starts with an estate, and the projects of the config that reads it.
    pub(crate) async fn start(estate: Estate, projects: impl FnOnce(&Cloud) -> String) -> Self {
        let cloud = Cloud::start(estate).await.unwrap();
        let config = polling_often(&cloud) + &projects(&cloud);
        let exporter = Exporter::start(&config).await;
        let webhook = Webhook::start().await;
        let alertmanager = Alertmanager::start(&webhook).await;
        let program = tool("usr/bin/prometheus");
        let targets = [exporter.address()];
        let prometheus = Prometheus::start(&program, &targets, alertmanager.address()).await;
        Self { cloud, exporter, webhook, alertmanager, prometheus }
    }
}
