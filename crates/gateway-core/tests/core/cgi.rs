//! The CGI view: names, joins, Latin-1, and that no header field passes for a variable it is not.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::http::{Method, Version};
use gateway_core::{Address, Environ, Input, ServerInfo};
use proptest::prelude::*;

use crate::exchange::{Request, Step};

fn var(environ: &Environ, name: &str) -> Option<String> {
    environ.var(name).map(Cow::into_owned)
}

fn vars(environ: &Environ) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in environ.vars() {
        let former = all.insert(name.clone().into_owned(), value.into_owned());
        assert!(former.is_none(), "{name} is there twice");
    }
    all
}

#[test]
fn every_variable_of_a_full_request() {
    let mut request = Request::get("/caf%C3%A9/x%20y?a=%20b")
        .method(Method::POST)
        .field("Host", "probe.test:8080")
        .field("Content-Type", "text/x; a=b")
        .field("Content-Length", "5")
        .field("X-Foo-Bar", "baz")
        .declared(5);
    request.version = Version::HTTP_10;
    request.info.remote = Address::Inet("192.0.2.1:4711".parse().unwrap());
    request.info.local = Address::Inet("[2001:db8::1]:8080".parse().unwrap());
    let (mut environ, _) = request.environ();
    assert!(environ.enter("/café"));
    let expected = [
        ("CONTENT_LENGTH", "5"),
        ("CONTENT_TYPE", "text/x; a=b"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("HTTP_HOST", "probe.test:8080"),
        ("HTTP_X_FOO_BAR", "baz"),
        ("PATH_INFO", "/x y"),
        ("QUERY_STRING", "a=%20b"),
        ("REMOTE_ADDR", "192.0.2.1"),
        ("REMOTE_PORT", "4711"),
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_SCHEME", "http"),
        ("REQUEST_URI", "/caf%C3%A9/x%20y?a=%20b"),
        ("SCRIPT_NAME", "/caf\u{c3}\u{a9}"),
        ("SERVER_NAME", "server.test"),
        ("SERVER_PORT", "8080"),
        ("SERVER_PROTOCOL", "HTTP/1.0"),
        ("SERVER_SOFTWARE", "memory/1.0"),
        ("wsgi.url_scheme", "http"),
    ];
    let all = vars(&environ);
    let found: Vec<(&str, &str)> = all.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(found, expected);
    for (name, value) in expected {
        assert_eq!(var(&environ, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn a_target_without_a_path_has_the_path_info_that_it_means() {
    let path_info = |method, target| {
        let (environ, _) = Request::get(target).method(method).environ();
        assert_eq!(var(&environ, "REQUEST_URI").as_deref(), Some(target));
        assert_eq!(var(&environ, "SCRIPT_NAME").as_deref(), Some(""));
        assert_eq!(vars(&environ).get("PATH_INFO"), var(&environ, "PATH_INFO").as_ref());
        var(&environ, "PATH_INFO").unwrap()
    };
    assert_eq!(path_info(Method::GET, "http://a.test"), "/");
    assert_eq!(path_info(Method::GET, "http://a.test?q"), "/");
    assert_eq!(path_info(Method::OPTIONS, "http://a.test"), "*");
    assert_eq!(path_info(Method::OPTIONS, "http://a.test?q"), "/");
}

#[test]
fn what_is_not_there_is_absent_or_empty_as_the_rfc_says() {
    let (environ, _) = Request::get("/").environ();
    assert_eq!(var(&environ, "QUERY_STRING").as_deref(), Some(""));
    assert_eq!(var(&environ, "SCRIPT_NAME").as_deref(), Some(""));
    assert_eq!(var(&environ, "REMOTE_ADDR").as_deref(), Some(""));
    for name in
        ["CONTENT_LENGTH", "CONTENT_TYPE", "REMOTE_PORT", "HTTPS", "HTTP_HOST", "REMOTE_USER", ""]
    {
        assert_eq!(var(&environ, name), None, "{name}");
    }
    assert_eq!(environ.vars().count(), 13);
}

#[test]
fn the_server_port_is_never_empty() {
    let with = |local, port, scheme| {
        let mut request = Request::get("/");
        request.info.local = local;
        request.info.url_scheme = scheme;
        request.info.server = Arc::new(ServerInfo::new("a.test", port, "memory/1.0"));
        var(&request.environ().0, "SERVER_PORT").unwrap()
    };
    let unix = || Address::Unix("/run/web.sock".into());
    let inet = Address::Inet("127.0.0.1:9000".parse().unwrap());
    assert_eq!(with(inet, Some(1), "http"), "9000");
    assert_eq!(with(Address::Unnamed, Some(8000), "http"), "8000");
    assert_eq!(with(unix(), None, "http"), "80");
    assert_eq!(with(unix(), None, "https"), "443");
}

#[test]
fn a_secured_connection_says_so() {
    let mut request = Request::get("/");
    request.info.url_scheme = "https";
    let (environ, _) = request.environ();
    assert_eq!(var(&environ, "HTTPS").as_deref(), Some("on"));
    assert_eq!(var(&environ, "wsgi.url_scheme").as_deref(), Some("https"));
}

#[test]
fn repeated_fields_are_joined_in_their_order() {
    let (environ, _) = Request::get("/")
        .field("X-A", "1")
        .field("Cookie", "a=1")
        .field("X-B", "z")
        .field("x-a", "2")
        .field("cookie", "b=2")
        .field("X-A", "")
        .environ();
    assert_eq!(var(&environ, "HTTP_X_A").as_deref(), Some("1, 2, "));
    assert_eq!(var(&environ, "HTTP_COOKIE").as_deref(), Some("a=1; b=2"));
    assert_eq!(vars(&environ)["HTTP_X_A"], "1, 2, ");
}

#[test]
fn bytes_are_latin_1() {
    let (environ, _) = Request::get("/%C3%A9%00%ff")
        .raw_field("X-A", b"caf\xe9 \xff")
        .raw_field("Content-Type", b"text/\xe9")
        .environ();
    assert_eq!(var(&environ, "PATH_INFO").as_deref(), Some("/\u{c3}\u{a9}\0\u{ff}"));
    assert_eq!(var(&environ, "HTTP_X_A").as_deref(), Some("caf\u{e9} \u{ff}"));
    assert_eq!(var(&environ, "CONTENT_TYPE").as_deref(), Some("text/\u{e9}"));
}

#[test]
fn the_content_length_is_that_of_the_input() {
    let (environ, _) = Request::get("/").field("Content-Length", "005").declared(5).environ();
    assert_eq!(var(&environ, "CONTENT_LENGTH").as_deref(), Some("5"));
    let (environ, _) = Request::get("/").field("Content-Length", "0").environ();
    assert_eq!(var(&environ, "CONTENT_LENGTH").as_deref(), Some("0"));
    let (environ, _) = Request::get("/").environ();
    assert_eq!(var(&environ, "CONTENT_LENGTH"), None);

    let (mut environ, _) = Request::post([Step::Data("chunked")]).environ();
    assert_eq!(var(&environ, "CONTENT_LENGTH"), None);
    let body = environ.input().collect(100).unwrap();
    environ.set_input(Input::from_bytes(body));
    assert_eq!(var(&environ, "CONTENT_LENGTH").as_deref(), Some("7"));
}

#[test]
fn reading_or_taking_the_input_changes_no_variable() {
    let request = Request::post([Step::Data("hello")]).field("Content-Length", "5").declared(5);
    let (mut environ, _) = request.environ();
    let before = vars(&environ);
    environ.input().collect(100).unwrap();
    assert_eq!(vars(&environ), before);
    drop(environ.take_input());
    assert_eq!(vars(&environ), before);
    assert_eq!(before["CONTENT_LENGTH"], "5");
}

#[test]
fn set_var_goes_over_everything() {
    let (mut environ, _) = Request::get("/").field("X-A", "1").field("X-B", "2").environ();
    environ.set_var("REMOTE_USER", "ada");
    environ.set_var("HTTP_X_A", "changed");
    environ.set_var("REQUEST_METHOD", "BREW");
    let all = vars(&environ);
    assert_eq!(all["REMOTE_USER"], "ada");
    assert_eq!(all["HTTP_X_A"], "changed");
    assert_eq!(all["HTTP_X_B"], "2");
    assert_eq!(all["REQUEST_METHOD"], "BREW");
    assert_eq!(var(&environ, "HTTP_X_A").as_deref(), Some("changed"));
    assert_eq!(environ.method(), Method::GET);
}

#[test]
fn replaced_facts_show_in_the_view() {
    let (mut environ, _) = Request::get("/").field("Host", "inside.test").environ();
    environ.set_url_scheme("https");
    environ.set_authority("outside.test");
    environ.set_remote_addr(Address::Inet("[2001:db8::9]:1".parse().unwrap()));
    let all = vars(&environ);
    assert_eq!(all["HTTP_HOST"], "outside.test");
    assert_eq!(all["HTTPS"], "on");
    assert_eq!(all["REMOTE_ADDR"], "2001:db8::9");
}

#[test]
fn an_authority_in_the_target_replaces_the_host_field() {
    for request in [
        Request::get("http://a.test:81/x").field("Host", "evil.test").field("host", "too.test"),
        Request::get("http://a.test:81/x"),
    ] {
        let (environ, _) = request.environ();
        assert_eq!(var(&environ, "HTTP_HOST").as_deref(), Some("a.test:81"));
        assert_eq!(vars(&environ)["HTTP_HOST"], "a.test:81");
    }
    let (mut environ, _) = Request::get("http://a.test/x").field("Host", "b.test").environ();
    environ.set_var("HTTP_HOST", "set.test");
    assert_eq!(vars(&environ)["HTTP_HOST"], "set.test");
}

/// Fields that want to be taken for something else, and the variable they are after.
#[test]
fn nothing_can_be_spoofed() {
    for (field, name) in [
        ("Proxy", "HTTP_PROXY"),
        ("pROXY", "HTTP_PROXY"),
        ("Content_Length", "CONTENT_LENGTH"),
        ("Content_Type", "CONTENT_TYPE"),
        ("Content-Type", "HTTP_CONTENT_TYPE"),
        ("Content-Length", "HTTP_CONTENT_LENGTH"),
        ("Content_Length", "HTTP_CONTENT_LENGTH"),
        ("X_Forwarded_User", "HTTP_X_FORWARDED_USER"),
        ("X-Forwarded_User", "HTTP_X_FORWARDED_USER"),
        ("HTTP_HOST", "HTTP_HOST"),
        ("HTTP-Host", "HTTP_HOST"),
        ("Remote-User", "REMOTE_USER"),
        ("Remote_User", "HTTP_REMOTE_USER"),
        ("Auth-Type", "AUTH_TYPE"),
        ("HTTPS", "HTTPS"),
        ("wsgi.input", "wsgi.input"),
        ("Script-Name", "HTTP_SCRIPT_NAMES"),
    ] {
        let (environ, _) = Request::get("/").field(field, "evil").environ();
        assert_eq!(var(&environ, name), None, "{field} as {name}");
        assert!(!vars(&environ).contains_key(name), "{field} as {name}");
    }
    let (environ, _) = Request::get("/")
        .field("X-Forwarded_User", "evil")
        .field("X-Forwarded-User", "good")
        .field("X_Forwarded_User", "evil")
        .field("wsgi.url_scheme", "https")
        .field("wsgi.input", "evil")
        .field("Request-Method", "EVIL")
        .environ();
    assert_eq!(var(&environ, "HTTP_X_FORWARDED_USER").as_deref(), Some("good"));
    assert_eq!(var(&environ, "wsgi.url_scheme").as_deref(), Some("http"));
    assert_eq!(var(&environ, "REQUEST_METHOD").as_deref(), Some("GET"));
    assert_eq!(var(&environ, "wsgi.input"), None);
    assert_eq!(var(&environ, "HTTP_WSGI.INPUT").as_deref(), Some("evil"));
}

#[test]
fn names_are_asked_for_as_cgi_writes_them() {
    let (environ, _) = Request::get("/").field("X-A", "1").environ();
    for name in ["HTTP_x_a", "HTTP_X-A", "http_x_a", "X_A", "X-A", "HTTP_"] {
        assert_eq!(var(&environ, name), None, "{name}");
    }
}

#[test]
fn it_serialises_as_one_map() {
    let (mut environ, _) = Request::get("/x?y").field("X-A", "1").field("x-a", "2").environ();
    environ.set_var("REMOTE_USER", "ada");
    let json = serde_json::to_value(&environ).unwrap();
    assert_eq!(json["PATH_INFO"], "/x");
    assert_eq!(json["HTTP_X_A"], "1, 2");
    assert_eq!(json["REMOTE_USER"], "ada");
    let map: BTreeMap<String, String> = serde_json::from_value(json).unwrap();
    assert_eq!(map, vars(&environ));
}

fn field() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = prop_oneof![
        4 => "[AaBb_-]{1,3}",
        1 => "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}",
        1 => prop::sample::select(vec![
            "Proxy", "pROXY", "Host", "Cookie", "cookie", "Content-Length", "content_length",
            "Content-Type", "HTTP-Host", "HTTP_PROXY",
        ]).prop_map(str::to_owned),
    ];
    (name, prop::collection::vec(0x20u8..=0xff, 0..4))
}

proptest! {
    /// The variables of the fields are exactly those that a plain reading of the rules gives.
    #[test]
    fn fields_become_variables_by_the_rules_alone(
        fields in prop::collection::vec(field(), 0..24),
        asked in "[A-Z_]{0,4}",
    ) {
        let mut expected: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &fields {
            let lower = name.to_ascii_lowercase();
            if lower.contains('_') || ["proxy", "content-length", "content-type"].contains(&&*lower) {
                continue;
            }
            let value: String = value.iter().map(|&b| char::from(b)).collect();
            let separator = if lower == "cookie" { "; " } else { ", " };
            expected
                .entry(format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_")))
                .and_modify(|joined| *joined = format!("{joined}{separator}{value}"))
                .or_insert(value);
        }
        let mut request = Request::get("/");
        for (name, value) in fields {
            request = request.raw_field(name.leak(), value.leak());
        }
        let (environ, _) = request.environ();
        let found: BTreeMap<String, String> = vars(&environ)
            .into_iter()
            .filter(|(name, _)| name.starts_with("HTTP_"))
            .collect();
        prop_assert_eq!(&found, &expected);
        for (name, value) in &expected {
            prop_assert_eq!(var(&environ, name), Some(value.clone()));
        }
        let asked = format!("HTTP_{asked}");
        prop_assert_eq!(var(&environ, &asked), expected.get(&asked).cloned());
    }
}
