//! Data out of a content coding.

use std::io::{self, BufRead, Read};

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use gateway_core::bytes::{Buf, Bytes};

use super::Coding;

/// Gives back what was encoded, a bounded piece at a time, however much a little input means.
pub(super) enum Decoder {
    #[cfg(feature = "brotli")]
    Brotli(Box<brotli::Decompressor<Feed>>),
    Deflate(ZlibDecoder<Feed>),
    Gzip(MultiGzDecoder<Feed>),
}

impl Decoder {
    pub(super) fn new(coding: Coding) -> Decoder {
        let feed = Feed::default();
        match coding {
            #[cfg(feature = "brotli")]
            Coding::Brotli => {
                Decoder::Brotli(Box::new(brotli::Decompressor::new(feed, super::PIECE)))
            }
            Coding::Deflate => Decoder::Deflate(ZlibDecoder::new(feed)),
            Coding::Gzip => Decoder::Gzip(MultiGzDecoder::new(feed)),
        }
    }

    /// What it is fed with.
    pub(super) fn feed(&mut self) -> &mut Feed {
        match self {
            #[cfg(feature = "brotli")]
            Decoder::Brotli(decoder) => decoder.get_mut(),
            Decoder::Deflate(decoder) => decoder.get_mut(),
            Decoder::Gzip(decoder) => decoder.get_mut(),
        }
    }

    /// Fills `into` as far as it can; 0 at the end of what was encoded.
    ///
    /// # Errors
    ///
    /// Of kind `WouldBlock` if it has to be fed first. Any other kind means that the input is broken.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            #[cfg(feature = "brotli")]
            Decoder::Brotli(decoder) => decoder.read(into),
            Decoder::Deflate(decoder) => decoder.read(into),
            Decoder::Gzip(decoder) => decoder.read(into),
        }
    }
}

/// Data that have come, to be read as if they were a file that is still being written.
#[derive(Debug, Default)]
pub(super) struct Feed {
    data: Bytes,
    has_begun: bool,
    has_ended: bool,
}

impl Feed {
    /// Adds `data`. What came before has been read.
    pub(super) fn push(&mut self, data: Bytes) {
        self.has_begun |= !data.is_empty();
        self.data = data;
    }

    /// Says that nothing more comes.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Whether there never was anything.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_begun
    }

    /// Whether something is left.
    pub(super) fn has_rest(&self) -> bool {
        !self.data.is_empty()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let n = ready.len().min(into.len());
        into[..n].copy_from_slice(&ready[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.data.is_empty() && !self.has_ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&self.data)
    }

    fn consume(&mut self, n: usize) {
        self.data.advance(n);
    }
}
