//! What the peer is told: a page for browsers, JSON for those who prefer it, else lines of text.

use gateway_core::http::Method;
use gateway_core::http::StatusCode;
use gateway_core::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION};
use gateway_core::{Environ, Result};
use gateway_request::fields::{values, weighted};
use serde_json::{Value, json};

use super::Stored;
use super::refusal::Refusal;
use crate::answer::Answer;
use crate::listing::{self, page};
use crate::path::{RequestPath, shown};
use crate::site::Site;

/// All files are in their places. A browser is sent to see them there.
pub(super) fn stored(environ: &Environ, stored: &[Stored]) -> Result<Answer> {
    let is_form = *environ.method() == Method::POST;
    let json = listing::prefers_json(environ);
    let status = if is_form && !json { StatusCode::SEE_OTHER } else { StatusCode::CREATED };
    let location = match stored {
        _ if status == StatusCode::SEE_OTHER => Some(directory_href(environ)),
        [one] => Some(one.href.clone()),
        _ => None,
    };
    let answer = Answer::empty(status).vary("accept");
    let answer = match location {
        Some(location) => answer.with(LOCATION, HeaderValue::from_str(&location)?),
        None => answer,
    };
    Ok(if json {
        as_json(answer, json!({ "stored": list(stored) }))
    } else {
        as_text(answer, stored.iter().map(line).collect())
    })
}

/// Something is not in its place, and what came before it is.
pub(super) fn refused(
    site: &Site,
    environ: &Environ,
    refusal: &Refusal,
    stored: &[Stored],
) -> Result<Answer> {
    let status = refusal.status();
    let answer = Answer::empty(status).vary("accept");
    let answer = match refusal.field(site, environ) {
        Some((name, value)) => answer.with(name, value),
        None => answer,
    };
    if listing::prefers_json(environ) {
        let value = json!({ "error": refusal.to_string(), "stored": list(stored) });
        return Ok(as_json(answer, value));
    }
    if is_browser(environ) {
        let names: Vec<_> = stored.iter().map(|stored| shown(&stored.name)).collect();
        let back = matches!(refusal, Refusal::NoDirectory | Refusal::Malformed);
        let back = (!back).then(|| directory_href(environ));
        return Ok(answer
            .with(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
            .with(CONTENT_SECURITY_POLICY, HeaderValue::from_static(listing::POLICY))
            .with_body(page::refusal(
                &status.to_string(),
                &refusal.to_string(),
                &names,
                back.as_deref(),
            )));
    }
    let mut text = format!("{status}: {refusal}\n");
    text.extend(stored.iter().map(line));
    Ok(as_text(answer, text))
}

fn as_json(answer: Answer, value: Value) -> Answer {
    answer
        .with(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .with_body(format!("{value}\n"))
}

fn as_text(answer: Answer, text: String) -> Answer {
    answer.with(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")).with_body(text)
}

fn list(stored: &[Stored]) -> Value {
    let entry = |stored: &Stored| json!({ "name": shown(&stored.name), "href": stored.href, "size": stored.len });
    stored.iter().map(entry).collect()
}

fn line(stored: &Stored) -> String {
    let plural = if stored.len == 1 { "" } else { "s" };
    format!("stored {} ({} byte{plural})\n", stored.href, stored.len)
}

/// The directory that the request is about, or that the file that it names is in. It has been parsed
/// before, or the request was refused for something else, and leads nowhere then but to a 404.
fn directory_href(environ: &Environ) -> String {
    let raw = environ.raw_path_info();
    let raw = raw.rfind('/').map_or("", |slash| &raw[..=slash]);
    let path = RequestPath::parse(raw, true).unwrap_or_default();
    path.directory_href(environ.raw_script_name())
}

/// Who asks for HTML by its name.
fn is_browser(environ: &Environ) -> bool {
    weighted(values(environ, "accept"))
        .any(|(range, quality)| range.eq_ignore_ascii_case("text/html") && quality > 0)
}
