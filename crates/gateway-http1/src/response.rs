//! The response head, as our caller describes it.

use std::fmt;

use http::{HeaderMap, HeaderName, StatusCode};

use crate::UsageError;
use crate::encode::push_field;
use crate::scan::is_all_value;

/// The fields of a response, in whatever form our caller keeps them.
pub trait Fields: fmt::Debug {
    /// Calls `each` with the name and the value of every field, in the order in which they are to be
    /// written. A value is checked before it is written.
    fn for_each(&self, each: &mut dyn FnMut(&HeaderName, &[u8]));
}

impl Fields for HeaderMap {
    #[inline]
    fn for_each(&self, each: &mut dyn FnMut(&HeaderName, &[u8])) {
        for (name, value) in self {
            each(name, value.as_bytes());
        }
    }
}

/// The `Date` and `Server` fields as they stand in a head, checked and put together once for all
/// responses of a second.
///
/// ```
/// use gateway_http1::CommonFields;
///
/// let common = CommonFields::new(b"Sun, 06 Nov 1994 08:49:37 GMT", b"gateway")?;
/// assert!(common.lines().ends_with(b"Server: gateway\r\n"));
/// # Ok::<(), gateway_http1::UsageError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CommonFields(Vec<u8>);

impl CommonFields {
    /// Puts both lines together.
    ///
    /// # Errors
    ///
    /// [`UsageError::FieldValue`] if a value has a byte that no field value may have.
    pub fn new(date: &[u8], server: &[u8]) -> Result<Self, UsageError> {
        for (name, value) in [("date", date), ("server", server)] {
            if !is_all_value(value) {
                return Err(UsageError::FieldValue(name));
            }
        }
        let mut lines = Vec::new();
        push_field(&mut lines, b"Date", date);
        push_field(&mut lines, b"Server", server);
        Ok(Self(lines))
    }

    /// Both lines, each with its end.
    #[inline]
    pub fn lines(&self) -> &[u8] {
        &self.0
    }
}

/// A final response head for [`Connection::send_head`](crate::Connection::send_head), which writes
/// the framing itself.
///
/// `content-length`, `transfer-encoding`, `connection` and `keep-alive` in `headers` are skipped, as
/// are `date` and `server` where those are given here. `common` goes before `date` and `server`.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The status: not 1xx, but for 101.
    pub status: StatusCode,
    /// Another reason phrase than the usual one.
    pub reason: Option<&'a [u8]>,
    /// The fields, written in their order under lower-case names.
    pub headers: &'a dyn Fields,
    /// The body's length, if it is known: `Content-Length`. Else chunked (HTTP/1.1) or until the
    /// connection closes (HTTP/1.0).
    pub length: Option<u64>,
    /// The `Date` field's value.
    pub date: Option<&'a [u8]>,
    /// The `Server` field's value.
    pub server: Option<&'a [u8]>,
    /// `Date` and `Server`, ready to be written; then those two need not be given.
    pub common: Option<&'a CommonFields>,
    /// Close the connection after this response, and say so.
    pub close: bool,
    /// Trailers may follow: chunked where the peer understands it, even if `length` is known.
    pub trailers: bool,
}

impl<'a> ResponseHead<'a> {
    /// A head with a status and fields, nothing else: no length, no date, the connection kept.
    pub fn new(status: StatusCode, headers: &'a dyn Fields) -> Self {
        Self {
            status,
            reason: None,
            headers,
            length: None,
            date: None,
            server: None,
            common: None,
            close: false,
            trailers: false,
        }
    }
}
