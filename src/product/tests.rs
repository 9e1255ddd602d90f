//! The answers that the documentation prints, and answers that nobody prints.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::backup::{Engine, Origin, Status, Times};
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
        origin: Arc::new(Origin {
            engine: Some(Engine { name: "MySQL".into(), version: "5.6".into() }),
            ..Origin::bare(asked)
        }),
        backup_type: RDS.backup_type("auto").unwrap(),
        status: Status::Completed,
        begin: Some(time("2018-08-06T04:41:14Z")),
        end: Some(time("2018-08-06T04:43:14Z")),
        bytes: Some(2803 * 1024),
        unknown: None,
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
    assert_eq!(backup.origin.instance_id, asked);
    assert_eq!(backup.begin, Some(time("2018-08-06T04:41:14Z")));
    assert_eq!(backup.end, Some(time("2018-08-06T04:43:14Z")));
}

#[test]
fn the_sql_server_example_is_read_with_the_blank_behind_its_key() {
    let body = include_bytes!("../../tests/data/listings/rds-sqlserver.json");
    let asked = instance("a48e43ff268f4c0e879652d65e63d0fbin04");
    let page = (RDS.decode)(body, Some(&asked)).unwrap();
    let backup = &page.entries[0];
    assert_eq!(backup.id.to_string(), "43e4feaab48f11e89039fa163ebaa7e4br04");
    assert_eq!(backup.backup_type.name, "manual");
    assert_eq!(
        backup.origin.engine,
        Some(Engine { name: "SQLServer".into(), version: "2014_WEB".into() })
    );
}

#[test]
fn the_ddm_example_is_read() {
    let body = include_bytes!("../../tests/data/listings/ddm.json");
    let page = (DDM.decode)(body, None).unwrap();
    assert_eq!((page.total, page.limit), (1, Some(10)));
    let backup = &page.entries[0];
    assert_eq!(backup.id.to_string(), "c131f9339****5cdebe350228br09");
    assert_eq!(backup.origin.instance_id, instance("169f4f2fd6****04385a18ain09"));
    assert_eq!(backup.origin.instance_name.as_deref(), Some("ddm-test"));
    assert_eq!(backup.origin.instance_status.as_deref(), Some("normal"));
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
    let unknown = backup.unknown.unwrap();
    assert_eq!(&*unknown.backup_type.unwrap().0, "Snapshot");
    assert_eq!(&*unknown.status.unwrap().0, "FROZEN");
    let backup = rds(&json!({ "type": "x".repeat(100_000) })).unwrap();
    assert_eq!(
        backup.unknown.unwrap().backup_type.unwrap().0.len(),
        64,
        "it goes into a line of the log"
    );
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
    assert_eq!(without.origin.instance_id, instance("db"), "RDS may leave it out");
}

#[test]
fn each_record_has_the_engine_that_it_names() {
    let engines = ["8.0", "8.0", "8.4", "absent", "8.4", "null", "8.0"];
    let records = engines.map(|version| match version {
        "absent" => rds_record(&json!({ "datastore": "absent" })),
        "null" => rds_record(&json!({ "datastore": null })),
        _ => rds_record(&json!({ "datastore": { "version": version, "type": "MySQL" } })),
    });
    let body = json!({ "backups": records, "total_count": records.len() });
    let page = read(RDS, &body, Some(&instance("db"))).unwrap();
    for (backup, version) in page.entries.iter().zip(engines) {
        let expected = version.starts_with('8').then_some(("MySQL", version));
        let engine = backup.origin.engine.as_ref();
        assert_eq!(engine.map(|it| (&*it.name, &*it.version)), expected);
    }
}

#[test]
fn wrong_types_are_named_by_their_path() {
    let error = rds(&json!({ "size": "big" })).unwrap_err();
    assert!(error.starts_with("cannot read `backups[0].size` of the answer: "), "{error}");
    let error = rds(&json!({ "datastore": { "version": 8 } })).unwrap_err();
    assert!(error.starts_with("cannot read `backups[0].datastore.version` of the answer: "));
    let error = rds(&json!({ "datastore": 8 })).unwrap_err();
    assert!(error.starts_with("cannot read `backups[0].datastore` of the answer: "), "{error}");
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

fn instances(product: &Product, body: &Value) -> Result<Page<ListedInstance>, String> {
    (product.instances.decode)(body.to_string().as_bytes()).map_err(|e| Chain(&e).to_string())
}

/// An RDS instance with some fields changed; `absent` takes one away.
fn rds_instance(changes: &Value) -> Result<ListedInstance, String> {
    let mut instance = json!({
        "id": "db", "name": "orders", "status": "ACTIVE", "type": "Ha",
        "created": "2018-08-20T02:33:49+0800", "related_instance": [],
        "datastore": { "type": "MySQL", "version": "8.0", "complete_version": "8.0.1" },
    });
    change(&mut instance, changes);
    let body = json!({ "instances": [instance], "total_count": 1 });
    instances(RDS, &body).map(|mut page| page.entries.remove(0))
}

#[test]
fn an_instance_list_is_read_with_what_it_tells() {
    let body = json!({
        "instances": [
            {
                "id": "db", "name": "orders", "status": "ACTIVE", "type": "Single",
                "created": "2018-08-20T02:33:49+0800", "updated": "", "port": 3306, "nodes": [],
                "datastore": { "type": "MySQL", "version": "8.0" },
                "related_instance": [{ "id": "copy", "type": "replica" }],
            },
            { "id": "copy", "type": "Replica", "related_instance": null },
        ],
        "total_count": 7,
    });
    let page = instances(RDS, &body).unwrap();
    assert_eq!((page.total, page.limit), (7, None));
    let orders = ListedInstance {
        id: instance("db"),
        name: Some("orders".into()),
        status: Some("ACTIVE".into()),
        engine: Some(Engine { name: "MySQL".into(), version: "8.0".into() }),
        created: Some(time("2018-08-19T18:33:49Z")),
        is_replica: false,
    };
    let copy = ListedInstance {
        id: instance("copy"),
        name: None,
        status: None,
        engine: None,
        created: None,
        is_replica: true,
    };
    assert_eq!(page.entries, [orders, copy]);
    let capped = json!({ "instances": [], "total_count": 7, "limit": 2 });
    assert_eq!(instances(RDS, &capped).unwrap().limit, Some(2), "as of a list of backups");

    // The page numbers of the documents' sample contradict each other.
    let body = json!({
        "instances": [{
            "id": "dd", "name": "router", "status": "RUNNING", "engine_version": "3.0.8",
            "created": "2025-02-19T02:50:20+0000", "node_count": 2,
        }],
        "instance_num": 1, "page_no": 3, "page_size": 1, "total_page": 26, "total_record": 26,
    });
    let page = instances(DDM, &body).unwrap();
    assert_eq!(page.total, 26);
    let router = ListedInstance {
        id: instance("dd"),
        name: Some("router".into()),
        status: Some("RUNNING".into()),
        engine: Some(Engine { name: "DDM".into(), version: "3.0.8".into() }),
        created: Some(time("2025-02-19T02:50:20Z")),
        is_replica: false,
    };
    assert_eq!(page.entries, [router]);
}

#[test]
fn an_instance_is_known_by_its_id_alone_and_what_else_is_missing_is_not_known() {
    for missing in [json!("absent"), json!(null), json!(""), json!(" ")] {
        let fields =
            json!({ "name": missing, "status": missing, "type": missing, "created": missing });
        let instance = rds_instance(&fields).unwrap();
        assert_eq!((&instance.name, &instance.status, instance.created), (&None, &None, None));
        assert!(!instance.is_replica, "it is rather watched than not");
        let error = rds_instance(&json!({ "id": missing })).unwrap_err();
        assert_eq!(error, "record 0 has no `id`");
    }
    assert_eq!(rds_instance(&json!({ "created": "soon" })).unwrap().created, None);
    for nothing in [json!("absent"), json!(null), json!({}), json!({ "type": "", "version": null })]
    {
        assert_eq!(rds_instance(&json!({ "datastore": nothing })).unwrap().engine, None);
    }
    let nameless = json!({ "instances": [{ "id": "a" }, { "id": " " }], "total_record": 2 });
    assert_eq!(instances(DDM, &nameless).unwrap_err(), "record 1 has no `id`");
    let bare = instances(DDM, &json!({ "instances": [{ "id": "a" }], "total_record": 1 })).unwrap();
    assert_eq!((&bare.entries[0].name, &bare.entries[0].status), (&None, &None));
}

#[test]
fn blanks_around_what_an_instance_list_tells_do_not_count() {
    let fields =
        json!({ "id": "db ", "name": " orders", "status": "ACTIVE ", "type": " replica " });
    let instance = rds_instance(&fields).unwrap();
    assert_eq!(instance.id.as_str(), "db");
    assert_eq!(
        (instance.name.as_deref(), instance.status.as_deref()),
        (Some("orders"), Some("ACTIVE"))
    );
    assert!(instance.is_replica);
}

#[test]
fn a_replica_says_so_by_its_type_or_by_its_primary() {
    let related = |kind: &str| json!({ "related_instance": [{ "id": "gone", "type": kind }] });
    let is_replica = |fields: &Value| rds_instance(fields).unwrap().is_replica;
    assert!(is_replica(&related("replica_of")));
    assert!(!is_replica(&related("replica")), "a primary names its replicas");
    for (kind, expected) in [
        ("Replica", true),
        ("REPLICA", true),
        ("Single", false),
        ("Enterprise", false),
        ("?", false),
    ] {
        assert_eq!(is_replica(&json!({ "type": kind })), expected, "{kind}");
    }
    assert!(is_replica(
        &json!({ "type": "Single", "related_instance": [{ "type": "Replica_Of" }] })
    ));
}

#[test]
fn an_instance_list_without_its_total_or_its_list_is_refused() {
    for body in [
        json!({ "instances": [] }),
        json!({ "instances": [], "total_count": null, "total_record": null }),
        json!({ "instances": null, "total_count": 0, "total_record": 0 }),
        json!({ "total_count": 0, "total_record": 0 }),
        json!({ "instances": [{ "id": 7 }], "total_count": 1, "total_record": 1 }),
        json!([]),
    ] {
        assert!(instances(RDS, &body).is_err() && instances(DDM, &body).is_err(), "{body}");
    }
    let error =
        instances(RDS, &json!({ "instances": [{ "id": "a", "name": 7 }], "total_count": 1 }));
    assert!(error.unwrap_err().starts_with("cannot read `instances[0].name` of the answer: "));
}

fn policy(fields: &Value) -> Result<Policy, String> {
    let body = json!({ "backup_policy": fields }).to_string();
    let decode = RDS.policy.as_ref().unwrap().decode;
    decode(body.as_bytes()).map_err(|e| Chain(&e).to_string())
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_policy_tells_how_long_backups_are_kept_and_when_they_are_made() {
    let read = |keep_days: u32, start_time: &str, period: &str| {
        let policy =
            policy(&json!({ "keep_days": keep_days, "start_time": start_time, "period": period }))
                .unwrap();
        (policy.retention.unwrap() / 24, policy.max_age().unwrap())
    };
    assert_eq!(read(7, "01:00-02:00", "1,2,3,4,5,6,7"), (HOUR * 7, HOUR * 26));
    assert_eq!(read(732, "01:00-02:00", "3"), (HOUR * 732, HOUR * 170));
    assert_eq!(read(1, " 23:30-00:30 ", " 1, 3 ,5"), (HOUR, HOUR * 74), "over midnight");
    assert_eq!(read(1, "23:00-00:00", "1,1,1,4"), (HOUR, HOUR * 98));
    assert_eq!(read(1, "23:00-24:00", "1,2,3,4,5,6,7"), (HOUR, HOUR * 26));
    assert_eq!(read(1, "01:00-05:00", "1,2,3,4,5,6,7"), (HOUR, HOUR * 29));
}

#[test]
fn a_policy_of_no_days_or_of_none_that_is_told_is_off() {
    for off in [
        json!({ "keep_days": 0 }),
        json!({ "keep_days": 0, "start_time": "01:00-02:00", "period": "1,2" }),
        json!({ "keep_days": null }),
        json!({}),
    ] {
        assert_eq!(policy(&off), Ok(Policy::default()), "{off}");
    }
}

#[test]
fn a_policy_that_does_not_tell_when_is_on_without_a_plan() {
    for missing in [json!("absent"), json!(null), json!(""), json!(" ")] {
        for field in ["start_time", "period"] {
            let mut told = json!({ "keep_days": 7, "start_time": "01:00-02:00", "period": "1" });
            change(&mut told, &json!({ field: missing }));
            let policy = policy(&told).unwrap();
            assert_eq!((policy.retention, policy.plan), (Some(HOUR * 24 * 7), None), "{told}");
        }
    }
}

#[test]
fn a_policy_that_says_nonsense_is_refused_with_the_field_and_what_stands_there() {
    for start_time in [
        "soon",
        "01:00",
        "1-2",
        "01:00-02:00-03:00",
        "25:00-26:00",
        "01:60-02:00",
        "-1:00-02:00",
        ":-:",
    ] {
        let told = json!({ "keep_days": 7, "start_time": start_time, "period": "1" });
        let error = policy(&told).unwrap_err();
        assert!(error.starts_with(&format!("the `start_time` is `{start_time}`, which is not")));
    }
    for period in ["daily", "0", "8", "1;2", "1,,2", "1,2,", "-1", "1.5", "1-5"] {
        let told = json!({ "keep_days": 7, "start_time": "01:00-02:00", "period": period });
        let error = policy(&told).unwrap_err();
        assert!(error.starts_with(&format!("the `period` is `{period}`, which is not")), "{error}");
    }
    for wrong in
        [json!({ "keep_days": -1 }), json!({ "keep_days": "7" }), json!({ "keep_days": 1e12 })]
    {
        assert!(policy(&wrong).unwrap_err().contains("`backup_policy.keep_days`"), "{wrong}");
    }
    let decode = RDS.policy.as_ref().unwrap().decode;
    for body in ["{}", "", "[]", r#"{"backup_policy":null}"#, "<html>"] {
        assert!(decode(body.as_bytes()).is_err(), "{body}");
    }
    let long = json!({ "keep_days": 7, "start_time": "x".repeat(100_000), "period": "1" });
    assert!(policy(&long).unwrap_err().len() < 200, "it goes into a line of the log");
}

fn restore_window(body: &Value) -> Result<RestoreWindow, String> {
    let decode = RDS.restore_window.as_ref().unwrap().decode;
    decode(body.to_string().as_bytes()).map_err(|e| Chain(&e).to_string())
}

#[test]
fn what_can_be_restored_is_told_in_milliseconds_by_range() {
    let range = |start: i64, end: i64| json!({ "start_time": start, "end_time": end });
    let body = json!({ "restore_time": [range(5_000, 6_500), range(1_000, 2_000)] });
    let at = |millisecond| Timestamp::from_millisecond(millisecond).ok();
    let expected = RestoreWindow { ranges: 2, start: at(1_000), end: at(6_500) };
    assert_eq!(restore_window(&body), Ok(expected));
    for nothing in [json!([]), json!(null)] {
        assert_eq!(
            restore_window(&json!({ "restore_time": nothing })),
            Ok(RestoreWindow::default())
        );
    }
}

#[test]
fn an_answer_that_does_not_tell_what_can_be_restored_does_not_say_that_nothing_can() {
    for body in [
        json!({}),
        json!({ "restore_times": [] }),
        json!([]),
        json!({ "restore_time": {} }),
        json!({ "restore_time": [{}] }),
        json!({ "restore_time": [{ "start_time": 1, "end_time": null }] }),
        json!({ "restore_time": [{ "start_time": "1", "end_time": "2" }] }),
        json!({ "restore_time": [{ "start_time": 1.5, "end_time": 2 }] }),
    ] {
        assert!(restore_window(&body).is_err(), "{body}");
    }
    let error =
        restore_window(&json!({ "restore_time": [{ "start_time": 0, "end_time": i64::MAX }] }));
    assert!(
        error.unwrap_err().starts_with("the `end_time` is `9223372036854775807`, which is not")
    );
}

#[test]
fn an_id_that_is_more_than_a_part_of_a_path_gets_no_path() {
    let api = RDS.policy.as_ref().unwrap().api;
    let path = |id: &str| api.path_of(&instance(id));
    assert_eq!(path("a_1-Bin01").as_deref(), Some("instances/a_1-Bin01/backups/policy"));
    for id in ["a/b", "..", "a?b", "a#b", "a b", "a%2f", "ä"] {
        assert_eq!(path(id), None, "{id}");
    }
}
