//! Media types by the names of files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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
        let path = Path::new(OsStr::from_bytes(name));
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        if let Some((_, essence)) = BETTER.iter().find(|(of, _)| extension.eq_ignore_ascii_case(of))
        {
            return Media { essence };
        }
        let essence = mime_guess::from_ext(extension).first_raw();
        Media { essence: essence.unwrap_or("application/octet-stream") }
    }

    /// The field's value: text gets `charset`, if there is one.
    ///
    /// JSON has no such parameter (RFC 8259 §11), and XML says it itself, which the parameter would
    /// overrule (RFC 7303 §3.2).
    pub(crate) fn content_type(&self, charset: Option<&str>) -> Result<HeaderValue> {
        Ok(match charset {
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
