use super::*;

use std::future::poll_fn;
use std::io::{Read, Seek, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Sender, channel};
use std::task::Waker;
use std::thread;

use gateway_connection::{Permit, Registry};
use gateway_core::Control;
use rustix::fd::OwnedFd;

use crate::drive::block_on;

/// A transport, its peer, and its place in a registry that ends nobody.
struct Pair<P> {
    transport: Arc<StdTransport>,
    peer: P,
    shared: Arc<Shared>,
    registry: Arc<Registry<Socket>>,
    permit: Permit<Socket>,
}

impl<P> Pair<P> {
    fn new(ours: impl Into<OwnedFd>, peer: P, over_ip: bool) -> Pair<P> {
        let shared = Shared::new().expect("an eventfd");
        let registry = Registry::new(1, None, shared.clock.epoch());
        let socket = Socket::new(ours.into(), over_ip);
        let permit = registry.insert(socket, None, shared.clock.now()).expect("there is room");
        let transport = StdTransport::new(Arc::clone(permit.slot()), Arc::clone(&shared));
        Pair { transport: Arc::new(transport), peer, shared, registry, permit }
    }

    fn read(&self) -> io::Result<(usize, BytesMut)> {
        let mut into = BytesMut::new();
        let n = block_on(poll_fn(|cx| self.transport.poll_read(cx, &mut into)))?;
        Ok((n, into))
    }
}

fn unix() -> Pair<UnixStream> {
    let (ours, peer) = UnixStream::pair().expect("a pair");
    Pair::new(ours, peer, false)
}

fn tcp() -> Pair<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (ours, _) = listener.accept().expect("it has connected");
    Pair::new(ours, peer, true)
}

fn output(parts: &[&[u8]]) -> Output {
    let mut output = Output::default();
    for part in parts {
        output.push_bytes(part.to_vec().into());
    }
    output
}

/// Writes all of `out` at the peer's pace, and tells in how many calls.
fn write_all(transport: &StdTransport, mut out: Output) -> io::Result<usize> {
    let mut calls = 0;
    while !out.is_empty() {
        let n = block_on(poll_fn(|cx| transport.poll_write(cx, &out)))?;
        out.advance(n);
        calls += 1;
    }
    Ok(calls)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

/// Reads to the end, in another thread.
fn collect(mut peer: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).expect("the connection ends well");
        all
    })
}

/// Wakes what it is sent, on another thread.
fn waking_thread() -> Sender<Waker> {
    let (send, receive) = channel::<Waker>();
    thread::spawn(move || receive.iter().for_each(Waker::wake));
    send
}

#[test]
fn what_is_there_is_read_and_then_the_end() {
    for phase in [Phase::Idle, Phase::Head, Phase::Exchange] {
        let mut pair = unix();
        pair.transport.note(phase, None);
        pair.peer.write_all(b"GET /").expect("it is open");
        let (n, into) = pair.read().expect("bytes");
        assert_eq!((n, &into[..]), (5, &b"GET /"[..]), "{phase:?}");
        pair.peer.shutdown(Shutdown::Write).expect("it is open");
        assert_eq!(pair.read().expect("the end").0, 0, "{phase:?}");
    }
}

#[test]
fn it_waits_for_what_is_not_there_yet() {
    for phase in [Phase::Idle, Phase::Exchange] {
        let pair = unix();
        let mut peer = pair.peer.try_clone().expect("a descriptor");
        pair.transport.note(phase, None);
        let writing = thread::spawn(move || peer.write_all(b"late").expect("it is open"));
        assert_eq!(pair.read().expect("bytes").1, "late");
        writing.join().expect("it has written");
    }
}

#[test]
fn a_long_body_is_read_in_larger_pieces() {
    let pair = unix();
    let sent = pattern(1 << 20);
    let mut peer = pair.peer.try_clone().expect("a descriptor");
    let body = sent.clone();
    let writing = thread::spawn(move || {
        peer.write_all(&body).expect("it is open");
        peer.shutdown(Shutdown::Write).expect("it is open");
    });
    pair.transport.note(Phase::Exchange, None);
    let (mut all, mut longest) = (Vec::new(), 0);
    loop {
        let (n, into) = pair.read().expect("bytes");
        assert_eq!(n, into.len());
        longest = longest.max(n);
        if n == 0 {
            break;
        }
        all.extend_from_slice(&into);
    }
    assert!(all == sent);
    assert!(longest > 4096, "{longest}");
    writing.join().expect("it has written");
}

#[test]
fn a_body_that_is_sent_again_and_again_is_one_read_with_its_head() {
    let mut pair = unix();
    rustix::net::sockopt::set_socket_send_buffer_size(&pair.peer, 1 << 20).expect("it may be so");
    let request = pattern(64 * 1024 + 300);
    for round in 0..4 {
        pair.peer.write_all(&request).expect("there is room for it");
        let mut came = BytesMut::new();
        let mut reads = 0;
        while came.len() < request.len() {
            came.extend_from_slice(&pair.read().expect("it is there").1);
            reads += 1;
        }
        assert_eq!(came, request[..]);
        assert_eq!(reads, if round == 0 { 2 } else { 1 }, "round {round}");
    }
}

#[test]
fn a_vectored_write_waits_for_a_slow_reader() {
    let pair = unix();
    let (head, body) = (pattern(100), pattern(3 << 20));
    let out = output(&[&head, &body, &head]);
    assert!(pair.transport.try_write(&out).expect("there is room") < out.len());
    let stuffed = output(&[&body]);
    loop {
        match pair.transport.try_write(&stuffed) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                break;
            }
        }
    }

    let pair = unix();
    let reading = collect(pair.peer.try_clone().expect("a descriptor"));
    assert!(write_all(&pair.transport, out).expect("it is read") > 1);
    pair.transport.shutdown_write().expect("it is open");
    let read = reading.join().expect("it has read");
    assert!(read == [&head[..], &body, &head].concat());
}

#[test]
fn a_file_goes_out_as_it_is_and_later_reads_block_again() {
    let mut pair = unix();
    let path = std::env::temp_dir().join(format!("gateway-std-{}-file", std::process::id()));
    let content = pattern(3 << 20);
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)
        .expect("a temporary file");
    file.write_all(&content).expect("room on the disk");
    std::fs::remove_file(&path).expect("it is there");
    file.rewind().expect("a file can");

    let reading = {
        let mut peer = pair.peer.try_clone().expect("a descriptor");
        let mut read = vec![0; content.len() - 7];
        thread::spawn(move || {
            peer.read_exact(&mut read).expect("it comes");
            read
        })
    };
    pair.transport.note(Phase::Writing, None);
    let mut offset = 7;
    while offset < content.len() as u64 {
        let len = content.len() as u64 - offset;
        let send = poll_fn(|cx| pair.transport.poll_send_file(cx, &file, offset, len));
        offset += block_on(send).expect("it is read");
    }
    let end = poll_fn(|cx| pair.transport.poll_send_file(cx, &file, offset, 1));
    assert_eq!(block_on(end).expect("the file's end"), 0);
    assert!(reading.join().expect("it has read") == content[7..]);

    pair.transport.note(Phase::Idle, None);
    let late = thread::spawn(move || pair.peer.write_all(b"next").map(|()| pair.peer));
    let mut into = BytesMut::new();
    let read = block_on(poll_fn(|cx| pair.transport.poll_read(cx, &mut into)));
    assert_eq!(read.expect("bytes"), 4);
    drop(late.join().expect("it has written"));
}

#[test]
fn a_deadline_ends_a_read_and_nothing_else() {
    let mut pair = unix();
    let deadline = pair.transport.now() + Duration::from_millis(20);
    pair.transport.note(Phase::Head, Some(deadline));
    assert_eq!(pair.read().expect_err("it is late").kind(), io::ErrorKind::TimedOut);
    assert!(pair.transport.now() >= deadline, "the driver asks the engine with this time");
    pair.peer.write_all(b"later").expect("it is open");
    assert_eq!(pair.read().expect("bytes").1, "later");
}

#[test]
fn a_deadline_ends_a_write() {
    let pair = unix();
    let deadline = pair.transport.now() + Duration::from_millis(20);
    pair.transport.note(Phase::Writing, Some(deadline));
    let error = write_all(&pair.transport, output(&[&pattern(3 << 20)])).expect_err("nobody reads");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

/// Somebody who read was the last to note something, and the deadline is that of the write.
#[test]
fn a_deadline_ends_a_write_also_in_an_exchange() {
    let pair = unix();
    let deadline = pair.transport.now() + Duration::from_millis(20);
    pair.transport.note(Phase::Exchange, Some(deadline));
    let error = write_all(&pair.transport, output(&[&pattern(3 << 20)])).expect_err("nobody reads");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn an_idle_connection_that_is_late_ends_by_itself() {
    let pair = unix();
    pair.transport.note(Phase::Idle, Some(pair.transport.now() + Duration::from_millis(20)));
    assert_eq!(pair.read().expect_err("it is late").kind(), io::ErrorKind::TimedOut);
}

/// Two ways in which the server wants a connection to end.
type Want = fn(&dyn Wanted);

trait Wanted {
    fn drain(&self);
    fn evict(&self);
}

impl<P> Wanted for Pair<P> {
    fn drain(&self) {
        self.shared.shutdown(Duration::from_secs(1000));
    }

    fn evict(&self) {
        let later = self.shared.clock.now() + Duration::from_secs(2);
        assert_eq!(self.registry.evictees(later).len(), 1);
    }
}

const WANTS: [Want; 2] = [|pair| pair.drain(), |pair| pair.evict()];

#[test]
fn who_waits_for_a_request_ends_when_the_server_wants_it() {
    for want in WANTS {
        for phase in [Phase::Idle, Phase::Head] {
            let pair = Arc::new(unix());
            pair.transport.note(phase, None);
            let reading = {
                let pair = Arc::clone(&pair);
                thread::spawn(move || pair.read().expect("the end").0)
            };
            want(&*pair);
            assert_eq!(reading.join().expect("it ends"), 0, "{phase:?}");
            assert!(pair.transport.is_draining(), "the answer is to say so");
            assert!(!pair.transport.is_gone(), "the peer has not gone; we have");
        }
    }
}

#[test]
fn a_head_that_has_just_begun_is_waited_for_at_a_shutdown() {
    let pair = unix();
    pair.shared.shutdown(Duration::from_secs(1000));
    assert!(!pair.transport.gives_up());
    let now = pair.shared.clock.refresh();
    let early = pair.shared.clock.millis();
    while pair.shared.clock.refresh() < now + Duration::from_millis(1_000) {
        thread::park_timeout(Duration::from_millis(100));
    }
    assert!(pair.transport.gives_up());
    pair.permit.note_late(Phase::Idle, None, 0, early);
    pair.transport.note(Phase::Head, None);
    assert!(!pair.transport.gives_up(), "a head of its own second");
}

#[test]
fn what_came_before_that_is_read_and_so_is_its_body() {
    fn check<P: Read + Write + Send + 'static>(mut pair: Pair<P>, want: Want, phase: Phase) {
        pair.transport.note(phase, None);
        want(&pair);
        pair.peer.write_all(b"head").expect("it is open");
        assert_eq!(pair.read().expect("bytes").1, "head");
        pair.transport.note(Phase::Exchange, None);
        pair.peer.write_all(b"body").expect("it is open");
        assert_eq!(pair.read().expect("bytes").1, "body");

        // It also waits for what has not come.
        let (transport, (send, read)) = (Arc::clone(&pair.transport), channel());
        let reader = thread::spawn(move || {
            for _ in 0..2 {
                let mut into = BytesMut::new();
                let n = block_on(poll_fn(|cx| transport.poll_read(cx, &mut into)));
                send.send(n.map(|_| into)).expect("the test listens");
            }
        });
        while !pair.permit.end().waiting.is_anybody_waiting() {
            thread::yield_now();
        }
        pair.peer.write_all(b"more").expect("it is open");
        assert_eq!(read.recv().expect("it lives").expect("bytes"), "more");
        drop(pair.peer);
        assert_eq!(read.recv().expect("it lives").expect("the peer's end"), "");
        reader.join().expect("it does not panic");
    }

    for want in WANTS {
        for phase in [Phase::Idle, Phase::Head] {
            check(tcp(), want, phase);
            check(unix(), want, phase);
        }
    }
}

#[test]
fn what_came_before_the_last_end_is_still_read() {
    for mut pair in [unix(), unix()] {
        pair.peer.write_all(b"GET / HTTP/1.1").expect("it is open");
        pair.transport.note(Phase::Idle, None);
        pair.permit.end().end_reading();
        assert_eq!(pair.read().expect("bytes").0, 14);
        assert_eq!(pair.read().expect("the end").0, 0);
        assert!(!pair.transport.is_gone(), "the peer has not gone; we have");
        pair.transport.note(Phase::Exchange, None);
        let error = pair.read().expect_err("a body is not cut short in silence");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}

#[test]
fn a_peer_that_has_gone_is_seen_behind_unread_bytes() {
    let mut pair = tcp();
    assert!(!pair.transport.is_gone());
    pair.peer.write_all(b"unread").expect("it is open");
    pair.peer.shutdown(Shutdown::Write).expect("it is open");
    block_on(poll_fn(|cx| {
        let polled = pair.transport.poll_gone(cx);
        // Nobody runs an acceptor here.
        cx.waker().wake_by_ref();
        polled
    }));
    assert!(pair.transport.is_gone());
    assert_eq!(pair.read().expect("bytes").1, "unread");
}

#[test]
fn an_abort_is_a_reset_also_while_a_handle_is_kept() {
    let mut pair = tcp();
    let kept = Arc::clone(&pair.transport);
    assert!(pair.transport.try_write(&output(&[b"half"])).is_ok());
    pair.transport.close(true);
    let mut all = Vec::new();
    let error = pair.peer.read_to_end(&mut all).expect_err("no clean end");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(kept.is_gone());
}

#[test]
fn a_clean_close_is_an_end() {
    let mut pair = tcp();
    assert!(pair.transport.try_write(&output(&[b"all"])).is_ok());
    pair.transport.close(false);
    let mut all = Vec::new();
    pair.peer.read_to_end(&mut all).expect("a clean end");
    assert_eq!(all, b"all");
}

#[test]
fn a_future_that_is_ready_just_runs() {
    let pair = unix();
    let output = block_on(pair.transport.drive(async { 7 }));
    assert_eq!(output.expect("nothing stops it"), 7);
}

#[test]
fn a_driven_future_is_woken_by_others_and_by_the_socket() {
    let pair = unix();
    let waking = waking_thread();
    let mut peer = pair.peer.try_clone().expect("a descriptor");
    let transport = Arc::clone(&pair.transport);
    pair.transport.note(Phase::Exchange, None);
    let mut into = BytesMut::new();
    let mut polls = 0;
    let future = poll_fn(|cx| {
        polls += 1;
        assert!(!transport.may_block());
        if polls == 1 {
            // Waits for the socket and for the thread; the thread comes first.
            assert!(transport.poll_read(cx, &mut into).is_pending());
            waking.send(cx.waker().clone()).expect("the thread listens");
            return Poll::Pending;
        }
        if polls == 2 {
            peer.write_all(b"news").expect("it is open");
        }
        transport.poll_read(cx, &mut into)
    });
    let read = block_on(pair.transport.drive(future)).expect("nothing stops it");
    assert_eq!(read.expect("bytes"), 4);
    assert!(pair.transport.may_block());
}

#[test]
fn a_driven_future_hears_that_the_peer_has_gone() {
    let mut pair = unix();
    pair.peer.write_all(b"unread").expect("it is open");
    let mut peer = Some(pair.peer);
    let transport = Arc::clone(&pair.transport);
    let future = poll_fn(|cx| {
        let polled = transport.poll_gone(cx);
        // Once it waits.
        peer.take();
        polled
    });
    block_on(pair.transport.drive(future)).expect("nothing stops it");
    assert!(pair.transport.is_gone());
}

#[test]
fn a_wake_up_inside_a_poll_counts() {
    let pair = unix();
    let mut polls = 0;
    let future = poll_fn(|cx| {
        polls += 1;
        cx.waker().wake_by_ref();
        if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
    });
    block_on(pair.transport.drive(future)).expect("nothing stops it");
}

#[test]
fn another_thread_reads_through_the_one_that_drives() {
    let pair = unix();
    pair.transport.note(Phase::Exchange, None);
    let (sent, received) = channel();
    let mut begun = false;
    let transport = Arc::clone(&pair.transport);
    let mut peer = pair.peer.try_clone().expect("a descriptor");
    let read = Arc::new(std::sync::Mutex::new(None));
    let future = poll_fn(move |cx| {
        if !begun {
            begun = true;
            let (transport, read) = (Arc::clone(&transport), Arc::clone(&read));
            let (waker, sent) = (cx.waker().clone(), sent.clone());
            thread::spawn(move || {
                let mut into = BytesMut::new();
                let n = block_on(poll_fn(|cx| {
                    let polled = transport.poll_read(cx, &mut into);
                    let _ = sent.send(polled.is_pending());
                    polled
                }));
                *read.lock().expect("not poisoned") = Some(n.expect("bytes"));
                waker.wake();
            });
            assert!(received.recv().expect("the thread polls"), "it must not block in the call");
            peer.write_all(b"from elsewhere").expect("it is open");
        }
        match read.lock().expect("not poisoned").take() {
            Some(n) => Poll::Ready(n),
            None => Poll::Pending,
        }
    });
    assert_eq!(block_on(pair.transport.drive(future)).expect("nothing stops it"), 14);
}

#[test]
fn who_still_waits_when_the_drive_ends_reads_for_itself() {
    let mut pair = unix();
    pair.transport.note(Phase::Exchange, None);
    let (sent, received) = channel();
    let received = std::sync::Mutex::new(received);
    let transport = Arc::clone(&pair.transport);
    let mut reading = None;
    let future = poll_fn(|_| {
        let (transport, sent) = (Arc::clone(&transport), sent.clone());
        reading = Some(thread::spawn(move || {
            let mut into = BytesMut::new();
            block_on(poll_fn(|cx| {
                let polled = transport.poll_read(cx, &mut into);
                let _ = sent.send(());
                polled
            }))
        }));
        received.lock().expect("not poisoned").recv().expect("the thread polls");
        Poll::Ready(())
    });
    block_on(pair.transport.drive(future)).expect("nothing stops it");
    pair.peer.write_all(b"late").expect("it is open");
    let read = reading.expect("it was begun").join().expect("it reads");
    assert_eq!(read.expect("bytes"), 4);
}

#[test]
fn a_deadline_reaches_a_driven_future() {
    let pair = unix();
    let deadline = pair.transport.now() + Duration::from_millis(20);
    pair.transport.note(Phase::Exchange, Some(deadline));
    let mut into = BytesMut::new();
    let transport = &pair.transport;
    let future = poll_fn(|cx| transport.poll_read(cx, &mut into));
    let read = block_on(pair.transport.drive(future)).expect("nothing stops it");
    assert_eq!(read.expect_err("it is late").kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_cut_ends_a_driven_future_that_nobody_wakes() {
    for waits_for_the_socket in [false, true] {
        let pair = unix();
        let transport = Arc::clone(&pair.transport);
        let slot = Arc::clone(pair.permit.slot());
        let mut into = BytesMut::new();
        pair.transport.note(Phase::Exchange, None);
        let mut cutting = None;
        let future = poll_fn(|cx| {
            if waits_for_the_socket {
                assert!(transport.poll_read(cx, &mut into).is_pending());
            }
            let slot = Arc::clone(&slot);
            cutting.get_or_insert_with(|| thread::spawn(move || slot.end().cut()));
            Poll::<()>::Pending
        });
        let outcome = block_on(pair.transport.drive(future));
        assert!(matches!(outcome, Err(ServerError::ShuttingDown)), "{outcome:?}");
    }
}

#[test]
fn a_panic_of_a_driven_future_leaves_the_transport_sound() {
    let mut pair = unix();
    let transport = Arc::clone(&pair.transport);
    let outcome = thread::spawn(move || {
        let panicking = async { panic!("on purpose") };
        let panicking: &mut (dyn Future<Output = ()> + Send + Unpin) = &mut Box::pin(panicking);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            block_on(transport.drive(panicking))
        }));
        (caught.is_err(), transport.may_block(), transport.socket().waiting.is_driven())
    });
    assert_eq!(outcome.join().expect("it was caught"), (true, true, false));
    pair.peer.write_all(b"on").expect("it is open");
    assert_eq!(pair.read().expect("bytes").0, 2);
}
