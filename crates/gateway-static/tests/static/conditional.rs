use crate::exchange::{get, head};
use crate::tree::{MODIFIED_TEXT, Tree, strong_tag};

const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

/// `$` stands for the file's tag, strong.
#[test]
fn preconditions_are_evaluated_in_order() {
    let tree = Tree::new(&[("a.txt", b"0123456789")]);
    let app = tree.app();
    let tag = strong_tag(&app, "/a.txt");
    for (fields, status) in [
        (&[("if-match", "*")][..], 200),
        (&[("if-match", "$")], 200),
        (&[("if-match", "\"x\", $")], 200),
        (&[("if-match", "\"x\"")], 412),
        (&[("if-match", "W/$")], 412),
        (&[("if-match", "junk")], 412),
        (&[("if-match", "")], 412),
        (&[("if-match", "\"x\""), ("if-match", "$")], 200),
        (&[("if-unmodified-since", MODIFIED_TEXT)], 200),
        (&[("if-unmodified-since", AFTER)], 200),
        (&[("if-unmodified-since", BEFORE)], 412),
        (&[("if-unmodified-since", "junk")], 200),
        (&[("if-match", "$"), ("if-unmodified-since", BEFORE)], 200),
        (&[("if-match", "\"x\""), ("if-unmodified-since", AFTER)], 412),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "$")], 304),
        (&[("if-none-match", "W/$")], 304),
        (&[("if-none-match", "\"x,y\", W/\"z\" , $")], 304),
        (&[("if-none-match", "\"x\"")], 200),
        (&[("if-none-match", "junk")], 200),
        (&[("if-none-match", "\"x\""), ("if-none-match", "$")], 304),
        (&[("if-modified-since", MODIFIED_TEXT)], 304),
        (&[("if-modified-since", AFTER)], 304),
        (&[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")], 304),
        (&[("if-modified-since", "Sun Nov  6 08:49:37 1994")], 304),
        (&[("if-modified-since", BEFORE)], 200),
        (&[("if-modified-since", "junk")], 200),
        (&[("if-modified-since", "")], 200),
        (&[("if-modified-since", "1994-11-06T08:49:37Z")], 200),
        (&[("if-modified-since", AFTER), ("if-modified-since", AFTER)], 200),
        (&[("if-none-match", "\"x\""), ("if-modified-since", AFTER)], 200),
        (&[("if-none-match", "$"), ("if-modified-since", BEFORE)], 304),
        (&[("if-match", "$"), ("if-none-match", "$")], 304),
        (&[("if-match", "\"x\""), ("if-none-match", "$")], 412),
        (&[("if-unmodified-since", BEFORE), ("if-modified-since", AFTER)], 412),
        (&[("if-match", "\"x\""), ("range", "bytes=0-1")], 412),
        (&[("if-none-match", "$"), ("range", "bytes=0-1")], 304),
        (&[("if-none-match", "$"), ("range", "bytes=99-")], 304),
        (&[("if-match", "$"), ("range", "bytes=0-1")], 206),
    ] {
        let mut requests = [get("/a.txt"), head("/a.txt")];
        for (name, value) in fields {
            requests = requests.map(|request| request.with(name, &value.replace('$', &tag)));
        }
        let [got, headed] = requests.map(|request| request.on(&app));
        assert_eq!(got.status, status, "{fields:?}");
        // A range means nothing with HEAD.
        let expected = if status == 206 { 200 } else { status };
        assert_eq!(headed.status, expected, "HEAD with {fields:?}");
    }
}

#[test]
fn a_304_has_what_a_cache_needs_and_no_more() {
    let tree = Tree::new(&[("a.txt", b"0123456789")]);
    let app = tree.builder().cache_control("max-age=60").precompressed(true).build();
    let app = app.expect("it can be served");
    let whole = get("/a.txt").on(&app);
    let answer = get("/a.txt").with("if-none-match", "*").on(&app);
    assert_eq!((answer.status.as_u16(), answer.text()), (304, ""));
    for name in ["cache-control", "vary"] {
        assert_eq!(answer.field(name), whole.field(name), "{name}");
        assert!(answer.has(name), "{name}");
    }
    assert!(answer.has("etag"));
    for name in ["content-type", "last-modified", "content-length"] {
        assert!(!answer.has(name), "{name}");
    }
}

#[test]
fn preconditions_mean_nothing_without_a_file() {
    let tree = Tree::new(&[("sub/a.txt", b"")]);
    let app = tree.app();
    for (target, status) in [("/missing", 404), ("/sub", 301), ("/sub/", 404)] {
        for (name, value) in [("if-match", "\"x\""), ("if-none-match", "*")] {
            assert_eq!(get(target).with(name, value).on(&app).status, status, "{target} {name}");
        }
    }
}

#[test]
fn a_file_written_anew_has_another_tag() {
    let tree = Tree::new(&[("a.txt", b"0123456789")]);
    let app = tree.app();
    let before = strong_tag(&app, "/a.txt");
    // The same size and the same time of modification.
    tree.write("a.txt", b"9876543210");
    let after = get("/a.txt").on(&app);
    assert_eq!(after.field("last-modified"), MODIFIED_TEXT);
    assert_ne!(after.field("etag").trim_start_matches("W/"), before);
}
