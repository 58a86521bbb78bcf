use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream as TcpPeer};
use std::os::unix::net::UnixStream as Peer;
use std::task::Waker;
use std::time::Duration;

use gateway_connection::{Permit, Registry};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;

use super::*;
use crate::clock::now;
use crate::signals::DUE;
use crate::workers::IDLE;

mod races;

const S: Duration = Duration::from_secs(1);

/// A connection, its peer, and its place among the live ones.
struct Rig<S, P> {
    transport: TokioTransport<S>,
    peer: P,
    permit: Permit<Signals>,
}

fn rig<S: Socket, P>(socket: S, peer: P) -> Rig<S, P> {
    let clock = Arc::new(Clock::new());
    let registry = Registry::new(8, None, clock.epoch());
    let permit = registry.insert(Signals::default(), None, now()).unwrap();
    let workers = Arc::new(Workers::new(1, 0, 8, IDLE, Handle::current()));
    let transport = TokioTransport::new(socket, Arc::clone(permit.slot()), workers, clock);
    Rig { transport, peer, permit }
}

fn unix() -> Rig<UnixStream, Peer> {
    let (ours, peer) = Peer::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    rig(UnixStream::from_std(ours).unwrap(), peer)
}

fn tcp() -> Rig<TcpStream, TcpPeer> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpPeer::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    rig(TcpStream::from_std(ours).unwrap(), peer)
}

impl<S: Socket, P> Rig<S, P> {
    /// Polls once, whatever comes of it.
    async fn try_read(&self, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        poll_fn(|cx| Poll::Ready(self.transport.poll_read(cx, into))).await
    }

    async fn try_poll<R>(
        &self,
        poll: impl Fn(&TokioTransport<S>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        poll_fn(|cx| Poll::Ready(poll(&self.transport, cx))).await
    }

    async fn read(&self) -> io::Result<Vec<u8>> {
        let mut into = BytesMut::new();
        poll_fn(|cx| self.transport.poll_read(cx, &mut into)).await?;
        Ok(into.to_vec())
    }

    async fn is_seen_gone(&self) -> bool {
        poll_fn(|cx| Poll::Ready(self.transport.poll_gone(cx))).await.is_ready()
    }
}

fn output(bytes: &[u8]) -> Output {
    let mut out = Output::default();
    out.push_bytes(bytes::Bytes::copy_from_slice(bytes));
    out
}

fn kind<T: std::fmt::Debug>(outcome: io::Result<T>) -> io::ErrorKind {
    outcome.expect_err("it fails").kind()
}

#[tokio::test]
async fn a_new_connection_is_read_without_news_of_the_reactor() {
    let mut rig = unix();
    rig.peer.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let mut into = BytesMut::new();
    assert!(matches!(rig.try_read(&mut into).await, Poll::Ready(Ok(16))));
    assert_eq!(into, "GET / HTTP/1.1\r\n");
    let written = rig.transport.try_write(&output(b"HTTP/1.1 200 OK\r\n")).unwrap();
    assert_eq!(written, 17);
}

#[tokio::test]
async fn an_idle_connection_holds_no_buffer() {
    let mut rig = unix();
    let mut into = BytesMut::new();
    for _ in 0..3 {
        assert!(rig.try_read(&mut into).await.is_pending());
        assert_eq!(into.capacity(), 0);
        rig.peer.write_all(b"ping").unwrap();
        poll_fn(|cx| rig.transport.poll_read(cx, &mut into)).await.unwrap();
        assert!(into.capacity() >= SMALL);
        into.clear();
    }
}

#[tokio::test]
async fn a_part_of_a_head_is_kept() {
    let mut rig = unix();
    rig.peer.write_all(b"GET /").unwrap();
    let mut into = BytesMut::new();
    assert!(rig.try_read(&mut into).await.is_ready());
    assert!(rig.try_read(&mut into).await.is_pending());
    assert_eq!(into, "GET /");
    rig.peer.write_all(b" HTTP/1.1").unwrap();
    poll_fn(|cx| rig.transport.poll_read(cx, &mut into)).await.unwrap();
    assert_eq!(into, "GET / HTTP/1.1");
}

#[tokio::test]
async fn a_body_that_fills_its_buffer_gets_a_larger_one() {
    let mut rig = unix();
    rig.peer.write_all(&[b'x'; SMALL + 100]).unwrap();
    rig.transport.note(Phase::Exchange, None);
    let mut into = BytesMut::new();
    assert!(matches!(rig.try_read(&mut into).await, Poll::Ready(Ok(SMALL))));
    into.clear();
    assert!(matches!(rig.try_read(&mut into).await, Poll::Ready(Ok(100))));
    assert!(into.capacity() >= LARGE);
}

#[tokio::test]
async fn a_peer_that_pipelines_hard_gives_way() {
    let mut rig = unix();
    rig.peer.write_all(&[b'x'; 3 * SMALL]).unwrap();
    rig.transport.note(Phase::Idle, None);
    let mut into = BytesMut::new();
    let mut others = 0;
    for _ in 0..2 {
        assert!(matches!(rig.try_read(&mut into).await, Poll::Ready(Ok(SMALL))));
        into.clear();
        assert!(rig.transport.try_write(&output(b"answers")).is_ok(), "they are not kept back");
        assert!(rig.try_read(&mut into).await.is_pending(), "somebody else's turn");
        others += 1;
    }
    assert_eq!(others, 2);
    assert_eq!(rig.read().await.unwrap().len(), SMALL);
}

#[tokio::test]
async fn a_peer_that_takes_everything_gives_way_too() {
    let mut rig = unix();
    let out = output(&[b'x'; 1000]);
    let mut sent = 0;
    let mut taken = [0; 1000];
    while rig.transport.try_write(&out).is_ok() {
        sent += 1;
        rig.peer.read_exact(&mut taken).unwrap();
    }
    assert_eq!(sent, 64, "each counts as 16 KiB of a MiB");
    let again = poll_fn(|cx| Poll::Ready(rig.transport.poll_write(cx, &out))).await;
    assert!(again.is_pending(), "somebody else's turn");
    assert_eq!(poll_fn(|cx| rig.transport.poll_write(cx, &out)).await.unwrap(), 1000);
}

#[tokio::test]
async fn a_slow_reader_is_waited_for() {
    let mut rig = unix();
    let out = output(&vec![b'x'; 1 << 16]);
    let mut sent = 0;
    let refused = loop {
        match rig.transport.try_write(&out) {
            Ok(n) => sent += n,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    let later = poll_fn(|cx| Poll::Ready(rig.transport.poll_write(cx, &out))).await;
    assert!(later.is_pending());
    let mut taken = vec![0; sent];
    rig.peer.read_exact(&mut taken).unwrap();
    assert!(poll_fn(|cx| rig.transport.poll_write(cx, &out)).await.unwrap() > 0);
}

#[tokio::test]
async fn pieces_are_written_in_their_order() {
    let mut rig = unix();
    let mut out = output(b"head ");
    out.push_bytes(vec![b'x'; 5000].into());
    out.push_slice(b" tail");
    assert_eq!(rig.transport.try_write(&out).unwrap(), 5010);
    let mut taken = vec![0; 5010];
    rig.peer.read_exact(&mut taken).unwrap();
    assert!(taken.starts_with(b"head xx") && taken.ends_with(b"xx tail"));
}

#[tokio::test]
async fn a_peer_that_leaves_is_seen_before_its_bytes_are_read() {
    let mut rig = unix();
    assert!(!rig.is_seen_gone().await && !rig.transport.is_gone());
    rig.peer.write_all(b"last words").unwrap();
    poll_fn(|cx| rig.transport.socket.poll_readable(cx)).await.unwrap();
    assert!(!rig.is_seen_gone().await, "words are no farewell");
    rig.peer.shutdown(std::net::Shutdown::Write).unwrap();
    poll_fn(|cx| rig.transport.poll_gone(cx)).await;
    assert!(rig.transport.is_gone());
    assert_eq!(rig.read().await.unwrap(), b"last words");
    assert_eq!(rig.read().await.unwrap(), b"");
}

#[tokio::test]
async fn bytes_that_a_look_for_the_peer_passed_over_are_read() {
    let mut rig = unix();
    for _ in 0..3 {
        rig.peer.write_all(b"more").unwrap();
        poll_fn(|cx| rig.transport.socket.poll_readable(cx)).await.unwrap();
        assert!(!rig.is_seen_gone().await);
        assert_eq!(rig.read().await.unwrap(), b"more");
        assert!(rig.try_read(&mut BytesMut::new()).await.is_pending());
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_wait_when_it_is_due_and_not_before() {
    let rig = unix();
    rig.transport.note(Phase::Head, Some(now() + 10 * S));
    rig.permit.end().raise(DUE);
    assert!(rig.try_read(&mut BytesMut::new()).await.is_pending(), "a false alarm");
    tokio::time::advance(10 * S + S / 100).await;
    rig.permit.end().raise(DUE);
    assert_eq!(kind(rig.read().await), io::ErrorKind::TimedOut);
    rig.transport.note(Phase::Closing, Some(now() + S));
    assert!(rig.try_read(&mut BytesMut::new()).await.is_pending(), "another deadline");
}

/// A connection whose buffer is full, and whose peer has read a little of that, too little for the
/// reactor to tell.
async fn with_a_little_room() -> Rig<TcpStream, TcpPeer> {
    let mut rig = tcp();
    let out = output(&vec![b'x'; 1 << 20]);
    rig.transport.note(Phase::Writing, None);
    while send(&rig.transport.socket, out.first(), &out).is_ok() {}
    assert!(rig.try_poll(|transport, cx| transport.poll_write(cx, &out)).await.is_pending());
    let mut taken = vec![0; 256 * 1024];
    rig.peer.read_exact(&mut taken).unwrap();
    assert!(rig.try_poll(|transport, cx| transport.poll_write(cx, &out)).await.is_pending());
    rig
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_tried_once_more_when_its_deadline_is_due() {
    let rig = with_a_little_room().await;
    let out = output(&vec![b'x'; 1 << 20]);
    for tried in 0..1000 {
        rig.transport.note(Phase::Writing, Some(now()));
        rig.permit.end().raise(DUE);
        let written = poll_fn(|cx| rig.transport.poll_write(cx, &out)).await;
        match written {
            Ok(written) => assert!(written > 0),
            // The room is used up, and nothing else has been read.
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                return assert!(tried > 0);
            }
        }
    }
    panic!("the peer is waited for for ever");
}

#[tokio::test(start_paused = true)]
async fn so_it_is_with_a_file() {
    let rig = with_a_little_room().await;
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    rig.transport.note(Phase::Writing, Some(now()));
    rig.permit.end().raise(DUE);
    let sent = poll_fn(|cx| rig.transport.poll_send_file(cx, &file, 0, 1000)).await;
    assert_eq!(sent.unwrap(), 1000);
}

#[tokio::test(start_paused = true)]
async fn what_came_in_time_is_read_though_the_reactor_was_busy() {
    for (flag, phase) in [(DUE, Phase::Head), (END, Phase::Idle)] {
        let mut rig = tcp();
        rig.transport.note(phase, Some(now()));
        assert!(rig.try_read(&mut BytesMut::new()).await.is_pending());
        // Nobody is spared any more.
        tokio::time::advance(Duration::from_secs(1)).await;
        rig.peer.write_all(b"GET /").unwrap();
        rig.permit.end().raise(flag);
        // Without a word from the reactor, which this does not wait for.
        let mut into = BytesMut::new();
        let read = rig.transport.poll_read(&mut Context::from_waker(Waker::noop()), &mut into);
        assert!(matches!(read, Poll::Ready(Ok(5))), "{read:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_woken_when_a_flag_goes_up() {
    let rig = unix();
    rig.transport.note(Phase::Idle, None);
    tokio::time::advance(Duration::from_secs(1)).await;
    let slot = Arc::clone(rig.permit.slot());
    let raised = tokio::spawn(async move { slot.end().raise(END) });
    assert_eq!(rig.read().await.unwrap(), b"");
    raised.await.unwrap();
    assert!(rig.transport.is_draining());
}

#[tokio::test(start_paused = true)]
async fn a_head_that_has_just_begun_is_waited_for_at_an_end() {
    let mut rig = unix();
    rig.permit.end().raise(END);
    assert!(rig.try_read(&mut BytesMut::new()).await.is_pending());
    rig.peer.write_all(b"GET").unwrap();
    assert_eq!(rig.read().await.unwrap(), b"GET");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(rig.read().await.unwrap(), b"");
}

#[tokio::test(start_paused = true)]
async fn whoever_was_just_answered_is_waited_for_at_an_end() {
    let rig = unix();
    rig.transport.note(Phase::Idle, None);
    rig.permit.end().raise(END);
    assert!(rig.try_read(&mut BytesMut::new()).await.is_pending());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(rig.read().await.unwrap(), b"");
}

#[tokio::test(start_paused = true)]
async fn an_end_leaves_what_has_come_and_what_is_on() {
    let mut rig = unix();
    rig.permit.end().raise(END);
    rig.peer.write_all(b"GET").unwrap();
    rig.transport.note(Phase::Head, None);
    assert_eq!(rig.read().await.unwrap(), b"GET");
    rig.transport.note(Phase::Exchange, None);
    assert!(rig.try_read(&mut BytesMut::new()).await.is_pending());
    rig.transport.note(Phase::Idle, None);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(rig.read().await.unwrap(), b"");
}

#[tokio::test]
async fn a_cut_ends_everything_that_waits() {
    let rig = unix();
    let out = output(&vec![b'x'; 1 << 20]);
    while rig.transport.try_write(&out).is_ok() {}
    rig.permit.end().raise(CUT);
    rig.transport.note(Phase::Exchange, None);
    assert_eq!(kind(rig.read().await), io::ErrorKind::ConnectionAborted);
    let written = poll_fn(|cx| rig.transport.poll_write(cx, &out)).await;
    assert_eq!(kind(written), io::ErrorKind::ConnectionAborted);
    let driven = rig.transport.drive(std::future::pending::<()>()).await;
    assert!(matches!(driven, Err(ServerError::ShuttingDown)));
    assert!(matches!(rig.transport.drive(async { 7 }).await, Ok(7)), "what is ready is ready");
}

#[tokio::test]
async fn the_reactor_must_not_be_blocked_while_it_drives() {
    let rig = unix();
    let transport = &rig.transport;
    let (driven, worked) = tokio::join!(
        transport.drive(async { transport.may_block() }),
        transport.work(place::may_block),
    );
    assert!(matches!((driven, worked), (Ok(false), Ok(true))));
}

#[tokio::test]
async fn an_aborted_connection_is_reset_while_others_hold_it() {
    let mut rig = tcp();
    rig.transport.try_write(&output(b"half a resp")).unwrap();
    rig.transport.close(true);
    let mut taken = Vec::new();
    assert_eq!(kind(rig.peer.read_to_end(&mut taken)), io::ErrorKind::ConnectionReset);
    assert!(rig.transport.is_gone() && rig.is_seen_gone().await);
    assert!(rig.transport.try_write(&output(b"onse")).is_err());
}

#[tokio::test]
async fn a_closed_connection_ends_cleanly() {
    let mut rig = tcp();
    rig.transport.try_write(&output(b"all of it")).unwrap();
    rig.transport.close(false);
    let mut taken = Vec::new();
    rig.peer.read_to_end(&mut taken).unwrap();
    assert_eq!(taken, b"all of it");
    assert!(rig.transport.is_gone());
}

#[tokio::test]
async fn a_half_closed_connection_still_reads() {
    let mut rig = tcp();
    rig.transport.shutdown_write().unwrap();
    assert_eq!(rig.peer.read(&mut [0; 1]).unwrap(), 0);
    rig.peer.write_all(b"still here").unwrap();
    assert_eq!(rig.read().await.unwrap(), b"still here");
}

#[tokio::test]
async fn a_file_is_sent_from_its_offset_to_its_end() {
    let mut rig = tcp();
    let path = std::env::temp_dir().join(format!("gateway-tokio-{}", std::process::id()));
    std::fs::write(&path, "0123456789").unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let transport = &rig.transport;
    let send = async |offset, len| {
        poll_fn(|cx| transport.poll_send_file(cx, &file, offset, len)).await.unwrap()
    };
    assert_eq!(send(2, 3).await, 3);
    assert_eq!(send(5, 100).await, 5);
    assert_eq!(send(10, 100).await, 0, "the file ends there");
    let mut taken = [0; 8];
    rig.peer.read_exact(&mut taken).unwrap();
    assert_eq!(&taken, b"23456789");
}
