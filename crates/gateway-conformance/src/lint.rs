//! Middleware that holds both sides to the rules.

pub(crate) mod body;
pub(crate) mod environ;
pub(crate) mod exchange;
pub(crate) mod head;
pub(crate) mod input;
mod probe;
mod record;
pub(crate) mod reply;
pub(crate) mod turns;
mod violation;

use std::fmt;
use std::sync::Arc;

use gateway_core::{Application, Environ, IntoApplication, Reply, StartResponse};

use exchange::{Watched, exchange_of};
use record::{Outlet, Record};
use turns::Turns;

pub use violation::{Violation, Violations};

pub(crate) use probe::Probe;

/// Middleware that checks every rule which can be seen at the call: what `wsgiref.validate` and
/// `Rack::Lint` are.
///
/// To the application it is a server, to the server an application, and it checks both. It works
/// for every kind of reply and of body, leaves their kinds as they are, and changes nothing of what
/// is sent. It costs allocations and locks, so it belongs into development and tests;
/// [`TestClient`](crate::TestClient) has it on.
///
/// Put it outside of middleware to check that, inside to check what middleware is given, or both.
///
/// | made by | a broken MUST | a broken SHOULD |
/// |---|---|---|
/// | [`Lint::new`] | panics, which the server answers with 500 or a cut | is logged |
/// | [`logging`](Lint::logging) | is logged | is logged |
/// | [`collecting`](Lint::collecting) | is kept | is kept |
///
/// What is logged goes to the [`ErrorStream`](gateway_core::ErrorStream). Each rule is told once for
/// an exchange. What comes to light where a panic would hit others, in a destructor or when the
/// response is over, is logged in place of a panic.
///
/// # Examples
///
/// ```
/// use gateway_conformance::Lint;
/// use gateway_core::{Environ, IntoApplication, Response, Result, StartResponse};
/// use gateway_core::http::{StatusCode, header::{CONTENT_LENGTH, CONTENT_TYPE}};
///
/// fn app(_: Environ, start_response: StartResponse) -> Result<Response> {
///     let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CONTENT_LENGTH, "4")];
///     Ok(start_response.start(StatusCode::OK, headers).with_body("café"))
/// }
///
/// // In development `run(server, Lint::new(app))` takes the place of `run(server, app)`. Here:
/// let (linted, violations) = Lint::new(app).collecting();
/// # use gateway_conformance::TestClient;
/// TestClient::new(linted).without_lint().get("/").send();
/// let [violation] = &violations.take()[..] else { panic!("one rule is broken") };
/// assert_eq!(violation.rule.id, "APP-06");
/// assert_eq!(violation.detail, "4 bytes were declared, and there are 5");
/// ```
///
/// # Panics
///
/// Its `call`, and what it hands out, panic on a broken MUST, unless it logs or collects.
///
/// Source: PEP 3333, "Middleware"; CPython's `wsgiref.validate`; Rack's `Rack::Lint`.
pub struct Lint<A> {
    app: A,
    outlet: Outlet,
    turns: Arc<Turns>,
}

impl<A: Application> Lint<A> {
    /// Checks `app`, and panics where it or its server breaks a MUST.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>) -> Lint<A> {
        Lint { app: app.into_application(), outlet: Outlet::Panics, turns: Arc::default() }
    }

    /// Logs what it would panic for.
    #[must_use]
    pub fn logging(self) -> Lint<A> {
        Lint { outlet: Outlet::Logs, ..self }
    }

    /// Keeps what it finds, for tests.
    pub fn collecting(self) -> (Lint<A>, Violations) {
        let violations = Violations::default();
        (Lint { outlet: Outlet::Collects(violations.clone()), ..self }, violations)
    }
}

impl<A: Application> Application for Lint<A> {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        let original = exchange_of(start_response);
        let record = Arc::new(Record::new(self.outlet.clone(), &environ));
        environ::check(&record, &mut environ, &*original);
        let _turn = self.turns.begin(&record, environ.server().multithread);
        input::watch(&mut environ, Arc::clone(&record));
        let watched = Arc::new(Watched::new(original, record));
        let start_response = StartResponse::new(Arc::clone(&watched) as _);
        reply::watch(self.app.call(environ, start_response), watched)
    }
}

impl<A> fmt::Debug for Lint<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lint").field("outlet", &self.outlet).finish_non_exhaustive()
    }
}
