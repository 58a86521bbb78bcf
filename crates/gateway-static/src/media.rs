//! Media types by the names of files.

use gateway_core::Result;
use gateway_core::http::HeaderValue;

use crate::fields::owned;

/// What a file is, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Media {
    /// Without parameters.
    pub(crate) essence: &'static str,
}

/// The kinds that a listing shows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    Text,
    Image,
    Audio,
    Video,
    Archive,
    Other,
}

impl Media {
    /// What the name's extension stands for; `application/octet-stream` if for nothing known.
    pub(crate) fn of(name: &[u8]) -> Media {
        let extension = extension(name);
        let usual = USUAL.iter().find(|(of, _)| of.as_bytes() == extension);
        let essence = usual.map_or_else(|| looked_up(extension), |(_, essence)| essence);
        Media { essence }
    }

    /// The field's value: text gets `charset`, if there is one.
    ///
    /// JSON has no such parameter (RFC 8259 §11), and XML says it itself, which the parameter would
    /// overrule (RFC 7303 §3.2).
    pub(crate) fn content_type(&self, charset: Option<&str>) -> Result<HeaderValue> {
        Ok(match charset {
            Some("utf-8") if let Some(value) = in_utf_8(self.essence) => value,
            Some(charset) if self.essence.starts_with("text/") && self.essence != "text/xml" => {
                owned([self.essence, "; charset=", charset].concat())?
            }
            _ => HeaderValue::from_static(self.essence),
        })
    }

    /// Whether compressing it is of use.
    pub(crate) fn is_compressible(&self) -> bool {
        let essence = self.essence;
        essence.starts_with("text/")
            || essence.ends_with("+json")
            || essence.ends_with("+xml")
            || matches!(
                essence,
                "application/json"
                    | "application/xml"
                    | "application/wasm"
                    | "application/rtf"
                    | "application/x-sh"
                    | "application/x-tar"
                    | "application/vnd.ms-fontobject"
                    | "font/ttf"
                    | "font/otf"
                    | "image/bmp"
                    | "image/x-icon"
            )
    }

    pub(crate) fn kind(&self) -> Kind {
        let essence = self.essence;
        match essence.split('/').next() {
            Some("text") => Kind::Text,
            Some("image") => Kind::Image,
            Some("audio") => Kind::Audio,
            Some("video") => Kind::Video,
            _ if essence.ends_with("json") || essence.ends_with("xml") => Kind::Text,
            _ if ARCHIVES.contains(&essence) => Kind::Archive,
            _ => Kind::Other,
        }
    }
}

/// What stands behind the last dot of the last segment, unless that begins with it.
fn extension(name: &[u8]) -> &[u8] {
    let last = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    match last.iter().rposition(|&byte| byte == b'.') {
        None | Some(0) => b"",
        Some(dot) => &last[dot + 1..],
    }
}

fn looked_up(extension: &[u8]) -> &'static str {
    let extension = str::from_utf8(extension).unwrap_or_default();
    match BETTER.iter().find(|(of, _)| extension.eq_ignore_ascii_case(of)) {
        Some((_, essence)) => essence,
        None => mime_guess::from_ext(extension).first_raw().unwrap_or("application/octet-stream"),
    }
}

/// What most requests are for, by what the tables below say of it, which takes longer.
const USUAL: [(&str, &str); 16] = [
    ("html", "text/html"),
    ("css", "text/css"),
    ("js", "text/javascript"),
    ("mjs", "text/javascript"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("txt", "text/plain"),
    ("xml", "text/xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("gif", "image/gif"),
    ("svg", "image/svg+xml"),
    ("webp", "image/webp"),
    ("ico", "image/x-icon"),
    ("woff2", "font/woff2"),
    ("wasm", "application/wasm"),
];

/// The whole value, where it need not be put together.
fn in_utf_8(essence: &str) -> Option<HeaderValue> {
    const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
    const STYLE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
    const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
    const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
    match essence {
        "text/html" => Some(HTML),
        "text/css" => Some(STYLE),
        "text/javascript" => Some(SCRIPT),
        "text/plain" => Some(PLAIN),
        _ => None,
    }
}

/// Where the table that everybody shares is behind: RFC 9239 for scripts, RFC 8081 for fonts,
/// RFC 8878, RFC 3555, ECMA-426.
const BETTER: [(&str, &str); 11] = [
    ("mjs", "text/javascript"),
    ("cjs", "text/javascript"),
    ("woff", "font/woff"),
    ("otf", "font/otf"),
    ("zst", "application/zstd"),
    ("tgz", "application/gzip"),
    ("m4a", "audio/mp4"),
    ("ts", "video/mp2t"),
    ("map", "application/json"),
    ("diff", "text/x-diff"),
    ("patch", "text/x-diff"),
];

const ARCHIVES: [&str; 9] = [
    "application/zip",
    "application/gzip",
    "application/x-gzip",
    "application/x-tar",
    "application/x-bzip2",
    "application/x-xz",
    "application/x-7z-compressed",
    "application/zstd",
    "application/x-rar-compressed",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_is_what_would_be_looked_up() {
        for (extension, essence) in USUAL {
            assert_eq!(looked_up(extension.as_bytes()), essence, "{extension}");
            let looked_up = Media { essence }.content_type(Some("UTF-8")).expect("it is a value");
            let usual = Media { essence }.content_type(Some("utf-8")).expect("it is a value");
            assert!(usual.as_bytes().eq_ignore_ascii_case(looked_up.as_bytes()), "{usual:?}");
        }
    }

    #[test]
    fn extensions_are_those_of_the_last_segment() {
        for name in
            ["a.txt", "a.tar.gz", ".txt", "a", "a.", "", "d.ir/a", "d.ir/.a", "d.ir/a.b", "..a"]
        {
            let expected = std::path::Path::new(name).extension().unwrap_or_default();
            assert_eq!(extension(name.as_bytes()), expected.as_encoded_bytes(), "{name}");
        }
    }

    #[test]
    fn names_stand_for_types() {
        for (name, content_type, compressible) in [
            ("a.txt", "text/plain; charset=utf-8", true),
            ("a.HTML", "text/html; charset=utf-8", true),
            ("a.css", "text/css; charset=utf-8", true),
            ("a.js", "text/javascript; charset=utf-8", true),
            ("a.mjs", "text/javascript; charset=utf-8", true),
            ("a.json", "application/json", true),
            ("a.css.MAP", "application/json", true),
            ("a.xml", "text/xml", true),
            ("a.xhtml", "application/xhtml+xml", true),
            ("a.woff", "font/woff", false),
            ("a.otf", "font/otf", true),
            ("a.tar.zst", "application/zstd", false),
            ("a.svg", "image/svg+xml", true),
            ("a.wasm", "application/wasm", true),
            ("a.png", "image/png", false),
            ("a.webp", "image/webp", false),
            ("a.avif", "image/avif", false),
            ("a.mp4", "video/mp4", false),
            ("a.woff2", "font/woff2", false),
            ("a.pdf", "application/pdf", false),
            ("a.tar.gz", "application/gzip", false),
            ("a.webmanifest", "application/manifest+json", true),
            ("a.md", "text/markdown; charset=utf-8", true),
            ("a", "application/octet-stream", false),
            (".txt", "application/octet-stream", false),
            ("a.unknown-thing", "application/octet-stream", false),
        ] {
            let media = Media::of(name.as_bytes());
            let value = media.content_type(Some("utf-8")).expect("it is a value");
            assert_eq!(value, content_type, "{name}");
            assert_eq!(media.is_compressible(), compressible, "{name}");
        }
        assert_eq!(Media::of(b"a.txt").content_type(None).expect("it is a value"), "text/plain");
        assert_eq!(Media::of(b"\xff.txt").essence, "text/plain");
    }
}
