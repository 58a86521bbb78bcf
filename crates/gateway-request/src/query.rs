//! The query string as a type of the application's.

use gateway_core::http::StatusCode;
use gateway_core::{Environ, Error};
use serde::Deserialize;

/// Reads the query string; without one it is an empty query.
///
/// Pairs are parted by `&`, `+` is a space, and what is percent-encoded is decoded; what is no UTF-8
/// then has U+FFFD in its place. A key that is there several times fits a `Vec`, one that may be
/// missing an `Option`, or a field with `#[serde(default)]`. An empty value is `None` for an `Option` of
/// a number or a truth value, as a form sends it for what was left out, and `Some("")` for a string.
///
/// # Errors
///
/// [`QueryError`] if a value is missing, there too often, or not what `T` has there.
///
/// # Examples
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Page {
///     number: u32,
///     sort: Option<String>,
/// }
///
/// fn list(environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let page: Page = gateway_request::query(&environ)?;
///     let text = format!("page {} by {}\n", page.number, page.sort.as_deref().unwrap_or("date"));
///     Ok(start_response.start(StatusCode::OK, ()).with_body(text))
/// }
/// ```
///
/// Source: WHATWG URL Standard, "application/x-www-form-urlencoded parsing".
pub fn query<'a, T: Deserialize<'a>>(environ: &'a Environ) -> Result<T, QueryError> {
    parse(environ.query_string().unwrap_or_default())
}

fn parse<'a, T: Deserialize<'a>>(query: &'a str) -> Result<T, QueryError> {
    serde_html_form::from_str(query).map_err(QueryError)
}

/// The peer sent a query that does not fit: 400.
#[derive(Debug, thiserror::Error)]
#[error("the query string is not what is read from it")]
pub struct QueryError(#[source] serde::de::value::Error);

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Error {
        Error::with_status(StatusCode::BAD_REQUEST, error)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Search {
        q: String,
        #[serde(default)]
        tag: Vec<String>,
        page: Option<u32>,
    }

    #[test]
    fn keys_may_repeat_and_values_are_decoded() {
        let read: Search = parse("tag=a%26b&q=two+words&tag=%C3%A9&other").expect("it fits");
        let tag = vec!["a&b".to_owned(), "é".to_owned()];
        assert_eq!(read, Search { q: "two words".to_owned(), tag, page: None });
    }

    #[test]
    fn what_is_empty_is_no_number() {
        let read: Search = parse("q=&page=").expect("it fits");
        assert_eq!((&*read.q, read.page), ("", None));
    }

    #[test]
    fn what_does_not_fit_is_the_peers_fault() {
        for query in ["", "q=a&q=b", "q=a&page=-1", "q=a&page=x"] {
            let error = parse::<Search>(query).expect_err(query);
            assert!(error.source().is_some(), "{query}");
            assert_eq!(Error::from(error).status(), StatusCode::BAD_REQUEST, "{query}");
        }
    }
}
