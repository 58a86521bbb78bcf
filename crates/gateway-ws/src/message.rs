//! What a WebSocket carries.

use std::fmt;
use std::ops::Deref;

use gateway_core::bytes::Bytes;
use tungstenite::Utf8Bytes;
use tungstenite::protocol::CloseFrame;

/// A message: one or several frames on the wire, always whole here.
///
/// Pings are answered and pongs noted without showing up; a close is the end of receiving.
///
/// Source: RFC 6455 §5.6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(Text),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// The content, of whichever kind.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }
}

impl From<Message> for tungstenite::Message {
    fn from(message: Message) -> tungstenite::Message {
        match message {
            Message::Text(text) => tungstenite::Message::Text(text.0),
            Message::Binary(bytes) => tungstenite::Message::Binary(bytes),
        }
    }
}

/// Text that is shared, so that a clone costs no copy: one message goes to a thousand peers.
///
/// ```
/// use gateway_ws::Text;
///
/// let text = Text::from(format!("{} of {}", 1, 2));
/// assert!(text.starts_with("1 of"));
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Text(pub(crate) Utf8Bytes);

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

macro_rules! from {
    ($($source:ty => $kind:ident($convert:path)),*) => {$(
        impl From<$source> for Message {
            fn from(content: $source) -> Message {
                Message::$kind($convert(content))
            }
        }
    )*};
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(text.into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(text.into())
    }
}

from!(
    String => Text(Text::from),
    &str => Text(Text::from),
    Text => Text(std::convert::identity),
    Bytes => Binary(std::convert::identity),
    Vec<u8> => Binary(Bytes::from)
);

/// Why a side closes: a code that may be sent.
///
/// Source: RFC 6455 §7.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: what it was opened for is done.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// 1001: the server stops, or the page is left.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// 1002: the other side broke the protocol.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// 1003: a kind of message that this side does not take.
    pub const UNSUPPORTED: CloseCode = CloseCode(1003);
    /// 1007: a text that is no UTF-8, or otherwise not what its kind promises.
    pub const INVALID_DATA: CloseCode = CloseCode(1007);
    /// 1008: against the rules of this side, whatever they are.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// 1009: a message that is too large.
    pub const TOO_LARGE: CloseCode = CloseCode(1009);
    /// 1011: this side failed.
    pub const INTERNAL_ERROR: CloseCode = CloseCode(1011);
    /// 1012: the server restarts.
    pub const RESTART: CloseCode = CloseCode(1012);
    /// 1013: the server has too much to do.
    pub const TRY_AGAIN: CloseCode = CloseCode(1013);

    /// The code `code`, if it may be sent: 1000 to 1003, 1007 to 1014, and 3000 to 4999, of which
    /// those from 4000 on are for applications to choose.
    ///
    /// ```
    /// use gateway_ws::CloseCode;
    ///
    /// assert!(CloseCode::new(4001).is_some());
    /// assert!(CloseCode::new(1006).is_none(), "it says that there was no close");
    /// ```
    pub fn new(code: u16) -> Option<CloseCode> {
        let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        allowed.then_some(CloseCode(code))
    }

    /// The number.
    pub fn as_u16(self) -> u16 {
        self.0
    }
}

/// A close: its code and a reason for whoever debugs it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Close {
    /// Why.
    pub code: CloseCode,
    /// The same in words; at most 123 bytes.
    pub reason: Text,
}

/// A control frame has 125 bytes (RFC 6455 §5.5), and two are the code.
const MAX_REASON: usize = 123;

impl Close {
    /// A close with `code` and `reason`, of which 123 bytes are kept.
    pub fn new(code: CloseCode, reason: impl Into<Text>) -> Close {
        let mut reason = reason.into();
        if reason.len() > MAX_REASON {
            reason = reason[..reason.floor_char_boundary(MAX_REASON)].into();
        }
        Close { code, reason }
    }

    /// What the peer sent; `None` where it gave no code.
    pub(crate) fn received(frame: Option<CloseFrame>) -> Option<Close> {
        let frame = frame?;
        Some(Close { code: CloseCode(frame.code.into()), reason: Text(frame.reason) })
    }
}

impl From<CloseCode> for Close {
    fn from(code: CloseCode) -> Close {
        Close { code, reason: Text::default() }
    }
}

impl From<Close> for CloseFrame {
    fn from(close: Close) -> CloseFrame {
        CloseFrame { code: close.code.0.into(), reason: close.reason.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let close = Close::new(CloseCode::NORMAL, "é".repeat(100));
        assert_eq!(&*close.reason, "é".repeat(61));
        assert_eq!(Close::new(CloseCode::NORMAL, "x".repeat(123)).reason.len(), 123);
    }

    #[test]
    fn codes_that_mean_no_close_cannot_be_sent() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
            assert_eq!(CloseCode::new(code), None, "{code}");
        }
        for code in [1000, 1003, 1007, 1014, 3000, 4999] {
            assert_eq!(CloseCode::new(code).map(CloseCode::as_u16), Some(code));
        }
    }
}
