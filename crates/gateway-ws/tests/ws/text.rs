//! UTF-8: Autobahn's 6.

use crate::case::{Conversation, Step, cases};
use crate::client::{CONTINUATION, FIN, TEXT, frame};

use Step::{Close, Closed, Get, Send, SendIn};

/// Greek, of two and three bytes a character.
const VALID: &[u8] = "κόσμε".as_bytes();

/// Code points at the borders of each length, and those that are no characters.
const CHARACTERS: &[char] = &[
    '\0',
    '\u{7f}',
    '\u{80}',
    '\u{7ff}',
    '\u{800}',
    '\u{d7ff}',
    '\u{e000}',
    '\u{fdd0}',
    '\u{fffd}',
    '\u{fffe}',
    '\u{ffff}',
    '\u{10000}',
    '\u{1fffe}',
    '\u{8ffff}',
    '\u{10ffff}',
];

/// What is no UTF-8 wherever it stands.
const INVALID: &[&[u8]] = &[
    // Continuations of nothing (6.8).
    b"\x80",
    b"\xbf",
    b"\x80\xbf",
    b"\x80\xbf\x80\xbf\x80\xbf",
    // Beginnings without continuation (6.9), and cut off (6.10, 6.11).
    b"\xc3 ",
    b"\xe3 ",
    b"\xf3 ",
    b"\xdf",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    // Bytes that do not occur (6.12).
    b"\xfe",
    b"\xff",
    b"\xfe\xfe\xff\xff",
    b"\xc0",
    b"\xc1",
    b"\xf5",
    // Longer than need be (6.13 to 6.15).
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xc1\xbf",
    b"\xe0\x9f\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xc0\x80",
    b"\xe0\x80\x80",
    b"\xf0\x80\x80\x80",
    // Halves of UTF-16, single and in pairs (6.16, 6.17).
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xed\xaf\xbf\xed\xbf\xbf",
    // Beyond the last code point, and in five and six bytes (6.5, 6.7).
    b"\xf4\x90\x80\x80",
    b"\xf7\xbf\xbf\xbf",
    b"\xf8\x88\x80\x80\x80",
    b"\xfd\xbf\xbf\xbf\xbf\xbf",
];

fn echoed(content: &[u8]) -> Conversation {
    vec![Send(frame(FIN | TEXT, content)), Get(TEXT, content.into()), Close]
}

/// One fragment for each byte.
fn in_fragments(content: &[u8]) -> Vec<u8> {
    let last = content.len() - 1;
    let fragment = |(n, byte): (usize, &u8)| {
        let opcode = if n == 0 { TEXT } else { CONTINUATION };
        frame(opcode | if n == last { FIN } else { 0 }, [*byte])
    };
    content.iter().enumerate().flat_map(fragment).collect()
}

fn refused(content: &[u8]) -> Conversation {
    vec![Send(frame(FIN | TEXT, content)), Closed(1007)]
}

/// Not only one that is missing.
fn has_a_wrong_byte(content: &[u8]) -> bool {
    std::str::from_utf8(content).is_err_and(|error| error.error_len().is_some())
}

/// What is wrong stands between something right, in a fragment of its own. Nothing follows, since
/// it is refused at once.
fn refused_in_its_fragment(content: &[u8]) -> Conversation {
    vec![
        Send(frame(TEXT, VALID)),
        Send(frame(CONTINUATION, [content, b"!"].concat())),
        Closed(1007),
    ]
}

cases! {
    /// 6.1
    empty_fragments: [vec![
        Send([frame(TEXT, ""), frame(CONTINUATION, ""), frame(FIN | CONTINUATION, "")].concat()),
        Get(TEXT, Vec::new()),
        Close,
    ]];
    /// 6.2 and 6.5
    valid_text: [echoed(VALID), echoed("Hello-µ@ßöäüàá-UTF-8!!".as_bytes())];
    /// 6.2.3 and 6.2.4: a character in two fragments.
    valid_text_in_fragments: [VALID, "€😀".as_bytes()].map(|content| {
        vec![SendIn(11, in_fragments(content)), Get(TEXT, content.into()), Close]
    });
    /// 6.6, 6.7, 6.21 and 6.22
    characters_at_the_borders: CHARACTERS.iter().map(|c| echoed(c.to_string().as_bytes()));
    /// 6.6: a text ends between characters.
    prefixes: (1..VALID.len()).map(|end| match std::str::from_utf8(&VALID[..end]) {
        Ok(text) => echoed(text.as_bytes()),
        Err(_) => refused(&VALID[..end]),
    });
    /// 6.3 and 6.8 to 6.20
    invalid_text: INVALID.iter().map(|content| refused(content));
    invalid_text_between_valid: INVALID
        .iter()
        .map(|content| refused(&[VALID, content, b"edited"].concat()));
    /// 6.4.1 and 6.4.2: before the message is whole.
    invalid_text_in_a_fragment: INVALID.iter().map(|content| refused_in_its_fragment(content));
    /// 6.4.3 and 6.4.4: before its frame is whole.
    invalid_text_in_a_frame: INVALID.iter().filter(|content| has_a_wrong_byte(content)).map(|content| {
        let all = frame(FIN | TEXT, [VALID, content, b"never sent"].concat());
        vec![Send(all[..all.len() - b"never sent".len()].into()), Closed(1007)]
    });
    /// A text may not end within a character, also by fragments.
    cut_off_in_the_last_fragment: [vec![
        Send([frame(TEXT, VALID), frame(FIN | CONTINUATION, b"\xce")].concat()),
        Closed(1007),
    ]];
}
