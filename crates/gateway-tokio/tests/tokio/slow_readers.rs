use std::net::TcpStream;
use std::time::Duration;

use gateway_core::http::StatusCode;
use gateway_core::{Environ, Reply, StartResponse};
use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::support::{server, start};

const SIZE: usize = 8 << 20;

/// A pace far above the least that is asked for, and so slow that a third of a socket's buffer takes
/// longer than the time without progress.
const PIECE: usize = 32 * 1024;
const PAUSE: Duration = Duration::from_millis(100);
const STALL: Duration = Duration::from_millis(1500);

#[test]
fn a_reader_that_is_slow_but_not_too_slow_gets_everything() {
    let server = server();
    let mut timeouts = server.current_timeouts().clone();
    (timeouts.grace, timeouts.stall) = (STALL, STALL);
    let app = |_: Environ, start_response: StartResponse| {
        Reply::Ready(Ok(start_response.start(StatusCode::OK, ()).with_body(vec![b'x'; SIZE])))
    };
    let server = start(server.timeouts(timeouts), app);
    let mut peer = server.connect();
    let stream: &TcpStream = peer.stream();
    // Otherwise most of it is with the peer at once.
    set_socket_recv_buffer_size(stream, 2 * PIECE).unwrap();
    peer.ask("/");
    let mut taken = 0;
    for _ in 0..35 {
        peer.take(PIECE);
        taken += PIECE;
        // It is the pace of the peer; nothing is waited for.
        std::thread::sleep(PAUSE);
    }
    peer.take(SIZE - taken);
}
