//! A guest book: a form, a query, a cookie, and an answer in the form that the peer prefers.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gateway_core::http::header::{ALLOW, CONTENT_TYPE, LOCATION, VARY};
use gateway_core::http::{HeaderValue, Method, StatusCode};
use gateway_core::{Application, Environ, Error, IntoApplication, Response, Result, StartResponse};
use gateway_request::cookie::{Cookie, SameSite};
use gateway_request::{cookies, form, preferred_media_type, query, set_cookies};
use serde::{Deserialize, Serialize};

/// How many entries the book has room for, and how large one may be, in bytes of its form.
const ROOM: usize = 100;
const LARGEST: u64 = 16 << 10;

const HTML: &str = "text/html;charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain;charset=utf-8";

/// What the page's form says.
#[derive(Clone, Deserialize, Serialize)]
struct Entry {
    name: String,
    text: String,
}

/// `?by=Ada` asks for the entries of one guest.
#[derive(Deserialize)]
struct Wanted {
    by: Option<String>,
}

/// Shows the book at GET, as a page, as JSON or as text, and takes an entry by POST. All that is wrong
/// with a request is an error with its own status: 400, 406, 413, 415.
pub fn app() -> impl Application {
    let book = Book::default();
    (move |environ: Environ, start_response: StartResponse| match *environ.method() {
        Method::GET | Method::HEAD => book.show(&environ, start_response),
        Method::POST => book.sign(environ, start_response),
        _ => Ok(start_response.start(StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD, POST")])),
    })
    .into_application()
}

#[derive(Default)]
struct Book(Mutex<VecDeque<Entry>>);

impl Book {
    fn show(&self, environ: &Environ, start_response: StartResponse) -> Result<Response> {
        let media_type = preferred_media_type(environ, &[HTML, JSON, TEXT])?;
        let Wanted { by } = query(environ)?;
        let mut entries: Vec<Entry> = self.entries().iter().cloned().collect();
        entries.retain(|entry| by.as_ref().is_none_or(|by| *by == entry.name));
        let body = match media_type {
            JSON => serde_json::to_string(&entries).map_err(Error::application)?,
            TEXT => entries.iter().map(|it| format!("{}: {}\n", it.name, it.text)).collect(),
            _ => page(&entries, cookies(environ).get("name").map_or("", Cookie::value)),
        };
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_str(media_type)?),
            (VARY, HeaderValue::from_static("accept, cookie")),
        ];
        Ok(start_response.start(StatusCode::OK, headers).with_body(body))
    }

    /// Whoever has signed is shown the book, and need not say the name again.
    fn sign(&self, mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        let entry: Entry = form(&mut environ, LARGEST)?;
        let mut jar = cookies(&environ);
        let name = Cookie::build(("name", entry.name.clone()));
        jar.add(name.http_only(true).same_site(SameSite::Lax));

        let mut entries = self.entries();
        if entries.len() == ROOM {
            entries.pop_front();
        }
        entries.push_back(entry);

        let here = HeaderValue::from_str(&format!("{}/", environ.raw_script_name()))?;
        let mut response = start_response.start(StatusCode::SEE_OTHER, [(LOCATION, here)]);
        set_cookies(&jar, &mut response.head_mut()?.headers)?;
        Ok(response)
    }

    /// An entry is there or it is not, whatever becomes of the thread that brings it.
    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn page(entries: &[Entry], name: &str) -> String {
    let entries: String = entries
        .iter()
        .map(|it| format!("<dt>{}<dd>{}\n", escaped(&it.name), escaped(&it.text)))
        .collect();
    format!(
        "<!doctype html>
<title>Guest book</title>
<form method=post>
<input name=name placeholder=Name value=\"{}\" required> <input name=text required> <button>Sign</button>
</form>
<dl>
{entries}</dl>
",
        escaped(name)
    )
}

/// Text as HTML has it, also between quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
