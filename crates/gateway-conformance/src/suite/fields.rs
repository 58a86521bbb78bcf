//! Rules about the status line and the header fields.

use gateway_core::http::header::{CONNECTION, DATE, SERVER};
use gateway_core::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use gateway_core::{Application, Body, Environ, ReasonPhrase, Result, inline};

use super::apps::{saying, text};
use super::claims::Feature;
use super::scene::{Checked, Scene, ensure};
use super::server_test::{ServerRule, case, must, port, should};
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] = &[
    STATUS_LINE,
    FIELDS_ARE_SENT_AS_GIVEN,
    DATE_IS_THERE_ONCE,
    SERVER_IS_THERE_ONCE,
    HOP_BY_HOP_IS_REMOVED,
    CLOSE_IS_HONOURED,
    NOTHING_IS_INJECTED,
];

const STATUS_LINE: ServerRule = ServerRule {
    rule: must(
        "SRV-38",
        Topic::StartResponse,
        "A server MUST send the application's status as it is, on a line that begins with \
         HTTP/1.1, with the application's reason phrase or else the usual one.",
        "RFC 9112 §4; PEP 3333, The start_response() Callable: status",
        "Write the status of the head when it is sent, not one of your own.",
    ),
    name: "status_line_is_the_applications",
    needs: &[],
    cases: &[
        port("200", "Plack::Test::Suite: status line", |scene| {
            has_status(scene, saying("1"), 200, "OK", "1")
        }),
        port("404", "Plack::Test::Suite: test 404", |scene| {
            let app = inline(|_, start_response| {
                Ok(start_response.start(StatusCode::NOT_FOUND, ()).with_body("Not Found"))
            });
            has_status(scene, app, 404, "Not Found", "Not Found")
        }),
        case("a reason phrase", |scene| {
            let app = inline(|_, start_response| {
                let mut response = text(start_response, "fine");
                response.head_mut()?.reason = Some(ReasonPhrase::new("Splendid Indeed")?);
                Ok(response)
            });
            has_status(scene, app, 200, "Splendid Indeed", "fine")
        }),
        case("a status that nobody knows", |scene| {
            let app = inline(|_, start_response| {
                let status = StatusCode::from_u16(299).unwrap_or_default();
                Ok(start_response.start(status, ()).with_body("new"))
            });
            has_status(scene, app, 299, "", "new")
        }),
    ],
};

fn has_status(
    scene: &Scene<'_>,
    app: impl Application,
    status: u16,
    reason: &str,
    body: &str,
) -> Checked {
    let site = scene.serve(|_| app)?;
    let answer = site.dial()?.get("/")?;
    answer.must_be(status)?;
    ensure!(answer.reason == reason, "the reason is {:?} in place of {reason:?}", answer.reason);
    ensure!(answer.version == "HTTP/1.1", "the version is {:?}", answer.version);
    ensure!(answer.text() == body, "the body is {:?}", answer.text());
    Ok(())
}

const FIELDS_ARE_SENT_AS_GIVEN: ServerRule = ServerRule {
    rule: must(
        "SRV-39",
        Topic::StartResponse,
        "A server MUST send the application's header fields with their values unchanged, those of \
         one name in their order.",
        "PEP 3333, The start_response() Callable: headers; RFC 9110 §5.3",
        "Send every field of the head that is not the hop's own, repeated ones too.",
    ),
    name: "fields_are_sent_as_given",
    needs: &[],
    cases: &[
        port("several of one name", "Plack::Test::Suite: multi headers (response)", |scene| {
            let answer = with_fields(scene, || {
                let mut headers = HeaderMap::new();
                headers.append("x-foo", HeaderValue::from_static("foo"));
                headers.append("x-foo", HeaderValue::from_static("bar, baz"));
                headers
            })?;
            let values = answer.values("x-foo").join(", ");
            ensure!(values == "foo, bar, baz", "`x-foo` is {values:?}");
            Ok(())
        }),
        case("cookies, which must not be joined", |scene| {
            let answer = with_fields(scene, || {
                let mut headers = HeaderMap::new();
                headers.append(
                    "set-cookie",
                    HeaderValue::from_static("a=1; Expires=Wed, 09 Jun 2021 10:18:14 GMT"),
                );
                headers.append("set-cookie", HeaderValue::from_static("b=2"));
                headers
            })?;
            let values = answer.values("set-cookie");
            ensure!(
                values == ["a=1; Expires=Wed, 09 Jun 2021 10:18:14 GMT", "b=2"],
                "`set-cookie` is {values:?}"
            );
            Ok(())
        }),
        case("bytes beyond ASCII", |scene| {
            let answer = with_fields(scene, || {
                let mut headers = HeaderMap::new();
                headers.extend(HeaderValue::from_bytes(b"caf\xe9").ok().map(|v| (X_NAME, v)));
                headers
            })?;
            answer.must_have("x-name", "caf\u{e9}")
        }),
        case("a long value", |scene| {
            let long = "abcdefgh".repeat(500);
            let value = HeaderValue::from_str(&long).ok();
            let answer = with_fields(scene, move || {
                let mut headers = HeaderMap::new();
                headers.extend(value.clone().map(|value| (X_NAME, value)));
                headers
            })?;
            answer.must_have("x-name", &long)
        }),
    ],
};

const X_NAME: HeaderName = HeaderName::from_static("x-name");

/// The answer of an application that sets these fields.
fn with_fields(
    scene: &Scene<'_>,
    fields: impl Fn() -> HeaderMap + Send + Sync + 'static,
) -> Result<super::answer::Answer, super::scene::Trouble> {
    let site = scene.serve(|_| {
        inline(move |_, start_response| {
            Ok(start_response.start(StatusCode::OK, fields()).with_body("hi"))
        })
    })?;
    let answer = site.dial()?.get("/")?;
    answer.must_say("hi")?;
    Ok(answer)
}

const DATE_IS_THERE_ONCE: ServerRule = ServerRule {
    rule: must(
        "SRV-40",
        Topic::StartResponse,
        "A server with a clock MUST send one Date: the application's, or else its own, in the form \
         of an IMF-fixdate.",
        "RFC 9110 §6.6.1; test_wsgiref: HandlerTests.testHeaderFormats",
        "Add a Date where the head has none, and only there.",
    ),
    name: "date_is_there_once",
    needs: &[],
    cases: &[
        port("the server's", "test_wsgiref: HandlerTests.testHeaderFormats", |scene| {
            if !scene.has(Feature::OwnFields) {
                return Ok(());
            }
            let site = scene.serve(|_| saying("hello"))?;
            let answer = site.dial()?.get("/")?;
            let dates = answer.values("date");
            ensure!(dates.len() == 1, "`date` is {dates:?} in place of one value");
            ensure!(is_fixdate(dates[0]), "`date` is {:?}, which is no IMF-fixdate", dates[0]);
            Ok(())
        }),
        port("the application's", "test_wsgiref: IntegrationTests.test_plain_hello", |scene| {
            const THEN: &str = "Mon, 05 Jun 2006 18:49:54 GMT";
            let answer = with_fields(scene, || {
                HeaderMap::from_iter([(DATE, HeaderValue::from_static(THEN))])
            })?;
            answer.must_have("date", THEN)
        }),
    ],
};

/// `Sun, 06 Nov 1994 08:49:37 GMT`, as RFC 9110 §5.6.7 has it.
fn is_fixdate(date: &str) -> bool {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    DAYS.iter().any(|day| {
        MONTHS.iter().any(|month| shape == format!("{day}, 00 {month} 0000 00:00:00 GMT"))
    })
}

const SERVER_IS_THERE_ONCE: ServerRule = ServerRule {
    rule: should(
        "SRV-41",
        Topic::StartResponse,
        "A server SHOULD send its software as Server where the application sets none, and MUST NOT \
         add a second one.",
        "RFC 9110 §10.2.4; test_wsgiref: HandlerTests.testHeaderFormats",
        "Add a Server where the head has none, and only there; an operator may switch that off.",
    ),
    name: "server_is_there_once",
    needs: &[],
    cases: &[
        port("the server's", "test_wsgiref: HandlerTests.testHeaderFormats", |scene| {
            if !scene.has(Feature::OwnFields) {
                return Ok(());
            }
            let site = scene
                .serve(|_| super::apps::telling(|environ| environ.server().software.to_string()))?;
            let answer = site.dial()?.get("/")?;
            answer.must_have("server", &answer.text())
        }),
        case("the application's", |scene| {
            let answer = with_fields(scene, || {
                HeaderMap::from_iter([(SERVER, HeaderValue::from_static("mine/1"))])
            })?;
            answer.must_have("server", "mine/1")
        }),
    ],
};

const HOP_BY_HOP_IS_REMOVED: ServerRule = ServerRule {
    rule: must(
        "SRV-42",
        Topic::StartResponse,
        "A server MUST NOT let an application set what belongs to the connection: \
         Transfer-Encoding, Keep-Alive, TE, Proxy-Connection, an Upgrade without meaning, or \
         options of Connection other than `close`.",
        "PEP 3333, Other HTTP Features: hop-by-hop; RFC 9110 §7.6.1; test_wsgiref: \
         UtilityTests.testHopByHop",
        "Remove the fields before the head is sent, and log that.",
    ),
    name: "hop_by_hop_is_removed",
    needs: &[],
    cases: &[port("each of them", "test_wsgiref: UtilityTests.testHopByHop", |scene| {
        const FIELDS: [(&str, &str); 5] = [
            ("transfer-encoding", "gzip"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("proxy-connection", "keep-alive"),
            ("upgrade", "echo"),
        ];
        let answer = with_fields(scene, || {
            let mut headers = HeaderMap::new();
            for (name, value) in FIELDS {
                headers.insert(name, HeaderValue::from_static(value));
            }
            headers.insert(CONNECTION, HeaderValue::from_static("x-mine, upgrade"));
            headers
        })?;
        answer.must_have("content-length", "2")?;
        for (name, _) in FIELDS {
            answer.must_lack(name)?;
        }
        let mine = answer.options().any(|option| option != "close" && option != "keep-alive");
        ensure!(!mine, "`connection` is {:?}", answer.values("connection"));
        Ok(())
    })],
};

const CLOSE_IS_HONOURED: ServerRule = ServerRule {
    rule: must(
        "SRV-43",
        Topic::Connection,
        "A server MUST send `Connection: close` and end the connection behind the response where \
         the application sets it.",
        "RFC 9112 §9.6",
        "Look for the option in the head before the connection is used again.",
    ),
    name: "close_by_the_application_is_honoured",
    needs: &[Feature::KeepAlive],
    cases: &[case("with a request that waits behind", |scene| {
        let site = scene.serve(|_| {
            inline(|_, start_response| {
                let mut response = text(start_response, "hello");
                let close = HeaderValue::from_static("close");
                response.head_mut()?.headers.insert(CONNECTION, close);
                Ok(response)
            })
        })?;
        let mut peer = site.dial()?;
        peer.ask("/1");
        peer.ask("/2");
        let answer = peer.answer()?;
        answer.must_say("hello")?;
        ensure!(answer.closes(), "`connection` is {:?}", answer.values("connection"));
        peer.ends().map(drop)
    })],
};

const NOTHING_IS_INJECTED: ServerRule = ServerRule {
    rule: must(
        "SRV-44",
        Topic::StartResponse,
        "A server MUST NOT let data of a request or of a body become lines of a head: CR, LF and \
         NUL reach neither the status line nor a field.",
        "RFC 9110 §5.5; RFC 9112 §11.1; Rack: header values have no control characters; \
         test_wsgiref: HandlerTests.testRaisesControlCharacters",
        "Write a head only from checked types, never from text that was put together.",
    ),
    name: "nothing_is_injected_into_a_head",
    needs: &[],
    cases: &[
        port(
            "a body that looks like a head",
            "Plack::Test::Suite: CRLF output and FCGI parse bug",
            |scene| {
                let site = scene.serve(|_| saying("Foo: Bar\r\n\r\nHello World"))?;
                let answer = site.dial()?.get("/")?;
                answer.must_lack("foo")?;
                answer.must_say("Foo: Bar\r\n\r\nHello World")
            },
        ),
        port("a body with newlines", "Plack::Test::Suite: newlines", |scene| {
            let site = scene.serve(|_| saying("Bar\nBaz"))?;
            site.dial()?.get("/")?.must_say("Bar\nBaz")
        }),
        port(
            "a decoded path in a field",
            "test_wsgiref: HandlerTests.testRaisesControlCharacters",
            |scene| {
                let answer = reflecting(scene, |environ, response| {
                    let value = HeaderValue::from_bytes(&environ.path_info_bytes())?;
                    response.head_mut()?.headers.insert("x-path", value);
                    Ok(())
                })?;
                answer.must_be(500)
            },
        ),
        case("a decoded path in the reason phrase", |scene| {
            let answer = reflecting(scene, |environ, response| {
                let phrase = environ.path_info_bytes().into_owned();
                response.head_mut()?.reason = Some(ReasonPhrase::new(phrase)?);
                Ok(())
            })?;
            answer.must_be(500)
        }),
        case("a decoded path in an error", |scene| {
            let answer = reflecting(scene, |environ, _| {
                Err(gateway_core::Error::with_status(StatusCode::FORBIDDEN, environ.path_info()))
            })?;
            answer.must_be(403)
        }),
    ],
};

/// The answer to a path with an injected field, of an application that does something with it.
fn reflecting(
    scene: &Scene<'_>,
    reflect: fn(&Environ, &mut gateway_core::Response) -> Result<()>,
) -> Result<super::answer::Answer, super::scene::Trouble> {
    let site = scene.serve(|_| {
        inline(move |environ, start_response| {
            let mut response = text(start_response, Body::Empty);
            reflect(&environ, &mut response)?;
            Ok(response)
        })
    })?;
    let answer = site.dial()?.get("/x%0D%0AX-Injected:%20yes%00")?;
    answer.must_lack("x-injected")?;
    Ok(answer)
}
