//! What an application gets, and what comes of what it does.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use gateway_core::{BoxError, Environ, Error, IntoApplication, StartResponse};
use gateway_ws::{Close, CloseCode, Message, SocketError, Violation, WebSocket, blocking};

use crate::client::{CLOSE, Client, FIN, PING, PONG, TEXT, close, frame};
use crate::site::{On, Site};

/// An application whose sockets are awaited in `f`.
fn awaited<Fut>(
    f: fn(WebSocket) -> Fut,
) -> impl IntoApplication<gateway_core::marker::IsApplication>
where
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    (move |environ: Environ, start_response: StartResponse| async move {
        let accepted = gateway_ws::accept(&environ)?;
        accepted.on_upgrade(start_response, f)
    })
    .into_application()
}

/// The same, blocking.
fn blocked(
    f: fn(blocking::WebSocket) -> Result<(), BoxError>,
) -> impl IntoApplication<gateway_core::marker::IsApplication> {
    (move |environ: Environ, start_response: StartResponse| -> Result<_, Error> {
        gateway_ws::accept(&environ)?.on_upgrade_blocking(start_response, f)
    })
    .into_application()
}

/// Runs `check` on each server with each kind of socket, and gives what was logged.
fn on_all<Fut>(
    f: fn(WebSocket) -> Fut,
    g: fn(blocking::WebSocket) -> Result<(), BoxError>,
    logged: &[&str],
    check: impl Fn(&mut Client),
) where
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    for on in On::ALL {
        let site = Site::start(on, awaited(f));
        check(&mut Client::open(site.address));
        assert_eq!(site.stop(), logged, "awaited on {on:?}");
        let site = Site::start(on, blocked(g));
        check(&mut Client::open(site.address));
        assert_eq!(site.stop(), logged, "blocking on {on:?}");
    }
}

#[test]
fn what_is_done_is_closed() {
    on_all(
        |mut socket| async move { Ok(socket.send("that is all").await?) },
        |mut socket| Ok(socket.send("that is all")?),
        &[],
        |client| {
            client.expect(FIN | TEXT, "that is all");
            client.expect_close(1000);
        },
    );
}

#[test]
fn what_failed_is_logged_and_closed_with_1011() {
    on_all(
        |_| async move { Err("the shelf is empty".into()) },
        |_| Err("the shelf is empty".into()),
        &[
            "GET /chat: the WebSocket failed: the application failed with 500 Internal Server Error: \
           the shelf is empty",
        ],
        |client| client.expect_close(1011),
    );
}

#[test]
fn an_application_closes_with_a_code_and_a_reason() {
    on_all(
        |socket| async move {
            let code = CloseCode::new(4001).expect("it is for applications");
            Ok(socket.close(Close::new(code, "full")).await?)
        },
        |socket| {
            let code = CloseCode::new(4001).expect("it is for applications");
            Ok(socket.close(Close::new(code, "full"))?)
        },
        &[],
        |client| {
            client.expect(FIN | CLOSE, close(4001, "full"));
            // What is still on its way is no matter.
            client.send(frame(FIN | TEXT, "late"));
            client.send(frame(FIN | CLOSE, close(4001, "")));
            client.expect_end();
        },
    );
}

#[test]
fn an_application_knows_how_the_peer_closed() {
    on_all(
        |mut socket| async move {
            assert_eq!(socket.closed(), None);
            assert_eq!(socket.receive().await?, None);
            let closed = socket.closed().expect("the peer said why");
            assert_eq!((closed.code.as_u16(), &*closed.reason), (3999, "bye"));
            assert_eq!(socket.receive().await?, None, "and ever after");
            assert!(matches!(socket.send("late").await, Err(SocketError::Closed)));
            Ok(())
        },
        |mut socket| {
            assert_eq!(socket.closed(), None);
            assert_eq!(socket.receive()?, None);
            let closed = socket.closed().expect("the peer said why");
            assert_eq!((closed.code.as_u16(), &*closed.reason), (3999, "bye"));
            assert_eq!(socket.receive()?, None, "and ever after");
            assert!(matches!(socket.send("late"), Err(SocketError::Closed)));
            Ok(())
        },
        &[],
        |client| {
            client.send(frame(FIN | CLOSE, close(3999, "bye")));
            client.expect(FIN | CLOSE, close(3999, "bye"));
            client.expect_end();
        },
    );
}

/// The error is told once; nothing is received after it.
#[test]
fn an_application_knows_what_the_peer_did_wrong() {
    on_all(
        |mut socket| async move {
            let error = socket.receive().await.expect_err("it is wrong");
            assert!(matches!(error, SocketError::Violation(Violation::Opcode(3))), "{error}");
            assert_eq!(socket.receive().await?, None);
            Err(error.into())
        },
        |mut socket| {
            let error = socket.receive().expect_err("it is wrong");
            assert!(matches!(error, SocketError::Violation(Violation::Opcode(3))), "{error}");
            assert_eq!(socket.receive()?, None);
            Err(error.into())
        },
        &[],
        |client| {
            client.send(frame(FIN | 3, "?"));
            client.expect_close(1002);
        },
    );
}

#[test]
fn a_peer_that_leaves_without_a_close_has_gone() {
    on_all(
        |mut socket| async move {
            let error = socket.receive().await.expect_err("it has gone");
            assert!(matches!(error, SocketError::Gone), "{error}");
            Err(error.into())
        },
        |mut socket| {
            let error = socket.receive().expect_err("it has gone");
            assert!(matches!(error, SocketError::Gone), "{error}");
            Err(error.into())
        },
        &[],
        |client| client.connection().shutdown(std::net::Shutdown::Write).expect("it is open"),
    );
}

#[test]
fn a_peer_that_resets_has_gone_too() {
    on_all(
        |mut socket| async move {
            let error = socket.receive().await.expect_err("it has gone");
            assert!(matches!(error, SocketError::Gone), "{error:?}");
            Err(error.into())
        },
        |mut socket| {
            let error = socket.receive().expect_err("it has gone");
            assert!(matches!(error, SocketError::Gone), "{error:?}");
            Err(error.into())
        },
        &[],
        |client| client.resets(),
    );
}

/// What wraps the peer's fault is the peer's fault.
#[derive(Debug, thiserror::Error)]
#[error("the conversation failed")]
struct Wrapped(#[from] SocketError);

#[test]
fn a_peer_that_does_not_read_is_too_slow() {
    async fn awaiting(mut socket: WebSocket) -> Result<(), BoxError> {
        loop {
            if let Err(error) = socket.send(vec![0; 1 << 16]).await {
                assert!(matches!(error, SocketError::TooSlow), "{error:?}");
                return Err(Wrapped(error).into());
            }
        }
    }
    fn waiting(mut socket: blocking::WebSocket) -> Result<(), BoxError> {
        loop {
            if let Err(error) = socket.send(vec![0; 1 << 16]) {
                assert!(matches!(error, SocketError::TooSlow), "{error:?}");
                return Err(Wrapped(error).into());
            }
        }
    }
    for on in On::ALL {
        let apps = [
            awaited(awaiting).into_application().boxed(),
            blocked(waiting).into_application().boxed(),
        ];
        for app in apps {
            let site = Site::with_stall(on, Duration::from_millis(100), app);
            let client = Client::open(site.address);
            // It is over before the client has read a byte.
            assert_eq!(site.stop(), [""; 0], "{on:?}");
            drop(client);
        }
    }
}

#[test]
fn a_ping_is_answered() {
    on_all(
        |mut socket| async move {
            assert!(!socket.awaits_pong());
            socket.ping().await?;
            assert!(socket.awaits_pong());
            assert_eq!(socket.receive().await?, Some(Message::from("not yet")));
            assert!(socket.awaits_pong(), "the pong was another's");
            assert_eq!(socket.receive().await?, Some(Message::from("now")));
            assert!(!socket.awaits_pong());
            Ok(())
        },
        |socket| {
            let (mut receiver, sender) = socket.split();
            assert!(!sender.awaits_pong());
            sender.ping()?;
            assert!(sender.awaits_pong());
            assert_eq!(receiver.receive()?, Some(Message::from("not yet")));
            assert!(sender.awaits_pong(), "the pong was another's");
            assert_eq!(receiver.receive()?, Some(Message::from("now")));
            assert!(!sender.awaits_pong());
            Ok(())
        },
        &[],
        |client| {
            let (first, payload) = client.receive();
            assert_eq!(first, FIN | PING);
            client.send(frame(FIN | PONG, "another"));
            client.send(frame(FIN | TEXT, "not yet"));
            client.send(frame(FIN | PONG, payload));
            client.send(frame(FIN | TEXT, "now"));
            client.expect_close(1000);
        },
    );
}

/// Only what goes without waiting may be lost by a future that is dropped: nothing.
#[test]
fn receiving_can_be_given_up_and_taken_up_again() {
    async fn patient(mut socket: WebSocket) -> Result<(), BoxError> {
        let mut receive =
            Box::pin(async { socket.receive().await.map(|message| message.is_some()) });
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(receive.as_mut().poll(cx).is_ready()));
        assert!(!polled.await, "nothing has come yet");
        drop(receive);
        socket.send("go on").await?;
        assert_eq!(socket.receive().await?, Some(Message::from("in two pieces")));
        Ok(())
    }
    for on in On::ALL {
        let site = Site::start(on, awaited(patient));
        let mut client = Client::open(site.address);
        let message = frame(FIN | TEXT, "in two pieces");
        client.send(&message[..1]);
        client.expect(FIN | TEXT, "go on");
        client.send(&message[1..]);
        client.expect_close(1000);
        drop(client);
        site.stop();
    }
}

/// One thread sends while another waits to receive.
#[test]
fn a_sender_works_from_another_thread_and_not_after_the_end() {
    static SENDERS: Mutex<Option<Sender<blocking::Sender>>> = Mutex::new(None);
    let (send, receive): (_, Receiver<blocking::Sender>) = channel();
    *SENDERS.lock().expect("nobody panicked") = Some(send);
    let app = || {
        blocked(|mut socket| {
            let senders = SENDERS.lock().expect("nobody panicked").clone();
            senders.expect("it is set").send(socket.sender()).expect("the test listens");
            while socket.receive()?.is_some() {}
            Ok(())
        })
    };
    for on in On::ALL {
        let site = Site::start(on, app());
        let mut client = Client::open(site.address);
        let sender = receive.recv().expect("it comes");
        sender.send("from outside").expect("it is open");
        client.expect(FIN | TEXT, "from outside");
        sender.clone().close(CloseCode::GOING_AWAY).expect("it is open");
        client.expect(FIN | CLOSE, close(1001, ""));
        assert!(matches!(sender.send("late"), Err(SocketError::Closed)));
        assert!(matches!(sender.close(CloseCode::NORMAL), Err(SocketError::Closed)));
        // Until the peer has closed, too, it is received from.
        client.send(frame(FIN | TEXT, "still here"));
        client.send(frame(FIN | CLOSE, close(1001, "")));
        client.expect_end();
        drop(client);
        site.stop();
    }
}

/// A sender that somebody keeps does not keep the connection.
#[test]
fn a_kept_sender_keeps_nothing_open() {
    static KEPT: Mutex<Vec<blocking::Sender>> = Mutex::new(Vec::new());
    for on in On::ALL {
        let site = Site::start(
            on,
            blocked(|socket| {
                KEPT.lock().expect("nobody panicked").push(socket.sender());
                Ok(())
            }),
        );
        Client::open(site.address).expect_close(1000);
        site.stop();
    }
    for sender in KEPT.lock().expect("nobody panicked").iter() {
        assert!(matches!(sender.send("late"), Err(SocketError::Closed)));
    }
}

/// A panic ends its own connection, visibly without a close, and nothing else.
#[test]
fn a_panic_ends_the_connection() {
    for on in On::ALL {
        for app in [
            awaited(|_| async { panic!("a bug") }).into_application().boxed(),
            blocked(|_| panic!("a bug")).into_application().boxed(),
        ] {
            let site = Site::start(on, app);
            Client::open(site.address).expect_end();
            let log = site.stop();
            assert!(log.iter().any(|line| line.contains("a bug")), "{log:?}");
        }
    }
}

/// A shutdown waits for open sockets, and cuts them when its time is up.
#[test]
fn a_shutdown_cuts_what_is_open() {
    for on in On::ALL {
        let mut site = Site::start(
            on,
            awaited(|mut socket| async move {
                socket.send("open").await?;
                while socket.receive().await?.is_some() {}
                Ok(())
            }),
        );
        let mut client = Client::open(site.address);
        client.expect(FIN | TEXT, "open");
        assert_eq!(site.end(Duration::ZERO).cut, 1);
    }
}
