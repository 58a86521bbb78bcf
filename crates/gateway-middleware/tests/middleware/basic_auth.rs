//! Basic authentication.

use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{Environ, Response, Result, StartResponse, inline};
use gateway_middleware::BasicAuth;

use crate::around::around_each;

fn user(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let user = environ.var("REMOTE_USER").unwrap_or_default().into_owned();
    Ok(start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(user))
}

#[test]
fn who_knows_the_password_comes_in_under_the_users_name() {
    around_each(
        user,
        |app| BasicAuth::new(app, "ada", "pw"),
        |client, _| {
            for credentials in ["Basic YWRhOnB3", "basic YWRhOnB3", "BASIC  YWRhOnB3"] {
                let response = client.get("/").header("authorization", credentials).send();
                assert_eq!((response.status(), &*response.text()), (StatusCode::OK, "ada"));
            }
        },
    );
}

#[test]
fn nobody_else_does() {
    around_each(
        user,
        |app| BasicAuth::new(app, "ada", "pw"),
        |client, _| {
            let expected = Some("Basic realm=\"gateway\", charset=\"UTF-8\"");
            let response = client.get("/").send();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(response.header("www-authenticate"), expected);
            // ada:wrong, ada, :pw, no base64, another scheme, nothing behind the scheme
            for wrong in ["YWRhOndyb25n", "YWRh", "OnB3", "!!", ""] {
                let field = format!("Basic {wrong}");
                let response = client.get("/").header("authorization", field.trim()).send();
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{wrong}");
            }
            let response = client.get("/").header("authorization", "Bearer YWRhOnB3").send();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        },
    );
}

#[test]
fn a_realm_is_quoted_or_refused() {
    let app = || inline(user);
    let realm = BasicAuth::new(app(), "a", "b").realm(r#"the "inner" \ door"#);
    let client = gateway_conformance::TestClient::new(realm.expect("it is a realm"));
    let expected = r#"Basic realm="the \"inner\" \\ door", charset="UTF-8""#;
    assert_eq!(client.get("/").send().header("www-authenticate"), Some(expected));
    assert!(BasicAuth::new(app(), "a", "b").realm("a\r\nSet-Cookie: b").is_err());
}

/// One party may go by the first of them and another one by the last.
#[test]
fn who_brings_two_credentials_brings_none() {
    around_each(
        user,
        |app| BasicAuth::new(app, "ada", "pw"),
        |client, _| {
            for other in ["Basic YWRhOnB3", "Basic YWRhOndyb25n", "Bearer x"] {
                for pair in [["Basic YWRhOnB3", other], [other, "Basic YWRhOnB3"]] {
                    let [one, two] = pair;
                    let request = client.get("/").header("authorization", one);
                    let response = request.header("authorization", two).send();
                    assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{pair:?}");
                }
            }
        },
    );
}
