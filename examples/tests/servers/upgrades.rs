//! 101 and what follows.

use std::io::{Read, Write};

use gateway_core::http::{StatusCode, header::UPGRADE};
use gateway_core::{Application, Body, IntoApplication, Upgraded, inline};

use crate::case::{Case, cases, ok, page, text};
use crate::witness::Witness;

cases![blocking, awaiting, in_two_halves, bytes_behind_the_request, refused, without_a_body_for_it,];

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

/// An application need not accept an offer.
fn refused() -> Case {
    Case::new(|_| inline(|_, start_response| Ok(text(start_response, "no"))).boxed())
        .send(REQUEST)
        .until(ok("no"))
        .send(REQUEST)
        .answers(ok("no").repeat(2))
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
