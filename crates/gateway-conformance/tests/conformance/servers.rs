//! Wrong servers, and wrong middleware that plays one: at least one for every rule, caught by that
//! rule and by no other.

use std::io;
use std::sync::{Arc, Barrier};
use std::thread;

use gateway_conformance::{Lint, Violation};
use gateway_core::bytes::Bytes;
use gateway_core::exchange::ConnectionInfo;
use gateway_core::http::header::CONTENT_TYPE;
use gateway_core::http::{Method, StatusCode, Version};
use gateway_core::{Address, Body, Environ, Response, Result, ServerInfo, StartResponse, inline};

use crate::hand::{Hand, Wrong};

/// Makes the list, and a test of each entry.
macro_rules! mutations {
    ($($name:ident: $id:literal => $violations:expr;)+) => {
        pub(crate) const CAUGHT: &[&str] = &[$($id),+];

        $(
            #[test]
            fn $name() {
                let violations: Vec<Violation> = $violations;
                let ids: Vec<&str> = violations.iter().map(|found| found.rule.id).collect();
                assert_eq!(ids, [$id], "{violations:#?}");
            }
        )+
    };
}

mutations! {
    a_target_without_a_slash: "SRV-01" => targeting(Method::GET, "x/y");
    no_target: "SRV-01" => targeting(Method::GET, "");
    an_asterisk_with_get: "SRV-01" => targeting(Method::GET, "*");
    a_connect_to_nowhere: "SRV-01" => targeting(Method::CONNECT, "");
    a_target_with_a_blank: "SRV-02" => targeting(Method::GET, "/a b");
    a_target_with_a_fragment: "SRV-02" => targeting(Method::GET, "/a#b");
    a_name_with_a_blank: "SRV-03" => with_fields(&[("X Y", "1")]);
    a_value_with_a_line_end: "SRV-04" => with_fields(&[("X-Y", "1\r\nX-Z: 2")]);
    a_value_with_blanks_around: "SRV-04" => with_fields(&[("X-Y", " 1")]);
    an_unknown_scheme: "SRV-05" => given(|environ| environ.set_url_scheme("ftp"));
    no_authority: "SRV-06" => Hand { fields: Vec::new(), ..Hand::default() }.call(text);
    two_hosts: "SRV-06" => with_fields(&[("Host", "hand.test")]);
    a_length_in_words: "SRV-07" => with_fields(&[("Content-Length", "five")]);
    another_length: "SRV-07" => with_fields(&[("Content-Length", "5")]);
    two_lengths: "SRV-07" => with_fields(&[("Content-Length", "0"), ("Content-Length", "0")]);
    a_coded_body_with_a_length: "SRV-08" => with_fields(&[("Transfer-Encoding", "chunked")]);
    a_coding_and_a_length: "SRV-08" => Hand {
        declared: None,
        ..fields(&[("Transfer-Encoding", "chunked"), ("Content-Length", "5")])
    }
    .call(text);
    a_server_without_a_name: "SRV-09" => facts(|server| server.name = "".into());
    a_server_that_is_everywhere: "SRV-09" => facts(|server| server.name = "0.0.0.0".into());
    a_name_with_a_path: "SRV-09" => facts(|server| server.name = "hand.test/app".into());
    no_software: "SRV-10" => facts(|server| server.software = "".into());
    software_of_two_lines: "SRV-10" => facts(|server| server.software = "a\r\nb".into());
    a_port_to_be_chosen: "SRV-11" => facts(|server| server.port = Some(0));
    an_address_to_be_chosen: "SRV-11" => connected(|info| info.local = inet("0.0.0.0:80"));
    a_peer_from_nowhere: "SRV-11" => connected(|info| info.remote = inet("[::]:50000"));
    a_thread_that_hides_what_it_is: "SRV-12" =>
        Hand { wrong: Wrong::NeverBlocks, ..Hand::default() }.call(inline(text));
    a_job_on_a_reactor: "SRV-13" => {
        let mut hand = Hand { wrong: Wrong::NeverBlocks, ..Hand::default() };
        hand.info.nonblocking = true;
        hand.call(text)
    };
    a_poll_too_many: "SRV-14" => wrong(Wrong::PollsAgain).call(later);
    an_iterator_asked_after_its_end: "SRV-15" => wrong(Wrong::AsksAgain).call(pieces);
    an_iterator_asked_after_an_error: "SRV-15" => wrong(Wrong::AsksAfterFailure).call(failing);
    a_stream_asked_after_its_end: "SRV-15" => wrong(Wrong::AsksAgain).call(echo);
    a_body_kept_too_long: "SRV-16" => wrong(Wrong::KeepsBody).call(pieces);
    an_end_that_nobody_hears_of: "SRV-17" => wrong(Wrong::ForgetsEnd).call(text);
    a_head_past_its_hooks: "SRV-18" => wrong(Wrong::ForgetsHooks).call(text);
    an_input_too_short: "SRV-19" => receiving(5, &["abc"]);
    an_input_too_long: "SRV-19" => receiving(2, &["abc"]);
    a_script_name_of_its_own: "SRV-20" => given(|environ| environ.set_var("SCRIPT_NAME", "/app"));
    a_path_of_its_own: "SRV-20" => given(|environ| environ.set_var("PATH_INFO", "/other"));
    a_host_of_its_own: "SRV-20" => given(|environ| environ.set_var("HTTP_HOST", "other.test"));
    a_proxy_setting: "SRV-21" =>
        given(|environ| environ.set_var("HTTP_PROXY", "http://evil.test"));
    a_length_by_another_name: "SRV-21" =>
        given(|environ| environ.set_var("HTTP_CONTENT_LENGTH", "5"));
    a_user_past_latin_1: "SRV-22" => given(|environ| environ.set_var("REMOTE_USER", "☃"));
    a_variable_without_a_name: "SRV-22" => given(|environ| environ.set_var("", "x"));
    two_calls_on_one_thread: "SRV-23" => at_once();
    a_head_that_is_sent: "SRV-24" => wrong(Wrong::HeadIsSent).call(text);
    an_environ_of_another_exchange: "SRV-25" => wrong(Wrong::TwoExchanges).call(text);
    a_write_without_a_head: "SRV-26" => wrong(Wrong::KeepsHead).call(writing);
}

#[test]
fn a_right_server_breaks_nothing() {
    for app in [text, pieces, failing, writing] {
        let violations = Hand::default().call(app);
        assert!(violations.is_empty(), "{violations:#?}");
    }
    assert!(Hand::default().call(later).is_empty());
    assert!(receiving(3, &["a", "bc"]).is_empty());
    for (method, target) in [
        (Method::GET, "http://hand.test"),
        (Method::GET, "http://hand.test?q"),
        (Method::GET, "http://hand.test/a?q"),
        (Method::OPTIONS, "*"),
        (Method::OPTIONS, "http://hand.test"),
        (Method::CONNECT, "hand.test:443"),
        (Method::GET, "/a%2Fb/%C3%A9?q=%ff"),
    ] {
        let violations = targeting(method, target);
        assert!(violations.is_empty(), "{target}: {violations:#?}");
    }
    let old = Hand { version: Version::HTTP_10, fields: Vec::new(), ..Hand::default() };
    assert!(old.call(text).is_empty());
    let mounted =
        Hand { target: "/a/b", given: |environ| assert!(environ.enter("/a")), ..Hand::default() };
    assert!(mounted.call(text).is_empty());
    let proxied = given(|environ| {
        environ.set_url_scheme("https");
        environ.set_authority("public.test");
        environ.set_remote_addr(inet("192.0.2.7:0"));
        environ.set_var("REMOTE_USER", "ren\u{e9}");
    });
    assert!(proxied.is_empty(), "{proxied:#?}");
}

fn text(_: Environ, start_response: StartResponse) -> Result<Response> {
    Ok(start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body("text"))
}

fn pieces(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let data = ["a", "b"].map(|data| Ok(Bytes::from(data)));
    Ok(text(environ, start_response)?.with_body(Body::iter(data)))
}

fn failing(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let data = [Ok(Bytes::from("a")), Err(io::Error::other("boom")), Ok(Bytes::from("b"))];
    Ok(text(environ, start_response)?.with_body(Body::iter(data)))
}

fn writing(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let mut response = text(environ, start_response)?;
    response.write("first")?;
    Ok(response)
}

fn echo(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let input = environ.take_input();
    Ok(text(environ, start_response)?.with_body(Body::stream(input)))
}

async fn later(environ: Environ, start_response: StartResponse) -> Result<Response> {
    text(environ, start_response)
}

fn wrong(wrong: Wrong) -> Hand {
    Hand { wrong, ..Hand::default() }
}

fn targeting(method: Method, target: &'static str) -> Vec<Violation> {
    Hand { method, target, ..Hand::default() }.call(text)
}

fn fields(more: &[(&'static str, &'static str)]) -> Hand {
    let mut hand = Hand::default();
    hand.fields.extend(more);
    hand
}

fn with_fields(more: &[(&'static str, &'static str)]) -> Vec<Violation> {
    fields(more).call(text)
}

fn given(given: fn(&mut Environ)) -> Vec<Violation> {
    Hand { given, ..Hand::default() }.call(text)
}

fn connected(change: impl FnOnce(&mut ConnectionInfo)) -> Vec<Violation> {
    let mut hand = Hand::default();
    change(&mut hand.info);
    hand.call(text)
}

fn facts(change: impl FnOnce(&mut ServerInfo)) -> Vec<Violation> {
    connected(|info| change(Arc::make_mut(&mut info.server)))
}

fn inet(address: &str) -> Address {
    Address::Inet(address.parse().expect("an address"))
}

/// The application reads everything.
fn receiving(declared: u64, input: &[&'static str]) -> Vec<Violation> {
    let hand = Hand {
        method: Method::POST,
        declared: Some(declared),
        input: input.to_vec(),
        ..Hand::default()
    };
    hand.call(|mut environ: Environ, start_response: StartResponse| -> Result<Response> {
        environ.input().collect(1 << 10)?;
        text(environ, start_response)
    })
}

/// Two threads call an application of one thread, and are in it together.
fn at_once() -> Vec<Violation> {
    let together = Barrier::new(2);
    let app = inline(move |environ, start_response| {
        together.wait();
        text(environ, start_response)
    });
    let (linted, violations) = Lint::new(app).collecting();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut hand = Hand::default();
                Arc::make_mut(&mut hand.info.server).multithread = false;
                hand.serve(&linted);
            });
        }
    });
    violations.take()
}
