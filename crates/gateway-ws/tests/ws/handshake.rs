//! Requests that begin no WebSocket, or not this one.

use std::io::Read;

use gateway_conformance::{TestClient, TestRequest};
use gateway_core::http::Method;
use gateway_core::{Body, Environ, Error, Response, Result, StartResponse, Upgraded};

use crate::case::{echo, echo_blocking};
use crate::client::{Client, FIN, REQUEST, TEXT, frame};
use crate::site::{On, Site};

/// Makes a test of each request: what of the right one is replaced by what, and what comes of it.
macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident: $from:expr => $to:expr, $answer:expr;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            check($from, $to, &$answer);
        }
    )*};
}

/// The head begins with the first, and has the other ones as lines, in any order.
fn check(from: &str, to: &str, answer: &[&str]) {
    assert!(REQUEST.contains(from), "{from:?} is no part of the request");
    for on in On::ALL {
        let site = Site::start(on, echo);
        let head = Client::connect(site.address).ask(&REQUEST.replacen(from, to, 1));
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", answer[0])), "{on:?}: {head}");
        for line in &answer[1..] {
            let found = head.lines().any(|found| found.eq_ignore_ascii_case(line));
            assert!(found, "{on:?}: {line:?} is missing in {head}");
        }
        assert_eq!(site.stop(), [""; 0], "a peer cannot fill the log");
    }
}

const ACCEPTED: [&str; 4] = [
    "101",
    "Upgrade: websocket",
    "Connection: upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
];
const UPGRADE_REQUIRED: [&str; 3] = ["426", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\n";

requests! {
    as_it_should_be: "\n\n" => "\n\n", ACCEPTED;
    an_absolute_target: "GET /chat" => "GET http://test/chat", ACCEPTED;
    another_case: "Upgrade: websocket" => "UPGRADE: WebSocket", ACCEPTED;
    among_other_protocols: "Upgrade: websocket" => "Upgrade: h2c, websocket,", ACCEPTED;
    in_a_second_field: "Upgrade: websocket" => "Upgrade: h2c\nUpgrade: websocket", ACCEPTED;
    among_other_options: "Connection: Upgrade" => "Connection: keep-alive, upgrade", ACCEPTED;
    options_in_two_fields:
        "Connection: Upgrade" => "Connection: keep-alive\nConnection: upgrade", ACCEPTED;
    /// RFC 6455 §9.1: what is not known is not agreed on.
    an_extension_is_not_agreed_on:
        "\n\n" => "\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\n\n",
        ACCEPTED;

    by_post: "GET" => "POST", ["405", "Allow: GET"];
    by_http_1_0: "HTTP/1.1" => "HTTP/1.0", UPGRADE_REQUIRED;
    an_empty_host: "Host: test" => "Host:", ["400"];
    no_upgrade: "Upgrade: websocket\n" => "", UPGRADE_REQUIRED;
    an_upgrade_to_something_else: "Upgrade: websocket" => "Upgrade: websockets", UPGRADE_REQUIRED;
    no_connection: "Connection: Upgrade\n" => "", ["400"];
    another_connection: "Connection: Upgrade" => "Connection: keep-alive", ["400"];
    no_version: VERSION => "", UPGRADE_REQUIRED;
    an_old_version: ": 13" => ": 8", UPGRADE_REQUIRED;
    a_version_of_three_digits: ": 13" => ": 013", UPGRADE_REQUIRED;
    a_list_of_versions: ": 13" => ": 13, 8", UPGRADE_REQUIRED;
    two_versions: VERSION => &VERSION.repeat(2), ["400"];
    no_key: KEY => "", ["400"];
    an_empty_key: KEY => "Sec-WebSocket-Key:\n", ["400"];
    a_key_of_15_bytes: "dGhlIHNhbXBsZSBub25jZQ==" => "dGhlIHNhbXBsZSBub25j", ["400"];
    a_key_of_17_bytes: "dGhlIHNhbXBsZSBub25jZQ==" => "dGhlIHNhbXBsZSBub25jZWU=", ["400"];
    a_key_that_is_no_base64: "dGhlIHNhbXBsZSBub25jZQ==" => "dGhlIHNhbXBsZSBub25jZ!==", ["400"];
    two_keys: KEY => &KEY.repeat(2), ["400"];
    a_protocol_that_is_no_token: "\n\n" => "\nSec-WebSocket-Protocol: a b\n\n", ["400"];
    a_protocol_twice: "\n\n" => "\nSec-WebSocket-Protocol: a, b, a\n\n", ["400"];

    the_same_origin: "\n\n" => "\nOrigin: http://test\n\n", ACCEPTED;
    another_origin: "\n\n" => "\nOrigin: http://evil\n\n", ["403"];
    another_port: "\n\n" => "\nOrigin: http://test:81\n\n", ["403"];
    an_opaque_origin: "\n\n" => "\nOrigin: null\n\n", ["403"];
    two_origins: "\n\n" => "\nOrigin: http://test\nOrigin: http://test\n\n", ["400"];
}

/// Frames may come right behind the request (RFC 6455 §4.1 has a client wait; a server need not
/// care).
#[test]
fn a_frame_right_behind_the_request() {
    for on in On::ALL {
        for blocking in [false, true] {
            let site = match blocking {
                true => Site::start(on, echo_blocking),
                false => Site::start(on, echo),
            };
            let mut client = Client::connect(site.address);
            let request = REQUEST.replace('\n', "\r\n");
            client.send([request.as_bytes(), &frame(FIN | TEXT, "early")].concat());
            assert!(client.ask("").starts_with("HTTP/1.1 101 "));
            client.expect(FIN | TEXT, "early");
            client.close();
            drop(client);
            site.stop();
        }
    }
}

/// After a refusal the connection speaks HTTP as before.
#[test]
fn another_attempt_on_the_same_connection() {
    for on in On::ALL {
        let site = Site::start(on, echo);
        let mut client = Client::connect(site.address);
        let head = client.ask(&REQUEST.replacen(": 13", ": 8", 1)).to_lowercase();
        assert!(head.starts_with("http/1.1 426 "), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.parse().ok()).expect("the page has a length");
        let mut page = vec![0; length];
        client.connection().read_exact(&mut page).expect("the page is whole");
        assert!(client.ask(REQUEST).starts_with("HTTP/1.1 101 "));
        client.close();
        drop(client);
        site.stop();
    }
}

fn protocols(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let accept = gateway_ws::accept(&environ)?.protocols(["chat.v2", "chat.v1"]);
    assert_eq!(accept.offered_protocols(), ["other", "chat.v1", "chat.v2"]);
    assert_eq!(accept.protocol(), Some("chat.v2"));
    accept.on_upgrade(start_response, |socket| async move {
        assert_eq!(socket.protocol(), Some("chat.v2"));
        Ok(())
    })
}

/// The request as the test client sends it.
fn open<'a>(client: &'a TestClient, fields: &[(&'static str, &str)]) -> TestRequest<'a> {
    let request = client
        .request(Method::GET, "/chat")
        .header("upgrade", "websocket")
        .header("connection", "upgrade")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-version", "13");
    fields.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

#[test]
fn the_applications_preference_decides_among_the_protocols_offered() {
    let client = TestClient::new(protocols);
    let fields =
        [("sec-websocket-protocol", "other, chat.v1"), ("sec-websocket-protocol", "chat.v2")];
    let response = open(&client, &fields).send();
    assert_eq!(response.status(), 101);
    assert_eq!(response.header("sec-websocket-protocol"), Some("chat.v2"));
}

#[test]
fn no_protocol_in_common_is_none() {
    let client = TestClient::new(async |environ: Environ, start_response: StartResponse| {
        let accept = gateway_ws::accept(&environ)?.protocols(["chat"]);
        assert_eq!(accept.protocol(), None);
        accept.on_upgrade(start_response, async |_| Ok(()))
    });
    let response = open(&client, &[("sec-websocket-protocol", "other")]).send();
    assert_eq!(
        (response.status().as_u16(), response.header("sec-websocket-protocol")),
        (101, None)
    );
}

#[test]
fn listed_origins_and_no_others() {
    let client = TestClient::new(async |environ: Environ, start_response: StartResponse| {
        let accept =
            gateway_ws::accept(&environ)?.origins(["https://a.example", "https://b.example"]);
        accept.on_upgrade(start_response, async |_| Ok(()))
    });
    for (origin, status) in [
        ("https://a.example", 101),
        ("HTTPS://B.example", 101),
        ("https://c.example", 403),
        ("http://a.example", 403),
        // The host that the request is for.
        ("http://localhost", 403),
        ("null", 403),
    ] {
        assert_eq!(open(&client, &[("origin", origin)]).send().status(), status, "{origin}");
    }
    assert_eq!(open(&client, &[]).send().status(), 101, "a client that is no page");
}

#[test]
fn any_origin() {
    let client = TestClient::new(async |environ: Environ, start_response: StartResponse| {
        let accept = gateway_ws::accept(&environ)?.any_origin();
        accept.on_upgrade(start_response, async |_| Ok(()))
    });
    for origin in ["https://evil.example", "null"] {
        assert_eq!(open(&client, &[("origin", origin)]).send().status(), 101, "{origin}");
    }
}

/// Middleware that knows the scheme and the authority is believed.
#[test]
fn the_same_origin_behind_a_proxy() {
    let client = TestClient::new(async |mut environ: Environ, start_response: StartResponse| {
        environ.set_url_scheme("https");
        environ.set_authority("public.example");
        gateway_ws::accept(&environ)?.on_upgrade(start_response, async |_| Ok(()))
    });
    for (origin, status) in
        [("https://public.example", 101), ("http://public.example", 403), ("http://localhost", 403)]
    {
        assert_eq!(open(&client, &[("origin", origin)]).send().status(), status, "{origin}");
    }
}

/// The handshake alone, for whoever has frames of their own.
#[test]
fn a_response_for_another_implementation() {
    let client = TestClient::new(async |environ: Environ, start_response: StartResponse| {
        let response = gateway_ws::accept(&environ)?.response(start_response)?;
        Ok::<_, Error>(response.with_body(Body::upgrade_async(async |connection: Upgraded| {
            connection.write_all_async(b"frames").await.expect("the peer reads");
        })))
    });
    let response = open(&client, &[]).send();
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(&response.upgraded()[..], b"frames");
}
