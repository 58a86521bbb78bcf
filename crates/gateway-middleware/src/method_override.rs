//! Lets a POST stand for another method.

use std::borrow::Cow;

use gateway_core::http::{HeaderName, Method};
use gateway_core::{Application, Environ, IntoApplication, Reply, StartResponse};
use gateway_request::fields::single;

/// Lets a POST stand for PUT, PATCH or DELETE, for peers that can send nothing else.
///
/// The method stands in the field `X-HTTP-Method-Override`, and in a parameter of the query if one
/// [is named](MethodOverride::query), which HTML forms can reach: `action="/post/7?_method=DELETE"`.
/// A parameter in the form's body is not looked for: that would take the body from the application,
/// and read it in a way that it may not want.
///
/// Only a POST is changed, and only into these three; anything else passes as it is. The application
/// sees the new method, and the old one as [`OriginalMethod`] in the extensions. Where it protects
/// itself from forged requests, it has to do so for the three as it does for POST: a page of another
/// origin can send a form.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_middleware::MethodOverride;
///
/// fn app(environ: Environ, start_response: StartResponse) -> Result<Response> {
///     Ok(start_response.start(StatusCode::OK, ()).with_body(environ.method().to_string()))
/// }
///
/// let app = MethodOverride::new(app).query("_method");
/// # use gateway_conformance::TestClient;
/// assert_eq!(TestClient::new(app).post("/?_method=DELETE").send().text(), "DELETE");
/// ```
#[derive(Debug)]
pub struct MethodOverride<A> {
    app: A,
    field: HeaderName,
    parameter: Option<Cow<'static, str>>,
}

/// The method that a request came by, where it was given another: in its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalMethod(pub Method);

impl<A: Application> MethodOverride<A> {
    /// Looks for `X-HTTP-Method-Override`.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>) -> MethodOverride<A> {
        let field = HeaderName::from_static("x-http-method-override");
        MethodOverride { app: app.into_application(), field, parameter: None }
    }

    /// Looks for a parameter of the query as well, behind the field. Its name is compared as it
    /// stands, so it should need no escapes.
    #[must_use]
    pub fn query(self, parameter: impl Into<Cow<'static, str>>) -> MethodOverride<A> {
        MethodOverride { parameter: Some(parameter.into()), ..self }
    }

    fn wanted(&self, environ: &Environ) -> Option<Method> {
        if let Some(method) = single(environ, self.field.as_str()) {
            return known(method);
        }
        let parameter = self.parameter.as_deref()?;
        let mut pairs = environ.query_string()?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == parameter).and_then(|(_, method)| known(method))
    }
}

impl<A: Application> Application for MethodOverride<A> {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        if environ.method() == Method::POST
            && let Some(method) = self.wanted(&environ)
        {
            environ.set_method(method);
            environ.extensions_mut().insert(OriginalMethod(Method::POST));
        }
        self.app.call(environ, start_response)
    }
}

/// In any case: what people write in forms is often in lower case.
fn known(method: &str) -> Option<Method> {
    let allowed = [Method::PUT, Method::PATCH, Method::DELETE];
    allowed.into_iter().find(|allowed| method.eq_ignore_ascii_case(allowed.as_str()))
}
