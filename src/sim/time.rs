//! The forms in which the cloud writes and reads times.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};

/// The form of the backup lists: `2018-08-06T12:41:14+0000`, an offset without a colon.
pub fn listed(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

/// The form of the token answer: microseconds and the letter Z.
pub(super) fn issued(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The form of the `Date` header.
pub(super) fn dated(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads a time of the query `yyyy-mm-ddThh:mm:ss+hhmm`, strictly: the documents allow a numeric
/// offset only, so a letter Z, a colon in it or a blank (an unescaped plus) is refused.
pub(super) fn asked(text: &str) -> Option<Timestamp> {
    let fits = text.len() == ASKED_SHAPE.len()
        && text.bytes().zip(ASKED_SHAPE.bytes()).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            other => byte == other,
        });
    if !fits {
        return None;
    }
    Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text).ok()
}

/// Reads a date of the query `yyyy-mm-dd`: the begin of that day in UTC, and that of the next one.
pub(super) fn day(text: &str) -> Option<(Timestamp, Timestamp)> {
    let date = Date::strptime("%Y-%m-%d", text).ok().filter(|_| text.len() == DAY_LENGTH)?;
    let begin = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some((begin, begin.checked_add(SignedDuration::from_hours(24)).ok()?))
}

/// Reads `X-Sdk-Date`.
pub(super) fn signed(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The distance of two times, whichever is the later one.
pub(super) fn apart(one: Timestamp, other: Timestamp) -> SignedDuration {
    one.duration_since(other).abs()
}

const ASKED_SHAPE: &str = "0000-00-00T00:00:00+0000";
const DAY_LENGTH: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_only_in_the_documented_form() {
        let time = asked("2018-08-06T20:41:14+0800").unwrap();
        assert_eq!(listed(time), "2018-08-06T12:41:14+0000");
        for wrong in [
            "2018-08-06T12:41:14Z",
            "2018-08-06T12:41:14+00:00",
            "2018-08-06T12:41:14 0000",
            "2018-08-06 12:41:14+0000",
            "2018-13-06T12:41:14+0000",
            "2018-08-06T12:41:14",
            "",
        ] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_day_is_read_only_in_the_documented_form_and_ends_with_the_next_one() {
        let (first, next) = day("2024-02-29").unwrap();
        assert_eq!(listed(first), "2024-02-29T00:00:00+0000");
        assert_eq!(listed(next), "2024-03-01T00:00:00+0000");
        for wrong in ["2023-02-29", "2024-2-29", "20240229", "29.02.2024", "2024-02-29T00", ""] {
            assert_eq!(day(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_other_forms_are_those_of_the_documents() {
        let time = signed("20151109T014257Z").unwrap();
        assert_eq!(dated(time), "Mon, 09 Nov 2015 01:42:57 GMT");
        let time = time + SignedDuration::from_micros(527_363);
        assert_eq!(issued(time), "2015-11-09T01:42:57.527363Z");
        assert_eq!(signed("2015-11-09T01:42:57Z"), None);
    }
}
