use std::time::{Duration, Instant};

use crate::exchange::{Answer, get, head};
use crate::tree::Tree;

fn tree() -> Tree {
    let tree = Tree::new(&[
        ("file10.txt", b"0123456789"),
        ("file2.txt", b"01"),
        ("B.png", b""),
        ("a <b>&\"'.html", b"<"),
        ("100%#?.txt", b""),
        ("zoo/", b""),
        ("Attic/x", b""),
        (".hidden", b""),
        ("indexed/index.html", b"index"),
    ]);
    tree.write("../outside.txt", b"secret");
    tree.link("inside", "zoo");
    tree.link("outside", "../outside.txt");
    tree.link("broken", "nothing");
    tree
}

fn list(tree: &Tree, target: &str) -> Answer {
    let app = tree.builder().listing(true).build().expect("it can be served");
    get(target).on(&app)
}

#[test]
fn directories_come_first_and_names_as_people_count() {
    let tree = tree();
    let answer = list(&tree, "/");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.field("vary"), "accept");
    assert_eq!(answer.length, Some(answer.body.len() as u64));
    let hrefs: Vec<&str> = answer
        .text()
        .split("<tbody>")
        .nth(1)
        .expect("there is a table")
        .split("<a href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().expect("a quote ends it"))
        .collect();
    assert_eq!(
        hrefs,
        [
            "/Attic/",
            "/indexed/",
            "/inside/",
            "/zoo/",
            "/100%25%23%3F.txt",
            "/a%20%3Cb%3E%26%22%27.html",
            "/B.png",
            "/file2.txt",
            "/file10.txt",
        ]
    );
}

#[test]
fn every_link_of_a_listing_leads_somewhere() {
    let tree = tree();
    let app = tree.builder().listing(true).build().expect("it can be served");
    for prefix in ["", "/files/of mine"] {
        let target = if prefix.is_empty() { "/Attic/" } else { "/files/of%20mine/Attic/" };
        let answer = get(target).under(prefix).on(&app);
        let hrefs = answer.text().split("<a href=\"").skip(1);
        let hrefs: Vec<&str> = hrefs.map(|rest| rest.split('"').next().expect("a quote")).collect();
        assert_eq!(hrefs.len(), 4, "{hrefs:?}");
        for href in hrefs {
            let found = get(href).under(prefix).on(&app);
            assert_eq!(found.status, 200, "{href}");
        }
    }
}

#[test]
fn names_are_escaped() {
    let tree = tree();
    let page = list(&tree, "/");
    assert!(page.text().contains("<bdi>a &lt;b&gt;&amp;&quot;&#39;.html</bdi>"));
    assert!(!page.text().contains("<b>"));
    tree.write("<script>x/", b"");
    let inner = list(&tree, "/%3Cscript%3Ex/");
    assert_eq!(inner.status, 200);
    assert!(inner.text().contains("<title>&lt;script&gt;x</title>"));
    assert!(!inner.text().contains("<script"));
    assert!(inner.field("content-security-policy").starts_with("default-src 'none'"));
}

#[test]
fn programs_get_json() {
    let tree = tree();
    let app = tree.builder().listing(true).build().expect("it can be served");
    let answer = get("/f/").under("/f").with("accept", "application/json").on(&app);
    assert_eq!(answer.field("content-type"), "application/json");
    assert_eq!(answer.field("vary"), "accept");
    let value: serde_json::Value = serde_json::from_slice(&answer.body).expect("it is JSON");
    assert_eq!(value["path"], "/f/");
    let entries = value["entries"].as_array().expect("it is a list");
    let entry = |name: &str| entries.iter().find(|e| e["name"] == name).expect("it is listed");
    let expected = serde_json::json!({
        "name": "file10.txt", "href": "/f/file10.txt", "type": "file", "size": 10,
        "modified": "1994-11-06T08:49:37Z",
    });
    assert_eq!(*entry("file10.txt"), expected);
    assert_eq!(entry("a <b>&\"'.html")["href"], "/f/a%20%3Cb%3E%26%22%27.html");
    assert_eq!(entry("zoo")["type"], "directory");
    assert_eq!(entry("zoo")["href"], "/f/zoo/");
    assert!(entry("zoo").get("size").is_none());
    assert!(!entries.iter().any(|e| e["name"] == ".hidden" || e["name"] == "outside"));
    let empty = get("/zoo/").with("accept", "application/json").on(&app);
    let empty: serde_json::Value = serde_json::from_slice(&empty.body).expect("it is JSON");
    assert_eq!(empty["entries"], serde_json::json!([]));
}

#[test]
fn what_is_accepted_decides_between_page_and_json() {
    let tree = tree();
    let app = tree.builder().listing(true).build().expect("it can be served");
    for (accept, content_type) in [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
        ("application/json, */*;q=0.5", "application/json"),
        ("application/*", "application/json"),
        ("application/json;q=0.4, text/html;q=0.5", "text/html; charset=utf-8"),
        ("image/png", "text/html; charset=utf-8"),
    ] {
        let answer = get("/").with("accept", accept).on(&app);
        assert_eq!(answer.field("content-type"), content_type, "{accept}");
    }
}

#[test]
fn an_index_goes_before_the_listing() {
    let tree = tree();
    assert_eq!(list(&tree, "/indexed/").text(), "index");
    assert_eq!(list(&tree, "/zoo").field("location"), "/zoo/");
    assert_eq!(get("/zoo/").on(&tree.app()).status, 404);
}

#[test]
fn hidden_names_are_listed_where_they_are_served() {
    let tree = tree();
    let app = tree.builder().listing(true).hidden_files(true).build().expect("it can be served");
    assert!(get("/").on(&app).text().contains("/.hidden\""));
    assert!(!list(&tree, "/").text().contains("hidden\""));
}

#[test]
fn a_listing_has_no_validators() {
    let tree = tree();
    let app = tree.builder().listing(true).build().expect("it can be served");
    for (name, value, status) in [
        ("if-match", "*", 200),
        ("if-match", "\"x\"", 412),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"x\"", 200),
        ("if-modified-since", "Sun, 06 Nov 2044 08:49:37 GMT", 200),
        ("range", "bytes=0-1", 200),
    ] {
        assert_eq!(get("/").with(name, value).on(&app).status, status, "{name}: {value}");
    }
    let headed = head("/").on(&app);
    assert_eq!(headed.length, get("/").on(&app).length);
    assert_eq!(headed.text(), "");
}

#[test]
fn a_large_directory_is_listed_whole() {
    let tree = Tree::new(&[]);
    for n in 0..2500 {
        std::fs::write(tree.at(format!("f{n}")), "").expect("it can be written");
    }
    let page = list(&tree, "/");
    // All who ask for it at a time are sent the same bytes.
    assert_eq!((&*page.kind, page.length), ("Bytes", Some(page.body.len() as u64)));
    assert_eq!(page.text().matches("<tr><td><a").count(), 2500);
    assert!(page.text().ends_with("</html>\n"));
    let app = tree.builder().listing(true).build().expect("it can be served");
    let json = get("/").with("accept", "application/json").on(&app);
    let json: serde_json::Value = serde_json::from_slice(&json.body).expect("it is JSON");
    assert_eq!(json["entries"].as_array().map(Vec::len), Some(2500));
    assert_eq!(json["entries"][2499]["name"], "f2499");
}

#[test]
fn what_comes_and_goes_is_seen_at_once() {
    let tree = tree();
    tree.write("grows", b"");
    let app = tree.builder().listing(true).build().expect("it can be served");
    let entries = || {
        let json = get("/").with("accept", "application/json").on(&app);
        let json: serde_json::Value = serde_json::from_slice(&json.body).expect("it is JSON");
        json["entries"].as_array().expect("it is a list").clone()
    };
    let before = entries().len();
    for more in 1..=20 {
        tree.write(&format!("new{more}"), b"");
        assert_eq!(entries().len(), before + more);
    }
    // Until a listing is kept: its sizes may be those of a moment ago.
    let is_late = |size: usize| {
        tree.write("grows", &vec![b'x'; size]);
        let entries = entries();
        let grows = entries.iter().find(|entry| entry["name"] == "grows").expect("it is there");
        grows["size"] != size
    };
    let begin = Instant::now();
    while !(1..9).any(is_late) {
        assert!(begin.elapsed() < Duration::from_secs(60), "no listing is kept");
    }
    std::fs::remove_file(tree.at("new1")).expect("it is there");
    assert_eq!(entries().len(), before + 19);
}

#[test]
fn names_that_are_no_text_are_listed_and_their_links_lead_to_them() {
    use std::os::unix::ffi::OsStrExt;
    let tree = Tree::new(&[]);
    let name = std::ffi::OsStr::from_bytes(b"\xff\n.txt");
    std::fs::write(tree.at(name), "bytes").expect("it can be written");
    let page = list(&tree, "/");
    assert!(page.text().contains("href=\"/%FF%0A.txt\""));
    assert!(page.text().contains("<bdi>\u{fffd}\u{fffd}.txt</bdi>"));
}
