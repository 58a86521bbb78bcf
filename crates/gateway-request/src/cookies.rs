//! Cookies, in and out.

use cookie::{Cookie, CookieJar};
use gateway_core::http::StatusCode;
use gateway_core::http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use gateway_core::{Environ, Error};

/// The cookies that the peer sent.
///
/// Names and values are percent-decoded, as [`set_cookies`] encodes them. A cookie without a name, or
/// that is no UTF-8, is passed over, as it is somebody else's. Of several with one name the first
/// counts: a user agent sends that of the longest path first.
///
/// The jar is of the [`cookie`](crate::cookie) crate, whose features `signed` and `private` add jars
/// that a peer cannot forge, or not read.
///
/// # Examples
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_request::cookie::{Cookie, SameSite};
/// use gateway_request::{cookies, set_cookies};
///
/// fn count(environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let mut jar = cookies(&environ);
///     let visits: u32 = jar.get("visits").and_then(|it| it.value().parse().ok()).unwrap_or(0);
///     let cookie = Cookie::build(("visits", (visits.saturating_add(1)).to_string()))
///         .path("/")
///         .http_only(true)
///         .same_site(SameSite::Lax);
///     jar.add(cookie);
///     let mut response = start_response.start(StatusCode::OK, ());
///     set_cookies(&jar, &mut response.head_mut()?.headers)?;
///     Ok(response.with_body(format!("{visits} visits before\n")))
/// }
/// ```
///
/// Source: RFC 6265 §4.2 and §5.4; several fields as in RFC 9113 §8.2.3.
pub fn cookies(environ: &Environ) -> CookieJar {
    let fields = environ
        .fields()
        .filter(|(name, _)| name.eq_ignore_ascii_case(COOKIE.as_str().as_bytes()))
        .filter_map(|(_, value)| std::str::from_utf8(value).ok());
    let mut jar = CookieJar::new();
    for cookie in fields.flat_map(Cookie::split_parse_encoded).flatten() {
        if jar.get(cookie.name()).is_none() {
            jar.add_original(cookie.into_owned());
        }
    }
    jar
}

/// Adds a `Set-Cookie` to `headers` for each cookie that was added to the jar or removed from it,
/// ordered by their names. Call it once, with the head that is sent: that of a response, or of an
/// [`on_head`](gateway_core::StartResponse::on_head) hook.
///
/// Names and values are percent-encoded where they need it, so any text is one.
///
/// # Errors
///
/// [`InvalidCookie`], and nothing has been added, if a path or domain has a semicolon or a control
/// character, with which it would say more than it should.
///
/// Source: RFC 6265 §4.1.
pub fn set_cookies(jar: &CookieJar, headers: &mut HeaderMap) -> Result<(), InvalidCookie> {
    let mut changed: Vec<&Cookie<'static>> = jar.delta().collect();
    changed.sort_by_key(|cookie| cookie.name());
    let values = changed.into_iter().map(value).collect::<Result<Vec<_>, _>>()?;
    for value in values {
        headers.append(SET_COOKIE, value);
    }
    Ok(())
}

/// The application made a cookie that no field can say: 500.
#[derive(Debug, thiserror::Error)]
#[error("the path or domain of the cookie {name:?} has a character that cannot stand there")]
pub struct InvalidCookie {
    name: String,
}

impl From<InvalidCookie> for Error {
    fn from(error: InvalidCookie) -> Error {
        Error::with_status(StatusCode::INTERNAL_SERVER_ERROR, error)
    }
}

fn value(cookie: &Cookie<'static>) -> Result<HeaderValue, InvalidCookie> {
    let invalid = || InvalidCookie { name: cookie.name().to_owned() };
    let mut attributes = [cookie.path(), cookie.domain()].into_iter().flatten();
    if attributes.any(|it| it.contains(|c: char| c == ';' || c.is_control())) {
        return Err(invalid());
    }
    HeaderValue::try_from(cookie.encoded().to_string()).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(jar: &CookieJar) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert(SET_COOKIE, HeaderValue::from_static("before=1"));
        set_cookies(jar, &mut headers).expect("they are sound");
        let values = headers.get_all(SET_COOKIE).iter();
        values.map(|value| value.to_str().expect("it is ASCII").to_owned()).collect()
    }

    #[test]
    fn only_what_changed_is_sent_in_the_order_of_names() {
        let mut jar = CookieJar::new();
        jar.add_original(("kept", "1"));
        jar.add_original(("gone", "1"));
        for name in ["zebra", "ant", "mole"] {
            jar.add((name, "2"));
        }
        jar.remove("gone");
        let sent = sent(&jar);
        let names: Vec<_> = sent.iter().filter_map(|it| Some(it.split_once('=')?.0)).collect();
        assert_eq!(names, ["before", "ant", "gone", "mole", "zebra"]);
        assert!(sent[2].contains("; Max-Age=0"), "{sent:?}");
    }

    #[test]
    fn any_text_can_be_a_value() {
        let mut jar = CookieJar::new();
        jar.add(("text", "a;b=\"é\"\r\nSet-Cookie: c"));
        assert_eq!(sent(&jar)[1], "text=a%3Bb%3D%22%C3%A9%22%0D%0ASet-Cookie%3A%20c");
    }

    #[test]
    fn a_path_or_domain_cannot_say_more() {
        for (path, domain) in [("/;Secure", "a"), ("/\n", "a"), ("/", "a;b"), ("/", "a\u{0}")] {
            let mut jar = CookieJar::new();
            jar.add(("a sound one", "1"));
            jar.add(Cookie::build(("bad", "1")).path(path).domain(domain));
            let mut headers = HeaderMap::new();
            let error = set_cookies(&jar, &mut headers).expect_err("it is unsound");
            assert!(headers.is_empty());
            assert_eq!(Error::from(error).status(), StatusCode::INTERNAL_SERVER_ERROR);
        }
    }
}
