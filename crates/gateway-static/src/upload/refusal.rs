//! Why an upload is refused.

use gateway_core::http::StatusCode;
use gateway_core::http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, HeaderName, HeaderValue};
use gateway_core::{Environ, Error, PeerError};
use gateway_request::MultipartError;
use rustix::io::Errno;

use super::MAX_PARTS;
use super::name::NameError;
use crate::path::PathError;
use crate::site::Site;

/// A sentence for people, and a status for programs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("a page of another site has sent this, and only those of this one may upload")]
    OtherSite,
    #[error(
        "a page of {origin} has sent this to {host}, and only pages of the same host and port may \
         upload"
    )]
    OtherOrigin { origin: String, host: String },
    #[error("the path is malformed")]
    Malformed,
    #[error("there is no such directory")]
    NoDirectory,
    #[error("a directory cannot be put; add the name of the file")]
    NoName,
    #[error("a form can only be posted to a directory, with a slash at its end; a file can be put")]
    NoSlash,
    #[error("`{name}` cannot be the name of a file here: {reason}")]
    Name { name: String, reason: NameError },
    #[error("the name of a file is no text in UTF-8")]
    NoText,
    #[error("`{0}` is there already, and nothing is overwritten")]
    Exists(String),
    #[error("only whole files can be put, and this is a part of one (Content-Range)")]
    Range,
    #[error("files are stored as they come, and this one is said to be coded (Content-Encoding)")]
    Coding,
    #[error("there is no such file that could match (If-Match)")]
    Precondition,
    #[error("the form has more than {MAX_PARTS} parts")]
    TooManyParts,
    #[error("the form has no file in it")]
    NoFile,
    #[error("the body is no form with files; send it as multipart/form-data, or put the file")]
    NoForm,
    #[error("the request has more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("{}{}", system(*.errno), .name.as_ref().map(|name| format!(": `{name}`")).unwrap_or_default())]
    System { name: Option<String>, errno: Errno },
    #[error(transparent)]
    Form(MultipartError),
    /// The body could not be read.
    #[error(transparent)]
    Body(Error),
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Refusal::OtherSite | Refusal::OtherOrigin { .. } => StatusCode::FORBIDDEN,
            Refusal::Malformed
            | Refusal::Name { .. }
            | Refusal::NoText
            | Refusal::Range
            | Refusal::NoFile => StatusCode::BAD_REQUEST,
            Refusal::NoDirectory => StatusCode::NOT_FOUND,
            Refusal::NoName | Refusal::NoSlash => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Exists(_) => StatusCode::CONFLICT,
            Refusal::Coding | Refusal::NoForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::Precondition => StatusCode::PRECONDITION_FAILED,
            Refusal::TooManyParts | Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::System { errno, .. } => match *errno {
                Errno::NOSPC | Errno::DQUOT => StatusCode::INSUFFICIENT_STORAGE,
                Errno::ACCESS | Errno::PERM | Errno::ROFS => StatusCode::FORBIDDEN,
                Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ => StatusCode::BAD_REQUEST,
                Errno::FBIG => StatusCode::PAYLOAD_TOO_LARGE,
                Errno::NOENT => StatusCode::NOT_FOUND,
                Errno::MFILE | Errno::NFILE | Errno::NOMEM => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Refusal::Form(MultipartError::HeadTooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Form(_) => StatusCode::BAD_REQUEST,
            Refusal::Body(error) => error.status(),
        }
    }

    /// Whether the operator has something to mend.
    pub(crate) fn is_ours(&self) -> bool {
        self.status().is_server_error()
    }

    /// Whether every upload meets with it for as long as it lasts.
    pub(crate) fn is_shortage(&self) -> bool {
        let shortages = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::INSUFFICIENT_STORAGE];
        shortages.contains(&self.status())
    }

    /// The field that the status wants.
    pub(crate) fn field(
        &self,
        site: &Site,
        environ: &Environ,
    ) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Refusal::NoName | Refusal::NoSlash => {
                Some((ALLOW, site.methods(environ.raw_path_info())))
            }
            Refusal::Coding => Some((ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
            Refusal::NoForm => Some((ACCEPT, HeaderValue::from_static("multipart/form-data"))),
            _ => None,
        }
    }
}

/// What the system's error means for the peer.
fn system(errno: Errno) -> String {
    match errno {
        Errno::NOSPC => "the disk is full".to_owned(),
        Errno::DQUOT => "the disk quota is used up".to_owned(),
        Errno::ACCESS | Errno::PERM => "the server may not write into this directory".to_owned(),
        Errno::ROFS => "this directory can only be read".to_owned(),
        Errno::NAMETOOLONG => "the name is too long for the file system".to_owned(),
        Errno::INVAL | Errno::ILSEQ => "the file system does not take this name".to_owned(),
        Errno::FBIG => "the file is too large for the file system".to_owned(),
        Errno::NOENT => "the directory has been removed meanwhile".to_owned(),
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => "the server is busy; try again".to_owned(),
        errno => format!("the file cannot be stored ({errno})"),
    }
}

impl From<PathError> for Refusal {
    fn from(error: PathError) -> Refusal {
        match error {
            PathError::Malformed => Refusal::Malformed,
            PathError::Refused => Refusal::NoDirectory,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        match error {
            Error::Peer(PeerError::BodyTooLarge { limit }) => Refusal::TooLarge { limit },
            error => Refusal::Body(error),
        }
    }
}

impl From<MultipartError> for Refusal {
    fn from(error: MultipartError) -> Refusal {
        match error {
            MultipartError::MediaType => Refusal::NoForm,
            MultipartError::Read(error) => error.into(),
            error => Refusal::Form(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_has_a_status() {
        for (errno, status, text) in [
            (Errno::NOSPC, 507, "the disk is full: `x`"),
            (Errno::DQUOT, 507, "the disk quota is used up: `x`"),
            (Errno::ACCESS, 403, "the server may not write into this directory: `x`"),
            (Errno::ROFS, 403, "this directory can only be read: `x`"),
            (Errno::NAMETOOLONG, 400, "the name is too long for the file system: `x`"),
            (Errno::FBIG, 413, "the file is too large for the file system: `x`"),
            (Errno::MFILE, 503, "the server is busy; try again: `x`"),
        ] {
            let refusal = Refusal::System { name: Some("x".to_owned()), errno };
            assert_eq!((refusal.status().as_u16(), refusal.to_string().as_str()), (status, text));
            assert_eq!(refusal.is_ours(), status >= 500);
            assert_eq!(refusal.is_shortage(), matches!(status, 503 | 507));
        }
        let refusal = Refusal::System { name: None, errno: Errno::IO };
        assert_eq!(refusal.status(), 500);
        assert!(!refusal.is_shortage(), "a disk that fails is told each time");
        assert!(refusal.to_string().starts_with("the file cannot be stored ("), "{refusal}");
    }
}
