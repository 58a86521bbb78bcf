//! Rules about what a server tells of a request, and of itself.

use gateway_core::{Address, Environ};

use super::apps::telling;
use super::claims::Feature;
use super::scene::{Checked, Scene, ensure};
use super::server_test::{ServerRule, case, must, port};
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] = &[
    METHOD_AND_VERSION,
    HEADER_FIELDS,
    AUTHORITY,
    CGI_VARIABLES,
    CGI_FIELDS,
    CGI_CANNOT_BE_SPOOFED,
    ADDRESSES,
    SERVER_FACTS,
    FACTS_BEFORE_SERVING,
];

type Tell = fn(&mut Environ) -> String;

/// The answer to `request` of an application that tells something of it.
fn tells(scene: &Scene<'_>, request: &str, tell: Tell, expected: &str) -> Checked {
    let site = scene.serve(|_| telling(tell))?;
    site.dial()?.exchange(request)?.must_say(expected)
}

const METHOD_AND_VERSION: ServerRule = ServerRule {
    rule: must(
        "SRV-104",
        Topic::Environ,
        "A server MUST tell the method, extensions and letter case included, the version and the \
         URL scheme of the request.",
        "PEP 3333, environ Variables: REQUEST_METHOD, SERVER_PROTOCOL, wsgi.url_scheme; RFC 9110 \
         §9.1",
        "Take them from the request line, and the scheme from the kind of the connection.",
    ),
    name: "method_version_and_scheme_are_told",
    needs: &[],
    cases: &[
        port("GET", "Plack::Test::Suite: SERVER_PROTOCOL is required; psgi.url_scheme", |scene| {
            tells(scene, "GET /foo/ HTTP/1.1\nHost: a\n\n", line, "GET HTTP/1.1 http")
        }),
        port("POST", "Plack::Test::Suite: psgi.url_scheme", |scene| {
            let post = "POST / HTTP/1.1\nHost: a\nContent-Length: 0\n\n";
            tells(scene, post, line, "POST HTTP/1.1 http")
        }),
        case("a method of one's own", |scene| {
            tells(scene, "Brew-It / HTTP/1.1\nHost: a\n\n", line, "Brew-It HTTP/1.1 http")
        }),
        case("HTTP/1.0", |scene| tells(scene, "GET / HTTP/1.0\n\n", line, "GET HTTP/1.0 http")),
    ],
};

fn line(environ: &mut Environ) -> String {
    format!("{} {:?} {}", environ.method(), environ.version(), environ.url_scheme())
}

const HEADER_FIELDS: ServerRule = ServerRule {
    rule: must(
        "SRV-105",
        Topic::Environ,
        "A server MUST give the application every header field of the request, in order, repeated \
         ones too, with the value's bytes as they came but for blanks around them.",
        "PEP 3333, environ Variables: HTTP_ variables; RFC 9110 §5.5 and §5.3",
        "Pass all fields on; trim blanks and nothing else.",
    ),
    name: "header_fields_are_told",
    needs: &[],
    cases: &[
        port("one", "Plack::Test::Suite: handle HTTP-Header", |scene| {
            tells(scene, "GET /foo/?a=b HTTP/1.1\nHost: a\nFoo: Bar\n\n", fields, "Bar")
        }),
        port("several of one name", "Plack::Test::Suite: multi headers (request)", |scene| {
            let request = "GET / HTTP/1.1\nHost: a\nFoo: bar\nX: y\nfoo: baz\n\n";
            tells(scene, request, fields, "bar|baz")
        }),
        port("a long value", "Plack::Test::Suite: a big header value > 128 bytes", |scene| {
            let long = "abcdefgh".repeat(500);
            let request = format!("GET / HTTP/1.1\nHost: a\nFoo: {long}\n\n");
            tells(scene, &request, fields, &long)
        }),
        case("blanks around and within", |scene| {
            let request = "GET / HTTP/1.1\nHost: a\nFoo: \t b  c \t\nFoo:d\nFoo:\n\n";
            tells(scene, request, fields, "b  c|d|")
        }),
        case("bytes beyond ASCII", |scene| {
            let site = scene.serve(|_| telling(fields))?;
            let mut peer = site.dial()?;
            peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nFoo: caf\xe9\r\n\r\n");
            peer.answer()?.must_say("caf\\xe9")
        }),
        case("as a map, and by name in any case", |scene| {
            let request = "GET / HTTP/1.1\nHost: a\nFoo: bar\nfOO: baz\n\n";
            let tell: Tell = |environ| {
                let first = environ.header("FOO").unwrap_or_default().escape_ascii().to_string();
                let all = environ.headers().get_all("foo").iter().count();
                format!("{first} {all}")
            };
            tells(scene, request, tell, "bar 2")
        }),
    ],
};

fn fields(environ: &mut Environ) -> String {
    let values = environ.fields().filter(|(name, _)| name.eq_ignore_ascii_case(b"foo"));
    values.map(|(_, value)| value.escape_ascii().to_string()).collect::<Vec<_>>().join("|")
}

const AUTHORITY: ServerRule = ServerRule {
    rule: must(
        "SRV-106",
        Topic::Environ,
        "A server MUST tell the authority that a request is for: that of an absolute-form target \
         in place of the Host field.",
        "RFC 9112 §3.2.2 and §3.3",
        "Pass the request target on as it came; `Environ::new` finds the authority in it.",
    ),
    name: "the_authority_is_told",
    needs: &[],
    cases: &[
        case("of the Host field", |scene| {
            tells(scene, "GET / HTTP/1.1\nHost: a.test:80\n\n", authority, "a.test:80 / a.test:80")
        }),
        case("of the target", |scene| {
            let request = "GET http://b.test:8080/x HTTP/1.1\nHost: a.test\n\n";
            tells(scene, request, authority, "b.test:8080 /x b.test:8080")
        }),
        case("of a target without a path", |scene| {
            let request = "GET http://b.test HTTP/1.1\nHost: a.test\n\n";
            tells(scene, request, authority, "b.test / b.test")
        }),
        case("of none on HTTP/1.0", |scene| tells(scene, "GET / HTTP/1.0\n\n", authority, "- / -")),
    ],
};

fn authority(environ: &mut Environ) -> String {
    let authority = environ.authority().unwrap_or("-");
    let host = environ.var("HTTP_HOST").unwrap_or("-".into());
    format!("{authority} {} {host}", environ.path_info())
}

const CGI_VARIABLES: ServerRule = ServerRule {
    rule: must(
        "SRV-107",
        Topic::Environ,
        "A server MUST make the variables of PEP 3333 and RFC 3875 right: REQUEST_METHOD, \
         SCRIPT_NAME, PATH_INFO, QUERY_STRING, CONTENT_TYPE, CONTENT_LENGTH, SERVER_NAME, \
         SERVER_PORT, SERVER_PROTOCOL, SERVER_SOFTWARE, GATEWAY_INTERFACE, REQUEST_URI.",
        "PEP 3333, environ Variables; RFC 3875 §4.1",
        "Give `Environ` and `ConnectionInfo` what they ask for; the variables are made of it.",
    ),
    name: "cgi_variables_are_told",
    needs: &[],
    cases: &[
        port("of a request with a query", "Plack::Test::Suite: validate env", |scene| {
            let tell: Tell = |environ| {
                vars(environ, &["REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "SCRIPT_NAME"])
            };
            let request = "GET /foo/?dankogai=kogaidan HTTP/1.1\nHost: a\n\n";
            tells(scene, request, tell, "GET|/foo/|dankogai=kogaidan|")
        }),
        port("of a request with a body", "Plack::Test::Suite: POST", |scene| {
            let tell: Tell =
                |environ| vars(environ, &["REQUEST_METHOD", "CONTENT_LENGTH", "CONTENT_TYPE"]);
            let request = "POST / HTTP/1.1\nHost: a\nContent-Length: 14\n\
                           Content-Type: application/x-www-form-urlencoded\n\nname=tatsuhiko";
            tells(scene, request, tell, "POST|14|application/x-www-form-urlencoded")
        }),
        case("without a body", |scene| {
            let tell: Tell = |environ| vars(environ, &["CONTENT_LENGTH", "CONTENT_TYPE"]);
            tells(scene, "GET / HTTP/1.1\nHost: a\n\n", tell, "-|-")
        }),
        port(
            "SCRIPT_NAME is there",
            "Plack::Test::Suite: SCRIPT_NAME; SCRIPT_NAME should not be undef",
            |scene| {
                let tell: Tell = |environ| environ.var("SCRIPT_NAME").is_some().to_string();
                tells(scene, "GET /foo/?a=b HTTP/1.1\nHost: a\n\n", tell, "true")
            },
        ),
        port("REQUEST_URI", "Plack::Test::Suite: REQUEST_URI is set", |scene| {
            let tell: Tell = |environ| vars(environ, &["REQUEST_URI"]);
            let request = "GET /foo/bar%20baz%73?x=a HTTP/1.1\nHost: a\n\n";
            tells(scene, request, tell, "/foo/bar%20baz%73?x=a")
        }),
        case("of the server", |scene| {
            let tell: Tell = |environ| {
                vars(environ, &["SERVER_PROTOCOL", "GATEWAY_INTERFACE", "wsgi.url_scheme"])
            };
            tells(scene, "GET / HTTP/1.0\n\n", tell, "HTTP/1.0|CGI/1.1|http")
        }),
        case("SERVER_NAME and SERVER_PORT are never empty", |scene| {
            let tell: Tell = |environ| {
                let name = environ.var("SERVER_NAME").unwrap_or_default().into_owned();
                let port = environ.var("SERVER_PORT").unwrap_or_default().into_owned();
                format!("{} {}", !name.is_empty(), port.parse::<u16>().is_ok())
            };
            tells(scene, "GET / HTTP/1.1\nHost: a\n\n", tell, "true true")
        }),
    ],
};

/// The values of variables, `-` for those that are not there.
fn vars(environ: &Environ, names: &[&str]) -> String {
    let values = names.iter().map(|name| environ.var(name).unwrap_or("-".into()));
    values.collect::<Vec<_>>().join("|")
}

const CGI_FIELDS: ServerRule = ServerRule {
    rule: must(
        "SRV-108",
        Topic::Environ,
        "A server MUST make an HTTP_ variable of every other field: repeated ones joined by a \
         comma, cookies by a semicolon.",
        "PEP 3333, environ Variables: HTTP_ variables; RFC 3875 §4.1.18; RFC 9113 §8.2.3",
        "Pass repeated fields on apart; the variables join them.",
    ),
    name: "cgi_variables_of_fields_are_told",
    needs: &[],
    cases: &[
        port("a header field", "Plack::Test::Suite: handle HTTP-Header", |scene| {
            let tell: Tell = |environ| vars(environ, &["HTTP_FOO"]);
            tells(scene, "GET / HTTP/1.1\nHost: a\nFoo: Bar\n\n", tell, "Bar")
        }),
        port("Authorization", "Plack::Test::Suite: handle Authorization header", |scene| {
            let tell: Tell = |environ| vars(environ, &["HTTP_AUTHORIZATION"]);
            let request = "GET / HTTP/1.1\nHost: a\nAuthorization: Basic XXXX\n\n";
            tells(scene, request, tell, "Basic XXXX")?;
            tells(scene, "GET / HTTP/1.1\nHost: a\n\n", tell, "-")
        }),
        port("repeated ones", "test_wsgiref: IntegrationTests.test_environ", |scene| {
            let tell: Tell =
                |environ| vars(environ, &["HTTP_X_TEST_HEADER", "QUERY_STRING", "PATH_INFO"]);
            let request = "GET /p%61th/?query=test HTTP/1.0\nX-Test-Header: Python test \n\
                           X-Test-Header: Python test 2\nContent-Length: 0\n\n";
            tells(scene, request, tell, "Python test, Python test 2|query=test|/path/")
        }),
        port(
            "a cookie",
            "Plack::Test::Suite: handle HTTP-Cookie; Do not set $env->{COOKIE}",
            |scene| {
                let tell: Tell = |environ| vars(environ, &["HTTP_COOKIE", "COOKIE"]);
                tells(scene, "GET / HTTP/1.1\nHost: a\nCookie: foo=bar\n\n", tell, "foo=bar|-")
            },
        ),
        case("two cookies", |scene| {
            let tell: Tell = |environ| vars(environ, &["HTTP_COOKIE"]);
            let request = "GET / HTTP/1.1\nHost: a\nCookie: a=1\nCookie: b=2\n\n";
            tells(scene, request, tell, "a=1; b=2")
        }),
    ],
};

const CGI_CANNOT_BE_SPOOFED: ServerRule = ServerRule {
    rule: must(
        "SRV-109",
        Topic::Environ,
        "A server MUST NOT let a field pass for a variable that means something else: no \
         HTTP_PROXY, no HTTP_CONTENT_LENGTH, and no HTTP_X_NAME by a field `X_Name`.",
        "RFC 3875 §9; CVE-2016-5385 (httpoxy)",
        "Give the fields to `Environ` as fields; set no variables of them.",
    ),
    name: "cgi_variables_cannot_be_spoofed",
    needs: &[],
    cases: &[
        case("Proxy", |scene| {
            let tell: Tell = |environ| vars(environ, &["HTTP_PROXY"]);
            tells(scene, "GET / HTTP/1.1\nHost: a\nProxy: http://evil.test\n\n", tell, "-")
        }),
        case("an underscore", |scene| {
            let tell: Tell = |environ| vars(environ, &["HTTP_X_NAME"]);
            let request = "GET / HTTP/1.1\nHost: a\nX_Name: evil\nX-Name: good\n\n";
            tells(scene, request, tell, "good")
        }),
        case("an underscore alone", |scene| {
            let tell: Tell = |environ| vars(environ, &["HTTP_REMOTE_USER", "REMOTE_USER"]);
            tells(scene, "GET / HTTP/1.1\nHost: a\nRemote_User: root\n\n", tell, "-|-")
        }),
        case("the body's fields", |scene| {
            let tell: Tell = |environ| vars(environ, &["HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"]);
            let request =
                "POST / HTTP/1.1\nHost: a\nContent-Length: 2\nContent-Type: text/plain\n\nhi";
            tells(scene, request, tell, "-|-")
        }),
        case("in the whole view", |scene| {
            let tell: Tell = |environ| {
                let mut names: Vec<_> = environ
                    .vars()
                    .map(|(name, _)| name.into_owned())
                    .filter(|name| name.starts_with("HTTP_"))
                    .collect();
                names.sort();
                names.join("|")
            };
            let request = "GET / HTTP/1.1\nHost: a\nProxy: b\nX_Y: c\nX-Y: d\nX-Y: e\n\n";
            tells(scene, request, tell, "HTTP_HOST|HTTP_X_Y")
        }),
    ],
};

const ADDRESSES: ServerRule = ServerRule {
    rule: must(
        "SRV-110",
        Topic::Environ,
        "A server MUST tell where the peer is and where it connected to, alike in the typed form \
         and in REMOTE_ADDR, REMOTE_PORT and SERVER_PORT.",
        "RFC 3875 §4.1.8 and §4.1.15; PEP 3333, environ Variables: SERVER_PORT",
        "Take both addresses from the accepted socket.",
    ),
    name: "addresses_are_told",
    needs: &[],
    cases: &[
        case("the two agree", |scene| {
            let tell: Tell = |environ| {
                let shown = vars(environ, &["REMOTE_ADDR", "REMOTE_PORT"]);
                let expected = match environ.remote_addr() {
                    Address::Inet(peer) => format!("{}|{}", peer.ip(), peer.port()),
                    _ => "|-".to_owned(),
                };
                let port = match environ.local_addr() {
                    Address::Inet(own) => environ
                        .var("SERVER_PORT")
                        .is_some_and(|port| port == own.port().to_string()),
                    _ => true,
                };
                format!("{} {port}", shown == expected)
            };
            tells(scene, "GET / HTTP/1.1\nHost: a\n\n", tell, "true true")
        }),
        case("ports are real, and clients are told apart", |scene| {
            let tell: Tell = |environ| match (environ.remote_addr(), environ.local_addr()) {
                (Address::Inet(peer), Address::Inet(own)) => {
                    format!("{peer} {} {}", peer.port() != 0, own.port() != 0)
                }
                _ => "unnamed".to_owned(),
            };
            let site = scene.serve(|_| telling(tell))?;
            let mut one = site.dial()?;
            let first = one.get("/")?.text();
            if first == "unnamed" || !scene.has(Feature::Connections) {
                return Ok(());
            }
            ensure!(first.ends_with(" true true"), "a port is 0: {first}");
            let second = site.dial()?.get("/")?.text();
            ensure!(first != second, "two connections are both from {first}");
            Ok(())
        }),
    ],
};

const SERVER_FACTS: ServerRule = ServerRule {
    rule: must(
        "SRV-111",
        Topic::Environ,
        "A server MUST tell its name, port and software, alike in the typed form and in \
         SERVER_NAME, SERVER_PORT and SERVER_SOFTWARE, and MUST NOT tell less threads than it \
         calls from.",
        "PEP 3333, environ Variables: SERVER_NAME … wsgi.run_once; Plack::Test::Suite: validate \
         env",
        "Make one `ServerInfo` and give it to every connection.",
    ),
    name: "the_servers_facts_are_told",
    needs: &[],
    cases: &[
        port("typed and as variables", "Plack::Test::Suite: validate env", |scene| {
            let tell: Tell = |environ| {
                let info = environ.server();
                let port = match (environ.local_addr(), info.port) {
                    (Address::Inet(own), Some(port)) => own.port() == port,
                    (Address::Inet(_), None) => false,
                    _ => true,
                };
                let name = environ.var("SERVER_NAME").is_some_and(|name| name == info.name);
                let software = environ
                    .var("SERVER_SOFTWARE")
                    .is_some_and(|software| software == info.software);
                let named = !info.name.is_empty() && !info.software.is_empty();
                format!("{port} {name} {software} {named}")
            };
            tells(scene, "GET / HTTP/1.1\nHost: a\n\n", tell, "true true true true")
        }),
        case("multithread", |scene| {
            if !scene.has(Feature::Connections) {
                return Ok(());
            }
            let tell: Tell =
                |environ| format!("{} {}", environ.server().multithread, environ.server().run_once);
            tells(scene, "GET / HTTP/1.1\nHost: a\n\n", tell, "true false")
        }),
    ],
};

const FACTS_BEFORE_SERVING: ServerRule = ServerRule {
    rule: must(
        "SRV-112",
        Topic::Lifecycle,
        "A server MUST tell an application that is built with `run_with` the facts that every \
         request will carry.",
        "There is no precedent: in WSGI they come with the first request, too late for a factory",
        "Answer `Server::info` from what `serve` will use.",
    ),
    name: "facts_before_serving_are_the_same",
    needs: &[Feature::Info],
    cases: &[case("all of them", |scene| {
        let tell: Tell = |environ| format!("{:?}", environ.server());
        let site = scene.serve(|_| telling(tell))?;
        let before = format!("{:?}", site.info()?);
        site.dial()?.get("/")?.must_say(&before)
    })],
};
