//! Database instances as the instance lists show them: like the records, they may say anything.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{answer::put, record::engine_of, time};

/// What a change to a list needs to know of an instance, whatever the service.
pub(super) trait Instance: Clone {
    fn is_being_made(&self) -> bool;
    /// It is made now.
    fn finish(&mut self, now: Timestamp);
    /// Another one like it, whose id has these digits.
    fn another(&self, stem: &str) -> Self;
}

/// An RDS instance.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RdsInstance {
    /// 32 hexadecimal digits and `in01` (MySQL), `in03` (PostgreSQL) or `in04` (SQL Server). The calls
    /// about one instance know it by this, whatever the list shows.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `Single`, `Ha` or `Replica`; Huawei knows `Enterprise` too.
    pub kind: String,
    /// Such as `ACTIVE`.
    pub status: String,
    /// `datastore.type`.
    pub engine: String,
    /// `datastore.version`.
    pub version: String,
    /// When it was made; shown empty if there is none, as while creating.
    pub created: Option<Timestamp>,
    /// The automated backup policy.
    pub policy: Policy,
    /// If given, the whole body with which the policy is answered.
    pub raw_policy: Option<Value>,
    /// The restorable ranges, if they are not to follow from the backups.
    pub restore_ranges: Option<Vec<(Timestamp, Timestamp)>>,
    /// For a replica, the id of its primary.
    pub replica_of: Option<String>,
    /// Fields that the list shows otherwise than the above would have it, or, if there is no value,
    /// leaves out.
    pub odd: BTreeMap<String, Option<Value>>,
    /// If given, the list shows this and nothing made from the fields above.
    pub raw: Option<Value>,
}

/// The automated backup policy of an RDS instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Days that backups are kept; 0 if the policy is off. The other two are not told then.
    pub keep_days: u32,
    /// Such as `01:00-02:00`, UTC.
    pub start_time: String,
    /// The days of the week, from 1 (Monday), such as `1,2,3,4,5,6,7`.
    pub period: String,
}

impl Policy {
    /// A policy with these words.
    pub fn new(keep_days: u32, start_time: &str, period: &str) -> Self {
        Self { keep_days, start_time: start_time.to_owned(), period: period.to_owned() }
    }

    /// No automated backups.
    pub fn off() -> Self {
        Self::new(0, "", "")
    }

    /// Each day in the hour of this time of day, kept for a week.
    pub fn daily_at(time: Timestamp) -> Self {
        // The documents allow windows of one hour that begin at a quarter.
        let minutes = time.as_second().div_euclid(60).rem_euclid(24 * 60);
        let (hour, minute) = (minutes / 60, minutes % 60 / 15 * 15);
        let start_time = format!("{hour:02}:{minute:02}-{:02}:{minute:02}", (hour + 1) % 24);
        Self::new(7, &start_time, EVERY_DAY)
    }
}

impl RdsInstance {
    /// An active instance with the engine that its id tells.
    pub fn new(id: &str, name: &str) -> Self {
        let (engine, version) = engine_of(id);
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            kind: "Ha".to_owned(),
            status: "ACTIVE".to_owned(),
            engine: engine.to_owned(),
            version: version.to_owned(),
            created: Timestamp::from_second(MADE).ok(),
            policy: Policy::new(7, "01:00-02:00", EVERY_DAY),
            raw_policy: None,
            restore_ranges: None,
            replica_of: None,
            odd: BTreeMap::new(),
            raw: None,
        }
    }

    /// A read replica of another instance, without backups of its own.
    pub fn replica(id: &str, name: &str, primary: &str) -> Self {
        Self {
            kind: "Replica".to_owned(),
            policy: Policy::off(),
            replica_of: Some(primary.to_owned()),
            ..Self::new(id, name)
        }
    }

    /// An instance that is shown exactly so. The fields that filters and other calls look at are read
    /// from it as far as they can be.
    pub fn verbatim(raw: Value) -> Self {
        let text = |path: &str| raw.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let mut instance = Self {
            kind: text("/type").to_owned(),
            status: text("/status").to_owned(),
            engine: text("/datastore/type").to_owned(),
            version: text("/datastore/version").to_owned(),
            created: time::asked(text("/created")),
            ..Self::new(text("/id").trim(), text("/name"))
        };
        instance.raw = Some(raw);
        instance
    }

    /// With another status.
    pub fn with_status(mut self, status: &str) -> Self {
        status.clone_into(&mut self.status);
        self
    }

    /// With another type: `Single`, `Ha`, `Replica`, `Enterprise` or what no document knows.
    pub fn with_kind(mut self, kind: &str) -> Self {
        kind.clone_into(&mut self.kind);
        self
    }

    /// Made at another time, or, if there is none, still being made.
    pub fn with_created(mut self, created: Option<Timestamp>) -> Self {
        self.created = created;
        self
    }

    /// With another automated backup policy.
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// With this body as the answer about its policy.
    pub fn with_raw_policy(mut self, body: Value) -> Self {
        self.raw_policy = Some(body);
        self
    }

    /// With these restorable ranges, whatever backups there are.
    pub fn with_restore_ranges(
        mut self,
        ranges: impl IntoIterator<Item = (Timestamp, Timestamp)>,
    ) -> Self {
        self.restore_ranges = Some(ranges.into_iter().collect());
        self
    }

    /// With this value, of any JSON type, in a field of the list.
    pub fn with_field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.odd.insert(name.to_owned(), Some(value.into()));
        self
    }

    /// Without a field of the list.
    pub fn without_field(mut self, name: &str) -> Self {
        self.odd.insert(name.to_owned(), None);
        self
    }

    /// Whether it is a read replica, which has no backups of its own.
    pub fn is_replica(&self) -> bool {
        self.replica_of.is_some() || self.kind.eq_ignore_ascii_case("replica")
    }

    /// The instance as the list shows it, given all the instances of its project.
    pub(super) fn shown(&self, project: &[Self]) -> Value {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let created = self.created.map(time::listed).unwrap_or_default();
        let primary = self.replica_of.iter().map(|id| json!({ "id": id, "type": "replica_of" }));
        let replicas = project
            .iter()
            .filter(|other| other.replica_of.as_ref() == Some(&self.id))
            .map(|replica| json!({ "id": replica.id, "type": "replica" }));
        let mut shown = json!({
            "id": self.id,
            "name": self.name,
            "type": self.kind,
            "status": self.status,
            "region": "eu-de",
            "port": 3306,
            "datastore": {
                "type": self.engine,
                "version": self.version,
                "complete_version": format!("{}.1", self.version),
            },
            "backup_strategy": {
                "start_time": self.policy.start_time,
                "keep_days": self.policy.keep_days,
            },
            "nodes": [],
            "related_instance": primary.chain(replicas).collect::<Vec<Value>>(),
            "created": created,
            "updated": created,
            "enterprise_project_id": "0",
            "tags": [],
            "associated_with_ddm": false,
        });
        let mode = if self.engine == "SQLServer" { "sync" } else { "async" };
        let ha = (self.kind == "Ha").then(|| json!({ "replication_mode": mode }));
        put(&mut shown, "ha", ha);
        put_odd(&mut shown, &self.odd);
        shown
    }

    pub(super) fn shown_policy(&self) -> Value {
        if let Some(raw) = &self.raw_policy {
            return raw.clone();
        }
        // The documents' sample of a policy that is off.
        if self.policy.keep_days == 0 {
            return json!({ "backup_policy": { "keep_days": 0 } });
        }
        json!({ "backup_policy": {
            "keep_days": self.policy.keep_days,
            "start_time": self.policy.start_time,
            "period": self.policy.period,
        } })
    }
}

impl Instance for RdsInstance {
    fn is_being_made(&self) -> bool {
        self.status == "BUILD"
    }

    fn finish(&mut self, now: Timestamp) {
        "ACTIVE".clone_into(&mut self.status);
        self.created = Some(now);
    }

    fn another(&self, stem: &str) -> Self {
        Self {
            id: format!("{stem}{}", suffix(&self.id, "in01")),
            odd: BTreeMap::new(),
            raw: None,
            ..self.clone()
        }
    }
}

/// A DDM instance.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct DdmInstance {
    /// 32 hexadecimal digits and `in09`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Such as `RUNNING`.
    pub status: String,
    /// When it was made; shown empty if there is none.
    pub created: Option<Timestamp>,
    /// Such as `3.1.0`.
    pub version: String,
    /// Fields that the list shows otherwise than the above would have it, or, if there is no value,
    /// leaves out.
    pub odd: BTreeMap<String, Option<Value>>,
    /// If given, the list shows this and nothing made from the fields above.
    pub raw: Option<Value>,
}

impl DdmInstance {
    /// A running instance.
    pub fn new(id: &str, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            status: "RUNNING".to_owned(),
            created: Timestamp::from_second(MADE).ok(),
            version: "3.1.0".to_owned(),
            odd: BTreeMap::new(),
            raw: None,
        }
    }

    /// An instance that is shown exactly so.
    pub fn verbatim(raw: Value) -> Self {
        let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut instance = Self {
            status: text("status").to_owned(),
            created: time::asked(text("created")),
            version: text("engine_version").to_owned(),
            ..Self::new(text("id").trim(), text("name"))
        };
        instance.raw = Some(raw);
        instance
    }

    /// With another status.
    pub fn with_status(mut self, status: &str) -> Self {
        status.clone_into(&mut self.status);
        self
    }

    /// Made at another time, or, if there is none, still being made.
    pub fn with_created(mut self, created: Option<Timestamp>) -> Self {
        self.created = created;
        self
    }

    /// With this value, of any JSON type, in a field of the list.
    pub fn with_field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.odd.insert(name.to_owned(), Some(value.into()));
        self
    }

    /// Without a field of the list.
    pub fn without_field(mut self, name: &str) -> Self {
        self.odd.insert(name.to_owned(), None);
        self
    }

    pub(super) fn shown(&self) -> Value {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let created = self.created.map(time::listed).unwrap_or_default();
        let mut shown = json!({
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "created": created,
            "updated": created,
            "available_zone": "eu-de-01",
            "node_count": 2,
            "node_status": self.status,
            "engine_version": self.version,
            "enterprise_project_id": "0",
        });
        put_odd(&mut shown, &self.odd);
        shown
    }
}

impl Instance for DdmInstance {
    fn is_being_made(&self) -> bool {
        self.status == "CREATE"
    }

    fn finish(&mut self, now: Timestamp) {
        "RUNNING".clone_into(&mut self.status);
        self.created = Some(now);
    }

    fn another(&self, stem: &str) -> Self {
        Self {
            id: format!("{stem}{}", suffix(&self.id, "in09")),
            odd: BTreeMap::new(),
            raw: None,
            ..self.clone()
        }
    }
}

fn suffix<'a>(id: &'a str, default: &'a str) -> &'a str {
    id.get(32..).filter(|suffix| !suffix.is_empty()).unwrap_or(default)
}

/// Sets fields, or takes them away.
fn put_odd(shown: &mut Value, odd: &BTreeMap<String, Option<Value>>) {
    let Some(shown) = shown.as_object_mut() else {
        return;
    };
    for (name, value) in odd {
        match value {
            Some(value) => shown.insert(name.clone(), value.clone()),
            None => shown.remove(name),
        };
    }
}

const EVERY_DAY: &str = "1,2,3,4,5,6,7";

/// 2024-06-01: when instances were made, unless they say otherwise.
const MADE: i64 = 1_717_200_000;

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
    const REPLICA: &str = "b48e43ff268f4c0e879652d65e63d0fbin01";

    #[test]
    fn a_primary_and_its_replica_name_each_other_and_a_lost_replica_names_what_is_gone() {
        let project = [
            RdsInstance::new(PRIMARY, "orders"),
            RdsInstance::replica(REPLICA, "orders-read", PRIMARY),
            RdsInstance::replica("c", "lost", "gone"),
        ];
        let related = |at: usize| project[at].shown(&project)["related_instance"].clone();
        assert_eq!(related(0), json!([{ "id": REPLICA, "type": "replica" }]));
        assert_eq!(related(1), json!([{ "id": PRIMARY, "type": "replica_of" }]));
        assert_eq!(related(2), json!([{ "id": "gone", "type": "replica_of" }]));
        let replicas: Vec<bool> = project.iter().map(RdsInstance::is_replica).collect();
        assert_eq!(replicas, [false, true, true]);
        assert!(RdsInstance::new(PRIMARY, "orders").with_kind("Replica").is_replica());
    }

    #[test]
    fn any_field_of_a_list_can_be_odd_null_or_missing() {
        let rds = RdsInstance::new(PRIMARY, "\"orders\"\n<b>ü</b>")
            .with_kind("Enterprise")
            .with_status("STORAGE FULL")
            .with_created(None)
            .with_field("id", format!("{} ", PRIMARY.to_uppercase()))
            .with_field("datastore", Value::Null)
            .without_field("related_instance");
        let shown = rds.shown(&[]);
        assert_eq!(rds.id, PRIMARY);
        assert_eq!(shown["id"], "A48E43FF268F4C0E879652D65E63D0FBIN01 ");
        assert_eq!(shown["name"], "\"orders\"\n<b>ü</b>");
        assert_eq!(shown["type"], "Enterprise");
        assert_eq!(shown["status"], "STORAGE FULL");
        assert_eq!(shown["created"], "");
        assert_eq!(shown.get("datastore"), Some(&Value::Null));
        assert_eq!(shown.get("related_instance"), None);

        let ddm = DdmInstance::new("x", "router").with_status("?").without_field("name");
        let shown = ddm.with_field("node_count", "2").with_created(None).shown();
        assert_eq!(shown.get("name"), None);
        assert_eq!(shown["status"], "?");
        assert_eq!(shown["node_count"], "2");
        assert_eq!(shown["created"], "");
    }

    #[test]
    fn a_verbatim_instance_is_shown_as_it_is_and_known_by_what_it_says() {
        let raw = json!({
            "id": format!("{PRIMARY} "),
            "type": "Replica",
            "status": "ACTIVE",
            "created": "2018-08-20T02:33:49+0800",
            "datastore": { "type": "mysql", "version": "5.7" },
        });
        let rds = RdsInstance::verbatim(raw.clone());
        assert_eq!(rds.shown(&[]), raw);
        assert_eq!((rds.id.as_str(), rds.name.as_str()), (PRIMARY, ""));
        assert_eq!((rds.engine.as_str(), rds.version.as_str()), ("mysql", "5.7"));
        assert_eq!(rds.created, time::asked("2018-08-20T02:33:49+0800"));

        let ddm = DdmInstance::verbatim(json!({ "id": "x ", "engine_version": "3.0.8" }));
        assert_eq!(ddm.shown(), json!({ "id": "x ", "engine_version": "3.0.8" }));
        assert_eq!((ddm.id.as_str(), ddm.version.as_str()), ("x", "3.0.8"));
    }

    #[test]
    fn a_policy_that_is_off_tells_nothing_but_that() {
        let told = |policy| RdsInstance::new(PRIMARY, "orders").with_policy(policy).shown_policy();
        assert_eq!(told(Policy::off()), json!({ "backup_policy": { "keep_days": 0 } }));
        let odd = Policy::new(732, "23:30-00:30", "1,3,5");
        assert_eq!(
            told(odd),
            json!({ "backup_policy": {
                "keep_days": 732, "start_time": "23:30-00:30", "period": "1,3,5",
            } })
        );
        let body = json!({ "backup_policy": { "period": null } });
        let raw = RdsInstance::new(PRIMARY, "orders").with_raw_policy(body.clone());
        assert_eq!(raw.shown_policy(), body);
    }

    #[test]
    fn a_daily_policy_has_the_hour_of_its_time_from_a_whole_quarter_on() {
        let start_time = |text: &str| Policy::daily_at(text.parse().unwrap()).start_time;
        assert_eq!(start_time("2025-03-10T09:23:45Z"), "09:15-10:15");
        assert_eq!(start_time("2025-03-10T23:59:59Z"), "23:45-00:45");
        assert_eq!(start_time("1969-12-31T00:00:00Z"), "00:00-01:00");
    }
}
