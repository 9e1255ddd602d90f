//! What TLS costs: `cargo bench --bench tls [-- INSTANCES]`. The poll of `benches/poll.rs` by TLS and
//! plain, with connections that are kept (T1).

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for a terminal, of which a failure may end at once"
)]

mod common;

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;

use clouddb_backup_exporter::clock::Clock;
use common::{Goal, Goals, Pages, Server, Way, thread_cpu};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

const RECORDS: usize = 2016;
const IN_FLIGHT: usize = 8;
const ROUNDS: usize = 9;

fn main() -> ExitCode {
    if !common::is_asked() {
        return ExitCode::SUCCESS;
    }
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let instances = common::number(50);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, certificate.pem()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let pages = Arc::new(Pages::new(instances, RECORDS));
    let same = Arc::clone(&pages);
    let plain = Server::answering(move |target| same.answer(target));
    let packed = Server::answering_by_tls(acceptor, move |target| pages.answer(target));
    let way = |endpoint: String, credential: &str| {
        let settings = format!("incremental_lookback: all, concurrency: {IN_FLIGHT}");
        let text = common::config(&endpoint, &settings, credential, instances);
        Arc::new(Way::new(&text, Clock::new(common::newest)))
    };
    let ca_file = format!(", ca_file: {}", file.display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ratios = runtime.block_on(async {
        let plain = way(format!("http://{}", plain.address), "");
        let packed = way(format!("https://{}", packed.address), &ca_file);
        // The handshakes are those of the warm-up.
        for way in [&plain, &packed] {
            assert_eq!(common::full_poll(way, IN_FLIGHT).await.0, instances * RECORDS);
        }
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let begin = thread_cpu();
            common::full_poll(&plain, IN_FLIGHT).await;
            let middle = thread_cpu();
            common::full_poll(&packed, IN_FLIGHT).await;
            ratios.push((thread_cpu() - middle) / (middle - begin));
        }
        ratios
    });
    let mut goals = Goals::default();
    goals.tell(
        "T1",
        "CPU of a poll by TLS ÷ plain",
        &ratios,
        Goal::AtMost { must: 1.6, aim: 1.25 },
    );
    goals.end()
}
