//! Rules about paths, their encoding, and mounting.

use gateway_core::http::StatusCode;
use gateway_core::{Application, Environ, Mount, MountBuilder, inline};

use super::apps::telling;
use super::claims::Feature;
use super::scene::{Checked, Scene, Trouble, ensure};
use super::server_test::{ServerRule, case, must, port};
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] =
    &[RAW_TARGET, PATH_IS_DECODED_ONCE, QUERY_IS_RAW, OTHER_FORMS, MOUNTING];

/// What an application tells of a request for `target`.
fn tells(
    scene: &Scene<'_>,
    target: &str,
    tell: fn(&mut Environ) -> String,
    expected: &str,
) -> Checked {
    let site = scene.serve(|_| telling(tell))?;
    site.dial()?.get(target)?.must_say(expected)
}

const RAW_TARGET: ServerRule = ServerRule {
    rule: must(
        "SRV-113",
        Topic::Paths,
        "A server MUST give the application the request target and the path as they came, neither \
         decoded, nor with segments resolved, nor with slashes squeezed.",
        "RFC 9112 §3.2; PSGI: REQUEST_URI is raw and undecoded; Rack: URLMap does not squeeze \
         slashes",
        "Pass the target's bytes on.",
    ),
    name: "the_target_is_raw",
    needs: &[],
    cases: &[
        port("encoded", "Plack::Test::Suite: REQUEST_URI is set", |scene| {
            tells(
                scene,
                "/foo/bar%20baz%73?x=a",
                |environ| format!("{} {}", environ.raw_target(), environ.raw_path_info()),
                "/foo/bar%20baz%73?x=a /foo/bar%20baz%73",
            )
        }),
        case("dots and slashes", |scene| tells(scene, "/a/../b/./c//d/", path, "/a/../b/./c//d/")),
        port("repeated slashes", "Plack::Test::Suite: repeated slashes", |scene| {
            tells(scene, "//foo///bar/baz", var, "//foo///bar/baz")
        }),
        port("a URL in the path", "Rack: URLMap, not squeeze slashes", |scene| {
            tells(scene, "/http://example.org/bar", path, "/http://example.org/bar")
        }),
        case("an encoded slash", |scene| {
            tells(scene, "/a%2Fb", |environ| environ.raw_path_info().to_owned(), "/a%2Fb")
        }),
    ],
};

fn path(environ: &mut Environ) -> String {
    environ.path_info().into_owned()
}

const PATH_IS_DECODED_ONCE: ServerRule = ServerRule {
    rule: must(
        "SRV-114",
        Topic::Paths,
        "A server MUST NOT decode a path more than once: PATH_INFO is decoded, once, to the bytes \
         that it is, each one character of the variable.",
        "RFC 3875 §4.1.5; PEP 3333, Unicode Issues",
        "Give `Environ` the target undecoded.",
    ),
    name: "the_path_is_decoded_once",
    needs: &[],
    cases: &[
        port("an encoded comma", "Plack::Test::Suite: % encoding in PATH_INFO", |scene| {
            tells(scene, "/foo/bar%2cbaz", var, "/foo/bar,baz")
        }),
        port("an encoded %", "Plack::Test::Suite: % double encoding in PATH_INFO", |scene| {
            tells(scene, "/foo/bar%252cbaz", var, "/foo/bar%2cbaz")
        }),
        port("no UTF-8", "test_wsgiref: IntegrationTests.test_cp1252_url", |scene| {
            tells(
                scene,
                "/%80%80",
                |environ| {
                    let latin1 = environ.var("PATH_INFO").unwrap_or_default();
                    let bytes = environ.path_info_bytes().escape_ascii().to_string();
                    format!("{} {bytes}", latin1.escape_unicode())
                },
                "\\u{2f}\\u{80}\\u{80} /\\x80\\x80",
            )
        }),
        port(
            "UTF-8",
            "Plack::Test::Suite: % encoding in PATH_INFO (outside of URI characters)",
            |scene| {
                tells(
                    scene,
                    "/foo%E3%81%82",
                    |environ| {
                        let bytes = environ.path_info_bytes().escape_ascii().to_string();
                        format!("{} {bytes}", environ.path_info() == "/fooあ")
                    },
                    "true /foo\\xe3\\x81\\x82",
                )
            },
        ),
        case("a + is one", |scene| tells(scene, "/a+b", var, "/a+b")),
    ],
};

fn var(environ: &mut Environ) -> String {
    environ.var("PATH_INFO").unwrap_or_default().into_owned()
}

const QUERY_IS_RAW: ServerRule = ServerRule {
    rule: must(
        "SRV-115",
        Topic::Paths,
        "A server MUST give the application what stands behind the first `?` as it came, and tell \
         an empty query from none.",
        "RFC 3875 §4.1.7; PEP 3333, environ Variables: QUERY_STRING",
        "Pass the target's bytes on.",
    ),
    name: "the_query_is_raw",
    needs: &[],
    cases: &[
        port("a query", "Plack::Test::Suite: GET", |scene| {
            tells(scene, "/?name=miyagawa", query, "name=miyagawa name=miyagawa")
        }),
        case("encoded, with further ?", |scene| {
            tells(scene, "/a?b=%20+c?d", query, "b=%20+c?d b=%20+c?d")
        }),
        case("an empty one", |scene| tells(scene, "/a?", query, " ")),
        case("none", |scene| tells(scene, "/a%3Fb", query, "- ")),
    ],
};

fn query(environ: &mut Environ) -> String {
    let var = environ.var("QUERY_STRING").unwrap_or("not there".into());
    format!("{} {var}", environ.query_string().unwrap_or("-"))
}

const OTHER_FORMS: ServerRule = ServerRule {
    rule: must(
        "SRV-116",
        Topic::Paths,
        "A server MUST take targets in absolute-form and asterisk-form, and the path of the one \
         begins behind its authority.",
        "RFC 9112 §3.2.2 and §3.2.4",
        "Let all forms of a target through to `Environ::new`.",
    ),
    name: "other_forms_of_targets_are_taken",
    needs: &[],
    cases: &[
        port("absolute-form", "Rack: URLMap, dispatches hosts correctly", |scene| {
            let tell = |environ: &mut Environ| {
                format!(
                    "{} {:?} {}",
                    environ.path_info(),
                    environ.query_string(),
                    environ.raw_target()
                )
            };
            tells(
                scene,
                "http://foo.org/bar?a=b",
                tell,
                "/bar Some(\"a=b\") http://foo.org/bar?a=b",
            )
        }),
        case("asterisk-form", |scene| is_for_the_server(scene, "*")),
        case("asterisk-form by way of a proxy", |scene| {
            is_for_the_server(scene, "http://suite.test")
        }),
    ],
};

fn is_for_the_server(scene: &Scene<'_>, target: &str) -> Checked {
    let site = scene
        .serve(|_| telling(|environ| format!("{} {}", environ.method(), environ.path_info())))?;
    let options = format!("OPTIONS {target} HTTP/1.1\nHost: suite.test\n\n");
    site.dial()?.exchange(&options)?.must_say("OPTIONS *")
}

const MOUNTING: ServerRule = ServerRule {
    rule: must(
        "SRV-117",
        Topic::Paths,
        "A server MUST begin with an empty SCRIPT_NAME, so that a mounted application finds its \
         prefix in SCRIPT_NAME and the rest in PATH_INFO, and the two together are the path.",
        "PEP 3333, environ Variables: SCRIPT_NAME; Rack: URLMap",
        "Give `Environ` the whole target, and move nothing yourself.",
    ),
    name: "mounted_applications_find_their_place",
    needs: &[Feature::KeepAlive],
    cases: &[
        port("paths", "Rack: URLMap, dispatches paths correctly", |scene| {
            places(
                scene,
                || Mount::new().at("/foo", place("foo")).at("/foo/bar", place("bar")),
                &[
                    ("/", None),
                    ("/qux", None),
                    ("/foo", Some("foo|/foo|")),
                    ("/foo/", Some("foo|/foo|/")),
                    ("/foo/bar", Some("bar|/foo/bar|")),
                    ("/foo/bar/", Some("bar|/foo/bar|/")),
                    ("/foo/bar//quux", Some("bar|/foo/bar|//quux")),
                    // Unlike Rack, slashes are not squeezed to find a place.
                    ("/foo///bar//quux", Some("foo|/foo|///bar//quux")),
                    ("/foo/quux", Some("foo|/foo|/quux")),
                    ("/foobar", None),
                ],
            )
        }),
        port("nested", "Rack: URLMap, be nestable", |scene| {
            fn nested() -> MountBuilder {
                let at = |prefix: &str, app: Box<dyn Application>| -> Box<dyn Application> {
                    match Mount::new().at(prefix, app).build() {
                        Ok(mount) => Box::new(mount),
                        Err(_) => Box::new(place("not mounted")),
                    }
                };
                let inner = at("/bar", at("/quux", Box::new(place("quux"))));
                Mount::new().at("/foo", inner)
            }
            places(
                scene,
                nested,
                &[
                    ("/foo/bar", None),
                    ("/foo/bar/quux", Some("quux|/foo/bar/quux|")),
                    ("/foo/bar/quux/x", Some("quux|/foo/bar/quux|/x")),
                ],
            )
        }),
        port(
            "at the root",
            "Rack: URLMap, route root apps correctly; not squeeze slashes",
            |scene| {
                places(
                    scene,
                    || Mount::new().at("", place("root")).at("/foo", place("foo")),
                    &[
                        ("/foo/bar", Some("foo|/foo|/bar")),
                        ("/foo", Some("foo|/foo|")),
                        ("/bar", Some("root||/bar")),
                        ("/", Some("root||/")),
                        ("/http://example.org/bar", Some("root||/http://example.org/bar")),
                        ("http://example.org/foo/x", Some("foo|/foo|/x")),
                    ],
                )
            },
        ),
        case("encoded", |scene| {
            places(
                scene,
                || Mount::new().at("/a b", place("blank")).at("/a", place("a")),
                &[
                    ("/a%20b/c", Some("blank|/a b|/c")),
                    ("/%61/b", Some("a|/a|/b")),
                    ("/a%2Fb", None),
                ],
            )
        }),
        port(
            "by host, in any case",
            "Rack: URLMap, dispatches hosts correctly; not be case sensitive with hosts",
            by_host,
        ),
    ],
};

/// An application that tells its own name, and where it is mounted.
fn place(name: &'static str) -> impl Application {
    telling(move |environ| {
        let [script_name, path_info] =
            ["SCRIPT_NAME", "PATH_INFO"].map(|name| environ.var(name).unwrap_or("-".into()));
        format!("{name}|{script_name}|{path_info}")
    })
}

fn places(
    scene: &Scene<'_>,
    mount: fn() -> MountBuilder,
    expected: &[(&str, Option<&str>)],
) -> Checked {
    let mount = mount().build().map_err(|error| Trouble::new(error.to_string()))?;
    let site = scene.serve(|_| mount)?;
    let mut peer = site.dial()?;
    for (target, place) in expected {
        let answer = peer.get(target)?;
        match place {
            Some(place) => answer.must_say(place)?,
            None => ensure!(answer.status == 404, "{target} is {} in place of 404", answer.status),
        }
    }
    peer.finish()
}

/// Hosts are no affair of [`Mount`]; an application that chooses by them finds them in the environ.
fn by_host(scene: &Scene<'_>) -> Checked {
    let site = scene.serve(|_| {
        inline(|environ, start_response| {
            let host = environ.authority().unwrap_or_default().to_ascii_lowercase();
            let position = match host.as_str() {
                "foo.org" | "subdomain.foo.org" | "bar.org" => host,
                _ => "default.org".to_owned(),
            };
            Ok(start_response.start(StatusCode::OK, ()).with_body(position))
        })
    })?;
    let mut peer = site.dial()?;
    for (target, host, position) in [
        ("/", "bar.org", "bar.org"),
        ("/", "foo.org", "foo.org"),
        ("/", "FOO.ORG", "foo.org"),
        ("/", "subdomain.foo.org", "subdomain.foo.org"),
        ("http://foo.org/", "bar.org", "foo.org"),
        ("/", "example.org", "default.org"),
        ("/", "example.org:9292", "default.org"),
    ] {
        let answer = peer.exchange(&format!("GET {target} HTTP/1.1\nHost: {host}\n\n"))?;
        answer.must_say(position)?;
    }
    let forwarded = "GET / HTTP/1.1\nHost: any.org\nX-Forwarded-Host: foo.org\n\n";
    peer.exchange(forwarded)?.must_say("default.org")?;
    peer.finish()
}
