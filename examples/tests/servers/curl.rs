//! curl as the client, for all that it can do. Without curl these tests say so and pass.

use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

use gateway_core::bytes::Bytes;
use gateway_core::http::{HeaderMap, HeaderValue, StatusCode, header::LINK};
use gateway_core::{
    Application, Body, Environ, Error, IntoApplication, Response, Result, StartResponse,
};

use crate::case::{closing, ok, text};
use crate::outcome::without_facts;
use crate::site::{On, Site};
use crate::witness::Witness;

/// Answers by path.
fn app(witness: Witness) -> Box<dyn Application> {
    (move |mut environ: Environ, start_response: StartResponse| -> Result<Response> {
        let path = environ.raw_path_info().to_owned();
        Ok(match &*path {
            "/hello" => text(start_response, "hello"),
            "/echo" => {
                let mut input = environ.take_input();
                input.limit(u64::MAX)?;
                text(start_response, Body::stream(input))
            }
            "/length" => {
                let input = environ.input();
                input.limit(u64::MAX)?;
                let length = std::io::copy(input, &mut std::io::sink())?;
                text(start_response, length.to_string())
            }
            "/iter" => text(
                start_response,
                Body::iter(["one,", "two,", "three"].map(|data| Ok(data.into()))),
            ),
            "/endless" => {
                let token = witness.token("body");
                text(
                    start_response,
                    Body::iter(std::iter::repeat_with(move || {
                        let _ = &token;
                        Ok(Bytes::from_static(&[b'e'; 1000]))
                    })),
                )
            }
            "/big" => text(start_response, vec![b'b'; 4 << 20]),
            "/file" => text(
                start_response,
                Body::file(std::fs::File::open(file!()).or_else(|_| {
                    std::fs::File::open(
                        env!("CARGO_MANIFEST_DIR").to_owned() + "/tests/servers/curl.rs",
                    )
                })?)?,
            ),
            "/hints" => {
                start_response.early_hints([(LINK, "</style.css>")]);
                text(start_response, "hello")
            }
            "/write" => {
                let mut response = text(start_response, "two");
                response.write("one,")?;
                response
            }
            "/restart" => {
                let mut response = text(start_response, "one");
                let cause = Error::application("a cause");
                response.restart(StatusCode::BAD_GATEWAY, (), cause)?;
                response.with_body("sorry")
            }
            "/cut" => {
                let mut response = text(start_response, Body::Empty);
                response.write("one,")?;
                return Err(Error::application("on purpose"));
            }
            "/panic" => panic!("on purpose"),
            "/trailers" => {
                let mut trailers = HeaderMap::new();
                trailers.insert("x-sum", HeaderValue::from_static("5"));
                let mut input = environ.take_input();
                let body = input.collect(5)?;
                text(start_response, trailing::body(body, trailers))
            }
            _ => return Err(Error::with_status(StatusCode::NOT_FOUND, "no such page")),
        })
    })
    .boxed()
}

mod trailing {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use gateway_core::Body;
    use gateway_core::bytes::Bytes;
    use gateway_core::http::HeaderMap;
    use gateway_core::http_body::{self, Frame};

    struct Trailing(Vec<Frame<Bytes>>);

    pub(super) fn body(data: Bytes, trailers: HeaderMap) -> Body {
        Body::stream(Trailing(vec![Frame::trailers(trailers), Frame::data(data)]))
    }

    impl http_body::Body for Trailing {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop().map(Ok))
        }
    }
}

/// curl with a time-out, silent but for errors; `None` where there is no curl.
#[expect(clippy::print_stderr, reason = "who runs the tests should know")]
fn curl() -> Option<Command> {
    let mut curl = Command::new("curl");
    let there = curl.arg("--version").stdout(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: there is no curl");
        return None;
    }
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "30", "--noproxy", "*"]);
    Some(curl)
}

/// Runs curl against both servers; `{}` in the arguments is the server's URL. Both must give the
/// same, which `check` looks at.
fn on_both(args: &[&str], check: impl Fn(&str, &Output)) {
    let mut outputs = Vec::new();
    for on in On::ALL {
        let Some(mut curl) = curl() else { return };
        let site = Site::start(on, app(Witness::default()));
        let url = format!("http://{}", site.address);
        curl.args(args.iter().map(|arg| arg.replace("{}", &url)));
        let output = curl.stdin(Stdio::null()).output().expect("curl runs");
        site.stop();
        let shown = String::from_utf8_lossy(&without_facts(&output.stdout)).replace("\r\n", "\n");
        check(&shown, &output);
        outputs.push(shown);
    }
    assert_eq!(outputs[0], outputs[1], "std on the left, tokio on the right");
}

/// Runs curl against both servers, which must succeed and show `expected`.
fn shows(args: &[&str], expected: &str) {
    on_both(args, |shown, output| {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", output.status);
        assert_eq!(shown, expected);
    });
}

#[test]
fn get() {
    shows(&["-i", "{}/hello"], &ok("hello"));
}

#[test]
fn head() {
    shows(&["-I", "{}/hello"], ok("hello").trim_end_matches("hello"));
}

#[test]
fn post() {
    shows(&["-d", "hello", "{}/echo"], "hello");
}

#[test]
fn post_in_chunks() {
    shows(&["-d", "hello", "-H", "Transfer-Encoding: chunked", "{}/echo"], "hello");
}

#[test]
fn one_connection_for_two_requests() {
    let format = "%{num_connects},%{http_code};";
    shows(
        &["-o", "/dev/null", "-w", format, "{}/hello", "-o", "/dev/null", "{}/iter"],
        "1,200;0,200;",
    );
}

#[test]
fn http_1_0() {
    shows(&["-0", "{}/iter"], "one,two,three");
    shows(&["-0", "-d", "hello", "{}/echo"], "hello");
}

#[test]
fn iterator() {
    shows(&["{}/iter"], "one,two,three");
    shows(&["--raw", "{}/iter"], "4\none,\n4\ntwo,\n5\nthree\n0\n\n");
}

#[test]
fn file() {
    shows(&["{}/file"], include_str!("curl.rs"));
}

#[test]
fn early_hints() {
    shows(
        &["-i", "{}/hints"],
        &("HTTP/1.1 103 Early Hints\nlink: </style.css>\n\n".to_owned() + &ok("hello")),
    );
}

#[test]
fn continue_is_sent_for_what_is_read() {
    let expect = "Expect: 100-continue";
    shows(
        &["-i", "-H", expect, "-d", "hello", "{}/length"],
        &("HTTP/1.1 100 Continue\n\n".to_owned() + &ok("5")),
    );
}

#[test]
fn continue_is_not_sent_for_what_is_not_read() {
    let expect = "Expect: 100-continue";
    shows(&["-i", "-H", expect, "-d", "hello", "{}/hello"], &closing(ok("hello")));
}

#[test]
fn trailers() {
    shows(&["--raw", "-d", "hello", "{}/trailers"], "5\nhello\n0\nx-sum: 5\n\n");
}

#[test]
fn write_then_body() {
    shows(&["{}/write"], "one,two");
}

#[test]
fn restart() {
    shows(&["-w", "%{http_code}", "{}/restart"], "sorry502");
}

#[test]
fn a_response_that_is_cut_is_seen_to_be() {
    on_both(&["{}/cut"], |shown, output| {
        assert_eq!(shown, "one,");
        // 18: a part of the response is missing; 56: the connection was reset.
        let code = output.status.code();
        assert!(matches!(code, Some(18 | 56)), "{code:?}");
    });
}

#[test]
fn panic_is_500() {
    shows(&["-o", "/dev/null", "-w", "%{http_code}", "{}/panic"], "500");
}

#[test]
fn late_reader() {
    on_both(&["--limit-rate", "16M", "{}/big"], |shown, output| {
        assert!(output.status.success(), "{}", output.status);
        assert_eq!(shown.len(), 4 << 20);
    });
}

/// 100 MiB from a pipe, so in chunks.
fn uploaded(path: &str, check: impl Fn(&str)) {
    for on in On::ALL {
        let Some(mut curl) = curl() else { return };
        let site = Site::start(on, app(Witness::default()));
        curl.args(["-T", "-", "-H", "Expect:"]).arg(format!("http://{}{path}", site.address));
        let curl = curl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = curl.spawn().expect("curl runs");
        let mut stdin = running.stdin.take().expect("it is piped");
        let feeding = std::thread::spawn(move || {
            let some = vec![b'u'; 1 << 20];
            // curl may stop to read when it has its answer.
            let _ = (0..100).try_for_each(|_| stdin.write_all(&some));
        });
        let output = running.wait_with_output().expect("curl ends");
        feeding.join().expect("feeding does not panic");
        site.stop();
        check(&String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn upload_of_100_mib() {
    uploaded("/length", |shown| assert_eq!(shown, (100 << 20).to_string()));
}

#[test]
fn unread_upload_of_100_mib() {
    uploaded("/hello", |shown| assert_eq!(shown, "hello"));
}

#[test]
fn a_client_that_leaves() {
    for on in On::ALL {
        let Some(mut curl) = curl() else { return };
        let witness = Witness::default();
        let site = Site::start(on, app(witness.clone()));
        curl.arg(format!("http://{}/endless", site.address)).stdout(Stdio::piped());
        let mut running = curl.spawn().expect("curl runs");
        let mut some = [0; 1000];
        let mut stdout = running.stdout.take().expect("it is piped");
        stdout.read_exact(&mut some).expect("the body begins");
        running.kill().expect("it can be ended");
        running.wait().expect("it ends");
        assert!(witness.noted("body dropped"), "on {on:?}");
        site.stop();
        assert_eq!(witness.others(), 0, "on {on:?}");
    }
}
