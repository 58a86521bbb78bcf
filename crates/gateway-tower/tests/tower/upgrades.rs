//! Other protocols, in both directions.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response as AxumResponse;
use axum::routing::{any, get};
use gateway_core::http::{StatusCode, header::UPGRADE};
use gateway_core::{
    Body, Environ, IntoApplication, Reply, Response, Result, StartResponse, Upgraded,
};
use gateway_tower::{from_tower, into_tower};

use crate::client::{ask, connect, get as ask_for, read_answer, read_head};
use crate::hosts::{Host, axum_serves, hyper_serves, std_serves, tokio_serves};

/// Says everything again, and how many it was at the end.
fn chat() -> Router {
    async fn echo(mut socket: WebSocket) {
        let mut count = 0;
        while let Some(Ok(message)) = socket.recv().await {
            match message {
                Message::Text(text) => {
                    count += 1;
                    let answer = Message::Text(format!("{count}: {text}").into());
                    if socket.send(answer).await.is_err() {
                        return;
                    }
                }
                Message::Binary(data) => {
                    let sent = socket.send(Message::Binary(data)).await;
                    sent.expect("the peer reads");
                }
                _ => {}
            }
        }
    }
    async fn accept(upgrade: WebSocketUpgrade) -> AxumResponse {
        upgrade.protocols(["chat", "echo"]).on_upgrade(echo)
    }
    Router::new().route("/chat", any(accept)).route("/plain", get(|| async { "plain" }))
}

const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nhost: test\r\nconnection: Upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: echo\r\n\r\n";

/// A masked frame of a client (RFC 6455 §5.2).
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..126) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame of a server: its opcode and its payload.
fn read_frame(reader: &mut impl Read) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    reader.read_exact(&mut head).expect("a frame");
    let length = match head[1] {
        126 => {
            let mut length = [0; 2];
            reader.read_exact(&mut length).expect("a length");
            usize::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            reader.read_exact(&mut length).expect("a length");
            usize::try_from(u64::from_be_bytes(length)).expect("a length in memory")
        }
        length => usize::from(length),
    };
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload).expect("a payload");
    (head[0] & 0x0f, payload)
}

/// What a conversation gives: the fields that answer the handshake, and the frames.
fn converse(host: &Host) -> (Vec<String>, Vec<(u8, Vec<u8>)>) {
    let mut stream = connect(host);
    // The first frame does not wait for the answer.
    let first = [HANDSHAKE.as_bytes(), &frame(1, b"first")].concat();
    stream.write_all(&first).expect("the host reads");
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let (status, fields) = read_head(&mut reader);
    assert_eq!(&status[..12], "HTTP/1.1 101");
    let told = ["upgrade", "sec-websocket-accept", "sec-websocket-protocol"]
        .map(|name| format!("{name}: {}", fields[name].join(",")));
    assert_eq!(fields["connection"].join(",").to_ascii_lowercase(), "upgrade");
    let mut frames = vec![read_frame(&mut reader)];
    let large = vec![7; 300_000];
    for sent in [frame(1, b"second"), frame(9, b"ping"), frame(2, &large), frame(8, &[3, 232])] {
        stream.write_all(&sent).expect("the host reads");
        frames.push(read_frame(&mut reader));
    }
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("it closes");
    assert_eq!(rest, b"");
    (told.into(), frames)
}

#[test]
fn a_web_socket_of_axum_on_our_servers() {
    let theirs = converse(&axum_serves(chat()));
    assert_eq!(theirs.0[1], "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(theirs.1[1], (1, b"2: second".to_vec()));
    let ours = tokio_serves(from_tower(chat()));
    assert_eq!(converse(&ours), theirs);
    assert_eq!(converse(&std_serves(from_tower(chat()))), theirs);
    // A handshake that fails, and requests that only offer, are answered as usual.
    let axum = axum_serves(chat());
    for request in [
        HANDSHAKE.replace("version: 13", "version: 12"),
        HANDSHAKE.replace("/chat", "/plain"),
        HANDSHAKE.replace("/chat", "/else"),
        HANDSHAKE.replace("upgrade: websocket", "upgrade: other"),
        HANDSHAKE.replace("connection: Upgrade\r\n", ""),
    ] {
        assert_eq!(ask(&ours, &request), ask(&axum, &request), "{request}");
    }
}

/// An upgrade that was not accepted tells so to whoever waits for it.
#[test]
fn what_was_not_accepted_is_told() {
    let (told, heard) = std::sync::mpsc::channel();
    let router = Router::new().route(
        "/",
        get(move |request: axum::extract::Request| {
            let told = told.clone();
            async move {
                tokio::spawn(async move {
                    let outcome = hyper::upgrade::on(request).await;
                    told.send(outcome.is_err())
                });
                "no"
            }
        }),
    );
    let host = tokio_serves(from_tower(router));
    assert_eq!(ask(&host, HANDSHAKE.replace("/chat", "/")).text(), "no");
    assert!(heard.recv_timeout(crate::hosts::PATIENCE).expect("it is told"));
    assert_eq!(ask_for(&host, "/").text(), "no");
    assert!(heard.recv_timeout(crate::hosts::PATIENCE).expect("it is told"));
}

/// Echoes by blocking or by awaiting, as the path says.
fn echo(environ: Environ, start_response: StartResponse) -> Reply {
    if environ.upgrade() != Some(b"echo") {
        let response = start_response.start(StatusCode::UPGRADE_REQUIRED, [(UPGRADE, "echo")]);
        return response.with_body("only echo is spoken here\n").into();
    }
    let body = match environ.raw_path_info() {
        "/blocks" => Body::upgrade(|mut connection: Upgraded| {
            let mut bytes = [0; 1000];
            while let Ok(n @ 1..) = connection.read(&mut bytes) {
                if connection.write_all(&bytes[..n]).and_then(|()| connection.flush()).is_err() {
                    return;
                }
            }
            let _ = connection.write_all(b" bye");
            let _ = connection.shutdown();
        }),
        _ => Body::upgrade_async(|connection: Upgraded| async move {
            let mut bytes = [0; 1000];
            while let Ok(n @ 1..) = connection.read_async(&mut bytes).await {
                if connection.write_all_async(&bytes[..n]).await.is_err() {
                    return;
                }
            }
            let _ = connection.write_all_async(b" bye").await;
            let _ = connection.shutdown_async().await;
        }),
    };
    start_response
        .start(StatusCode::SWITCHING_PROTOCOLS, [(UPGRADE, "echo")])
        .with_body(body)
        .into()
}

fn say(mut stream: TcpStream, path: &str) -> String {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nearly"
    );
    stream.write_all(request.as_bytes()).expect("the host reads");
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let (status, fields) = read_head(&mut reader);
    assert_eq!(&status[..12], "HTTP/1.1 101");
    assert_eq!(fields["upgrade"], ["echo"]);
    let mut early = [0; 5];
    reader.read_exact(&mut early).expect("what came behind the request");
    assert_eq!(&early, b"early");
    stream.write_all(&[b'x'; 100_000]).expect("the host reads");
    let mut echoed = vec![0; 100_000];
    reader.read_exact(&mut echoed).expect("all of it");
    stream.shutdown(Shutdown::Write).expect("it is connected");
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("it closes");
    rest
}

#[test]
fn an_application_that_switches_under_hyper() {
    for path in ["/blocks", "/awaits"] {
        let ours = tokio_serves(echo.boxed());
        assert_eq!(say(connect(&ours), path), " bye");
        let hyper = hyper_serves(into_tower(echo));
        assert_eq!(say(connect(&hyper), path), " bye");
        let plain = ask_for(&hyper, path);
        assert_eq!((plain.status, plain.field("upgrade")), (426, "echo"));
        let nested = axum_serves(Router::new().nest_service("/in", into_tower(echo)));
        assert_eq!(say(connect(&nested), &format!("/in{path}")), " bye");
    }
}

#[test]
fn there_and_back() {
    let host = tokio_serves(from_tower(into_tower(echo)));
    assert_eq!(say(connect(&host), "/blocks"), " bye");
    assert_eq!(say(connect(&host), "/awaits"), " bye");
}

/// The end hooks of a switched exchange run when the other protocol has ended.
#[test]
fn the_end_of_the_other_protocol_is_the_end_of_the_exchange() {
    let (told, heard) = std::sync::mpsc::channel();
    let app = move |environ: Environ, start_response: StartResponse| -> Reply {
        let told = told.clone();
        start_response.on_end(move |end| {
            let _ = told.send((end.status, end.abort.is_some()));
        });
        echo(environ, start_response)
    };
    let host = hyper_serves(into_tower(app));
    let mut stream = connect(&host);
    let request =
        b"GET /awaits HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    stream.write_all(request).expect("the host reads");
    read_answer(&mut BufReader::new(stream.try_clone().expect("a handle")), false);
    stream.write_all(b"x").expect("the host reads");
    stream.read_exact(&mut [0]).expect("an echo");
    assert!(heard.try_recv().is_err(), "it ended too soon");
    drop(stream);
    let end = heard.recv_timeout(crate::hosts::PATIENCE).expect("it ends");
    assert_eq!(end, (Some(StatusCode::SWITCHING_PROTOCOLS), false));
}

#[test]
fn reason_phrases_go_both_ways() {
    use gateway_core::ReasonPhrase;
    fn app(_: Environ, start_response: StartResponse) -> Result<Response> {
        let mut response = start_response.start(StatusCode::OK, ());
        response.head_mut()?.reason = Some(ReasonPhrase::new("Fine")?);
        Ok(response)
    }
    let hosts = [hyper_serves(into_tower(app)), tokio_serves(from_tower(into_tower(app)))];
    for host in hosts {
        let mut stream = connect(&host);
        stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").expect("the host reads");
        assert_eq!(read_head(&mut BufReader::new(stream)).0, "HTTP/1.1 200 Fine");
    }
}
