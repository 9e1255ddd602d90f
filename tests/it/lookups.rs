//! What is asked about an instance beside its backup list: its backup policy, and to when it can be
//! restored.

use clouddb_backup_exporter::sim::{
    Clock, Cloud, Estate, Fault, Policy, RdsBackup, RdsInstance, Seen, Service,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::daemon::{Daemon, Setup, clock_of};
use crate::exposition::Exposition;
use crate::log::Log;

const A: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const B: &str = "b48e43ff268f4c0e879652d65e63d0fbin01";
const HOUR: f64 = 3600.0;

fn now() -> Timestamp {
    "2025-03-10T12:00:00Z".parse().unwrap()
}

fn hours_ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

/// The instances `orders` and `pay`, with a backup of four hours ago each.
async fn two(change: impl Fn(RdsInstance) -> RdsInstance) -> Cloud {
    let backup = |id: &str| RdsBackup::completed(id, "auto", hours_ago(4), hours_ago(3), 2000);
    let estate = Estate::new()
        .with_rds(change(RdsInstance::new(A, "orders")))
        .with_rds(RdsInstance::new(B, "pay"))
        .with_rds_backups([backup(A), backup(B)]);
    Cloud::start_at(estate, Clock::fixed(now())).await.unwrap()
}

fn setup<'a>(cloud: &Cloud, keys: &'a str) -> Setup<'a> {
    let setup = Setup::new(cloud).with_rds_keys(keys);
    setup.with_rds(A, "name: orders").with_rds(B, "name: pay")
}

/// The daemon once each instance was polled and each lookup of it tried.
async fn looked_up(cloud: &Cloud, text: &str, lookups: usize) -> (Daemon, Exposition) {
    let daemon = Daemon::start_at(text, clock_of(cloud)).await;
    daemon.after_polls(1.0).await;
    let tried = |it: &Exposition| it.values("clouddb_lookup_success", &[]).len() == lookups;
    let exposition = daemon.until(tried).await;
    (daemon, exposition)
}

fn auto(name: &str) -> [(&str, &str); 2] {
    [("instance_name", name), ("backup_type", "auto")]
}

fn orders(exposition: &Exposition, metric: &str) -> Option<f64> {
    exposition.value(metric, &[("instance_name", "orders")])
}

fn max_age(exposition: &Exposition) -> Option<f64> {
    exposition.value("clouddb_backup_max_age_seconds", &auto("orders")).map(|age| age / HOUR)
}

const ENABLED: &str = "clouddb_backup_policy_enabled";
const RETENTION: &str = "clouddb_backup_policy_retention_seconds";
const INTERVAL: &str = "clouddb_backup_policy_expected_interval_seconds";

const POLICY: [(&str, &str); 2] = [("api", "rds_policy"), ("instance_name", "orders")];
const RESTORE: [(&str, &str); 2] = [("api", "rds_restore_time"), ("instance_name", "orders")];

fn is_policy(seen: &Seen) -> bool {
    seen.path.ends_with("/backups/policy")
}

fn is_restore_time(seen: &Seen) -> bool {
    seen.path.ends_with("/restore-time")
}

#[tokio::test]
async fn the_objective_of_automated_backups_follows_the_policy_and_the_page_says_so() {
    let weekly = Policy::new(30, "23:30-00:30", "1");
    let cloud = two(|it| it.with_policy(weekly.clone())).await;
    let (daemon, exposition) =
        looked_up(&cloud, &setup(&cloud, "policy: true").text(&cloud), 2).await;
    assert_eq!(orders(&exposition, ENABLED), Some(1.0));
    assert_eq!(orders(&exposition, RETENTION), Some(30.0 * 24.0 * HOUR));
    assert_eq!(orders(&exposition, INTERVAL), Some(7.0 * 24.0 * HOUR));
    assert_eq!(max_age(&exposition), Some(7.0 * 24.0 + 2.0));
    let pay = exposition.value("clouddb_backup_max_age_seconds", &auto("pay"));
    assert_eq!(pay, Some(26.0 * HOUR), "each has its own");
    let page = daemon.get("/").await.body;
    assert!(page.contains("at most 170h<br><small>backup policy</small>"), "{page}");
    daemon.stop().await.unwrap();

    // Without `policy` it is not asked.
    cloud.forget_requests();
    let daemon = Daemon::start_at(&setup(&cloud, "").text(&cloud), clock_of(&cloud)).await;
    let exposition = daemon.after_polls(1.0).await;
    assert_eq!(max_age(&exposition), Some(26.0));
    assert!(exposition.lines("clouddb_backup_policy").is_empty());
    assert_eq!(cloud.count(is_policy), 0);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn of_an_instance_whose_policy_is_off_only_what_the_config_says_is_expected() {
    for (more, expected) in
        [("", None), (", max_age: { auto: 8h }", Some(8.0)), (", max_age: { manual: 7d }", None)]
    {
        let cloud = two(|it| it.with_policy(Policy::off())).await;
        let setup = Setup::new(&cloud).with_rds_keys("policy: true");
        let setup = setup.with_rds(A, &format!("name: orders{more}"));
        let (daemon, exposition) = looked_up(&cloud, &setup.text(&cloud), 1).await;
        assert_eq!(orders(&exposition, ENABLED), Some(0.0), "{more}");
        assert!(exposition.lines(RETENTION).is_empty() && exposition.lines(INTERVAL).is_empty());
        assert_eq!(max_age(&exposition), expected, "{more}");
        let is_expected = exposition.value("clouddb_backup_expected", &auto("orders"));
        assert_eq!(is_expected, Some(if expected.is_some() { 1.0 } else { 0.0 }), "{more}");
        daemon.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_fails_no_poll_and_leaves_the_default() {
    let whole = |policy: Value| json!({ "backup_policy": policy });
    let cases = [
        ("gone", Fault::status(404)),
        ("denied", Fault::status(403)),
        ("broken", Fault::status(500)),
        ("no policy", Fault::body("{}")),
        ("cut", Fault::cut()),
        (
            "start_time",
            Fault::body(
                whole(json!({ "keep_days": 7, "start_time": "soon", "period": "1" })).to_string(),
            ),
        ),
        (
            "period",
            Fault::body(
                whole(json!({ "keep_days": 7, "start_time": "01:00-02:00", "period": "daily" }))
                    .to_string(),
            ),
        ),
        ("keep_days", Fault::body(whole(json!({ "keep_days": "a week" })).to_string())),
    ];
    for (what, fault) in cases {
        let cloud = two(|it| it).await;
        cloud.fault(fault.at(&format!("{A}/backups/policy")));
        let text = setup(&cloud, "policy: true").text(&cloud);
        let (daemon, exposition) = looked_up(&cloud, &text, 2).await;
        assert_eq!(exposition.values("clouddb_poll_success", &[]), [1.0, 1.0], "{what}");
        assert_eq!(exposition.value("clouddb_lookup_success", &POLICY), Some(0.0), "{what}");
        let last = "clouddb_lookup_last_success_timestamp_seconds";
        assert_eq!(exposition.value(last, &POLICY), None, "{what}");
        assert_eq!(exposition.values(last, &[]).len(), 1, "{what}: the other one is well");
        assert_eq!(orders(&exposition, ENABLED), None, "{what}");
        assert_eq!(max_age(&exposition), Some(26.0), "{what}");
        let page = daemon.get("/").await.body;
        assert!(page.contains("backup policy: <span class=\"late\"><code>"), "{page}");
        assert_eq!(daemon.status("state=poll_failing").await["found"], 1, "{what}");
        assert_eq!(daemon.total("blind").await, 0, "{what}");
        daemon.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_policy_that_does_not_tell_when_is_on_and_leaves_the_default() {
    for missing in ["start_time", "period"] {
        let mut policy = json!({ "keep_days": 7, "start_time": "01:00-02:00", "period": "1" });
        policy[missing] = Value::Null;
        let body = json!({ "backup_policy": policy });
        let cloud = two(|it| it.with_raw_policy(body.clone())).await;
        let text = setup(&cloud, "policy: true").text(&cloud);
        let (daemon, exposition) = looked_up(&cloud, &text, 2).await;
        assert_eq!(orders(&exposition, ENABLED), Some(1.0), "{missing}");
        assert_eq!(orders(&exposition, RETENTION), Some(7.0 * 24.0 * HOUR), "{missing}");
        assert_eq!(orders(&exposition, INTERVAL), None, "{missing}");
        assert_eq!(max_age(&exposition), Some(26.0), "{missing}");
        daemon.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_instance_is_shown_once_its_policy_was_tried_and_its_polls_before() {
    let cloud = two(|it| it).await;
    cloud.fault(Fault::hang().at(&format!("{A}/backups/policy")));
    let daemon =
        Daemon::start_at(&setup(&cloud, "policy: true").text(&cloud), clock_of(&cloud)).await;
    // Polls go on beside a call that hangs.
    let polled = |it: &Exposition| it.value("clouddb_polls_total", &[]) >= Some(6.0);
    let exposition = daemon.until(polled).await;
    assert_eq!(orders(&exposition, "clouddb_poll_success"), Some(1.0));
    assert_eq!(exposition.value("clouddb_lookup_success", &POLICY), None);
    let of_orders = |prefix: &str| {
        let lines = exposition.lines(prefix).into_iter();
        lines.filter(|line| line.contains("instance_name=\"orders\"")).count()
    };
    assert_eq!((of_orders("clouddb_backup"), of_orders("clouddb_instance")), (0, 0));
    let pay = exposition.value("clouddb_backup_expected", &auto("pay"));
    assert_eq!(pay, Some(1.0), "the other one does not wait");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn what_can_be_restored_is_shown_with_its_holes_and_stays_while_it_cannot_be_read() {
    let ranges = [(hours_ago(48), hours_ago(30)), (hours_ago(24), hours_ago(1))];
    let cloud = two(|it| it.with_restore_ranges(ranges)).await;
    cloud.change(|estate| estate.projects[0].rds[1].restore_ranges = Some(Vec::new()));
    let text = setup(&cloud, "restore_window: true\nrestore_window_interval: 1s").text(&cloud);
    let (daemon, exposition) = looked_up(&cloud, &text, 2).await;
    let seconds = |time: Timestamp| Some(time.as_second() as f64);
    let window = |it: &Exposition| {
        ["start_timestamp_seconds", "end_timestamp_seconds"]
            .map(|end| orders(it, &format!("clouddb_restore_window_{end}")))
    };
    assert_eq!(window(&exposition), [seconds(hours_ago(48)), seconds(hours_ago(1))]);
    assert_eq!(orders(&exposition, "clouddb_restore_windows"), Some(2.0));
    let observed = "clouddb_restore_window_observed_timestamp_seconds";
    assert_eq!(orders(&exposition, observed), seconds(now()));
    let pay = [("instance_name", "pay")];
    assert_eq!(exposition.value("clouddb_restore_windows", &pay), Some(0.0));
    assert_eq!(exposition.value(observed, &pay), seconds(now()));
    for end in ["start", "end"] {
        let metric = format!("clouddb_restore_window_{end}_timestamp_seconds");
        assert_eq!(exposition.value(&metric, &pay), None, "{end}");
    }

    cloud.fault(Fault::body("{}").on(Service::Rds).at("/restore-time"));
    cloud.clock().advance(SignedDuration::from_mins(5));
    let failing = |it: &Exposition| it.value("clouddb_lookup_success", &RESTORE) == Some(0.0);
    let failed = daemon.until(failing).await;
    assert_eq!(window(&failed), window(&exposition));
    assert_eq!(orders(&failed, "clouddb_restore_windows"), Some(2.0));
    assert_eq!(orders(&failed, observed), seconds(now()), "nothing was observed since");
    let last = "clouddb_lookup_last_success_timestamp_seconds";
    assert_eq!(failed.value(last, &RESTORE), seconds(now()));

    cloud.clear_faults();
    cloud.change(|estate| estate.projects[0].rds[0].restore_ranges = Some(vec![ranges[1]]));
    let healed = daemon.until(|it| orders(it, "clouddb_restore_windows") == Some(1.0)).await;
    assert_eq!(orders(&healed, observed), seconds(now() + SignedDuration::from_mins(5)));
    assert_eq!(healed.value("clouddb_lookup_success", &RESTORE), Some(1.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_restore_time_that_hangs_holds_neither_polls_nor_series() {
    let cloud = two(|it| it).await;
    cloud.fault(Fault::hang().at("/restore-time"));
    let text = setup(&cloud, "restore_window: true").text(&cloud);
    let daemon = Daemon::start_at(&text, clock_of(&cloud)).await;
    let polled = |it: &Exposition| it.value("clouddb_polls_total", &[]) >= Some(6.0);
    let exposition = daemon.until(polled).await;
    assert_eq!(max_age(&exposition), Some(26.0));
    assert!(exposition.lines("clouddb_restore").is_empty());
    assert!(exposition.lines("clouddb_lookup").is_empty(), "none before the first try ended");
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_reload_switches_off_is_not_asked_any_more_and_its_series_go() {
    let cloud = two(|it| it.with_policy(Policy::new(7, "01:00-02:00", "1"))).await;
    let slow = |keys: &'static str| {
        let setup = setup(&cloud, keys);
        Setup { poll: "interval: 1h", ..setup }.text(&cloud)
    };
    let both = "policy: true\nrestore_window: true\nrestore_window_interval: 1s";
    let (daemon, exposition) = looked_up(&cloud, &slow(both), 4).await;
    let observed = exposition.value("clouddb_backup_observed_timestamp_seconds", &auto("orders"));
    assert_eq!(daemon.reload(&slow("policy: true")).await.status, 200);
    let policy_only = daemon.metrics().await;
    assert!(policy_only.lines("clouddb_restore").is_empty());
    assert_eq!(policy_only.values("clouddb_lookup_success", &[]).len(), 2);
    assert_eq!(max_age(&policy_only), Some(170.0), "what stays keeps its value");
    assert_eq!(daemon.reload(&slow("")).await.status, 200);
    let neither = daemon.metrics().await;
    assert!(neither.lines("clouddb_backup_policy").is_empty());
    assert!(neither.lines("clouddb_lookup").is_empty());
    assert_eq!(max_age(&neither), Some(26.0));
    assert_eq!(
        neither.value("clouddb_backup_observed_timestamp_seconds", &auto("orders")),
        observed,
        "and nothing was polled for it"
    );
    assert_eq!(cloud.count(is_policy), 2, "one for each, and none by the reloads");
    // Again: from the start.
    assert_eq!(daemon.reload(&slow("policy: true")).await.status, 200);
    daemon.until(|it| max_age(it) == Some(170.0)).await;
    assert_eq!(cloud.count(is_policy), 4);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn restore_times_are_asked_once_per_interval_and_policies_not_with_them() {
    let cloud = two(|it| it).await;
    let keys = "policy: true\nrestore_window: true\nrestore_window_interval: 1s";
    let text = Setup { poll: "interval: 1h", ..setup(&cloud, keys) }.text(&cloud);
    let (daemon, _) = looked_up(&cloud, &text, 4).await;
    let of = |id: &'static str| move |seen: &Seen| is_restore_time(seen) && seen.path.contains(id);
    daemon.until(|_| cloud.count(of(A)) >= 5 && cloud.count(of(B)) >= 5).await;
    let apart = cloud.count(of(A)).abs_diff(cloud.count(of(B)));
    assert!(apart <= 2, "{apart}");
    assert_eq!(cloud.count(is_policy), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn the_log_tells_when_a_lookup_breaks_and_heals_and_which_permission_it_needs() {
    let log = Log::start();
    let cloud = two(|it| it).await;
    cloud.change(|estate| estate.users[0].denied.push("rds:instance:list".to_owned()));
    let keys = "restore_window: true\nrestore_window_interval: 1s";
    let setup = Setup::new(&cloud).with_rds_keys(keys).with_rds(A, "name: orders");
    let (daemon, exposition) = looked_up(&cloud, &setup.text(&cloud), 1).await;
    assert_eq!(exposition.values("clouddb_poll_success", &[]), [1.0], "another permission");
    daemon.until(|_| cloud.count(is_restore_time) >= 5).await;
    cloud.change(|estate| estate.users[0].denied.clear());
    daemon.until(|it| it.value("clouddb_lookup_success", &RESTORE) == Some(1.0)).await;
    let failures = cloud.count(|seen| is_restore_time(seen) && seen.status == Some(403));
    let told = log.count("cannot look up the times to restore to of shop/rds/orders: ");
    assert_eq!(told, usize::try_from(failures.ilog2()).unwrap() + 1, "of {failures}");
    assert_eq!(log.count("it needs the permission `rds:instance:list`"), told);
    assert_eq!(log.count("the times to restore to of shop/rds/orders can be looked up again"), 1);
    daemon.stop().await.unwrap();
}
