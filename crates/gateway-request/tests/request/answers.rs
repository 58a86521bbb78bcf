//! What the application answers, as on a server with threads and as on a reactor, with the lint
//! around it.

use gateway_conformance::{TestClient, TestRequest, TestResponse};
use gateway_core::http::StatusCode;
use gateway_core::{Environ, StartResponse, inline};
use gateway_request::Multipart;

use crate::app::shelf;

const FORM: &str = "application/x-www-form-urlencoded";

const UPLOAD: &str = "--x y\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nOn trees\r\n\
     --x y\r\nContent-Disposition: form-data; name=\"scan\"; filename=\"scan.png\"\r\n\
     Content-Type: image/png\r\n\r\n\x01\r\n\x02\r\n--x y--\r\n";

fn on_each(check: impl Fn(&TestClient)) {
    check(&TestClient::new(shelf()));
    check(&TestClient::new(shelf()).on_reactor());
}

/// Sends the body whole, and piece by piece, to what blocks and what awaits; all answer the same.
#[track_caller]
fn answer(client: &TestClient, path: &str, content_type: &str, body: &str) -> TestResponse {
    let target = |kind| format!("/{kind}/{path}");
    let post = |kind| client.post(target(kind)).header("content-type", content_type);
    let pieces = || body.as_bytes().chunks(3).map(<[u8]>::to_vec);
    let whole = |request: TestRequest<'_>| request.body(body.to_owned()).send();
    let first = whole(post("blocking"));
    let others = [
        whole(post("awaiting")),
        post("blocking").pieces(pieces()).send(),
        post("awaiting").pieces(pieces()).send(),
    ];
    for other in others {
        let one = |it: &TestResponse| (it.status(), it.header("accept").map(str::to_owned));
        assert_eq!(one(&other), one(&first));
        if first.status() == StatusCode::OK {
            assert_eq!(other.text(), first.text());
        }
    }
    first
}

#[test]
fn queries() {
    on_each(|client| {
        let response = client.get("/search?tag=a%26b&q=two+words&tag=c").send();
        assert_eq!(response.text(), "two words [\"a&b\", \"c\"] None");
        assert_eq!(client.get("/search?q=&page=7").send().text(), " [] Some(7)");
        for target in ["/search", "/search?page=1", "/search?q=a&page=x", "/search?q=a&q=b"] {
            assert_eq!(client.get(target).send().status(), StatusCode::BAD_REQUEST, "{target}");
        }
    });
}

#[test]
fn forms() {
    on_each(|client| {
        for content_type in [FORM, "Application/X-WWW-Form-URLEncoded; charset=UTF-8"] {
            let body = "title=On+%C3%A9&author=Ada&author=Bea&year=-7";
            let text = answer(client, "add", content_type, body).text();
            assert_eq!(text, "\"On é\" by Ada and Bea in Some(-7)");
        }
        for (body, status) in [
            ("", StatusCode::BAD_REQUEST),
            ("title=a", StatusCode::BAD_REQUEST),
            ("title=a&author=b&year=MM", StatusCode::BAD_REQUEST),
            (&format!("title={}", "a".repeat(95)), StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            assert_eq!(answer(client, "add", FORM, body).status(), status, "{body}");
        }
        for content_type in ["text/plain", "nonsense", "application/x-www-form-urlencoded+xml"] {
            let response = answer(client, "add", content_type, "title=a&author=b");
            assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
            assert_eq!(response.header("accept"), Some(FORM));
        }
        let unsaid = client.post("/blocking/add").body("title=a&author=b").send();
        assert_eq!(unsaid.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let twice = client.post("/blocking/add").header("content-type", FORM);
        let twice = twice.header("content-type", FORM).body("title=a&author=b").send();
        assert_eq!(twice.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    });
}

#[test]
fn uploads() {
    on_each(|client| {
        let content_type = "Multipart/Form-Data; charset=utf-8; boundary=\"x y\"";
        let text = answer(client, "upload", content_type, UPLOAD).text();
        // 1, 13, 10 and 2, each times a power of 31.
        let sum = ((31 + 13) * 31 + 10) * 31 + 2;
        assert_eq!(
            text,
            format!(
                "\"title\" None None \"On trees\"\n\
                 \"scan\" Some(\"scan.png\") Some(\"image/png\") 4 bytes, {sum}\n"
            )
        );
        let long = UPLOAD.replace("On trees", "On trees, and what is in them");
        let too_long = answer(client, "upload", content_type, &long);
        assert_eq!(too_long.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let cut = &UPLOAD[..UPLOAD.len() - 5];
        assert_eq!(answer(client, "upload", content_type, cut).status(), StatusCode::BAD_REQUEST);
        let other = answer(client, "upload", FORM, UPLOAD);
        assert_eq!(other.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(other.header("accept"), Some("multipart/form-data"));
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        for unsound in ["multipart/form-data", "multipart/form-data; boundary=\"\"", &long] {
            let response = answer(client, "upload", unsound, UPLOAD);
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{unsound}");
            let error = response.error().unwrap_or_default();
            assert!(error.contains("no sound boundary"), "{unsound}: {error}");
        }
    });
}

#[test]
fn preferences() {
    on_each(|client| {
        let response = client.get("/hello").send();
        assert_eq!(response.header("content-language"), Some("en"));
        assert_eq!(response.header("x-coding"), Some("identity"));
        assert_eq!(response.text(), "Good day");
        let response = client
            .get("/hello")
            .header("accept", "text/*;q=0.5")
            .header("accept", "application/json")
            .header("accept-language", "fr, de-CH;q=0.8, en;q=0.1")
            .header("accept-encoding", "gzip, br;q=0.9")
            .send();
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("content-language"), Some("de"));
        assert_eq!(response.header("x-coding"), Some("gzip"));
        let response = client.get("/hello").header("accept-language", "fr, de-CH;q=0.8").send();
        assert_eq!(response.text(), "Guten Tag");
        let response = client.get("/hello").header("accept", "image/*").send();
        assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
        assert_eq!(response.header("vary"), Some("accept"));
    });
}

#[test]
fn cookies_go_out_and_come_back() {
    on_each(|client| {
        let response = client.get("/visits?a;b=%20").send();
        assert_eq!(response.text(), "None");
        let sent = response.headers().get_all("set-cookie");
        let sent: Vec<_> = sent.iter().filter_map(|value| value.to_str().ok()).collect();
        assert_eq!(sent, ["a=%3B%20Secure", "last%20page=a%3Bb%3D%2520; SameSite=Lax; Path=/"]);
        let back = client
            .get("/visits?next")
            .header("cookie", "no pair; =no name; bad=%FF; other=1")
            .header("cookie", "last%20page=a%3Bb%3D%2520; last%20page=second")
            .send();
        assert_eq!(back.text(), "Some(\"a;b=%20\")");
        let gone = client.delete("/visits").header("cookie", "last%20page=1").send();
        let sent = gone.header("set-cookie").expect("it is removed");
        assert!(sent.starts_with("last%20page=; Path=/; Max-Age=0; Expires="), "{sent}");
    });
}

#[test]
fn blocking_on_a_reactor_is_the_applications_fault() {
    let app = inline(|mut environ: Environ, start_response: StartResponse| {
        let mut multipart = Multipart::new(&mut environ)?;
        multipart.next_part()?;
        Ok(start_response.start(StatusCode::OK, ()))
    });
    let client = TestClient::new(app);
    let client = client.without_lint().on_reactor();
    let request = client.post("/").header("content-type", "multipart/form-data; boundary=x");
    let response = request.pieces([UPLOAD]).send();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let errors = response.errors().join("\n");
    assert!(errors.contains("blocking Input::data on a reactor thread"), "{errors}");
}
