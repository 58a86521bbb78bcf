//! A shelf of books that shows and takes them in every form that there is.

use std::fmt::Write as _;
use std::io::Read as _;

use gateway_core::http::header::{CONTENT_LANGUAGE, CONTENT_TYPE, HeaderName, HeaderValue, VARY};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{Application, Environ, IntoApplication, Mount, Response, Result, StartResponse};
use gateway_request::cookie::{Cookie, SameSite};
use gateway_request::{
    Multipart, cookies, form, form_async, preferred_encoding, preferred_language,
    preferred_media_type, query, set_cookies,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Search {
    q: String,
    #[serde(default)]
    tag: Vec<String>,
    page: Option<u32>,
}

#[derive(Deserialize)]
struct Book {
    title: String,
    author: Vec<String>,
    year: Option<i32>,
}

/// Everything below `/blocking` blocks, and below `/awaiting` awaits.
pub(crate) fn shelf() -> impl Application {
    let awaiting = Mount::new()
        .at("/add", add_async.into_application())
        .at("/upload", upload_async.into_application())
        .build()
        .expect("the prefixes are sound");
    let blocking =
        Mount::new().at("/add", add).at("/upload", upload).build().expect("the prefixes are sound");
    Mount::new()
        .at("/search", search)
        .at("/hello", hello)
        .at("/visits", visits)
        .at("/awaiting", awaiting)
        .at("/blocking", blocking)
        .build()
        .expect("the prefixes are sound")
}

fn search(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let Search { q, tag, page } = query(&environ)?;
    Ok(answer(start_response, format!("{q} {tag:?} {page:?}")))
}

fn hello(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let media_type = preferred_media_type(&environ, &["text/plain", "application/json"])?;
    let language = preferred_language(&environ, &["en", "de"]).unwrap_or("en");
    let coding = preferred_encoding(&environ, &["br", "gzip"]).unwrap_or("identity");
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_str(media_type)?),
        (CONTENT_LANGUAGE, HeaderValue::from_str(language)?),
        (VARY, HeaderValue::from_static("accept, accept-language, accept-encoding")),
        // It is not coded, it only says how it could be.
        (HeaderName::from_static("x-coding"), HeaderValue::from_str(coding)?),
    ];
    let word = if language == "de" { "Guten Tag" } else { "Good day" };
    let text = if media_type == "text/plain" { word.to_owned() } else { format!("{word:?}") };
    Ok(start_response.start(StatusCode::OK, headers).with_body(text))
}

fn visits(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let mut jar = cookies(&environ);
    let last = jar.get("last page").map(|cookie| cookie.value().to_owned());
    if environ.method() == Method::DELETE {
        jar.remove(Cookie::build("last page").path("/"));
    } else {
        let page = environ.query_string().unwrap_or_default().to_owned();
        jar.add(Cookie::build(("last page", page)).path("/").same_site(SameSite::Lax));
        jar.add(("a", "; Secure"));
    }
    let mut response = answer(start_response, format!("{last:?}"));
    set_cookies(&jar, &mut response.head_mut()?.headers)?;
    Ok(response)
}

fn add(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let book: Book = form(&mut environ, 100)?;
    Ok(answer(start_response, described(&book)))
}

async fn add_async(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let book: Book = form_async(&mut environ, 100).await?;
    Ok(answer(start_response, described(&book)))
}

fn upload(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    environ.input().limit(LIMIT)?;
    let mut multipart = Multipart::new(&mut environ)?;
    let mut parts = String::new();
    while let Some(mut part) = multipart.next_part()? {
        _ = write!(parts, "{:?} {:?} {:?}", part.name(), part.file_name(), part.content_type());
        if part.file_name().is_none() {
            _ = writeln!(parts, " {:?}", part.text(20)?);
            continue;
        }
        let (mut sum, mut length, mut some) = (0, 0, [0; 1000]);
        loop {
            let read = part.read(&mut some)?;
            if read == 0 {
                break;
            }
            sum = checksum(sum, &some[..read]);
            length += read;
        }
        _ = writeln!(parts, " {length} bytes, {sum}");
    }
    Ok(answer(start_response, parts))
}

async fn upload_async(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    environ.input().limit(LIMIT)?;
    let mut multipart = Multipart::new(&mut environ)?;
    let mut parts = String::new();
    while let Some(mut part) = multipart.next_part_async().await? {
        _ = write!(parts, "{:?} {:?} {:?}", part.name(), part.file_name(), part.content_type());
        if part.file_name().is_none() {
            _ = writeln!(parts, " {:?}", part.text_async(20).await?);
            continue;
        }
        let (mut sum, mut length) = (0, 0);
        while let Some(data) = part.data_async().await? {
            sum = checksum(sum, &data);
            length += data.len();
        }
        _ = writeln!(parts, " {length} bytes, {sum}");
    }
    Ok(answer(start_response, parts))
}

/// Of a whole upload, so that there is one that is too large.
pub(crate) const LIMIT: u64 = 10 << 20;

/// Depends on the order of the bytes, and not on their pieces.
pub(crate) fn checksum(sum: u64, data: &[u8]) -> u64 {
    data.iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

fn described(book: &Book) -> String {
    format!("{:?} by {} in {:?}", book.title, book.author.join(" and "), book.year)
}

fn answer(start_response: StartResponse, text: String) -> Response {
    start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(text)
}
