//! The tests of other projects that have their case in the suite.

use std::collections::BTreeSet;

use gateway_conformance::SERVER;
use gateway_conformance::suite::ServerRule;

const PLACK: [&str; 36] = [
    "SCRIPT_NAME",
    "GET",
    "POST",
    "big POST",
    "psgi.url_scheme",
    "return glob",
    "filehandle",
    "bigger file",
    "handle HTTP-Header",
    "handle HTTP-Cookie",
    "validate env",
    "% encoding in PATH_INFO",
    "% double encoding in PATH_INFO",
    "% encoding in PATH_INFO (outside of URI characters)",
    "SERVER_PROTOCOL is required",
    "SCRIPT_NAME should not be undef",
    "call close after read IO::Handle-like",
    "has errors",
    "status line",
    "Do not crash when the app dies",
    "multi headers (request)",
    "multi headers (response)",
    "Do not set $env->{COOKIE}",
    "no entity headers on 304",
    "REQUEST_URI is set",
    "filehandle with path()",
    "a big header value > 128 bytes",
    "coderef res",
    "coderef streaming",
    "CRLF output and FCGI parse bug",
    "newlines",
    "test 404",
    "request->input seekable",
    "request->content on GET",
    "handle Authorization header",
    "repeated slashes",
];

/// What of the file is about a server's behaviour. The rest is about `wsgiref`'s own classes, or
/// about what Rust's types rule out: headers that are no list, a status that is no number, data
/// that are no bytes, an input that is read without a size.
const WSGIREF: [&str; 15] = [
    "IntegrationTests.test_plain_hello",
    "IntegrationTests.test_environ",
    "IntegrationTests.test_request_length",
    "IntegrationTests.test_status_validation_errors",
    "IntegrationTests.test_cp1252_url",
    "IntegrationTests.test_interrupted_write",
    "UtilityTests.testHopByHop",
    "HandlerTests.testContentLength, trivial_app1",
    "HandlerTests.testContentLength, trivial_app2",
    "HandlerTests.testContentLength, trivial_app3",
    "HandlerTests.testContentLength, trivial_app4",
    "HandlerTests.testErrorAfterOutput",
    "HandlerTests.testHeaderFormats",
    "HandlerTests.testCloseOnError",
    "HandlerTests.testRaisesControlCharacters",
];

const URL_MAP: [&str; 6] = [
    "dispatches paths correctly",
    "dispatches hosts correctly",
    "be nestable",
    "route root apps correctly",
    "not squeeze slashes",
    "not be case sensitive with hosts",
];

/// The tests of one project that are named as sources of cases.
fn named(project: &str) -> BTreeSet<&'static str> {
    let cases = SERVER.iter().copied().flatten().flat_map(ServerRule::cases);
    let sources = cases.filter_map(|(_, source)| source?.strip_prefix(project));
    sources.flat_map(|source| source.split("; ")).collect()
}

fn must_have(project: &str, tests: &[&str]) {
    let named = named(project);
    let missing: Vec<_> = tests.iter().filter(|test| !named.contains(**test)).collect();
    assert!(missing.is_empty(), "{project}{missing:?} have no case; these have: {named:#?}");
}

#[test]
fn plack_test_suite() {
    must_have("Plack::Test::Suite: ", &PLACK);
    assert_eq!(named("Plack::Test::Suite: ").len(), PLACK.len(), "a name is misspelt");
}

#[test]
fn test_wsgiref() {
    must_have("test_wsgiref: ", &WSGIREF);
}

#[test]
fn rack_url_map() {
    must_have("Rack: URLMap, ", &URL_MAP);
}
