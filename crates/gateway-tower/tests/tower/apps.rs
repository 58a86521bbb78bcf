//! Applications as one writes them for axum, in our own words: nothing here knows of Gateway.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::error_handling::HandleErrorLayer;
use axum::extract::{
    ConnectInfo, DefaultBodyLimit, MatchedPath, Multipart, OriginalUri, Path, Query, Request, State,
};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{BoxError, Json, Router, middleware};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::services::{ServeDir, ServeFile};
use tower_http::set_header::SetResponseHeaderLayer;

/// A page, and what surrounds it.
pub(crate) fn hello() -> Router {
    Router::new()
        .route("/", get(|| async { Html("<h1>Hello, World!</h1>") }))
        .route("/empty", get(|| async { StatusCode::NO_CONTENT }))
        .route(
            "/teapot",
            get(|| async { (StatusCode::IM_A_TEAPOT, [("x-spout", "short")], "tea") }),
        )
        .route(
            "/query",
            get(
                |Query(query): Query<BTreeMap<String, String>>| async move { format!("{query:?}") },
            ),
        )
        .route("/two", get(|| async { ([("set-cookie", "a=1")], [("vary", "accept")], "two") }))
        .fallback(
            |uri: axum::http::Uri| async move { (StatusCode::NOT_FOUND, format!("no {uri}")) },
        )
}

/// Files below `/assets`, with a page of its own for what is missing.
pub(crate) fn files(directory: &FilePath) -> Router {
    let missing = ServeFile::new(directory.join("missing.html"));
    Router::new()
        .nest_service("/assets", ServeDir::new(directory).not_found_service(missing))
        .route_service("/one", ServeFile::new(directory.join("index.html")))
}

/// Three events, and an end.
pub(crate) fn events() -> Router {
    Router::new().route(
        "/events",
        get(|| async {
            let events = (1..=3).map(|n| {
                let event = Event::default().event("tick").id(n.to_string()).data(format!("n {n}"));
                Ok::<_, Infallible>(event)
            });
            Sse::new(Iterate(events))
        }),
    )
}

/// Fields and files of a form.
pub(crate) fn form() -> Router {
    async fn accept(mut form: Multipart) -> Result<String, (StatusCode, String)> {
        let mut told = String::new();
        while let Some(field) = form.next_field().await.map_err(|e| (e.status(), e.body_text()))? {
            let name = field.name().unwrap_or("?").to_owned();
            let file = field.file_name().unwrap_or("-").to_owned();
            let data = field.bytes().await.map_err(|e| (e.status(), e.body_text()))?;
            told += &format!("{name} {file} {}\n", data.len());
        }
        Ok(told)
    }
    Router::new().route("/", post(accept)).layer(DefaultBodyLimit::max(16 * 1024))
}

#[derive(Debug, Clone, Serialize)]
struct Todo {
    id: u64,
    text: String,
    done: bool,
}

#[derive(Default)]
struct Todos {
    last: AtomicU64,
    all: Mutex<BTreeMap<u64, Todo>>,
}

#[derive(Deserialize)]
struct NewTodo {
    text: String,
}

#[derive(Deserialize)]
struct Change {
    text: Option<String>,
    done: Option<bool>,
}

/// A list that requests share.
pub(crate) fn todos() -> Router {
    async fn list(State(todos): State<Arc<Todos>>) -> Json<Vec<Todo>> {
        Json(todos.all.lock().expect("not poisoned").values().cloned().collect())
    }
    async fn add(
        State(todos): State<Arc<Todos>>,
        Json(new): Json<NewTodo>,
    ) -> (StatusCode, Json<Todo>) {
        let id = todos.last.fetch_add(1, Ordering::Relaxed) + 1;
        let todo = Todo { id, text: new.text, done: false };
        todos.all.lock().expect("not poisoned").insert(id, todo.clone());
        (StatusCode::CREATED, Json(todo))
    }
    async fn change(
        Path(id): Path<u64>,
        State(todos): State<Arc<Todos>>,
        Json(change): Json<Change>,
    ) -> Result<Json<Todo>, StatusCode> {
        let mut all = todos.all.lock().expect("not poisoned");
        let todo = all.get_mut(&id).ok_or(StatusCode::NOT_FOUND)?;
        todo.text = change.text.unwrap_or(std::mem::take(&mut todo.text));
        todo.done = change.done.unwrap_or(todo.done);
        Ok(Json(todo.clone()))
    }
    async fn remove(Path(id): Path<u64>, State(todos): State<Arc<Todos>>) -> StatusCode {
        match todos.all.lock().expect("not poisoned").remove(&id) {
            Some(_) => StatusCode::NO_CONTENT,
            None => StatusCode::NOT_FOUND,
        }
    }
    Router::new()
        .route("/todos", get(list).post(add))
        .route("/todos/{id}", patch(change).delete(remove))
        .with_state(Arc::default())
}

/// Values under keys, behind a stack of layers.
pub(crate) fn store() -> Router {
    type Values = Arc<Mutex<BTreeMap<String, Bytes>>>;
    async fn put(Path(key): Path<String>, State(values): State<Values>, value: Bytes) {
        values.lock().expect("not poisoned").insert(key, value);
    }
    async fn find(
        Path(key): Path<String>,
        State(values): State<Values>,
    ) -> Result<Bytes, StatusCode> {
        values.lock().expect("not poisoned").get(&key).cloned().ok_or(StatusCode::NOT_FOUND)
    }
    async fn clear(State(values): State<Values>) {
        values.lock().expect("not poisoned").clear();
    }
    async fn guard(headers: HeaderMap, request: Request, next: middleware::Next) -> Response {
        match headers.get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer secret") {
            true => next.run(request).await,
            false => StatusCode::UNAUTHORIZED.into_response(),
        }
    }
    async fn overloaded(error: BoxError) -> (StatusCode, String) {
        (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
    let admin = Router::new().route("/keys", delete(clear)).layer(middleware::from_fn(guard));
    Router::new()
        .route(
            "/{key}",
            get(find).post_service(axum::handler::Handler::with_state(put, Values::default())),
        )
        .route("/shared/{key}", get(find).post(put))
        .nest("/admin", admin)
        .layer(
            ServiceBuilder::new()
                .layer(HandleErrorLayer::new(overloaded))
                .load_shed()
                .concurrency_limit(64)
                .timeout(Duration::from_secs(60))
                .layer(SetResponseHeaderLayer::if_not_present(
                    header::SERVER,
                    header::HeaderValue::from_static("store"),
                ))
                .layer(RequestBodyLimitLayer::new(1024))
                .layer(CompressionLayer::new()),
        )
        .with_state(Values::default())
}

/// Who asks.
pub(crate) fn who() -> Router {
    Router::new().route(
        "/",
        get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }),
    )
}

/// Routers in routers, and services in them.
pub(crate) fn nested() -> Router {
    async fn tell(
        OriginalUri(original): OriginalUri,
        matched: Option<MatchedPath>,
        request: Request,
    ) -> String {
        let matched = matched.map(|matched| matched.as_str().to_owned());
        format!("{original} {} {matched:?}", request.uri())
    }
    let inner = Router::new().route("/", get(tell)).route("/users/{id}", get(tell));
    let service = tower::service_fn(|request: Request| async move {
        let told = format!("{} {}", request.method(), request.uri());
        Ok::<_, Infallible>(Response::new(Body::from(told)))
    });
    Router::new()
        .nest("/api", inner.clone())
        .nest("/a/{b}", inner)
        .nest_service("/service", service)
        .route_service("/exact", service)
        .fallback(|| async { (StatusCode::NOT_FOUND, "nowhere") })
}

/// Bodies that nobody holds whole.
pub(crate) fn streams() -> Router {
    async fn count(body: Body) -> Result<String, StatusCode> {
        let mut body = body;
        let (mut bytes, mut trailers) = (0, String::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
            match frame.into_data() {
                Ok(data) => bytes += data.len(),
                Err(frame) => trailers = format!("{:?}", frame.into_trailers().ok()),
            }
        }
        Ok(format!("{bytes} bytes {trailers}"))
    }
    async fn download() -> Body {
        let pieces = (0u32..1000).map(|n| Ok::<_, io::Error>(Bytes::from(vec![n as u8; 3000])));
        Body::from_stream(Iterate(pieces))
    }
    async fn breaks() -> Body {
        let pieces = [Ok(Bytes::from_static(b"some")), Err(io::Error::other("broken"))];
        Body::from_stream(Iterate(pieces.into_iter()))
    }
    async fn trailers() -> ([(&'static str, &'static str); 1], Body) {
        let mut map = HeaderMap::new();
        map.insert("x-sum", header::HeaderValue::from_static("7"));
        let frames = [
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"data"))),
            Ok(Frame::trailers(map)),
        ];
        ([("trailer", "x-sum")], Body::new(StreamBody::new(Iterate(frames.into_iter()))))
    }
    Router::new()
        .route("/count", post(count))
        .route("/echo", post(|body: Body| async { body }))
        .route("/whole", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/download", get(download))
        .route("/breaks", get(breaks))
        .route("/trailers", get(trailers))
}

/// An iterator as a stream that is always ready.
pub(crate) struct Iterate<I>(pub(crate) I);

impl<I: Iterator + Unpin> futures_core::Stream for Iterate<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}
