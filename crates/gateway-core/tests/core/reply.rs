//! The three arms of a reply.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};

use gateway_core::http::StatusCode;
use gateway_core::{Error, Reply, Response, Result};

use crate::exchange::{Memory, Request, block_on, finish, poll_once};

/// The same outcome by each arm, and by arms inside arms.
fn every_arm(outcome: fn() -> Result<Response>) -> Vec<(&'static str, Reply)> {
    let blocking_then_pending =
        Reply::Blocking(Box::new(move || Reply::future(async move { outcome() })));
    let pending_then_blocking = Reply::Pending(Box::pin(async move { Reply::blocking(outcome) }));
    vec![
        ("ready", Reply::Ready(outcome())),
        ("pending", Reply::future(async move { outcome() })),
        ("blocking", Reply::blocking(outcome)),
        ("blocking, then pending", blocking_then_pending),
        ("pending, then blocking", pending_then_blocking),
    ]
}

fn fine() -> Result<Response> {
    Ok(Memory::started(StatusCode::OK).0)
}

fn failed() -> Result<Response> {
    Err(Error::with_status(StatusCode::NOT_FOUND, "nothing here"))
}

#[test]
fn map_changes_a_response_by_whichever_arm() {
    for (arm, reply) in every_arm(fine) {
        let response = finish(reply.map(|response| response.with_body("mapped"))).unwrap();
        assert_eq!(response.body().len(), Some(6), "{arm}");
    }
}

#[test]
fn map_leaves_an_error_alone() {
    for (arm, reply) in every_arm(failed) {
        let error = finish(reply.map(|_| unreachable!("there is no response"))).unwrap_err();
        assert_eq!(error.status(), StatusCode::NOT_FOUND, "{arm}");
    }
}

#[test]
fn then_sees_both_outcomes_once() {
    for (arm, reply) in every_arm(fine).into_iter().chain(every_arm(failed)) {
        let seen = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&seen);
        let reply = reply.then(move |outcome| {
            counting.fetch_add(1, Ordering::Relaxed);
            match outcome {
                Ok(_) => Err(Error::with_status(StatusCode::CONFLICT, "turned")),
                Err(_) => fine(),
            }
        });
        let was_fine = finish(reply).is_err();
        assert_eq!(seen.load(Ordering::Relaxed), 1, "{arm}, {was_fine}");
    }
}

#[test]
fn each_arm_stays_what_it_is() {
    let through = |reply: Reply| reply.map(|response| response).then(|outcome| outcome);
    assert!(matches!(through(Reply::from(fine())), Reply::Ready(Ok(_))));
    assert!(matches!(through(Reply::future(async { fine() })), Reply::Pending(_)));
    assert!(matches!(through(Reply::blocking(fine)), Reply::Blocking(_)));
}

#[test]
fn the_innermost_then_runs_first() {
    for (arm, reply) in every_arm(fine) {
        let reply = reply.map(|response| response.with_body("1")).map(|response| {
            let len = response.body().len();
            response.with_body(format!("{len:?}"))
        });
        assert_eq!(finish(reply).unwrap().body().len(), Some("Some(1)".len() as u64), "{arm}");
    }
}

#[test]
fn cancelling_changes_nothing_while_the_peer_is_there() {
    let (environ, _) = Request::get("/").environ();
    for (arm, reply) in every_arm(fine) {
        assert!(finish(reply.cancel_on(environ.disconnected())).is_ok(), "{arm}");
    }
}

#[test]
fn a_pending_future_is_dropped_when_the_peer_goes() {
    let (environ, exchange) = Request::get("/").environ();
    let held = Arc::new(());
    let inside = Arc::clone(&held);
    let reply = Reply::future(async move {
        pending::<()>().await;
        drop(inside);
        unreachable!("it is dropped where it stands")
    });
    let Reply::Pending(mut future) = reply.cancel_on(environ.disconnected()) else {
        panic!("a pending reply stays one")
    };
    assert!(poll_once(&mut future).is_pending());
    assert_eq!(Arc::strong_count(&held), 2);
    exchange.disconnect();
    let Poll::Ready(reply) = poll_once(&mut future) else { panic!("the news has come") };
    assert_eq!(Arc::strong_count(&held), 1, "dropped already, not with the reply");
    assert!(finish(reply).unwrap_err().is_disconnect());
}

#[test]
fn going_away_wakes_what_waits() {
    let (environ, exchange) = Request::get("/").environ();
    let gone = environ.disconnected();
    let reply = Reply::Pending(Box::pin(pending())).cancel_on(gone.clone());
    let (began, begun) = mpsc::channel();
    let waiting = std::thread::spawn(move || {
        let mut gone = gone;
        block_on(async {
            // Its first poll registers; then the main thread may go on.
            assert!(poll_once(&mut gone).is_pending());
            began.send(()).unwrap();
        });
        finish(reply).map(drop).unwrap_err().is_disconnect()
    });
    begun.recv().unwrap();
    exchange.disconnect();
    assert!(waiting.join().unwrap());
}

#[test]
fn a_job_that_has_not_begun_is_not_begun() {
    let (environ, exchange) = Request::get("/").environ();
    let reply = Reply::blocking(|| unreachable!("nobody waits for it"));
    let reply = reply.cancel_on(environ.disconnected());
    exchange.disconnect();
    assert!(finish(reply).unwrap_err().is_disconnect());
}

#[test]
fn a_job_that_has_begun_runs_to_its_end() {
    let (environ, exchange) = Request::get("/").environ();
    let reply = Reply::blocking(move || {
        exchange.disconnect();
        fine()
    });
    assert!(finish(reply.cancel_on(environ.disconnected())).is_ok());
}

#[test]
fn what_follows_a_job_is_cancelled_too() {
    for second in [
        || Reply::blocking(|| unreachable!("the peer went during the first part")),
        || Reply::Pending(Box::pin(pending())),
    ] {
        let (environ, exchange) = Request::get("/").environ();
        let reply = Reply::Blocking(Box::new(move || {
            exchange.disconnect();
            second()
        }));
        let outcome = finish(reply.cancel_on(environ.disconnected()));
        assert!(outcome.unwrap_err().is_disconnect());

        let (environ, exchange) = Request::get("/").environ();
        let reply = Reply::Pending(Box::pin(async move {
            exchange.disconnect();
            second()
        }));
        let outcome = finish(reply.cancel_on(environ.disconnected()));
        assert!(outcome.unwrap_err().is_disconnect());
    }
}

#[test]
fn an_answer_that_is_ready_is_worth_more_than_the_news() {
    let (environ, exchange) = Request::get("/").environ();
    exchange.disconnect();
    let gone = || environ.disconnected();
    assert!(finish(Reply::from(fine()).cancel_on(gone())).is_ok());
    assert!(finish(Reply::future(async { fine() }).cancel_on(gone())).is_ok());
}

#[test]
fn the_news_reaches_every_clone() {
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let (environ, exchange) = Request::get("/").environ();
    let first = environ.disconnected();
    let second = first.clone();
    drop(environ);
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let (mut first, mut second) = (pin!(first), pin!(second));
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert!(!first.is_disconnected());
    exchange.disconnect();
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
    assert!(first.is_disconnected() && second.is_disconnected());
    assert!(first.as_mut().poll(&mut cx).is_ready());
    assert!(second.as_mut().poll(&mut cx).is_ready());
    block_on(poll_fn(|cx| first.as_mut().poll(cx)));
}

#[test]
fn a_debug_line_shows_the_arm() {
    assert_eq!(format!("{:?}", Reply::blocking(fine)), "Blocking(..)");
    assert_eq!(format!("{:?}", Reply::future(async { fine() })), "Pending(..)");
    assert!(format!("{:?}", Reply::from(failed())).starts_with("Ready(Err("));
}
