//! Texts of one request, in one piece of memory.

use std::ops::Range;

/// Up to `N` texts, each with a number of its own.
#[derive(Debug)]
pub(super) struct Texts<const N: usize> {
    all: Vec<u8>,
    at: [Option<Range<usize>>; N],
}

impl<const N: usize> Texts<N> {
    /// None yet, with room for `bytes`.
    pub(super) fn with_room(bytes: usize) -> Texts<N> {
        Texts { all: Vec::with_capacity(bytes), at: [const { None }; N] }
    }

    /// These, by their order.
    pub(super) fn of(texts: [Option<&[u8]>; N]) -> Texts<N> {
        let mut kept = Texts::with_room(texts.iter().flatten().map(|text| text.len()).sum());
        for (number, text) in texts.into_iter().enumerate() {
            if let Some(text) = text {
                kept.add(number, |all| all.extend_from_slice(text));
            }
        }
        kept
    }

    /// Lets `write` append the text `number`, in place of an earlier one.
    pub(super) fn add(&mut self, number: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.all.len();
        write(&mut self.all);
        self.at[number] = Some(begin..self.all.len());
    }

    pub(super) fn get(&self, number: usize) -> Option<&[u8]> {
        self.at[number].clone().map(|range| &self.all[range])
    }
}
