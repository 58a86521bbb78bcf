//! A POST that stands for another method.

use gateway_core::http::{Method, StatusCode, header::CONTENT_TYPE};
use gateway_core::{Environ, Response, Result, StartResponse};
use gateway_middleware::{MethodOverride, OriginalMethod};

use crate::around::around_each;

fn methods(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let original: Option<&OriginalMethod> = environ.extensions().get();
    let text = format!(
        "{} {} {}",
        environ.method(),
        environ.var("REQUEST_METHOD").unwrap_or_default(),
        original.map_or("-", |OriginalMethod(method)| method.as_str()),
    );
    Ok(start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(text))
}

#[test]
fn a_post_becomes_what_its_field_says() {
    around_each(methods, MethodOverride::new, |client, _| {
        for (field, seen) in [
            ("DELETE", "DELETE DELETE POST"),
            ("patch", "PATCH PATCH POST"),
            ("Put", "PUT PUT POST"),
            ("GET", "POST POST -"),
            ("CONNECT", "POST POST -"),
            ("no such method", "POST POST -"),
        ] {
            let request = client.post("/").header("x-http-method-override", field);
            assert_eq!(request.send().text(), seen, "{field}");
        }
        let twice = client.post("/").header("x-http-method-override", "PUT");
        let twice = twice.header("x-http-method-override", "DELETE");
        assert_eq!(twice.send().text(), "POST POST -");
    });
}

#[test]
fn nothing_but_a_post_does() {
    around_each(
        methods,
        |app| MethodOverride::new(app).query("_method"),
        |client, _| {
            for method in [Method::GET, Method::PUT] {
                let request = client.request(method.clone(), "/?_method=DELETE");
                let seen = request.header("x-http-method-override", "DELETE").send().text();
                assert_eq!(seen, format!("{method} {method} -"));
            }
        },
    );
}

#[test]
fn the_query_says_so_where_it_may() {
    around_each(
        methods,
        |app| MethodOverride::new(app).query("_method"),
        |client, _| {
            let seen = |target: &str| client.post(target).send().text();
            assert_eq!(seen("/?a=1&_method=delete&b"), "DELETE DELETE POST");
            assert_eq!(seen("/?x_method=DELETE"), "POST POST -");
            assert_eq!(seen("/?_method"), "POST POST -");
            let both = client.post("/?_method=DELETE").header("x-http-method-override", "PUT");
            assert_eq!(both.send().text(), "PUT PUT POST", "the field goes first");
        },
    );
    around_each(methods, MethodOverride::new, |client, _| {
        assert_eq!(client.post("/?_method=DELETE").send().text(), "POST POST -");
    });
}
