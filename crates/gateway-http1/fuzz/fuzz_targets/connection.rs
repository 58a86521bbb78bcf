//! Whole connections: pieces do not matter, and what an application answers arrives as it said it.

#![no_main]

use bytes::Bytes;
use gateway_http1::{CloseReason, Error, Event, Next, RequestHead, ResponseHead};
use gateway_http1_fuzz::responses::{self, Response};
use gateway_http1_fuzz::{Input, Peer, Pieces, Request};
use http::StatusCode;
use http::header::{ETAG, HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

/// What the application learns: data joined.
#[derive(Debug, PartialEq)]
enum Told {
    Request(Request),
    Data(Vec<u8>),
    End(Option<HeaderMap>),
    Refused(Error),
    Close(CloseReason),
    Upgraded(Vec<u8>),
    Closed,
    Waiting,
}

struct Conversation<'a> {
    peer: Peer<'a>,
    /// The present request; `None` before it is understood.
    asked: Option<RequestHead>,
    told: Vec<Told>,
    responses: Vec<Response>,
}

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::new(data) else { return };
    let [whole, bytewise, cut] = input.ways().map(|pieces| converse(&input, pieces));
    assert_eq!(whole, bytewise, "byte by byte");
    assert_eq!(whole, cut, "in pieces");
    let requests = whole.0.iter().filter(|told| matches!(told, Told::Request(_))).count();
    assert!(requests <= input.config().limits.requests_per_connection as usize);
});

/// Everything that is told and said until nothing more comes.
fn converse<'a>(input: &Input<'a>, pieces: Pieces<'a>) -> (Vec<Told>, Vec<Response>) {
    let peer = Peer::new(input, pieces);
    let mut conversation = Conversation { peer, asked: None, told: vec![], responses: vec![] };
    while conversation.cycle(input.choice).is_some() {}
    let Conversation { mut peer, told, responses, .. } = conversation;
    peer.take(usize::MAX);
    responses::check(&peer.written, &responses);
    if matches!(told.last(), Some(Told::Close(_) | Told::Refused(_) | Told::Closed)) {
        peer.check_closed();
    }
    (told, responses)
}

impl Conversation<'_> {
    /// One request and its response; `None` if it was the last.
    fn cycle(&mut self, choice: u8) -> Option<()> {
        self.asked = None;
        let request = match self.peer.next_event() {
            Some(Ok(Event::Request(head))) => Request::new(head, &self.peer.connection),
            Some(Ok(Event::Closed)) => return self.over(Told::Closed),
            Some(Ok(other)) => panic!("{other:?}"),
            Some(Err(error)) => return self.refuse(error),
            None => return self.over(Told::Waiting),
        };
        // Whatever the application does follows from the target, so that mutations reach it.
        let target = request.head.target.of(&request.head.bytes);
        let choice = target.iter().fold(choice, |sum, b| sum.wrapping_mul(31) ^ b);
        let (echoes, reads, gives_up) = (choice & 3 == 0, choice & 3 == 1, choice & 3 == 2);
        let body = b"hello".repeat(if choice & 16 == 0 { 1200 } else { 1 });
        let length = body.len() as u64 + u64::from(gives_up);
        let headers = HeaderMap::new();
        let mut head = ResponseHead::new(StatusCode::OK, &headers);
        head.length = (!echoes && choice & 8 != 0).then_some(length);
        head.trailers = choice & 4 != 0;
        match choice >> 5 {
            0 if request.head.upgrade => head.status = StatusCode::SWITCHING_PROTOCOLS,
            1 => head.status = StatusCode::NO_CONTENT,
            2 => head.status = StatusCode::NOT_MODIFIED,
            3 => head.close = true,
            _ => {}
        }
        self.asked = Some(request.head.clone());
        self.told.push(Told::Request(request));
        // Whether a 100 is still expected depends on the pieces, and rightly so.
        self.peer.connection.send_continue(&mut self.peer.output);
        if reads {
            self.read(false)?;
        }
        self.send_head(&head);
        if echoes {
            self.read(true)?;
        } else {
            self.send_data(body.into());
        }
        if gives_up {
            self.peer.connection.cut();
        } else {
            self.send_end();
        }
        self.next_cycle()
    }

    /// The request's body, to its end.
    fn read(&mut self, echo: bool) -> Option<()> {
        loop {
            match self.peer.next_event() {
                Some(Ok(Event::Data(data))) => {
                    if echo {
                        self.send_data(data.clone());
                    }
                    match self.told.last_mut() {
                        Some(Told::Data(before)) => before.extend_from_slice(&data),
                        _ => self.told.push(Told::Data(data.to_vec())),
                    }
                }
                Some(Ok(Event::End(trailers))) => {
                    self.told.push(Told::End(trailers));
                    assert!(matches!(self.peer.connection.next_event(), Ok(Event::Paused)));
                    return Some(());
                }
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(error)) if echo => {
                    self.peer.connection.cut();
                    return self.over(Told::Refused(error));
                }
                Some(Err(error)) => return self.refuse(error),
                None => return self.over(Told::Waiting),
            }
        }
    }

    fn next_cycle(&mut self) -> Option<()> {
        loop {
            match self.peer.connection.start_next_cycle() {
                Next::Ready => {
                    assert!(self.peer.connection.keep_alive());
                    self.last_response().kept = true;
                    return Some(());
                }
                Next::Close(reason) => {
                    assert_eq!(self.peer.connection.close_reason(), Some(reason));
                    return self.over(Told::Close(reason));
                }
                Next::Upgraded => {
                    let rest = self.peer.rest();
                    return self.over(Told::Upgraded(rest));
                }
                Next::Drain => match self.peer.next_event() {
                    Some(Ok(Event::End(_))) => {}
                    Some(Ok(other)) => panic!("{other:?}"),
                    Some(Err(error)) => return self.over(Told::Refused(error)),
                    None => return self.over(Told::Waiting),
                },
            }
        }
    }

    /// An error before the response: it is told to the peer.
    fn refuse(&mut self, error: Error) -> Option<()> {
        let headers = HeaderMap::new();
        let mut head = ResponseHead::new(error.status(), &headers);
        head.length = Some(0);
        self.send_head(&head);
        self.send_end();
        assert!(matches!(self.peer.connection.start_next_cycle(), Next::Close(_)));
        self.over(Told::Refused(error))
    }

    fn send_head(&mut self, head: &ResponseHead<'_>) {
        let Peer { connection, output, .. } = &mut self.peer;
        connection.send_head(head, output).expect("a head is owed");
        self.responses.push(Response::new(head.status, self.asked.as_ref()));
    }

    fn send_data(&mut self, data: Bytes) {
        self.last_response().body.extend_from_slice(&data);
        let Peer { connection, output, .. } = &mut self.peer;
        connection.send_data(data, output).expect("no more than was said");
    }

    fn send_end(&mut self) {
        self.last_response().whole = true;
        let trailers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("x"))]);
        let Peer { connection, output, .. } = &mut self.peer;
        connection.send_end(Some(&trailers), output).expect("no less than was said");
    }

    fn last_response(&mut self) -> &mut Response {
        self.responses.last_mut().expect("its head was sent")
    }

    fn over(&mut self, last: Told) -> Option<()> {
        self.told.push(last);
        None
    }
}
