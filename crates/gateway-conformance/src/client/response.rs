//! What came of a request.

use std::fmt;

use bytes::Bytes;
use gateway_core::Head;
use gateway_core::http::{HeaderMap, StatusCode};

use super::recorder::Recorder;
use crate::lint::Violation;

/// What the peer of a [`TestClient`](crate::TestClient) has received, and what else there is to
/// know of the exchange.
pub struct TestResponse {
    wire: Recorder,
    ending: Ending,
    lines: Vec<String>,
    upgraded: Bytes,
    closed: bool,
    pub(super) violations: Vec<Violation>,
}

/// What the end hooks were told.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) bytes_sent: u64,
    pub(super) error: Option<String>,
}

impl TestResponse {
    pub(super) fn new(
        wire: Recorder,
        ending: Ending,
        lines: Vec<String>,
        upgraded: Bytes,
        closed: bool,
    ) -> TestResponse {
        TestResponse { wire, ending, lines, upgraded, closed, violations: Vec::new() }
    }

    /// The head, as a server would send it: with the Content-Length that is known beforehand, and
    /// without Date and Server. `None` if the peer had gone before there was one.
    pub fn head(&self) -> Option<&Head> {
        self.wire.head.as_ref()
    }

    /// The status.
    ///
    /// # Panics
    ///
    /// If no head was sent.
    #[track_caller]
    pub fn status(&self) -> StatusCode {
        self.sent_head().status
    }

    /// The header fields.
    ///
    /// # Panics
    ///
    /// If no head was sent.
    #[track_caller]
    pub fn headers(&self) -> &HeaderMap {
        &self.sent_head().headers
    }

    /// The first value of the header field `name`.
    ///
    /// # Panics
    ///
    /// If no head was sent, or the value is not visible ASCII.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers().get(name)?;
        Some(value.to_str().expect("a value of visible ASCII"))
    }

    /// The body.
    pub fn body(&self) -> Bytes {
        match &self.wire.data[..] {
            [one] => one.clone(),
            data => data.concat().into(),
        }
    }

    /// The body, datum by datum as the application brought them.
    pub fn data(&self) -> &[Bytes] {
        &self.wire.data
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// If it is no UTF-8.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.body().into()).expect("a body of UTF-8")
    }

    /// The body, read as JSON.
    ///
    /// # Panics
    ///
    /// If it is none, or none that fits `T`.
    ///
    /// ```
    /// use gateway_conformance::TestClient;
    /// use gateway_core::{Environ, Response, Result, StartResponse};
    /// use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
    ///
    /// fn echo(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    ///     let json = environ.input().collect(1 << 10)?;
    ///     let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "application/json")]);
    ///     Ok(response.with_body(json))
    /// }
    ///
    /// let response = TestClient::new(echo).post("/").json(&[1, 2, 3]).send();
    /// assert_eq!(response.json::<Vec<u32>>(), [1, 2, 3]);
    /// ```
    #[cfg(feature = "json")]
    #[track_caller]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body()) {
            Ok(value) => value,
            Err(error) => panic!("the body is not the JSON that was expected: {error}"),
        }
    }

    /// The trailers, if there were some and there was room for them.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.wire.trailers.as_ref()
    }

    /// The fields of each `103 Early Hints`.
    pub fn early_hints(&self) -> &[HeaderMap] {
        &self.wire.hints
    }

    /// The lines on the error stream: of the application, of the server, and of the contract.
    pub fn errors(&self) -> &[String] {
        &self.lines
    }

    /// Whether the application gave a body, be it empty, and it was dropped before the end hooks
    /// ran.
    pub fn body_closed(&self) -> bool {
        self.closed
    }

    /// Whether the response lacks its end: it was cut, or the peer has gone.
    pub fn is_cut(&self) -> bool {
        let switched = |head: &Head| head.status == StatusCode::SWITCHING_PROTOCOLS;
        !self.wire.ended && !self.wire.head.as_ref().is_some_and(switched)
    }

    /// What went wrong, with its causes, as the end hooks were told; also where the peer got a
    /// status for it.
    pub fn error(&self) -> Option<&str> {
        self.ending.error.as_deref()
    }

    /// How many bytes of the body the end hooks were told of.
    pub fn bytes_sent(&self) -> u64 {
        self.ending.bytes_sent
    }

    /// What the application sent after an upgrade.
    pub fn upgraded(&self) -> &Bytes {
        &self.upgraded
    }

    /// What the lint has found: every broken SHOULD, and with
    /// [`TestClient::reporting`](crate::TestClient::reporting) every broken MUST.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    #[track_caller]
    fn sent_head(&self) -> &Head {
        self.wire.head.as_ref().expect("the peer has gone before there was a head")
    }
}

impl fmt::Debug for TestResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestResponse")
            .field("head", &self.wire.head)
            .field("body", &self.body())
            .field("cut", &self.is_cut())
            .field("error", &self.ending.error)
            .field("errors", &self.lines)
            .field("violations", &self.violations)
            .finish_non_exhaustive()
    }
}
