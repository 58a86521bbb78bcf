//! A client that does what it is told and no more.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

use crate::case::Step;
use crate::outcome::without_facts;
use crate::witness::{PATIENCE, Witness};

/// How the server ended the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Clean,
    Reset,
}

/// What a client got to see.
pub(crate) struct Seen {
    /// Without facts.
    pub(crate) received: Vec<u8>,
    pub(crate) reset: bool,
    pub(crate) troubles: Vec<String>,
}

/// A connection to the server under test.
pub(crate) struct Client {
    /// Gone after a reset.
    stream: Option<TcpStream>,
    received: Vec<u8>,
    end: Option<End>,
    flood: Option<JoinHandle<()>>,
    troubles: Vec<String>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client {
            stream: Some(stream),
            received: Vec::new(),
            end: None,
            flood: None,
            troubles: Vec::new(),
        })
    }

    pub(crate) fn take(&mut self, step: &Step, witness: &Witness) {
        match step {
            Step::Send(bytes) => self.send(bytes),
            Step::Dribble(bytes) => bytes.chunks(1).for_each(|byte| self.send(byte)),
            Step::Flood(length) => self.flood(*length),
            Step::Until(end) => {
                self.until(end, |received| without_facts(received).ends_with(end));
            }
            Step::UntilContains(part) => {
                self.until(part, |all| all.windows(part.len()).any(|window| window == part));
            }
            Step::Noted(note) => {
                if !witness.noted(note) {
                    self.troubles.push(format!("waited in vain for the note {note:?}"));
                }
            }
            Step::Open(gate) => witness.open(gate),
            Step::HalfClose => self.shutdown(Shutdown::Write),
            Step::Reset => self.reset(),
        }
    }

    /// Reads what is still to come.
    pub(crate) fn finish(mut self) -> Seen {
        while self.read() {}
        self.shutdown(Shutdown::Both);
        let flooded = self.flood.is_some();
        if let Some(flood) = self.flood.take() {
            flood.join().expect("sending does not panic");
        }
        Seen {
            received: without_facts(&self.received),
            // A server that throws a flood away cannot but reset the connection.
            reset: self.end == Some(End::Reset) && !flooded,
            troubles: self.troubles,
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        let sent = self.stream.as_mut().map(|stream| stream.write_all(bytes));
        if let Some(Err(error)) = sent {
            self.troubles.push(format!("sending failed: {error}"));
        }
    }

    fn flood(&mut self, length: u64) {
        let Some(stream) = &self.stream else { return };
        let mut stream = stream.try_clone().expect("a socket can be cloned");
        self.flood = Some(thread::spawn(move || {
            // The server need not take it all.
            let _ = io::copy(&mut io::repeat(b'u').take(length), &mut stream);
        }));
    }

    fn until(&mut self, awaited: &[u8], is_there: impl Fn(&[u8]) -> bool) {
        while !is_there(&self.received) {
            if !self.read() {
                let awaited = String::from_utf8_lossy(awaited);
                self.troubles.push(format!("what came did not come to {awaited:?}"));
                return;
            }
        }
    }

    fn shutdown(&self, how: Shutdown) {
        if let Some(stream) = &self.stream {
            // The server may have been faster.
            let _ = stream.shutdown(how);
        }
    }

    fn reset(&mut self) {
        if let Some(stream) = self.stream.take() {
            let linger = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            linger.expect("a socket can linger");
            self.received.clear();
        }
    }

    /// Whether there may be more.
    fn read(&mut self) -> bool {
        let (Some(stream), None) = (&mut self.stream, self.end) else { return false };
        let mut some = [0; 1 << 16];
        match stream.read(&mut some) {
            Ok(0) => self.end = Some(End::Clean),
            Ok(length) => self.received.extend_from_slice(&some[..length]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                self.end = Some(End::Reset);
            }
            Err(error) => {
                self.end = Some(End::Clean);
                self.troubles.push(format!("reading failed: {error}"));
            }
        }
        self.end.is_none()
    }
}
