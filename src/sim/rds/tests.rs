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

#[test]
fn the_restorable_range_ends_with_the_newest_increment() {
    let answer = restore_time(MYSQL, &project(), at(60)).unwrap();
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let hour = 3_600_000;
    let range = json!({ "start_time": hour, "end_time": 50 * hour });
    assert_eq!(body, json!({ "restore_time": [range] }));
    let answer = restore_time(SQL_SERVER, &project(), at(60)).unwrap();
    assert_eq!(answer.body, br#"{"restore_time":[]}"#);
}

#[test]
fn instances_are_found_by_what_the_query_says_and_counted_before_paging() {
    let mut project = project();
    let replica = "c48e43ff268f4c0e879652d65e63d0fbin01";
    let read_only = RdsInstance::replica(replica, "orders-read", MYSQL);
    project.rds.push(read_only.with_status("SHUTDOWN"));
    let list = |query: &str| -> (Vec<String>, Value) {
        let target = format!("/v3/p/instances?{query}");
        let request = Request::new(Service::Rds, "GET", &target, Vec::new(), Vec::new());
        let answer = instances(&request, &project).unwrap();
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let shown = body["instances"].as_array().unwrap().iter();
        let names = shown.map(|one| one["name"].as_str().unwrap().to_owned());
        (names.collect(), body["total_count"].clone())
    };
    assert_eq!(list("").1, 3);
    assert_eq!(list("offset=1&limit=1"), (vec!["reports".to_owned()], json!(3)));
    assert_eq!(list("name=orders").0, ["orders"]);
    assert_eq!(list("name=*orders").0, ["orders", "orders-read"]);
    assert_eq!(list("type=Replica").0, ["orders-read"]);
    assert_eq!(list("datastore_type=sqlserver").0, ["reports"]);
    assert_eq!(list(&format!("id={MYSQL}")).0, ["orders"]);

    let shown = project.rds[2].shown();
    assert_eq!(shown["status"], "SHUTDOWN");
    assert_eq!(shown["related_instance"], json!([{ "id": MYSQL, "type": "replica_of" }]));
}

#[test]
fn the_policy_is_told_for_known_instances_only() {
    let answer = policy(MYSQL, &project()).unwrap();
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["backup_policy"]["keep_days"], 7);
    assert_eq!(body["backup_policy"]["period"], "1,2,3,4,5,6,7");
    assert_eq!(policy("unknown", &project()).unwrap_err().status, 404);
}
