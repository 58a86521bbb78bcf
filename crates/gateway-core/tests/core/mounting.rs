//! Applications under prefixes.

use gateway_core::bytes::Bytes;
use gateway_core::http::{Method, StatusCode};
use gateway_core::{
    Application, Environ, IntoApplication, Mount, MountError, Response, Result, StartResponse,
    inline,
};
use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use crate::exchange::Request;

/// Answers `name`, its place and the path it was asked for, raw and decoded.
fn named(name: &'static str) -> impl Application {
    inline(move |environ, start_response| {
        let text = format!(
            "{name} {} {} {} {}",
            environ.raw_script_name(),
            environ.raw_path_info(),
            environ.script_name(),
            environ.path_info()
        );
        Ok(start_response.start(StatusCode::OK, ()).with_body(text))
    })
}

#[track_caller]
fn check(app: &dyn Application, target: &'static str, expected: &str) {
    assert_eq!(Request::get(target).call(app).body, expected, "{target}");
}

#[test]
fn the_longest_prefix_wins_in_whatever_order() {
    let orders = [
        Mount::new().at("", named("root")).at("/a", named("a")).at("/a/b", named("ab")),
        Mount::new().at("/a/b", named("ab")).at("/a", named("a")).at("", named("root")),
    ];
    for builder in orders {
        let app = builder.build().unwrap();
        check(&app, "/a/b/c", "ab /a/b /c /a/b /c");
        check(&app, "/a/b", "ab /a/b  /a/b ");
        check(&app, "/a/bc", "a /a /bc /a /bc");
        check(&app, "/a/", "a /a / /a /");
        check(&app, "/ab", "root  /ab  /ab");
        check(&app, "/", "root  /  /");
    }
}

#[test]
fn segments_compare_decoded_and_only_a_raw_slash_separates() {
    let app = Mount::new()
        .at("", named("root"))
        .at("/blog", named("blog"))
        .at("/a/b", named("ab"))
        .at("/é", named("accent"))
        .build()
        .unwrap();
    check(&app, "/bl%6Fg/1", "blog /bl%6Fg /1 /blog /1");
    check(&app, "/a%2Fb/c", "root  /a%2Fb/c  /a/b/c");
    check(&app, "/a/b%2Fc", "root  /a/b%2Fc  /a/b/c");
    check(&app, "/%c3%a9/x", "accent /%c3%a9 /x /é /x");
    check(&app, "/a//b", "root  /a//b  /a//b");
}

#[test]
fn mounts_nest() {
    let inner = Mount::new().at("/users", named("users")).at("", named("index")).build().unwrap();
    let middle = Mount::new().at("/v1", inner).build().unwrap();
    let app = Mount::new().at("/api", middle).build().unwrap();
    check(&app, "/api/v1/us%65rs/7?q", "users /api/v1/us%65rs /7 /api/v1/users /7");
    check(&app, "/api/v1", "index /api/v1  /api/v1 ");
    assert_eq!(Request::get("/api/v2").call(&app).status, StatusCode::NOT_FOUND);
}

#[test]
fn an_absolute_form_is_mounted_by_its_path() {
    let app = Mount::new().at("/a", named("a")).at("", named("root")).build().unwrap();
    check(&app, "http://a.test/a/x?q", "a /a /x /a /x");
    check(&app, "http://a.test/b", "root  /b  /b");
    check(&app, "http://a.test", "root  /  /");
    check(&app, "http://a.test?q", "root  /  /");
}

#[test]
fn the_server_as_a_whole_is_under_no_prefix() {
    let app = Mount::new().at("/a", named("a")).at("", named("root")).build().unwrap();
    let answer = Request::get("*").method(Method::OPTIONS).call(&app);
    assert_eq!(answer.body, "root  *  *");
    let answer = Request::get("http://a.test").method(Method::OPTIONS).call(&app);
    assert_eq!(answer.body, "root  *  *");
}

/// The `/` that stands for no path is not in the target, so nothing can be moved over it.
#[test]
fn a_path_that_is_not_there_is_entered_by_the_empty_prefix_alone() {
    for target in ["http://a.test", "http://a.test?q", "http://a.test/"] {
        let (mut environ, _) = Request::get(target).environ();
        for prefix in ["/", "//", "/a", "a", "/a/b"] {
            assert!(!environ.enter(prefix), "{prefix} of {target}");
        }
        for _ in 0..2 {
            assert!(environ.enter(""));
            assert_eq!((environ.raw_script_name(), environ.raw_path_info()), ("", "/"));
        }
        assert_eq!(environ.raw_target(), target);
    }
    // Where a mount took the whole path, nothing is left that could mean the root.
    let (mut environ, _) = Request::get("http://a.test/a").environ();
    assert!(environ.enter("/a"));
    assert_eq!((environ.raw_script_name(), environ.raw_path_info()), ("/a", ""));
}

#[test]
fn where_nothing_is_mounted_the_answer_is_404() {
    fn app(_: Environ, _: StartResponse) -> Result<Response> {
        unreachable!("nobody asks for it")
    }
    let app = Mount::new().at("/a", app).build().unwrap();
    for target in ["/", "/ab", "/A", "", "*"] {
        let answer = Request::get(target).call(&app);
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{target}");
    }
}

#[test]
fn prefixes_that_make_no_sense_are_refused() {
    let build = |prefix: &str| {
        let app = Mount::new().at(prefix, named("it")).build();
        app.map(drop).unwrap_err()
    };
    let prefix = |text: &str| text.to_owned();
    assert_eq!(build("a"), MountError::NoSlash { prefix: prefix("a") });
    assert_eq!(build("/"), MountError::TrailingSlash { prefix: prefix("/") });
    assert_eq!(build("/a/"), MountError::TrailingSlash { prefix: prefix("/a/") });
    let twice = Mount::new().at("/a", named("1")).at("/b", named("2")).at("/a", named("3"));
    assert_eq!(twice.build().map(drop), Err(MountError::Twice { prefix: prefix("/a") }));
}

#[test]
fn different_kinds_of_applications_stand_side_by_side() {
    async fn later(_: Environ, start_response: StartResponse) -> Result<Response> {
        Ok(start_response.start(StatusCode::OK, ()).with_body("later"))
    }
    fn now(_: Environ, start_response: StartResponse) -> Result<Response> {
        Ok(start_response.start(StatusCode::OK, ()).with_body("now"))
    }
    let app = Mount::new().at("/now", now).at("/later", later).at("/boxed", now.boxed());
    let app = app.build().unwrap();
    check(&app, "/now", "now");
    check(&app, "/later", "later");
    check(&app, "/boxed", "now");
}

/// A raw segment: what stands between two slashes.
fn segment() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-z0-9.~+;=@:-]",
        1 => Just("%2F".to_owned()),
        1 => Just("%41".to_owned()),
        1 => Just("%c3%a9".to_owned()),
        1 => Just("%".to_owned()),
        1 => Just("%00".to_owned()),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

/// A start of a target, its raw path by segments, and the rest.
fn target() -> impl Strategy<Value = (&'static str, Vec<String>, &'static str)> {
    let start = prop_oneof![Just(""), Just("http://a.test"), Just("https://[::1]:8000")];
    let end = prop_oneof![Just(""), Just("?"), Just("?a=/b/c%2F?")];
    (start, prop::collection::vec(segment(), 1..5), end)
}

proptest! {
    #[test]
    fn entering_moves_the_split_and_nothing_else(
        (start, segments, end) in target(),
        depth in 0usize..5,
        again in segment(),
    ) {
        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        let raw = format!("{start}{path}{end}");
        let (mut environ, _) = Request::to(Bytes::from(raw.clone())).environ();

        let depth = depth.min(segments.len());
        let entered: String = segments[..depth].iter().map(|segment| format!("/{segment}")).collect();
        let decoded: Option<Vec<String>> = segments[..depth]
            .iter()
            .map(|segment| Some(percent_decode_str(segment).decode_utf8().ok()?.into_owned()))
            .collect();
        // A decoded slash would separate in a prefix, and no prefix ends with an empty segment.
        let prefix: Option<String> = decoded
            .filter(|all| all.iter().all(|segment| !segment.contains('/')))
            .filter(|all| all.last().is_none_or(|last| !last.is_empty()))
            .map(|all| all.iter().map(|segment| format!("/{segment}")).collect());

        if let Some(prefix) = prefix {
            prop_assert!(environ.enter(&prefix));
            prop_assert_eq!(environ.raw_script_name(), &entered);
        }
        let before = environ.raw_script_name().to_owned();
        environ.enter(&format!("/{again}"));
        environ.enter(&again);

        prop_assert!(environ.raw_script_name().starts_with(&before));
        prop_assert_eq!(environ.raw_target(), &raw);
        let whole = format!("{}{}", environ.raw_script_name(), environ.raw_path_info());
        prop_assert_eq!(&whole, &path);
        // The path info begins a segment, or is at the end.
        prop_assert!(environ.raw_path_info().is_empty() || environ.raw_path_info().starts_with('/'));
        prop_assert!(!environ.raw_script_name().ends_with('/'));
    }

    #[test]
    fn any_target_and_prefix_can_be_asked_for(raw in any::<Vec<u8>>(), prefix in any::<String>()) {
        let (mut environ, _) = Request::to(Bytes::from(raw)).environ();
        let target = environ.raw_target().to_owned();
        environ.enter(&prefix);
        environ.enter("/a");
        prop_assert_eq!(environ.raw_target(), target);
        let _ = (environ.script_name(), environ.path_info(), environ.query_string(), environ.authority());
    }
}
