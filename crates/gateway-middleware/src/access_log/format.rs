//! Lines as web servers write them.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write as _;

use jiff::ZonedDateTime;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

use super::event::{FIELDS, place};
use super::texts::Texts;

/// How a line of [`AccessLines`](super::AccessLines) is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// The Common Log Format: address, user, time, request line, status, bytes of the body.
    Common,
    /// The same with Referer and User-Agent, as Apache and nginx have it.
    Combined,
    /// An object in JSON with these, how long it took, in milliseconds, and the
    /// [`RequestId`](crate::RequestId) if the request has one.
    Json,
}

/// What an event says of a request.
#[derive(Debug)]
pub(super) struct Finished {
    /// By the places of the event's fields.
    pub(super) texts: Texts<FIELDS>,
    pub(super) status: Option<u64>,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
}

impl Finished {
    /// Appends the line, without its end, of a request that came at `arrived`.
    pub(super) fn write(&self, format: LogFormat, arrived: &ZonedDateTime, line: &mut Vec<u8>) {
        match format {
            LogFormat::Common => self.write_common(arrived, line),
            LogFormat::Combined => {
                self.write_common(arrived, line);
                for place in [place::REFERER, place::USER_AGENT] {
                    line.extend(b" \"");
                    push_escaped(line, self.texts.get(place).unwrap_or(b"-"));
                    line.push(b'"');
                }
            }
            LogFormat::Json => self.write_json(arrived, line),
        }
    }

    fn write_common(&self, arrived: &ZonedDateTime, line: &mut Vec<u8>) {
        let remote = self.texts.get(place::REMOTE).unwrap_or_default();
        let client = self.texts.get(place::CLIENT).filter(|_| !remote.starts_with(b"unix:"));
        push_escaped(line, client.unwrap_or(b"-"));
        line.extend(b" - ");
        let user = self.texts.get(place::USER).unwrap_or(b"-");
        for (part, user) in user.split(|&b| b == b' ').enumerate() {
            line.extend_from_slice(if part > 0 { br"\x20" } else { b"" });
            push_escaped(line, user);
        }
        // Writing to memory does not fail.
        let _ = write!(line, " [{}] \"", arrived.strftime("%d/%b/%Y:%H:%M:%S %z"));
        push_escaped(line, self.method());
        line.push(b' ');
        push_escaped(line, self.texts.get(place::TARGET).unwrap_or_default());
        let _ = write!(line, " {}\" ", self.version());
        for number in [self.status, Some(self.bytes).filter(|&bytes| bytes > 0)] {
            let _ = match number {
                Some(number) => write!(line, "{number} "),
                None => write!(line, "- "),
            };
        }
        line.pop();
    }

    fn write_json(&self, arrived: &ZonedDateTime, line: &mut Vec<u8>) {
        let utc = arrived.with_time_zone(TimeZone::UTC);
        let text = |place| self.texts.get(place).map(String::from_utf8_lossy);
        let object = Object {
            time: utc.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"),
            id: text(place::ID),
            remote: text(place::REMOTE).unwrap_or_default(),
            user: text(place::USER),
            method: String::from_utf8_lossy(self.method()),
            target: text(place::TARGET).unwrap_or_default(),
            version: self.version(),
            status: self.status,
            bytes: self.bytes,
            milliseconds: (self.seconds * 1e6).round() / 1e3,
            referer: text(place::REFERER),
            user_agent: text(place::USER_AGENT),
            aborted: text(place::ABORTED),
        };
        let begin = line.len();
        // Neither writing to memory nor any of these values fails.
        let _ = serde_json::to_writer(&mut *line, &object);
        escape_controls(line, begin);
    }

    fn method(&self) -> &[u8] {
        let method = self.texts.get(place::ODD_METHOD);
        method.or_else(|| self.texts.get(place::METHOD)).unwrap_or_default()
    }

    /// As the request line has it.
    fn version(&self) -> &'static str {
        match self.texts.get(place::VERSION) {
            Some(b"0.9") => "HTTP/0.9",
            Some(b"1.0") => "HTTP/1.0",
            Some(b"2") => "HTTP/2.0",
            Some(b"3") => "HTTP/3.0",
            _ => "HTTP/1.1",
        }
    }
}

#[derive(Serialize)]
struct Object<'a, T: Display> {
    #[serde(serialize_with = "as_shown")]
    time: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    remote: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    method: Cow<'a, str>,
    target: Cow<'a, str>,
    version: &'a str,
    status: Option<u64>,
    bytes: u64,
    milliseconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    referer: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aborted: Option<Cow<'a, str>>,
}

fn as_shown<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Escapes, from `begin` on, DEL and U+0080 to U+009F, which JSON leaves as they are and a terminal may
/// obey.
fn escape_controls(json: &mut Vec<u8>, begin: usize) {
    let is_clean = |pair: &[u8]| pair[0] != 0x7f && !matches!(*pair, [0xc2, 0x80..=0x9f]);
    if json[begin..].windows(2).all(is_clean) {
        return;
    }
    let text = String::from_utf8_lossy(&json.split_off(begin)).into_owned();
    for c in text.chars() {
        // Writing to memory does not fail.
        let _ = match c.is_control() {
            true => write!(json, "\\u{:04x}", u32::from(c)),
            false => write!(json, "{c}"),
        };
    }
}

/// Appends what may stand between quotes, as Apache writes it.
fn push_escaped(line: &mut Vec<u8>, bytes: &[u8]) {
    for &b in bytes {
        match b {
            b'"' | b'\\' => line.extend([b'\\', b]),
            b' '..=b'~' => line.push(b),
            _ => {
                // Writing to memory does not fail.
                let _ = write!(line, "\\x{b:02x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str = "127.0.0.1 - fr\\x20an\\\"k [10/Oct/2000:13:55:36 -0700] \
                          \"GET /apache_pb.gif HTTP/1.0\" 200 2326";

    fn request() -> Finished {
        let mut texts = Texts::of([None; FIELDS]);
        for (place, text) in [
            (place::CLIENT, &b"127.0.0.1"[..]),
            (place::REMOTE, b"127.0.0.1:5000"),
            (place::USER, b"fr an\"k"),
            (place::METHOD, b"GET"),
            (place::TARGET, b"/apache_pb.gif"),
            (place::VERSION, b"1.0"),
            (place::USER_AGENT, b"M\x1b[2J\xc2\x85"),
            (place::ID, b"r-1"),
        ] {
            texts.add(place, |all| all.extend_from_slice(text));
        }
        Finished { texts, status: Some(200), bytes: 2326, seconds: 0.001_234_567 }
    }

    fn line(request: &Finished, format: LogFormat) -> String {
        let arrived = "2000-10-10T13:55:36-07:00[America/Los_Angeles]";
        let arrived = arrived.parse().unwrap_or_else(|_| {
            // Without the system's zones.
            "2000-10-10T13:55:36-07:00[-07:00]".parse().expect("it is sound")
        });
        let mut line = Vec::new();
        request.write(format, &arrived, &mut line);
        String::from_utf8(line).expect("it is text")
    }

    #[test]
    fn lines_have_apaches_form_and_cannot_be_forged() {
        assert_eq!(line(&request(), LogFormat::Common), COMMON);
        let combined = format!("{COMMON} \"-\" \"M\\x1b[2J\\xc2\\x85\"");
        assert_eq!(line(&request(), LogFormat::Combined), combined);
        let nothing = Finished { status: None, bytes: 0, ..request() };
        let nothing = line(&nothing, LogFormat::Common);
        assert!(nothing.ends_with("HTTP/1.0\" - -"), "{nothing}");
    }

    #[test]
    fn only_ip_addresses_are_in_the_common_format() {
        let mut request = request();
        request.texts.add(place::CLIENT, |all| all.extend_from_slice(b"10.0.0.1"));
        request.texts.add(place::REMOTE, |all| all.extend_from_slice(b"unix:10.0.0.1"));
        let text = line(&request, LogFormat::Common);
        assert!(text.starts_with("- - fr"), "{text}");
        let json = line(&request, LogFormat::Json);
        assert!(json.contains(r#""remote":"unix:10.0.0.1""#), "{json}");
    }

    #[test]
    fn a_line_in_json_is_this() {
        let mut request = request();
        let expected = r#"{"time":"2000-10-10T20:55:36.000Z","id":"r-1","remote":"127.0.0.1:5000",\
            "user":"fr an\"k","method":"GET","target":"/apache_pb.gif","version":"HTTP/1.0",\
            "status":200,"bytes":2326,"milliseconds":1.235,\
            "user_agent":"M\u001b[2J\u0085"}"#;
        let expected = expected.replace("\\\n            ", "");
        assert_eq!(line(&request, LogFormat::Json), expected);
        let value: serde_json::Value = serde_json::from_str(&expected).expect("it is JSON");
        assert_eq!(value["user_agent"], "M\u{1b}[2J\u{85}");

        request.texts.add(place::USER_AGENT, |all| all.extend_from_slice(b"\r\n\xff\x7f"));
        request.texts.add(place::ABORTED, |all| all.extend_from_slice(b"gone"));
        let text = line(&request, LogFormat::Json);
        let end = "\"user_agent\":\"\\r\\n\u{fffd}\\u007f\",\"aborted\":\"gone\"}";
        assert!(text.ends_with(end), "{text}");
    }
}
