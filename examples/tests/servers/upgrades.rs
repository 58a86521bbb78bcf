//! 101 and what follows.

use std::io::{Read, Write};

use gateway_core::http::{StatusCode, header::UPGRADE};
use gateway_core::{
    Application, Body, Environ, IntoApplication, Response, Result, StartResponse, Upgraded, inline,
};

use crate::case::{CHUNKED, Case, GET, cases, closing, ok, page, text};
use crate::witness::Witness;

cases![
    blocking,
    awaiting,
    in_two_halves,
    bytes_behind_the_request,
    last_words,
    behind_an_unread_body_of_a_length,
    behind_an_unread_body_in_chunks,
    refused,
    without_an_offer,
    without_an_offer_on_http_1_0,
    without_an_offer_in_connection,
    without_a_body_for_it,
    after_a_write,
];

const REQUEST: &str = "GET / HTTP/1.1\nHost: test\nConnection: upgrade\nUpgrade: echo\n\n";
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\nDate: *\nServer: *\nupgrade: echo\nConnection: upgrade\n\n";

fn upgrading(witness: Witness, protocol: fn(&Witness) -> Body) -> Box<dyn Application> {
    inline(move |_, start_response| {
        witness.watch_end(&start_response);
        let response = start_response.start(StatusCode::SWITCHING_PROTOCOLS, [(UPGRADE, "echo")]);
        Ok(response.with_body(protocol(&witness)))
    })
    .boxed()
}

/// Sends back what comes, to the end, and then says how much it was.
fn echo(mut connection: Upgraded) -> std::io::Result<()> {
    let (mut some, mut count) = ([0; 1000], 0);
    loop {
        match connection.read(&mut some)? {
            0 => return connection.write_all(format!("<{count}>").as_bytes()),
            length => {
                connection.write_all(&some[..length])?;
                count += length;
            }
        }
    }
}

async fn echo_async(connection: Upgraded) -> std::io::Result<()> {
    let (mut some, mut count) = ([0; 1000], 0);
    loop {
        match connection.read_async(&mut some).await? {
            0 => return connection.write_all_async(format!("<{count}>").as_bytes()).await,
            length => {
                connection.write_all_async(&some[..length]).await?;
                count += length;
            }
        }
    }
}

fn blocking_echo(witness: Witness) -> Box<dyn Application> {
    upgrading(witness, |witness| {
        let token = witness.token("protocol");
        Body::upgrade(move |connection| {
            let _token = token;
            echo(connection).expect("the echo works");
        })
    })
}

fn async_echo(witness: Witness) -> Box<dyn Application> {
    upgrading(witness, |witness| {
        let token = witness.token("protocol");
        Body::upgrade_async(async move |connection| {
            let _token = token;
            echo_async(connection).await.expect("the echo works");
        })
    })
}

/// A conversation, and its end from either side.
fn conversation(app: fn(Witness) -> Box<dyn Application>) -> Case {
    Case::new(app)
        .send(REQUEST)
        .until(SWITCHING)
        .send("one")
        .until(SWITCHING.to_owned() + "one")
        .send("two")
        .until(SWITCHING.to_owned() + "onetwo")
        .half_close()
        .answers_and_closes(SWITCHING.to_owned() + "onetwo<6>")
        .notes(["protocol dropped", "end: 101, 0 bytes, clean"])
}

fn blocking() -> Case {
    conversation(blocking_echo)
}

fn awaiting() -> Case {
    conversation(async_echo)
}

fn in_two_halves() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        upgrading(witness, |_| {
            Body::upgrade(|connection| {
                let (mut reader, mut writer) = connection.split();
                let (send, receive) = std::sync::mpsc::channel::<Vec<u8>>();
                let reading = std::thread::spawn(move || {
                    let mut some = [0; 10];
                    while let Ok(length @ 1..) = reader.read(&mut some) {
                        send.send(some[..length].to_vec()).expect("the writer listens");
                    }
                });
                for data in receive {
                    writer.write_all(&data).expect("the peer reads");
                }
                reading.join().expect("reading does not panic");
            })
        })
    }
    Case::new(app)
        .send(REQUEST)
        .until(SWITCHING)
        .send("one, two, three, four")
        .until(SWITCHING.to_owned() + "one, two, three, four")
        .half_close()
        .answers_and_closes(SWITCHING.to_owned() + "one, two, three, four")
        .notes(["end: 101, 0 bytes, clean"])
}

fn bytes_behind_the_request() -> Case {
    Case::new(async_echo)
        .send(REQUEST.to_owned() + "one")
        .until(SWITCHING.to_owned() + "one")
        .half_close()
        .answers_and_closes(SWITCHING.to_owned() + "one<3>")
        .notes(["protocol dropped", "end: 101, 0 bytes, clean"])
}

/// What the peer still sends is read, and thrown away: a reset could overtake the last words.
fn last_words() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        upgrading(witness, |_| {
            Body::upgrade(|mut connection| {
                connection.write_all(b"bye").expect("the peer reads");
            })
        })
    }
    let sent = SWITCHING.to_owned() + "bye";
    Case::new(app)
        .send(REQUEST.to_owned() + &"more".repeat(1000))
        .until(sent.clone())
        .send("and")
        .send("more")
        .half_close()
        .answers_and_closes(sent)
        .notes(["end: 101, 0 bytes, clean"])
}

/// The other protocol begins where the request ends (RFC 9110 section 7.8), read or not.
fn behind_an_unread_body(body: &str) -> Case {
    Case::new(async_echo)
        .send(REQUEST.replacen("GET", "POST", 1).replacen("\n\n", &format!("\n{body}one"), 1))
        .until(SWITCHING.to_owned() + "one")
        .half_close()
        .answers_and_closes(SWITCHING.to_owned() + "one<3>")
        .notes(["protocol dropped", "end: 101, 0 bytes, clean"])
}

fn behind_an_unread_body_of_a_length() -> Case {
    behind_an_unread_body("Content-Length: 5\n\nhello")
}

fn behind_an_unread_body_in_chunks() -> Case {
    behind_an_unread_body("Transfer-Encoding: chunked\n\n2\nhe\n3\nllo\n0\nX-Sum: 1\n\n")
}

/// An application need not accept an offer.
fn refused() -> Case {
    Case::new(|_| inline(|_, start_response| Ok(text(start_response, "no"))).boxed())
        .send(REQUEST)
        .until(ok("no"))
        .send(REQUEST)
        .answers(ok("no").repeat(2))
}

/// Upgrades whoever asks, and notes it when that comes to be.
fn unasked(witness: Witness) -> Box<dyn Application> {
    inline(move |_, start_response| {
        witness.watch_end(&start_response);
        let response = start_response.start(StatusCode::SWITCHING_PROTOCOLS, [(UPGRADE, "echo")]);
        Ok(response.with_body(noting(&witness)))
    })
    .boxed()
}

fn noting(witness: &Witness) -> Body {
    let (witness, token) = (witness.clone(), witness.token("protocol"));
    Body::upgrade(move |_| {
        let _token = token;
        witness.note("the protocol runs");
    })
}

/// What comes of it: a plain error, and another request.
fn without_one(request: &str) -> Case {
    Case::new(unasked)
        .send(request)
        .notes([
            "protocol dropped",
            "end: 500, 26 bytes, answered: 101 was answered to a request that offered no upgrade; \
             ask environ.upgrade() first",
        ])
        .logs(["GET /: 101 was answered to a request that offered no upgrade; ask \
                environ.upgrade() first"])
}

fn without_an_offer() -> Case {
    without_one(GET).answers(page(StatusCode::INTERNAL_SERVER_ERROR))
}

/// RFC 9110 section 7.8: an `Upgrade` field of HTTP/1.0 is ignored.
fn without_an_offer_on_http_1_0() -> Case {
    without_one("GET / HTTP/1.0\nConnection: upgrade\nUpgrade: echo\n\n")
        .answers_and_closes(closing(page(StatusCode::INTERNAL_SERVER_ERROR)))
}

/// RFC 9110 section 7.8: the `Connection` field has to name it, else it may be another hop's.
fn without_an_offer_in_connection() -> Case {
    without_one("GET / HTTP/1.1\nHost: test\nUpgrade: echo\n\n")
        .answers(page(StatusCode::INTERNAL_SERVER_ERROR))
}

fn without_a_body_for_it() -> Case {
    fn app(_: Witness) -> Box<dyn Application> {
        inline(|_, start_response| Ok(start_response.start(StatusCode::SWITCHING_PROTOCOLS, ())))
            .boxed()
    }
    Case::new(app).send(REQUEST).answers(page(StatusCode::INTERNAL_SERVER_ERROR)).logs([
        "GET /: 101 Switching Protocols cannot stand here: 101 goes with Body::Upgrade, and \
             other 1xx are not final",
    ])
}

/// What has begun as HTTP ends as HTTP, and visibly not well.
fn after_a_write() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        let app = move |_: Environ, start_response: StartResponse| -> Result<Response> {
            witness.watch_end(&start_response);
            let mut response = text(start_response, Body::Empty);
            response.write("some")?;
            Ok(response.with_body(noting(&witness)))
        };
        app.boxed()
    }
    Case::new(app)
        .send(REQUEST)
        .answers_and_closes(CHUNKED.to_owned() + "4\nsome\n")
        .notes([
            "protocol dropped",
            "end: 200, 4 bytes, 200 OK cannot stand here: 101 goes with Body::Upgrade, and other \
             1xx are not final",
        ])
        .logs(["GET /: 200 OK cannot stand here: 101 goes with Body::Upgrade, and other 1xx are \
                not final"])
}
