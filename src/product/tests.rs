//! The answers that the documentation prints, and answers that nobody prints.

use serde_json::{Value, json};

use super::*;
use crate::backup::{Engine, Status, Times};
use crate::error::Chain;

const RDS: &Product = &rds::RDS;
const DDM: &Product = &ddm::DDM;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn instance(id: &str) -> InstanceId {
    InstanceId::new(id)
}

fn read(
    product: &Product,
    body: &Value,
    asked: Option<&InstanceId>,
) -> Result<Page<Backup>, String> {
    (product.decode)(body.to_string().as_bytes(), asked).map_err(|e| Chain(&e).to_string())
}

/// An RDS record of instance `db` with some fields changed; `null` takes one away.
fn rds_record(changes: &Value) -> Value {
    let mut record = json!({
        "id": "b1", "name": "n", "type": "auto", "size": 1, "status": "COMPLETED",
        "begin_time": "2018-08-06T12:41:14+0800", "end_time": "2018-08-06T12:43:14+0800",
        "datastore": { "type": "MySQL", "version": "8.0" }, "instance_id": "db",
    });
    change(&mut record, changes);
    record
}

fn ddm_record(changes: &Value) -> Value {
    let mut record = json!({
        "id": "b1", "status": "normal", "instance_id": "dd", "instance_name": "router",
        "instance_status": "RUNNING", "file_size": 5.419_922, "backup_type": "auto_metadata",
        "created": "2025-02-19T02:50:20+0000", "updated": "2025-02-19T02:50:37+0000",
    });
    change(&mut record, changes);
    record
}

fn change(record: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().unwrap() {
        if value == "absent" {
            record.as_object_mut().unwrap().remove(name);
        } else {
            record[name] = value.clone();
        }
    }
}

fn rds(changes: &Value) -> Result<Backup, String> {
    let body = json!({ "backups": [rds_record(changes)], "total_count": 1 });
    read(RDS, &body, Some(&instance("db"))).map(|mut page| page.entries.remove(0))
}

fn ddm(changes: &Value) -> Result<Page<Backup>, String> {
    read(DDM, &json!({ "backups": [ddm_record(changes)], "total": 1 }), None)
}

#[test]
fn the_mysql_example_of_the_documentation_is_read() {
    let body = include_bytes!("../../tests/data/listings/rds-mysql.json");
    let asked = instance("a48e43ff268f4c0e879652d65e63d0fbin01");
    let page = (RDS.decode)(body, Some(&asked)).unwrap();
    assert_eq!(page.total, 1);
    let expected = Backup {
        id: BackupId::new("43e4feaab48f11e89039fa163ebaa7e4br01"),
        instance_id: asked,
        instance_name: None,
        instance_status: None,
        engine: Some(Engine { name: "MySQL".into(), version: "5.6".into() }),
        backup_type: RDS.backup_type("auto").unwrap(),
        status: Status::Completed,
        begin: Some(time("2018-08-06T04:41:14Z")),
        end: Some(time("2018-08-06T04:43:14Z")),
        bytes: Some(2803 * 1024),
        unknown_type: None,
        unknown_status: None,
    };
    assert_eq!(page.entries, [expected]);
}

#[test]
fn the_postgresql_example_is_read_with_the_blanks_in_its_times_and_behind_its_instance() {
    let body = include_bytes!("../../tests/data/listings/rds-postgresql.json");
    let asked = instance("a48e43ff268f4c0e879652d65e63d0fbin03");
    let page = (RDS.decode)(body, Some(&asked)).unwrap();
    let backup = &page.entries[0];
    assert_eq!(backup.backup_type.name, "incremental");
    assert_eq!(backup.instance_id, asked);
    assert_eq!(backup.begin, Some(time("2018-08-06T04:41:14Z")));
    assert_eq!(backup.end, Some(time("2018-08-06T04:43:14Z")));
}

#[test]
fn the_sql_server_example_is_read_with_the_blank_behind_its_key() {
    let body = include_bytes!("../../tests/data/listings/rds-sqlserver.json");
    let asked = instance("a48e43ff268f4c0e879652d65e63d0fbin04");
    let page = (RDS.decode)(body, Some(&asked)).unwrap();
    let backup = &page.entries[0];
    assert_eq!(backup.id.as_str(), "43e4feaab48f11e89039fa163ebaa7e4br04");
    assert_eq!(backup.backup_type.name, "manual");
    assert_eq!(
        backup.engine,
        Some(Engine { name: "SQLServer".into(), version: "2014_WEB".into() })
    );
}

#[test]
fn the_ddm_example_is_read() {
    let body = include_bytes!("../../tests/data/listings/ddm.json");
    let page = (DDM.decode)(body, None).unwrap();
    assert_eq!((page.total, page.limit), (1, Some(10)));
    let backup = &page.entries[0];
    assert_eq!(backup.id.as_str(), "c131f9339****5cdebe350228br09");
    assert_eq!(backup.instance_id, instance("169f4f2fd6****04385a18ain09"));
    assert_eq!(backup.instance_name.as_deref(), Some("ddm-test"));
    assert_eq!(backup.instance_status.as_deref(), Some("normal"));
    assert_eq!(backup.backup_type.name, "auto_metadata");
    assert_eq!(backup.status, Status::Completed);
    assert_eq!(backup.begin, Some(time("2025-02-19T02:50:20Z")));
    assert_eq!(backup.end, Some(time("2025-02-19T02:50:37Z")));
    assert_eq!(backup.bytes, Some(5550));
}

#[test]
fn words_are_compared_without_regard_to_case_and_an_unknown_one_is_kept() {
    let backup = rds(&json!({ "type": " Incremental", "status": "building " })).unwrap();
    assert_eq!((backup.backup_type.name, backup.status), ("incremental", Status::Running));
    let backup = rds(&json!({ "type": "Snapshot", "status": "FROZEN" })).unwrap();
    assert_eq!(backup.backup_type, BackupType::UNKNOWN);
    assert_eq!(backup.status, Status::Unknown);
    assert_eq!(&*backup.unknown_type.unwrap().0, "Snapshot");
    assert_eq!(&*backup.unknown_status.unwrap().0, "FROZEN");
    let backup = rds(&json!({ "type": "x".repeat(100_000) })).unwrap();
    assert_eq!(backup.unknown_type.unwrap().0.len(), 64, "it goes into a line of the log");
}

#[test]
fn every_documented_status_has_its_meaning() {
    for (word, status) in [
        ("COMPLETED", Status::Completed),
        ("BUILDING", Status::Running),
        ("FAILED", Status::Failed),
        ("DELETING", Status::Deleting),
    ] {
        assert_eq!(rds(&json!({ "status": word })).unwrap().status, status);
    }
    for (word, status) in [
        ("normal", Status::Completed),
        ("creating", Status::Running),
        ("createfail", Status::Failed),
    ] {
        assert_eq!(ddm(&json!({ "status": word })).unwrap().entries[0].status, status);
    }
}

#[test]
fn a_deleted_ddm_backup_is_left_out_and_counts_for_the_paging() {
    let page = ddm(&json!({ "status": "Deleted" })).unwrap();
    assert_eq!(page.entries, []);
    assert_eq!(page.left_out, [BackupId::new("b1")]);
    assert_eq!(page.len(), 1);
}

#[test]
fn sizes_may_be_whole_decimal_null_absent_or_negative() {
    for (size, bytes) in [
        (json!(2), Some(2048)),
        (json!(0.5), Some(512)),
        (json!(null), None),
        (json!("absent"), None),
        (json!(-1), None),
    ] {
        assert_eq!(rds(&json!({ "size": size })).unwrap().bytes, bytes, "{size}");
    }
}

#[test]
fn a_completed_record_needs_a_readable_begin_and_a_readable_end_if_there_is_one() {
    for end in [json!(null), json!(""), json!("absent")] {
        assert_eq!(rds(&json!({ "end_time": end })).unwrap().end, None);
    }
    let begin = rds(&json!({ "begin_time": null })).unwrap_err();
    assert_eq!(begin, "record 0 (`b1`) has no `begin_time`");
    let end = rds(&json!({ "end_time": "soon" })).unwrap_err();
    assert_eq!(end, "record 0 (`b1`) has the `end_time` `soon`, which is no time");
}

#[test]
fn of_another_record_times_that_cannot_be_read_are_not_there() {
    for status in ["FAILED", "BUILDING", "DELETING", "FROZEN"] {
        let fields = json!({ "status": status, "begin_time": "soon", "end_time": "later" });
        let backup = rds(&fields).unwrap();
        assert_eq!((backup.begin, backup.end), (None, None), "{status}");
    }
}

#[test]
fn what_is_mandatory_is_named_when_it_is_missing() {
    for field in ["id", "status", "type"] {
        for value in [json!(null), json!(" "), json!("absent")] {
            let error = rds(&json!({ field: value })).unwrap_err();
            assert!(error.starts_with("record 0") && error.contains(&format!("no `{field}`")));
        }
    }
    for field in ["id", "status", "backup_type", "instance_id"] {
        let error = ddm(&json!({ field: null })).unwrap_err();
        assert!(error.contains(&format!("no `{field}`")), "{error}");
    }
}

#[test]
fn a_record_of_another_instance_is_refused_with_both_ids() {
    let error = rds(&json!({ "instance_id": "other" })).unwrap_err();
    assert_eq!(error, "record 0 (`b1`) is of instance `other`, and `db` was asked for");
    assert!(rds(&json!({ "instance_id": "DB" })).is_err(), "ids are compared to the letter");
    let without = rds(&json!({ "instance_id": "absent" })).unwrap();
    assert_eq!(without.instance_id, instance("db"), "RDS may leave it out");
}

#[test]
fn wrong_types_are_named_by_their_path() {
    let error = rds(&json!({ "size": "big" })).unwrap_err();
    assert!(error.starts_with("cannot read `backups[0].size` of the answer: "), "{error}");
    let error = rds(&json!({ "begin_time": 5 })).unwrap_err();
    assert!(error.contains("`backups[0].begin_time`"), "{error}");
}

#[test]
fn an_answer_without_its_total_or_its_list_is_refused() {
    for body in [
        json!({ "backups": [] }),
        json!({ "backups": [], "total_count": null }),
        json!({ "backups": [], "total_count": -1 }),
        json!({ "total_count": 0 }),
        json!([]),
        json!("<html>"),
    ] {
        assert!(read(RDS, &body, None).is_err(), "{body}");
    }
    assert!((RDS.decode)(b"", None).is_err());
    assert!((RDS.decode)(b"<html></html>", None).is_err());
    assert!((RDS.decode)(b"{\"backups\":[{\"id\":", None).is_err());
    assert!(read(DDM, &json!({ "backups": [], "total_count": 0 }), None).is_err());
}

#[test]
fn unknown_fields_are_ignored() {
    assert!(rds(&json!({ "associated_with_ddm": true, "databases": [{ "name": "x" }] })).is_ok());
}

#[test]
fn the_types_to_ask_follow_the_engine_in_the_id() {
    let asked = |id: &str| -> Vec<&str> {
        (RDS.lists)(id).iter().map(|list| list.backup_type.unwrap().name).collect()
    };
    assert_eq!(asked("0123in01"), ["auto", "manual", "incremental"]);
    assert_eq!(asked("0123in03"), ["auto", "manual", "incremental"]);
    assert_eq!(asked("0123in04"), ["auto", "manual", "fragment"]);
    assert_eq!(asked("0123IN04"), ["auto", "manual", "fragment"]);
    assert_eq!(asked("0123in14"), ["auto", "manual", "fragment", "incremental"]);
    assert_eq!(asked(""), ["auto", "manual", "fragment", "incremental"]);
}

#[test]
fn a_question_is_put_in_the_words_of_the_product() {
    let id = instance("db");
    let question = Question {
        instance_id: Some(&id),
        backup_type: RDS.backup_type("incremental"),
        window: Some((time("2024-02-29T00:00:00Z"), time("2024-02-29T23:59:59Z"))),
    };
    let expected = [
        ("instance_id", "db"),
        ("backup_type", "incremental"),
        ("begin_time", "2024-02-29T00:00:00+0000"),
        ("end_time", "2024-02-29T23:59:59+0000"),
    ];
    let query = (RDS.query)(&question);
    let query: Vec<(&str, &str)> = query.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(query, expected);
    assert_eq!((DDM.query)(&question), [], "one list for the project, without filters");
}

#[test]
fn products_differ_in_name_and_apis() {
    for (at, product) in ALL.iter().enumerate() {
        for other in &ALL[at + 1..] {
            assert_ne!(product.name, other.name);
            assert!(product.apis().all(|api| other.apis().all(|other| api != other)));
        }
    }
}

#[test]
fn only_the_times_of_incrementals_are_commits() {
    for (backup_type, _) in ALL.iter().flat_map(|product| product.types) {
        let commits = backup_type.name == "incremental";
        assert_eq!(backup_type.times == Times::Commit, commits, "{backup_type}");
    }
}

#[test]
fn every_list_asks_for_a_type_that_the_product_documents() {
    for product in ALL {
        for id in ["xin01", "xin03", "xin04", "x"] {
            for list in (product.lists)(id) {
                if let Some(backup_type) = list.backup_type {
                    assert_eq!(product.backup_type(backup_type.name), Some(backup_type));
                }
            }
        }
    }
}
