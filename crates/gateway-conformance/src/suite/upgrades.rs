//! Rules about 101 and what follows.

use std::io::{Read, Write};

use gateway_core::http::{StatusCode, header::UPGRADE};
use gateway_core::{Application, Body, Environ, IntoApplication, StartResponse, Upgraded, inline};

use super::apps::text;
use super::claims::Feature;
use super::peer::Peer;
use super::scene::{Checked, Scene, ensure};
use super::server_test::{ServerRule, case, must};
use super::witness::Witness;
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] =
    &[UPGRADE_GIVES_THE_CONNECTION, UPGRADE_IS_AN_OFFER, UPGRADE_NEEDS_AN_OFFER];

const REQUEST: &str = "GET / HTTP/1.1\nHost: suite.test\nConnection: upgrade\nUpgrade: echo\n\n";

const UPGRADE_GIVES_THE_CONNECTION: ServerRule = ServerRule {
    rule: must(
        "SRV-89",
        Topic::Connection,
        "A server MUST send 101 with Upgrade and `Connection: upgrade`, then give the connection \
         to the body's protocol in both directions, beginning with the bytes that came behind the \
         request, and close it when the protocol has dropped it.",
        "RFC 9110 §7.8; Rack: full hijacking",
        "Hand over what is buffered, then read and write for the protocol alone.",
    ),
    name: "an_upgrade_gives_the_connection",
    needs: &[Feature::Upgrade],
    cases: &[
        case("to a protocol that blocks", |scene| converses(scene, blocking_echo)),
        case("to a protocol that is awaited", |scene| converses(scene, async_echo)),
        case("in two halves", |scene| converses(scene, echo_in_halves)),
    ],
};

/// A conversation that begins behind the request, and its end by the client.
fn converses(scene: &Scene<'_>, app: fn(Witness) -> Box<dyn Application>) -> Checked {
    let site = scene.serve(app)?;
    let mut peer = site.dial()?;
    peer.send_text(&format!("{REQUEST}zero"));
    let head = peer.head()?;
    head.must_be(101)?;
    head.must_have("upgrade", "echo")?;
    let said = head.options().any(|option| option.eq_ignore_ascii_case("upgrade"));
    ensure!(said, "`connection` is {:?}", head.values("connection"));
    head.must_lack("content-length")?;
    head.must_lack("transfer-encoding")?;
    echoes(&mut peer, "zero")?;
    for word in ["one", "two\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        peer.send(word);
        echoes(&mut peer, word)?;
    }
    peer.half_close();
    echoes(&mut peer, "<end>")?;
    peer.ends()?;
    site.witness
        .noted_all(&["end: 101, 0 bytes, clean", "protocol dropped"])
        .or_else(|_| site.witness.noted_all(&["protocol dropped", "end: 101, 0 bytes, clean"]))
}

fn echoes(peer: &mut Peer, word: &str) -> Checked {
    let came = peer.raw(word.len())?;
    ensure!(came == word.as_bytes(), "{:?} came back for {word:?}", String::from_utf8_lossy(&came));
    Ok(())
}

fn switching(witness: Witness, protocol: fn(&Witness) -> Body) -> Box<dyn Application> {
    inline(move |_, start_response| {
        witness.watch_end(&start_response);
        let response = start_response.start(StatusCode::SWITCHING_PROTOCOLS, [(UPGRADE, "echo")]);
        Ok(response.with_body(protocol(&witness)))
    })
    .boxed()
}

fn blocking_echo(witness: Witness) -> Box<dyn Application> {
    switching(witness, |witness| {
        let token = witness.token("protocol");
        Body::upgrade(move |mut connection: Upgraded| {
            let _token = token;
            let mut some = [0; 1000];
            while let Ok(length @ 1..) = connection.read(&mut some) {
                if connection.write_all(&some[..length]).is_err() {
                    return;
                }
            }
            // Whether it arrives is what the client looks for.
            let _ = connection.write_all(b"<end>");
        })
    })
}

fn async_echo(witness: Witness) -> Box<dyn Application> {
    switching(witness, |witness| {
        let token = witness.token("protocol");
        Body::upgrade_async(async move |connection: Upgraded| {
            let _token = token;
            let mut some = [0; 1000];
            while let Ok(length @ 1..) = connection.read_async(&mut some).await {
                if connection.write_all_async(&some[..length]).await.is_err() {
                    return;
                }
            }
            let _ = connection.write_all_async(b"<end>").await;
        })
    })
}

fn echo_in_halves(witness: Witness) -> Box<dyn Application> {
    switching(witness, |witness| {
        let token = witness.token("protocol");
        Body::upgrade(move |connection: Upgraded| {
            let _token = token;
            let (mut reader, mut writer) = connection.split();
            let (send, receive) = std::sync::mpsc::channel::<Vec<u8>>();
            let reading = std::thread::spawn(move || {
                let mut some = [0; 10];
                while let Ok(length @ 1..) = reader.read(&mut some) {
                    if send.send(some[..length].to_vec()).is_err() {
                        return;
                    }
                }
            });
            for data in receive {
                if writer.write_all(&data).is_err() {
                    return;
                }
            }
            let _ = writer.write_all(b"<end>");
            let _ = reading.join();
        })
    })
}

const UPGRADE_IS_AN_OFFER: ServerRule = ServerRule {
    rule: must(
        "SRV-90",
        Topic::Connection,
        "A server MUST go on with HTTP where the application answers a request with Upgrade in \
         another way.",
        "RFC 9110 §7.8: a server MAY ignore a received Upgrade",
        "Leave HTTP by the application's 101 alone.",
    ),
    name: "an_upgrade_is_an_offer",
    needs: &[],
    cases: &[case("declined", |scene| {
        let site = scene.serve(|_| {
            (|_: Environ, start_response: StartResponse| -> gateway_core::Result<_> {
                Ok(text(start_response, "no"))
            })
            .boxed()
        })?;
        let mut peer = site.dial()?;
        peer.exchange(REQUEST)?.must_say("no")?;
        if scene.has(Feature::KeepAlive) {
            peer.exchange(REQUEST)?.must_say("no")?;
        }
        peer.finish()
    })],
};

const UPGRADE_NEEDS_AN_OFFER: ServerRule = ServerRule {
    rule: must(
        "SRV-91",
        Topic::Connection,
        "A server MUST answer 500 to a 101 that the client did not offer by Upgrade and \
         `Connection: upgrade` on HTTP/1.1, and give the connection to nobody.",
        "RFC 9110 §15.2.2 and §7.8: only as indicated by the client",
        "Look at the request's offer before the head of a 101 is sent.",
    ),
    name: "an_upgrade_needs_an_offer",
    needs: &[],
    cases: &[
        case("no offer", |scene| needs_an_offer(scene, "GET / HTTP/1.1\nHost: suite.test\n\n")),
        case("no option of Connection", |scene| {
            needs_an_offer(scene, "GET / HTTP/1.1\nHost: suite.test\nUpgrade: echo\n\n")
        }),
        case("HTTP/1.0", |scene| {
            needs_an_offer(scene, "GET / HTTP/1.0\nConnection: upgrade\nUpgrade: echo\n\n")
        }),
    ],
};

fn needs_an_offer(scene: &Scene<'_>, request: &str) -> Checked {
    let site = scene.serve(|witness| {
        inline(move |_, start_response| {
            let noting = witness.clone();
            let response =
                start_response.start(StatusCode::SWITCHING_PROTOCOLS, [(UPGRADE, "echo")]);
            Ok(response.with_body(Body::upgrade(move |_| noting.note("given away"))))
        })
    })?;
    let mut peer = site.dial()?;
    peer.exchange(request)?.must_be(500)?;
    peer.finish()?;
    site.witness.noted_all(&[])
}
