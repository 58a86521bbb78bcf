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
//! | `Range` | 206, for several ranges as `multipart/byteranges`, or 416; several of a sibling are the whole |
//! | `Accept-Encoding` | a sibling `.br`, `.zst` or `.gz`, if [allowed](StaticFilesBuilder::precompressed) |
//! | `PUT`, or a form that is posted to a directory | the files are stored, if [allowed](#uploads) |
//! | another method | `OPTIONS` 204, else 405; 501 for one that nobody knows |
//!
//! # What is never served
//!
//! No name leads out of the root, in whatever spelling, and whatever changes during the request:
//! files are opened relative to the root's handle, and symbolic links that leave the root, or are
//! absolute, are not found. Nor are names that begin with a dot (but for `/.well-known`), devices,
//! FIFOs and sockets. [`hidden_files`](StaticFilesBuilder::hidden_files) and
//! [`follow_symlinks`](StaticFilesBuilder::follow_symlinks) loosen the two rules that may be.
//!
//! # Uploads
//!
//! With the feature `upload`, `StaticFilesBuilder::upload` lets files into the directories that are
//! served. `PUT /directory/name` stores its body: 201 with `Location`. A `multipart/form-data` body
//! that is posted to `/directory/` stores its files under the names that the peer gives: 303 to the
//! directory, or 201 with a list for those who prefer `application/json`. Listings have a form for it.
//!
//! | what | status |
//! |---|---|
//! | a name that is there already: nothing is overwritten, whatever it is | 409 |
//! | a name that is not one component of 1 to 255 bytes, or has a backslash or a control character, or is hidden | 400 |
//! | a directory that is not served, or is hidden, `/.well-known` included | 404 |
//! | a page of another site, by `Sec-Fetch-Site` or `Origin`, whatever CORS lets it read | 403 |
//! | more bytes than `StaticFilesBuilder::upload_limit` says, more than 1000 parts | 413 |
//! | a part of a file (`Content-Range`); a coded one (`Content-Encoding`) | 400; 415 |
//! | what the system does not permit; what does not fit on the disk | 403; 507 |
//!
//! Names are refused and never changed, also those with a directory before them (`C:\dir\x`). What is
//! refused for its head is refused before the body is read. Of a form whose later part is refused, the
//! answer tells what was stored before.
//!
//! A file is there when it is complete, and before that it has no name (`O_TMPFILE`); where the file
//! system has no such files, it has a hidden one that is never served. Its permissions are `0666`
//! without the process's mask. The body is written as it comes, in constant memory.
//!
//! It is no WebDAV: nothing is replaced, removed or made a directory.
//!
//! # Features
//!
//! `gzip` and `brotli` add compression on the fly, for those who ask for it with
//! `StaticFilesBuilder::compression`; `upload` adds uploads. None is on by default.
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
#[cfg(feature = "upload")]
mod upload;
#[cfg(not(feature = "upload"))]
#[path = "upload_nothing.rs"]
mod upload;
mod validators;
mod walk;

pub use builder::{StaticError, StaticFilesBuilder};
pub use site::StaticFiles;
