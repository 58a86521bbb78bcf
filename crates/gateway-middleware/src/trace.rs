//! Shows what comes and what goes, like `curl -v`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gateway_core::exchange::End;
use gateway_core::{
    Application, Environ, ErrorStream, Head, IntoApplication, Reply, StartResponse,
};

use crate::counted::count_input;

/// Fields whose values are nobody's business.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];

/// Writes every request and response: lines of the request begin with `< `, those of the response
/// with `> `, and remarks with `* #N`, where N is the exchange's number.
///
/// Bodies are shown by their size. The values of Authorization, Cookie, Proxy-Authorization and
/// Set-Cookie are masked; what a query says is not. The response is shown as the application gave
/// it: Date, Server and the framing fields are the server's, which adds them later. Mount it outside
/// of everything that is to be seen.
///
/// ```text
/// * #1 127.0.0.1:50412
/// < GET /hello.txt HTTP/1.1
/// < Host: 127.0.0.1:8000
/// * #1 after 0.8 ms
/// > HTTP/1.1 200 OK
/// > content-type: text/plain;charset=utf-8
/// * #1 received 0 bytes, sent 12 bytes in 0.9 ms
/// ```
#[derive(Debug)]
pub struct Trace<A> {
    app: A,
    page: Arc<Page>,
}

impl<A: Application> Trace<A> {
    /// Shows what goes into and comes out of `app`, in lines that go to `lines`.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>, lines: ErrorStream) -> Trace<A> {
        let page = Page { lines, next: AtomicU64::new(1), turn: Mutex::new(()) };
        Trace { app: app.into_application(), page: Arc::new(page) }
    }
}

impl<A: Application> Application for Trace<A> {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        let exchange = Arc::new(Exchange::begin(&self.page, count_input(&mut environ)));
        exchange.request(&environ);
        let seen = Arc::clone(&exchange);
        start_response.on_head(move |head| seen.response(head));
        start_response.on_end(move |end| exchange.end(end));
        self.app.call(environ, start_response)
    }
}

/// Where the lines of all exchanges go.
struct Page {
    lines: ErrorStream,
    next: AtomicU64,
    /// Held while one writes a block of lines, so that blocks do not mix.
    turn: Mutex<()>,
}

impl Page {
    fn block(&self, write: impl FnOnce(&ErrorStream)) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        write(&self.lines);
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").finish_non_exhaustive()
    }
}

struct Exchange {
    page: Arc<Page>,
    number: u64,
    begun: Instant,
    received: Arc<AtomicU64>,
}

impl Exchange {
    fn begin(page: &Arc<Page>, received: Arc<AtomicU64>) -> Exchange {
        let number = page.next.fetch_add(1, Ordering::Relaxed);
        Exchange { page: Arc::clone(page), number, begun: Instant::now(), received }
    }

    fn request(&self, environ: &Environ) {
        self.page.block(|lines| {
            lines.line(format_args!("* #{} {}", self.number, environ.remote_addr()));
            let (method, target) = (environ.method(), environ.raw_target());
            lines.line(format_args!("< {method} {target} {:?}", environ.version()));
            for (name, value) in environ.fields() {
                let name = String::from_utf8_lossy(name);
                lines.line(format_args!("< {name}: {}", shown(&name, value)));
            }
        });
    }

    fn response(&self, head: &Head) {
        self.page.block(|lines| {
            lines.line(format_args!("* #{} after {}", self.number, self.elapsed()));
            let reason = match &head.reason {
                Some(reason) => String::from_utf8_lossy(reason.as_bytes()),
                None => head.status.canonical_reason().unwrap_or_default().into(),
            };
            lines.line(format_args!("> HTTP/1.1 {} {reason}", head.status.as_u16()));
            for (name, value) in head.headers.fields() {
                lines.line(format_args!("> {name}: {}", shown(name.as_str(), value)));
            }
        });
    }

    fn end(&self, end: &End<'_>) {
        self.page.block(|lines| {
            let (received, sent) = (self.received.load(Ordering::Relaxed), end.bytes_sent);
            let sizes = format!(
                "* #{} received {received} bytes, sent {sent} bytes in {}",
                self.number,
                self.elapsed()
            );
            match (end.abort, end.error) {
                (Some(cause), _) => lines.error(format_args!("{sizes}, cut off"), cause),
                (None, Some(error)) => lines.error(sizes, error),
                (None, None) => lines.line(sizes),
            }
        });
    }

    fn elapsed(&self) -> String {
        format!("{:.1} ms", self.begun.elapsed().as_secs_f64() * 1e3)
    }
}

/// `value` as text, unless `name` says that it is a secret.
fn shown(name: &str, value: &[u8]) -> String {
    match CREDENTIALS.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
        true => format!("[masked, {} bytes]", value.len()),
        false => String::from_utf8_lossy(value).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_masked_however_they_are_spelled() {
        assert_eq!(shown("AUTHORIZATION", b"Basic YTpi"), "[masked, 10 bytes]");
        assert_eq!(shown("set-cookie", b"id=1"), "[masked, 4 bytes]");
        assert_eq!(shown("Accept", b"*/*"), "*/*");
    }
}
