//! Middleware: times requests, logs them, and adds fields, whatever kind the application is of.

use std::thread;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use gateway_core::http::{HeaderValue, StatusCode, header::CACHE_CONTROL};
use gateway_core::{Application, Environ, Mount, Reply, Response, Result, StartResponse, inline};

/// Times the application inside. It neither blocks nor awaits, and does not ask who does.
#[derive(Debug)]
pub struct Timed<A>(pub A);

impl<A: Application> Application for Timed<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let begun = Instant::now();
        let request = format!("{} {}", environ.method(), environ.raw_target());
        let errors = environ.errors().clone();

        // Sees the head wherever it comes from, also that of an error.
        start_response.on_head(move |head| {
            let timing = format!("app;dur={:.3}", begun.elapsed().as_secs_f64() * 1e3);
            if let Ok(timing) = HeaderValue::try_from(timing) {
                head.headers.insert("server-timing", timing);
            }
        });
        // Comes when the last byte has gone, or the peer.
        start_response.on_end(move |end| {
            let (status, bytes, time) = (end.status, end.bytes_sent, begun.elapsed());
            errors.line(format_args!("{request}: {status:?}, {bytes} bytes in {time:.1?}"));
        });
        // Sees what the application answers, by whichever way it does.
        self.0.call(environ, start_response).map(|mut response| {
            if let Ok(head) = response.head_mut() {
                head.headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
            }
            response
        })
    }
}

/// A synchronous, an asynchronous and a blocking application, all timed.
pub fn app() -> Timed<Mount> {
    let quick = inline(|_, start_response| {
        Ok(start_response.start(StatusCode::OK, ()).with_body("at once\n"))
    });
    let mount = Mount::new().at("/quick", quick).at("/async", later).at("/blocking", slow).build();
    Timed(mount.expect("the prefixes begin with a slash, end without one, and differ"))
}

async fn later(_: Environ, start_response: StartResponse) -> Result<Response> {
    Delay::new(Duration::from_millis(10)).await;
    Ok(start_response.start(StatusCode::OK, ()).with_body("after a while\n"))
}

fn slow(_: Environ, start_response: StartResponse) -> Result<Response> {
    thread::sleep(Duration::from_millis(10));
    Ok(start_response.start(StatusCode::OK, ()).with_body("after blocking\n"))
}
