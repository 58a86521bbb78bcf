//! Closes: Autobahn's 7.

use crate::case::{Conversation, Step, cases};
use crate::client::{CLOSE, FIN, PING, TEXT, close, frame};

use Step::{Close, Closed, ClosedWithoutCode, Get, Send, SendIn};

/// RFC 6455 §7.4, and 1014 of IANA's registry apart, which tungstenite does not know.
const CODES: [u16; 14] =
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4999];

/// RFC 6455 §7.4.1 and §7.4.2.
const WRONG_CODES: [u16; 13] =
    [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535];

fn closes(payload: Vec<u8>, outcome: Step) -> Vec<Conversation> {
    let sent = frame(FIN | CLOSE, payload);
    vec![vec![Send(sent.clone()), outcome.clone()], vec![SendIn(1, sent), outcome]]
}

cases! {
    /// 7.1.1
    after_a_message: [vec![Send(frame(FIN | TEXT, "Hello")), Get(TEXT, b"Hello".into()), Close]];
    /// 7.1.2: a second close is not answered.
    twice: [vec![Send(frame(FIN | CLOSE, close(1000, "")).repeat(2)), Closed(1000)]];
    /// 7.1.3
    then_a_ping: [vec![
        Send([frame(FIN | CLOSE, close(1000, "")), frame(FIN | PING, "")].concat()),
        Closed(1000),
    ]];
    /// 7.1.4
    then_a_message: [vec![
        Send([frame(FIN | CLOSE, close(1000, "")), frame(FIN | TEXT, "late")].concat()),
        Closed(1000),
    ]];
    /// 7.1.5
    within_a_message: [vec![
        Send([frame(TEXT, "unfinished"), frame(FIN | CLOSE, close(1000, ""))].concat()),
        Closed(1000),
    ]];
    /// 7.1.6: what follows is thrown away, however much it is, and destroys nothing.
    then_a_lot: [vec![
        Send(frame(FIN | CLOSE, close(1000, ""))),
        Send(frame(FIN | TEXT, vec![b'*'; 200_000])),
        Closed(1000),
    ]];
    /// The same after what is wrong.
    a_lot_after_a_violation: [vec![
        Send([frame(FIN | 3, ""), frame(FIN | TEXT, vec![b'*'; 200_000])].concat()),
        Closed(1002),
    ]];

    /// 7.3.1
    without_a_code: closes(Vec::new(), ClosedWithoutCode);
    /// 7.3.2
    with_one_byte: closes(vec![3], Closed(1002));
    /// 7.3.3
    with_a_code: closes(close(1000, ""), Closed(1000));
    /// 7.3.4
    with_a_reason: closes(close(1000, "Hello, world!"), Closed(1000));
    /// 7.3.5
    with_the_longest_reason: closes(close(1000, [b'*'; 123]), Closed(1000));
    /// 7.3.6
    with_too_long_a_reason: closes(close(1000, [b'*'; 124]), Closed(1002));
    /// 7.5.1
    with_a_reason_that_is_no_text: closes(close(1000, b"\xce\xba\xed\xa0\x80"), Closed(1007));
    /// 7.7
    with_each_code: CODES.into_iter().flat_map(|code| closes(close(code, ""), Closed(code)));
    /// 7.9 and 7.13
    with_each_wrong_code: WRONG_CODES
        .into_iter()
        .flat_map(|code| closes(close(code, "why"), Closed(1002)));
}
