//! What the RDS backup list answers to which query.

use jiff::SignedDuration;

use super::*;
use crate::sim::{MissingEnd, Order, Service, Total};

const MYSQL: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const SQL_SERVER: &str = "a48e43ff268f4c0e879652d65e63d0fbin04";

/// Three automated backups at hours 0, 24, 48 (an hour each, the last one running), one manual at
/// hour 30, and ten increments from hour 40 on.
fn project() -> Project {
    let mut project = Project::new("p", "shop");
    project.rds.push(RdsInstance::new(MYSQL, "orders"));
    project.rds.push(RdsInstance::new(SQL_SERVER, "reports"));
    let completed =
        |kind: &str, hour| RdsBackup::completed(MYSQL, kind, at(hour), at(hour + 1), 2803);
    project.rds_backups.extend([
        completed("auto", 0),
        completed("auto", 24),
        RdsBackup::building(MYSQL, "auto", at(48)),
        completed("manual", 30),
    ]);
    let increments = (40..50).map(|hour| completed("incremental", hour));
    project.rds_backups.extend(increments);
    project
}

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
}

fn answer(query: &str, switches: &Switches) -> Result<Value, Value> {
    let target = format!("/v3/p/backups?{query}");
    let request = Request::new(Service::Rds, "GET", &target, Vec::new(), Vec::new());
    let memory = &mut Memory::default();
    let body = |answer: Answer| -> Value { serde_json::from_slice(&answer.body).unwrap() };
    backups(&request, &project(), switches, at(60), memory)
        .map(body)
        .map_err(|answer| json!([answer.status, body(answer)["error_code"]]))
}

fn list(query: &str, switches: &Switches) -> Value {
    answer(&format!("instance_id={MYSQL}&{query}"), switches).unwrap()
}

/// Type and hour of the begin of each record, as text.
fn shown(query: &str, switches: &Switches) -> Vec<String> {
    let list = list(query, switches);
    let backups = list["backups"].as_array().unwrap();
    backups
        .iter()
        .map(|backup| {
            let begin = time::asked(backup["begin_time"].as_str().unwrap()).unwrap();
            format!("{} {}", backup["type"].as_str().unwrap(), begin.as_second() / 3600)
        })
        .collect()
}

#[test]
fn the_list_is_of_one_type_and_its_total_too() {
    let switches = Switches::default();
    assert_eq!(shown("backup_type=auto", &switches), ["auto 48", "auto 24", "auto 0"]);
    assert_eq!(list("backup_type=incremental&limit=3", &switches)["total_count"], 10);
    assert_eq!(list("backup_type=fragment", &switches)["total_count"], 0);
    let ignored = Switches { type_is_ignored: true, ..Switches::default() };
    assert_eq!(list("backup_type=auto", &ignored)["total_count"], 14);
}

#[test]
fn the_untyped_list_holds_incrementals_only_when_switched_so() {
    let switches = Switches::default();
    assert_eq!(shown("", &switches), ["auto 48", "manual 30", "auto 24", "auto 0"]);
    let all = Switches { untyped_holds_incrementals: true, ..Switches::default() };
    assert_eq!(list("", &all)["total_count"], 14);
}

#[test]
fn the_window_filters_the_time_that_the_switch_says() {
    let query = "backup_type=auto&begin_time=1970-01-02T00:00:00%2B0000&end_time=1970-01-03T00:00:00%2B0000";
    let with = |window, window_is_inclusive| {
        let switches = Switches { window, window_is_inclusive, ..Switches::default() };
        shown(query, &switches)
    };
    assert_eq!(with(Window::Begin, true), ["auto 48", "auto 24"]);
    assert!(with(Window::Begin, false).is_empty());
    assert_eq!(with(Window::End, true), ["auto 24"]);
    assert_eq!(with(Window::Ignored, true), ["auto 48", "auto 24", "auto 0"]);
    assert_eq!(list(query, &Switches::default())["total_count"], 2);
}

#[test]
fn pages_and_orders_are_those_of_the_switches() {
    let oldest = Switches {
        order: Order::OldestFirst,
        missing_end: MissingEnd::Absent,
        ..Switches::default()
    };
    assert_eq!(shown("offset=1&limit=2", &oldest), ["auto 24", "manual 30"]);
    let capped = Switches { page_cap: Some(2), total: Total::Unfiltered, ..Switches::default() };
    let page = list("backup_type=auto&limit=100", &capped);
    assert_eq!(page["backups"].as_array().unwrap().len(), 2);
    assert_eq!(page["limit"], 2);
    assert_eq!(page["total_count"], 14);
    let stuck = Switches { offset_is_ignored: true, ..Switches::default() };
    assert_eq!(shown("offset=3&limit=1", &stuck), ["auto 48"]);
}

#[test]
fn one_backup_can_be_asked_by_its_id() {
    let id = RdsBackup::building(MYSQL, "auto", at(48)).id;
    let query = format!("backup_id={id}");
    assert_eq!(shown(&query, &Switches::default()), ["auto 48"]);
}

#[test]
fn a_query_against_the_documents_is_refused() {
    let begin = "begin_time=1970-01-02T00:00:00%2B0000";
    let end = "end_time=1970-01-03T00:00:00%2B0000";
    for wrong in [
        "backup_type=full".to_owned(),
        "limit=0".to_owned(),
        "limit=101".to_owned(),
        "offset=-1".to_owned(),
        begin.to_owned(),
        end.to_owned(),
        format!("{begin}&end_time=1970-01-03T00:00:00Z"),
        format!("{begin}&end_time=1970-01-03T00:00:00+0000"),
        format!("{begin}&end_time=1970-01-02T00:00:00%2B0000"),
    ] {
        let query = format!("instance_id={MYSQL}&{wrong}");
        let refusal = answer(&query, &Switches::default()).unwrap_err();
        assert_eq!(refusal, json!([400, "DBS.200001"]), "{wrong}");
    }
    assert!(answer(&format!("instance_id={MYSQL}&{begin}&{end}"), &Switches::default()).is_ok());
    let refusal = answer("limit=1", &Switches::default()).unwrap_err();
    assert_eq!(refusal, json!([400, "DBS.200001"]));
}

#[test]
fn an_unknown_instance_is_not_found_unless_deleted_ones_are_listed() {
    let gone = "b48e43ff268f4c0e879652d65e63d0fbin01";
    let query = format!("instance_id={gone}");
    let refusal = answer(&query, &Switches::default()).unwrap_err();
    assert_eq!(refusal, json!([404, "DBS.200045"]));

    let mut project = project();
    project.rds.clear();
    let target = format!("/v3/p/backups?instance_id={MYSQL}");
    let request = Request::new(Service::Rds, "GET", &target, Vec::new(), Vec::new());
    for lists_deleted_instances in [false, true] {
        let switches = Switches { lists_deleted_instances, ..Switches::default() };
        let answer = backups(&request, &project, &switches, at(60), &mut Memory::default());
        assert_eq!(answer.is_ok(), lists_deleted_instances);
    }
}

#[test]
fn a_type_foreign_to_the_engine_is_empty_or_refused() {
    let incremental = format!("instance_id={SQL_SERVER}&backup_type=incremental");
    let fragment = format!("instance_id={MYSQL}&backup_type=fragment");
    let strict = Switches {
        refuses_incremental_of_sql_server: true,
        refuses_fragment_of_others: true,
        ..Switches::default()
    };
    for query in [incremental, fragment] {
        let list = answer(&query, &Switches::default()).unwrap();
        assert_eq!(list, json!({ "backups": [], "total_count": 0 }));
        assert_eq!(answer(&query, &strict).unwrap_err(), json!([400, "DBS.200001"]));
    }
    let own = format!("instance_id={SQL_SERVER}&backup_type=fragment");
    assert!(answer(&own, &strict).is_ok());
}

/// The answer of a call about one instance: the body, or status and code of the refusal.
fn read(answer: Result<Answer, Answer>) -> Result<Value, Value> {
    let body = |answer: &Answer| -> Value { serde_json::from_slice(&answer.body).unwrap() };
    answer
        .map(|answer| body(&answer))
        .map_err(|answer| json!([answer.status, body(&answer)["error_code"]]))
}

fn ranges(instance_id: &str, project: &Project, query: &str) -> Result<Value, Value> {
    let target = format!("/v3/p/instances/{instance_id}/restore-time?{query}");
    let request = Request::new(Service::Rds, "GET", &target, Vec::new(), Vec::new());
    let body = read(restore_time(&request, instance_id, project, at(60)));
    body.map(|body| body["restore_time"].clone())
}

#[test]
fn the_restorable_range_ends_with_the_newest_increment() {
    let hour = 3_600_000;
    let range = json!({ "start_time": hour, "end_time": 50 * hour });
    assert_eq!(ranges(MYSQL, &project(), "").unwrap(), json!([range]));
    assert_eq!(ranges(SQL_SERVER, &project(), "").unwrap(), json!([]));
    assert_eq!(ranges("unknown", &project(), "").unwrap_err(), json!([404, "DBS.200045"]));
}

#[test]
fn restorable_ranges_can_have_holes_and_a_date_asks_for_those_that_touch_its_day() {
    let mut project = project();
    let with = |project: &mut Project, ranges: &[(i64, i64)]| {
        let ranges = ranges.iter().map(|(start, end)| (at(*start), at(*end)));
        project.rds[0] = RdsInstance::new(MYSQL, "orders").with_restore_ranges(ranges);
    };
    with(&mut project, &[(1, 23), (24, 47), (48, 96)]);
    let starts = |query: &str| -> Vec<i64> {
        let ranges = ranges(MYSQL, &project, query).unwrap();
        let starts = ranges.as_array().unwrap().iter();
        starts.map(|range| range["start_time"].as_i64().unwrap() / 3_600_000).collect()
    };
    assert_eq!(starts(""), [1, 24, 48]);
    assert_eq!(starts("date=1970-01-01"), [1]);
    assert_eq!(starts("date=1970-01-02"), [24]);
    assert_eq!(starts("date=1970-01-04"), [48]);
    assert_eq!(starts("date=1970-01-05"), [48], "its end is the first moment of that day");
    assert!(starts("date=1970-01-06").is_empty());
    for wrong in ["date=1970-1-1", "date=yesterday", "date=1970-01-01T00:00:00Z"] {
        let refusal = ranges(MYSQL, &project, wrong).unwrap_err();
        assert_eq!(refusal, json!([400, "DBS.200001"]), "{wrong}");
    }
    with(&mut project, &[]);
    assert_eq!(ranges(MYSQL, &project, "").unwrap(), json!([]));
}

/// Names of the listed instances, and the page as it is.
fn instance_page(query: &str, project: &Project, switches: &Switches) -> (Vec<String>, Value) {
    let target = format!("/v3/p/instances?{query}");
    let request = Request::new(Service::Rds, "GET", &target, Vec::new(), Vec::new());
    let page = read(instances(&request, project, switches)).unwrap();
    let shown = page["instances"].as_array().unwrap().iter();
    let names = shown.map(|one| one["name"].as_str().unwrap_or("(none)").to_owned());
    (names.collect(), page)
}

#[test]
fn instances_are_found_by_what_the_query_says_and_counted_before_paging() {
    let mut project = project();
    let replica = "c48e43ff268f4c0e879652d65e63d0fbin01";
    let read_only = RdsInstance::replica(replica, "orders-read", MYSQL);
    project.rds.push(read_only.with_status("SHUTDOWN"));
    let page = |query: &str| instance_page(query, &project, &Switches::default());
    let names = |query: &str| page(query).0;
    assert_eq!(page("").1["total_count"], 3);
    assert_eq!(names("offset=1&limit=1"), ["reports"]);
    assert_eq!(page("offset=1&limit=1").1["total_count"], 3);
    assert_eq!(names("name=orders"), ["orders"]);
    assert_eq!(names("name=*orders"), ["orders", "orders-read"]);
    assert_eq!(names("type=Replica"), ["orders-read"]);
    assert_eq!(names("datastore_type=SQLServer"), ["reports"]);
    assert!(names("datastore_type=sqlserver").is_empty());
    assert_eq!(names(&format!("id={MYSQL}")), ["orders"]);
    assert_eq!(names("id=*in04"), ["reports"]);

    let shown = &page("").1["instances"];
    assert_eq!(shown[2]["status"], "SHUTDOWN");
    assert_eq!(shown[2]["related_instance"], json!([{ "id": MYSQL, "type": "replica_of" }]));
    assert_eq!(shown[0]["related_instance"], json!([{ "id": replica, "type": "replica" }]));
    assert_eq!(page("type=Ha").1["instances"][0], shown[0], "whether its replica is listed or not");
}

#[test]
fn the_pages_of_the_instance_list_are_those_of_the_switches() {
    let mut project = Project::new("p", "shop");
    let many = (0..250).map(|at| RdsInstance::new(&format!("{at:032x}in01"), &at.to_string()));
    project.rds.extend(many);
    let plain = Switches::default();
    let (names, page) = instance_page("", &project, &plain);
    assert_eq!((names.len(), &names[99]), (100, &"99".to_owned()));
    assert_eq!(page["total_count"], 250);
    assert_eq!(page.get("limit"), None);
    assert_eq!(instance_page("offset=200", &project, &plain).0.len(), 50);
    let capped = Switches { page_cap: Some(20), total: Total::Fixed(7), ..plain.clone() };
    let (names, page) = instance_page("limit=100&offset=40", &project, &capped);
    assert_eq!((names.len(), &names[0]), (20, &"40".to_owned()));
    assert_eq!((&page["limit"], &page["total_count"]), (&json!(20), &json!(7)));
    let stuck = Switches { offset_is_ignored: true, total: Total::Absent, ..plain.clone() };
    let (names, page) = instance_page("offset=200", &project, &stuck);
    assert_eq!(names[0], "0");
    assert_eq!(page.get("total_count"), None);
    let all = Switches { total: Total::Unfiltered, ..plain };
    assert_eq!(instance_page("name=1", &project, &all).1["total_count"], 250);
    for wrong in ["limit=0", "limit=101", "offset=-1"] {
        let target = format!("/v3/p/instances?{wrong}");
        let request = Request::new(Service::Rds, "GET", &target, Vec::new(), Vec::new());
        let refusal = read(instances(&request, &project, &all)).unwrap_err();
        assert_eq!(refusal, json!([400, "DBS.200001"]), "{wrong}");
    }
}

#[test]
fn instances_may_share_a_name_or_have_none() {
    let mut project = project();
    project.rds.push(RdsInstance::new("x", "orders"));
    project.rds.push(RdsInstance::new("y", "").without_field("name"));
    let (names, page) = instance_page("", &project, &Switches::default());
    assert_eq!(names, ["orders", "reports", "orders", "(none)"]);
    assert_eq!(page["total_count"], 4);
}

#[test]
fn the_policy_is_told_for_known_instances_only() {
    let told = |id: &str| read(policy(id, &project(), &Switches::default()));
    let body = told(MYSQL).unwrap();
    assert_eq!(body["backup_policy"]["keep_days"], 7);
    assert_eq!(body["backup_policy"]["period"], "1,2,3,4,5,6,7");
    assert_eq!(told("unknown").unwrap_err(), json!([404, "DBS.200045"]));
}

#[test]
fn the_policy_of_a_replica_is_refused_or_told_as_switched() {
    let mut project = project();
    project.rds.push(RdsInstance::replica("r", "orders-read", MYSQL));
    let told = |policy_of_replica| {
        let switches = Switches { policy_of_replica, ..Switches::default() };
        read(policy("r", &project, &switches))
    };
    assert_eq!(told(ReplicaPolicy::BadRequest).unwrap_err(), json!([400, "DBS.200001"]));
    assert_eq!(told(ReplicaPolicy::NotFound).unwrap_err(), json!([404, "DBS.200045"]));
    let off = json!({ "backup_policy": { "keep_days": 0 } });
    assert_eq!(told(ReplicaPolicy::Told).unwrap(), off);
    assert!(ranges("r", &project, "").unwrap().as_array().unwrap().is_empty());
}

#[test]
fn a_deleted_instance_is_not_found_unless_its_scheduled_backups_are_still_listed() {
    let mut project = Project::new("p", "shop");
    project.rds.push(RdsInstance::new(MYSQL, "orders"));
    project.schedules.push(crate::sim::Schedule::daily(MYSQL, 0));
    project.delete_instance(MYSQL, at(24 * 9));
    let target = format!("/v3/p/backups?instance_id={MYSQL}");
    let request = Request::new(Service::Rds, "GET", &target, Vec::new(), Vec::new());
    let total = |lists_deleted_instances, days: i64| {
        let switches = Switches { lists_deleted_instances, ..Switches::default() };
        let memory = &mut Memory::default();
        read(backups(&request, &project, &switches, at(24 * days), memory))
            .map(|page| page["total_count"].clone())
    };
    assert_eq!(total(true, 9).unwrap(), 6);
    assert_eq!(total(true, 14).unwrap(), 1);
    for (lists, days) in [(true, 15), (false, 9)] {
        assert_eq!(total(lists, days).unwrap_err(), json!([404, "DBS.200045"]));
    }
}
