//! Reads the fields of a record as tolerantly as the cloud writes them; the same for all products.

use jiff::{Timestamp, civil, tz};
use serde::Deserialize;

use crate::backup::{BackupId, InstanceId, Status, UnknownWord};

/// Why an answer cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A record that must not be here.
    #[error("record {record} is of instance `{found}`, and `{asked}` was asked for")]
    Foreign {
        /// Which one.
        record: String,
        /// Its instance.
        found: InstanceId,
        /// The instance that was asked for.
        asked: InstanceId,
    },
    /// Not JSON, or not the JSON that is documented.
    #[error("cannot read `{path}` of the answer")]
    Json {
        /// The field at which reading stopped.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A field without which a record means nothing.
    #[error("record {record} has no `{field}`")]
    Missing {
        /// Which one.
        record: String,
        /// The field.
        field: &'static str,
    },
    /// A completed record whose time cannot be read.
    #[error("record {record} has the `{field}` `{value}`, which is no time")]
    Time {
        /// Which one.
        record: String,
        /// The field.
        field: &'static str,
        /// What stands there.
        value: String,
    },
}

/// Parses a body; on failure a second, slower pass finds the field.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(body).map_err(|source| {
        let mut json = serde_json::Deserializer::from_slice(body);
        let found = serde_path_to_error::deserialize::<_, T>(&mut json).err();
        // The second pass is content where only the bytes behind the value were wrong.
        let path = found.map_or_else(|| ".".to_owned(), |error| error.path().to_string());
        DecodeError::Json { path, source }
    })
}

/// A record that is being read: knows its id, so that errors can name it.
pub(super) struct RecordFields<'a> {
    at: usize,
    id: &'a str,
}

impl<'a> RecordFields<'a> {
    /// Starts with the id of the record at index `at`.
    pub(super) fn new(at: usize, id: Option<&'a str>) -> Result<Self, DecodeError> {
        match trimmed(id) {
            Some(id) => Ok(Self { at, id }),
            None => Err(DecodeError::Missing { record: at.to_string(), field: "id" }),
        }
    }

    pub(super) fn id(&self) -> BackupId {
        BackupId::new(self.id)
    }

    /// A text without which the record means nothing.
    pub(super) fn mandatory<'t>(
        &self,
        field: &'static str,
        text: Option<&'t str>,
    ) -> Result<&'t str, DecodeError> {
        trimmed(text).ok_or_else(|| DecodeError::Missing { record: self.name(), field })
    }

    /// The instance of the record, which must be the one that was `asked` for, if one was. Such a
    /// record may leave it out.
    pub(super) fn instance_id(
        &self,
        given: Option<&str>,
        asked: Option<&InstanceId>,
    ) -> Result<InstanceId, DecodeError> {
        let Some(asked) = asked else {
            return self.mandatory("instance_id", given).map(InstanceId::new);
        };
        match trimmed(given) {
            Some(found) if found != asked.as_str() => Err(DecodeError::Foreign {
                record: self.name(),
                found: InstanceId::new(found),
                asked: asked.clone(),
            }),
            _ => Ok(asked.clone()),
        }
    }

    /// Begin and end, each a field name and its text. A completed record must have a readable
    /// begin, and its end must be readable if there is one; of the others, what cannot be read is
    /// not there.
    pub(super) fn times(
        &self,
        status: Status,
        begin: (&'static str, Option<&str>),
        end: (&'static str, Option<&str>),
    ) -> Result<(Option<Timestamp>, Option<Timestamp>), DecodeError> {
        if status != Status::Completed {
            return Ok((begin.1.and_then(time), end.1.and_then(time)));
        }
        let read = |(field, text): (&'static str, &str)| {
            time(text).ok_or_else(|| DecodeError::Time {
                record: self.name(),
                field,
                value: text.chars().take(40).collect(),
            })
        };
        let begin = read((begin.0, self.mandatory(begin.0, begin.1)?))?;
        let end = trimmed(end.1).map(|text| read((end.0, text))).transpose()?;
        Ok((Some(begin), end))
    }

    fn name(&self) -> String {
        format!("{} (`{}`)", self.at, self.id)
    }
}

/// The text without blanks around it; `None` if nothing is left.
pub(super) fn trimmed(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// Looks a status word up, without regard to case.
pub(super) fn status(word: &str, known: &[(&str, Status)]) -> Status {
    let found = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    found.map_or(Status::Unknown, |(_, status)| *status)
}

/// The word itself, where it is not known.
pub(super) fn unknown(is_unknown: bool, word: &str) -> Option<UnknownWord> {
    // Foreign text that goes into a log line: bounded.
    is_unknown.then(|| UnknownWord(word.chars().take(64).collect()))
}

/// Whole bytes of a size in kB, which is 1024 bytes; a negative size is not known.
///
/// Neither cloud says 1000 or 1024. The size in the example of DDM, 5.419922, is 5550 bytes / 1024
/// to its last digit, and no whole number of bytes / 1000.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(super) fn kib_to_bytes(kib: f64) -> Option<u64> {
    (kib >= 0.0).then(|| (kib * 1024.0).round() as u64)
}

/// A time in any form seen or likely: offset with or without colon, `Z`, no zone (UTC), and the
/// stray blanks of the PostgreSQL example (`2018 - 08 - 06 T12: 41: 14 + 0800`).
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let read = |text: &str| {
        text.parse().ok().or_else(|| {
            // A date alone would be read as midnight, which nobody said.
            let local: civil::DateTime = text.contains(':').then(|| text.parse().ok())??;
            tz::Offset::UTC.to_timestamp(local).ok()
        })
    };
    read(text).or_else(|| read(&text.replace(char::is_whitespace, "")))
}

/// A time in the form that both clouds document for questions: the offset is `+0000`, since a `Z`
/// is documented nowhere.
pub(super) fn print_time(time: Timestamp) -> String {
    time.to_zoned(tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_every_form() {
        let expected: Timestamp = "2018-08-06T04:41:14Z".parse().unwrap();
        for text in [
            "2018-08-06T12:41:14+0800",
            "2018-08-06T12:41:14+08:00",
            "2018-08-06T12:41:14+08",
            "2018-08-06T04:41:14Z",
            "2018-08-06t04:41:14z",
            "2018-08-06T04:41:14",
            "2018-08-06 04:41:14",
            "2018-08-06T04:41:14.000+0000",
            "2018-08-06T00:41:14-0400",
            "2018 - 08 - 06 T12: 41: 14 + 0800",
            "  2018-08-06T12:41:14+0800\t",
        ] {
            assert_eq!(time(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_time_in_a_question_has_a_numeric_offset() {
        let time = "2024-02-29T23:59:59.5Z".parse().unwrap();
        assert_eq!(print_time(time), "2024-02-29T23:59:59+0000");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "  ", "-", "0", "yesterday", "2018-08-06", "2018-13-06T12:41:14+0800"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn a_size_is_1024_bytes_rounded_and_a_negative_one_is_unknown() {
        assert_eq!(kib_to_bytes(2803.0), Some(2_870_272));
        assert_eq!(kib_to_bytes(5.419_922), Some(5550));
        assert_eq!(kib_to_bytes(0.9996), Some(1024));
        assert_eq!(kib_to_bytes(0.0), Some(0));
        assert_eq!(kib_to_bytes(-1.0), None);
        assert_eq!(kib_to_bytes(f64::NAN), None);
        assert_eq!(kib_to_bytes(1e300), Some(u64::MAX));
    }

    #[test]
    fn bytes_behind_the_json_are_an_error_too() {
        assert!(parse::<serde_json::Value>(b"{} x").is_err());
    }
}
