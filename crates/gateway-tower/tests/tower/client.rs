//! A client that sees every byte.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::hosts::{Host, PATIENCE};

/// What a host answered, without what is the server's own affair: the version and the reason phrase
/// are, too.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: BTreeMap<String, Vec<String>>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<String>,
    /// The body ended as its framing says.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |values| &values[0])
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        let body: String = text.chars().take(200).collect();
        let Answer { status, fields, trailers, whole, .. } = self;
        let length = text.len();
        write!(f, "{status} {fields:?} {body:?} ({length} bytes) {trailers:?} whole: {whole}")
    }
}

/// The server's own: framing, hop, date, name.
const OWN: &[&str] =
    &["date", "server", "content-length", "transfer-encoding", "connection", "keep-alive"];

pub(crate) fn connect(host: &Host) -> TcpStream {
    let stream = TcpStream::connect(host.address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// A GET that closes.
pub(crate) fn get(host: &Host, path: &str) -> Answer {
    ask(host, format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"))
}

/// Sends `request` and reads its answer.
pub(crate) fn ask(host: &Host, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = connect(host);
    stream.write_all(request.as_ref()).expect("the host reads");
    let head_only = request.as_ref().starts_with(b"HEAD");
    read_answer(&mut BufReader::new(stream), head_only)
}

/// A request with a body of known length.
pub(crate) fn with_body(line: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{line} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for (name, value) in fields {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("content-length: {}\r\n\r\n", body.len());
    let mut request = request.into_bytes();
    request.extend_from_slice(body);
    request
}

/// A request whose body comes in chunks.
pub(crate) fn chunked(line: &str, chunks: &[&[u8]], trailers: &str) -> Vec<u8> {
    let mut request = format!(
        "{line} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for chunk in chunks {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
    request
}

/// Reads a head: its status line and its fields, all of them.
pub(crate) fn read_head(reader: &mut impl BufRead) -> (String, BTreeMap<String, Vec<String>>) {
    let status = read_line(reader);
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    loop {
        let line = read_line(reader);
        if line.is_empty() {
            return (status, fields);
        }
        let (name, value) = line.split_once(':').expect("a field has a name");
        let values = fields.entry(name.to_ascii_lowercase()).or_default();
        values.push(value.trim().to_owned());
    }
}

pub(crate) fn read_answer(reader: &mut impl BufRead, head_only: bool) -> Answer {
    let (status, mut fields) = read_head(reader);
    let chunked = fields.get("transfer-encoding").is_some_and(|values| values == &["chunked"]);
    let length = fields.get("content-length").map(|values| values[0].parse().expect("a length"));
    fields.retain(|name, _| !OWN.contains(&&**name));
    let status = status[9..12].parse().expect("a status");
    let mut answer = Answer { status, fields, body: Vec::new(), trailers: Vec::new(), whole: true };
    if head_only || matches!(status, 100..200 | 204 | 304) {
        return answer;
    }
    match (chunked, length) {
        (true, _) => answer.whole = read_chunks(reader, &mut answer.body, &mut answer.trailers),
        (false, Some(length)) => {
            let read = reader.take(length).read_to_end(&mut answer.body);
            answer.whole = read.is_ok_and(|read| read as u64 == length);
        }
        (false, None) => answer.whole = reader.read_to_end(&mut answer.body).is_ok(),
    }
    answer
}

/// One chunk's data; `None` behind the last.
pub(crate) fn read_chunk(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let line = read_line(reader);
    let length = usize::from_str_radix(&line, 16).expect("a chunk's length");
    let mut data = vec![0; length];
    reader.read_exact(&mut data).expect("a chunk's data");
    if length == 0 {
        return None;
    }
    assert_eq!(read_line(reader), "");
    Some(data)
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>, trailers: &mut Vec<String>) -> bool {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() || !line.ends_with("\r\n") {
            return false;
        }
        let length = u64::from_str_radix(line.trim_end(), 16).expect("a chunk's length");
        if length == 0 {
            break;
        }
        let before = body.len();
        let read = reader.by_ref().take(length).read_to_end(body);
        if read.is_err() || (body.len() - before) as u64 != length {
            return false;
        }
        line.clear();
        if reader.read_line(&mut line).is_err() || line != "\r\n" {
            return false;
        }
    }
    loop {
        let line = read_line(reader);
        if line.is_empty() {
            return true;
        }
        trailers.push(line);
    }
}

fn read_line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    assert!(line.ends_with("\r\n"), "not a whole line: {line:?}");
    line.truncate(line.len() - 2);
    line
}
