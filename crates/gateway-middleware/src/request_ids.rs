//! Names every request.

use gateway_core::http::{HeaderName, HeaderValue};
use gateway_core::{Application, Environ, IntoApplication, Reply, StartResponse};
use gateway_request::fields::single;
use uuid::Uuid;

use crate::RequestId;

/// Gives every request a name: a UUID of version 7, or what a proxy in front has named it.
///
/// The application finds it as [`RequestId`], the peer in the response's `X-Request-Id`, whoever
/// sends that response: an error has it, too. A field of that name which came with the request never
/// says anything else: where it is not the name, it is replaced.
///
/// Mount it outside of everything that logs.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_middleware::{RequestId, RequestIds};
///
/// fn app(environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let id = RequestId::of(&environ).map(ToString::to_string).unwrap_or_default();
///     Ok(start_response.start(StatusCode::OK, ()).with_body(id))
/// }
///
/// let app = RequestIds::new(app);
/// # use gateway_conformance::TestClient;
/// # let response = TestClient::new(app).get("/").send();
/// # assert_eq!(response.header("x-request-id"), Some(&*response.text()));
/// ```
///
/// Source: RFC 9562 §5.7 for the UUID. No standard has the field; it is a widely kept habit.
#[derive(Debug)]
pub struct RequestIds<A> {
    app: A,
    field: HeaderName,
    accepts: bool,
}

impl<A: Application> RequestIds<A> {
    /// Names the requests of `app`.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>) -> RequestIds<A> {
        let field = HeaderName::from_static("x-request-id");
        RequestIds { app: app.into_application(), field, accepts: false }
    }

    /// Takes the name that the request brings, if it brings one that [is fit](RequestId::new). For
    /// servers behind a proxy that sets it: anybody else could choose the name of another request.
    #[must_use]
    pub fn accepting(self) -> RequestIds<A> {
        RequestIds { accepts: true, ..self }
    }

    /// Uses another field than `X-Request-Id`.
    #[must_use]
    pub fn field(self, field: HeaderName) -> RequestIds<A> {
        RequestIds { field, ..self }
    }
}

impl<A: Application> Application for RequestIds<A> {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        let field = self.field.clone();
        let is_there = environ.header(field.as_str()).is_some();
        let given = single(&environ, field.as_str()).and_then(RequestId::new);
        let accepted = given.filter(|_| self.accepts);
        let is_replaced = is_there && accepted.is_none();
        let id = accepted.or_else(|| RequestId::new(&Uuid::now_v7().to_string()));
        let value = id.as_ref().and_then(|id| HeaderValue::from_str(id.as_str()).ok());
        // A UUID is a name, and a name a value; so this is always so.
        let (Some(id), Some(value)) = (id, value) else {
            return self.app.call(environ, start_response);
        };
        if is_replaced {
            environ.headers_mut().insert(field.clone(), value.clone());
        }
        environ.extensions_mut().insert(id);
        start_response.on_head(move |head| drop(head.headers.insert(field, value)));
        self.app.call(environ, start_response)
    }
}
