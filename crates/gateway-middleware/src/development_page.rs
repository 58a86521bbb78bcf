//! Shows developers what went wrong.

mod page;
mod watch;

use std::pin::Pin;
use std::task::{Context, Poll};

use gateway_core::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use gateway_core::{
    Application, ApplicationError, BoxFuture, Environ, Error, ErrorStream, IntoApplication,
    Recovery, Reply, Response, Result, StartResponse,
};
use gateway_request::fields::values;

use page::Report;
use watch::{Details, watched};

/// Catches panics, and answers them and errors of a 5xx status with a page that says all: the
/// message, the causes, the place in the source, and the stack. For development, and never for
/// production: it tells strangers how the application is made.
///
/// So only peers on the same machine get it, by a loopback address or a Unix socket, and others what
/// they would get without it. [`show_to_all`](DevelopmentPage::show_to_all) is for machines whose
/// browser is elsewhere. Mount it outside of everything that may panic, and inside of `Forwarded` if
/// a proxy on the same machine passes on what strangers ask.
///
/// Browsers get HTML, everybody else plain text. What has gone wrong is logged, as the server does
/// it. Where the head has been sent, the response is cut as it would be without this.
///
/// The first one that is made puts a hook before the process's panic hook, to learn where a panic
/// comes from; the former hook is called as before. A program that aborts on panics has none to
/// catch.
///
/// tower-http's `CatchPanicLayer` knows the message alone.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse};
/// use gateway_middleware::DevelopmentPage;
///
/// fn broken(_: Environ, _: StartResponse) -> Result<Response> {
///     let shelf: [&str; 0] = [];
///     panic!("{} books are on the shelf", shelf.len())
/// }
///
/// let app = DevelopmentPage::new(broken);
/// # use gateway_conformance::TestClient;
/// let page = TestClient::new(app).get("/").send();
/// assert!(page.text().contains("0 books are on the shelf"));
/// ```
#[derive(Debug)]
pub struct DevelopmentPage<A> {
    app: A,
    for_all: bool,
}

impl<A: Application> DevelopmentPage<A> {
    /// Watches over `app`.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>) -> DevelopmentPage<A> {
        watch::install();
        DevelopmentPage { app: app.into_application(), for_all: false }
    }

    /// Shows the page to whoever asks.
    #[must_use]
    pub fn show_to_all(self) -> DevelopmentPage<A> {
        DevelopmentPage { for_all: true, ..self }
    }

    fn is_for(&self, environ: &Environ) -> bool {
        let remote = environ.remote_addr().inet();
        self.for_all || remote.is_none_or(|address| address.ip().to_canonical().is_loopback())
    }
}

impl<A: Application> Application for DevelopmentPage<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        if !self.is_for(&environ) {
            return self.app.call(environ, start_response);
        }
        let case = Case {
            recovery: start_response.recovery(),
            request: format!("{} {}", environ.method(), environ.raw_target()),
            is_browser: values(&environ, "accept").any(mentions_html),
            errors: environ.errors().clone(),
        };
        case.guard(|| self.app.call(environ, start_response))
    }
}

fn mentions_html(accept: &[u8]) -> bool {
    accept.windows(9).any(|part| part.eq_ignore_ascii_case(b"text/html"))
}

/// What is needed when something goes wrong.
struct Case {
    recovery: Recovery,
    request: String,
    is_browser: bool,
    errors: ErrorStream,
}

impl Case {
    fn guard(self, run: impl FnOnce() -> Reply) -> Reply {
        match watched(run) {
            Ok(Reply::Ready(Err(error))) if is_worth_a_page(&error) => {
                self.answer(error, None).into()
            }
            Ok(Reply::Ready(outcome)) => Reply::Ready(outcome),
            Ok(Reply::Pending(work)) => {
                Reply::Pending(Box::pin(Guarded { case: Some(self), work: Some(work) }))
            }
            Ok(Reply::Blocking(job)) => Reply::Blocking(Box::new(move || self.guard(job))),
            Err((error, details)) => self.answer(error, details).into(),
        }
    }

    fn answer(self, error: Error, details: Option<Details>) -> Result<Response> {
        let report = Report { request: &self.request, error: &error, details: details.as_ref() };
        let (media_type, page) = match self.is_browser {
            true => ("text/html; charset=utf-8", report.html()),
            false => ("text/plain; charset=utf-8", report.text()),
        };
        let line = report.line();
        let headers = [
            (CONTENT_TYPE, media_type),
            (CACHE_CONTROL, "no-store"),
            (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        ];
        let response = self.recovery.start(error.status(), headers, error)?;
        // An error that is handed back is logged by the server.
        self.errors.line(line);
        Ok(response.with_body(page))
    }
}

fn is_worth_a_page(error: &Error) -> bool {
    error.status().is_server_error()
}

/// A future whose panics are caught.
struct Guarded {
    case: Option<Case>,
    work: Option<BoxFuture<Reply>>,
}

impl Future for Guarded {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let this = &mut *self;
        let polled = watched(|| match &mut this.work {
            Some(work) => work.as_mut().poll(cx),
            None => Poll::Ready(over()),
        });
        let run = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(reply)) => Ok(reply),
            Err(panic) => Err(panic),
        };
        // What is left of the work may panic as well when it is dropped.
        let dropped = watched(|| drop(this.work.take()));
        let Some(case) = this.case.take() else { return Poll::Ready(over()) };
        Poll::Ready(match (run, dropped) {
            (Ok(reply), _) => case.guard(|| reply),
            (Err((error, details)), _) => case.answer(error, details).into(),
        })
    }
}

/// A future that has been ready is not polled again; if it is, this is all there is to say.
fn over() -> Reply {
    Error::from(ApplicationError::ExchangeOver).into()
}
