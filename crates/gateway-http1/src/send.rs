//! The connection, as far as it speaks.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::chunked::push_size;
use crate::encode::{Persistence, push_head, push_informational, push_last_chunk};
use crate::scan::is_all_value;
use crate::state::{CloseReason, Framing, Ours, Peer};
use crate::{Connection, Output, ResponseHead, UsageError};

impl Connection {
    /// Whether the peer waits for a `100 Continue`: it asked for one, none was sent, no final head
    /// was sent, and no byte of the body has come.
    #[inline]
    pub fn expects_continue(&self) -> bool {
        self.request.expects && self.state.ours() == Ours::Owed && self.state.peer() == Peer::Body
    }

    /// Sends `100 Continue` if it is [expected](Self::expects_continue), else nothing. To be called
    /// when the application first reads the body (RFC 9110 section 10.1.1).
    pub fn send_continue(&mut self, out: &mut Output) {
        if self.expects_continue() {
            self.request.expects = false;
            push_informational(out.buffer(), StatusCode::CONTINUE, &HeaderMap::new());
        }
    }

    /// Sends an informational response, such as 103 with `Link` fields, before the final head. Does
    /// nothing to an HTTP/1.0 peer, which would take it for the final one (RFC 9110 section 15.2),
    /// nor for 101 and statuses that are not informational, nor where no head is owed.
    pub fn send_informational(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        out: &mut Output,
    ) {
        let informs = status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS;
        if informs && self.request.http_11 && self.state.ours() == Ours::Owed {
            if status == StatusCode::CONTINUE {
                self.request.expects = false;
            }
            push_informational(out.buffer(), status, headers);
        }
    }

    /// Sends the final head, with its framing and with the decision whether the connection is kept.
    /// Before a 101 goes the `100 Continue` that is still [expected](Self::expects_continue).
    ///
    /// To be called once per request, also for one that could not be understood: after an
    /// [`Error`](crate::Error) without a request, or before its head was sent.
    ///
    /// The body's framing (RFC 9112 section 6) follows from the status, the method, the peer's
    /// version and [`ResponseHead::length`]; see [`response_bodiless`](Self::response_bodiless).
    ///
    /// # Errors
    ///
    /// [`NoRequest`](UsageError::NoRequest), [`HeadSent`](UsageError::HeadSent) or
    /// [`Cut`](UsageError::Cut) at the wrong time;
    /// [`InformationalStatus`](UsageError::InformationalStatus) for 1xx, but 101 is only refused
    /// with [`NoUpgrade`](UsageError::NoUpgrade) if the peer did not offer one;
    /// [`Reason`](UsageError::Reason) and [`FieldValue`](UsageError::FieldValue) for control bytes.
    #[inline]
    pub fn send_head(
        &mut self,
        head: &ResponseHead<'_>,
        out: &mut Output,
    ) -> Result<(), UsageError> {
        self.check_head(head)?;
        let status = head.status.as_u16();
        let switching = status == 101;
        let framed = !switching && status != 204;
        let bodiless = !framed || status == 304 || self.request.head_method;
        let framing = match head.length {
            Some(length) if !(head.trailers && self.request.http_11) => Framing::Length(length),
            _ if self.request.http_11 => Framing::Chunked,
            _ => Framing::UntilClose,
        };
        if switching {
            // RFC 9110 section 7.8: who offers an upgrade and expects a 100 gets both, in this order.
            self.send_continue(out);
        }
        if head.close {
            self.state.close(CloseReason::ResponseRequested);
        }
        if self.expects_continue() || head.length.is_some() && self.much_unread() {
            self.state.close(CloseReason::UnreadBody);
        }
        if framing == Framing::UntilClose && !bodiless {
            self.state.close(CloseReason::UntilClose);
        }
        let announced = match framing {
            _ if !framed => None,
            // It would be the length of what a 200 had: 0 tells that nobody knew.
            Framing::Chunked | Framing::Length(0) if status == 304 => None,
            other => Some(other),
        };
        let persistence = match self.state.close_reason() {
            _ if switching => Persistence::Switched,
            Some(_) => Persistence::Close,
            None if self.request.http_11 => Persistence::Default,
            None => Persistence::Kept,
        };
        if !push_head(out.buffer(), head, announced, persistence) {
            return Err(UsageError::FieldValue("a field"));
        }
        self.request.expects = false;
        self.state.head_sent(if bodiless { Framing::Bodiless } else { framing }, switching);
        Ok(())
    }

    /// Sends data of the response's body. Empty data sends nothing: in chunked framing an empty
    /// chunk would be the end. Where there is no body, data is dropped.
    ///
    /// # Errors
    ///
    /// [`TooLong`](UsageError::TooLong) if that is more than `Content-Length` said, and then nothing
    /// of it is sent. [`HeadNotSent`](UsageError::HeadNotSent),
    /// [`NoRequest`](UsageError::NoRequest) or [`Cut`](UsageError::Cut) at the wrong time.
    #[inline]
    pub fn send_data(&mut self, data: Bytes, out: &mut Output) -> Result<(), UsageError> {
        match self.framing()? {
            Framing::Length(left) => {
                self.state.data_sent(subtract(left, data.len() as u64)?);
                out.push_bytes(data);
            }
            Framing::Chunked if !data.is_empty() => {
                push_size(out.buffer(), data.len());
                out.push_bytes(data);
                out.push_slice(b"\r\n");
            }
            Framing::UntilClose => out.push_bytes(data),
            Framing::Chunked | Framing::Bodiless => {}
        }
        Ok(())
    }

    /// Accounts for data of the response's body that goes to the wire by other means, such as
    /// sendfile: `length` bytes, which must follow after everything in `out` has been written.
    ///
    /// # Errors
    ///
    /// [`NotAnnounceable`](UsageError::NotAnnounceable) in chunked framing and where there is no
    /// body; else like [`send_data`](Self::send_data).
    pub fn announce_data(&mut self, length: u64, _out: &mut Output) -> Result<(), UsageError> {
        match self.framing()? {
            Framing::Length(left) => {
                self.state.data_sent(subtract(left, length)?);
                Ok(())
            }
            Framing::UntilClose => Ok(()),
            Framing::Chunked | Framing::Bodiless => Err(UsageError::NotAnnounceable),
        }
    }

    /// Ends the response. Trailers are sent in chunked framing only, and only those that may come
    /// late; others are dropped.
    ///
    /// # Errors
    ///
    /// [`TooShort`](UsageError::TooShort) if data is missing that `Content-Length` announced: call
    /// [`cut`](Self::cut). [`HeadNotSent`](UsageError::HeadNotSent),
    /// [`NoRequest`](UsageError::NoRequest) or [`Cut`](UsageError::Cut) at the wrong time.
    #[inline]
    pub fn send_end(
        &mut self,
        trailers: Option<&HeaderMap>,
        out: &mut Output,
    ) -> Result<(), UsageError> {
        match self.framing()? {
            Framing::Length(0) | Framing::UntilClose | Framing::Bodiless => {}
            Framing::Length(missing) => return Err(UsageError::TooShort { missing }),
            Framing::Chunked => push_last_chunk(out.buffer(), trailers),
        }
        self.state.response_ended();
        Ok(())
    }

    /// Gives the response up: nothing more is sent, so that the peer can see that it is incomplete,
    /// and the connection must be closed. To be called when a response cannot be completed, be its
    /// head out or not.
    pub fn cut(&mut self) {
        self.state.cut(CloseReason::Cut);
    }

    /// Decides to close the connection after the present response, and says so if the head is not
    /// out yet. The first reason that was given stays.
    pub fn close_after_response(&mut self, reason: CloseReason) {
        self.state.close(reason);
    }

    /// Whether the response has no content on the wire: to HEAD, and with 101, 204 and 304. Known
    /// from [`send_head`](Self::send_head) on.
    #[inline]
    pub fn response_bodiless(&self) -> bool {
        self.state.ours() == Ours::Sending(Framing::Bodiless)
    }

    #[inline]
    fn check_head(&self, head: &ResponseHead<'_>) -> Result<(), UsageError> {
        if !self.state.may_send_head() {
            return Err(match self.state.ours() {
                Ours::Sending(_) => UsageError::HeadSent,
                Ours::Cut => UsageError::Cut,
                Ours::Idle | Ours::Done | Ours::Owed => UsageError::NoRequest,
            });
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            if !self.request.upgrade || matches!(self.state.peer(), Peer::Failed(_)) {
                return Err(UsageError::NoUpgrade);
            }
        } else if head.status.is_informational() {
            return Err(UsageError::InformationalStatus);
        }
        if !head.reason.is_none_or(is_all_value) {
            return Err(UsageError::Reason);
        }
        if head.common.is_some() {
            return Ok(());
        }
        if !head.date.is_none_or(is_all_value) {
            return Err(UsageError::FieldValue("date"));
        }
        if !head.server.is_none_or(is_all_value) {
            return Err(UsageError::FieldValue("server"));
        }
        Ok(())
    }

    #[inline]
    fn framing(&self) -> Result<Framing, UsageError> {
        match self.state.ours() {
            Ours::Sending(framing) => Ok(framing),
            Ours::Owed => Err(UsageError::HeadNotSent),
            Ours::Idle | Ours::Done => Err(UsageError::NoRequest),
            Ours::Cut => Err(UsageError::Cut),
        }
    }
}

#[inline]
fn subtract(left: u64, length: u64) -> Result<u64, UsageError> {
    left.checked_sub(length).ok_or_else(|| UsageError::TooLong { excess: length - left })
}
