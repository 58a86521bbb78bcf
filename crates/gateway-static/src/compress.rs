//! Compression on the fly.

use std::fs::File;
use std::io::{self, Read, Write};

use gateway_core::Body;
use gateway_core::bytes::Bytes;

use crate::coding::Coding;
use crate::root::{Facts, Opened, check_unchanged};

/// How much is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// Quality 11 is for files that are compressed once; this one is about as quick as gzip.
#[cfg(feature = "brotli")]
const BROTLI_QUALITY: u32 = 4;
#[cfg(feature = "brotli")]
const BROTLI_WINDOW: u32 = 20;

/// Whether this build can make `coding`.
pub(crate) fn can(coding: Coding) -> bool {
    match coding {
        Coding::Brotli => cfg!(feature = "brotli"),
        Coding::Gzip => cfg!(feature = "gzip"),
        Coding::Zstd => false,
    }
}

/// The file in `coding`, if this build can make it.
pub(crate) fn body(opened: Opened, coding: Coding) -> Option<Body> {
    Compressed::new(opened, coding).map(Body::iter)
}

/// A file compressed as it is read: an iterator of data. A file that changes meanwhile ends it with
/// an error.
struct Compressed {
    file: File,
    facts: Facts,
    left: u64,
    encoder: Option<Encoder>,
    buffer: Vec<u8>,
}

enum Encoder {
    #[cfg(feature = "gzip")]
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    #[cfg(feature = "brotli")]
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
}

impl Compressed {
    fn new(opened: Opened, coding: Coding) -> Option<Compressed> {
        let encoder = match coding {
            #[cfg(feature = "gzip")]
            Coding::Gzip => Encoder::Gzip(flate2::write::GzEncoder::new(
                Vec::new(),
                flate2::Compression::default(),
            )),
            #[cfg(feature = "brotli")]
            Coding::Brotli => Encoder::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                PIECE,
                BROTLI_QUALITY,
                BROTLI_WINDOW,
            ))),
            _ => return None,
        };
        let Opened { file, facts } = opened;
        Some(Compressed {
            file,
            facts,
            left: facts.len,
            encoder: Some(encoder),
            buffer: Vec::new(),
        })
    }

    /// Some more output; `None` when there is nothing more to come.
    fn step(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(encoder) = &mut self.encoder {
            if self.left == 0 {
                check_unchanged(&self.file, &self.facts)?;
                return self.encoder.take().map(Encoder::finish).transpose();
            }
            let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE);
            self.buffer.resize(wanted, 0);
            self.file.read_exact(&mut self.buffer)?;
            self.left -= wanted as u64;
            let output = encoder.write(&self.buffer)?;
            if !output.is_empty() {
                return Ok(Some(output));
            }
        }
        Ok(None)
    }
}

impl Iterator for Compressed {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        self.step().transpose()
    }
}

impl Encoder {
    fn write(&mut self, input: &[u8]) -> io::Result<Bytes> {
        let output = match self {
            #[cfg(feature = "gzip")]
            Encoder::Gzip(encoder) => {
                encoder.write_all(input)?;
                encoder.get_mut()
            }
            #[cfg(feature = "brotli")]
            Encoder::Brotli(encoder) => {
                encoder.write_all(input)?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(output).into())
    }

    fn finish(self) -> io::Result<Bytes> {
        match self {
            #[cfg(feature = "gzip")]
            Encoder::Gzip(encoder) => encoder.finish().map(Bytes::from),
            #[cfg(feature = "brotli")]
            Encoder::Brotli(encoder) => Ok(encoder.into_inner().into()),
        }
    }
}
