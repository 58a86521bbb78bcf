//! A form in the request body as a type of the application's.

use gateway_core::bytes::Bytes;
use gateway_core::http::{StatusCode, header::ACCEPT};
use gateway_core::{Environ, Error};
use serde::de::DeserializeOwned;

use crate::content_type::content_type;

/// Blocks until the form in the body is there, of at most `limit` bytes, and reads it. The limit
/// takes the place of the body limit, as with [`Input::collect`](gateway_core::Input::collect).
///
/// Call it before the body is read otherwise. What fits what is said at [`query`](crate::query()).
///
/// # Errors
///
/// [`FormError::MediaType`], and nothing is read, if the body is said to be anything but
/// `application/x-www-form-urlencoded`, or nothing is said; [`FormError::Read`] if the body is too
/// large, is cut off or late, or the thread must not block; [`FormError::Malformed`] if the form does
/// not fit `T`.
///
/// # Examples
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Login {
///     name: String,
///     password: String,
/// }
///
/// fn login(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let login: Login = gateway_request::form(&mut environ, 4096)?;
///     // … check the password …
///     Ok(start_response.start(StatusCode::OK, ()).with_body(format!("Hello {}\n", login.name)))
/// }
/// ```
///
/// Source: WHATWG URL Standard, "application/x-www-form-urlencoded parsing".
pub fn form<T: DeserializeOwned>(environ: &mut Environ, limit: u64) -> Result<T, FormError> {
    check(environ)?;
    parse(&environ.input().collect(limit)?)
}

/// Like [`form`], for async applications. What has come is lost if the future is dropped.
///
/// # Errors
///
/// Those of [`form`], but for the thread that must not block.
pub async fn form_async<T: DeserializeOwned>(
    environ: &mut Environ,
    limit: u64,
) -> Result<T, FormError> {
    check(environ)?;
    parse(&environ.input().collect_async(limit).await?)
}

/// What can be wrong with a form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// The peer sent something else, or did not say what: 415.
    #[error("the request body is not said to be application/x-www-form-urlencoded")]
    MediaType,
    /// The peer sent a form that does not fit: 400.
    #[error("the form is not what is read from it")]
    Malformed(#[source] serde::de::value::Error),
    /// The body could not be read. It says itself why, and has its own status: 413 past the limit.
    #[error(transparent)]
    Read(#[from] Error),
}

impl From<FormError> for Error {
    fn from(error: FormError) -> Error {
        match error {
            FormError::MediaType => Error::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
                .with_headers([(ACCEPT, "application/x-www-form-urlencoded")]),
            FormError::Malformed(_) => Error::with_status(StatusCode::BAD_REQUEST, error),
            FormError::Read(error) => error,
        }
    }
}

/// Parameters are passed over: the type has none.
fn check(environ: &Environ) -> Result<(), FormError> {
    match content_type(environ, "application", "x-www-form-urlencoded") {
        Some(_) => Ok(()),
        None => Err(FormError::MediaType),
    }
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, FormError> {
    serde_html_form::from_bytes(body).map_err(FormError::Malformed)
}
