//! A listing for programs.

use gateway_core::Body;
use serde_json::{Value, json};

use super::{Entry, Place, body};
use crate::media::Kind;

/// `{"path": …, "entries": […]}`, an entry on each line.
pub(super) fn body_of(place: Place, entries: Vec<Entry>) -> Body {
    let first = format!("{{\"path\":{},\"entries\":[", Value::from(place.href.as_str()));
    let row = move |entry: &Entry, is_first: bool, into: &mut String| {
        let is_directory = entry.kind == Kind::Directory;
        let mut value = json!({
            "name": entry.shown,
            "href": place.href_of(entry),
            "type": if is_directory { "directory" } else { "file" },
            "modified": entry.modified(),
        });
        if !is_directory {
            value["size"] = entry.len.into();
        }
        into.push_str(if is_first { "\n" } else { ",\n" });
        into.push_str(&value.to_string());
    };
    body(first, entries, row, "\n]}\n")
}
