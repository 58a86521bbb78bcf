//! The chunked coding once more, for whole inputs and without a thought of speed: RFC 9112 section
//! 7.1, as strict as the engine says it is.

use gateway_http1::Limits;

/// Why there is no whole body.
#[derive(Debug, PartialEq)]
pub enum Stop {
    /// More bytes might make one. Of an unfinished line nothing is said.
    Unfinished,
    Refused,
}

/// What comes behind the last chunk.
#[derive(Debug, PartialEq)]
pub struct End<'a> {
    pub trailers: Vec<(&'a [u8], &'a [u8])>,
    /// What belongs to the next message.
    pub rest: &'a [u8],
}

/// Appends the data of all chunks to `data`; those before an error, too. `fields` is how many the
/// head had: trailers count with them.
pub fn decode<'a>(
    mut rest: &'a [u8],
    fields: usize,
    limits: &Limits,
    data: &mut Vec<u8>,
) -> Result<End<'a>, Stop> {
    let mut all_extensions = 0;
    loop {
        let (line, behind) = line(rest)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, extensions) = line.split_at(digits);
        all_extensions += extensions.len();
        let within = line.len() <= limits.chunk_line && all_extensions <= limits.chunk_extensions;
        let size = size(digits).filter(|_| within && are_extensions(extensions));
        let size = size.ok_or(Stop::Refused)?;
        if size == 0 {
            return trailers(behind, fields, limits);
        }
        let here = usize::try_from(size).unwrap_or(usize::MAX).min(behind.len());
        data.extend_from_slice(&behind[..here]);
        rest = match &behind[here..] {
            [b'\r', b'\n', rest @ ..] if here as u64 == size => rest,
            [] | [b'\r'] => return Err(Stop::Unfinished),
            _ => return Err(Stop::Refused),
        };
    }
}

fn trailers<'a>(section: &'a [u8], fields: usize, limits: &Limits) -> Result<End<'a>, Stop> {
    let mut trailers = Vec::new();
    let mut rest = section;
    loop {
        let (line, behind) = line(rest)?;
        rest = behind;
        if line.is_empty() {
            let fits = section.len() - rest.len() <= limits.trailers;
            return if fits { Ok(End { trailers, rest }) } else { Err(Stop::Refused) };
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or(Stop::Refused)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        trailers.push((name, trim(value)));
        let within = fields + trailers.len() <= limits.headers;
        if !within || !is_token(name) || !value.iter().all(|&byte| is_value(byte)) {
            return Err(Stop::Refused);
        }
    }
}

/// Up to a CRLF, and what is behind it.
fn line(bytes: &[u8]) -> Result<(&[u8], &[u8]), Stop> {
    let end = bytes.windows(2).position(|two| two == b"\r\n").ok_or(Stop::Unfinished)?;
    Ok((&bytes[..end], &bytes[end + 2..]))
}

/// Below 2^63; leading zeros say nothing.
fn size(digits: &[u8]) -> Option<u64> {
    let size = u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    (size < 1 << 63).then_some(size)
}

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`
fn are_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let [b';', name @ ..] = trim_start(rest) else { return false };
        let (name, behind) = split_token(trim_start(name));
        if name.is_empty() {
            return false;
        }
        rest = behind;
        if let [b'=', value @ ..] = trim_start(behind) {
            let Some(behind) = behind_value(trim_start(value)) else { return false };
            rest = behind;
        }
    }
    true
}

fn behind_value(value: &[u8]) -> Option<&[u8]> {
    let [b'"', quoted @ ..] = value else {
        let (token, rest) = split_token(value);
        return (!token.is_empty()).then_some(rest);
    };
    let mut rest = quoted;
    loop {
        rest = match rest {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', byte, rest @ ..] if is_value(*byte) => rest,
            [byte, rest @ ..] if is_value(*byte) && *byte != b'\\' => rest,
            _ => return None,
        };
    }
}

fn split_token(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().take_while(|&&byte| is_token(&[byte])).count())
}

fn is_token(bytes: &[u8]) -> bool {
    let is = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is)
}

fn is_value(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| is_blank(byte)).count()..]
}

fn trim(bytes: &[u8]) -> &[u8] {
    let bytes = trim_start(bytes);
    &bytes[..bytes.len() - bytes.iter().rev().take_while(|byte| is_blank(byte)).count()]
}
