//! The `environ` example, as the outside probe and the benchmarks expect it.

use gateway_core::IntoApplication;
use gateway_core::http::StatusCode;

use crate::case::{Case, cases, closing, page, with};

cases![
    ping,
    noread,
    noread_of_an_expected_body,
    status_200,
    status_204,
    status_304,
    status_404,
    status_101,
    status_that_is_none,
    short,
    long,
    raise,
    raise_mid,
    stream,
    big,
    empty,
    bad_value,
    bad_name,
    bad_reason,
    date,
    hop,
    two_cl,
    cl_te,
    no_such_hook,
    echo,
    echo_in_chunks,
    echo_beyond_the_usual_limit,
    abort,
    abort_at_once,
    abort_after_no_number,
    body_that_cannot_be_read,
];

/// The example, asked for `target`.
fn get(target: &str) -> Case {
    ask(&format!("GET {target} HTTP/1.1\nHost: test\n\n"))
}

fn hook(name: &str) -> Case {
    get(&format!("/__probe/{name}"))
}

fn ask(request: &str) -> Case {
    Case::new(|_| examples::environ::app.boxed()).send(request)
}

/// A 200 of a hook that sets no fields.
fn bare(text: &str) -> String {
    let length = text.chars().count();
    format!("HTTP/1.1 200 OK\nDate: *\nServer: *\nContent-Length: {length}\n\n{text}")
}

/// The head of one whose length is unknown.
const CHUNKED: &str = "HTTP/1.1 200 OK\nDate: *\nServer: *\nTransfer-Encoding: chunked\n\n";

fn failed() -> String {
    page(StatusCode::INTERNAL_SERVER_ERROR)
}

fn ping() -> Case {
    let hooks = "{\"hooks\":[\"noread\",\"status\",\"short\",\"long\",\"raise\",\"raise-mid\",\
                 \"stream\",\"big\",\"empty\",\"bad-value\",\"bad-name\",\"bad-reason\",\"date\",\
                 \"hop\",\"two-cl\",\"cl-te\"]}";
    hook("ping").answers(with(&bare(hooks), "content-type: application/json"))
}

fn noread() -> Case {
    ask("POST /__probe/noread HTTP/1.1\nHost: test\nContent-Length: 5\n\nhello")
        .answers(bare("noread"))
}

/// It is not asked for, so the connection cannot go on.
fn noread_of_an_expected_body() -> Case {
    ask("POST /__probe/noread HTTP/1.1\nHost: test\nContent-Length: 5\nExpect: 100-continue\n\n")
        .answers_and_closes(closing(bare("noread")))
}

/// A status and its reason, with what follows the status line.
fn status(number: &str, line: &str, rest: &str) -> Case {
    let head = format!("HTTP/1.1 {line}\nDate: *\nServer: *\n");
    hook(&format!("status/{number}")).answers(head + rest)
}

const UNWANTED: &str = "Content-Length: 12\netag: \"probe\"\n\nUNWANTEDBODY";

fn status_200() -> Case {
    status("200", "200 OK", UNWANTED)
}

fn status_204() -> Case {
    status("204", "204 No Content", "etag: \"probe\"\n\n")
}

fn status_304() -> Case {
    status("304", "304 Not Modified", "etag: \"probe\"\n\n")
}

fn status_404() -> Case {
    status("404", "404 Not Found", UNWANTED)
}

fn status_101() -> Case {
    hook("status/101").answers(failed()).logs([
        "GET /__probe/status/101: 101 Switching Protocols cannot stand here: 101 goes with \
         Body::Upgrade, and other 1xx are not final",
    ])
}

fn status_that_is_none() -> Case {
    hook("status/7").answers(page(StatusCode::BAD_REQUEST))
}

fn short() -> Case {
    hook("short")
        .answers_and_closes(bare("1234567890").replace("67890", "").replace("6789", ""))
        .logs(["GET /__probe/short: the body ended after 5 of the declared 10 bytes"])
}

fn long() -> Case {
    hook("long")
        .answers_and_closes(bare("12345"))
        .logs(["GET /__probe/long: the body is longer than the declared Content-Length of 5"])
}

fn raise() -> Case {
    hook("raise").answers(failed()).logs(["GET /__probe/raise: input or output failed: boom"])
}

fn raise_mid() -> Case {
    hook("raise-mid")
        .answers_and_closes(format!("{CHUNKED}4\nsome\n"))
        .logs(["GET /__probe/raise-mid: input or output failed: boom"])
}

fn stream() -> Case {
    hook("stream").answers(format!("{CHUNKED}4\none,\n4\ntwo,\n5\nthree\n0\n\n"))
}

fn big() -> Case {
    hook("big").answers(bare(&"b".repeat(1 << 20)))
}

fn empty() -> Case {
    hook("empty").answers(bare(""))
}

/// The constructor refuses it.
fn injected(name: &str, why: &str) -> Case {
    hook(name).answers(failed()).logs([&*format!(
        "GET /__probe/{name}: the application failed with 500 Internal Server Error: {why}"
    )])
}

fn bad_value() -> Case {
    injected("bad-value", "failed to parse header value")
}

fn bad_name() -> Case {
    injected("bad-name", "invalid HTTP header name")
}

fn bad_reason() -> Case {
    let why = "the reason phrase has the byte 0x0d at 1, which no status line may hold";
    injected("bad-reason", why)
}

/// The server adds none of its own.
fn date() -> Case {
    let answer = with(&bare("date").replace("Date: *\n", ""), "date: *");
    hook("date").answers(answer)
}

const HOP: &str = "which belongs to the server; it was removed";

fn hop() -> Case {
    hook("hop").answers(bare("hop")).logs([
        &*format!("GET /__probe/hop: the application set `connection`, {HOP}"),
        &*format!("GET /__probe/hop: the application set `transfer-encoding`, {HOP}"),
    ])
}

fn two_cl() -> Case {
    hook("two-cl").answers(failed()).logs([
        "GET /__probe/two-cl: the response's Content-Length is not one decimal number that fits \
         its body",
    ])
}

fn cl_te() -> Case {
    let removed = format!("GET /__probe/cl-te: the application set `transfer-encoding`, {HOP}");
    hook("cl-te").answers(bare("hello")).logs([&*removed])
}

fn no_such_hook() -> Case {
    hook("other").answers(page(StatusCode::NOT_FOUND))
}

fn length(length: u64) -> String {
    with(&bare(&length.to_string()), "content-type: text/plain")
}

fn echo() -> Case {
    ask("POST /echo HTTP/1.1\nHost: test\nContent-Length: 5\n\nhello").answers(length(5))
}

fn echo_in_chunks() -> Case {
    ask("POST /echo HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\n2\nhe\n3\nllo\n0\n\n")
        .answers(length(5))
}

fn echo_beyond_the_usual_limit() -> Case {
    const LENGTH: u64 = gateway_core::DEFAULT_BODY_LIMIT + 1;
    ask(&format!("POST /echo HTTP/1.1\nHost: test\nContent-Length: {LENGTH}\n\n"))
        .flood(LENGTH)
        .answers(length(LENGTH))
}

/// The head of octets whose length is unknown.
fn octets() -> String {
    with(CHUNKED, "content-type: application/octet-stream")
}

fn abort() -> Case {
    get("/abort?after=1030")
        .answers_and_closes(format!(
            "{}400\n{}\n6\n{}\n",
            octets(),
            "a".repeat(1024),
            "a".repeat(6)
        ))
        .logs(["GET /abort?after=1030: input or output failed: asked to fail"])
}

/// Nothing has been sent, so there is still a status for it.
fn abort_at_once() -> Case {
    get("/abort").answers(failed()).logs(["GET /abort: input or output failed: asked to fail"])
}

fn abort_after_no_number() -> Case {
    get("/abort?after=all").answers(page(StatusCode::BAD_REQUEST))
}

fn body_that_cannot_be_read() -> Case {
    ask("POST / HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\nno size\n")
        .answers_and_closes(closing(page(StatusCode::BAD_REQUEST)))
}
