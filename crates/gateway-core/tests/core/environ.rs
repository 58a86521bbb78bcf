//! The typed side of a request.

use std::sync::Arc;

use gateway_core::bytes::Bytes;
use gateway_core::exchange::Exchange;
use gateway_core::http::{HeaderMap, HeaderValue, Method, Version};
use gateway_core::{
    Address, Application, Disconnected, Environ, Error, ErrorStream, Handle, Input, Reply,
    Response, ServerInfo, StartResponse, Upgraded,
};

use crate::exchange::{Request, Step};

/// Middleware holds these across awaits and hands them to threads.
const _: () = {
    const fn send<T: Send + 'static>() {}
    const fn send_and_sync<T: Send + Sync + 'static>() {}
    send_and_sync::<Environ>();
    send_and_sync::<Input>();
    send_and_sync::<StartResponse>();
    send_and_sync::<Disconnected>();
    send_and_sync::<ErrorStream>();
    send_and_sync::<ServerInfo>();
    send_and_sync::<Handle>();
    send_and_sync::<Upgraded>();
    send_and_sync::<Error>();
    send_and_sync::<Box<dyn Application>>();
    send::<Reply>();
    send::<Response>();
};

/// The target, the raw path, the query and the authority of a request with `Host: field.test`.
#[track_caller]
fn check(method: Method, target: &'static str, path: &str, query: Option<&str>, authority: &str) {
    let request = Request::get(target).method(method).field("Host", "field.test");
    let (environ, _) = request.environ();
    assert_eq!(environ.raw_target(), target);
    assert_eq!(environ.raw_script_name(), "");
    assert_eq!(environ.script_name(), "");
    assert_eq!(environ.raw_path_info(), path);
    assert_eq!(environ.query_string(), query);
    assert_eq!(environ.authority(), Some(authority));
}

#[test]
fn origin_form() {
    check(Method::GET, "/", "/", None, "field.test");
    check(Method::GET, "/a%20b/c?", "/a%20b/c", Some(""), "field.test");
    check(Method::GET, "/x?a=b?c/d", "/x", Some("a=b?c/d"), "field.test");
    check(Method::GET, "//a//b/", "//a//b/", None, "field.test");
    check(Method::GET, "/../x;v=1", "/../x;v=1", None, "field.test");
    check(Method::GET, "/http://a/b", "/http://a/b", None, "field.test");
}

#[test]
fn absolute_form_goes_before_the_host_field() {
    check(Method::GET, "http://a.test/x?y", "/x", Some("y"), "a.test");
    check(Method::GET, "http://[::1]:8/x", "/x", None, "[::1]:8");
    check(Method::GET, "http:///x", "/x", None, "field.test");
}

#[test]
fn an_absolute_form_without_a_path_means_the_root() {
    check(Method::GET, "HTTP://a.test:81", "/", None, "a.test:81");
    check(Method::GET, "http://a.test?y", "/", Some("y"), "a.test");
    check(Method::GET, "http://a.test?", "/", Some(""), "a.test");
    check(Method::OPTIONS, "http://a.test?y", "/", Some("y"), "a.test");
    check(Method::OPTIONS, "http://a.test/", "/", None, "a.test");
    let (environ, _) = Request::get("http://a.test").environ();
    assert_eq!(environ.path_info(), "/");
    assert_eq!(&*environ.path_info_bytes(), b"/");
}

#[test]
fn an_absolute_form_with_options_may_mean_the_server_as_a_whole() {
    check(Method::OPTIONS, "http://a.test", "*", None, "a.test");
    let request = Request::get("http://a.test:81").method(Method::OPTIONS);
    let (environ, _) = request.environ();
    assert_eq!(environ.path_info(), "*");
    assert_eq!(environ.authority(), Some("a.test:81"));
}

#[test]
fn asterisk_and_authority_form() {
    check(Method::OPTIONS, "*", "*", None, "field.test");
    check(Method::CONNECT, "a.test:443", "", None, "a.test:443");
    check(Method::CONNECT, "/chat", "/chat", None, "field.test");
}

#[test]
fn what_is_no_target_is_path() {
    check(Method::GET, "a/b", "a/b", None, "field.test");
    check(Method::GET, "", "", None, "field.test");
    check(Method::GET, "?u=http://a/b", "", Some("u=http://a/b"), "field.test");
    check(Method::GET, "*x", "*x", None, "field.test");
}

#[test]
fn paths_decode_to_text_and_to_bytes() {
    let (environ, _) = Request::get("/caf%C3%A9/%ff%zz%4+").environ();
    assert_eq!(environ.path_info(), "/café/\u{fffd}%zz%4+");
    assert_eq!(&*environ.path_info_bytes(), b"/caf\xc3\xa9/\xff%zz%4+");
}

#[test]
fn a_raw_byte_that_is_not_ascii_is_percent_encoded() {
    let (environ, _) = Request::to(Bytes::from_static(b"/caf\xe9?\xff")).environ();
    assert_eq!(environ.raw_target(), "/caf%E9?%FF");
    assert_eq!(&*environ.path_info_bytes(), b"/caf\xe9");
}

#[test]
fn without_a_host_there_is_no_authority() {
    let (environ, _) = Request::get("/").environ();
    assert_eq!(environ.authority(), None);
    let (environ, _) = Request::get("/").raw_field("Host", b"caf\xe9").environ();
    assert_eq!(environ.authority(), None);
    let (environ, _) = Request::get("/").field("Host", "").environ();
    assert_eq!(environ.authority(), Some(""));
}

#[test]
fn the_servers_facts_come_with_the_request() {
    let mut request = Request::get("/").on_reactor();
    request.version = Version::HTTP_10;
    request.info.remote = Address::Inet("192.0.2.1:4711".parse().unwrap());
    request.info.local = Address::Unix("/run/web.sock".into());
    let (errors, lines) = ErrorStream::memory();
    request.info.errors = errors;
    let (environ, _) = request.environ();
    assert_eq!(environ.method(), Method::GET);
    assert_eq!(environ.version(), Version::HTTP_10);
    assert_eq!(environ.url_scheme(), "http");
    assert_eq!(environ.remote_addr().to_string(), "192.0.2.1:4711");
    assert_eq!(environ.local_addr().to_string(), "unix:/run/web.sock");
    assert_eq!(environ.server().software, "memory/1.0");
    assert!(environ.nonblocking());
    environ.errors().line("no cookies left");
    assert_eq!(lines.take(), ["no cookies left"]);
}

#[test]
fn middleware_that_trusts_a_proxy_replaces_what_the_server_said() {
    let (mut environ, exchange) = Request::get("http://a.test/").environ();
    environ.set_method(Method::PUT);
    environ.set_url_scheme("https");
    environ.set_authority("outside.test");
    environ.set_remote_addr(Address::Inet("198.51.100.9:1".parse().unwrap()));
    assert_eq!(environ.method(), Method::PUT);
    assert_eq!(environ.url_scheme(), "https");
    assert_eq!(environ.authority(), Some("outside.test"));
    assert_eq!(environ.remote_addr().to_string(), "198.51.100.9:1");
    assert_eq!(exchange.connection().remote, Address::Unnamed);
    assert_eq!(environ.raw_target(), "http://a.test/");
}

#[test]
fn extensions_carry_values_by_type() {
    #[derive(Clone)]
    struct User(&'static str);
    let (mut environ, _) = Request::get("/").environ();
    environ.extensions_mut().insert(User("ada"));
    assert_eq!(environ.extensions().get::<User>().unwrap().0, "ada");
}

#[test]
fn header_fields_keep_order_case_and_repetition() {
    let (environ, _) = Request::get("/")
        .field("hOST", "a.test")
        .field("X-A", "1")
        .field("Empty", "")
        .field("x-a", "2")
        .raw_field("X-Latin", b"\xe9")
        .environ();
    assert_eq!(environ.header("X-a"), Some(&b"1"[..]));
    assert_eq!(environ.header("empty"), Some(&b""[..]));
    assert_eq!(environ.header("x-latin"), Some(&b"\xe9"[..]));
    assert_eq!(environ.header("x-"), None);
    let names: Vec<&[u8]> = environ.fields().map(|(name, _)| name).collect();
    assert_eq!(names, [&b"hOST"[..], b"X-A", b"Empty", b"x-a", b"X-Latin"]);
    let all: Vec<_> = environ.headers().get_all("x-a").iter().collect();
    assert_eq!(all, ["1", "2"]);
    assert_eq!(environ.headers().len(), 5);
}

#[test]
fn the_map_is_the_only_source_once_it_was_changed() {
    let (mut environ, _) = Request::get("/").field("Host", "a.test").field("X-A", "1").environ();
    let headers = environ.headers_mut();
    headers.remove("x-a");
    headers.insert("host", HeaderValue::from_static("b.test"));
    assert_eq!(environ.header("X-A"), None);
    assert_eq!(environ.authority(), Some("b.test"));
    assert_eq!(environ.var("HTTP_X_A"), None);
    assert_eq!(environ.fields().count(), 1);
}

#[test]
fn a_protocol_that_has_a_map_hands_it_in() {
    let (_, exchange) = Request::get("/").environ();
    let mut map = HeaderMap::new();
    map.append("x-a", HeaderValue::from_static("1"));
    map.append("x-a", HeaderValue::from_static("2"));
    let exchange: Arc<dyn Exchange> = exchange;
    let target = Bytes::from_static(b"/");
    let environ = Environ::new(exchange, Method::GET, Version::HTTP_2, target).with_headers(map);
    assert_eq!(environ.header("X-A"), Some(&b"1"[..]));
    assert_eq!(environ.var("HTTP_X_A").as_deref(), Some("1, 2"));
    assert_eq!(environ.var("SERVER_PROTOCOL").as_deref(), Some("HTTP/2.0"));
}

#[test]
fn the_input_is_replaced_and_taken() {
    let (mut environ, _) = Request::post([Step::Data("from the peer")]).environ();
    let mut original = environ.take_input();
    assert_eq!(environ.input().collect(100).unwrap(), "");
    environ.set_input(Input::from_bytes("from middleware"));
    assert_eq!(environ.input().collect(100).unwrap(), "from middleware");
    assert_eq!(original.collect(100).unwrap(), "from the peer");
}

#[test]
fn a_debug_line_shows_the_request() {
    let (environ, _) = Request::get("/x?y").field("Host", "a.test").environ();
    let line = format!("{environ:?}");
    assert!(line.contains("/x?y") && line.contains("a.test"), "{line}");
}
