//! Asynchronous applications on a server without a runtime.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::task::{Poll, Waker};
use std::thread;

use gateway_core::{Environ, Reply, Response, Result, StartResponse};

use super::running::{LONG, Running, ok, server};

/// Wakes what it is sent, on another thread.
fn waking_thread() -> Sender<Waker> {
    let (send, receive) = channel::<Waker>();
    thread::spawn(move || receive.iter().for_each(Waker::wake));
    send
}

/// Comes back when the other thread has woken it.
async fn elsewhere(waking: Sender<Waker>) {
    let mut sent = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut sent, true) {
            return Poll::Ready(());
        }
        waking.send(cx.waker().clone()).expect("the thread listens");
        Poll::Pending
    })
    .await;
}

#[test]
fn a_waker_from_another_thread() {
    let waking = waking_thread();
    let app = move |_: Environ, start_response: StartResponse| {
        let waking = waking.clone();
        Reply::future(async move {
            for _ in 0..100 {
                elsewhere(waking.clone()).await;
            }
            ok(start_response, "woken")
        })
    };
    let running = Running::start(server(), app);
    let mut peer = running.connect();
    for _ in 0..10 {
        assert_eq!(peer.get("/"), "woken");
    }
}

#[test]
fn input_and_other_wakers_interleave() {
    let waking = waking_thread();
    let app = move |mut environ: Environ, start_response: StartResponse| {
        let waking = waking.clone();
        Reply::future(async move {
            let mut input = environ.take_input();
            let mut total = 0;
            while let Some(data) = input.data_async().await {
                total += data?.len();
                elsewhere(waking.clone()).await;
            }
            ok(start_response, total.to_string())
        })
    };
    let running = Running::start(server(), app);
    let mut peer = running.connect();
    peer.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 300000\r\n\r\n");
    for _ in 0..30 {
        peer.send(&"x".repeat(10_000));
    }
    assert_eq!(peer.response().expect("an answer").1, "300000");
}

#[test]
fn a_blocking_read_inside_a_future_is_refused_and_does_not_hang() {
    let app = |mut environ: Environ, start_response: StartResponse| {
        Reply::future(async move {
            let mut input = environ.take_input();
            let error = input.data().expect("there is a body").expect_err("it would hang");
            ok(start_response, error.to_string())
        })
    };
    let running = Running::start(server(), app);
    let mut peer = running.connect();
    peer.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\n");
    let (_, body) = peer.response().expect("an answer");
    assert!(body.contains("blocking"), "{body}");
}

#[test]
fn a_peer_that_goes_away_is_noticed() {
    let (tell, told) = channel();
    let (enter, entered) = channel();
    let app = move |environ: Environ, start_response: StartResponse| {
        let (tell, enter) = (tell.clone(), enter.clone());
        Reply::future(async move {
            enter.send(()).expect("the test listens");
            environ.disconnected().await;
            tell.send(()).expect("the test listens");
            ok(start_response, "nobody reads this")
        })
    };
    let running = Running::start(server(), app);
    let mut peer = running.connect();
    peer.ask("/");
    entered.recv_timeout(LONG).expect("a request comes in");
    drop(peer);
    told.recv_timeout(LONG).expect("it is noticed");
}

/// A minimal executor: a thread for the future.
fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    struct Unpark(thread::Thread);

    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }

    thread::spawn(move || {
        let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
        let mut cx = std::task::Context::from_waker(&waker);
        let mut future = std::pin::pin!(future);
        while future.as_mut().poll(&mut cx).is_pending() {
            thread::park();
        }
    });
}

#[test]
fn a_watcher_on_another_thread_notices_it_while_the_application_blocks() {
    let (tell, told) = channel();
    let told = Mutex::new(told);
    let (enter, entered) = channel();
    let app = move |environ: Environ, start_response: StartResponse| {
        let gone = environ.disconnected();
        let tell = tell.clone();
        spawn(async move {
            gone.await;
            // The test may be over.
            let _ = tell.send(());
        });
        enter.send(()).expect("the test listens");
        told.lock().expect("not poisoned").recv_timeout(LONG).expect("it is noticed");
        enter.send(()).expect("the test listens");
        ok(start_response, "nobody reads this")
    };
    let running = Running::start(server(), app);
    let mut peer = running.connect();
    peer.ask("/");
    entered.recv_timeout(LONG).expect("a request comes in");
    drop(peer);
    entered.recv_timeout(LONG).expect("it is noticed");
}

thread_local! {
    static CONTEXT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

#[test]
fn an_application_finds_its_context() {
    let app = |_: Environ, start_response: StartResponse| -> Result<Response> {
        let in_call = CONTEXT.get();
        assert!(in_call.is_some());
        ok(start_response, in_call.unwrap_or_default())
    };
    let around = |run: &mut dyn FnMut()| {
        CONTEXT.set(Some("here"));
        run();
        CONTEXT.set(None);
    };
    let running = Running::start(server().with_context(around), app);
    assert_eq!(running.get("/"), "here");
}
