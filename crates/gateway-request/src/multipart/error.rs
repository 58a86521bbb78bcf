//! What can be wrong with a multipart body.

use std::str::Utf8Error;

use gateway_core::http::{StatusCode, header::ACCEPT};
use gateway_core::{BoxError, Error};

/// Why a part cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MultipartError {
    /// The peer sent something else, or did not say what: 415.
    #[error("the request body is not said to be multipart/form-data")]
    MediaType,
    /// The peer did not say what parts the body, or not in 1 to 70 characters: 400.
    #[error("the multipart body has no sound boundary in its Content-Type")]
    Boundary,
    /// The peer sent what is no such body, or one that ends too early: 400.
    #[error("the multipart body is malformed")]
    Malformed(#[source] BoxError),
    /// The peer sent a part without a name, which RFC 7578 §4.2 asks for: 400.
    #[error("a part of the multipart body has no name")]
    Unnamed,
    /// The peer sent a part with too large a head: 413.
    #[error("a part of the multipart body has more than {limit} bytes before its data")]
    HeadTooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The peer sent a part that is larger than the application takes: 413.
    #[error("a part of the multipart body is larger than {limit} bytes")]
    PartTooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The peer sent what is no UTF-8 where a text is wanted: 400.
    #[error("a part of the multipart body is no text in UTF-8")]
    NotText(#[source] Utf8Error),
    /// The body was malformed before, and an error said so: 400.
    #[error("the multipart body was found malformed before, and cannot be read on")]
    AfterError,
    /// The body could not be read. It says itself why, and has its own status: 413 past the body
    /// limit.
    #[error(transparent)]
    Read(#[from] Error),
}

impl From<MultipartError> for Error {
    fn from(error: MultipartError) -> Error {
        let status = match error {
            MultipartError::Read(error) => return error,
            MultipartError::MediaType => {
                let error = Error::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, error);
                return error.with_headers([(ACCEPT, "multipart/form-data")]);
            }
            MultipartError::HeadTooLarge { .. } | MultipartError::PartTooLarge { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            MultipartError::Boundary
            | MultipartError::Malformed(_)
            | MultipartError::Unnamed
            | MultipartError::NotText(_)
            | MultipartError::AfterError => StatusCode::BAD_REQUEST,
        };
        Error::with_status(status, error)
    }
}
