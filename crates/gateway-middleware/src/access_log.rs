//! A line for every request.

use std::fmt::{self, Write};
use std::time::Instant;

use gateway_core::exchange::End;
use gateway_core::{
    Address, Application, Environ, ErrorStream, IntoApplication, Reply, StartResponse,
};
use jiff::ZonedDateTime;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::RequestId;
use crate::credentials::basic_credentials;

/// How a line of an [`AccessLog`] is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// The Common Log Format: address, user, time, request line, status, bytes of the body.
    Common,
    /// The same with Referer and User-Agent, as Apache and nginx have it.
    Combined,
    /// An object in JSON with these, how long it took, in milliseconds, and the [`RequestId`] if the
    /// request has one.
    Json,
}

/// Writes a line for every request once it is over, also for those that fail or are cut off.
///
/// The time is that of the request's arrival, in the system's time zone (in JSON: in UTC). The user
/// is whoever the request says it is by Basic authentication; with a 401 beside it, do not believe
/// it. The bytes are those of the body, without framing. What a peer sends cannot forge a line or
/// drive a terminal: it is escaped. The remote address is what the request says when it comes by
/// here: mount it inside of `Forwarded` where a proxy stands in front.
///
/// Lines may go anywhere an [`ErrorStream`] leads, to `tracing` for instance:
/// `ErrorStream::new(|line: &str| tracing::info!(target: "access", "{line}"))`.
#[derive(Debug)]
pub struct AccessLog<A> {
    app: A,
    format: LogFormat,
    lines: ErrorStream,
}

impl<A: Application> AccessLog<A> {
    /// Logs the requests of `app` to `lines`.
    pub fn new<M>(
        app: impl IntoApplication<M, Application = A>,
        format: LogFormat,
        lines: ErrorStream,
    ) -> AccessLog<A> {
        AccessLog { app: app.into_application(), format, lines }
    }
}

impl<A: Application> Application for AccessLog<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let request = Request::of(&environ);
        let (format, lines) = (self.format, self.lines.clone());
        start_response.on_end(move |end| lines.line(request.line(format, end)));
        self.app.call(environ, start_response)
    }
}

/// What is left of a request when it is over.
struct Request {
    arrived: ZonedDateTime,
    begun: Instant,
    id: Option<RequestId>,
    remote: Address,
    user: Option<Vec<u8>>,
    method: String,
    target: String,
    version: String,
    referer: Option<Vec<u8>>,
    user_agent: Option<Vec<u8>>,
}

impl Request {
    fn of(environ: &Environ) -> Request {
        let field = |name: &str| environ.header(name).map(<[u8]>::to_vec);
        Request {
            arrived: ZonedDateTime::now(),
            begun: Instant::now(),
            id: RequestId::of(environ).cloned(),
            remote: environ.remote_addr().clone(),
            user: basic_credentials(environ).and_then(user_of),
            method: environ.method().to_string(),
            target: environ.raw_target().to_owned(),
            version: format!("{:?}", environ.version()),
            referer: field("referer"),
            user_agent: field("user-agent"),
        }
    }

    fn line(&self, format: LogFormat, end: &End<'_>) -> String {
        match format {
            LogFormat::Common => self.common(end),
            LogFormat::Combined => format!(
                "{} \"{}\" \"{}\"",
                self.common(end),
                Quoted(self.referer.as_deref()),
                Quoted(self.user_agent.as_deref()),
            ),
            LogFormat::Json => self.json(end),
        }
    }

    fn common(&self, end: &End<'_>) -> String {
        let remote = self.remote.inet().map(|address| address.ip().to_canonical().to_string());
        let user = Quoted(self.user.as_deref()).to_string().replace(' ', r"\x20");
        let request = format!("{} {} {}", self.method, self.target, self.version);
        let or_dash = |number: Option<u64>| number.map_or("-".to_owned(), |n| n.to_string());
        format!(
            "{} - {user} [{}] \"{}\" {} {}",
            remote.as_deref().unwrap_or("-"),
            self.arrived.strftime("%d/%b/%Y:%H:%M:%S %z"),
            Quoted(Some(request.as_bytes())),
            or_dash(end.status.map(|status| status.as_u16().into())),
            or_dash((end.bytes_sent > 0).then_some(end.bytes_sent)),
        )
    }

    fn json(&self, end: &End<'_>) -> String {
        let text = |bytes: &Option<Vec<u8>>| {
            bytes.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        let utc = self.arrived.with_time_zone(TimeZone::UTC);
        let line = Line {
            time: utc.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
            id: self.id.as_ref().map(RequestId::as_str),
            remote: self.remote.to_string(),
            user: text(&self.user),
            method: &self.method,
            target: &self.target,
            version: &self.version,
            status: end.status.map(|status| status.as_u16()),
            bytes: end.bytes_sent,
            milliseconds: (self.begun.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            referer: text(&self.referer),
            user_agent: text(&self.user_agent),
            aborted: end.abort.map(ToString::to_string),
        };
        let json = serde_json::to_string(&line).unwrap_or_default();
        // DEL and U+0080 to U+009F, which JSON would leave as they are and a terminal may obey.
        json.chars().fold(String::with_capacity(json.len()), |mut json, c| {
            if c.is_control() {
                // Writing to a string does not fail.
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            } else {
                json.push(c);
            }
            json
        })
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    remote: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    method: &'a str,
    target: &'a str,
    version: &'a str,
    status: Option<u16>,
    bytes: u64,
    milliseconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    referer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aborted: Option<String>,
}

fn user_of(mut credentials: Vec<u8>) -> Option<Vec<u8>> {
    let colon = credentials.iter().position(|&b| b == b':')?;
    credentials.truncate(colon);
    Some(credentials).filter(|user| !user.is_empty())
}

/// What may stand between quotes: as Apache writes it, or a dash for nothing.
struct Quoted<'a>(Option<&'a [u8]>);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &b in self.0.unwrap_or(b"-") {
            match b {
                b'"' | b'\\' => write!(f, "\\{}", char::from(b))?,
                b' '..=b'~' => f.write_char(char::from(b))?,
                _ => write!(f, "\\x{b:02x}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::http::StatusCode;

    fn request() -> Request {
        let arrived = "2000-10-10T13:55:36-07:00[America/Los_Angeles]";
        Request {
            arrived: arrived.parse().unwrap_or_else(|_| {
                // Without the system's zones.
                "2000-10-10T13:55:36-07:00[-07:00]".parse().expect("it is sound")
            }),
            begun: Instant::now(),
            id: RequestId::new("r-1"),
            remote: Address::Inet("127.0.0.1:5000".parse().expect("it is sound")),
            user: Some(b"fr an\"k".to_vec()),
            method: "GET".into(),
            target: "/apache_pb.gif".into(),
            version: "HTTP/1.0".into(),
            referer: None,
            user_agent: Some(b"M\x1b[2J\xc2\x85".to_vec()),
        }
    }

    #[test]
    fn lines_have_apaches_form_and_cannot_be_forged() {
        let end = End::new(Some(StatusCode::OK), 2326);
        let common = "127.0.0.1 - fr\\x20an\\\"k [10/Oct/2000:13:55:36 -0700] \
                      \"GET /apache_pb.gif HTTP/1.0\" 200 2326";
        assert_eq!(request().line(LogFormat::Common, &end), common);
        let combined = format!("{common} \"-\" \"M\\x1b[2J\\xc2\\x85\"");
        assert_eq!(request().line(LogFormat::Combined, &end), combined);
        let nothing = request().line(LogFormat::Common, &End::new(None, 0));
        assert!(nothing.ends_with("HTTP/1.0\" - -"), "{nothing}");
    }

    #[test]
    fn json_stays_json() {
        let line = request().line(LogFormat::Json, &End::new(Some(StatusCode::OK), 5));
        assert!(!line.contains(char::is_control), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
        assert_eq!(value["time"], "2000-10-10T20:55:36.000Z");
        assert_eq!(value["id"], "r-1");
        assert_eq!(value["user_agent"], "M\u{1b}[2J\u{85}");
        assert_eq!((&value["status"], &value["bytes"]), (&200.into(), &5.into()));
    }
}
