//! One wrong server for every rule at least, caught by that rule.

use gateway_conformance::suite::Verdict;
use gateway_conformance::{Report, SERVER, run_rule, suite};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{Address, Input, Stopped};

use crate::broken::{Broken, Fault};
use crate::faulty::*;
use crate::proxy::{Wrong, with_proxy};
use crate::wire::*;

/// Makes the list, and a test of each entry.
macro_rules! mutations {
    ($($name:ident: $id:literal => $fault:expr;)+) => {
        const CAUGHT: &[&str] = &[$($id),+];

        $(
            #[test]
            fn $name() {
                must_catch($id, $fault);
            }
        )+
    };
}

/// The rule fails on the wrong server.
fn must_catch(id: &str, fault: Fault) {
    let outcome = run_rule(&Broken::new(fault), id).expect("there is such a rule");
    assert!(matches!(outcome.verdict, Verdict::Failed(_)), "it was not caught: {outcome}");
}

#[test]
fn every_rule_catches_something() {
    let rules = SERVER.iter().copied().flatten().map(|rule| rule.rule.id);
    let missing: Vec<&str> = rules.filter(|id| !CAUGHT.contains(id)).collect();
    assert!(missing.is_empty(), "nothing shows that these can fail: {missing:?}");
}

#[test]
fn without_a_fault_nothing_is_caught() {
    let report: Report = suite(&Broken::new(Fault::None));
    assert!(report.passed(), "{report}");
}

macro_rules! sends {
    ($rewrite:expr) => {
        Fault::Sends(|| Box::new($rewrite))
    };
}

macro_rules! hears {
    ($rewrite:expr) => {
        Fault::Hears(|| Box::new($rewrite))
    };
}

macro_rules! handles {
    ($wrong:ident) => {
        Fault::App(|app| with_proxy(app, Wrong::$wrong))
    };
}

macro_rules! var {
    ($name:literal, $value:expr) => {
        Fault::App(|app| {
            given(app, |environ| {
                let value: String = $value(&*environ);
                environ.set_var($name, value);
            })
        })
    };
}

mutations! {
    a_head_that_does_not_wait: "SRV-30" =>
        sends!(Replace("HTTP/1.1 500 Internal Server Error\n", "HTTP/1.1 200 OK\n"));
    lengths_not_known: "SRV-31" => Fault::App(without_lengths);
    a_second_length: "SRV-32" => sends!(AddField("Content-Length: 5"));
    padding_of_short_bodies: "SRV-33" => Fault::App(padding);
    more_than_declared: "SRV-34" => sends!(Replace("12345", "12345extra"));
    chunks_for_all: "SRV-35" => sends!(AddField("Transfer-Encoding: chunked"));
    a_head_taken_for_a_get: "SRV-36" => hears!(Replace("HEAD ", "GET "));
    a_length_of_nothing: "SRV-37" => sends!(AddField("Content-Length: 0"));
    no_status_but_200: "SRV-38" => Fault::App(|app| answered(app, |mut response| {
        response.head_mut()?.status = StatusCode::OK;
        Ok(response)
    }));
    a_reason_of_its_own: "SRV-38" => sends!(Replace(" Splendid Indeed\n", " OK\n"));
    one_field_of_each_name: "SRV-39" => Fault::App(|app| answered(app, |mut response| {
        one_of_each(&mut response.head_mut()?.headers);
        Ok(response)
    }));
    no_date: "SRV-40" => sends!(DropField("Date: "));
    a_second_date: "SRV-40" => sends!(AddField("Date: Mon, 05 Jun 2006 18:49:54 GMT"));
    a_second_server: "SRV-41" => sends!(AddField("Server: broken"));
    a_field_of_the_hop: "SRV-42" => sends!(AddField("Keep-Alive: timeout=5"));
    deaf_for_close: "SRV-43" => Fault::App(|app| answered(app, |mut response| {
        response.head_mut()?.headers.remove("connection");
        Ok(response)
    }));
    an_injected_field: "SRV-44" => sends!(AddField("X-Injected: yes"));
    no_error_but_500: "SRV-45" => Fault::App(forgetting_statuses);
    panics_unanswered: "SRV-46" => sends!(DiesAt("HTTP/1.1 500 ", false));
    cut_bodies_look_whole: "SRV-47" => sends!(EndsCleanly::default());
    no_resets: "SRV-48" => Fault::NoResets;
    the_first_failure_is_the_last: "SRV-49" => Fault::DiesOfFailures;
    causes_shown: "SRV-50" => Fault::App(showing_causes);
    an_empty_log: "SRV-51" => Fault::NoLog;
    unchecked_heads: "SRV-52" =>
        sends!(Replace("HTTP/1.1 500 Internal Server Error\n", "HTTP/1.1 100 Continue\n"));
    bodies_kept: "SRV-53" => Fault::App(keeping_bodies);
    bodies_kept_after_a_departure: "SRV-54" => Fault::App(keeping_bodies);
    departures_not_missed_by_a_body: "SRV-54" => Fault::NoDepartures;
    all_data_at_the_end: "SRV-55" => sends!(Buffering::default());
    files_from_their_beginning: "SRV-56" =>
        Fault::App(|app| with_files(app, |file| file.offset = 0));
    files_as_long_as_they_are: "SRV-57" => Fault::App(|app| with_files(app, |file| {
        let length = file.file.metadata().map_or(0, |metadata| metadata.len());
        file.len = file.len.min(length.saturating_sub(file.offset));
    }));
    a_byte_lost: "SRV-58" => sends!(LosesAByte(1_000_000));
    bodies_collected: "SRV-59" => Fault::App(collecting);
    no_trailers: "SRV-60" => sends!(DropField("x-sum: "));
    written_data_lost: "SRV-61" => sends!(Replace("4\none,\n", ""));
    written_data_kept_back: "SRV-62" => sends!(Buffering::default());
    the_first_head_stays: "SRV-63" =>
        sends!(Replace("HTTP/1.1 502 Bad Gateway\n", "HTTP/1.1 200 OK\n"));
    hooks_outermost_first: "SRV-64" => handles!(HeadHooksOutermostFirst);
    a_byte_miscounted: "SRV-65" => handles!(EndHooksMiscount);
    no_early_hints: "SRV-66" => handles!(NoEarlyHints);
    early_hints_for_all: "SRV-67" =>
        hears!(Replace("GET / HTTP/1.0\n", "GET / HTTP/1.1\nHost: a\nConnection: close\n"));
    input_beyond_its_end: "SRV-68" => Fault::App(|app| with_input(app, |_, body| {
        Some(Input::from_bytes([body.ok()?, b"GET".to_vec()].concat()))
    }));
    chunks_with_a_length: "SRV-69" => Fault::App(|app| with_input(app, |_, body| {
        Some(Input::from_bytes(body.ok()?))
    }));
    nothing_without_a_length: "SRV-70" => Fault::App(|app| with_input(app, |_, body| {
        Some(Input::from_body(Unsized(Some(body.ok()?.into()))))
    }));
    no_input_trailers: "SRV-71" => Fault::App(|app| with_input(app, |_, body| {
        Some(Input::from_body(Unsized(Some(body.ok()?.into()))))
    }));
    input_collected_before_the_call: "SRV-72" => Fault::App(|app| with_input(app, |_, body| {
        Some(Input::from_bytes(body.ok()?))
    }));
    no_continue: "SRV-73" => sends!(Replace("HTTP/1.1 100 Continue\n\n", ""));
    continue_for_all: "SRV-74" => Fault::App(|app| given(app, |environ| {
        // Reading is what sends it.
        let _ = environ.input().data();
    }));
    too_large_is_500: "SRV-75" => Fault::App(forgetting_statuses);
    a_fixed_limit: "SRV-76" => Fault::App(|app| given(app, |environ| {
        let _ = std::io::BufRead::fill_buf(environ.input());
    }));
    a_body_taken_for_a_request: "SRV-77" =>
        hears!(Replace("Content-Length: 50\n", "X-Length: 50\n"));
    cut_input_looks_whole: "SRV-78" => Fault::App(|app| with_input(app, |_, body| {
        Some(Input::from_bytes(body.unwrap_or_default()))
    }));
    one_request_each: "SRV-79" =>
        hears!(Replace("Host: suite.test\n", "Host: suite.test\nConnection: close\n"));
    deaf_for_close_of_a_client: "SRV-80" => hears!(DropField("Connection: "));
    http_1_0_kept_unasked: "SRV-81" =>
        hears!(Replace("GET / HTTP/1.0\n", "GET / HTTP/1.0\nConnection: keep-alive\n"));
    http_1_0_never_kept: "SRV-82" => hears!(DropField("Connection: "));
    out_of_order: "SRV-83" => sends!(Reversed::default());
    half_closed_is_gone: "SRV-84" => Fault::NoHalfClose;
    requests_in_one_piece: "SRV-85" => hears!(DeafForBytes);
    no_host_needed: "SRV-86" =>
        hears!(Replace("GET / HTTP/1.1\n\n", "GET / HTTP/1.1\nHost: a\n\n"));
    the_last_length_counts: "SRV-87" => hears!(DropField("Content-Length: 5"));
    endless_heads: "SRV-88" => hears!(Shortens);
    bytes_behind_an_upgrade_lost: "SRV-89" => hears!(Replace("\n\nzero", "\n\n"));
    every_offer_taken: "SRV-90" => Fault::App(eager_to_upgrade);
    upgrades_unasked: "SRV-91" => hears!(Replace(
        "GET / HTTP/1.1\nHost: suite.test\n\n",
        "GET / HTTP/1.1\nHost: suite.test\nConnection: upgrade\nUpgrade: echo\n\n"
    ));
    no_futures: "SRV-92" => Fault::App(refusing_pending);
    two_calls: "SRV-93" => Fault::App(calling_twice);
    one_thread: "SRV-94" => Fault::App(one_at_a_time);
    one_future: "SRV-95" => Fault::App(one_at_a_time);
    a_reactor_that_blocks: "SRV-96" => handles!(ClaimsAReactor);
    no_news_for_those_who_wait: "SRV-97" => handles!(NeverGone);
    no_news_for_those_who_ask: "SRV-98" => handles!(NeverGone);
    no_cancelling: "SRV-99" => handles!(NeverGone);
    everybody_cancelled: "SRV-100" => Fault::App(cancelling);
    departures_not_missed: "SRV-101" => Fault::NoDepartures;
    no_end_but_clean_ones: "SRV-102" => handles!(EndHooksOnlyWhenClean);
    void_handles_work: "SRV-103" => handles!(VoidHandlesWork);
    methods_in_capitals: "SRV-104" => Fault::App(|app| given(app, |environ| {
        let capitals = environ.method().as_str().to_ascii_uppercase();
        environ.set_method(Method::from_bytes(capitals.as_bytes()).expect("a method"));
    }));
    https_for_all: "SRV-104" =>
        Fault::App(|app| given(app, |environ| environ.set_url_scheme("https")));
    one_request_field_of_each_name: "SRV-105" =>
        Fault::App(|app| given(app, |environ| one_of_each(environ.headers_mut())));
    host_alone: "SRV-106" => hears!(Replace("GET http://b.test:8080/", "GET /"));
    a_length_without_a_body: "SRV-107" => var!("CONTENT_LENGTH", |_: &_| String::from("0"));
    a_root_of_its_own: "SRV-107" => var!("SCRIPT_NAME", |_: &_| String::from("/"));
    cookies_with_commas: "SRV-108" => var!("HTTP_COOKIE", |environ: &gateway_core::Environ| {
        environ.var("HTTP_COOKIE").unwrap_or_default().replace("; ", ", ")
    });
    httpoxy: "SRV-109" => var!("HTTP_PROXY", |environ: &gateway_core::Environ| {
        String::from_utf8_lossy(environ.header("proxy").unwrap_or_default()).into_owned()
    });
    everybody_from_port_0: "SRV-110" => Fault::App(|app| given(app, |environ| {
        environ.set_remote_addr(Address::Inet(([127, 0, 0, 1], 0).into()));
    }));
    another_software: "SRV-111" => var!("SERVER_SOFTWARE", |_: &_| String::from("another/1"));
    two_faces: "SRV-112" => Fault::TwoFaces;
    slashes_squeezed: "SRV-113" => hears!(Replace("c//d", "c/d"));
    decoded_twice: "SRV-114" => hears!(Replace("%252c", "%2c"));
    a_decoded_query: "SRV-115" => hears!(Replace("b=%20+c", "b=%20%20c"));
    asterisk_is_the_root: "SRV-116" => hears!(Replace("OPTIONS * ", "OPTIONS / "));
    mounted_by_the_server: "SRV-117" => Fault::App(|app| given(app, |environ| {
        environ.enter("/foo");
    }));
    no_grace: "SRV-118" => Fault::NoGrace;
    idle_ones_counted: "SRV-119" => Fault::Stops(|stopped| Stopped::new(stopped.cut + 1, 0));
    nothing_counted: "SRV-120" => Fault::Stops(|_| Stopped::default());
    the_application_kept: "SRV-121" => Fault::KeepsApplication;
}
