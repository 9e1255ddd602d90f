//! The unit as systemd runs it, and what the daemon tells a service manager.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::sim::{Cloud, estate};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::document::commands;
use crate::image::demo_config;
use crate::machine::Machine;
use crate::scrape::{PATIENCE, all_is_polled, until};
use crate::tool::{checkout, run, succeed, text};

const UNIT: &str = "deploy/systemd/clouddb-backup-exporter.service";
const DOCUMENT: &str = "docs/install.md";
const PROGRAM: &str = env!("CARGO_BIN_EXE_clouddb-backup-exporter");

#[test]
fn systemd_finds_nothing_wrong_in_the_unit() {
    // It looks for the program at the path that the unit names.
    let unit = text(UNIT).replace("/usr/local/bin/clouddb-backup-exporter", "/bin/true");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("clouddb-backup-exporter.service");
    std::fs::write(&file, unit).unwrap();
    let mut verify = Command::new("systemd-analyze");
    assert_eq!(succeed(verify.args(["verify", "--man=no"]).arg(file)), "");
}

#[test]
fn its_exposure_is_the_documented_one_and_only_what_it_needs_is_open() {
    let security = |unit: &Path, options: &[&str]| {
        let mut analyze = Command::new("systemd-analyze");
        succeed(analyze.args(["security", "--offline=true"]).args(options).arg(unit))
    };
    let told = security(&checkout(UNIT), &["--no-pager"]);
    let (_, level) = told.split_once("Overall exposure level for ").unwrap();
    let level = level.split(' ').nth(1).unwrap();
    let document = text(DOCUMENT).replace('\n', " ");
    assert!(document.contains(&format!("exposure at {level} (")), "{told}");

    let needed = [
        // The program and its config are files of the machine.
        "RootDirectoryOrRootImage",
        // What systemd is told; the cloud and the scrapes.
        "RestrictAddressFamilies_AF_UNIX",
        "RestrictAddressFamilies_AF_INET_INET6",
        // The time of its start.
        "ProcSubset",
        // The cloud and the scrapes, at addresses that the unit cannot know.
        "PrivateNetwork",
        // The clock for reading, which `ProtectClock` leaves.
        "DeviceAllow",
        "IPAddressDeny",
    ];
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.join(" ")
    };
    // Also for whoever names a user of the machine instead.
    let folder = TempDir::new().unwrap();
    let other = folder.path().join("clouddb-backup-exporter.service");
    std::fs::write(&other, text(UNIT).replace("DynamicUser=yes", "User=exporter")).unwrap();
    for unit in [checkout(UNIT), other] {
        let told = security(&unit, &["--json=short"]);
        let findings: Vec<Value> = serde_json::from_str(&told).unwrap();
        let is_open = |it: &&Value| it["exposure"].as_str().is_some_and(|it| it != "0.0");
        let open = findings.iter().filter(is_open).map(|it| it["json_field"].as_str().unwrap());
        assert_eq!(sorted(open.collect()), sorted(needed.to_vec()), "{}", unit.display());
    }
}

#[tokio::test]
async fn the_documented_commands_install_a_unit_that_works_shut_off_from_all_else() {
    let cloud = Cloud::start(estate::demo(Clock::system().now())).await.unwrap();
    let machine = Machine::boot();
    // What is unpacked, and what the reader wrote.
    let program = std::fs::read(checkout(".tools/image/out/usr/bin/clouddb-backup-exporter"));
    machine.write("/root/clouddb-backup-exporter", &program.unwrap());
    machine.write("/root/clouddb-backup-exporter.service", text(UNIT).as_bytes());
    let secret = "/run/credentials/clouddb-backup-exporter.service/secret_password";
    assert!(text(DOCUMENT).contains(secret));
    // By a name, so that the resolver is needed.
    let config = demo_config(&cloud, secret).replace("127.0.0.1", "localhost");
    machine.write("/root/config.yaml", config.as_bytes());
    machine.write("/root/password", estate::PASSWORD.as_bytes());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    machine.sh("mkdir --parents /etc/systemd/system/clouddb-backup-exporter.service.d");
    let drop_in = format!(
        "[Service]\nExecStart=\nExecStart=/usr/local/bin/clouddb-backup-exporter \
         --config.file=/etc/clouddb-backup-exporter/config.yaml --web.listen-address={port}\n"
    );
    let file = "/etc/systemd/system/clouddb-backup-exporter.service.d/override.conf";
    machine.write(file, drop_in.as_bytes());

    let mut documented = commands(DOCUMENT, "## systemd").into_iter();
    let install: Vec<String> =
        documented.by_ref().take_while(|line| !line.starts_with("systemctl status")).collect();
    assert!(install.last().unwrap().starts_with("systemctl enable --now"), "{install:?}");
    machine.sh(&install.join("\n"));
    let state = |property: &str| {
        let line = format!("systemctl show --property={property} clouddb-backup-exporter");
        machine.sh(&line).trim().to_owned()
    };
    assert_eq!(state("ActiveState"), "ActiveState=active");
    assert_eq!(state("UnitFileState"), "UnitFileState=enabled");
    // The first polls have a network, and one that hangs does not hold the end of the machine.
    assert!(state("After").contains("network-online.target"));
    assert!(state("Wants").contains("network-online.target"));
    assert_eq!(state("TimeoutStopUSec"), "TimeoutStopUSec=10s");
    // Oftener it would meet the limit at which systemd gives up.
    assert_eq!(state("RestartUSec"), "RestartUSec=15s");
    // What is forbidden is refused, and does not kill.
    assert_eq!(state("SystemCallErrorNumber"), "SystemCallErrorNumber=1");
    let address = port.to_string();
    let scrape = until(&address, all_is_polled).await;
    // What is shut off must not make a number wrong.
    let value = |metric: &str| -> f64 {
        let line = scrape.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{metric} in\n{scrape}")).parse().unwrap()
    };
    let id = state("MainPID").replace("MainPID=", "");
    machine
        .sh(&format!("test \"$(readlink /proc/{id}/ns/ipc)\" != \"$(readlink /proc/1/ns/ipc)\""));
    let started = machine.sh(&format!("date +%s --date=\"$(ps -o lstart= -p {id})\""));
    let started: f64 = started.trim().parse().unwrap();
    assert!((value("process_start_time_seconds") - started).abs() <= 2.0, "{started}\n{scrape}");
    for metric in ["process_open_fds", "process_max_fds", "process_threads"] {
        assert!(value(metric) >= 1.0, "{metric} in\n{scrape}");
    }
    assert!(value("process_resident_memory_bytes") > 1e6, "{scrape}");

    assert!(documented.next().unwrap().starts_with("journalctl"));
    let log = machine.sh("journalctl --unit=clouddb-backup-exporter");
    assert!(log.contains("listening on "), "{log}");
    assert!(!log.contains("level=warn") || log.contains("finding"), "{log}");

    let reload = documented.next().unwrap();
    machine.write("/etc/clouddb-backup-exporter/config.yaml", b"nonsense");
    machine.sh(&reload);
    until_state(&machine, "StatusText=the config has problems").await;
    machine.write("/etc/clouddb-backup-exporter/config.yaml", config.as_bytes());
    machine.sh(&reload);
    until_state(&machine, "StatusText=the config was reloaded").await;
    assert_eq!(state("ActiveState"), "ActiveState=active");
    until(&address, all_is_polled).await;

    // A new secret is seen after the documented restart.
    machine.write("/etc/clouddb-backup-exporter/secrets/password", b"of-tomorrow");
    cloud.change(|estate| "of-tomorrow".clone_into(&mut estate.users[0].password));
    cloud.revoke_tokens();
    machine.sh(&documented.next().unwrap());
    until(&address, all_is_polled).await;
    assert_eq!(documented.next(), None);

    machine.sh("systemctl stop clouddb-backup-exporter");
    assert_eq!(state("Result"), "Result=success");
    assert_eq!(state("ExecMainStatus"), "ExecMainStatus=0");
}

async fn until_state(machine: &Machine, begin: &str) {
    let waiting = Instant::now();
    loop {
        let told = machine.sh("systemctl show --property=StatusText clouddb-backup-exporter");
        if told.starts_with(begin) {
            return;
        }
        assert!(waiting.elapsed() < PATIENCE, "{told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_config_with_problems_fails_the_start_and_is_tried_again() {
    let machine = Machine::boot();
    let program = std::fs::read(checkout(".tools/image/out/usr/bin/clouddb-backup-exporter"));
    machine.write("/root/clouddb-backup-exporter", &program.unwrap());
    machine.write("/root/clouddb-backup-exporter.service", text(UNIT).as_bytes());
    machine.write("/root/config.yaml", b"nonsense");
    machine.write("/root/password", b"");
    let (output, told) =
        run(&mut machine.command(&commands(DOCUMENT, "## systemd")[..8].join("\n")));
    assert!(!output.status.success(), "{told}");
    let told = machine.sh(
        "systemctl show --property=ActiveState,SubState,ExecMainStatus clouddb-backup-exporter",
    );
    for line in ["ExecMainStatus=2", "ActiveState=activating", "SubState=auto-restart"] {
        assert!(told.lines().any(|it| it == line), "{line} in {told}");
    }
}

/// A service manager that listens, and a daemon that it started.
struct Supervised {
    manager: UnixDatagram,
    daemon: Child,
    folder: TempDir,
}

impl Supervised {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        // Nobody listens at the address of the cloud.
        let config = "credentials: { nobody: { access_key: a, secret_key: s } }\nprojects:\n  - { name: \
                      shop, project_id: p, credentials: nobody, ddm: { endpoint: \"https://127.0.0.1:1\" } }\n";
        std::fs::write(folder.path().join("config.yaml"), config).unwrap();
        let daemon = Command::new(PROGRAM)
            .arg("--config.file")
            .arg(folder.path().join("config.yaml"))
            .arg("--web.listen-address=127.0.0.1:0")
            .env("NOTIFY_SOCKET", &socket)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { manager, daemon, folder }
    }

    /// The next that it tells.
    fn told(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.manager.recv(&mut buffer).expect("it tells something");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Its exit code, which must come within five seconds.
    fn ended(&mut self) -> Option<i32> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.daemon.try_wait().unwrap() {
                return status.code();
            }
            assert!(begin.elapsed() < Duration::from_secs(5), "it ends within five seconds");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: &str) {
        succeed(Command::new("kill").args([signal, &self.daemon.id().to_string()]));
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.daemon.kill().ok();
        self.daemon.wait().ok();
    }
}

#[test]
fn a_service_manager_is_told_when_it_serves_reads_its_config_again_and_ends() {
    let mut it = Supervised::start();
    assert_eq!(it.told(), "READY=1\n", "whether the cloud answers or not");
    for (config, outcome) in [
        (None, "the config was reloaded"),
        (Some("nonsense"), "the config has problems, which the log tells; the one in force stays"),
    ] {
        if let Some(config) = config {
            std::fs::write(it.folder.path().join("config.yaml"), config).unwrap();
        }
        it.signal("-HUP");
        let reloading = it.told();
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading);
        assert!(time.trim().parse::<u64>().is_ok_and(|time| time > 0), "{reloading}");
        assert_eq!(it.told(), format!("READY=1\nSTATUS={outcome}\n"));
    }
    it.signal("-TERM");
    assert_eq!(it.told(), "STOPPING=1\n");
    assert_eq!(it.ended(), Some(0));
}

#[test]
fn a_service_manager_that_does_not_read_does_not_hold_the_daemon() {
    let mut it = Supervised::start();
    assert_eq!(it.told(), "READY=1\n");
    // Nobody reads, and there is no place left: also not for one that has sent nothing yet.
    let mut senders = Vec::new();
    loop {
        let socket = UnixDatagram::unbound().unwrap();
        socket.connect(it.folder.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        if socket.send(b"X=1").is_err() {
            break;
        }
        while socket.send(b"X=1").is_ok() {}
        senders.push(socket);
    }
    it.signal("-TERM");
    assert_eq!(it.ended(), Some(0));
}
