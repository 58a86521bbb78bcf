//! A listing for programs.

use serde_json::{Value, json};

use super::{Entry, Place};
use crate::media::Kind;

/// `{"path": …, "entries": […]}`, an entry on each line.
pub(super) fn text(place: &Place, entries: &[Entry]) -> String {
    let mut text = format!("{{\"path\":{},\"entries\":[", Value::from(place.href.as_str()));
    for (at, entry) in entries.iter().enumerate() {
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
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&value.to_string());
    }
    text.push_str("\n]}\n");
    text
}
