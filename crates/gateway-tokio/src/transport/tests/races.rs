//! Reading, while another thread looks for the peer's end in between.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;

use tokio::io::Ready;

use super::*;

/// What happens at the next opportunity, and only then.
type Meanwhile = Mutex<Option<Box<dyn FnOnce() + Send>>>;

/// A socket where something happens on another thread before the reactor is asked, or after
/// something has been read.
struct Disturbed {
    socket: UnixStream,
    before_asking: Meanwhile,
    after_reading: Meanwhile,
}

fn happen(meanwhile: &Meanwhile) {
    let happening = meanwhile.lock().unwrap().take();
    if let Some(happening) = happening {
        happening();
    }
}

impl AsFd for Disturbed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Socket for Disturbed {
    const RESETS: bool = false;

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        happen(&self.before_asking);
        self.socket.poll_readable(cx)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_writable(cx)
    }

    fn try_read(&self, into: &mut BytesMut) -> io::Result<usize> {
        let read = Socket::try_read(&self.socket, into);
        happen(&self.after_reading);
        read
    }

    fn try_write(
        &self,
        wanted: usize,
        write: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        Socket::try_write(&self.socket, wanted, write)
    }

    fn reading_side(&self) -> Ready {
        self.socket.reading_side()
    }

    fn forget_readable(&self) {
        self.socket.forget_readable();
    }
}

fn rig_of_two() -> Arc<Rig<Disturbed, Mutex<Peer>>> {
    let (ours, peer) = Peer::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let socket = UnixStream::from_std(ours).unwrap();
    let socket =
        Disturbed { socket, before_asking: Mutex::default(), after_reading: Mutex::default() };
    Arc::new(rig(socket, Mutex::new(peer)))
}

/// The peer sends, the reactor learns of it, and a look for the peer's end finds it there.
fn send_and_look(rig: &Rig<Disturbed, Mutex<Peer>>) {
    let cx = &mut Context::from_waker(Waker::noop());
    rig.peer.lock().unwrap().write_all(b"more").unwrap();
    while rig.transport.socket.socket.poll_readable(cx).is_pending() {
        std::thread::yield_now();
    }
    assert!(rig.transport.poll_gone(cx).is_pending());
}

// On threads of its own the reactor learns of news while the test's thread is busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn bytes_seen_by_another_before_the_reactor_is_asked() {
    let rig = rig_of_two();
    assert!(rig.try_read(&mut BytesMut::new()).await.is_pending());
    let other = Arc::clone(&rig);
    let before = Box::new(move || send_and_look(&other));
    *rig.transport.socket.before_asking.lock().unwrap() = Some(before);
    let mut into = BytesMut::new();
    let read = rig.try_read(&mut into).await;
    assert!(matches!(read, Poll::Ready(Ok(4))), "{read:?}");
    assert!(rig.try_read(&mut into).await.is_pending());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn bytes_seen_by_another_after_a_read() {
    let rig = rig_of_two();
    assert!(rig.try_read(&mut BytesMut::new()).await.is_pending());
    let other = Arc::clone(&rig);
    let after = Box::new(move || send_and_look(&other));
    rig.peer.lock().unwrap().write_all(b"some").unwrap();
    poll_fn(|cx| rig.transport.socket.socket.poll_readable(cx)).await.unwrap();
    *rig.transport.socket.after_reading.lock().unwrap() = Some(after);
    assert_eq!(rig.read().await.unwrap(), b"some");
    let mut into = BytesMut::new();
    let read = rig.try_read(&mut into).await;
    assert!(matches!(read, Poll::Ready(Ok(4))), "{read:?}");
}
