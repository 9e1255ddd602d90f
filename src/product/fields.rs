//! Reads the fields of a record as tolerantly as the cloud writes them; the same for all products.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use jiff::{Timestamp, civil, tz};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::Product;
use crate::backup::{
    Backup, BackupId, BackupType, Engine, InstanceId, Origin, Status, UnknownWord, UnknownWords,
};

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
    /// A field whose value means nothing.
    #[error("the `{field}` is `{value}`, which is not {expected}")]
    Value {
        /// The field.
        field: &'static str,
        /// What stands there.
        value: String,
        /// What could stand there.
        expected: &'static str,
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
    // Whether it is UTF-8 is checked in one go rather than text by text. What is not may still be
    // good but for a text that nobody reads.
    let parsed = match str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    };
    parsed.map_err(|source| DecodeError::Json { path: fault_path::<T>(body), source })
}

/// Parses a part of a body that was left as it is, and that stands at `path`.
pub(super) fn parse_part<'a, T: Deserialize<'a>>(
    text: &'a str,
    path: impl Fn() -> String,
) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|source| {
        let path = match &*fault_path::<T>(text.as_bytes()) {
            "." => path(),
            inner => format!("{}.{inner}", path()),
        };
        DecodeError::Json { path, source }
    })
}

/// The field at which reading stops; `.` if that is none.
fn fault_path<'a, T: Deserialize<'a>>(body: &'a [u8]) -> String {
    let mut json = serde_json::Deserializer::from_slice(body);
    let found = serde_path_to_error::deserialize::<_, T>(&mut json).err();
    // The second pass is content where only the bytes behind the value were wrong.
    found.map_or_else(|| ".".to_owned(), |error| error.path().to_string())
}

/// A text of an answer, borrowed from it unless it has escapes. A `Cow` in an `Option` would always
/// be copied.
#[derive(serde::Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The records of an answer, with room for all of a page at once.
pub(super) fn records<'de, D, T>(answer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    answer.deserialize_seq(Records(PhantomData))
}

struct Records<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Records<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut answer: A) -> Result<Vec<T>, A::Error> {
        let mut records = Vec::with_capacity(LARGEST_PAGE);
        while let Some(record) = answer.next_element()? {
            records.push(record);
        }
        Ok(records)
    }
}

const LARGEST_PAGE: usize = 128;

/// The fields of a record as they stand in an answer; where their names differ, with them.
#[derive(Default)]
pub(super) struct Wire<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) instance_id: Option<&'a str>,
    pub(super) instance_name: Option<&'a str>,
    pub(super) instance_status: Option<&'a str>,
    /// Name and version.
    pub(super) engine: Option<(&'a str, &'a str)>,
    pub(super) backup_type: Field<'a>,
    pub(super) status: Option<&'a str>,
    pub(super) begin: Field<'a>,
    pub(super) end: Field<'a>,
    pub(super) kib: Option<f64>,
}

/// The name of a field, and its text.
type Field<'a> = (&'static str, Option<&'a str>);

/// A record that is being read: knows its id, so that errors can name it.
pub(super) struct Record<'a> {
    at: usize,
    id: &'a str,
    wire: &'a Wire<'a>,
}

impl<'a> Record<'a> {
    /// The record at index `at`, which must have an id.
    pub(super) fn named(at: usize, wire: &'a Wire<'a>) -> Result<Self, DecodeError> {
        match trimmed(wire.id) {
            Some(id) => Ok(Self { at, id, wire }),
            None => Err(DecodeError::Missing { record: at.to_string(), field: "id" }),
        }
    }

    pub(super) fn id(&self) -> BackupId {
        BackupId::new(self.id)
    }

    /// Whether its status is that word.
    pub(super) fn has_status(&self, word: &str) -> bool {
        trimmed(self.wire.status).is_some_and(|status| status.eq_ignore_ascii_case(word))
    }

    /// The record in the words of this program. `asked` is the instance that was asked for, `last`
    /// what the record before said of its instance: nearly always the same.
    pub(super) fn backup(
        &self,
        product: &Product,
        statuses: &[(&str, Status)],
        asked: Option<&InstanceId>,
        last: &mut Option<Arc<Origin>>,
    ) -> Result<Backup, DecodeError> {
        let wire = self.wire;
        let status_word = self.mandatory(("status", wire.status))?;
        let status = statuses.iter().find(|(name, _)| name.eq_ignore_ascii_case(status_word));
        let type_word = self.mandatory(wire.backup_type)?;
        let backup_type = product.backup_type(type_word);
        let (begin, end) = self.times(status.is_some_and(|(_, it)| *it == Status::Completed))?;
        Ok(Backup {
            id: self.id(),
            origin: self.origin(asked, last)?,
            backup_type: backup_type.unwrap_or(BackupType::UNKNOWN),
            status: status.map_or(Status::Unknown, |(_, status)| *status),
            begin,
            end,
            bytes: wire.kib.and_then(kib_to_bytes),
            unknown: (backup_type.is_none() || status.is_none()).then(|| {
                Box::new(UnknownWords {
                    backup_type: unknown(backup_type.is_none(), type_word),
                    status: unknown(status.is_none(), status_word),
                })
            }),
        })
    }

    /// A text without which the record means nothing.
    fn mandatory(&self, (field, text): Field<'a>) -> Result<&'a str, DecodeError> {
        trimmed(text).ok_or_else(|| DecodeError::Missing { record: self.name(), field })
    }

    fn origin(
        &self,
        asked: Option<&InstanceId>,
        last: &mut Option<Arc<Origin>>,
    ) -> Result<Arc<Origin>, DecodeError> {
        let id = self.instance_id(asked)?;
        let name = trimmed(self.wire.instance_name);
        let status = trimmed(self.wire.instance_status);
        let engine = self.wire.engine;
        let is_same = |it: &&Arc<Origin>| {
            it.instance_id.as_str() == id
                && it.instance_name.as_deref() == name
                && it.instance_status.as_deref() == status
                && it.engine.as_ref().map(|it| (&*it.name, &*it.version)) == engine
        };
        if let Some(same) = last.as_ref().filter(is_same) {
            return Ok(Arc::clone(same));
        }
        let origin = Origin {
            instance_id: asked.map_or_else(|| InstanceId::new(id), InstanceId::clone),
            instance_name: name.map(Into::into),
            instance_status: status.map(Into::into),
            engine: engine
                .map(|(name, version)| Engine { name: name.into(), version: version.into() }),
        };
        Ok(Arc::clone(last.insert(Arc::new(origin))))
    }

    /// The instance of the record, which must be the one that was `asked` for, if one was. Such a
    /// record may leave it out.
    fn instance_id<'b>(&'b self, asked: Option<&'b InstanceId>) -> Result<&'b str, DecodeError> {
        let given = self.wire.instance_id;
        let Some(asked) = asked else {
            return self.mandatory(("instance_id", given));
        };
        match trimmed(given) {
            Some(found) if found != asked.as_str() => Err(DecodeError::Foreign {
                record: self.name(),
                found: InstanceId::new(found),
                asked: asked.clone(),
            }),
            _ => Ok(asked.as_str()),
        }
    }

    /// Begin and end. A completed record must have a readable begin, and its end must be readable if
    /// there is one; of the others, what cannot be read is not there.
    fn times(
        &self,
        is_completed: bool,
    ) -> Result<(Option<Timestamp>, Option<Timestamp>), DecodeError> {
        let Wire { begin, end, .. } = *self.wire;
        if !is_completed {
            return Ok((begin.1.and_then(time), end.1.and_then(time)));
        }
        let read = |(field, text): (&'static str, &str)| {
            time(text).ok_or_else(|| DecodeError::Time {
                record: self.name(),
                field,
                value: excerpt(text),
            })
        };
        let begin = read((begin.0, self.mandatory(begin)?))?;
        let end = trimmed(end.1).map(|text| read((end.0, text))).transpose()?;
        Ok((Some(begin), end))
    }

    fn name(&self) -> String {
        format!("{} (`{}`)", self.at, self.id)
    }
}

/// The id of the instance at index `at` of an instance list.
pub(super) fn instance_id(at: usize, text: Option<&str>) -> Result<InstanceId, DecodeError> {
    let missing = || DecodeError::Missing { record: at.to_string(), field: "id" };
    trimmed(text).map(InstanceId::new).ok_or_else(missing)
}

/// The text without blanks around it; `None` if nothing is left.
pub(super) fn trimmed<'a>(text: Option<&'a str>) -> Option<&'a str> {
    // Nearly every text is without: two bytes tell.
    let is_seen = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let trim = |text: &'a str| match text.as_bytes() {
        bytes if is_seen(bytes.first()) && is_seen(bytes.last()) => text,
        _ => text.trim(),
    };
    text.map(trim).filter(|text| !text.is_empty())
}

/// Foreign text, cut so that it fits into a message.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The word itself, where it is not known.
fn unknown(is_unknown: bool, word: &str) -> Option<UnknownWord> {
    // Foreign text that goes into a log line: bounded.
    is_unknown.then(|| UnknownWord(word.chars().take(64).collect()))
}

/// Whole bytes of a size in kB, which is 1024 bytes; a negative size is not known.
///
/// Neither cloud says 1000 or 1024. The size in the example of DDM, 5.419922, is 5550 bytes / 1024
/// to its last digit, and no whole number of bytes / 1000.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn kib_to_bytes(kib: f64) -> Option<u64> {
    (kib >= 0.0).then(|| (kib * 1024.0).round() as u64)
}

/// A time. In the documented form it is read without a search for what form it has: nearly every one
/// has it, and a record has two.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    documented_time(text.as_bytes()).or_else(|| odd_time(text))
}

/// A time such as `2018-08-06T12:41:14+0800`. `None` if it is none, or one with a subtlety such as a
/// leap second.
fn documented_time(text: &[u8]) -> Option<Timestamp> {
    #[rustfmt::skip]
    let &[
        y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', min1, min2, b':', s1, s2,
        sign @ (b'+' | b'-'), oh1, oh2, om1, om2,
    ] = text else { return None };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| byte.cast_signed() - b'0'.cast_signed());
    let two = |tens: u8, ones: u8| Some(digit(tens)? * 10 + digit(ones)?);
    let year = i16::from(two(y1, y2)?) * 100 + i16::from(two(y3, y4)?);
    let date = civil::Date::new(year, two(m1, m2)?, two(d1, d2)?).ok()?;
    let time = civil::Time::new(two(h1, h2)?, two(min1, min2)?, two(s1, s2)?, 0).ok()?;
    let offset = civil::Time::new(two(oh1, oh2)?, two(om1, om2)?, 0, 0).ok()?;
    let seconds = (i32::from(offset.hour()) * 60 + i32::from(offset.minute())) * 60;
    let offset = tz::Offset::from_seconds(if sign == b'-' { -seconds } else { seconds }).ok()?;
    offset.to_timestamp(date.to_datetime(time)).ok()
}

/// A time in any form seen or likely: offset with or without colon, `Z`, no zone (UTC), and the
/// stray blanks of the PostgreSQL example (`2018 - 08 - 06 T12: 41: 14 + 0800`).
fn odd_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    // The name of a zone in brackets would be passed over.
    if text.contains('[') {
        return None;
    }
    let read = |text: &str| {
        text.parse().ok().or_else(|| {
            // A date alone would be read as midnight, which nobody said.
            let local: civil::DateTime = text.contains(':').then(|| text.parse().ok())??;
            tz::Offset::UTC.to_timestamp(local).ok()
        })
    };
    read(text).or_else(|| {
        let mut packed = text.replace(char::is_whitespace, "");
        // A blank between date and time is no stray one.
        if packed.get(DATE..).is_some_and(|time| time.starts_with(|c: char| c.is_ascii_digit())) {
            packed.insert(DATE, 'T');
        }
        read(&packed)
    })
}

/// The length of a date such as `2018-08-06`.
const DATE: usize = 10;

/// A time in the form that both clouds document for questions: the offset is `+0000`, since a `Z`
/// is documented nowhere.
pub(super) fn print_time(time: Timestamp) -> String {
    time.to_zoned(tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_looks_documented_is_the_same_time_in_both_ways_of_reading_it(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9][+-][0-2][0-9][0-9]{2}",
        ) {
            if let Some(time) = documented_time(text.as_bytes()) {
                prop_assert_eq!(Some(time), odd_time(&text));
            }
        }

        #[test]
        fn every_time_that_the_cloud_may_write_is_of_the_documented_form(
            second in 0_i64..=7_258_118_400, offset in -23 * 60 - 59..=23 * 60 + 59,
        ) {
            let time = Timestamp::from_second(second).unwrap();
            let offset = tz::Offset::from_seconds(offset * 60).unwrap();
            let zoned = time.to_zoned(tz::TimeZone::fixed(offset));
            let text = zoned.strftime("%Y-%m-%dT%H:%M:%S%z").to_string();
            prop_assert_eq!(documented_time(text.as_bytes()), Some(time));
            prop_assert_eq!(odd_time(&text), Some(time));
        }
    }

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
            "2018-08-06 12:41:14 +0800",
            "2018-08-06  12:41:14+0800",
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
        for text in [
            "",
            "  ",
            "-",
            "0",
            "yesterday",
            "2018-08-06",
            "2018-13-06T12:41:14+0800",
            "2018-08-06T12:41:14[Asia/Shanghai]",
            "ü2018-08-06 12:41:14",
        ] {
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
