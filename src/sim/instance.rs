//! Database instances as the instance lists show them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{record::engine_of, time};

/// An RDS instance.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RdsInstance {
    /// 32 hexadecimal digits and `in01` (MySQL), `in03` (PostgreSQL) or `in04` (SQL Server).
    pub id: String,
    /// Its name.
    pub name: String,
    /// `Single`, `Ha` or `Replica`.
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
    /// The restorable ranges, if they are not to follow from the backups.
    pub restore_ranges: Option<Vec<(Timestamp, Timestamp)>>,
    /// For a replica, the id of its primary.
    pub replica_of: Option<String>,
    /// If given, the list shows this and nothing made from the fields above.
    pub raw: Option<Value>,
}

/// The automated backup policy of an RDS instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Days that backups are kept; 0 if there are none.
    pub keep_days: u32,
    /// Such as `01:00-02:00`, UTC.
    pub start_time: String,
    /// The days of the week, from 1 (Monday), such as `1,2,3,4,5,6,7`.
    pub period: String,
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
            policy: Policy {
                keep_days: 7,
                start_time: "01:00-02:00".to_owned(),
                period: "1,2,3,4,5,6,7".to_owned(),
            },
            restore_ranges: None,
            replica_of: None,
            raw: None,
        }
    }

    /// With another status.
    pub fn with_status(mut self, status: &str) -> Self {
        status.clone_into(&mut self.status);
        self
    }

    /// A read replica of another instance.
    pub fn replica(id: &str, name: &str, primary: &str) -> Self {
        Self {
            kind: "Replica".to_owned(),
            replica_of: Some(primary.to_owned()),
            ..Self::new(id, name)
        }
    }

    pub(super) fn shown(&self) -> Value {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let created = self.created.map(time::listed).unwrap_or_default();
        let related: Vec<Value> =
            self.replica_of.iter().map(|id| json!({ "id": id, "type": "replica_of" })).collect();
        json!({
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
            "related_instance": related,
            "created": created,
            "updated": created,
            "enterprise_project_id": "0",
            "tags": [],
            "associated_with_ddm": false,
        })
    }

    pub(super) fn shown_policy(&self) -> Value {
        json!({ "backup_policy": {
            "keep_days": self.policy.keep_days,
            "start_time": self.policy.start_time,
            "period": self.policy.period,
        } })
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
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Such as `3.1.0`.
    pub version: String,
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
            raw: None,
        }
    }

    pub(super) fn shown(&self) -> Value {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let created = self.created.map(time::listed).unwrap_or_default();
        json!({
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "created": created,
            "updated": created,
            "available_zone": "eu-de-01",
            "node_count": 2,
            "engine_version": self.version,
            "enterprise_project_id": "0",
        })
    }
}

/// 2024-06-01: when instances were made, unless they say otherwise.
const MADE: i64 = 1_717_200_000;
