//! The start of a framework: routes with path parameters, to applications of any kind.

use gateway_core::http::{HeaderMap, HeaderValue, StatusCode, header::ALLOW};
use gateway_core::{Application, Environ, IntoApplication, Reply, Response, Result, StartResponse};

/// Methods as `Allow` lists them, a path, and who answers.
type Route = (&'static str, &'static str, Box<dyn Application>);
struct Router(Vec<Route>);

#[derive(Clone)]
struct Params(Vec<String>);

/// HEAD goes where GET does (RFC 9110 §9.1); the server sends its answer without the body.
fn get<M>(path: &'static str, app: impl IntoApplication<M>) -> Route {
    ("GET, HEAD", path, app.boxed())
}

impl Application for Router {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        let mut allow = HeaderMap::new();
        for (methods, path, app) in &self.0 {
            let Some(params) = matched(path, environ.raw_path_info()) else { continue };
            if methods.split(", ").any(|method| method == environ.method().as_str()) {
                environ.extensions_mut().insert(params);
                return app.call(environ, start_response);
            }
            allow.append(ALLOW, HeaderValue::from_static(methods));
        }
        // RFC 9110 §15.5.6: with 405 goes what is allowed.
        let known = !allow.is_empty();
        let status = if known { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
        start_response.start(status, allow).with_body(format!("{status}\n")).into()
    }
}

/// The raw path is split first and its segments are decoded then: `%2F` stays inside of one.
fn matched(path: &str, raw_path: &str) -> Option<Params> {
    let (mut segments, mut params) = (raw_path.split('/'), Vec::new());
    for expected in path.split('/') {
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
    Router(vec![get("/", crate::hello::app), get("/users/{name}", user)])
}

async fn user(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let name = environ.extensions().get().map_or("nobody", |Params(params)| &params[0]);
    Ok(start_response.start(StatusCode::OK, ()).with_body(format!("This is {name}.\n")))
}
