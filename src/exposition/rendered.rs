//! A snapshot in ready bytes. Scrapes share them, and each adds what is of its moment.

use bytes::buf::Chain;
use bytes::{Buf, Bytes};
use jiff::Timestamp;

use super::ages::Ages;
use super::{add_moment, gzip, lasting};
use crate::meter::Meters;
use crate::snapshot::Snapshot;

/// What a scrape is answered with: the shared bytes, then its own.
pub type Body = Chain<Bytes, Bytes>;

/// A snapshot as it is told to scrapes.
#[derive(Debug)]
pub struct Rendered {
    plain: Bytes,
    /// The same packed; none if that failed, which it does not in memory.
    packed: Option<gzip::Start>,
    /// Those of this snapshot, so that one scrape tells of one snapshot.
    ages: Ages,
}

impl Rendered {
    /// Renders a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        let (mut text, ages) = lasting(snapshot);
        // It is held for a while.
        text.shrink_to_fit();
        let packed = gzip::Start::new(text.as_bytes()).ok();
        Self { plain: text.into(), packed, ages }
    }

    /// The exposition at a time.
    pub fn plain(&self, meters: &Meters, now: Timestamp) -> Body {
        self.plain.clone().chain(self.moment(meters, now).into())
    }

    /// The same as one gzip member.
    pub fn packed(&self, meters: &Meters, now: Timestamp) -> Option<Body> {
        let packed = self.packed.as_ref()?;
        let end = packed.end(self.moment(meters, now).as_bytes()).ok()?;
        Some(packed.bytes.clone().chain(end))
    }

    fn moment(&self, meters: &Meters, now: Timestamp) -> String {
        let mut text = String::new();
        add_moment(&mut text, &self.ages, meters, now);
        text
    }
}
