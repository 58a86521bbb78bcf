use crate::exchange::{get, head};
use crate::tree::{MODIFIED, MODIFIED_TEXT, Tree, strong_tag};

fn tree() -> Tree {
    Tree::new(&[
        ("a.js", b"plain"),
        ("a.js.gz", b"gzip'd"),
        ("a.js.br", b"brotli'd"),
        ("only-gz.txt", b"plain"),
        ("only-gz.txt.gz", b"gzip'd"),
        ("none.txt", b"plain"),
        ("sub/index.html", b"plain"),
        ("sub/index.html.zst", b"zstd'd"),
        ("orphan.txt.gz", b"gzip'd"),
    ])
}

#[test]
fn siblings_are_chosen_by_what_the_peer_accepts() {
    let tree = tree();
    let app = tree.builder().precompressed(true).build().expect("it can be served");
    for (target, accepted, coding, body) in [
        ("/a.js", "gzip, deflate, br, zstd", "br", "brotli'd"),
        ("/a.js", "gzip", "gzip", "gzip'd"),
        ("/a.js", "x-gzip", "gzip", "gzip'd"),
        ("/a.js", "br;q=0.2, gzip;q=0.3", "gzip", "gzip'd"),
        ("/a.js", "zstd", "", "plain"),
        ("/a.js", "*", "br", "brotli'd"),
        ("/a.js", "br;q=0, *", "gzip", "gzip'd"),
        ("/a.js", "identity, br;q=0.5", "", "plain"),
        ("/a.js", "", "", "plain"),
        ("/a.js", "gzip;q=0", "", "plain"),
        ("/a.js", "identity;q=0, gzip", "gzip", "gzip'd"),
        ("/only-gz.txt", "br, gzip", "gzip", "gzip'd"),
        ("/none.txt", "br, gzip", "", "plain"),
        ("/sub/", "zstd", "zstd", "zstd'd"),
    ] {
        let answer = get(target).with("accept-encoding", accepted).on(&app);
        assert_eq!(answer.status, 200, "{target} {accepted}");
        assert_eq!((answer.field("content-encoding"), answer.text()), (coding, body), "{accepted}");
        assert_eq!(answer.field("vary"), "accept-encoding", "{accepted}");
        assert_eq!(answer.kind, "File", "{accepted}");
    }
    let script = get("/a.js").with("accept-encoding", "br").on(&app);
    assert_eq!(script.field("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(get("/a.js").on(&app).text(), "plain");
    assert_eq!(get("/orphan.txt").with("accept-encoding", "gzip").on(&app).status, 404);
}

#[test]
fn a_peer_that_takes_nothing_that_is_there_is_told() {
    let tree = tree();
    let app = tree.builder().precompressed(true).build().expect("it can be served");
    for (target, accepted) in [("/none.txt", "gzip, identity;q=0"), ("/a.js", "zstd, *;q=0")] {
        let answer = get(target).with("accept-encoding", accepted).on(&app);
        assert_eq!(answer.status, 406, "{target} {accepted}");
        assert_eq!(answer.field("vary"), "accept-encoding");
    }
    // Without negotiation the field says nothing.
    let plain = get("/a.js").with("accept-encoding", "identity;q=0, br").on(&tree.app());
    assert_eq!((plain.status.as_u16(), plain.text()), (200, "plain"));
}

#[test]
fn every_coding_has_a_tag_of_its_own() {
    let tree = tree();
    let app = tree.builder().precompressed(true).build().expect("it can be served");
    let tag = |accepted: &str| {
        let answer = get("/a.js").with("accept-encoding", accepted).on(&app);
        answer.field("etag").trim_start_matches("W/").to_owned()
    };
    let tags = ["identity", "gzip", "br"].map(tag);
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    for (accepted, sent, status) in [("gzip", 1, 304), ("gzip", 0, 200), ("br", 1, 200)] {
        let request = get("/a.js").with("accept-encoding", accepted);
        let answer = request.with("if-none-match", &tags[sent]).on(&app);
        assert_eq!(answer.status, status, "{accepted} with the tag of {sent}");
        assert_eq!(answer.field("vary"), "accept-encoding");
    }
}

#[test]
fn ranges_are_those_of_the_coded_file() {
    let tree = tree();
    let app = tree.builder().precompressed(true).build().expect("it can be served");
    let answer = get("/a.js").with("accept-encoding", "br").with("range", "bytes=0-2").on(&app);
    assert_eq!(answer.field("content-range"), "bytes 0-2/8");
    assert_eq!((answer.field("content-encoding"), answer.text()), ("br", "bro"));
    let plain = strong_tag(&app, "/a.js");
    let request = get("/a.js").with("accept-encoding", "br").with("range", "bytes=0-2");
    assert_eq!(request.with("if-range", &plain).on(&app).status, 200);
}

/// All codings of a file have its date, so who goes on by the date alone would put two together.
#[test]
fn a_date_says_nothing_of_a_part_where_codings_share_it() {
    let tree = tree();
    let date = MODIFIED_TEXT;
    for builder in [
        tree.builder().precompressed(true),
        #[cfg(any(feature = "gzip", feature = "brotli"))]
        tree.builder().compression(true),
    ] {
        let app = builder.build().expect("it can be served");
        for accepted in ["gzip", "identity"] {
            let request = get("/a.js").with("accept-encoding", accepted).with("range", "bytes=0-2");
            assert_eq!(request.with("if-range", date).on(&app).status, 200, "{accepted}");
        }
    }
    let request = get("/a.js").with("accept-encoding", "gzip").with("range", "bytes=0-2");
    assert_eq!(request.with("if-range", date).on(&tree.app()).status, 206);
}

/// Its `Content-Encoding` would be that of the parts with what stands between them.
#[test]
fn several_ranges_of_a_coded_file_are_the_whole() {
    let tree = tree();
    let app = tree.builder().precompressed(true).build().expect("it can be served");
    let two = |accepted| {
        get("/a.js").with("accept-encoding", accepted).with("range", "bytes=0-0,2-2").on(&app)
    };
    let answer = two("br");
    assert_eq!((answer.status.as_u16(), answer.field("content-encoding")), (200, "br"));
    assert_eq!(two("identity").status, 206);
}

#[test]
fn a_sibling_of_something_older_is_passed_over() {
    let tree = tree();
    tree.date("a.js.br", MODIFIED - 1);
    let app = tree.builder().precompressed(true).build().expect("it can be served");
    let answer = get("/a.js").with("accept-encoding", "br, gzip").on(&app);
    assert_eq!(answer.text(), "gzip'd");
}

#[test]
fn siblings_are_sent_to_those_who_asked_for_it_only() {
    let tree = tree();
    let answer = get("/a.js").with("accept-encoding", "br").on(&tree.app());
    assert_eq!((answer.field("content-encoding"), answer.text()), ("", "plain"));
    assert!(!answer.has("vary"));
    let direct = get("/a.js.gz").on(&tree.app());
    assert_eq!(direct.field("content-type"), "application/gzip");
    assert_eq!(direct.field("content-encoding"), "");
}

#[test]
fn head_tells_the_length_of_the_sibling() {
    let tree = tree();
    let app = tree.builder().precompressed(true).build().expect("it can be served");
    let answer = head("/a.js").with("accept-encoding", "br").on(&app);
    assert_eq!((answer.length, answer.field("content-encoding")), (Some(8), "br"));
}

#[cfg(any(feature = "gzip", feature = "brotli"))]
mod on_the_fly {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::exchange::Answer;
    use gateway_static::StaticFiles;

    const CODINGS: &[&str] = &[
        #[cfg(feature = "brotli")]
        "br",
        #[cfg(feature = "gzip")]
        "gzip",
    ];

    fn content() -> Vec<u8> {
        (0..300_000u32).flat_map(|n| n.to_string().into_bytes()).collect()
    }

    fn tree() -> Tree {
        let content = content();
        Tree::new(&[
            ("big.txt", &content),
            ("big.png", &content),
            ("tiny.txt", b"tiny"),
            ("short.txt", &b"short and dull\n".repeat(200)),
            ("has.txt", &content),
            ("has.txt.gz", b"sibling"),
        ])
    }

    fn app(tree: &Tree) -> StaticFiles {
        tree.builder().compression(true).precompressed(true).build().expect("it can be served")
    }

    fn decoded(coding: &str, body: &[u8]) -> Vec<u8> {
        use std::io::Read;
        let mut decoded = Vec::new();
        match coding {
            #[cfg(feature = "gzip")]
            "gzip" => flate2::read::MultiGzDecoder::new(body).read_to_end(&mut decoded),
            #[cfg(feature = "brotli")]
            "br" => brotli::Decompressor::new(body, 4096).read_to_end(&mut decoded),
            _ => panic!("no test for {coding}"),
        }
        .expect("it can be decoded");
        decoded
    }

    #[test]
    fn text_is_compressed_as_it_is_sent() {
        let tree = tree();
        let app = app(&tree);
        for coding in CODINGS {
            let answer = get("/big.txt").with("accept-encoding", coding).on(&app);
            assert_eq!(answer.field("content-encoding"), *coding);
            assert_eq!(answer.field("vary"), "accept-encoding");
            assert_eq!(answer.length, None);
            assert!(answer.field("etag").starts_with("W/"), "{}", answer.field("etag"));
            assert!(!answer.has("accept-ranges"));
            assert!(answer.body.len() < content().len() / 2);
            assert_eq!(decoded(coding, &answer.body), content());
            let request = get("/big.txt").with("accept-encoding", coding);
            let again = request.with("if-none-match", answer.field("etag")).on(&app);
            assert_eq!(again.status, 304, "{coding}");
        }
    }

    #[test]
    fn what_gains_nothing_is_left_alone() {
        let tree = tree();
        let app = app(&tree);
        for target in ["/big.png", "/tiny.txt"] {
            let answer = get(target).with("accept-encoding", "br, gzip").on(&app);
            assert_eq!(answer.field("content-encoding"), "", "{target}");
            assert_eq!(answer.kind, "File", "{target}");
        }
        let sibling = get("/has.txt").with("accept-encoding", "br, gzip").on(&app);
        assert_eq!(sibling.text(), "sibling");
        let range = get("/big.txt").with("accept-encoding", "br, gzip").with("range", "bytes=0-2");
        let range = range.on(&app);
        assert_eq!((range.status.as_u16(), range.text()), (206, "012"));
        assert_eq!(range.field("content-encoding"), "");
    }

    #[test]
    fn a_peer_that_takes_nothing_plain_gets_even_tiny_files_coded() {
        let tree = tree();
        for coding in CODINGS {
            let accepted = format!("{coding}, identity;q=0");
            let answer = get("/tiny.txt").with("accept-encoding", &accepted).on(&app(&tree));
            assert_eq!(decoded(coding, &answer.body), b"tiny");
        }
    }

    /// What is compressed once more for everybody who asks has to end soon.
    #[test]
    fn what_is_too_long_is_left_alone() {
        let tree = Tree::new(&[("long.txt", b""), ("short.txt", b"")]);
        for (name, len) in [("long.txt", (16 << 20) + 1), ("short.txt", 16 << 20)] {
            let file = std::fs::File::options().write(true).open(tree.at(name)).expect("it opens");
            file.set_len(len).expect("it can be set");
        }
        let app = app(&tree);
        let coding = |target: &str, accepted: &str| {
            let answer = head(target).with("accept-encoding", accepted).on(&app);
            assert_eq!(answer.field("vary"), "accept-encoding", "{target}");
            (answer.status.as_u16(), answer.field("content-encoding").to_owned())
        };
        for accepted in CODINGS {
            assert_eq!(coding("/short.txt", accepted), (200, (*accepted).to_owned()));
            assert_eq!(coding("/long.txt", accepted), (200, String::new()));
            let nothing_else = format!("{accepted}, identity;q=0");
            assert_eq!(coding("/short.txt", &nothing_else), (200, (*accepted).to_owned()));
            assert_eq!(coding("/long.txt", &nothing_else), (406, String::new()));
        }
    }

    /// Gives what the innermost of `many` gets, while the others are not sent yet.
    fn nested(app: &StaticFiles, many: usize, accepted: &str) -> Answer {
        let request = get("/short.txt").with("accept-encoding", accepted);
        if many == 1 {
            return request.on(app);
        }
        let innermost = Arc::new(Mutex::new(None));
        let then = {
            let (app, accepted, innermost) = (app.clone(), accepted.to_owned(), innermost.clone());
            move || {
                *innermost.lock().expect("nothing panicked") =
                    Some(nested(&app, many - 1, &accepted));
            }
        };
        assert_eq!(request.on_then(app, then).field("content-encoding"), CODINGS[0], "of {many}");
        innermost.lock().expect("nothing panicked").take().expect("it was answered")
    }

    #[test]
    fn only_so_many_are_compressed_at_a_time() {
        let tree = tree();
        let app = app(&tree);
        let accepted = CODINGS.join(", ");
        let last = nested(&app, 64, &accepted);
        assert_eq!(last.field("content-encoding"), CODINGS[0]);
        let beyond = nested(&app, 65, &accepted);
        assert_eq!((beyond.status.as_u16(), &*beyond.kind), (200, "File"));
        assert_eq!(
            (beyond.field("content-encoding"), beyond.field("vary")),
            ("", "accept-encoding")
        );
        let tag = |answer: &Answer| answer.field("etag").trim_start_matches("W/").to_owned();
        assert_eq!(tag(&beyond), tag(&get("/short.txt").on(&app)));
        let nothing_else = nested(&app, 65, &format!("{accepted}, *;q=0"));
        assert_eq!(nothing_else.status, 503);
        let after = get("/short.txt").with("accept-encoding", &accepted).on(&app);
        assert_eq!(after.field("content-encoding"), CODINGS[0]);
    }

    /// A coding's head alone is a packet for nothing, and one more turn for each small file.
    #[test]
    fn what_is_short_is_one_datum() {
        let tree = tree();
        for coding in CODINGS {
            let answer = get("/short.txt").with("accept-encoding", coding).on(&app(&tree));
            assert_eq!((answer.field("content-encoding"), answer.data), (*coding, 1));
        }
    }
}
