//! The folder in which a reader types: what the documents assume to be there, and the cloud to ask.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use clouddb_backup_exporter::sim::estate;
use tempfile::TempDir;

use super::block::Block;
use super::session::{PATIENCE, Session};
use super::walk;
use crate::tool::{checkout, succeed};
use tokio::time::Instant;

/// Whether the alerts of the shipped files wait for as long as they say.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Files {
    Shipped,
    Impatient,
}

pub(super) struct Place {
    pub(super) session: Session,
    /// What the documents say of the cloud, and what is true of the simulated one.
    cloud: Vec<(&'static str, String)>,
    /// What its config is, if it is not that of the README.
    with: Option<String>,
    folder: TempDir,
    _changes: TempDir,
}

impl Place {
    pub(super) fn new(files: Files) -> Self {
        let (folder, changes) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        fs::create_dir_all(folder.path().join("tests/deploy")).unwrap();
        for name in ["deploy", "docs", "config.example.yaml", "tests/deploy/rules"] {
            copy(name, &folder, name);
        }
        if files == Files::Impatient {
            walk::hurry(&folder.path().join("deploy/prometheus"));
        }
        // Where a reader has put the rules and the dashboard is not for the documents to say.
        copy("deploy/prometheus/rules.yml", &folder, "rules.yml");
        copy("deploy/grafana/clouddb-backups.json", &folder, "clouddb-backups.json");
        let mut session = Session::start(folder.path(), changes.path());
        let cloud = simulated(&mut session);
        // It has no config yet.
        let with = Some(String::new());
        let mut place = Self { session, cloud, with, folder, _changes: changes };
        // What the documents have built.
        let release = place.folder.path().join("target/release");
        fs::create_dir_all(&release).unwrap();
        symlink("/usr/local/bin/clouddb-backup-exporter", release.join("clouddb-backup-exporter"))
            .unwrap();
        fs::write(place.folder.path().join("password"), estate::PASSWORD).unwrap();
        place.configure(None).unwrap();
        place
    }

    /// Puts another config in its place if another one is asked for: that of the README, or one with so many
    /// instances as is said.
    pub(super) fn configure(&mut self, with: Option<&str>) -> Result<(), String> {
        if self.with.as_deref() == with {
            return Ok(());
        }
        let config = match with {
            None => self.here(&readme_config()),
            Some(with) => {
                let count = with.strip_suffix(" instances").and_then(|it| it.parse().ok());
                many(
                    count
                        .ok_or_else(|| format!("nobody knows `with: {with}`: say `N instances`"))?,
                )
            }
        };
        let config = config.replace("/var/run/secrets/shop/password", "password");
        fs::write(self.folder.path().join("config.yaml"), config).unwrap();
        self.with = with.map(str::to_owned);
        Ok(())
    }

    /// The command, or the config, with the simulated cloud in the place of the real one.
    pub(super) fn here(&self, text: &str) -> String {
        self.cloud.iter().fold(text.to_owned(), |text, (real, here)| text.replace(real, here))
    }
}

/// The config of the README with these instances in the place of those that are discovered.
fn many(count: u32) -> String {
    let instances: Vec<String> =
        (0..count).map(|at| format!("        - {{ id: {at:032x}in01 }}\n")).collect();
    let readme = readme_config();
    let (config, _) = readme.split_once("      discover: true\n").expect("it discovers");
    format!("{config}      instances:\n{}", instances.concat())
}

/// The first config of the README.
pub(super) fn readme_config() -> String {
    let blocks = Block::all("README.md");
    let is_config = |it: &Block| it.language == "yaml" && it.text.contains("credentials:");
    blocks.into_iter().find(is_config).expect("a config in the README").text
}

/// Copies a file or a folder of the checkout to this path of the reader's folder.
fn copy(from: &str, folder: &TempDir, to: &str) {
    succeed(Command::new("cp").arg("-r").arg(checkout(from)).arg(folder.path().join(to)));
}

/// The simulated cloud of the demo, whose own daemon is out of the way.
fn simulated(session: &mut Session) -> Vec<(&'static str, String)> {
    let start =
        "clouddb-backup-exporter demo --web.listen-address=127.0.0.1:0 > /var/log/cloud.log 2>&1 &";
    session.run(start).unwrap();
    let begin = Instant::now();
    loop {
        let (_, said) = session.run("cat /var/log/cloud.log").unwrap();
        if said.contains("stop with Ctrl-C") {
            let of = |name: &str| {
                let (_, rest) = said.split_once(&format!(" {name} http://")).expect(&said);
                format!("http://{}", rest.lines().next().unwrap())
            };
            // The requests of the first round would take longer than a test should.
            let user = format!("    user_domain_name: {}\n", estate::DOMAIN);
            return vec![
                ("0483b6b16e954cb88930a360d2c4e663", estate::DEMO_PROJECT_ID.to_owned()),
                ("your-password", estate::PASSWORD.to_owned()),
                (
                    "    user_domain_name: OTC00000000001000010001\n",
                    format!("{user}    requests_per_second: 100\n"),
                ),
                ("https://iam.eu-de.otc.t-systems.com/v3", of("IAM")),
                ("https://rds.eu-de.otc.t-systems.com", of("RDS")),
                ("https://ddm.eu-de.otc.t-systems.com", of("DDM")),
            ];
        }
        assert!(begin.elapsed() < PATIENCE, "{said}");
        session.run("sleep 0.05").unwrap();
    }
}
