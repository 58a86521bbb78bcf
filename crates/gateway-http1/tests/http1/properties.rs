//! For any bytes, in any pieces, in any order of calls.

use bytes::Bytes;
use gateway_http1::{BodyLength, Error, Event, Next, ResponseHead, Span, Timeout};
use http::{HeaderMap, StatusCode, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::world::{World, seconds};

/// What a peer learns of the events: data joined, the end of input as the last word.
#[derive(Debug, PartialEq)]
enum Told {
    Request(String, Bytes, BodyLength),
    Data(Vec<u8>),
    End(Option<HeaderMap>),
    Answered(Next),
    Closed,
    Refused(Error),
}

/// Feeds the pieces and answers every request when it is complete.
fn told<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, fin: bool) -> Vec<Told> {
    let mut world = World::with(|config| {
        config.limits.request_line = 200;
        config.limits.head = 400;
        config.limits.headers = 8;
        config.limits.chunk_line = 40;
        config.limits.chunk_extensions = 60;
        config.limits.trailers = 100;
        config.limits.read_ahead = 400;
    });
    let mut pieces = pieces.into_iter();
    let mut told = Vec::new();
    let mut fin = fin;
    loop {
        let event = match world.connection.next_event() {
            Ok(Event::NeedData) => {
                match pieces.next() {
                    Some(piece) => world.receive(piece),
                    None if std::mem::take(&mut fin) => world.connection.receive_eof(),
                    None => return told,
                }
                continue;
            }
            Ok(Event::Data(data)) => {
                assert!(!data.is_empty());
                match told.last_mut() {
                    Some(Told::Data(before)) => before.extend_from_slice(&data),
                    _ => told.push(Told::Data(data.to_vec())),
                }
                continue;
            }
            Ok(Event::Request(head)) => {
                let fields = world.connection.fields();
                let fields: Vec<_> = fields
                    .iter()
                    .map(|field| (field.name.of(&head.bytes), field.value.of(&head.bytes)))
                    .collect();
                let facts = format!(
                    "{} {:?} {:?} {:?} {:?} {:?} {:?} {} {} {fields:?}",
                    head.method,
                    head.version,
                    head.form,
                    head.path,
                    head.query,
                    head.authority,
                    head.host,
                    head.expect_continue,
                    head.upgrade,
                );
                Told::Request(facts, head.bytes.clone(), head.body)
            }
            Ok(Event::End(trailers)) => Told::End(trailers),
            Ok(Event::Paused) => {
                world.answer("");
                Told::Answered(world.next())
            }
            Ok(Event::Closed) => Told::Closed,
            Err(error) => Told::Refused(error),
        };
        let last =
            matches!(event, Told::Answered(Next::Close(_)) | Told::Closed | Told::Refused(_));
        told.push(event);
        if last {
            return told;
        }
    }
}

/// Cuts at the given places.
fn cut<'a>(bytes: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// Pieces that requests are made of, the good and the bad.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let known = select(vec![
        "GET / HTTP/1.1\r\n",
        "POST /a?b HTTP/1.1\r\n",
        "HEAD http://h/x HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.0\r\n",
        "Host: a\r\n",
        "Host: a:80\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: x\r\n",
        "A:b\r\n",
        "X-Long-Name: a long enough value \t\r\n",
        "\r\n",
        "\r\n\r\n",
        "hello",
        "5\r\nhello\r\n",
        "1;a=b\r\nx\r\n",
        "0\r\n\r\n",
        "0\r\nX-T: y\r\n\r\n",
        "a;q=\"\\\"\"\r\n0123456789\r\n",
        " ",
        "\r",
        "\n",
        ":",
        "\t",
        "\0",
        ";",
        "ffffffffffffffff\r\n",
        "HTTP/1.1",
        "GET /",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![
        12 => known,
        1 => vec(any::<u8>(), 0..20),
        1 => vec(32u8..127, 0..60),
    ]
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let good = (
        select(vec!["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"]),
        vec(select(vec!["A: b\r\n", "Accept: */*\r\n", "Connection: keep-alive\r\n"]), 0..4),
    )
        .prop_map(|(framing, fields)| {
            let body = match framing {
                "" => "",
                "Content-Length: 5\r\n" => "hello",
                _ => "3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: u\r\n\r\n",
            };
            format!("PUT /p HTTP/1.1\r\nHost: h\r\n{framing}{}\r\n{body}", fields.concat())
                .into_bytes()
        });
    let any = vec(fragments(), 0..14).prop_map(|fragments| fragments.concat());
    vec(prop_oneof![good, any], 1..4).prop_map(|messages| messages.concat())
}

fn token() -> impl Strategy<Value = String> {
    "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,24}"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_do_not_matter(bytes in message(), places in vec(any::<Index>(), 0..12), fin: bool) {
        let whole = told([&bytes[..]], fin);
        prop_assert_eq!(&told(cut(&bytes, &places), fin), &whole);
        prop_assert_eq!(&told(bytes.chunks(1), fin), &whole);
    }

    #[test]
    fn a_broken_byte_is_told_alike_in_any_pieces(
        mut bytes in message(), place: Index, byte: u8, places in vec(any::<Index>(), 0..6),
    ) {
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        prop_assert_eq!(told(cut(&bytes, &places), false), told([&bytes[..]], false));
    }

    #[test]
    fn whatever_is_taken_httparse_takes_alike(bytes in message()) {
        let mut world = World::new();
        world.receive(&bytes);
        let Ok(Event::Request(head)) = world.connection.next_event() else { return Ok(()) };
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut theirs = httparse::Request::new(&mut headers);
        let start = head.bytes.len();
        prop_assert_eq!(theirs.parse(&head.bytes), Ok(httparse::Status::Complete(start)));
        prop_assert_eq!(theirs.method, Some(head.method.as_str()));
        prop_assert_eq!(theirs.path.map(str::as_bytes), Some(head.target.of(&head.bytes)));
        prop_assert_eq!(theirs.version, Some(u8::from(head.version == Version::HTTP_11)));
        let fields = world.connection.fields();
        prop_assert_eq!(theirs.headers.len(), fields.len());
        for (theirs, ours) in theirs.headers.iter().zip(fields) {
            prop_assert_eq!(theirs.name.as_bytes(), ours.name.of(&head.bytes));
            prop_assert_eq!(theirs.value, ours.value.of(&head.bytes));
        }
    }

    #[test]
    fn every_well_formed_head_is_taken(
        method in token(),
        target in "/[!$-;=?-~]{0,60}",
        fields in vec((token(), "[ \t]{0,2}", "([!-~\u{a0}-\u{ff}]([ \t!-~]{0,60}[!-~])?)?", "[ \t]{0,2}"), 0..20),
    ) {
        prop_assume!(method != "CONNECT");
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: example.com\r\n");
        for (name, before, value, after) in &fields {
            text.push_str(&format!("X-{name}:{before}{value}{after}\r\n"));
        }
        text.push_str("\r\n");
        let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
        let mut world = World::new();
        let head = world.request(&bytes);
        prop_assert_eq!(head.method.as_str(), method);
        prop_assert_eq!(head.target.of(&head.bytes), target.as_bytes());
        let latin_1 = |span: Span| span.of(&head.bytes).iter().map(|&b| char::from(b)).collect::<String>();
        let found: Vec<_> = world.connection.fields()[1..]
            .iter()
            .map(|field| (latin_1(field.name)[2..].to_owned(), latin_1(field.value)))
            .collect();
        let sent: Vec<_> = fields.into_iter().map(|(name, _, value, _)| (name, value)).collect();
        prop_assert_eq!(found, sent);
    }

    #[test]
    fn chunked_data_comes_back(
        data in vec(vec(any::<u8>(), 0..5000), 0..8),
        places in vec(any::<Index>(), 0..12),
        trailer in proptest::option::of("[!-~]{1,20}"),
    ) {
        // Our own chunks, as a response, are sent back to us as a request.
        let mut sender = World::new();
        let _ = sender.request("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let headers = HeaderMap::new();
        let head = ResponseHead::new(StatusCode::OK, &headers);
        sender.connection.send_head(&head, &mut sender.output).unwrap();
        sender.output.clear();
        for data in &data {
            sender.connection.send_data(data.clone().into(), &mut sender.output).unwrap();
        }
        let trailers = trailer.map(|value| {
            HeaderMap::from_iter([("x-t".parse().unwrap(), value.parse().unwrap())])
        });
        sender.connection.send_end(trailers.as_ref(), &mut sender.output).unwrap();
        let mut wire = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        while !sender.output.is_empty() {
            wire.extend_from_slice(sender.output.first());
            let length = sender.output.first().len();
            sender.output.advance(length);
        }

        let mut receiver = World::new();
        let mut pieces = cut(&wire, &places).into_iter();
        let (mut back, mut end) = (Vec::new(), None);
        while end.is_none() {
            match receiver.connection.next_event().unwrap() {
                Event::NeedData => receiver.receive(pieces.next().expect("more bytes")),
                Event::Data(more) => back.extend_from_slice(&more),
                Event::End(trailers) => end = Some(trailers),
                Event::Request(_) => {}
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(back, data.concat());
        prop_assert_eq!(end.unwrap(), trailers);
    }

    #[test]
    fn no_order_of_calls_panics(calls in vec((0u8..22, fragments(), 0u64..30), 0..60)) {
        any_calls(&calls);
    }
}

/// Calls whatever there is in whatever order, and checks what must always hold.
fn any_calls(calls: &[(u8, Vec<u8>, u64)]) {
    let mut world = World::new();
    let mut hints = HeaderMap::new();
    hints.insert("link", "x".parse().unwrap());
    let mut failed = None;
    let mut ended = false;
    for (call, bytes, number) in calls {
        let World { connection, output, now } = &mut world;
        match call {
            0..6 => {
                let mut buffer = connection.take_buffer();
                buffer.extend_from_slice(bytes);
                connection.receive(buffer);
            }
            6..11 => match connection.next_event() {
                Err(error) => {
                    assert!(
                        failed.is_none_or(|before| before == error || error == Error::UnreadBody)
                    );
                    failed = Some(error);
                }
                Ok(Event::Request(_)) => {
                    assert_eq!(failed, None, "a request after an error");
                    assert!(!ended, "a request after the connection was given up");
                }
                Ok(_) => {}
            },
            11 => {
                let status = StatusCode::from_u16(200 + (*number as u16) % 5).unwrap();
                let mut head = ResponseHead::new(status, &hints);
                head.length = (number % 3 == 0).then_some(number % 4);
                head.close = number % 7 == 0;
                head.trailers = number % 5 == 0;
                let _ = connection.send_head(&head, output);
            }
            12 => {
                let _ = connection.send_data(Bytes::copy_from_slice(bytes), output);
            }
            13 => {
                let _ = connection.send_end(Some(&hints), output);
            }
            14 => match connection.start_next_cycle() {
                Next::Close(reason) => {
                    assert_eq!(connection.close_reason(), Some(reason));
                    ended = true;
                }
                Next::Ready => assert!(connection.keep_alive()),
                Next::Drain | Next::Upgraded => {}
            },
            15 => connection.send_continue(output),
            16 => connection.send_informational(StatusCode::EARLY_HINTS, &hints, output),
            17 => connection.body_wanted(number % 2 == 0, *now),
            18 => connection.sent(*number as usize, (*number as usize) / 3, *now),
            19 => {
                *now += seconds(*number);
                if let Some(Timeout::KeepAlive | Timeout::Drain) = connection.handle_timeout(*now) {
                    assert!(matches!(connection.next_event(), Ok(Event::Closed)));
                }
            }
            20 if number % 3 == 0 => connection.receive_eof(),
            21 if number % 6 == 0 => connection.cut(),
            21 if number % 6 == 1 => {
                connection.linger();
                ended = true;
            }
            _ => {}
        }
        assert!(connection.keep_alive() == connection.close_reason().is_none());
        if connection.poll_timeout(*now).is_some_and(|deadline| deadline <= *now) {
            let _ = connection.handle_timeout(*now);
        }
    }
}
