//! Field lines: those of a head and those of a trailer section (RFC 9112 section 5).

use crate::framing::Notes;
use crate::scan::{is_blank, token_end, value_end};
use crate::{Error, Field, Span};

/// Finds field lines in bytes that may come in any pieces. Each byte is looked at once, also if the
/// pieces are single bytes: what is kept is the place inside the line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FieldScanner {
    phase: Phase,
    /// Where to go on.
    at: u16,
    name: Span,
    value: u16,
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    /// At the first byte of a line.
    #[default]
    Start,
    Name,
    /// Behind the colon, before the value.
    Blank,
    Value,
    /// Behind the CR of a field line.
    Lf,
    /// Behind the CR of the empty line.
    EndLf,
}

impl FieldScanner {
    /// Starts at an offset in the bytes that will be passed to [`scan`](Self::scan).
    #[inline]
    pub(crate) fn starting_at(at: usize) -> Self {
        Self { at: at as u16, ..Self::default() }
    }

    /// Goes on where it stopped: `section` must begin with the bytes it had the last time, and be no
    /// longer than positions can express. Each whole field is added to `fields`, up to `limit` of
    /// them; `notes` are taken of those that matter here. Returns the offset behind the section's
    /// empty line, or `None` if more bytes are needed.
    #[inline(always)]
    pub(crate) fn scan(
        &mut self,
        section: &[u8],
        fields: &mut Vec<Field>,
        limit: usize,
        mut notes: Option<&mut Notes>,
    ) -> Result<Option<usize>, Error> {
        debug_assert!(section.len() <= usize::from(u16::MAX));
        if !matches!(self.phase, Phase::Start)
            && let Some(outcome) = self.step_line(section, fields, limit, notes.as_deref_mut())?
        {
            return Ok(outcome);
        }
        let mut at = usize::from(self.at);
        loop {
            if let Some(field) = plain_line(section, at)
                && fields.len() < limit
            {
                at = usize::from(field.value.start) + usize::from(field.value.len) + 2;
                fields.push(field);
                if let Some(notes) = &mut notes {
                    notes.note(section, field);
                }
                continue;
            }
            if section[at..].starts_with(b"\r\n") {
                return Ok(Some(at + 2));
            }
            self.at = at as u16;
            if let Some(end) = self.step_line(section, fields, limit, notes.as_deref_mut())? {
                return Ok(end);
            }
            at = usize::from(self.at);
        }
    }

    /// The same for one line of any kind: whatever is unusual, unfinished or wrong about it. Returns
    /// what [`scan`](Self::scan) does if the section ends there, else `None`.
    #[inline(never)]
    fn step_line(
        &mut self,
        section: &[u8],
        fields: &mut Vec<Field>,
        limit: usize,
        notes: Option<&mut Notes>,
    ) -> Result<Option<Option<usize>>, Error> {
        let mut at = usize::from(self.at);
        loop {
            let Some(&byte) = section.get(at) else {
                self.at = at as u16;
                return Ok(Some(None));
            };
            match self.phase {
                Phase::Start => match byte {
                    b'\r' => {
                        at += 1;
                        self.phase = Phase::EndLf;
                    }
                    b' ' | b'\t' => return Err(Error::Fold),
                    _ => {
                        self.name.start = at as u16;
                        self.phase = Phase::Name;
                    }
                },
                Phase::Name => {
                    at = token_end(section, at);
                    let Some(&byte) = section.get(at) else { continue };
                    self.name = Span::between(usize::from(self.name.start), at);
                    if byte != b':' || self.name.len == 0 {
                        return Err(bad_name(byte));
                    }
                    at += 1;
                    self.phase = Phase::Blank;
                }
                Phase::Blank if is_blank(byte) => at += 1,
                Phase::Blank => {
                    self.value = at as u16;
                    self.phase = Phase::Value;
                }
                Phase::Value => {
                    at = value_end(section, at);
                    let Some(&byte) = section.get(at) else { continue };
                    if byte != b'\r' {
                        return Err(bad_value(byte));
                    }
                    at += 1;
                    self.phase = Phase::Lf;
                }
                Phase::Lf => {
                    if byte != b'\n' {
                        return Err(Error::LineEnd);
                    }
                    let start = usize::from(self.value);
                    let mut end = at - 1;
                    while end > start && is_blank(section[end - 1]) {
                        end -= 1;
                    }
                    self.at = at as u16 + 1;
                    self.phase = Phase::Start;
                    if fields.len() == limit {
                        return Err(Error::TooManyFields);
                    }
                    let field = Field { name: self.name, value: Span::between(start, end) };
                    fields.push(field);
                    if let Some(notes) = notes {
                        notes.note(section, field);
                    }
                    return Ok(None);
                }
                Phase::EndLf if byte == b'\n' => return Ok(Some(Some(at + 1))),
                Phase::EndLf => return Err(Error::LineEnd),
            }
        }
    }
}

/// The field line at `at` if it is here as a whole and looks like nearly all of them do: one blank
/// before the value and none behind. Everything else, whatever is wrong with it, is for the states.
#[inline(always)]
fn plain_line(section: &[u8], at: usize) -> Option<Field> {
    let colon = token_end(section, at);
    let name = Span::between(at, colon);
    let [b':', b' ', rest @ ..] = &section[colon..] else { return None };
    let length = value_end(rest, 0);
    let (value, [b'\r', b'\n', ..]) = rest.split_at(length) else { return None };
    let ([first, ..], [.., last]) = (value, value) else { return None };
    // In a value nothing but blanks is this small.
    if *first <= b' ' || *last <= b' ' || name.len == 0 {
        return None;
    }
    Some(Field { name, value: Span::between(colon + 2, colon + 2 + length) })
}

#[cold]
fn bad_name(byte: u8) -> Error {
    if byte == b'\n' { Error::LineEnd } else { Error::FieldName }
}

#[cold]
fn bad_value(byte: u8) -> Error {
    if byte == b'\n' { Error::LineEnd } else { Error::FieldValue }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<Option<(usize, Vec<(String, String)>)>, Error>;

    fn pairs(section: &[u8], fields: &[Field]) -> Vec<(String, String)> {
        let text = |span: Span| span.of(section).iter().map(|&b| char::from(b)).collect();
        fields.iter().map(|field| (text(field.name), text(field.value))).collect()
    }

    fn whole(section: &[u8]) -> Outcome {
        let mut fields = Vec::new();
        let end = FieldScanner::default().scan(section, &mut fields, usize::MAX, None)?;
        Ok(end.map(|end| (end, pairs(section, &fields))))
    }

    fn bytewise(section: &[u8]) -> Outcome {
        let mut scanner = FieldScanner::default();
        let mut fields = Vec::new();
        for length in 0..=section.len() {
            let end = scanner.scan(&section[..length], &mut fields, usize::MAX, None)?;
            if let Some(end) = end {
                return Ok(Some((end, pairs(section, &fields))));
            }
        }
        Ok(None)
    }

    #[track_caller]
    fn check(section: &str, expected: Result<&[(&str, &str)], Error>) {
        let section: Vec<u8> = section.chars().map(|c| u8::try_from(c).unwrap()).collect();
        let expected = expected.map(|fields| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            Some((section.len(), fields.iter().map(own).collect()))
        });
        let behind = [&section[..], b"GET / HTTP"].concat();
        assert_eq!(whole(&section), expected, "whole");
        assert_eq!(bytewise(&section), expected, "byte by byte");
        assert_eq!(whole(&behind), expected, "with trailing bytes");
    }

    #[test]
    fn values_are_trimmed_and_kept() {
        check("\r\n", Ok(&[]));
        check("A: b\r\n\r\n", Ok(&[("A", "b")]));
        check("A:b\r\nC:\t d \t\r\n\r\n", Ok(&[("A", "b"), ("C", "d")]));
        check("A:\r\nB: \t \r\nC: \r\n\r\n", Ok(&[("A", ""), ("B", ""), ("C", "")]));
        check("A: a  b\tc\r\n\r\n", Ok(&[("A", "a  b\tc")]));
        check("A: \u{85}b\u{ff}\u{a0}\r\n\r\n", Ok(&[("A", "\u{85}b\u{ff}\u{a0}")]));
        check("A: b: c\r\n\r\n", Ok(&[("A", "b: c")]));
    }

    #[test]
    fn names_are_tokens_before_a_colon() {
        check("!#$%&'*+-.^_`|~09azAZ: b\r\n\r\n", Ok(&[("!#$%&'*+-.^_`|~09azAZ", "b")]));
        for line in [
            ": b",
            "A : b",
            "A\t: b",
            "A B: c",
            "\"A\": b",
            "{a}: b",
            "A\0: b",
            "\u{ef}: b",
            "A\u{7f}: b",
            "A",
            "A\rB: c",
        ] {
            check(&format!("{line}\r\n\r\n"), Err(Error::FieldName));
        }
    }

    #[test]
    fn lines_do_not_begin_with_a_blank() {
        check(" A: b\r\n\r\n", Err(Error::Fold));
        check("A: b\r\n\tc\r\n\r\n", Err(Error::Fold));
        check("A: b\r\n \r\n\r\n", Err(Error::Fold));
    }

    #[test]
    fn lines_end_with_both_bytes() {
        for section in [
            "\n",
            "A\n\r\n",
            "A: b\n\r\n",
            "A: b\rC: d\r\n\r\n",
            "A: b\r\r\n\r\n",
            "\rA",
            "A: b\r\n\r\r\n",
        ] {
            check(section, Err(Error::LineEnd));
        }
    }

    #[test]
    fn values_have_no_control_bytes() {
        for byte in (0..0x20).filter(|b| !matches!(b, b'\t' | b'\r' | b'\n')).chain([0x7f]) {
            for (before, after) in [("", ""), ("a", "b"), ("a", ""), ("sixteen bytes or more", "x")]
            {
                let section = format!("A: {before}{}{after}\r\n\r\n", char::from(byte));
                check(&section, Err(Error::FieldValue));
            }
        }
    }

    #[test]
    fn an_unfinished_section_waits() {
        for section in ["", "A", "A:", "A: ", "A: b", "A: b\r", "A: b\r\n", "A: b\r\n\r"] {
            assert_eq!(whole(section.as_bytes()), Ok(None), "{section:?}");
        }
    }
}
