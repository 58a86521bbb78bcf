//! What a case is, and the tests it makes.

use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{Application, Body, Response, StartResponse};

use crate::outcome::Expectation;
use crate::witness::Witness;

/// An application, what a client does, and what must come of it.
///
/// In all texts `\n` stands for CRLF, and `␊` for a bare LF.
pub(crate) struct Case {
    pub(crate) app: fn(Witness) -> Box<dyn Application>,
    pub(crate) steps: Vec<Step>,
    pub(crate) expected: Expectation,
}

/// What a client does.
pub(crate) enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes one by one.
    Dribble(Vec<u8>),
    /// Begins to send that many bytes of `u`, and goes on; that it fails is no failure.
    Flood(u64),
    /// Reads until what has come ends with this.
    Until(Vec<u8>),
    /// Reads until this has come.
    UntilContains(Vec<u8>),
    /// Waits until the application has noted this.
    Noted(&'static str),
    /// Opens a gate for the application.
    Open(&'static str),
    /// Ends the sending side.
    HalfClose,
    /// Ends the connection with a reset. What has come is forgotten: how much of it a client got
    /// to see is chance.
    Reset,
}

impl Case {
    /// A case without steps, which expects nothing.
    pub(crate) fn new(app: fn(Witness) -> Box<dyn Application>) -> Case {
        Case { app, steps: Vec::new(), expected: Expectation::default() }
    }

    pub(crate) fn send(self, text: impl AsRef<str>) -> Case {
        self.step(Step::Send(wire(text.as_ref())))
    }

    pub(crate) fn dribble(self, text: &str) -> Case {
        self.step(Step::Dribble(wire(text)))
    }

    pub(crate) fn flood(self, bytes: u64) -> Case {
        self.step(Step::Flood(bytes))
    }

    pub(crate) fn until(self, text: impl AsRef<str>) -> Case {
        self.step(Step::Until(wire(text.as_ref())))
    }

    pub(crate) fn until_contains(self, text: &str) -> Case {
        self.step(Step::UntilContains(wire(text)))
    }

    pub(crate) fn noted(self, note: &'static str) -> Case {
        self.step(Step::Noted(note))
    }

    pub(crate) fn open(self, gate: &'static str) -> Case {
        self.step(Step::Open(gate))
    }

    pub(crate) fn half_close(self) -> Case {
        self.step(Step::HalfClose)
    }

    pub(crate) fn reset(self) -> Case {
        self.step(Step::Reset)
    }

    /// This is what comes back, and the server waits for more: the client ends the connection.
    pub(crate) fn answers(mut self, text: impl AsRef<str>) -> Case {
        let text = wire(text.as_ref());
        self.steps.push(Step::Until(text.clone()));
        self.steps.push(Step::HalfClose);
        self.expected.received = text;
        self
    }

    /// This is what comes back, and the server ends the connection.
    pub(crate) fn answers_and_closes(mut self, text: impl AsRef<str>) -> Case {
        self.expected.received = wire(text.as_ref());
        self
    }

    /// This is what comes back before the connection is reset.
    pub(crate) fn answers_and_resets(self, text: impl AsRef<str>) -> Case {
        let mut case = self.answers_and_closes(text);
        case.expected.reset = true;
        case
    }

    /// What the application notes, in order.
    pub(crate) fn notes<const N: usize>(mut self, notes: [&str; N]) -> Case {
        self.expected.notes = notes.map(str::to_owned).to_vec();
        self
    }

    /// What the server logs.
    pub(crate) fn logs<const N: usize>(mut self, lines: [&str; N]) -> Case {
        self.expected.log = lines.map(str::to_owned).to_vec();
        self
    }

    fn step(mut self, step: Step) -> Case {
        self.steps.push(step);
        self
    }
}

/// Makes the tests of each case, which is a function of that name.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {$(
        mod $case {
            use std::sync::LazyLock;

            use crate::outcome::{Outcome, must_fit};
            use crate::site::{On, run};

            static ON_STD: LazyLock<Outcome> = LazyLock::new(|| run(&super::$case(), On::Std));
            static ON_TOKIO: LazyLock<Outcome> = LazyLock::new(|| run(&super::$case(), On::Tokio));

            #[test]
            fn on_std() {
                must_fit("expected", &super::$case().expected, "got", &ON_STD);
            }

            #[test]
            fn on_tokio() {
                must_fit("expected", &super::$case().expected, "got", &ON_TOKIO);
            }

            #[test]
            fn same() {
                must_fit("on std", &*ON_STD, "on tokio", &ON_TOKIO);
            }
        }
    )+};
}

pub(crate) use cases;

/// A case around a function that may block, which is given the witness and `start_response`.
macro_rules! blocking {
    ($f:expr) => {{
        fn app(
            witness: $crate::witness::Witness,
        ) -> ::std::boxed::Box<dyn ::gateway_core::Application> {
            use ::gateway_core::{Environ, IntoApplication, Response, Result, StartResponse};

            let app = move |_: Environ, start_response: StartResponse| -> Result<Response> {
                let f: fn(&$crate::witness::Witness, StartResponse) -> Result<Response> = $f;
                f(&witness, start_response)
            };
            app.boxed()
        }
        $crate::case::Case::new(app)
    }};
}

pub(crate) use blocking;

/// The plainest request.
pub(crate) const GET: &str = "GET / HTTP/1.1\nHost: test\n\n";

/// The head of a 200 with a plain text of unknown length.
pub(crate) const CHUNKED: &str = "HTTP/1.1 200 OK\nDate: *\nServer: *\n\
                                  Transfer-Encoding: chunked\ncontent-type: text/plain\n\n";

/// A 200 with a plain text of its length.
pub(crate) fn ok(text: &str) -> String {
    let length = text.chars().count();
    format!(
        "HTTP/1.1 200 OK\nDate: *\nServer: *\nContent-Length: {length}\n\
         content-type: text/plain\n\n{text}"
    )
}

/// What the server answers an error with.
pub(crate) fn page(status: StatusCode) -> String {
    // RFC 9110 has a newer name for it than the `http` crate.
    let status = status.to_string().replace("Payload Too Large", "Content Too Large");
    let page = format!("{status}␊");
    format!(
        "HTTP/1.1 {status}\nDate: *\nServer: *\nContent-Length: {}\n\
         content-type: text/plain; charset=utf-8\n\n{page}",
        page.chars().count()
    )
}

/// The same answer with `field` behind the application's.
pub(crate) fn with(answer: &str, field: &str) -> String {
    answer.replacen("\n\n", &format!("\n{field}\n\n"), 1)
}

/// The same answer on a connection that ends.
pub(crate) fn closing(answer: impl AsRef<str>) -> String {
    with(answer.as_ref(), "Connection: close")
}

/// What an application answers for [`ok`].
pub(crate) fn text(start_response: StartResponse, text: impl Into<Body>) -> Response {
    start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(text)
}

/// The bytes that a text of this suite stands for.
pub(crate) fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").replace('␊', "\n").into_bytes()
}
