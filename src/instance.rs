//! A database instance as any product's instance list shows it. Plain data, no I/O.

use jiff::Timestamp;

use crate::backup::{Engine, InstanceId};

/// One entry of an instance list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedInstance {
    /// Its id.
    pub id: InstanceId,
    /// Its name at the cloud.
    pub name: Option<Box<str>>,
    /// Its state, in the cloud's words.
    pub status: Option<Box<str>>,
    /// Its engine; for a product that has one engine, the product.
    pub engine: Option<Engine>,
    /// When it was made; not there while it is being made.
    pub created: Option<Timestamp>,
    /// Whether it is a read replica. The cloud makes no backups of those.
    pub is_replica: bool,
}

impl ListedInstance {
    /// Whether it is shut down or frozen: no backups are made then, and that is right.
    pub fn is_at_rest(&self) -> bool {
        let is =
            |word: &str| self.status.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(word));
        AT_REST.into_iter().any(is)
    }
}

/// Source: the table of DB instance statuses, "Querying DB Instances" of both clouds.
const AT_REST: [&str; 2] = ["SHUTDOWN", "FROZEN"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_is_shut_down_or_frozen_is_at_rest_and_no_other() {
        let with = |status: Option<&str>| ListedInstance {
            id: InstanceId::new("db"),
            name: None,
            status: status.map(Into::into),
            engine: None,
            created: None,
            is_replica: false,
        };
        for status in ["SHUTDOWN", "FROZEN", "shutdown"] {
            assert!(with(Some(status)).is_at_rest(), "{status}");
        }
        for status in ["ACTIVE", "STORAGE FULL", "FAILED", "SHUTTING DOWN", "RUNNING"] {
            assert!(!with(Some(status)).is_at_rest(), "{status}");
        }
        assert!(!with(None).is_at_rest());
    }
}
