//! Sizes, pings, reserved bits, opcodes and fragments: Autobahn's 1 to 5.

use crate::case::{Conversation, Step, cases};
use crate::client::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, frame};

use Step::{Close, Closed, Get, Send, SendIn};

/// Autobahn's sizes: around where the form of the length changes.
const SIZES: [usize; 7] = [0, 125, 126, 127, 128, 65535, 65536];

/// An echo of a message of each size, sent in pieces of `piece` bytes.
fn echoes(opcode: u8, byte: u8, piece: usize) -> Vec<Conversation> {
    let each = SIZES.map(|size| {
        let content = vec![byte; size];
        vec![SendIn(piece, frame(FIN | opcode, &content)), Get(opcode, content), Close]
    });
    each.into()
}

/// Something right before, so that what is wrong is found in its place; then a ping, which is not
/// answered any more.
fn refused(wrong: Vec<u8>, code: u16) -> Vec<Conversation> {
    let (before, after) = (frame(FIN | TEXT, "before"), frame(FIN | PING, ""));
    vec![
        vec![Send(wrong.clone()), Closed(code)],
        vec![Send([&before[..], &wrong].concat()), Get(TEXT, b"before".into()), Closed(code)],
        vec![
            Send([&before[..], &wrong, &after].concat()),
            Get(TEXT, b"before".into()),
            Closed(code),
        ],
        vec![Send(before), Get(TEXT, b"before".into()), SendIn(1, wrong), Closed(code)],
    ]
}

/// A frame of which only the header comes: it is refused for that.
fn header(first: u8, second: u8) -> Vec<u8> {
    vec![first, second]
}

fn pings(payload: impl AsRef<[u8]>) -> Vec<Conversation> {
    let payload = payload.as_ref();
    let ping = frame(FIN | PING, payload);
    vec![
        vec![Send(ping.clone()), Get(PONG, payload.into()), Close],
        vec![SendIn(1, ping), Get(PONG, payload.into()), Close],
    ]
}

/// The frames of a message, and what may come between them.
fn sent(frames: &[(u8, &str)]) -> Vec<u8> {
    frames.iter().flat_map(|(first, payload)| frame(*first, payload)).collect()
}

/// A conversation in which `frames` come at once, and one in which they come byte by byte.
fn both(frames: &[(u8, &str)], then: &[Step]) -> Vec<Conversation> {
    let at_once = [&[Send(sent(frames))], then].concat();
    let in_bytes = [&[SendIn(1, sent(frames))], then].concat();
    vec![at_once, in_bytes]
}

cases! {
    /// 1.1.1 to 1.1.7
    text_of_each_size: echoes(TEXT, b'*', usize::MAX);
    /// 1.1.8
    text_in_pieces: echoes(TEXT, b'*', 997);
    /// 1.2.1 to 1.2.7
    bytes_of_each_size: echoes(BINARY, 0xfe, usize::MAX);
    /// 1.2.8
    bytes_in_pieces: echoes(BINARY, 0xfe, 997);

    /// 2.1
    ping_without_content: pings("");
    /// 2.2
    ping_with_text: pings("Hello, world!");
    /// 2.3
    ping_with_bytes: pings([0, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0, 0xff]);
    /// 2.4 and 2.6
    ping_of_125_bytes: pings([0xfe; 125]);
    /// 2.5
    ping_of_126_bytes: refused(frame(FIN | PING, [0xfe; 126]), 1002);
    /// 2.7 to 2.9: a pong that nobody asked for is no matter.
    pong_unasked: both(
        &[(FIN | PONG, ""), (FIN | PONG, "unasked"), (FIN | PING, "ping")],
        &[Get(PONG, b"ping".into()), Close],
    );
    /// 2.10 and 2.11. Of pings that came together, the last has to be answered (RFC 6455 §5.5.3).
    ping_ten_times: vec![
        (0..10)
            .flat_map(|n| {
                let payload = format!("payload-{n}").into_bytes();
                [Send(frame(FIN | PING, &payload)), Get(PONG, payload)]
            })
            .chain([Close])
            .collect(),
    ];

    /// 3.1 to 3.4 and 3.7
    reserved_bits_in_text: (1..8)
        .flat_map(|bits| refused(frame(FIN | TEXT | bits << 4, "*"), 1002));
    /// 3.5
    reserved_bits_in_bytes: (1..8)
        .flat_map(|bits| refused(frame(FIN | BINARY | bits << 4, "*"), 1002));
    /// 3.6
    reserved_bits_in_ping: (1..8)
        .flat_map(|bits| refused(frame(FIN | PING | bits << 4, "*"), 1002));
    reserved_bits_in_close: (1..8)
        .flat_map(|bits| refused(frame(FIN | CLOSE | bits << 4, ""), 1002));

    /// 4.1.1 to 4.1.5
    opcodes_of_no_data: (3..8).flat_map(|opcode| refused(frame(FIN | opcode, "*"), 1002));
    /// 4.2.1 to 4.2.5
    opcodes_of_no_control: (11..16).flat_map(|opcode| refused(frame(FIN | opcode, "*"), 1002));

    /// 5.1
    ping_in_two_fragments: refused(sent(&[(PING, "frag"), (FIN | CONTINUATION, "ment")]), 1002);
    /// 5.2
    pong_in_two_fragments: refused(sent(&[(PONG, "frag"), (FIN | CONTINUATION, "ment")]), 1002);
    close_in_two_fragments: refused(sent(&[(CLOSE, ""), (FIN | CONTINUATION, "")]), 1002);
    /// 5.3 to 5.5
    text_in_two_fragments: both(
        &[(TEXT, "frag"), (FIN | CONTINUATION, "ment")],
        &[Get(TEXT, b"fragment".into()), Close],
    );
    bytes_in_fragments_of_which_some_are_empty: both(
        &[(BINARY, ""), (CONTINUATION, "frag"), (CONTINUATION, ""), (FIN | CONTINUATION, "")],
        &[Get(BINARY, b"frag".into()), Close],
    );
    /// 5.6 to 5.8
    ping_between_fragments: both(
        &[(TEXT, "frag"), (FIN | PING, "ping"), (FIN | CONTINUATION, "ment")],
        &[Get(PONG, b"ping".into()), Get(TEXT, b"fragment".into()), Close],
    );
    /// 5.9 to 5.12
    continuation_of_nothing: refused(frame(FIN | CONTINUATION, "*"), 1002);
    unfinished_continuation_of_nothing: refused(frame(CONTINUATION, "*"), 1002);
    /// 5.13 and 5.14
    continuation_of_a_whole_message: refused(
        sent(&[(FIN | CONTINUATION, "*"), (FIN | TEXT, "whole")]),
        1002,
    );
    /// 5.15
    continuation_after_its_end: both(
        &[(TEXT, "frag"), (FIN | CONTINUATION, "ment"), (CONTINUATION, "more")],
        &[Get(TEXT, b"fragment".into()), Closed(1002)],
    );
    /// 5.16 and 5.17
    continuation_before_the_first: refused(
        sent(&[(CONTINUATION, "frag"), (TEXT, "ment"), (FIN | CONTINUATION, "s")]),
        1002,
    );
    /// 5.18
    message_within_a_message: refused(sent(&[(TEXT, "one"), (FIN | TEXT, "two")]), 1002);
    bytes_within_a_text: refused(sent(&[(TEXT, "one"), (FIN | BINARY, "two")]), 1002);
    /// 5.19 and 5.20
    pings_between_many_fragments: both(
        &[
            (TEXT, "frag"),
            (CONTINUATION, "ment"),
            (FIN | PING, "1"),
            (CONTINUATION, "s, "),
            (CONTINUATION, "many"),
            (FIN | PING, "2"),
            (FIN | CONTINUATION, " of them"),
        ],
        &[
            Get(PONG, b"1".into()),
            Get(PONG, b"2".into()),
            Get(TEXT, b"fragments, many of them".into()),
            Close,
        ],
    );

    /// RFC 6455 §5.1
    unmasked: refused(vec![FIN | TEXT, 1, b'*'], 1002);
    /// RFC 6455 §5.2: the shortest form, of 63 bits.
    length_in_a_longer_form: refused(vec![FIN | TEXT, 0x80 | 126, 0, 125], 1002);
    length_in_the_longest_form: refused(
        vec![FIN | TEXT, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        1002,
    );
    length_of_64_bits: refused(
        vec![FIN | BINARY, 0x80 | 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        1002,
    );
    /// It is not waited for what cannot be right.
    refused_by_the_header: [
        header(FIN | TEXT | 0x40, 0xff),
        header(FIN | 3, 0xff),
        header(FIN | PING, 0xff),
        header(PING, 0x80),
        header(FIN | TEXT, 0x05),
    ]
    .into_iter()
    .flat_map(|wrong| refused(wrong, 1002));
}
