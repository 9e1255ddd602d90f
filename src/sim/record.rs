//! Backup records as the lists show them: raw words and odd values, because the point of a test is
//! often what a client makes of them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    answer::put,
    id,
    switches::{MissingEnd, Switches},
    time,
};

/// What paging and filtering need to know of a record, whatever the service.
pub(super) trait Record {
    fn id(&self) -> &str;
    fn begin(&self) -> Option<Timestamp>;
    fn end(&self) -> Option<Timestamp>;
    fn is_running(&self) -> bool;
    /// The record as the list shows it.
    fn shown(&self, switches: &Switches) -> Value;
}

/// A record of the RDS list.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RdsBackup {
    /// 32 hexadecimal digits and `br01`, `br03` or `br04`.
    pub id: String,
    /// The instance it belongs to.
    pub instance_id: String,
    /// Free text.
    pub name: String,
    /// The word shown as `type`.
    pub kind: String,
    /// The word shown as `status`.
    pub status: String,
    /// `begin_time`; left out if there is none.
    pub begin: Option<Timestamp>,
    /// `end_time`; if there is none, a switch says how that is shown.
    pub end: Option<Timestamp>,
    /// `size`, of any JSON type; left out if there is none.
    pub size: Option<Value>,
    /// `datastore.type`.
    pub engine: String,
    /// `datastore.version`.
    pub version: String,
    /// If given, the list shows this and nothing made from the fields above.
    pub raw: Option<Value>,
}

impl RdsBackup {
    /// A completed backup. Its id follows from instance, type and begin.
    pub fn completed(
        instance_id: &str,
        kind: &str,
        begin: Timestamp,
        end: Timestamp,
        size_kb: u64,
    ) -> Self {
        Self {
            end: Some(end),
            size: Some(size_kb.into()),
            ..Self::with_words(instance_id, kind, "COMPLETED", begin)
        }
    }

    /// A failed backup: an end, and size zero.
    pub fn failed(instance_id: &str, kind: &str, begin: Timestamp, end: Timestamp) -> Self {
        Self {
            end: Some(end),
            size: Some(0.into()),
            ..Self::with_words(instance_id, kind, "FAILED", begin)
        }
    }

    /// A running backup: no end, and size zero.
    pub fn building(instance_id: &str, kind: &str, begin: Timestamp) -> Self {
        Self { size: Some(0.into()), ..Self::with_words(instance_id, kind, "BUILDING", begin) }
    }

    /// A record with words of any kind, without end and size.
    pub fn with_words(instance_id: &str, kind: &str, status: &str, begin: Timestamp) -> Self {
        let (engine, version) = engine_of(instance_id);
        let stem = id::stem(&[instance_id, kind, &begin.to_string()]);
        let suffix = instance_id.get(32..).unwrap_or("in01").replace("in", "br");
        Self {
            id: format!("{stem}{suffix}"),
            instance_id: instance_id.to_owned(),
            name: format!("{}-{}", engine.to_lowercase(), begin.strftime("%Y%m%d%H%M%S")),
            kind: kind.to_owned(),
            status: status.to_owned(),
            begin: Some(begin),
            end: None,
            size: None,
            engine: engine.to_owned(),
            version: version.to_owned(),
            raw: None,
        }
    }

    /// A record that is shown exactly so. The fields that filters look at are read from it as far as
    /// they can be.
    pub fn verbatim(raw: Value) -> Self {
        let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default();
        // Two of the documents' samples have blanks in odd places.
        let instant = |key: &str| time::asked(&text(key).replace(' ', ""));
        Self {
            id: text("id").to_owned(),
            instance_id: text("instance_id").trim().to_owned(),
            name: text("name").to_owned(),
            kind: text("type").to_owned(),
            status: text("status").to_owned(),
            begin: instant("begin_time"),
            end: instant("end_time"),
            size: raw.get("size").cloned(),
            engine: String::new(),
            version: String::new(),
            raw: Some(raw),
        }
    }

    /// With another id.
    pub fn with_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }

    /// With another size, of any JSON type.
    pub fn with_size(mut self, size: impl Into<Value>) -> Self {
        self.size = Some(size.into());
        self
    }
}

impl Record for RdsBackup {
    fn id(&self) -> &str {
        &self.id
    }

    fn begin(&self) -> Option<Timestamp> {
        self.begin
    }

    fn end(&self) -> Option<Timestamp> {
        self.end
    }

    fn is_running(&self) -> bool {
        self.status == "BUILDING"
    }

    fn shown(&self, switches: &Switches) -> Value {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let mut shown = json!({
            "id": self.id,
            "name": self.name,
            "type": self.kind,
            "status": self.status,
            "datastore": { "type": self.engine, "version": self.version },
            "instance_id": self.instance_id,
        });
        put(&mut shown, "size", self.size.clone());
        put(&mut shown, "begin_time", self.begin.map(listed));
        let missing = match switches.missing_end {
            MissingEnd::Absent => None,
            MissingEnd::Empty => Some("".into()),
            MissingEnd::Null => Some(Value::Null),
        };
        put(&mut shown, "end_time", self.end.map(listed).or(missing));
        shown
    }
}

/// A record of the DDM list.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct DdmBackup {
    /// 32 hexadecimal digits and `br09`.
    pub id: String,
    /// The instance it belongs to.
    pub instance_id: String,
    /// Shown as `instance_name`.
    pub instance_name: String,
    /// Shown as `instance_status`.
    pub instance_status: String,
    /// Free text.
    pub name: String,
    /// The word shown as `backup_type`.
    pub kind: String,
    /// The word shown as `status`.
    pub status: String,
    /// `created`; left out if there is none.
    pub created: Option<Timestamp>,
    /// `updated`; left out if there is none.
    pub updated: Option<Timestamp>,
    /// `file_size`, of any JSON type; left out if there is none.
    pub size: Option<Value>,
    /// If given, the list shows this and nothing made from the fields above.
    pub raw: Option<Value>,
}

impl DdmBackup {
    /// A finished backup. Its id follows from instance, type and creation.
    pub fn normal(
        instance_id: &str,
        instance_name: &str,
        kind: &str,
        created: Timestamp,
        updated: Timestamp,
    ) -> Self {
        Self {
            updated: Some(updated),
            // The documents' sample: 5550 bytes.
            size: Some(json!(5.419_922)),
            ..Self::with_words(instance_id, instance_name, kind, "normal", created)
        }
    }

    /// A record with words of any kind, without update time and size.
    pub fn with_words(
        instance_id: &str,
        instance_name: &str,
        kind: &str,
        status: &str,
        created: Timestamp,
    ) -> Self {
        let stem = id::stem(&[instance_id, kind, &created.to_string()]);
        Self {
            id: format!("{stem}br09"),
            instance_id: instance_id.to_owned(),
            instance_name: instance_name.to_owned(),
            instance_status: "RUNNING".to_owned(),
            name: format!("Backup-{instance_name}-{}", created.strftime("%Y%m%d%H%M%S")),
            kind: kind.to_owned(),
            status: status.to_owned(),
            created: Some(created),
            updated: None,
            size: None,
            raw: None,
        }
    }

    /// A record that is shown exactly so. The fields that filters look at are read from it as far as
    /// they can be.
    pub fn verbatim(raw: Value) -> Self {
        let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default();
        // Two of the documents' samples have blanks in odd places.
        let instant = |key: &str| time::asked(&text(key).replace(' ', ""));
        Self {
            id: text("id").to_owned(),
            instance_id: text("instance_id").trim().to_owned(),
            instance_name: text("instance_name").to_owned(),
            instance_status: text("instance_status").to_owned(),
            name: text("name").to_owned(),
            kind: text("backup_type").to_owned(),
            status: text("status").to_owned(),
            created: instant("created"),
            updated: instant("updated"),
            size: raw.get("file_size").cloned(),
            raw: Some(raw),
        }
    }

    /// With another id.
    pub fn with_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }
}

impl Record for DdmBackup {
    fn id(&self) -> &str {
        &self.id
    }

    fn begin(&self) -> Option<Timestamp> {
        self.created
    }

    fn end(&self) -> Option<Timestamp> {
        self.updated
    }

    fn is_running(&self) -> bool {
        self.status == "creating"
    }

    fn shown(&self, _: &Switches) -> Value {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let mut shown = json!({
            "id": self.id,
            "name": self.name,
            "description": "auto metadata backup",
            "status": self.status,
            "instance_id": self.instance_id,
            "instance_name": self.instance_name,
            "instance_status": self.instance_status,
            "backup_type": self.kind,
        });
        put(&mut shown, "file_size", self.size.clone());
        put(&mut shown, "created", self.created.map(listed));
        put(&mut shown, "updated", self.updated.map(listed));
        shown
    }
}

/// Engine and version by the suffix of an instance id.
pub(super) fn engine_of(instance_id: &str) -> (&'static str, &'static str) {
    match instance_id.get(32..).unwrap_or_default() {
        "in03" => ("PostgreSQL", "16"),
        "in04" => ("SQLServer", "2019_SE"),
        _ => ("MySQL", "8.0"),
    }
}

fn listed(time: Timestamp) -> Value {
    time::listed(time).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: &str = "a48e43ff268f4c0e879652d65e63d0fbin03";

    #[test]
    fn a_record_looks_like_the_documents_sample() {
        let begin = time::asked("2018-08-06T12:41:14+0800").unwrap();
        let end = time::asked("2018-08-06T12:43:14+0800").unwrap();
        let backup = RdsBackup::completed(INSTANCE, "auto", begin, end, 2803);
        let shown = backup.shown(&Switches::default());
        assert_eq!(shown["size"], 2803);
        assert_eq!(shown["status"], "COMPLETED");
        assert_eq!(shown["begin_time"], "2018-08-06T04:41:14+0000");
        assert_eq!(shown["datastore"]["type"], "PostgreSQL");
        assert_eq!(shown["id"].as_str().unwrap().len(), 36);
        assert!(backup.id.ends_with("br03"));
        assert_eq!(RdsBackup::verbatim(shown.clone()).shown(&Switches::default()), shown);
    }

    #[test]
    fn a_verbatim_record_is_shown_as_it_is_and_filtered_by_what_it_says() {
        let raw = json!({
            "id": "43e4feaab48f11e89039fa163ebaa7e4br03",
            "type": "incremental",
            "begin_time": "2018 - 08 - 06 T12: 41: 14 + 0800",
            "instance_id": "a48e43ff268f4c0e879652d65e63d0fbin03 ",
        });
        let backup = RdsBackup::verbatim(raw.clone());
        assert_eq!(backup.shown(&Switches::default()), raw);
        assert_eq!(backup.instance_id, INSTANCE);
        assert_eq!(backup.begin, time::asked("2018-08-06T12:41:14+0800"));
    }

    #[test]
    fn a_running_record_shows_its_missing_end_as_the_switch_says() {
        let backup = RdsBackup::building(INSTANCE, "auto", Timestamp::UNIX_EPOCH);
        let shown = |missing_end| {
            let switches = Switches { missing_end, ..Switches::default() };
            backup.shown(&switches).get("end_time").cloned()
        };
        assert_eq!(shown(MissingEnd::Absent), None);
        assert_eq!(shown(MissingEnd::Empty), Some("".into()));
        assert_eq!(shown(MissingEnd::Null), Some(Value::Null));
    }
}
