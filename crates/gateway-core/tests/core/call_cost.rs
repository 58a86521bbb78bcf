//! What one call allocates.
//!
//! The counting allocator counts by thread, so the other tests of this binary do not disturb it, and
//! it needs no binary of its own.

use allocation_counter::{AllocationInfo, measure};
use gateway_core::http::StatusCode;
use gateway_core::http::header::CONTENT_TYPE;
use gateway_core::{
    Application, Environ, IntoApplication, Mount, Reply, Response, ResponseHeaders, Result,
    StartResponse, inline,
};

use crate::exchange::Request;

/// Middleware that looks at the request before and at the response behind the application.
struct Counts<A>(A);

impl<A: Application> Application for Counts<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let long = environ.raw_target().len() > 9;
        self.0.call(environ, start_response).map(move |mut response| {
            if long && let Ok(head) = response.head_mut() {
                head.status = StatusCode::ACCEPTED;
            }
            response
        })
    }
}

/// Three middlewares around a mount around `app`.
fn wrapped<M>(app: impl IntoApplication<M>) -> Box<dyn Application> {
    let other = inline(|_, start_response| Ok(start_response.start(StatusCode::GONE, ())));
    let mount = Mount::new().at("/blog", app).at("/blog/admin", other.clone()).at("", other);
    Box::new(Counts(Counts(Counts(mount.build().expect("the prefixes are fine")))))
}

/// What `app` allocates between the server's call and its reply.
#[track_caller]
fn cost_of_call(app: &dyn Application) -> AllocationInfo {
    let request = Request::get("/bl%6Fg/2024/hello?draft=1")
        .field("Host", "blog.test")
        .field("Accept", "*/*");
    let (environ, exchange) = request.environ();
    let start_response = exchange.start_response();
    let mut reply = None;
    let cost = measure(|| reply = Some(app.call(environ, start_response)));
    match reply {
        Some(Reply::Ready(Ok(response))) => assert_eq!(response.status(), StatusCode::ACCEPTED),
        other => panic!("a ready response was measured, not {other:?}"),
    }
    cost
}

fn bare(environ: Environ, start_response: StartResponse) -> Result<Response> {
    assert_eq!(environ.header("host"), Some(&b"blog.test"[..]));
    assert_eq!(environ.raw_path_info(), "/2024/hello");
    assert_eq!(environ.path_info(), "/2024/hello");
    Ok(start_response.start(StatusCode::OK, ()).with_body("static"))
}

#[test]
fn a_ready_reply_through_mount_and_middleware_allocates_nothing() {
    assert_eq!(cost_of_call(&wrapped(inline(bare))).count_total, 0);
    // A function that may block is called in place on a thread server.
    assert_eq!(cost_of_call(&wrapped(bare)).count_total, 0);
}

#[test]
fn the_responses_own_headers_and_body_are_all_it_costs() {
    let app = wrapped(inline(|_, start_response| {
        let headers = [(CONTENT_TYPE, "text/plain")];
        Ok(start_response.start(StatusCode::OK, headers).with_body(String::from("owned")))
    }));
    let mut kept = None;
    let own = measure(|| {
        let headers = ResponseHeaders::from_static([(CONTENT_TYPE, "text/plain")]);
        kept = Some((headers, gateway_core::Body::from(String::from("owned"))));
    });
    drop(kept);
    let cost = cost_of_call(&app);
    assert_eq!((cost.count_total, cost.bytes_total), (own.count_total, own.bytes_total));
    assert!(cost.count_total > 0, "or nothing was counted at all");
}

/// The proof that an allocation in a middleware would be seen.
#[test]
fn one_box_in_a_middleware_is_counted() {
    struct Boxes<A>(A);

    impl<A: Application> Application for Boxes<A> {
        fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
            let boxed = std::hint::black_box(Box::new(7u64));
            self.0.call(environ, start_response).map(move |response| {
                drop(boxed);
                response
            })
        }
    }

    assert_eq!(cost_of_call(&Boxes(wrapped(inline(bare)))).count_total, 1);
}

/// Each layer around an application moves both, and 128 bytes are the most that a compiler moves in
/// place instead of calling memcpy.
#[test]
fn what_every_layer_moves_is_small() {
    assert!(size_of::<Environ>() <= 128, "{}", size_of::<Environ>());
    assert!(size_of::<Reply>() <= 128, "{}", size_of::<Reply>());
}
