//! What is said of an error.

use std::error::Error as StdError;
use std::fmt::Write;

use gateway_core::Error;

use super::watch::Details;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;\
                     padding:0 1rem}h1{font-size:1.3rem}pre{background:#f4f4f4;padding:1rem;\
                     overflow:auto}code{color:#555}\
                     @media(prefers-color-scheme:dark){body{background:#111;color:#ddd}\
                     pre{background:#222}code{color:#aaa}}";

pub(super) struct Report<'a> {
    pub(super) request: &'a str,
    pub(super) error: &'a Error,
    pub(super) details: Option<&'a Details>,
}

impl Report<'_> {
    /// The error and what it comes from, the outermost first.
    fn causes(&self) -> Vec<String> {
        let first: &(dyn StdError + 'static) = self.error;
        std::iter::successors(Some(first), |&error| error.source())
            .map(ToString::to_string)
            .collect()
    }

    fn place(&self) -> Option<&str> {
        self.details?.place.as_deref()
    }

    /// For the log.
    pub(super) fn line(&self) -> String {
        let causes = self.causes().join(": ");
        let place = self.place().map_or(String::new(), |place| format!(" (at {place})"));
        format!("{}: {causes}{place}", self.request)
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n\n{}\n", self.error.status(), self.request);
        // Writing to a string does not fail.
        for cause in self.causes() {
            let _ = writeln!(text, "  {cause}");
        }
        if let Some(place) = self.place() {
            let _ = writeln!(text, "  at {place}");
        }
        if let Some(details) = self.details {
            let _ = write!(text, "\n{}", details.stack);
        }
        text
    }

    pub(super) fn html(&self) -> String {
        let status = escaped(&self.error.status().to_string());
        let mut html = format!(
            "<!DOCTYPE html><meta charset=\"utf-8\"><title>{status}</title><style>{STYLE}</style>\n\
             <h1>{status}</h1>\n<p><code>{}</code>\n<ol>\n",
            escaped(self.request)
        );
        for cause in self.causes() {
            let _ = writeln!(html, "<li>{}", escaped(&cause));
        }
        html.push_str("</ol>\n");
        if let Some(place) = self.place() {
            let _ = writeln!(html, "<p>at <code>{}</code>", escaped(place));
        }
        if let Some(details) = self.details {
            let _ = writeln!(html, "<pre>{}</pre>", escaped(&details.stack));
        }
        html
    }
}

/// What peers and errors say, as text in HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_page_is_markup_but_ours() {
        let error = Error::application("<script>alert('a & \"b\"')</script>");
        let html = Report { request: "GET /<b>", error: &error, details: None }.html();
        assert!(
            html.contains("&lt;script&gt;alert(&#39;a &amp; &quot;b&quot;&#39;)&lt;/script&gt;")
        );
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
    }
}
