//! Requests without a server: one exchange on the calling thread.

use std::sync::{Arc, Mutex};

use gateway_core::bytes::Bytes;
use gateway_core::exchange::ConnectionInfo;
use gateway_core::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use gateway_core::http_body::Frame;
use gateway_core::{
    Application, Environ, ErrorStream, Head, Mount, Reply, Result, ServerInfo, StartResponse,
};
use gateway_handler::{Channel, Framing, Wire, answer};
use gateway_static::StaticFiles;

/// A request as a test wants it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: Method,
    target: String,
    headers: HeaderMap,
    prefix: &'static str,
    nonblocking: bool,
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// How many data it came in.
    pub(crate) data: usize,
    /// The length that the server would announce.
    pub(crate) length: Option<u64>,
    pub(crate) cut: bool,
    /// The kind of the body, as the server gets it.
    pub(crate) kind: String,
    pub(crate) blocking: bool,
}

pub(crate) fn get(target: impl Into<String>) -> Request {
    Request {
        method: Method::GET,
        target: target.into(),
        headers: HeaderMap::new(),
        prefix: "",
        nonblocking: false,
    }
}

pub(crate) fn head(target: impl Into<String>) -> Request {
    get(target).method(Method::HEAD)
}

impl Request {
    pub(crate) fn method(self, method: Method) -> Request {
        Request { method, ..self }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Request {
        let value = HeaderValue::from_str(value).expect("the tests send values");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// To an application that is mounted under `prefix`.
    pub(crate) fn under(self, prefix: &'static str) -> Request {
        Request { prefix, ..self }
    }

    pub(crate) fn nonblocking(self) -> Request {
        Request { nonblocking: true, ..self }
    }

    #[track_caller]
    pub(crate) fn on(self, app: &StaticFiles) -> Answer {
        self.on_then(app, || {})
    }

    /// Calls `then` when the application has answered and nothing has been sent.
    #[track_caller]
    pub(crate) fn on_then(
        self,
        app: &StaticFiles,
        then: impl Fn() + Send + Sync + 'static,
    ) -> Answer {
        let seen = Arc::new(Mutex::new((String::new(), false)));
        let app = Mount::new()
            .at(
                self.prefix,
                Watched { app: app.clone(), seen: Arc::clone(&seen), then: Arc::new(then) },
            )
            .build()
            .expect("the prefix is one");
        let (errors, _log) = ErrorStream::memory();
        let mut info = ConnectionInfo::new(Arc::new(ServerInfo::new("test", None, "test")));
        info.errors = errors;
        info.nonblocking = self.nonblocking;
        let channel = Recorder::default();
        let recorder = answer(&app, info, channel, |exchange| {
            let target = Bytes::from(self.target);
            Environ::new(exchange, self.method, Version::HTTP_11, target).with_headers(self.headers)
        });
        let mut answer = recorder.0;
        (answer.kind, answer.blocking) = seen.lock().expect("nothing panicked").clone();
        answer
    }
}

impl Answer {
    /// The value of a field; empty where there is none.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("fields are text here"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// All values of a field, joined.
    pub(crate) fn fields(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter();
        values.map(|value| value.to_str().expect("it is text")).collect::<Vec<_>>().join(", ")
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }
}

/// Looks at what the application gives its server.
struct Watched {
    app: StaticFiles,
    seen: Arc<Mutex<(String, bool)>>,
    then: Arc<dyn Fn() + Send + Sync>,
}

impl Application for Watched {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let reply = self.app.call(environ, start_response);
        let seen = Arc::clone(&self.seen);
        seen.lock().expect("nothing panicked").1 = matches!(reply, Reply::Blocking(_));
        let then = Arc::clone(&self.then);
        reply.map(move |response| {
            then();
            let kind = format!("{:?}", response.body());
            let end = kind.find('(').unwrap_or(kind.len());
            kind[..end].clone_into(&mut seen.lock().expect("nothing panicked").0);
            response
        })
    }
}

#[derive(Debug, Default)]
struct Recorder(Answer);

impl Wire for Recorder {
    fn informational(&mut self, _: StatusCode, _: &HeaderMap) {}

    fn head(&mut self, head: &Head, framing: Framing) {
        self.0.status = head.status;
        self.0.headers = head.headers.clone().into();
        self.0.length = framing.length;
    }

    fn data(&mut self, data: Bytes) {
        self.0.body.extend_from_slice(&data);
        self.0.data += 1;
    }

    fn announce(&mut self, _: u64) {}

    fn end(&mut self, _: Option<HeaderMap>) {}

    fn cut(&mut self) {
        self.0.cut = true;
    }
}

impl Channel for Recorder {
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn read(&mut self) -> Option<Result<Frame<Bytes>>> {
        None
    }
}
