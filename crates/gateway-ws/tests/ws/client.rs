//! A client of raw frames.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::site::PATIENCE;

/// The request that is right in every point.
pub(crate) const REQUEST: &str = "GET /chat HTTP/1.1\nHost: test\nUpgrade: websocket\n\
    Connection: Upgrade\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n\n";

pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame as a client sends it. `first` is its first byte: FIN, reserved bits, opcode.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..126 => bytes.push(0x80 | length as u8),
        length @ 126..0x10000 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A close frame's payload.
pub(crate) fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_ref()].concat()
}

/// A connection.
pub(crate) struct Client {
    connection: TcpStream,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let connection = TcpStream::connect(address).expect("the server listens");
        connection.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        connection.set_write_timeout(Some(PATIENCE)).expect("it is not zero");
        connection.set_nodelay(true).expect("it is TCP");
        Client { connection }
    }

    /// A connection that has become a WebSocket.
    pub(crate) fn open(address: SocketAddr) -> Client {
        let mut client = Client::connect(address);
        let head = client.ask(REQUEST);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client
    }

    /// The head that answers `request`, whose lines end with a plain `\n`.
    pub(crate) fn ask(&mut self, request: &str) -> String {
        self.send(request.replace('\n', "\r\n"));
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.connection.read_exact(&mut byte).expect("there is a head");
            head.push(byte[0]);
        }
        String::from_utf8(head).expect("a head is text")
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// The next frame: its first byte and its payload.
    pub(crate) fn receive(&mut self) -> (u8, Vec<u8>) {
        let [first, second] = self.take();
        let length = match second {
            126 => u64::from(u16::from_be_bytes(self.take())),
            127 => u64::from_be_bytes(self.take()),
            length => u64::from(length),
        };
        assert!(second < 0x80, "a server masks nothing");
        let mut payload = vec![0; length as usize];
        self.connection.read_exact(&mut payload).expect("the frame is whole");
        (first, payload)
    }

    /// The next frame is this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let (got, content) = self.receive();
        assert_eq!(got, first, "with {:?}", String::from_utf8_lossy(&content));
        let same = content == payload.as_ref();
        assert!(same, "{} bytes: {:?}", content.len(), String::from_utf8_lossy(&content));
    }

    /// The server closes with `code`, and then there is a clean end.
    #[track_caller]
    pub(crate) fn expect_close(&mut self, code: u16) {
        let (first, payload) = self.receive();
        let content = String::from_utf8_lossy(&payload);
        assert_eq!(first, FIN | CLOSE, "a close is expected, not {content:?}");
        assert_eq!(payload.get(..2), Some(&code.to_be_bytes()[..]), "{content:?}");
        self.expect_end();
    }

    /// There is a clean end, no reset.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let mut rest = Vec::new();
        let read = self.connection.read_to_end(&mut rest);
        assert_eq!((read.ok(), &rest[..]), (Some(0), &[][..]));
    }

    /// Closes as a client should.
    #[track_caller]
    pub(crate) fn close(&mut self) {
        self.send(frame(FIN | CLOSE, close(1000, "")));
        self.expect_close(1000);
    }

    /// Goes by a reset when it is dropped.
    pub(crate) fn resets(&self) {
        let connection = socket2::SockRef::from(&self.connection);
        connection.set_linger(Some(Duration::ZERO)).expect("it is open");
    }

    pub(crate) fn connection(&self) -> &TcpStream {
        &self.connection
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.connection.read_exact(&mut bytes).expect("there is a frame");
        bytes
    }
}
