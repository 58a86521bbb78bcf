//! Files and directories as an application that any server runs and any framework mounts.
//!
//! ```
//! use gateway_core::Mount;
//! use gateway_static::StaticFiles;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = std::env::temp_dir();
//! let files = StaticFiles::new(directory).listing(true).build()?;
//! let app = Mount::new().at("/files", files).build()?;
//! # Ok(()) }
//! ```
//!
//! What a request gets:
//!
//! | request | answer |
//! |---|---|
//! | a file | its content, as [`Body::File`](gateway_core::Body::File), with `ETag` and `Last-Modified` |
//! | a directory, with its slash | an index file, a listing if [allowed](StaticFilesBuilder::listing), or 404 |
//! | a directory without its slash | 301 to where it has one; the query stays |
//! | preconditions | 304 or 412, in the order of RFC 9110 §13.2.2 |
//! | `Range` | 206, for several ranges as `multipart/byteranges`, or 416 |
//! | `Accept-Encoding` | a sibling `.br`, `.zst` or `.gz`, if [allowed](StaticFilesBuilder::precompressed) |
//! | another method | `OPTIONS` 204, else 405 |
//!
//! # What is never served
//!
//! No name leads out of the root, in whatever spelling, and whatever changes during the request:
//! files are opened relative to the root's handle, and symbolic links that leave the root, or are
//! absolute, are not found. Nor are names that begin with a dot (but for `/.well-known`), devices,
//! FIFOs and sockets. [`hidden_files`](StaticFilesBuilder::hidden_files) and
//! [`follow_symlinks`](StaticFilesBuilder::follow_symlinks) loosen the two rules that may be.
//!
//! # Features
//!
//! `gzip` and `brotli` add compression on the fly, for those who ask for it with
//! `StaticFilesBuilder::compression`. Neither is on by default.
//!
//! It is for Unix: names are bytes, and directories have handles.

mod answer;
mod builder;
mod coding;
#[cfg(any(feature = "gzip", feature = "brotli"))]
mod compress;
#[cfg(not(any(feature = "gzip", feature = "brotli")))]
#[path = "compress_nothing.rs"]
mod compress;
mod conditional;
mod cors;
mod fields;
mod file;
mod listing;
mod media;
mod multipart;
mod path;
mod range;
mod root;
mod site;
mod validators;
mod walk;

pub use builder::{StaticError, StaticFilesBuilder};
pub use site::StaticFiles;
