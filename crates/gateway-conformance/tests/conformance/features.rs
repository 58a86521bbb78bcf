//! Cookies, forms and JSON.

use gateway_conformance::TestClient;
use gateway_core::http::StatusCode;
use gateway_core::http::header::{CONTENT_TYPE, SET_COOKIE};
use gateway_core::{Environ, Response, Result, StartResponse, inline};

/// Sets what the query says, and answers what came.
fn cookies() -> TestClient {
    let app = inline(|environ, start_response| {
        let mut response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        if let Some(cookie) = environ.query_string() {
            response.head_mut()?.headers.append(SET_COOKIE, cookie.parse()?);
        }
        let came = environ.header("cookie").unwrap_or_default().to_vec();
        Ok(response.with_body(came))
    });
    TestClient::new(app).keep_cookies()
}

#[test]
fn a_cookie_goes_where_it_belongs() {
    let client = cookies();
    client.get("/?a=1;Path=/shop").send();
    client.get("/?b=2;Secure").send();
    client.get("/?c=3;HttpOnly").send();
    assert_eq!(client.get("/").send().text(), "c=3");
    assert_eq!(client.get("/shop/x").send().text(), "a=1; c=3");
    assert_eq!(client.get("/shopping").send().text(), "c=3");
    assert_eq!(client.get("/").url_scheme("https").send().text(), "b=2; c=3");
    assert_eq!(client.cookie("a").as_deref(), Some("1"));
}

#[test]
fn a_cookie_is_replaced_and_removed() {
    let client = cookies();
    client.get("/?a=1;Path=/").send();
    client.get("/?a=2;Path=/;Max-Age=60").send();
    assert_eq!(client.get("/").send().text(), "a=2");
    client.get("/?a=;Path=/;Max-Age=0").send();
    assert_eq!(client.get("/").send().text(), "");
    client.get("/?a=1;Path=/").send();
    client.get("/?a=1;Path=/;Expires=Thu,%2001%20Jan%201970%2000:00:00%20GMT").send();
    assert_eq!(client.cookie("b"), None);
}

#[test]
fn without_being_asked_no_cookie_is_kept() {
    let app = inline(|environ, start_response| {
        assert_eq!(environ.header("cookie"), None);
        Ok(start_response.start(StatusCode::NO_CONTENT, [(SET_COOKIE, "a=1")]))
    });
    let client = TestClient::new(app);
    client.get("/").send();
    assert_eq!(client.get("/").send().status(), StatusCode::NO_CONTENT);
    assert_eq!(client.cookie("a"), None);
}

fn echo(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let content_type = environ.headers().get(CONTENT_TYPE).cloned();
    let body = environ.input().collect(1 << 10)?;
    let headers = content_type.map(|value| (CONTENT_TYPE, value)).into_iter().collect();
    let headers: gateway_core::http::HeaderMap = headers;
    Ok(start_response.start(StatusCode::OK, headers).with_body(body))
}

#[test]
fn json_there_and_back() {
    let response = TestClient::new(echo).post("/").json(&("a", [1, 2])).send();
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.json::<(String, [u8; 2])>(), ("a".to_owned(), [1, 2]));
}

#[test]
fn a_form() {
    let response = TestClient::new(echo).post("/").form(&[("a b", "é"), ("c", "&=")]).send();
    assert_eq!(response.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(response.text(), "a+b=%C3%A9&c=%26%3D");
}
