//! Few file descriptors: those who are served have what they need, and the others wait.

use std::fs::File;
use std::io::{Read, Write};
use std::thread;

use tempfile::tempdir;

use crate::process::{Server, gateway_with_descriptors};

/// As many as some containers give.
const DESCRIPTORS: u32 = 64;

const CLIENTS: usize = 100;

/// More than the buffers of both sides take: the file stays open until its client has read.
const LENGTH: u64 = 8 << 20;

#[test]
fn with_few_descriptors_everybody_is_served_in_turn() {
    let site = tempdir().unwrap();
    File::create(site.path().join("big")).unwrap().set_len(LENGTH).unwrap();
    for name in ["std", "tokio"] {
        let mut command = gateway_with_descriptors(site.path(), DESCRIPTORS);
        let server =
            Server::spawn(command.args(["serve", "--port", "0", "--log", "off", "--server", name]));
        // All have asked before anybody reads.
        let asked: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut stream = server.connect();
                let request = b"GET /big HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
                stream.write_all(request).unwrap();
                stream
            })
            .collect();
        let read = |mut stream: std::net::TcpStream| {
            let mut status = [0; 12];
            stream.read_exact(&mut status).unwrap();
            let rest = std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
            (String::from_utf8_lossy(&status).into_owned(), rest)
        };
        let reading: Vec<_> =
            asked.into_iter().map(|stream| thread::spawn(move || read(stream))).collect();
        for reader in reading {
            let (status, length) = reader.join().unwrap();
            assert_eq!(status, "HTTP/1.1 200", "{name}");
            assert!(length > LENGTH, "{name}: {length} bytes came");
        }
    }
}
