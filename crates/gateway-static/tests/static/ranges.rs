use crate::exchange::{Answer, get, head};
use crate::tree::{MODIFIED_TEXT, Tree, strong_tag};

fn tree() -> Tree {
    let content: Vec<u8> = (b'0'..=b'9').cycle().take(1000).collect();
    Tree::new(&[("a.txt", &content), ("empty.txt", b""), ("p.html", &content)])
}

#[test]
fn one_range_is_a_part_of_the_file() {
    let tree = tree();
    let app = tree.app();
    for (field, range, body) in [
        ("bytes=0-8", "bytes 0-8/1000", "012345678"),
        ("bytes=995-", "bytes 995-999/1000", "56789"),
        ("bytes=-3", "bytes 997-999/1000", "789"),
        ("bytes=998-99999999999999999999", "bytes 998-999/1000", "89"),
        ("bytes=0-4,3-8", "bytes 0-8/1000", "012345678"),
        ("bytes=0-1, 5000-", "bytes 0-1/1000", "01"),
    ] {
        let answer = get("/a.txt").with("range", field).on(&app);
        assert_eq!(answer.status, 206, "{field}");
        assert_eq!((answer.field("content-range"), answer.text()), (range, body), "{field}");
        assert_eq!(answer.length, Some(body.len() as u64), "{field}");
        assert_eq!(answer.kind, "File", "{field}");
        assert_eq!(answer.field("content-type"), "text/plain; charset=utf-8", "{field}");
        assert!(answer.has("etag") && answer.has("last-modified"), "{field}");
    }
}

#[test]
fn what_is_no_range_gets_the_whole_file() {
    let tree = tree();
    let app = tree.app();
    let many = format!("bytes={}", (0..33).map(|n| format!("{0}-{0},", n * 3)).collect::<String>());
    for field in ["items=0-8", "bytes=9-8", "bytes=x", "bytes=", "bytes 0-1", "", &many] {
        let answer = get("/a.txt").with("range", field).on(&app);
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 1000), "{field}");
        assert!(!answer.has("content-range"), "{field}");
    }
    let twice = get("/a.txt").with("range", "bytes=0-1").with("range", "bytes=3-4").on(&app);
    assert_eq!(twice.status, 200);
    assert_eq!(head("/a.txt").with("range", "bytes=0-8").on(&app).status, 200);
    let empty = get("/empty.txt").with("range", "bytes=-5").on(&app);
    assert_eq!((empty.status.as_u16(), empty.text()), (200, ""));
}

#[test]
fn impossible_ranges_are_told_the_length() {
    let tree = tree();
    let app = tree.app();
    for (target, field, range) in [
        ("/a.txt", "bytes=1000-", "bytes */1000"),
        ("/a.txt", "bytes=-0", "bytes */1000"),
        ("/a.txt", "bytes=1000-, 2000-3000", "bytes */1000"),
        ("/empty.txt", "bytes=0-", "bytes */0"),
    ] {
        let answer = get(target).with("range", field).on(&app);
        assert_eq!(answer.status, 416, "{field}");
        assert_eq!(answer.field("content-range"), range, "{field}");
        assert!(!answer.has("etag"), "{field}");
    }
}

#[test]
fn a_range_holds_only_for_what_the_peer_has() {
    let tree = tree();
    let app = tree.app();
    let tag = strong_tag(&app, "/a.txt");
    for (value, status) in [
        (tag.as_str(), 206),
        (MODIFIED_TEXT, 206),
        (&format!("W/{tag}"), 200),
        (&format!("{tag}, \"x\""), 200),
        ("\"x\"", 200),
        ("*", 200),
        ("junk", 200),
        ("", 200),
        ("Sun, 06 Nov 1994 08:49:38 GMT", 200),
        ("Sun, 06 Nov 1994 08:49:36 GMT", 200),
    ] {
        let answer = get("/a.txt").with("range", "bytes=0-8").with("if-range", value).on(&app);
        assert_eq!(answer.status, status, "{value}");
        // Without a match an impossible range is no error either.
        let beyond = get("/a.txt").with("range", "bytes=5000-").with("if-range", value).on(&app);
        assert_eq!(beyond.status, if status == 206 { 416 } else { 200 }, "{value}");
    }
}

#[test]
fn several_ranges_come_in_parts() {
    let tree = tree();
    let app = tree.app();
    let answer = get("/p.html").with("range", "bytes=500-504,0-2,-2,1-3").on(&app);
    assert_eq!(answer.status, 206);
    assert!(!answer.has("content-range"));
    assert_eq!(answer.length, Some(answer.body.len() as u64));
    let expected =
        [("bytes 500-504/1000", "01234"), ("bytes 0-3/1000", "0123"), ("bytes 998-999/1000", "89")];
    let expected: Vec<_> = expected
        .iter()
        .map(|(range, body)| ("text/html; charset=utf-8".into(), (*range).into(), (*body).into()))
        .collect();
    assert_eq!(parts(&answer), expected);
}

#[test]
fn many_ranges_cost_no_more_than_the_file() {
    let tree = tree();
    let app = tree.app();
    let overlapping = format!("bytes={}", vec!["0-"; 32].join(","));
    let answer = get("/a.txt").with("range", &overlapping).on(&app);
    assert_eq!((answer.status.as_u16(), answer.body.len()), (206, 1000));
    let flood = format!("bytes={}", vec!["0-"; 1300].join(","));
    assert_eq!(get("/a.txt").with("range", &flood).on(&app).body.len(), 1000);
}

/// Content-Type, Content-Range and content of each part.
fn parts(answer: &Answer) -> Vec<(String, String, String)> {
    let content_type = answer.field("content-type");
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").expect("it is one");
    let text = format!("\r\n{}", answer.text());
    let separator = format!("\r\n--{boundary}");
    let mut pieces = text.split(&separator);
    assert_eq!(pieces.next(), Some(""));
    let mut parts = Vec::new();
    for piece in pieces {
        if piece == "--\r\n" {
            return parts;
        }
        let (head, body) = piece.split_once("\r\n\r\n").expect("a part has a head");
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.strip_prefix(": ")).expect("the field is there").to_owned()
        };
        parts.push((field("content-type"), field("content-range"), body.to_owned()));
    }
    panic!("the last boundary is missing: {text}");
}
