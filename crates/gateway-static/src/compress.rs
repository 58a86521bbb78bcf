//! Compression on the fly.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use gateway_core::Body;
use gateway_core::bytes::Bytes;

use crate::coding::Coding;
use crate::root::{Facts, Opened, check_unchanged};

/// How much is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// Less is kept for what comes next, in bytes: a coding's own head would otherwise go out alone, and
/// what ends at once holds no encoder while it is sent.
const WORTH_SENDING: usize = 4 * 1024;

/// Quality 11 is for files that are compressed once; this one is about as quick as gzip.
#[cfg(feature = "brotli")]
const BROTLI_QUALITY: u32 = 4;
/// A window of 128 KiB, with which an encoder takes 2 MiB. With 1 MiB it takes 9 to 12, and texts of
/// some MiB become 6 % shorter at best.
#[cfg(feature = "brotli")]
const BROTLI_WINDOW: u32 = 17;

/// How many files are compressed at a time. An encoder lives until its response is read, and who
/// reads slowly is not to choose how much memory that is: 150 MiB at most.
const ENCODERS: usize = 64;

/// How many of a site's files are compressed just now: the handles beside this one.
#[derive(Debug, Default)]
pub(crate) struct Encoders(Arc<()>);

/// One of the files that may be compressed at a time.
pub(crate) struct Place(#[expect(dead_code, reason = "it is counted")] Arc<()>);

impl Encoders {
    /// A place, if one is free. Threads that ask at once may get one each beyond the last.
    pub(crate) fn place(&self) -> Option<Place> {
        (Arc::strong_count(&self.0) <= ENCODERS).then(|| Place(Arc::clone(&self.0)))
    }
}

/// Whether this build can make `coding`.
pub(crate) fn can(coding: Coding) -> bool {
    match coding {
        Coding::Brotli => cfg!(feature = "brotli"),
        Coding::Gzip => cfg!(feature = "gzip"),
        Coding::Zstd => false,
    }
}

/// The file in `coding`, if this build can make it.
pub(crate) fn body(opened: Opened, coding: Coding, place: Place) -> Option<Body> {
    Compressed::new(opened, coding, place).map(Body::iter)
}

/// A file compressed as it is read: an iterator of data. A file that changes meanwhile ends it with
/// an error.
struct Compressed {
    file: File,
    facts: Facts,
    left: u64,
    /// Gone with the end.
    encoder: Option<(Encoder, Place)>,
    buffer: Vec<u8>,
}

enum Encoder {
    #[cfg(feature = "gzip")]
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    #[cfg(feature = "brotli")]
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
}

impl Compressed {
    fn new(opened: Opened, coding: Coding, place: Place) -> Option<Compressed> {
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
            encoder: Some((encoder, place)),
            buffer: Vec::new(),
        })
    }

    /// Some more output; `None` when there is nothing more to come.
    fn step(&mut self) -> io::Result<Option<Bytes>> {
        while let Some((encoder, _)) = &mut self.encoder {
            if self.left == 0 {
                check_unchanged(&self.file, &self.facts)?;
                return self.encoder.take().map(|(encoder, _)| encoder.finish()).transpose();
            }
            let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE);
            self.buffer.resize(wanted, 0);
            self.file.read_exact(&mut self.buffer)?;
            self.left -= wanted as u64;
            let output = encoder.write(&self.buffer)?;
            if output.len() >= WORTH_SENDING {
                return Ok(Some(std::mem::take(output).into()));
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
    /// Takes `input`, and gives what is ready of the output.
    fn write(&mut self, input: &[u8]) -> io::Result<&mut Vec<u8>> {
        match self {
            #[cfg(feature = "gzip")]
            Encoder::Gzip(encoder) => encoder.write_all(input).map(|()| encoder.get_mut()),
            #[cfg(feature = "brotli")]
            Encoder::Brotli(encoder) => encoder.write_all(input).map(|()| encoder.get_mut()),
        }
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
