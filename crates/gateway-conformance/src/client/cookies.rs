//! The cookies of a client, all of one host.

use cookie::Cookie;
use cookie::time::{Duration, OffsetDateTime};
use gateway_core::http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

use super::TestResponse;

/// Keeps cookies as RFC 6265 §5.3 has it, by name and path.
#[derive(Debug, Default)]
pub(super) struct Jar(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    cookie: Cookie<'static>,
    path: String,
}

impl Jar {
    /// Takes the cookies that `response` sets. One that is no cookie is left out, as browsers do.
    pub(super) fn keep(&mut self, response: &TestResponse) {
        let Some(head) = response.head() else { return };
        for value in head.headers.get_all(SET_COOKIE) {
            let Ok(text) = value.to_str() else { continue };
            let Ok(cookie) = Cookie::parse(text.to_owned()) else { continue };
            let path = cookie.path().filter(|path| path.starts_with('/')).unwrap_or("/").to_owned();
            self.0.retain(|kept| kept.cookie.name() != cookie.name() || kept.path != path);
            if !is_over(&cookie) {
                self.0.push(Kept { cookie, path });
            }
        }
    }

    /// Adds a Cookie field with what belongs to `target`, the most special paths first.
    pub(super) fn send(&self, secure: bool, target: &str, headers: &mut HeaderMap) {
        let path = target.split('?').next().unwrap_or_default();
        let mut fitting: Vec<&Kept> =
            self.0.iter().filter(|kept| kept.fits(secure, path)).collect();
        fitting.sort_by_key(|kept| std::cmp::Reverse(kept.path.len()));
        let pairs: Vec<String> = fitting
            .iter()
            .map(|kept| format!("{}={}", kept.cookie.name(), kept.cookie.value()))
            .collect();
        if let Ok(value) = HeaderValue::try_from(pairs.join("; "))
            && !pairs.is_empty()
        {
            headers.append(COOKIE, value);
        }
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        let kept = self.0.iter().find(|kept| kept.cookie.name() == name)?;
        Some(kept.cookie.value().to_owned())
    }
}

impl Kept {
    fn fits(&self, secure: bool, path: &str) -> bool {
        (secure || self.cookie.secure() != Some(true))
            && path.strip_prefix(&self.path).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/')
            })
    }
}

fn is_over(cookie: &Cookie<'_>) -> bool {
    match cookie.max_age() {
        Some(age) => age <= Duration::ZERO,
        None => cookie.expires_datetime().is_some_and(|at| at <= OffsetDateTime::now_utc()),
    }
}
