//! Methods, framing of requests, keep-alive, pipelining, HTTP/1.0.

use gateway_core::http::{HeaderValue, StatusCode, header::CONNECTION};
use gateway_core::{
    Application, Body, Environ, Error, IntoApplication, Reply, Response, Result, StartResponse,
    inline,
};

use crate::case::{CHUNKED, Case, cases, closing, ok, page, text, with};
use crate::witness::Witness;

cases![
    get,
    get_byte_by_byte,
    head,
    head_of_a_stream,
    post_with_a_length,
    post_in_chunks,
    post_in_chunks_byte_by_byte,
    post_that_is_not_read,
    absolute_form,
    options_asterisk,
    keep_alive,
    close,
    close_by_the_application,
    pipelined,
    pipelined_with_bodies,
    http_1_0,
    http_1_0_keep_alive,
    http_1_0_stream,
    no_host,
    bare_line_feed,
    two_lengths,
    too_large,
    too_large_in_chunks,
    too_large_to_be_thrown_away,
];

fn greet(_: Witness) -> Box<dyn Application> {
    inline(|_, start_response| Ok(text(start_response, "hello"))).boxed()
}

fn get() -> Case {
    Case::new(greet).send("GET / HTTP/1.1\nHost: test\n\n").answers(ok("hello"))
}

fn get_byte_by_byte() -> Case {
    Case::new(greet).dribble("GET / HTTP/1.1\nHost: test\n\n").answers(ok("hello"))
}

fn head() -> Case {
    let bare = ok("hello").replace("hello", "");
    Case::new(greet)
        .send("HEAD / HTTP/1.1\nHost: test\n\n")
        .until(&bare)
        .send("GET / HTTP/1.1\nHost: test\n\n")
        .answers(bare + &ok("hello"))
}

fn head_of_a_stream() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        inline(move |_, start_response| {
            let token = witness.token("body");
            let body = Body::iter(std::iter::from_fn(move || {
                let _ = &token;
                panic!("nobody wants the body of a HEAD")
            }));
            Ok(text(start_response, body))
        })
        .boxed()
    }
    Case::new(app).send("HEAD / HTTP/1.1\nHost: test\n\n").answers(CHUNKED).notes(["body dropped"])
}

/// Tells what came: target, length as declared, body, trailers.
async fn tell(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let declared = environ.input().declared_len();
    let body = environ.input().collect_async(1000).await?;
    let mut answer = format!("{} {declared:?} {body:?}", environ.raw_target());
    if let Some(trailers) = environ.input().trailers() {
        answer += &format!(" {trailers:?}");
    }
    Ok(text(start_response, answer))
}

fn teller(_: Witness) -> Box<dyn Application> {
    tell.boxed()
}

fn post_with_a_length() -> Case {
    Case::new(teller)
        .send("POST /a HTTP/1.1\nHost: test\nContent-Length: 5\n\nhel")
        .send("lo")
        .answers(ok("/a Some(5) b\"hello\""))
}

fn post_in_chunks() -> Case {
    Case::new(teller)
        .send("POST /a HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\n")
        .send("2\nhe\n3;really=\"\"\nllo\n0\n\n")
        .answers(ok("/a None b\"hello\""))
}

fn post_in_chunks_byte_by_byte() -> Case {
    Case::new(teller)
        .dribble("POST /a HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\n")
        .dribble("00a\nhellohello\n0\nX-Sum: 1\n\n")
        .answers(ok("/a None b\"hellohello\" {\"x-sum\": \"1\"}"))
}

fn post_that_is_not_read() -> Case {
    Case::new(greet)
        .send("POST /a HTTP/1.1\nHost: test\nContent-Length: 5\n\nhello")
        .until(ok("hello"))
        .send("GET / HTTP/1.1\nHost: test\n\n")
        .answers(ok("hello").repeat(2))
}

fn absolute_form() -> Case {
    fn app(_: Witness) -> Box<dyn Application> {
        inline(|environ, start_response| {
            let answer = format!("{:?} {}", environ.authority(), environ.raw_path_info());
            Ok(text(start_response, answer))
        })
        .boxed()
    }
    Case::new(app)
        .send("GET http://there:81/a?b HTTP/1.1\nHost: here\n\n")
        .answers(ok("Some(\"there:81\") /a"))
}

fn options_asterisk() -> Case {
    Case::new(teller).send("OPTIONS * HTTP/1.1\nHost: test\n\n").answers(ok("* Some(0) b\"\""))
}

fn keep_alive() -> Case {
    Case::new(teller)
        .send("GET /1 HTTP/1.1\nHost: test\n\n")
        .until(ok("/1 Some(0) b\"\""))
        .send("GET /2 HTTP/1.1\nHost: test\n\n")
        .answers(ok("/1 Some(0) b\"\"") + &ok("/2 Some(0) b\"\""))
}

fn close() -> Case {
    Case::new(greet)
        .send("GET / HTTP/1.1\nHost: test\nConnection: close\n\n")
        .answers_and_closes(closing(ok("hello")))
}

fn close_by_the_application() -> Case {
    fn app(_: Witness) -> Box<dyn Application> {
        inline(|_, start_response| {
            let mut response = text(start_response, "hello");
            response.head_mut()?.headers.insert(CONNECTION, HeaderValue::from_static("close"));
            Ok(response)
        })
        .boxed()
    }
    Case::new(app)
        .send("GET / HTTP/1.1\nHost: test\n\nGET / HTTP/1.1\nHost: test\n\n")
        .answers_and_closes(closing(ok("hello")))
}

/// The later a request comes, the faster it is answered, and still one after the other.
fn pipelined() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        (move |environ: Environ, start_response: StartResponse| {
            let witness = witness.clone();
            match environ.raw_path_info() {
                "/blocking" => Reply::blocking(move || {
                    witness.wait("gate");
                    witness.note("blocking");
                    Ok(text(start_response, "blocking"))
                }),
                "/async" => Reply::future(async move {
                    witness.opened("gate").await;
                    witness.note("async");
                    Ok(text(start_response, "async"))
                }),
                _ => {
                    witness.note("ready");
                    text(start_response, "ready").into()
                }
            }
        })
        .boxed()
    }
    let request = |path| format!("GET {path} HTTP/1.1\nHost: test\n\n");
    Case::new(app)
        .send(["/blocking", "/async", "/ready"].map(request).concat())
        .open("gate")
        .answers(["blocking", "async", "ready"].map(ok).concat())
        .notes(["blocking", "async", "ready"])
}

fn pipelined_with_bodies() -> Case {
    Case::new(teller)
        .send(
            "POST /1 HTTP/1.1\nHost: test\nContent-Length: 3\n\none\
             POST /2 HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\n3\ntwo\n0\n\n\
             GET /3 HTTP/1.1\nHost: test\n\n",
        )
        .answers(["/1 Some(3) b\"one\"", "/2 None b\"two\"", "/3 Some(0) b\"\""].map(ok).concat())
}

fn http_1_0() -> Case {
    Case::new(greet).send("GET / HTTP/1.0\n\n").answers_and_closes(closing(ok("hello")))
}

fn http_1_0_keep_alive() -> Case {
    let kept = with(&ok("hello"), "Connection: keep-alive");
    let request = "GET / HTTP/1.0\nConnection: keep-alive\n\n";
    Case::new(greet).send(request).until(&kept).send(request).answers(kept.repeat(2))
}

fn http_1_0_stream() -> Case {
    fn app(_: Witness) -> Box<dyn Application> {
        inline(|_, start_response| {
            Ok(text(start_response, Body::iter(["one", "two"].map(|data| Ok(data.into())))))
        })
        .boxed()
    }
    Case::new(app)
        .send("GET / HTTP/1.0\nConnection: keep-alive\n\n")
        .answers_and_closes(closing(CHUNKED).replace("Transfer-Encoding: chunked\n", "") + "onetwo")
}

/// What a request that breaks the protocol is answered with.
fn refused(status: StatusCode, why: &str) -> String {
    closing(page(status).replace(&format!("{status}␊"), &format!("{why}␊"))).replacen(
        &format!("Content-Length: {}", status.to_string().len() + 1),
        &format!("Content-Length: {}", why.len() + 1),
        1,
    )
}

fn never(_: Witness) -> Box<dyn Application> {
    inline(|_, _| Err(Error::application("a refused request reached the application"))).boxed()
}

fn no_host() -> Case {
    Case::new(never)
        .send("GET / HTTP/1.1\n\n")
        .answers_and_closes(refused(StatusCode::BAD_REQUEST, "the Host field is missing"))
}

fn bare_line_feed() -> Case {
    Case::new(never).send("GET / HTTP/1.1\nHost: test␊\n").answers_and_closes(refused(
        StatusCode::BAD_REQUEST,
        "a line ends with something other than CR LF",
    ))
}

fn two_lengths() -> Case {
    Case::new(never)
        .send("POST / HTTP/1.1\nHost: test\nContent-Length: 5\nContent-Length: 6\n\nhello")
        .answers_and_closes(refused(
            StatusCode::BAD_REQUEST,
            "there is more than one Content-Length field",
        ))
}

/// What is left of a body is thrown away where that is little, and the connection goes on.
fn too_large() -> Case {
    let page = page(StatusCode::PAYLOAD_TOO_LARGE);
    Case::new(teller)
        .send("POST / HTTP/1.1\nHost: test\nContent-Length: 1001\n\n")
        .until(&page)
        .send("x".repeat(1001))
        .send("GET /next HTTP/1.1\nHost: test\n\n")
        .answers(page + &ok("/next Some(0) b\"\""))
}

fn too_large_in_chunks() -> Case {
    let page = page(StatusCode::PAYLOAD_TOO_LARGE);
    Case::new(teller)
        .send("POST / HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\n3e9\n")
        .send("x".repeat(1001))
        .until(&page)
        .send("\n0\n\nGET /next HTTP/1.1\nHost: test\n\n")
        .answers(page + &ok("/next Some(0) b\"\""))
}

fn too_large_to_be_thrown_away() -> Case {
    Case::new(teller)
        .send("POST / HTTP/1.1\nHost: test\nContent-Length: 100000\n\n")
        .answers_and_closes(closing(page(StatusCode::PAYLOAD_TOO_LARGE)))
}
