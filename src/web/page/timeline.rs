//! A small picture of the newest backups of a type: when, how big, how long, and which failed.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

use super::text::short;
use crate::backup::{Status, Times};
use crate::clock::age;
use crate::size;
use crate::snapshot::ShownType;
use crate::summary::Record;

/// The size of the picture, in its own units.
const WIDTH: f64 = 720.0;
const LEFT: f64 = 8.0;
const RIGHT: f64 = 712.0;
/// A bar, and half a cross.
const BAR: f64 = 5.0;
const HALF: f64 = 4.0;

/// The lane of a number: its bars stand on `floor` and are as high as `height`.
#[derive(Clone, Copy)]
struct Lane {
    floor: f64,
    height: f64,
}

const SIZES: Lane = Lane { floor: 84.0, height: 60.0 };
const DURATIONS: Lane = Lane { floor: 164.0, height: 50.0 };

impl Lane {
    /// The height of a bar; one that can be seen, also for nothing.
    fn bar(self, value: f64, most: f64) -> f64 {
        if most > 0.0 { (self.height * value / most).max(1.5) } else { 1.5 }
    }
}

/// The newest records of a type from the first to now.
pub(super) fn timeline(of: &ShownType<'_>, now: Timestamp) -> Markup {
    let drawn: Vec<(Timestamp, &Record)> =
        of.newest.iter().filter_map(|record| Some((record.begin?, record))).collect();
    let Some(first) = drawn.iter().map(|(begin, _)| *begin).min() else { return html! {} };
    let newest = drawn.iter().map(|(begin, _)| *begin).max().unwrap_or(now);
    // The clock of the cloud may be ahead.
    let last = newest.max(now);
    let has_durations = of.backup_type.times == Times::Job;
    let sizes = drawn.iter().filter_map(|(_, record)| record.bytes);
    let most_bytes = sizes.max().unwrap_or(0);
    let longest = drawn.iter().filter_map(|(_, it)| length(it, now)).max().unwrap_or_default();
    let height = if has_durations { 184.0 } else { 104.0 };
    let floor = if has_durations { DURATIONS.floor } else { SIZES.floor };
    let x = |at: Timestamp| {
        let whole = last.duration_since(first).as_secs_f64().max(1.0);
        LEFT + BAR + (RIGHT - LEFT - 2.0 * BAR) * at.duration_since(first).as_secs_f64() / whole
    };
    let count = |status| drawn.iter().filter(|(_, record)| record.status == status).count();
    let label = format!(
        "The {} newest backups of type {}, the first of {}: {} completed, {} failed, {} running",
        drawn.len(),
        of.backup_type,
        first.strftime("%Y-%m-%d %H:%M"),
        count(Status::Completed),
        count(Status::Failed),
        count(Status::Running),
    );
    html! {
        figure {
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(label) {
                text x=(LEFT) y="14" {
                    "size"
                    @if most_bytes > 0 { ", up to " (size::print(most_bytes as f64)) }
                }
                line.axis x1=(LEFT) x2=(RIGHT) y1=(SIZES.floor) y2=(SIZES.floor) {}
                @if has_durations {
                    text x=(LEFT) y="104" { "duration, up to " (short(longest)) }
                    line.axis x1=(LEFT) x2=(RIGHT) y1=(DURATIONS.floor) y2=(DURATIONS.floor) {}
                }
                @for (begin, record) in &drawn {
                    g class=(record.status.label()) {
                        title { (told(record, now, has_durations)) }
                        (shape(record, x(*begin), now, most_bytes, longest, has_durations))
                    }
                }
                text x=(LEFT) y=(floor + 16.0) { (first.strftime("%Y-%m-%d %H:%M")) }
                text.end x=(RIGHT) y=(floor + 16.0) { (last.strftime("%Y-%m-%d %H:%M")) " UTC" }
            }
            figcaption {
                span.completed { "▮ completed" } " " span.failed { "✕ failed" } " "
                span.running { "▯ running" } " " span.unknown { "● deleting or unknown" }
            }
        }
    }
}

/// A bar for its size, and one for its duration; a cross if it failed, a dot if it is neither.
fn shape(
    record: &Record,
    x: f64,
    now: Timestamp,
    most_bytes: u64,
    longest: Duration,
    has_durations: bool,
) -> Markup {
    let size = SIZES.bar(record.bytes.unwrap_or(0) as f64, most_bytes as f64);
    let duration = length(record, now).filter(|_| has_durations);
    let duration = duration.map(|it| DURATIONS.bar(it.as_secs_f64(), longest.as_secs_f64()));
    html! {
        @match record.status {
            Status::Completed | Status::Running => (bar(SIZES, x, size)),
            Status::Failed => {
                path d=(format!(
                    "M{:.1} {:.1}l{w} {w}m0 -{w}l-{w} {w}",
                    x - HALF, SIZES.floor - 2.0 * HALF - 2.0, w = 2.0 * HALF
                )) {}
            }
            Status::Deleting | Status::Unknown => {
                circle cx=(format!("{x:.1}")) cy=(SIZES.floor - HALF - 2.0) r="3" {}
            }
        }
        @if let Some(duration) = duration { (bar(DURATIONS, x, duration)) }
    }
}

fn bar(lane: Lane, x: f64, height: f64) -> Markup {
    html! {
        rect x=(format!("{:.1}", x - BAR / 2.0)) y=(format!("{:.1}", lane.floor - height))
            width=(BAR) height=(format!("{height:.1}")) {}
    }
}

/// How long it took, or has been going on.
fn length(record: &Record, now: Timestamp) -> Option<Duration> {
    match record.status {
        Status::Running => record.begin.map(|begin| age(now, begin)),
        _ => record.took(),
    }
}

/// What one sees with the pointer on it.
fn told(record: &Record, now: Timestamp, has_durations: bool) -> String {
    let mut parts = vec![record.status.label().to_owned()];
    parts
        .extend(record.begin.map(|begin| format!("begun {}", begin.strftime("%Y-%m-%d %H:%M:%S"))));
    let word = if record.status == Status::Running { "for" } else { "took" };
    let length = length(record, now).filter(|_| has_durations);
    parts.extend(length.map(|length| format!("{word} {}", short(length))));
    parts.extend(record.bytes.map(|it| size::print(it as f64)));
    parts.join(", ")
}
