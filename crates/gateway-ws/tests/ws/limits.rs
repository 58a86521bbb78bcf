//! Large messages, many messages, limits: Autobahn's 9 and 10, smaller.

use crate::case::{Conversation, MAX_FRAME, MAX_MESSAGE, Step, cases};
use crate::client::{BINARY, CONTINUATION, FIN, TEXT, frame};

use Step::{Close, Closed, Get, Send, SendIn};

fn echoed(opcode: u8, size: usize, fragment: usize) -> Conversation {
    let content = vec![b'*'; size];
    vec![Send(in_fragments(opcode, &content, fragment)), Get(opcode, content), Close]
}

fn in_fragments(opcode: u8, content: &[u8], fragment: usize) -> Vec<u8> {
    let count = content.len().div_ceil(fragment);
    let each = |(n, piece)| {
        let opcode = if n == 0 { opcode } else { CONTINUATION };
        frame(opcode | if n + 1 == count { FIN } else { 0 }, piece)
    };
    content.chunks(fragment).enumerate().flat_map(each).collect()
}

fn many(opcode: u8, size: usize, count: usize) -> Conversation {
    let content = vec![b'*'; size];
    let one = [Send(frame(FIN | opcode, &content)), Get(opcode, content)];
    one.into_iter().cycle().take(2 * count).chain([Close]).collect()
}

/// A frame of which nothing but the header comes.
fn announced(first: u8, length: usize) -> Vec<u8> {
    let header = [&[first, 0x80 | 127][..], &(length as u64).to_be_bytes(), &[0; 4]];
    header.concat()
}

cases! {
    /// 9.1 and 9.2
    large_messages: [TEXT, BINARY]
        .into_iter()
        .flat_map(|opcode| [64 << 10, 256 << 10, MAX_FRAME].map(|size| echoed(opcode, size, size)));
    /// 9.3 and 9.4
    large_messages_in_fragments: [TEXT, BINARY]
        .into_iter()
        .flat_map(|opcode| [256, 4 << 10, 64 << 10].map(|size| echoed(opcode, MAX_FRAME, size)));
    the_largest_message: [echoed(BINARY, MAX_MESSAGE, MAX_FRAME)];
    /// 9.5 and 9.6
    in_pieces: [64, 1024].map(|piece| {
        let content = vec![b'*'; 64 << 10];
        vec![SendIn(piece, frame(FIN | TEXT, &content)), Get(TEXT, content), Close]
    });
    /// 9.7 and 9.8
    many_messages: [TEXT, BINARY]
        .into_iter()
        .flat_map(|opcode| [0, 16, 4096].map(|size| many(opcode, size, 300)));
    /// Messages that come faster than they are read back.
    many_messages_at_once: [[
        vec![Send(frame(FIN | TEXT, "some text").repeat(1000))],
        vec![Get(TEXT, b"some text".into()); 1000],
        vec![Close],
    ]
    .concat()];
    /// 10.1.1
    in_fragments_of_1300: [echoed(TEXT, 65536, 1300)];

    /// It is refused when its length is known, and nothing is waited for.
    too_large_a_frame: [
        vec![Send(announced(FIN | BINARY, MAX_FRAME + 1)), Closed(1009)],
        vec![Send(announced(FIN | BINARY, i64::MAX as usize)), Closed(1009)],
        vec![
            Send([announced(FIN | TEXT, MAX_FRAME + 1), vec![b'*'; 100_000]].concat()),
            Closed(1009),
        ],
    ];
    too_large_a_message: [vec![
        Send(in_fragments(TEXT, &vec![b'*'; MAX_MESSAGE + 1], 64 << 10)),
        Closed(1009),
    ]];
}
