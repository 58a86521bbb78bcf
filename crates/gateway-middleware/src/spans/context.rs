//! The trace that a request is part of.

use std::fmt::Write;
use std::sync::Arc;

use gateway_core::Environ;
use gateway_request::fields::{single, values};
use uuid::Uuid;

/// The longest `tracestate` that is passed on, in bytes: the least that W3C asks for.
const LONGEST_STATE: usize = 512;

/// The trace that a request is part of, in the extensions of its [`Environ`]; `Spans` puts it there.
///
/// Source: W3C Trace Context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    parent: Option<[u8; 8]>,
    span: [u8; 8],
    flags: u8,
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// The trace of a request, if it has been given one.
    pub fn of(environ: &Environ) -> Option<&TraceContext> {
        environ.extensions().get()
    }

    /// The trace's id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        hex(&self.trace)
    }

    /// The id of this request's part in it: 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        hex(&self.span)
    }

    /// The id of the part that asked for this one, if there is one.
    pub fn parent_span_id(&self) -> Option<String> {
        self.parent.as_ref().map(|parent| hex(parent))
    }

    /// Whether the trace is recorded by whoever asked, or, where it begins here, is to be.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The `traceparent` of requests that this one makes.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id(), self.span_id(), self.flags)
    }

    /// The `tracestate` of requests that this one makes, if there is one.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Goes on in the trace of the request if it is sound and `accepts` says so, and begins one
    /// otherwise.
    pub(super) fn begin(environ: &Environ, accepts: bool) -> TraceContext {
        let parent = single(environ, "traceparent").filter(|_| accepts).and_then(parse);
        // Of a UUID of version 4 the second half is random but for two bits, which are not both 0:
        // so no id is all zeros, as W3C asks.
        let span = second_half(Uuid::new_v4());
        match parent {
            Some((trace, parent, flags)) => {
                let state = state(environ);
                TraceContext { trace, parent: Some(parent), span, flags, state }
            }
            None => {
                let trace = Uuid::new_v4().into_bytes();
                TraceContext { trace, parent: None, span, flags: 1, state: None }
            }
        }
    }

    /// The same where nobody listens: others need not record what would have no beginning.
    pub(super) fn not_recorded(self) -> TraceContext {
        let flags = if self.parent.is_some() { self.flags } else { 0 };
        TraceContext { flags, ..self }
    }
}

fn second_half(uuid: Uuid) -> [u8; 8] {
    let [.., a, b, c, d, e, f, g, h] = uuid.into_bytes();
    [a, b, c, d, e, f, g, h]
}

/// `version "-" trace-id "-" parent-id "-" trace-flags`, in hexadecimal digits of lower case. What
/// a later version adds behind it is passed over.
fn parse(text: &str) -> Option<([u8; 16], [u8; 8], u8)> {
    let mut parts = text.split('-');
    let version: [u8; 1] = digits(parts.next()?)?;
    let trace: [u8; 16] = digits(parts.next()?)?;
    let parent: [u8; 8] = digits(parts.next()?)?;
    let [flags] = digits(parts.next()?)?;
    let is_of_version = match version {
        [0] => parts.next().is_none(),
        [version] => version != 0xff,
    };
    let is_sound = is_of_version && trace != [0; 16] && parent != [0; 8];
    // Flags that are not known are not passed on.
    is_sound.then_some((trace, parent, flags & 1))
}

fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_fit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * N || !text.bytes().all(is_fit) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn state(environ: &Environ) -> Option<Arc<str>> {
    let lines: Vec<&[u8]> = values(environ, "tracestate").collect();
    let state = String::from_utf8(lines.join(&b","[..])).ok()?;
    let is_fit = !state.is_empty() && state.len() <= LONGEST_STATE;
    is_fit.then(|| state.into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_sound_or_none() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let read =
            |text: &str| parse(text).map(|(trace, span, flags)| (hex(&trace), hex(&span), flags));
        let expected = |flags| Some((trace.to_owned(), span.to_owned(), flags));
        assert_eq!(read(&format!("00-{trace}-{span}-01")), expected(1));
        assert_eq!(read(&format!("00-{trace}-{span}-02")), expected(0));
        assert_eq!(read(&format!("cc-{trace}-{span}-01-what-comes-later")), expected(1));
        for wrong in [
            String::new(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-more"),
            format!("00-{trace}-{span}-01-"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", &trace[1..]),
            format!("00-{trace}-{span}-1"),
            format!("00-{trace}-{span}-+1"),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }
}
