//! A connection that has left HTTP, over a pair of pipes in memory.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use gateway_core::http::StatusCode;
use gateway_core::{
    ApplicationError, Body, Duplex, Error, Upgrade, Upgraded, UpgradedReader, UpgradedWriter,
};

use crate::exchange::{Memory, block_on};

/// The application's end of a connection; the test is the peer.
struct Wire {
    may_block: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    incoming: VecDeque<u8>,
    ended: bool,
    outgoing: Vec<u8>,
    flushed: usize,
    shut: bool,
    reader: Option<Waker>,
}

impl Wire {
    fn connect(may_block: bool) -> (Upgraded, Arc<Wire>) {
        let wire = Arc::new(Wire { may_block, state: Mutex::default() });
        (Upgraded::new(wire.clone()), wire)
    }

    fn receive(&self, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.incoming.extend(bytes);
        state.reader.take().into_iter().for_each(Waker::wake);
    }

    fn end(&self) {
        let mut state = self.state.lock().unwrap();
        state.ended = true;
        state.reader.take().into_iter().for_each(Waker::wake);
    }

    fn sent(&self) -> Vec<u8> {
        let state = self.state.lock().unwrap();
        state.outgoing[..state.flushed].to_vec()
    }
}

impl Duplex for Wire {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state.lock().unwrap();
        if state.incoming.is_empty() && !state.ended {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(state.incoming.read(into))
    }

    /// Takes three bytes at a time.
    fn poll_write(&self, _: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state.lock().unwrap();
        if state.shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = from.len().min(3);
        state.outgoing.extend_from_slice(&from[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock().unwrap();
        state.flushed = state.outgoing.len();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = self.poll_flush(cx);
        self.state.lock().unwrap().shut = true;
        Poll::Ready(Ok(()))
    }

    fn may_block(&self) -> bool {
        self.may_block
    }
}

#[test]
fn blocking_code_reads_and_writes() {
    let (mut connection, wire) = Wire::connect(true);
    wire.receive(b"ping");
    let mut bytes = [0; 9];
    assert_eq!(connection.read(&mut bytes).unwrap(), 4);
    connection.write_all(b"pong!").unwrap();
    assert_eq!(wire.sent(), b"");
    connection.flush().unwrap();
    assert_eq!(wire.sent(), b"pong!");
    wire.end();
    assert_eq!(connection.read(&mut bytes).unwrap(), 0);
    connection.shutdown().unwrap();
    assert_eq!(connection.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_blocked_reader_is_woken() {
    let (mut connection, wire) = Wire::connect(true);
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        connection.read_to_string(&mut text).map(|_| text)
    });
    wire.receive(b"he");
    wire.receive(b"llo");
    wire.end();
    assert_eq!(reading.join().unwrap().unwrap(), "hello");
}

#[test]
fn async_code_reads_and_writes() {
    let (connection, wire) = Wire::connect(false);
    wire.receive(b"ping");
    block_on(async {
        let mut bytes = [0; 9];
        assert_eq!(connection.read_async(&mut bytes).await.unwrap(), 4);
        connection.write_all_async(b"pong, and more").await.unwrap();
        assert_eq!(wire.sent(), b"pong, and more");
        connection.shutdown_async().await.unwrap();
        let error = connection.write_all_async(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn two_halves_work_on_two_threads_and_close_together() {
    let (connection, wire) = Wire::connect(true);
    let (mut reader, mut writer): (UpgradedReader, UpgradedWriter) = connection.split();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    writer.write_all(b"out").unwrap();
    writer.flush().unwrap();
    wire.receive(b"in");
    wire.end();
    assert_eq!(reading.join().unwrap().unwrap(), "in");
    assert_eq!(wire.sent(), b"out");
    assert_eq!(Arc::strong_count(&wire), 2, "one half is still there");
    drop(writer);
    assert_eq!(Arc::strong_count(&wire), 1);
}

#[test]
fn blocking_on_a_reactor_is_a_typed_error() {
    let (mut connection, wire) = Wire::connect(false);
    wire.receive(b"ping");
    let failures = [
        connection.read(&mut [0; 9]).unwrap_err(),
        connection.write(b"x").unwrap_err(),
        connection.flush().unwrap_err(),
        connection.shutdown().unwrap_err(),
    ];
    let calls = failures.map(|error| {
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        match Error::from(error) {
            Error::Application(ApplicationError::WouldBlock { call }) => call,
            other => panic!("{other:?}"),
        }
    });
    let expected = ["Upgraded::read", "Upgraded::write", "Upgraded::flush", "Upgraded::shutdown"];
    assert_eq!(calls, expected);
    assert_eq!(block_on(connection.read_async(&mut [0; 9])).unwrap(), 4);
}

/// Echoes three bytes, and stops.
async fn echo(connection: Upgraded) {
    let mut bytes = [0; 3];
    let n = connection.read_async(&mut bytes).await.unwrap();
    connection.write_all_async(&bytes[..n]).await.unwrap();
}

#[test]
fn a_body_carries_the_protocol_of_either_kind() {
    let blocking = |mut connection: Upgraded| {
        let mut bytes = [0; 3];
        connection.read_exact(&mut bytes).unwrap();
        connection.write_all(&bytes).unwrap();
        connection.flush().unwrap();
    };
    for body in [Body::upgrade(blocking), Body::upgrade_async(echo)] {
        let (response, _) = Memory::started(StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(body.len(), None);
        let Body::Upgrade(upgrade) = response.with_body(body).into_parts().body else {
            panic!("the kind is visible")
        };
        let (connection, wire) = Wire::connect(true);
        wire.receive(b"abc");
        match upgrade {
            Upgrade::Blocking(protocol) => protocol(connection),
            Upgrade::Future(protocol) => block_on(protocol(connection)),
            other => panic!("{other:?}"),
        }
        assert_eq!(wire.sent(), b"abc");
        assert_eq!(Arc::strong_count(&wire), 1, "the connection is closed");
    }
}
