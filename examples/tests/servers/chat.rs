//! The room of the `chat` example, with another implementation's client.

use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::running::{Running, on_both};

struct Member(WebSocket<TcpStream>);

impl Member {
    fn join(chat: &Running, name: &str) -> Member {
        let url = chat.address.replace("http://", "ws://") + "/room";
        let (mut socket, _) = tungstenite::client(url, chat.connect()).expect("the room is open");
        socket.send(Message::text(name)).expect("the room listens");
        Member(socket)
    }

    fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).expect("the room listens");
    }

    fn hear(&mut self) -> Value {
        let message = self.0.read().expect("the room speaks");
        serde_json::from_str(message.to_text().expect("it speaks text")).expect("it speaks JSON")
    }

    /// Closes, and waits for the server to do so.
    fn leave(mut self) {
        self.0.close(None).expect("the room is open");
        while self.0.read().is_ok() {}
    }
}

#[test]
fn everybody_hears_everybody() {
    on_both(env!("CARGO_BIN_EXE_chat"), |chat| {
        let mut ada = Member::join(chat, "Ada");
        assert_eq!(ada.hear(), json!({"who": "Ada", "event": "joined"}));
        let mut bob = Member::join(chat, "Bob");
        for member in [&mut ada, &mut bob] {
            assert_eq!(member.hear(), json!({"who": "Bob", "event": "joined"}));
        }
        ada.say("Hello, \"Bob\"");
        for member in [&mut ada, &mut bob] {
            assert_eq!(member.hear(), json!({"who": "Ada", "text": "Hello, \"Bob\""}));
        }
        bob.leave();
        assert_eq!(ada.hear(), json!({"who": "Bob", "event": "left"}));
        ada.leave();
    });
}

#[test]
fn whoever_says_no_name_is_sent_away() {
    on_both(env!("CARGO_BIN_EXE_chat"), |chat| {
        let url = chat.address.replace("http://", "ws://") + "/room";
        let (mut socket, _) = tungstenite::client(url, chat.connect()).expect("the room is open");
        socket.send(Message::binary(vec![1, 2, 3])).expect("the room listens");
        let Message::Close(Some(close)) = socket.read().expect("it says why") else {
            panic!("it is no close")
        };
        assert_eq!((u16::from(close.code), &*close.reason), (1008, "say your name first"));
        while socket.read().is_ok() {}
    });
}

#[test]
fn the_page_and_what_is_no_page() {
    on_both(env!("CARGO_BIN_EXE_chat"), |chat| {
        let (head, page) = chat.send("GET / HTTP/1.0\r\n\r\n");
        assert!(head.contains("\r\ncontent-type: text/html; charset=utf-8"), "{head}");
        assert!(page.contains("new WebSocket(room)"), "{page}");
        let (head, _) = chat.send("GET /room HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
        let (head, _) = chat.send("GET /other HTTP/1.0\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    });
}
