use gateway_core::http::Method;

use crate::exchange::{get, head};
use crate::tree::{MODIFIED_TEXT, Tree};

fn tree() -> Tree {
    Tree::new(&[
        ("index.html", b"<h1>root</h1>"),
        ("a.txt", b"0123456789"),
        ("empty.txt", b""),
        ("sub/index.html", b"<h1>sub</h1>"),
        ("sub/b.txt", b"bbb"),
        ("bare/c.txt", b"ccc"),
        ("sp ace.txt", b"space"),
        ("100%.txt", b"percent"),
        ("q?#&.txt", b"odd"),
        ("caf\u{e9}.txt", b"cafe"),
        ("back\\slash.txt", b"back"),
        ("a..b", b"dots"),
    ])
}

#[test]
fn files_come_with_what_describes_them() {
    let tree = tree();
    let answer = get("/a.txt").on(&tree.app());
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "0123456789"));
    assert_eq!(answer.kind, "File");
    assert_eq!(answer.length, Some(10));
    assert_eq!(answer.field("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.field("last-modified"), MODIFIED_TEXT);
    assert_eq!(answer.field("accept-ranges"), "bytes");
    assert_eq!(answer.field("x-content-type-options"), "nosniff");
    let tag = answer.field("etag").trim_start_matches("W/");
    assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    assert!(!answer.has("vary") && !answer.has("cache-control"));
}

#[test]
fn paths_lead_to_files() {
    let tree = tree();
    let app = tree.app();
    for (path, status, body) in [
        ("/", 200, "<h1>root</h1>"),
        ("", 200, "<h1>root</h1>"),
        ("http://test.example", 200, "<h1>root</h1>"),
        ("http://test.example/a.txt", 200, "0123456789"),
        ("/?q=/../x", 200, "<h1>root</h1>"),
        ("/sub/", 200, "<h1>sub</h1>"),
        ("/sub/b.txt?v=1", 200, "bbb"),
        ("/empty.txt", 200, ""),
        ("/sp%20ace.txt", 200, "space"),
        ("/100%25.txt", 200, "percent"),
        ("/q%3F%23&.txt", 200, "odd"),
        ("/caf%C3%A9.txt", 200, "cafe"),
        ("/back%5Cslash.txt", 200, "back"),
        ("/a..b", 200, "dots"),
        ("/%61.txt", 200, "0123456789"),
        ("/missing", 404, "404 Not Found\n"),
        ("/a.txt/", 404, "404 Not Found\n"),
        ("/a.txt/x", 404, "404 Not Found\n"),
        ("/A.TXT", 404, "404 Not Found\n"),
        ("/bare/", 404, "404 Not Found\n"),
        ("/sub%2Fb.txt", 404, "404 Not Found\n"),
        ("//a.txt", 404, "404 Not Found\n"),
        ("/sub//b.txt", 404, "404 Not Found\n"),
        ("/sub/./b.txt", 404, "404 Not Found\n"),
        ("*", 404, "404 Not Found\n"),
        ("/%zz", 400, "400 Bad Request\n"),
        ("/a%", 400, "400 Bad Request\n"),
    ] {
        let answer = get(path).on(&app);
        assert_eq!((answer.status.as_u16(), answer.text()), (status, body), "{path}");
    }
    let long = format!("/{}", "a".repeat(5000));
    assert_eq!(get(long).on(&app).status, 404);
    let deep = "/a".repeat(3000);
    assert_eq!(get(deep).on(&app).status, 404);
}

#[test]
fn head_is_get_without_its_body() {
    let tree = tree();
    let app = tree.app();
    for path in ["/a.txt", "/", "/empty.txt", "/missing", "/sub"] {
        let (got, headed) = (get(path).on(&app), head(path).on(&app));
        assert_eq!(headed.status, got.status, "{path}");
        assert_eq!(headed.length, got.length, "{path}");
        assert_eq!(headed.headers, got.headers, "{path}");
        assert_eq!(headed.text(), "", "{path}");
    }
    // It is not taken for a body that was left out.
    assert_eq!(head("/empty.txt").on(&app).length, Some(0));
}

#[test]
fn other_methods_are_refused() {
    let tree = tree();
    let app = tree.app();
    for (method, status) in [
        ("POST", 405),
        ("PUT", 405),
        ("DELETE", 405),
        ("PATCH", 405),
        ("TRACE", 405),
        ("CONNECT", 405),
        ("PROPFIND", 501),
        ("get", 501),
    ] {
        let method = Method::from_bytes(method.as_bytes()).expect("it is one");
        let answer = get("/a.txt").method(method.clone()).on(&app);
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(answer.field("allow"), "GET, HEAD, OPTIONS", "{method}");
    }
    for target in ["/a.txt", "/missing", "*"] {
        let answer = get(target).method(Method::OPTIONS).on(&app);
        assert_eq!(answer.status, 204, "{target}");
        assert_eq!(answer.field("allow"), "GET, HEAD, OPTIONS", "{target}");
    }
}

#[test]
fn directories_want_their_slash() {
    let tree = tree();
    tree.write("dir with %/x", b"");
    tree.write("a:b/x", b"");
    let app = tree.app();
    for (prefix, target, location) in [
        ("", "/sub", "/sub/"),
        ("", "/sub?", "/sub/?"),
        ("", "/sub?hi=1&x=%2F", "/sub/?hi=1&x=%2F"),
        ("", "/sub?a=|{}^`\"[]\\&b='(!?/:@%zz", "/sub/?a=%7C%7B%7D%5E%60%22%5B%5D%5C&b='(!?/:@%zz"),
        ("", "/%73ub", "/sub/"),
        ("", "/dir%20with%20%25", "/dir%20with%20%25/"),
        ("", "/a:b", "/a:b/"),
        ("", "http://test.example/sub?q", "/sub/?q"),
        ("/files", "/files", "/files/"),
        ("/files", "/files?q", "/files/?q"),
        ("/files", "/files/sub", "/files/sub/"),
        ("/files/of mine", "/files/of%20mine/sub?q", "/files/of%20mine/sub/?q"),
    ] {
        let answer = get(target).under(prefix).on(&app);
        assert_eq!(answer.status, 301, "{target} under {prefix:?}");
        assert_eq!(answer.field("location"), location, "{target} under {prefix:?}");
    }
}

#[test]
fn a_redirect_never_leads_to_another_host() {
    let tree = tree();
    tree.write("\\evil.example/x", b"");
    tree.write("evil.example/x", b"");
    let app = tree.app();
    assert_eq!(get("/%5Cevil.example").on(&app).field("location"), "/%5Cevil.example/");
    for target in ["//evil.example", "//evil.example/..", "/%2Fevil.example", "///evil.example"] {
        let answer = get(target).on(&app);
        assert_eq!((answer.status.as_u16(), answer.field("location")), (404, ""), "{target}");
    }
    let answer = get("//evil.example/sub").under("//evil.example").on(&app);
    assert_eq!((answer.status.as_u16(), answer.field("location")), (404, ""));
}

#[test]
fn a_mounted_tree_is_the_same_tree() {
    let tree = tree();
    let app = tree.app();
    assert_eq!(get("/files/a.txt").under("/files").on(&app).text(), "0123456789");
    assert_eq!(get("/files/").under("/files").on(&app).text(), "<h1>root</h1>");
    assert_eq!(get("/files/../secret").under("/files").on(&app).status, 404);
}

#[test]
fn opening_files_is_left_to_a_worker_where_it_must_not_block() {
    let tree = tree();
    // Where links are followed the kernel is not asked to look at once.
    let app = tree.builder().follow_symlinks(true).build().expect("a directory");
    let answer = get("/a.txt").nonblocking().on(&app);
    assert!(answer.blocking);
    assert_eq!(answer.text(), "0123456789");
    assert!(!get("/a.txt").on(&app).blocking);
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_is_at_hand_needs_no_worker() {
    let tree = tree();
    let answer = get("/a.txt").nonblocking().on(&tree.app());
    assert!(!answer.blocking, "it was written just now");
    assert_eq!(answer.text(), "0123456789");
    let answer = get("/nothing").nonblocking().on(&tree.app());
    assert_eq!(answer.status, 404);
}

#[test]
fn entries_are_read_by_a_worker_where_it_must_not_block() {
    let tree = tree();
    let app = tree.builder().listing(true).build().expect("a directory");
    let answer = get("/bare/").nonblocking().on(&app);
    assert!(answer.blocking);
    assert_eq!(answer.text(), get("/bare/").on(&app).text());
}

#[test]
fn names_that_are_no_text_are_served() {
    use std::os::unix::ffi::OsStrExt;
    let tree = tree();
    let name = std::ffi::OsStr::from_bytes(b"\xff\xfe\n.txt");
    std::fs::write(tree.at(name), "bytes").expect("it can be written");
    assert_eq!(get("/%FF%FE%0A.txt").on(&tree.app()).text(), "bytes");
}

#[test]
fn a_file_without_permission_is_forbidden() {
    use std::os::unix::fs::PermissionsExt;
    let tree = tree();
    let locked = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(tree.at("a.txt"), locked).expect("it can be locked");
    // Root may read everything, and then there is nothing to see.
    if std::fs::File::open(tree.at("a.txt")).is_err() {
        assert_eq!(get("/a.txt").on(&tree.app()).status, 403);
    }
}
