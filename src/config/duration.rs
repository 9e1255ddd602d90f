//! Durations as Prometheus writes them: `5m`, `1h30m`, `26h`, `2w`.
//!
//! Numbers with a unit, one after the other, and nothing else: no blank, no fraction, no sign.

use std::time::Duration;

use super::problem::quoted;

/// Why a text is not a duration that can be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DurationError {
    /// There is no text.
    #[error("a duration cannot be empty; write numbers with units, such as `5m` or `1h30m`")]
    Empty,
    /// It is longer than Prometheus can count.
    #[error("{} is too long; at most 292y can be counted", quoted(text))]
    Overflow {
        /// The text.
        text: String,
    },
    /// It is not of the grammar.
    #[error(
        "{} is not a duration; write numbers with a unit of `ms`, `s`, `m`, `h`, `d`, `w` or `y`, \
         such as `5m` or `1h30m`",
        quoted(text)
    )]
    Syntax {
        /// The text.
        text: String,
    },
    /// It is zero.
    #[error("a duration cannot be zero; write such as `5m` or `1h30m`")]
    Zero,
}

/// Reads `([0-9]+(ms|s|m|h|d|w|y))+`; a day has 24 hours, a week 7 days, a year 365.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    let overflow = || DurationError::Overflow { text: text.to_owned() };
    let mut total: Option<u64> = Some(0);
    let mut rest = text;
    while !rest.is_empty() {
        let (number, unit, after) =
            component(rest).ok_or_else(|| DurationError::Syntax { text: text.to_owned() })?;
        // Too large a number is told only once the grammar holds to the end.
        total = total
            .and_then(|total| total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?));
        rest = after;
    }
    let total = total.filter(|millis| *millis <= MAX_MILLIS).ok_or_else(overflow)?;
    if total == 0 {
        return Err(DurationError::Zero);
    }
    Ok(Duration::from_millis(total))
}

/// Writes it in the form that [`parse`] reads, the way Prometheus does: `1h30m`, `26h`, `2d`.
/// Parts of a millisecond are dropped.
pub fn print(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, millis) in UNITS {
        // Days and longer ones only where nothing is left over: `26h`, not `1d2h`.
        let whole = millis < DAY || rest.is_multiple_of(millis);
        if whole && rest >= millis {
            text += &(rest / millis).to_string();
            text += unit;
            rest %= millis;
        }
    }
    text
}

/// Writes how long something is ago, for people: to the second, and with days where hours say nothing.
/// [`parse`] reads it too.
pub fn print_age(age: Duration) -> String {
    let seconds = age.as_secs();
    let days = if seconds < MOST_HOURS { 0 } else { seconds / (24 * 3600) };
    let rest = Duration::from_secs(seconds - days * 24 * 3600);
    match (days, rest) {
        (0, rest) => print(rest),
        (days, Duration::ZERO) => format!("{days}d"),
        (days, rest) => format!("{days}d{}", print(rest)),
    }
}

/// The first number, what its unit is worth, and what follows.
fn component(text: &str) -> Option<(&str, u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
    let (unit, rest) = rest.split_at(letters);
    let (_, millis) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    (!number.is_empty()).then_some((number, millis, rest))
}

const DAY: u64 = 24 * 3_600_000;
/// An age that is longer, in seconds, is told with days.
const MOST_HOURS: u64 = 96 * 3600;
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * DAY),
    ("w", 7 * DAY),
    ("d", DAY),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];
/// As many nanoseconds as Prometheus counts.
const MAX_MILLIS: u64 = i64::MAX as u64 / 1_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_units_of_prometheus_are_read() {
        for (text, seconds) in [
            ("1s", 1),
            ("5m", 300),
            ("1h30m", 5400),
            ("26h", 93_600),
            ("1d", 86_400),
            ("2w", 1_209_600),
            ("1y", 31_536_000),
            ("30m1h", 5400),
            ("1h1h", 7200),
            ("007s", 7),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("1s500ms"), Ok(Duration::from_millis(1500)));
    }

    #[test]
    fn nothing_else_is_read() {
        for text in [
            "5", "m", "5 m", " 5m", "5m ", "1.5h", "-5m", "+5m", "5M", "5µs", "5us", "5m,1h",
            "5min", "1h 30m", "٣m", "off", "0", "\n",
        ] {
            assert_eq!(parse(text), Err(DurationError::Syntax { text: text.to_owned() }), "{text}");
        }
        assert_eq!(parse(""), Err(DurationError::Empty));
    }

    #[test]
    fn zero_is_refused_and_so_is_more_than_can_be_counted() {
        assert_eq!(parse("0s"), Err(DurationError::Zero));
        assert_eq!(parse("0h0m"), Err(DurationError::Zero));
        assert!(parse("292y").is_ok());
        for text in ["293y", "99999999999999999999s", "18446744073709551615y"] {
            assert_eq!(parse(text), Err(DurationError::Overflow { text: text.to_owned() }));
        }
        let text = "99999999999999999999s5".to_owned();
        assert_eq!(parse(&text), Err(DurationError::Syntax { text }));
    }

    #[test]
    fn durations_print_as_prometheus_prints_them() {
        for text in ["500ms", "1s500ms", "30s", "5m", "1h30m", "26h", "1d", "2w", "1y"] {
            assert_eq!(print(parse(text).unwrap()), text);
        }
        assert_eq!(print(parse("48h").unwrap()), "2d");
        assert_eq!(print(parse("90m").unwrap()), "1h30m");
        assert_eq!(print(Duration::ZERO), "0s");
    }

    #[test]
    fn ages_print_to_the_second_and_with_days_where_they_are_long() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (26 * 3600 + 1, "26h1s"),
            (24 * 3600, "1d"),
            (95 * 3600 + 60, "95h1m"),
            (96 * 3600, "4d"),
            (97 * 3600 + 61, "4d1h1m1s"),
            (400 * 24 * 3600, "400d"),
        ] {
            assert_eq!(print_age(Duration::from_millis(1000 * seconds + 999)), text);
            assert!(seconds == 0 || parse(text) == Ok(Duration::from_secs(seconds)));
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(millis in 1..=MAX_MILLIS) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&print(duration)), Ok(duration));
        }

        #[test]
        fn what_follows_the_grammar_is_read(text in "([0-9]{1,3}(ms|s|m|h|d|w)){1,4}") {
            prop_assert!(matches!(parse(&text), Ok(_) | Err(DurationError::Zero)));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _unused = parse(&text);
        }
    }
}
