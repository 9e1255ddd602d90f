//! The estate of the `demo` command: one instance for each thing that an exporter of backups should
//! show, and jobs that go on while somebody watches.

use jiff::{SignedDuration, Timestamp};

use super::{AccessKey, Estate, PASSWORD, Project, USER, User};
use crate::sim::{
    clock::moved,
    id,
    instance::{DdmInstance, Policy, RdsInstance},
    record::RdsBackup,
    schedule::Schedule,
};

/// Six instances in the project `demo`, as they stand at this time: `orders` is healthy, the last
/// backup of `customers` failed, `reports` had none for three days, `sandbox` never had one,
/// `warehouse` has been backing up for nine hours, and `shop-router` is a healthy DDM instance.
/// Besides there is `orders-read`, a read replica of `orders`, of which there are no backups.
///
/// The automated policy of each is of the hour at which its daily backup begins (`sandbox`, where none
/// ever began, has one all the same), and keeps them for a week.
///
/// The user is `backup-exporter`; the keys are those of the constants of this module.
pub fn demo(now: Timestamp) -> Estate {
    let id = |name: &str, suffix: &str| format!("{}{suffix}", id::stem(&["demo", name]));
    let orders = id("orders", "in01");
    let customers = id("customers", "in03");
    let reports = id("reports", "in04");
    let sandbox = id("sandbox", "in01");
    let warehouse = id("warehouse", "in03");
    let router = id("shop-router", "in09");
    let rds = |id: &str, name: &str, ago| {
        RdsInstance::new(id, name).with_policy(Policy::daily_at(moved(now, -hours(ago))))
    };

    let estate = Estate {
        users: vec![User::new(USER, PASSWORD)],
        keys: vec![AccessKey::new(super::ACCESS_KEY, super::SECRET_KEY)],
        projects: vec![Project::new(DEMO_PROJECT_ID, "demo")],
    };
    estate
        .with_rds(rds(&orders, "orders", 5))
        .with_schedule(daily(&orders, now, hours(5), 8_400_000))
        .with_schedule(Schedule::incremental(&orders))
        .with_rds_backups([before_release(&orders, now, 3), before_release(&orders, now, 17)])
        .with_rds(RdsInstance::replica(&id("orders-read", "in01"), "orders-read", &orders))
        .with_rds(rds(&customers, "customers", 6))
        .with_schedule(Schedule {
            from: Some(moved(now, -hours(7 * 24))),
            keep: FOR_EVER,
            failing_from: Some(moved(now, -hours(12))),
            ..daily(&customers, now, hours(6), 3_100_000)
        })
        .with_schedule(Schedule::incremental(&customers))
        .with_rds(rds(&reports, "reports", 4))
        .with_schedule(Schedule {
            from: Some(moved(now, -hours(7 * 24))),
            keep: FOR_EVER,
            until: Some(moved(now, -hours(60))),
            ..daily(&reports, now, hours(4), 22_500_000)
        })
        .with_rds(RdsInstance::new(&sandbox, "sandbox"))
        .with_rds(rds(&warehouse, "warehouse", 9))
        .with_schedule(Schedule {
            from: Some(moved(now, -hours(7 * 24))),
            keep: FOR_EVER,
            stuck_from: Some(moved(now, -hours(10))),
            ..daily(&warehouse, now, hours(9), 61_000_000)
        })
        .with_ddm(DdmInstance::new(&router, "shop-router"))
        .with_schedule(Schedule {
            phase: phase(now, hours(7)),
            ..Schedule::metadata(&router, "shop-router", 0)
        })
}

/// A daily backup whose last run began this long ago.
fn daily(instance_id: &str, now: Timestamp, ago: SignedDuration, size_kb: u64) -> Schedule {
    Schedule { phase: phase(now, ago), size_kb, ..Schedule::daily(instance_id, 0) }
}

/// The time of day that was this long ago.
fn phase(now: Timestamp, ago: SignedDuration) -> SignedDuration {
    let second = moved(now, -ago).as_second();
    SignedDuration::from_secs(second.rem_euclid(24 * 3600))
}

/// A manual backup of some days ago.
fn before_release(instance_id: &str, now: Timestamp, days: i64) -> RdsBackup {
    let begin = moved(now, -hours(24 * days + 2));
    let end = moved(begin, SignedDuration::from_mins(14));
    let mut backup = RdsBackup::completed(instance_id, "manual", begin, end, 8_150_000);
    "before-release".clone_into(&mut backup.name);
    backup
}

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

/// What is failed, stale or stuck stays so in a demo that runs for weeks: its last success is kept.
const FOR_EVER: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// The id of the project `demo`.
pub const DEMO_PROJECT_ID: &str = "d3a0c0ffee954cb88930a360d2c4e001";

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2025-03-10T14:23:45Z";

    fn words(name: &str, kind: &str, later: SignedDuration) -> Vec<(String, i64)> {
        let start: Timestamp = NOW.parse().unwrap();
        let now = start + later;
        let estate = demo(start);
        let project = &estate.projects[0];
        let instance = project.rds.iter().find(|rds| rds.name == name).unwrap();
        let mut records = project.rds_records(&instance.id, now);
        records.retain(|record| record.kind == kind);
        records.sort_by_key(|record| std::cmp::Reverse(record.begin));
        records
            .into_iter()
            .map(|record| (record.status, now.duration_since(record.begin.unwrap()).as_hours()))
            .collect()
    }

    fn at_first(name: &str, kind: &str) -> Vec<(String, i64)> {
        words(name, kind, SignedDuration::ZERO)
    }

    #[test]
    fn each_instance_of_the_demo_shows_its_own_state() {
        let ok = "COMPLETED".to_owned();
        let orders = at_first("orders", "auto");
        assert_eq!(orders.len(), 7);
        assert_eq!(orders[0], (ok.clone(), 5));
        assert_eq!(at_first("orders", "manual").len(), 2);
        assert!(at_first("orders", "incremental").len() >= 2015);
        let customers = at_first("customers", "auto");
        assert_eq!(customers[0], ("FAILED".to_owned(), 6));
        assert_eq!(customers[1], (ok.clone(), 30));
        assert_eq!(at_first("reports", "auto")[0], (ok.clone(), 76));
        assert!(at_first("sandbox", "auto").is_empty());
        let warehouse = at_first("warehouse", "auto");
        assert_eq!(warehouse[0], ("BUILDING".to_owned(), 9));
        assert_eq!(warehouse[1], (ok, 33));
        let now = NOW.parse().unwrap();
        assert_eq!(demo(now).projects[0].ddm_records(now).len(), 30);
    }

    #[test]
    fn the_demo_has_a_replica_that_is_no_primary_and_has_no_backups() {
        let now = NOW.parse().unwrap();
        let project = &demo(now).projects[0];
        let primaries: Vec<&str> = project.primaries().map(|rds| rds.name.as_str()).collect();
        assert_eq!(primaries, ["orders", "customers", "reports", "sandbox", "warehouse"]);
        assert_eq!(project.rds.len(), 6);
        let replica = project.rds.iter().find(|rds| rds.is_replica()).unwrap();
        assert_eq!(replica.name, "orders-read");
        assert_eq!(replica.replica_of.as_ref(), Some(&project.rds[0].id));
        assert!(project.rds_records(&replica.id, now).is_empty());
    }

    #[test]
    fn the_daily_backups_of_the_demo_begin_in_the_window_of_their_policy() {
        let now: Timestamp = NOW.parse().unwrap();
        let project = &demo(now).projects[0];
        let mut checked = 0;
        for rds in project.primaries() {
            assert_eq!(rds.policy.keep_days, 7);
            let minutes = |text: &str| -> i64 {
                let (hour, minute) = text.split_once(':').unwrap();
                60 * hour.parse::<i64>().unwrap() + minute.parse::<i64>().unwrap()
            };
            let (from, to) = rds.policy.start_time.split_once('-').unwrap();
            let records = project.rds_records(&rds.id, now);
            for record in records.iter().filter(|record| record.kind == "auto") {
                let begin = record.begin.unwrap().as_second() / 60 % (24 * 60);
                assert!((minutes(from)..minutes(to)).contains(&begin), "{}: {begin}", rds.name);
                checked += 1;
            }
        }
        assert!(checked > 20, "{checked}");
    }

    #[test]
    fn the_demo_goes_on_as_time_passes() {
        let day = SignedDuration::from_hours(24);
        assert_eq!(words("orders", "auto", day)[0].1, 5);
        assert_eq!(words("customers", "auto", day)[1].0, "FAILED");
        assert_eq!(words("reports", "auto", day)[0].1, 100);
        assert_eq!(words("warehouse", "auto", day)[0], ("BUILDING".to_owned(), 33));
    }
}
