//! The start of a framework: routes with path parameters, to applications of any kind.

use gateway_core::http::{HeaderMap, HeaderValue, Method, StatusCode, header::ALLOW};
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
        let (asked, mut allow) = (environ.method().clone(), HeaderMap::new());
        for (method, pattern, app) in &self.0 {
            let Some(params) = matched(pattern, environ.raw_path_info()) else { continue };
            if asked == *method || (asked == Method::HEAD && *method == Method::GET) {
                environ.extensions_mut().insert(params);
                return app.call(environ, start_response);
            }
            let methods = if *method == Method::GET { "GET, HEAD" } else { method.as_str() };
            allow.extend(HeaderValue::from_str(methods).map(|methods| (ALLOW, methods)));
        }
        match allow.is_empty() {
            true => Error::with_status(StatusCode::NOT_FOUND, "no route").into(),
            false => {
                Error::with_status(StatusCode::METHOD_NOT_ALLOWED, "").with_headers(allow).into()
            }
        }
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
    let name = environ.extensions().get::<Params>().and_then(|Params(params)| params.first());
    let name = name.ok_or_else(|| Error::application("the route has no parameter"))?;
    Ok(start_response.start(StatusCode::OK, ()).with_body(format!("This is {name}.\n")))
}
