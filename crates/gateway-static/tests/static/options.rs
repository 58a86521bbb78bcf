use gateway_core::http::Method;
use gateway_static::{StaticError, StaticFiles};

use crate::exchange::{get, head};
use crate::tree::Tree;

fn tree() -> Tree {
    let tree = Tree::new(&[
        ("index.html", b"index"),
        ("home.htm", b"home"),
        ("404.html", b"<h1>nothing here</h1>"),
        ("assets/app.js", b"js"),
        ("assets-too.js", b"js"),
        ("sub/a.txt", b"a"),
    ]);
    tree.write("../outside.txt", b"outside");
    tree
}

#[test]
fn index_files_can_be_others_or_none() {
    let tree = tree();
    let with = |names: &[&str]| {
        let names = names.iter().copied();
        tree.builder().index_files(names).build().expect("it can be served")
    };
    assert_eq!(get("/").on(&with(&["default.htm", "home.htm", "index.html"])).text(), "home");
    assert_eq!(get("/").on(&with(&["sub", "index.html"])).text(), "index");
    assert_eq!(get("/").on(&with(&[])).status, 404);
}

#[test]
fn a_spa_answers_for_paths_without_a_file() {
    let tree = tree();
    let app = tree.builder().spa_fallback("index.html").cache_control("no-cache").build();
    let app = app.expect("it can be served");
    let page = "text/html,application/xhtml+xml,*/*;q=0.8";
    for (target, accept, status) in [
        ("/users/1", page, 200),
        ("/users/", page, 200),
        ("/sub/", page, 200),
        ("/users/1", "*/*", 200),
        ("/users/1", "application/json", 404),
        ("/users/1", "text/html;q=0", 404),
        ("/assets/missing.js", page, 404),
        ("/../users", page, 404),
        ("/a%00", page, 404),
        ("/.git", page, 404),
    ] {
        let answer = get(target).with("accept", accept).on(&app);
        assert_eq!(answer.status, status, "{target} {accept}");
        let is_refused = ["/..", "/a%00", "/.git"].iter().any(|start| target.starts_with(start));
        assert_eq!(answer.field("vary"), if is_refused { "" } else { "accept" }, "{target}");
        if status == 200 {
            assert_eq!(answer.text(), "index", "{target}");
            assert_eq!(answer.field("content-type"), "text/html; charset=utf-8");
            assert_eq!(answer.field("cache-control"), "no-cache");
        }
    }
    let again = get("/users/1").with("if-none-match", "*").on(&app);
    assert_eq!(again.status, 304);
    assert_eq!(get("/sub/a.txt").on(&app).text(), "a");
}

#[test]
fn a_page_can_say_that_nothing_is_there() {
    let tree = tree();
    let app = tree.builder().not_found_page("/404.html").cache_control("max-age=60").build();
    let app = app.expect("it can be served");
    for target in ["/missing", "/..", "/sub/", "/a%2Fb"] {
        let answer = get(target).with("if-none-match", "*").with("range", "bytes=0-1").on(&app);
        assert_eq!((answer.status.as_u16(), answer.text()), (404, "<h1>nothing here</h1>"));
        assert_eq!(answer.field("content-type"), "text/html; charset=utf-8");
        assert!(!answer.has("etag") && !answer.has("cache-control"), "{target}");
    }
    assert_eq!(head("/missing").on(&app).length, Some(21));
    std::fs::remove_file(tree.at("404.html")).expect("it can be removed");
    assert_eq!(get("/missing").on(&app).text(), "404 Not Found\n");
}

#[test]
fn the_longest_prefix_decides_how_long_a_cache_keeps() {
    let tree = tree();
    let app = tree
        .builder()
        .cache_control("no-cache")
        .cache_control_under("/assets", "max-age=31536000, immutable")
        .cache_control_under("/sub/a.txt", "no-store")
        .build()
        .expect("it can be served");
    for (target, value) in [
        ("/", "no-cache"),
        ("/assets/app.js", "max-age=31536000, immutable"),
        ("/assets-too.js", "no-cache"),
        ("/sub/a.txt", "no-store"),
        ("/missing", ""),
        ("/sub", ""),
    ] {
        assert_eq!(get(target).on(&app).field("cache-control"), value, "{target}");
    }
}

#[test]
fn any_origin_may_read_where_that_was_said() {
    let tree = tree();
    let app = tree.builder().cors_any_origin().build().expect("it can be served");
    for target in ["/", "/missing", "/sub"] {
        let answer = get(target).with("origin", "https://a.example").on(&app);
        assert_eq!(answer.field("access-control-allow-origin"), "*", "{target}");
        assert!(answer.field("access-control-expose-headers").contains("content-range"));
        assert!(!answer.has("vary"), "{target}");
    }
    let preflight = get("/")
        .method(Method::OPTIONS)
        .with("origin", "https://a.example")
        .with("access-control-request-method", "GET")
        .with("access-control-request-headers", "range")
        .on(&app);
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.field("access-control-allow-methods"), "GET, HEAD");
    assert!(preflight.field("access-control-allow-headers").contains("range"));
    assert_eq!(preflight.field("access-control-max-age"), "86400");
    assert!(!get("/").with("origin", "https://a.example").on(&tree.app()).has("vary"));
}

#[test]
fn only_listed_origins_may_read_where_they_are_listed() {
    let tree = tree();
    let origins = ["https://a.example", "http://localhost:3000"];
    let app = tree.builder().cors_origins(origins).precompressed(true).build();
    let app = app.expect("it can be served");
    for (origin, allowed) in [
        ("https://a.example", "https://a.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://a.example.evil.example", ""),
        ("https://b.example", ""),
        ("null", ""),
    ] {
        let answer = get("/").with("origin", origin).on(&app);
        assert_eq!(answer.field("access-control-allow-origin"), allowed, "{origin}");
        assert_eq!(answer.fields("vary"), "accept-encoding, origin", "{origin}");
    }
    assert_eq!(get("/").on(&app).fields("vary"), "accept-encoding, origin");
}

#[test]
fn the_charset_can_be_another_or_none() {
    let tree = tree();
    let latin = tree.builder().charset("iso-8859-1").build().expect("it can be served");
    assert_eq!(get("/").on(&latin).field("content-type"), "text/html; charset=iso-8859-1");
    let none = tree.builder().without_charset().build().expect("it can be served");
    assert_eq!(get("/").on(&none).field("content-type"), "text/html");
}

#[test]
fn ranges_can_be_turned_off() {
    let tree = tree();
    let app = tree.builder().max_ranges(0).build().expect("it can be served");
    let answer = get("/").with("range", "bytes=0-1").on(&app);
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "index"));
    assert!(!answer.has("accept-ranges"));
}

#[test]
fn links_may_leave_the_root_where_that_was_said() {
    let tree = tree();
    tree.link("out", "../outside.txt");
    tree.link("absolute", tree.at("../outside.txt"));
    let app = tree.builder().follow_symlinks(true).build().expect("it can be served");
    assert_eq!(get("/out").on(&app).text(), "outside");
    assert_eq!(get("/absolute").on(&app).text(), "outside");
    assert_eq!(get("/../outside.txt").on(&app).status, 404);
}

#[test]
fn the_root_stays_the_directory_that_was_opened() {
    let tree = tree();
    let app = tree.app();
    std::fs::rename(tree.root(), tree.at("../moved")).expect("it can be renamed");
    std::fs::create_dir(tree.root()).expect("it can be made");
    assert_eq!(get("/").on(&app).text(), "index");
}

#[test]
fn what_cannot_be_served_is_said_with_a_hint() {
    let tree = tree();
    let root = tree.root();
    let root = root.to_str().expect("it is text");
    let refused = |result: Result<StaticFiles, StaticError>, expected: String| {
        assert_eq!(result.expect_err("it is refused").to_string(), expected);
    };
    refused(
        StaticFiles::new(format!("{root}/no")).build(),
        format!("cannot serve `{root}/no`: there is no such directory"),
    );
    refused(
        StaticFiles::new(format!("{root}/index.html")).build(),
        format!(
            "cannot serve `{root}/index.html`: it is not a directory; name the one that holds the files"
        ),
    );
    for (page, hint) in [
        ("no.html", ": there is no such file"),
        ("sub", ": it is a directory; name a file in it"),
        ("../outside.txt", ": it is outside of the root"),
    ] {
        let expected = format!("the page `{page}` of `spa_fallback` cannot be sent{hint}");
        refused(tree.builder().spa_fallback(page).build(), expected);
        let expected = format!("the page `{page}` of `not_found_page` cannot be sent{hint}");
        refused(tree.builder().not_found_page(page).build(), expected);
    }
    for (builder, expected) in [
        (
            tree.builder().index_files(["a/b"]),
            "the setting `index_files` is refused: `a/b` is no name of a file",
        ),
        (
            tree.builder().cache_control("a\nb"),
            "the setting `cache_control` is refused: \"a\\nb\" cannot be the value of a field",
        ),
        (
            tree.builder().cache_control_under("assets/", "no-cache"),
            "the setting `cache_control_under` is refused: the prefix `assets/` must begin with \
             `/` and not end with it, like /assets",
        ),
        (
            tree.builder().cors_origins(["a.example"]),
            "the setting `cors_origins` is refused: `a.example` is no origin; write it like \
             https://app.example",
        ),
        (
            tree.builder().charset("utf 8"),
            "the setting `charset` is refused: `utf 8` is no charset; write its name, like utf-8",
        ),
    ] {
        refused(builder.build(), expected.to_owned());
    }
}
