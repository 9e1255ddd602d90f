//! What people are shown: the status page, the page of an instance, and the same as JSON.

use std::fs;
use std::path::{Path, PathBuf};

use clouddb_backup_exporter::clock::Clock;
use clouddb_backup_exporter::sim::{
    Cloud, DdmBackup, Estate, Fault, RdsBackup, RdsInstance, Service,
};
use clouddb_backup_exporter::status::{self, Mark, PARAMETERS, Sort};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::{Daemon, Setup, clock_of};
use crate::running::PATIENCE;
use crate::schema::check_jsonschema;
use crate::web::demo;

const A: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const SCHEMA: &str = "docs/status.schema.json";

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_docs_name_every_state_order_and_parameter() {
    let text = fs::read_to_string(checkout("docs/status.md")).unwrap();
    let states = Mark::ALL.into_iter().map(|mark| format!("| `{mark}` |"));
    let orders = Sort::ALL.into_iter().map(|sort| format!("`{}`", sort.word()));
    let parameters = PARAMETERS.into_iter().map(|name| format!("`{name}`"));
    for named in states.chain(orders).chain(parameters) {
        assert!(text.contains(&named), "{named}");
    }
}

/// What check-jsonschema has against answers, if anything.
async fn refusal(answers: &[&Value]) -> Option<String> {
    let folder = TempDir::new().unwrap();
    let mut command = check_jsonschema();
    command.arg("--schemafile").arg(checkout(SCHEMA));
    for (at, answer) in answers.iter().enumerate() {
        let file = folder.path().join(format!("{at}.json"));
        fs::write(&file, answer.to_string()).unwrap();
        command.arg(file);
    }
    let output = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").unwrap();
    (!output.status.success()).then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_schema_of_the_docs_is_that_of_the_program() {
    let made = format!("{:#}\n", status::schema());
    let file = checkout(SCHEMA);
    if std::env::var_os("CLOUDDB_UPDATE_DOCS").is_some() {
        fs::write(&file, made).unwrap();
        return;
    }
    let kept = fs::read_to_string(&file).unwrap();
    assert!(kept == made, "run the tests once with CLOUDDB_UPDATE_DOCS=1 to write it anew");
}

#[tokio::test]
async fn every_answer_is_as_its_schema_says_and_what_lacks_a_key_is_not() {
    let (cloud, daemon) = demo().await;
    let well = daemon.status("").await;
    cloud.fault(Fault::status(503).on(Service::Rds));
    daemon.until(|it| it.values("clouddb_poll_success", &[("product", "rds")]) == [0.0; 5]).await;
    let failing = daemon.status("").await;
    assert_eq!(failing["instances"][0]["poll"]["last"]["success"], false, "{failing}");
    let nothing = daemon.status("q=nowhere").await;
    assert_eq!(refusal(&[&well, &failing, &nothing]).await, None);

    let mut broken = well.clone();
    let backups = broken["instances"][0]["backups"][0].as_object_mut().unwrap();
    assert!(backups.remove("last_success").is_some());
    assert!(refusal(&[&broken]).await.is_some_and(|why| why.contains("last_success")));
    daemon.stop().await.unwrap();
}

/// A time of the answer as `/metrics` has it.
fn unix(time: &Value) -> Option<f64> {
    let time: Timestamp = time.as_str()?.parse().unwrap();
    Some(time.as_millisecond() as f64 / 1000.0)
}

#[tokio::test]
async fn its_numbers_are_those_of_the_metrics() {
    let cloud = Cloud::start(clouddb_backup_exporter::sim::estate::demo(Clock::system().now()));
    let cloud = cloud.await.unwrap();
    let text = Setup { poll: "interval: 1h", ..Setup::new(&cloud) }.with_ddm();
    let text = text.with_rds_keys("discover: true\nrestore_window: true").text(&cloud);
    let text = text.replace(
        clouddb_backup_exporter::sim::estate::PROJECT_ID,
        clouddb_backup_exporter::sim::estate::DEMO_PROJECT_ID,
    );
    let daemon = Daemon::start_at(&text, clock_of(&cloud)).await;
    let looked_up = |it: &crate::exposition::Exposition| {
        let all = it.values("clouddb_lookup_success", &[]);
        all.len() == 12 && it.values("clouddb_poll_success", &[]) == [1.0; 6]
    };
    let exposition = daemon.until(looked_up).await;
    let told = daemon.status("").await;
    let mut compared = 0;
    for instance in told["instances"].as_array().unwrap() {
        let id = instance["id"].as_str().unwrap();
        let of = |name: &str| exposition.value(&format!("clouddb_{name}"), &[("instance_id", id)]);
        assert_eq!(unix(&instance["created"]), of("instance_created_timestamp_seconds"));
        let window = &instance["restore_window"];
        assert_eq!(unix(&window["end"]), of("restore_window_end_timestamp_seconds"));
        assert_eq!(window["ranges"].as_f64(), of("restore_windows"));
        for backups in instance["backups"].as_array().unwrap() {
            let labels = [("instance_id", id), ("backup_type", backups["type"].as_str().unwrap())];
            let of = |name: &str| exposition.value(&format!("clouddb_backup_{name}"), &labels);
            let success = &backups["last_success"];
            for (told, name) in [
                (unix(&backups["observed"]), "observed_timestamp_seconds"),
                (backups["objective"]["max_age_seconds"].as_f64(), "max_age_seconds"),
                (unix(&success["end"]), "last_success_timestamp_seconds"),
                (success["size_bytes"].as_f64(), "last_success_size_bytes"),
                (success["duration_seconds"].as_f64(), "last_success_duration_seconds"),
                (unix(&backups["last_attempt"]), "last_attempt_timestamp_seconds"),
                (
                    backups["last_attempt_success"].as_bool().map(|it| f64::from(u8::from(it))),
                    "last_attempt_success",
                ),
                (unix(&backups["last_failure"]), "last_failure_timestamp_seconds"),
                (backups["failures_since_last_success"].as_f64(), "failures_since_last_success"),
                (unix(&backups["running_since"]), "running_since_timestamp_seconds"),
                (unix(&backups["oldest_success"]), "oldest_success_timestamp_seconds"),
                (backups["size_baseline_bytes"].as_f64(), "size_baseline_bytes"),
            ] {
                assert_eq!(told, of(name), "{name} of {backups}");
                compared += usize::from(told.is_some());
            }
            for (status, count) in backups["counts"].as_object().unwrap() {
                let labels = [labels[0], labels[1], ("status", status.as_str())];
                assert_eq!(count.as_f64(), exposition.value("clouddb_backups", &labels));
                let bytes = exposition.value("clouddb_backup_bytes", &labels);
                assert_eq!(backups["bytes"][status].as_f64(), bytes);
            }
        }
    }
    assert!(compared > 60, "{compared}");
    daemon.stop().await.unwrap();
}

/// The names of the instances that an answer has.
fn names(answer: &Value) -> Vec<&str> {
    let instances = answer["instances"].as_array().unwrap().iter();
    instances.map(|instance| instance["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_same_parameters_choose_on_the_page_and_in_json() {
    let (_cloud, daemon) = demo().await;
    let all = ["customers", "reports", "sandbox", "warehouse", "shop-router", "orders"];
    for (query, expected) in [
        ("", &all[..]),
        ("state=failing", &all[..1]),
        ("state=running", &all[3..4]),
        ("q=SHOP+ddm", &all[4..5]),
        ("product=rds&per_page=2&page=2", &all[2..4]),
        ("type=auto_metadata", &all[4..5]),
        ("sort=name&per_page=2", &["shop-router", "customers"]),
    ] {
        let answer = daemon.status(query).await;
        assert_eq!(names(&answer), expected, "{query}");
        let page = daemon.get(&format!("/?{query}")).await.body;
        let link = |name: &&str| page.contains(&format!("\">{name}</a>"));
        let shown: Vec<&str> = all.into_iter().filter(link).collect();
        let expected: Vec<&str> = all.into_iter().filter(|it| expected.contains(it)).collect();
        assert_eq!(shown, expected, "{query}");
    }
    let page = daemon.get("/?product=rds&per_page=2&page=2").await.body;
    for link in ["/?product=rds&amp;per_page=2", "/?product=rds&amp;page=3&amp;per_page=2"] {
        assert!(page.contains(&format!("href=\"{link}\"")), "{link}: {page}");
    }
    for path in ["/?stat=failing", "/api/v1/status?state=worse", "/instance?name=orders"] {
        let answer = daemon.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.body.starts_with("400: "), "{path}: {}", answer.body);
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn an_instance_has_a_page_with_its_records_and_what_is_not_there_has_none() {
    let (_cloud, daemon) = demo().await;
    let page = daemon.get("/?q=customers").await.body;
    let (_, link) = page.split_once("href=\"/instance?").unwrap();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    let page = daemon.get(&format!("/instance?{link}")).await;
    assert_eq!(page.status, 200);
    let (_, auto) = page.body.split_once("The newest records").unwrap();
    let (auto, _) = auto.split_once("</table>").unwrap();
    let status = daemon.status("q=customers").await;
    let counts = status["instances"][0]["backups"][0]["counts"].as_object().unwrap();
    let count = |status: &str| counts[status].as_u64().unwrap();
    assert_eq!(auto.matches("<code>").count() as u64, count("completed") + count("failed"));
    assert_eq!(auto.matches(">failed<").count() as u64, count("failed"));
    assert_eq!(auto.matches("the last success").count(), 1);
    assert_eq!(page.body.matches("<svg").count(), 2, "auto and incremental");
    assert!(page.body.contains("7d"), "the retention of its policy");
    for path in ["/instance", "/instance?project=demo&product=rds&id=nowhere"] {
        assert_eq!(daemon.get(path).await.status, 404, "{path}");
    }
    assert_eq!(daemon.ask(Method::POST, &format!("/instance?{link}")).await.status, 405);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn of_each_type_the_fifty_newest_records_are_shown() {
    let cloud = Cloud::start(Estate::new().with_rds(RdsInstance::new(A, "orders"))).await.unwrap();
    let now = cloud.clock().now();
    let ago = |hours| now - SignedDuration::from_hours(hours);
    let backup = |hours| RdsBackup::completed(A, "manual", ago(hours), ago(hours), 2000);
    cloud.change(|estate| estate.projects[0].rds_backups.extend((1..=70).map(backup)));
    let daemon = Daemon::start(&Setup::new(&cloud).with_rds(A, "name: orders").text(&cloud)).await;
    daemon.after_polls(1.0).await;
    let page = daemon.get(&format!("/instance?project=shop&product=rds&id={A}")).await.body;
    assert_eq!(page.matches("<code>").count(), 51, "and its id: {page}");
    assert!(page.contains("70 completed"));
    let ids: Vec<String> =
        cloud.estate().projects[0].rds_backups.iter().take(50).map(|it| it.id.clone()).collect();
    assert!(ids.iter().all(|id| page.contains(id.as_str())));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_list_that_was_never_read_is_blind_and_not_an_estate_without_trouble() {
    let cloud = Cloud::start(Estate::new().with_rds(RdsInstance::new(A, "orders"))).await.unwrap();
    cloud.change(|estate| estate.users[0].denied.push("rds:instance:list".to_owned()));
    let setup = Setup::new(&cloud).with_rds_keys("discover: true\ndiscovery_interval: 1s");
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    daemon.until(|it| it.values("clouddb_lookup_success", &[]) == [0.0]).await;
    let status = daemon.status("state=blind").await;
    assert_eq!((&status["found"], &status["totals"]["blind"]), (&1.into(), &1.into()), "{status}");
    assert_eq!(status["instances"][0]["id"], "");
    let page = daemon.get("/").await.body;
    assert!(page.contains("the instance list was never read"), "{page}");
    assert!(page.contains("it needs the permission `rds:instance:list`"), "{page}");
    assert!(!page.contains("Nothing is polled here"));

    cloud.change(|estate| estate.users[0].denied.clear());
    daemon.until(|it| it.values("clouddb_poll_success", &[]) == [1.0]).await;
    let status = daemon.status("").await;
    assert_eq!((&status["totals"]["blind"], names(&status)), (&0.into(), vec!["orders"]));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn an_instance_of_which_nothing_is_expected_and_nothing_there_says_so() {
    let cloud = Cloud::start(Estate::new().with_rds(RdsInstance::new(A, "orders"))).await.unwrap();
    let setup = Setup::new(&cloud).with_rds(A, "name: orders, max_age: { auto: 'off' }");
    let daemon = Daemon::start(&setup.text(&cloud)).await;
    daemon.after_polls(1.0).await;
    let page = daemon.get("/").await.body;
    assert!(page.contains("none, and none is expected"), "{page}");
    assert_eq!(daemon.status("").await["instances"][0]["states"], serde_json::json!([]));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_browser_is_told_to_keep_nothing_and_to_load_nothing() {
    let (_cloud, daemon) = demo().await;
    for path in ["/", "/api/v1/status"] {
        let headers = daemon.get(path).await.headers;
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
    }
    let policy = daemon.get("/").await.headers;
    let policy = policy["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn the_status_page_shows_each_target_with_success_error_and_next_poll() {
    let (cloud, daemon) = demo().await;
    let page = daemon.get("/").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    for name in ["orders", "customers", "reports", "sandbox", "warehouse", "shop-router"] {
        assert!(page.body.contains(name), "{name}");
    }
    assert!(page.body.contains("<strong>6</strong> instances"), "{}", page.body);
    assert!(page.body.contains("href=\"/metrics\""));
    let next = ["next in 0s", "next in 1s"];
    assert!(next.into_iter().any(|it| page.body.contains(it)), "{}", page.body);

    cloud.fault(Fault::status(503).on(Service::Ddm));
    daemon.until(|it| it.value("clouddb_poll_success", &[("product", "ddm")]) == Some(0.0)).await;
    let page = daemon.get("/").await.body;
    assert!(page.contains("<code>http_5xx</code>"));
    assert_eq!(daemon.status("state=poll_failing").await["found"], 1);
    assert!(page.contains("the cloud answered 503"));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn text_of_the_cloud_is_escaped_on_the_page_and_in_labels() {
    let cloud = Cloud::start(Estate::new()).await.unwrap();
    let now = cloud.clock().now();
    let name = "<b>\"router\"</b> \\ \n ü";
    cloud.change(|estate| {
        let backup = DdmBackup::normal(
            "169f4f2fd6a94b6c8b1e5bd104385a18in09",
            name,
            "auto_metadata",
            now,
            now,
        );
        estate.projects[0].ddm_backups.push(backup);
    });
    let daemon = Daemon::start(&Setup::new(&cloud).with_ddm().text(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(exposition.values("clouddb_instance_info", &[("instance_name", name)]), [1.0]);
    let page = daemon.get("/").await.body;
    assert!(page.contains("&lt;b&gt;&quot;router&quot;"), "{page}");
    assert!(!page.contains("<b>"));
    daemon.stop().await.unwrap();
}
