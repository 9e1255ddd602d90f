//! A gzip member in two parts: a start that is packed once, and an end that each answer has of its
//! own. Together they are one member, since many readers stop after the first.

use std::io::{self, Write};
use std::mem;

use bytes::Bytes;
use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};

/// The start of a member.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) bytes: Bytes,
    crc: Crc,
}

impl Start {
    /// Packs the first part of a text. Writing to memory does not fail.
    pub(super) fn new(text: &[u8]) -> io::Result<Self> {
        let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 16), START_LEVEL);
        encoder.write_all(text)?;
        // Up to a whole byte, and open for more.
        encoder.flush()?;
        let mut bytes = mem::take(encoder.get_mut());
        // It is held for a while.
        bytes.shrink_to_fit();
        Ok(Self { bytes: bytes.into(), crc: crc(text) })
    }

    /// Packs the rest of the text, to the end of the member.
    pub(super) fn end(&self, rest: &[u8]) -> io::Result<Bytes> {
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(rest.len() / 4), END_LEVEL);
        encoder.write_all(rest)?;
        let mut bytes = encoder.finish()?;
        let mut whole = Crc::new();
        whole.combine(&self.crc);
        whole.combine(&crc(rest));
        bytes.extend_from_slice(&whole.sum().to_le_bytes());
        // The length modulo 2^32, as the format has it.
        bytes.extend_from_slice(&whole.amount().to_le_bytes());
        Ok(bytes.into())
    }
}

fn crc(text: &[u8]) -> Crc {
    let mut crc = Crc::new();
    crc.update(text);
    crc
}

/// Once for many scrapes: better packed than by the fast levels, and 50 ms for 100,000 series.
const START_LEVEL: Compression = Compression::new(6);
/// For every scrape.
const END_LEVEL: Compression = Compression::fast();

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::bufread::{GzDecoder, MultiGzDecoder};
    use proptest::prelude::*;

    use super::*;

    fn unpacked(mut decoder: impl Read) -> Vec<u8> {
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).unwrap();
        text
    }

    /// Of any length, and of any redundancy.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        (prop::collection::vec(any::<u8>(), 0..2000), 0..60_usize)
            .prop_map(|(bytes, times)| bytes.repeat(times))
    }

    proptest! {
        #[test]
        fn start_and_end_are_one_member_that_unpacks_to_the_whole(start in text(), end in text()) {
            let whole = [&start[..], &end].concat();
            let start = Start::new(&start).unwrap();
            let member = [&start.bytes[..], &start.end(&end).unwrap()].concat();
            let mut rest = &member[..];
            prop_assert_eq!(&unpacked(GzDecoder::new(&mut rest)), &whole);
            prop_assert_eq!(rest.len(), 0);
            prop_assert_eq!(&unpacked(MultiGzDecoder::new(&member[..])), &whole);
        }
    }

    #[test]
    fn the_start_is_packed_well_and_serves_for_any_number_of_ends() {
        let lines = b"clouddb_backups 1\n".repeat(1000);
        let start = Start::new(&lines).unwrap();
        assert!(start.bytes.len() < lines.len() / 50);
        for end in [&b"an end\n"[..], b"", b"another\n"] {
            let member = [&start.bytes[..], &start.end(end).unwrap()].concat();
            assert_eq!(unpacked(GzDecoder::new(&member[..])), [&lines[..], end].concat());
        }
    }
}
