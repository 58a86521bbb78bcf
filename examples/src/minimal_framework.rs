//! The start of a framework: routes with path parameters, to applications of any kind.

use gateway_core::http::{Method, StatusCode};
use gateway_core::{
    Application, Environ, Error, IntoApplication, Reply, Response, Result, StartResponse,
};

struct Router(Vec<(Method, &'static str, Box<dyn Application>)>);

#[derive(Clone)]
struct Params(Vec<String>);

impl Router {
    fn on<M>(mut self, method: Method, path: &'static str, app: impl IntoApplication<M>) -> Self {
        self.0.push((method, path, app.boxed()));
        self
    }
}

impl Application for Router {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        let mut status = StatusCode::NOT_FOUND;
        for (method, pattern, app) in &self.0 {
            if let Some(params) = matched(pattern, environ.raw_path_info()) {
                if method == environ.method() {
                    environ.extensions_mut().insert(params);
                    return app.call(environ, start_response);
                }
                status = StatusCode::METHOD_NOT_ALLOWED;
            }
        }
        Error::with_status(status, "no route").into()
    }
}

/// The raw path is split first and its segments are decoded then: `%2F` stays inside of one.
fn matched(pattern: &str, raw_path: &str) -> Option<Params> {
    let (mut segments, mut params) = (raw_path.split('/'), Vec::new());
    for expected in pattern.split('/') {
        let segment = percent_encoding::percent_decode_str(segments.next()?).decode_utf8().ok()?;
        if expected.starts_with('{') {
            params.push(segment.into_owned());
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(Params(params))
}

/// The framework in use.
pub fn app() -> impl Application {
    let router = Router(Vec::new()).on(Method::GET, "/", crate::hello::app);
    router.on(Method::GET, "/users/{name}", user)
}

async fn user(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let name = environ.extensions().get::<Params>().map(|Params(params)| &params[0]);
    Ok(start_response.start(StatusCode::OK, ()).with_body(format!("This is {name:?}.\n")))
}
