use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use gateway_conformance::{TestClient, TestRequest, TestResponse};
use gateway_core::http::Method;
use gateway_static::{StaticFiles, StaticFilesBuilder};
use serde_json::{Value, json};

use crate::tree::Tree;

const FORM: &str = "multipart/form-data; boundary=b";
const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn tree() -> Tree {
    Tree::new(&[
        ("a.txt", b"old"),
        ("sub/", b""),
        ("sp ace/", b""),
        (".hidden/", b""),
        (".well-known/", b""),
    ])
}

fn client(builder: StaticFilesBuilder) -> TestClient {
    TestClient::new(builder.upload(true).build().expect("it can be served"))
}

/// A form with these files, each by its name and content.
fn form(files: &[(&str, &str)]) -> Vec<u8> {
    let part = |(name, content): &(&str, &str)| {
        let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=";
        format!("{head}\"{name}\"\r\n\r\n{content}\r\n")
    };
    (files.iter().map(part).collect::<String>() + "--b--\r\n").into_bytes()
}

fn post<'c>(client: &'c TestClient, target: &str, files: &[(&str, &str)]) -> TestRequest<'c> {
    client.post(target).header("content-type", FORM).body(form(files))
}

/// All files below the root, hidden ones too, with their content.
fn files(tree: &Tree) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut directories = vec![tree.root()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("it can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(tree.root()).expect("it is below").as_os_str();
                let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
                files.insert(name, fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }
    files
}

#[track_caller]
fn refused(response: &TestResponse, status: u16, text: &str) {
    assert_eq!(response.status(), status, "{}", response.text());
    assert!(response.text().contains(text), "{text:?} is not in {:?}", response.text());
}

#[track_caller]
fn value(response: &TestResponse) -> Value {
    serde_json::from_slice(&response.body()).expect("it is JSON")
}

#[test]
fn a_file_that_is_put_is_there() {
    let tree = tree();
    let client = client(tree.builder());
    for (target, location) in [
        ("/new.txt", "/new.txt"),
        ("/sub/new%20one%25.txt?q", "/sub/new%20one%25.txt"),
        ("/sp%20ace/%63af%C3%A9", "/sp%20ace/caf%C3%A9"),
    ] {
        let response = client.put(target).pieces(["some ", "text"]).send();
        assert_eq!(response.status(), 201, "{target}");
        assert_eq!(response.header("location"), Some(location), "{target}");
        assert_eq!(response.text(), format!("stored {location} (9 bytes)\n"));
        let got = client.get(location).send();
        assert_eq!((got.status().as_u16(), got.text().as_str()), (200, "some text"), "{target}");
        assert!(got.header("etag").is_some() && got.header("last-modified").is_some());
    }
    assert_eq!(client.put("/empty").send().status(), 201);
    assert_eq!(client.put("/%FF").body("no text").send().status(), 201);
    assert_eq!(files(&tree)["empty"], "");
    assert_eq!(client.get("/%FF").send().text(), "no text");
    let mode = |name| fs::metadata(tree.at(name)).expect("it is there").permissions().mode();
    assert_eq!(mode("new.txt"), mode("a.txt"), "as every file that the process makes");
    assert_eq!(mode("new.txt") & 0o111, 0, "nothing that is uploaded can be executed");
}

#[test]
fn the_files_of_a_form_are_all_there() {
    let tree = tree();
    let client = client(tree.builder());
    let two = [("one.txt", "1"), ("two <b>\u{e9}.txt", "22")];
    let response = post(&client, "/sub/", &two).header("accept", BROWSER).send();
    assert_eq!((response.status().as_u16(), response.header("location")), (303, Some("/sub/")));
    let expected = "stored /sub/one.txt (1 byte)\nstored /sub/two%20%3Cb%3E%C3%A9.txt (2 bytes)\n";
    assert_eq!(response.text(), expected);
    assert_eq!(files(&tree)["sub/two <b>\u{e9}.txt"], "22");

    let response = post(&client, "/", &two).header("accept", "application/json").send();
    assert_eq!((response.status().as_u16(), response.header("location")), (201, None));
    let expected = json!({"stored": [
        {"name": "one.txt", "href": "/one.txt", "size": 1},
        {"name": "two <b>\u{e9}.txt", "href": "/two%20%3Cb%3E%C3%A9.txt", "size": 2},
    ]});
    assert_eq!(value(&response), expected);
    assert_eq!(response.header("vary"), Some("accept"));
    let one = [("three", "")];
    let response = post(&client, "/", &one).header("accept", "application/json").send();
    assert_eq!(response.header("location"), Some("/three"));
}

#[test]
fn a_mounted_tree_leads_back_to_itself() {
    let tree = tree();
    let client = client(tree.builder()).mounted_at("/files");
    let response = client.put("/sub/x").body("x").send();
    assert_eq!(response.header("location"), Some("/files/sub/x"));
    for (target, location) in [("/sub/", "/files/sub/"), ("/", "/files/"), ("", "/files/")] {
        let name = format!("y{}", target.len());
        let response = post(&client, target, &[(&name, "y")]).send();
        assert_eq!(response.header("location"), Some(location), "{target:?}");
    }
    // A browser would take the way back for the name of another host.
    let app = tree.builder().upload(true).build().expect("it can be served");
    let client = TestClient::new(app).mounted_at("//evil.example");
    for accept in ["*/*", BROWSER] {
        let response = client.put("/z").header("accept", accept).body("z").send();
        assert_eq!(response.status(), 404);
        assert!(!response.text().contains("evil.example"), "{}", response.text());
    }
}

#[test]
fn nothing_is_overwritten() {
    let tree = tree();
    tree.link("dangling", "nothing");
    tree.link("to-a", "a.txt");
    let client = client(tree.builder());
    let before = files(&tree);
    for name in ["a.txt", "sub", "dangling", "to-a"] {
        let text = format!("`{name}` is there already, and nothing is overwritten");
        refused(&client.put(format!("/{name}")).body("new").send(), 409, &text);
        refused(&post(&client, "/", &[(name, "new")]).send(), 409, &text);
    }
    // A precondition changes nothing about that (RFC 9110 §13.2.1).
    for (field, value) in [("if-match", "*"), ("if-none-match", "*"), ("if-match", "\"x\"")] {
        refused(&client.put("/a.txt").header(field, value).send(), 409, "already");
    }
    refused(&client.put("/new").header("if-match", "*").send(), 412, "If-Match");
    assert_eq!(files(&tree), before);
    assert_eq!(client.put("/new").header("if-none-match", "*").send().status(), 201);
}

#[test]
fn what_is_no_name_is_refused_and_not_changed() {
    let tree = tree();
    let client = client(tree.builder());
    let before = files(&tree);
    let long = "n".repeat(256);
    for (name, encoded, reason) in [
        ("..", "", "it stands for a directory"),
        ("../up", "%2e%2e%2fup", "a slash or a backslash"),
        ("/etc/x", "%2Fetc%2Fx", "a slash or a backslash"),
        ("C:\\dir\\x", "C:%5Cdir%5Cx", "a slash or a backslash"),
        ("sub/x", "sub%2fx", "a slash or a backslash"),
        ("a\u{85}b", "a%C2%85b", "a control character"),
        (".x", ".x", "hidden"),
        (&long, &long, "longer than 255 bytes"),
    ] {
        refused(&post(&client, "/", &[(name, "x")]).send(), 400, reason);
        if !encoded.is_empty() {
            refused(&client.put(format!("/{encoded}")).body("x").send(), 400, reason);
        }
    }
    for (encoded, reason) in [
        ("a%00b", "a control character"),
        ("a%0Ab", "a control character"),
        (".", "it stands for a directory"),
        ("%2e%2e", "it stands for a directory"),
        ("a%", "malformed"),
        ("%zz/a", "malformed"),
    ] {
        refused(&client.put(format!("/{encoded}")).body("x").send(), 400, reason);
    }
    refused(&post(&client, "/", &[("", "nameless")]).send(), 400, "it is empty");
    let latin =
        b"--b\r\nContent-Disposition: form-data; name=f; filename=\"\xe9\"\r\n\r\nx\r\n--b--";
    let response = client.post("/").header("content-type", FORM).body(latin.to_vec()).send();
    refused(&response, 400, "no text in UTF-8");
    assert_eq!(files(&tree), before);
}

#[test]
fn nothing_leaves_the_root() {
    let tree = tree();
    tree.write("../outside/", b"");
    tree.link("out", "../outside");
    tree.link("absolute", tree.at("sub"));
    tree.link("inside", "sub");
    let client = client(tree.builder());
    for target in [
        "/../x",
        "/%2e%2e/x",
        "/sub/../../x",
        "/sub/%2e%2e/x",
        "/..%2f/x",
        "/out/x",
        "/absolute/x",
        "/nothing/x",
        "/a.txt/x",
        "/.hidden/x",
        "/.well-known/x",
        "//x",
        "/sub//x",
        "/./x",
    ] {
        refused(&client.put(target).body("x").send(), 404, "no such directory");
    }
    for target in
        ["/../", "/%2e%2e/", "/out/", "/absolute/", "/nothing/", "/.hidden/", "/.well-known/", "//"]
    {
        refused(&post(&client, target, &[("x", "x")]).send(), 404, "no such directory");
    }
    assert_eq!(files(&tree).len(), 1);
    assert_eq!(fs::read_dir(tree.at("../outside")).expect("it is there").count(), 0);
    // As where files are served.
    assert_eq!(client.put("/inside/x").body("x").send().status(), 201);
    assert_eq!(files(&tree)["sub/x"], "x");
}

#[test]
fn what_the_operator_admits_for_reading_is_admitted_for_writing() {
    let tree = tree();
    tree.write("../outside/", b"");
    tree.link("out", "../outside");
    let client = client(tree.builder().hidden_files(true).follow_symlinks(true));
    for target in ["/.x", "/.hidden/x", "/.well-known/x", "/out/x"] {
        assert_eq!(client.put(target).body("x").send().status(), 201, "{target}");
        assert_eq!(client.get(target).send().text(), "x", "{target}");
    }
    refused(&client.put("/.gateway-upload-1").send(), 400, "are named like this");
    tree.write(".gateway-upload-1", b"half");
    assert_eq!(client.get("/.gateway-upload-1").send().status(), 404);
}

#[test]
fn pages_of_other_sites_may_not_upload() {
    let tree = tree();
    for builder in [tree.builder(), tree.builder().cors_any_origin()] {
        let client = client(builder.cors_origins(["http://evil.example"]));
        for (field, value) in [
            ("origin", "http://evil.example"),
            ("origin", "http://localhost:8001"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let put = client.put("/x").header("host", "localhost:8000").header(field, value);
            refused(&put.body("x").send(), 403, "may upload");
            let post = post(&client, "/", &[("x", "x")]).header("host", "localhost:8000");
            refused(&post.header(field, value).send(), 403, "may upload");
        }
    }
    assert_eq!(files(&tree).len(), 1);
    let client = client(tree.builder());
    let own = post(&client, "/", &[("x", "x")])
        .header("host", "localhost:8000")
        .header("origin", "http://localhost:8000")
        .header("sec-fetch-site", "same-origin");
    assert_eq!(own.send().status(), 303);
    let own = client.put("/y").header("sec-fetch-site", "none");
    assert_eq!(own.send().status(), 201);
}

#[test]
fn limits_hold_before_the_body_is_read_and_after() {
    let tree = tree();
    let client = client(tree.builder().upload_limit(100));
    refused(&client.put("/x").body("x".repeat(101)).send(), 413, "more than 100 bytes");
    let pieces = ["x".repeat(60), "x".repeat(60)];
    refused(&client.put("/x").pieces(pieces.clone()).send(), 413, "more than 100 bytes");
    let long = form(&[("one", "1"), ("two", &"2".repeat(100))]);
    let request = client.post("/").header("content-type", FORM);
    refused(&request.pieces([long[..90].to_vec(), long[90..].to_vec()]).send(), 413, "100 bytes");
    // The first part was complete.
    assert_eq!(files(&tree).into_keys().collect::<Vec<_>>(), ["a.txt", "one"]);
    assert_eq!(client.put("/x").body("x".repeat(100)).send().status(), 201);

    let client = self::client(tree.builder());
    let fields = "--b\r\nContent-Disposition: form-data; name=n\r\n\r\nv\r\n".repeat(1001);
    let response = client.post("/").header("content-type", FORM).body(fields).send();
    refused(&response, 413, "more than 1000 parts");
    let head = format!("--b\r\nContent-Disposition: form-data; name={}", "n".repeat(20_000));
    let response = client.post("/").header("content-type", FORM).pieces([head, "x".into()]).send();
    refused(&response, 413, "before its data");
}

#[test]
fn what_was_stored_before_an_error_is_told() {
    let tree = tree();
    let client = client(tree.builder());
    let files =
        |n: u8| [(["one", "two", "three"][usize::from(n)], "x"), ("a.txt", "x"), ("b", "x")];
    let text = post(&client, "/", &files(0)).send();
    let expected = "409 Conflict: `a.txt` is there already, and nothing is overwritten\n\
                    stored /one (1 byte)\n";
    assert_eq!((text.status().as_u16(), text.text().as_str()), (409, expected));
    let json = post(&client, "/", &files(1)).header("accept", "application/json").send();
    let expected = json!({
        "error": "`a.txt` is there already, and nothing is overwritten",
        "stored": [{"name": "two", "href": "/two", "size": 1}],
    });
    assert_eq!((json.status().as_u16(), value(&json)), (409, expected));
    let page = post(&client, "/", &files(2)).header("accept", BROWSER).send();
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    for part in ["<h1>409 Conflict</h1>", "`a.txt` is there", "<bdi>three</bdi>", "<a href=\"/\">"]
    {
        assert!(page.text().contains(part), "{part} is not in {}", page.text());
    }
    let page = post(&client, "/", &[("<b>/", "x")]).header("accept", BROWSER).send();
    assert!(page.text().contains("`&lt;b&gt;/` cannot be"), "{}", page.text());
    assert!(!tree.at("b").exists(), "nothing is stored behind an error");
}

#[test]
fn a_form_without_files_is_refused() {
    let tree = tree();
    let client = client(tree.builder());
    refused(&post(&client, "/", &[]).send(), 400, "no file");
    // What browsers send where none was chosen.
    refused(&post(&client, "/", &[("", "")]).send(), 400, "no file");
    let field = "--b\r\nContent-Disposition: form-data; name=n\r\n\r\nv\r\n--b--";
    let response = client.post("/").header("content-type", FORM).body(field).send();
    refused(&response, 400, "no file");
    let response = client.post("/").header("content-type", "text/plain").body("x").send();
    refused(&response, 415, "multipart/form-data");
    assert_eq!(response.header("accept"), Some("multipart/form-data"));
    let response = client.post("/").header("content-type", FORM).body("--b\r\nx").send();
    assert_eq!(response.status(), 400);
    // A field beside a file, and an input in which nothing was chosen, are passed over.
    let mixed = [field.trim_end_matches("--b--").as_bytes(), &form(&[("", ""), ("x", "x")])];
    let response = client.post("/").header("content-type", FORM).body(mixed.concat()).send();
    assert_eq!((response.status().as_u16(), files(&tree)["x"].as_str()), (303, "x"));
}

#[test]
fn only_whole_plain_files_are_put() {
    let tree = tree();
    let client = client(tree.builder());
    let part = client.put("/x").header("content-range", "bytes 0-0/2").body("x").send();
    refused(&part, 400, "Content-Range");
    let coded = client.put("/x").header("content-encoding", "gzip").body("x").send();
    refused(&coded, 415, "Content-Encoding");
    assert_eq!(coded.header("accept-encoding"), Some("identity"));
    assert_eq!(files(&tree).len(), 1);
    let plain = client.put("/x").header("content-encoding", "identity").body("x").send();
    assert_eq!(plain.status(), 201);
}

#[test]
fn methods_are_told_where_they_are_allowed() {
    let tree = tree();
    let client = client(tree.builder());
    for (target, allow) in [
        ("/a.txt", "GET, HEAD, PUT, OPTIONS"),
        ("/sub/", "GET, HEAD, POST, OPTIONS"),
        ("/", "GET, HEAD, POST, OPTIONS"),
        ("*", "GET, HEAD, POST, PUT, OPTIONS"),
    ] {
        let response = client.options(target).send();
        assert_eq!((response.status().as_u16(), response.header("allow")), (204, Some(allow)));
    }
    for (response, allow) in [
        (client.put("/sub/").body("x").send(), "GET, HEAD, POST, OPTIONS"),
        (post(&client, "/sub", &[("x", "x")]).send(), "GET, HEAD, PUT, OPTIONS"),
        (client.delete("/a.txt").send(), "GET, HEAD, PUT, OPTIONS"),
        (client.request(Method::PATCH, "/").send(), "GET, HEAD, POST, OPTIONS"),
    ] {
        assert_eq!((response.status().as_u16(), response.header("allow")), (405, Some(allow)));
    }
    let reading = TestClient::new(tree.app());
    for method in [Method::PUT, Method::POST] {
        let response = reading.request(method, "/x").body("x").send();
        assert_eq!(response.status(), 405);
        assert_eq!(response.header("allow"), Some("GET, HEAD, OPTIONS"));
    }
    assert_eq!(files(&tree).len(), 1);
    // A script of another origin is not told that it may write.
    let open = self::client(tree.builder().cors_any_origin());
    let preflight = open.options("/x").header("origin", "http://evil.example");
    let preflight = preflight.header("access-control-request-method", "PUT").send();
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD"));
}

#[test]
fn pages_for_what_is_missing_are_for_readers() {
    let tree = tree();
    tree.write("app.html", b"<p>app");
    let client = client(tree.builder().spa_fallback("app.html").not_found_page("app.html"));
    refused(&client.put("/nothing/x").body("x").send(), 404, "no such directory");
    assert_eq!(client.get("/nothing").header("accept", BROWSER).send().text(), "<p>app");
    assert_eq!(client.get("/nothing.x").send().text(), "<p>app");
}

#[test]
fn the_listing_has_a_form_where_uploads_are_taken() {
    let tree = tree();
    let page = |app: StaticFiles| TestClient::new(app).get("/sp%20ace/").send();
    let reading = page(tree.builder().listing(true).build().expect("it can be served"));
    assert!(!reading.text().contains("<form") && !reading.text().contains("file-selector"));
    let policy = reading.header("content-security-policy").expect("there is one");
    assert!(policy.ends_with("form-action 'none'"), "{policy}");

    let writing = page(tree.builder().listing(true).upload(true).build().expect("a directory"));
    let form = "<form method=\"post\" enctype=\"multipart/form-data\" action=\"/sp%20ace/\">";
    for part in [form, "<label for=\"files\">", "<input id=\"files\" type=\"file\""] {
        assert!(writing.text().contains(part), "{part} is not in {}", writing.text());
    }
    let policy = writing.header("content-security-policy").expect("there is one");
    assert!(policy.ends_with("form-action 'self'"), "{policy}");
}

#[test]
fn a_body_that_is_cut_off_leaves_nothing_behind() {
    let tree = tree();
    let client = client(tree.builder());
    let response = client.put("/x").pieces(["half"]).body_cut_off().send();
    assert!(response.head().is_none(), "nobody is left to be answered");
    let whole = form(&[("one", "1"), ("two", "22222")]);
    let cut = whole[..whole.len() - 12].to_vec();
    client.post("/").header("content-type", FORM).pieces([cut]).body_cut_off().send();
    assert_eq!(files(&tree).into_keys().collect::<Vec<_>>(), ["a.txt", "one"]);
}

#[test]
fn a_reactor_leaves_it_to_a_worker() {
    let tree = tree();
    let client = client(tree.builder()).on_reactor();
    assert_eq!(client.put("/x").body("x").send().status(), 201);
}

#[test]
fn an_upload_of_a_sibling_is_a_file_like_others() {
    let tree = tree();
    let client = client(tree.builder().precompressed(true));
    assert_eq!(client.put("/a.txt.gz").body("zipped").send().status(), 201);
    let response = client.get("/a.txt").header("accept-encoding", "gzip").send();
    assert_eq!(response.text(), "zipped");
}
