//! A listing for people.

use std::fmt::Write;

#[cfg(feature = "upload")]
use gateway_core::Body;

use super::{Entry, Place};
use crate::media::Kind;

const STYLE: &str = include_str!("page.css");

/// What the form and its complaints need beyond.
const FORM_STYLE: &str = include_str!("form.css");

/// The shapes that entries refer to, once for all of them.
const ICONS: &str = include_str!("icons.svg");

/// A page that needs neither scripts nor anything else to be loaded.
pub(super) fn text(place: &Place, entries: &[Entry], uploads: bool) -> String {
    let mut page = head(place, entries, uploads);
    for entry in entries {
        push_row(place, entry, &mut page);
    }
    page.push_str("</tbody>\n</table>\n</main>\n</body>\n</html>\n");
    page
}

/// Says that an upload was refused, what is in its place all the same, and where `back` leads.
#[cfg(feature = "upload")]
pub(crate) fn refusal(status: &str, reason: &str, stored: &[String], back: Option<&str>) -> Body {
    let mut page = String::with_capacity(8192);
    push_start(status, true, &mut page);
    page.push_str("<main class=\"refusal\">\n<h1>");
    push_escaped(status, &mut page);
    page.push_str("</h1>\n<p>");
    push_escaped(reason, &mut page);
    page.push_str(".</p>\n");
    if !stored.is_empty() {
        page.push_str("<p>These were stored before:</p>\n<ul>\n");
        for name in stored {
            page.push_str("<li><bdi>");
            push_escaped(name, &mut page);
            page.push_str("</bdi></li>\n");
        }
        page.push_str("</ul>\n");
    }
    if let Some(back) = back {
        page.push_str("<p><a href=\"");
        push_escaped(back, &mut page);
        page.push_str("\">Back to the directory</a></p>\n");
    }
    page.push_str("</main>\n</body>\n</html>\n");
    Body::from(page)
}

/// All before the page's own.
fn push_start(title: &str, with_form: bool, page: &mut String) {
    page.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    page.push_str("<link rel=\"icon\" href=\"data:,\">\n<title>");
    push_escaped(title, page);
    page.push_str("</title>\n<style>\n");
    page.push_str(STYLE);
    if with_form {
        page.push_str(FORM_STYLE);
    }
    page.push_str("</style>\n</head>\n<body>\n");
}

fn head(place: &Place, entries: &[Entry], uploads: bool) -> String {
    let here = place.crumbs.last().map_or("", |(name, _)| name.as_str());
    let title = if here.is_empty() { "Files" } else { here };
    let mut page = String::with_capacity(8192 + 256 * entries.len());
    push_start(title, uploads, &mut page);
    page.push_str(ICONS);
    page.push_str("<main>\n<header>\n");
    push_crumbs(place, &mut page);
    page.push_str("<p>");
    push_summary(entries, &mut page);
    page.push_str("</p>\n</header>\n");
    if uploads {
        push_form(place, &mut page);
    }
    page.push_str("<table>\n<thead><tr>");
    page.push_str("<th scope=\"col\">Name</th><th scope=\"col\">Size</th>");
    page.push_str("<th scope=\"col\">Modified <small>UTC</small></th></tr></thead>\n<tbody>\n");
    if let [.., (_, parent), _] = place.crumbs.as_slice() {
        page.push_str("<tr class=\"up\"><td><a href=\"");
        push_escaped(parent, &mut page);
        page.push_str("\"><svg aria-hidden=\"true\"><use href=\"#up\"/></svg>");
        page.push_str("<span>Parent directory</span></a></td><td></td><td></td></tr>\n");
    }
    if entries.is_empty() {
        page.push_str("<tr class=\"none\"><td colspan=\"3\">This directory is empty.</td></tr>\n");
    }
    page
}

fn push_crumbs(place: &Place, page: &mut String) {
    page.push_str("<nav aria-label=\"Path\"><ol>\n");
    let last = place.crumbs.len() - 1;
    for (at, (name, href)) in place.crumbs.iter().enumerate() {
        page.push_str("<li><a href=\"");
        push_escaped(href, page);
        page.push('"');
        if at == last {
            page.push_str(" aria-current=\"page\"");
        }
        page.push('>');
        if at == 0 {
            page.push_str("<svg role=\"img\" aria-label=\"Root\"><use href=\"#root\"/></svg>");
            if last == 0 {
                page.push_str("<span>Files</span>");
            }
        } else {
            page.push_str("<bdi>");
            push_escaped(name, page);
            page.push_str("</bdi>");
        }
        page.push_str("</a></li>\n");
    }
    page.push_str("</ol></nav>\n");
}

/// It works without scripts, so what it answers with is a page.
fn push_form(place: &Place, page: &mut String) {
    page.push_str("<form method=\"post\" enctype=\"multipart/form-data\" action=\"");
    push_escaped(&place.href, page);
    page.push_str("\">\n<label for=\"files\">Upload files into this directory</label>\n");
    page.push_str("<input id=\"files\" type=\"file\" name=\"file\" multiple required>\n");
    page.push_str("<button>Upload</button>\n</form>\n");
}

fn push_summary(entries: &[Entry], page: &mut String) {
    let directories = entries.iter().filter(|entry| entry.kind == Kind::Directory).count();
    let files = entries.len() - directories;
    let len: u64 = entries.iter().map(|entry| entry.len).fold(0, u64::saturating_add);
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let mut parts = Vec::new();
    if directories > 0 {
        parts.push(format!("{directories} folder{}", plural(directories)));
    }
    if files > 0 {
        parts.push(format!("{files} file{}", plural(files)));
        parts.push(size(len));
    }
    page.push_str(&parts.join(" · "));
}

fn push_row(place: &Place, entry: &Entry, page: &mut String) {
    let (icon, is_directory) = match entry.kind {
        Kind::Directory => ("dir", true),
        Kind::Text => ("text", false),
        Kind::Image => ("image", false),
        Kind::Audio => ("audio", false),
        Kind::Video => ("video", false),
        Kind::Archive => ("archive", false),
        Kind::Other => ("file", false),
    };
    page.push_str("<tr><td><a href=\"");
    push_escaped(&place.href_of(entry), page);
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "\"><svg class=\"{icon}\" aria-hidden=\"true\"><use href=\"#{icon}\"/></svg><bdi>"
    );
    push_escaped(&entry.shown, page);
    page.push_str(if is_directory { "/</bdi></a></td><td>" } else { "</bdi></a></td><td>" });
    if !is_directory {
        let _ = write!(page, "<data value=\"{}\">{}</data>", entry.len, size(entry.len));
    }
    page.push_str("</td><td>");
    if let Some(modified) = entry.modified()
        && let (Some(day), Some(minute)) = (modified.get(..10), modified.get(11..16))
    {
        let _ = write!(page, "<time datetime=\"{modified}\">{day} {minute}</time>");
    }
    page.push_str("</td></tr>\n");
}

/// What HTML means by itself, in text and in quoted attributes.
fn push_escaped(text: &str, page: &mut String) {
    for c in text.chars() {
        match c {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            c => page.push(c),
        }
    }
}

/// A number of bytes, rounded, with a decimal prefix.
fn size(bytes: u64) -> String {
    const PREFIXES: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let bytes = u128::from(bytes);
    let (mut unit, mut prefixes) = (1000, PREFIXES.iter());
    let mut prefix = prefixes.next();
    while (bytes + unit / 2) / unit >= 1000 {
        unit *= 1000;
        prefix = prefixes.next();
    }
    let prefix = prefix.unwrap_or(&"");
    let tenths = (bytes * 10 + unit / 2) / unit;
    if tenths >= 100 {
        return format!("{} {prefix}", (bytes + unit / 2) / unit);
    }
    format!("{}.{} {prefix}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1550, "1.6 kB"),
            (9_940, "9.9 kB"),
            (9_960, "10 kB"),
            (12_345, "12 kB"),
            (999_460, "999 kB"),
            (123_456, "123 kB"),
            (999_960, "1.0 MB"),
            (4_294_967_296, "4.3 GB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn what_html_means_is_escaped() {
        let mut page = String::new();
        push_escaped("<a href=\"x\" & 'y'>", &mut page);
        assert_eq!(page, "&lt;a href=&quot;x&quot; &amp; &#39;y&#39;&gt;");
    }
}
