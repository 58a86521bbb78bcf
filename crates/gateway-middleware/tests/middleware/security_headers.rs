//! Fields that ask browsers to be careful.

use std::time::Duration;

use gateway_core::http::StatusCode;
use gateway_core::http::header::{
    CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use gateway_core::{Environ, Error, Response, Result, StartResponse};
use gateway_middleware::SecurityHeaders;

use crate::around::around_each;

fn page(environ: Environ, start_response: StartResponse) -> Result<Response> {
    if environ.path_info() == "/missing" {
        return Err(Error::with_status(StatusCode::NOT_FOUND, "nothing is here"));
    }
    let headers = [(CONTENT_TYPE, "text/html"), (X_FRAME_OPTIONS, "SAMEORIGIN")];
    Ok(start_response.start(StatusCode::OK, headers).with_body("<p>Hello"))
}

#[test]
fn pages_and_errors_have_them_and_the_applications_own_stay() {
    around_each(page, SecurityHeaders::new, |client, _| {
        for (path, frames) in [("/", "SAMEORIGIN"), ("/missing", "DENY")] {
            let response = client.get(path).url_scheme("https").send();
            assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(response.header("x-frame-options"), Some(frames));
            let referrer = response.header("referrer-policy");
            assert_eq!(referrer, Some("strict-origin-when-cross-origin"));
            assert_eq!(response.header("cross-origin-opener-policy"), Some("same-origin"));
            assert_eq!(response.header("content-security-policy"), None);
            assert_eq!(response.header("strict-transport-security"), None);
        }
    });
}

#[test]
fn https_alone_is_said_by_https_alone() {
    let wrap = |app| SecurityHeaders::new(app).hsts(Duration::from_secs(86_400), true);
    around_each(page, wrap, |client, _| {
        let field = |scheme| {
            let response = client.get("/").url_scheme(scheme).send();
            response.header("strict-transport-security").map(str::to_owned)
        };
        assert_eq!(field("http"), None);
        assert_eq!(field("https").as_deref(), Some("max-age=86400; includeSubDomains"));
    });
}

#[test]
fn every_field_may_be_another_or_none() {
    let wrap = |app| {
        let value = HeaderValue::from_static;
        SecurityHeaders::new(app)
            .set(REFERRER_POLICY, value("no-referrer"))
            .set(HeaderName::from_static("permissions-policy"), value("camera=()"))
            .content_security_policy(value("default-src 'self'"))
            .without(&HeaderName::from_static("cross-origin-opener-policy"))
    };
    around_each(page, wrap, |client, _| {
        let response = client.get("/").send();
        assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(response.headers().get_all("referrer-policy").iter().count(), 1);
        assert_eq!(response.header("permissions-policy"), Some("camera=()"));
        assert_eq!(response.header("content-security-policy"), Some("default-src 'self'"));
        assert_eq!(response.header("cross-origin-opener-policy"), None);
    });
}
