//! Texts that are nearly right.

use proptest::prelude::*;

/// `good`, with up to five pieces cut out and others put in.
pub(crate) fn mutated(
    good: &str,
    piece: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    let good: Vec<char> = good.chars().collect();
    let cut = (0..good.len(), 0..60_usize, piece);
    proptest::collection::vec(cut, 1..6).prop_map(move |cuts| {
        let mut text = good.clone();
        for (at, length, piece) in cuts {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, piece.chars());
        }
        text.into_iter().collect()
    })
}
