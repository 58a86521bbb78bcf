//! Data in a content coding.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use gateway_core::bytes::Bytes;

use crate::coding::Coding;

/// Less is kept for what comes next, in bytes: a coding's own head would otherwise go out alone.
const WORTH_SENDING: usize = 4 * 1024;

/// Quality 11 is for what is compressed once; this one is about as quick as gzip.
#[cfg(feature = "brotli")]
const BROTLI_QUALITY: u32 = 4;
/// A window of 128 KiB, with which an encoder takes 2 MiB until its response is read. With 1 MiB it
/// takes 9 to 12, and texts of some MiB become 6 % shorter at best.
#[cfg(feature = "brotli")]
const BROTLI_WINDOW: u32 = 17;

/// Takes data and gives it back shorter, after a while.
pub(super) enum Encoder {
    #[cfg(feature = "brotli")]
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    pub(super) fn new(coding: Coding) -> Encoder {
        match coding {
            #[cfg(feature = "brotli")]
            Coding::Brotli => Encoder::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                super::PIECE,
                BROTLI_QUALITY,
                BROTLI_WINDOW,
            ))),
            Coding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::default())),
        }
    }

    /// Takes `data`, and gives what is ready if it is worth sending: often nothing.
    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<Bytes> {
        self.writer().write_all(data)?;
        Ok(if self.ready().len() < WORTH_SENDING { Bytes::new() } else { self.take() })
    }

    /// Gives everything that was taken, so that the peer can have it. It costs a few bytes.
    pub(super) fn flush(&mut self) -> io::Result<Bytes> {
        self.writer().flush()?;
        Ok(self.take())
    }

    /// Gives the rest, and the end.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        match self {
            #[cfg(feature = "brotli")]
            Encoder::Brotli(encoder) => Ok(encoder.into_inner().into()),
            Encoder::Gzip(encoder) => encoder.finish().map(Bytes::from),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            #[cfg(feature = "brotli")]
            Encoder::Brotli(encoder) => encoder,
            Encoder::Gzip(encoder) => encoder,
        }
    }

    fn ready(&mut self) -> &mut Vec<u8> {
        match self {
            #[cfg(feature = "brotli")]
            Encoder::Brotli(encoder) => encoder.get_mut(),
            Encoder::Gzip(encoder) => encoder.get_mut(),
        }
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(self.ready()).into()
    }
}
