//! What can be chosen about a tree of files.

use std::io;
use std::path::{Path, PathBuf};

use gateway_core::http::HeaderValue;
use rustix::io::Errno;

use crate::compress::Encoders;
use crate::cors::Origins;
use crate::listing::recent::Recent;
use crate::root::{Found, Look, Root};
use crate::site::{Site, StaticFiles};
use crate::upload::Uploads;

/// How many ranges one request may ask for, if nothing else is said.
const MAX_RANGES: usize = 32;

/// How many bytes one request may bring, if nothing else is said.
const UPLOAD_LIMIT: u64 = 1 << 30;

/// Collects what a [`StaticFiles`] is to do; [`build`](StaticFilesBuilder::build) checks it.
///
/// # Examples
///
/// A single-page application, whose assets have names that change with their content:
///
/// ```
/// use gateway_static::{StaticError, StaticFiles};
///
/// # fn main() -> Result<(), StaticError> {
/// # let directory = tempfile::tempdir().unwrap();
/// # std::fs::write(directory.path().join("index.html"), "").unwrap();
/// # let dist = directory.path();
/// let app = StaticFiles::new(dist)
///     .spa_fallback("index.html")
///     .precompressed(true)
///     .cache_control("no-cache")
///     .cache_control_under("/assets", "public, max-age=31536000, immutable")
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is served before `build`"]
pub struct StaticFilesBuilder {
    root: PathBuf,
    index_files: Vec<String>,
    listing: bool,
    hidden_files: bool,
    follow_symlinks: bool,
    precompressed: bool,
    compression: bool,
    max_ranges: usize,
    charset: Option<String>,
    spa_fallback: Option<String>,
    not_found_page: Option<String>,
    cache_control: Vec<(String, String)>,
    origins: Origins,
    upload: bool,
    upload_limit: u64,
}

impl StaticFilesBuilder {
    pub(crate) fn new(root: PathBuf) -> StaticFilesBuilder {
        StaticFilesBuilder {
            root,
            index_files: vec!["index.html".to_owned()],
            listing: false,
            hidden_files: false,
            follow_symlinks: false,
            precompressed: false,
            compression: false,
            max_ranges: MAX_RANGES,
            charset: Some("utf-8".to_owned()),
            spa_fallback: None,
            not_found_page: None,
            cache_control: Vec::new(),
            origins: Origins::None,
            upload: false,
            upload_limit: UPLOAD_LIMIT,
        }
    }

    /// The names that stand for their directory, the first that is there; `index.html` if nothing
    /// else is said, none if `names` is empty.
    pub fn index_files<N: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> StaticFilesBuilder {
        self.index_files = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether a directory without an index file is listed: as a page, or as JSON for those who
    /// prefer `application/json` to `text/html`. Off if nothing else is said: 404.
    ///
    /// The JSON is an object with the directory's `path` and its `entries`, each with `name`,
    /// `href` (encoded, absolute), `type` (`directory` or `file`), `size` in bytes (files only) and
    /// `modified` (RFC 3339, UTC).
    ///
    /// An entry that comes, goes or is renamed is seen at once, where the file system tells by the
    /// directory's time of change; a size, a date or where a link leads may be a second old. A directory
    /// is read by one request at a time, and those that came before, or come within that second, are
    /// sent the same page. So are slow readers, which cost no memory of their own.
    pub fn listing(mut self, listing: bool) -> StaticFilesBuilder {
        self.listing = listing;
        self
    }

    /// Whether names that begin with a dot are served and listed. Off if nothing else is said;
    /// `/.well-known` is served all the same (RFC 8615).
    pub fn hidden_files(mut self, hidden_files: bool) -> StaticFilesBuilder {
        self.hidden_files = hidden_files;
        self
    }

    /// Whether symbolic links may lead out of the root. Off if nothing else is said: those that
    /// stay inside are followed, those that leave it and absolute ones are not found.
    ///
    /// With it, whoever can make a link below the root can have any file served that the process
    /// may read.
    pub fn follow_symlinks(mut self, follow_symlinks: bool) -> StaticFilesBuilder {
        self.follow_symlinks = follow_symlinks;
        self
    }

    /// Whether `name.br`, `name.zst` and `name.gz` are sent in place of `name` to peers who accept
    /// that coding. Off if nothing else is said, since it takes the names for a promise.
    ///
    /// A sibling whose modification time is a second or more before the file's is passed over: it
    /// was made of something older. All files then get `Vary: accept-encoding`.
    pub fn precompressed(mut self, precompressed: bool) -> StaticFilesBuilder {
        self.precompressed = precompressed;
        self
    }

    /// Whether files of 1 KiB to 16 MiB whose type is worth it are compressed as they are sent, to
    /// peers who accept a coding that a feature of this crate provides. Off if nothing else is
    /// said. Ranges are never compressed, and a precompressed sibling goes first. `If-Range` with a date
    /// holds for no file then, as with [`precompressed`](StaticFilesBuilder::precompressed).
    ///
    /// What is compressed on the fly has a weak `ETag` and no `Content-Length`. It costs a
    /// processor's time for every response, and, until it is read, 0.4 MiB of memory with gzip and
    /// 2 with Brotli; siblings that were compressed once are better. 64 responses are compressed at a
    /// time; whoever asks for a file meanwhile gets it as it is. Where that is not acceptable to the
    /// peer it is a 503, and a 406 for what is too long to be compressed.
    #[cfg(any(feature = "gzip", feature = "brotli"))]
    pub fn compression(mut self, compression: bool) -> StaticFilesBuilder {
        self.compression = compression;
        self
    }

    /// How many ranges one request may ask for; with more, it gets the whole file. 32 if nothing
    /// else is said; 0 turns ranges off.
    ///
    /// Source: RFC 9110 §14.2; CVE-2011-3192.
    pub fn max_ranges(mut self, max_ranges: usize) -> StaticFilesBuilder {
        self.max_ranges = max_ranges;
        self
    }

    /// The `charset` that `Content-Type` names for text; `utf-8` if nothing else is said. Browsers
    /// believe it more than what the file says.
    pub fn charset(mut self, charset: impl Into<String>) -> StaticFilesBuilder {
        self.charset = Some(charset.into());
        self
    }

    /// Lets `Content-Type` name no `charset`, so that files say it themselves.
    pub fn without_charset(mut self) -> StaticFilesBuilder {
        self.charset = None;
        self
    }

    /// The file that answers, with 200, for paths that name nothing: for applications that route in
    /// the browser. `page` is relative to the root.
    ///
    /// Only for those who take HTML, and for paths whose last segment has no dot: a missing
    /// `/app.js` stays missing.
    pub fn spa_fallback(mut self, page: impl Into<String>) -> StaticFilesBuilder {
        self.spa_fallback = Some(page.into());
        self
    }

    /// The file that is sent with 404, in place of a line of text. `page` is relative to the root.
    pub fn not_found_page(mut self, page: impl Into<String>) -> StaticFilesBuilder {
        self.not_found_page = Some(page.into());
        self
    }

    /// The `Cache-Control` of files; none if nothing else is said. Listings and errors have none.
    pub fn cache_control(self, value: impl Into<String>) -> StaticFilesBuilder {
        self.cache_control_under("", value)
    }

    /// The `Cache-Control` of files below `prefix`, or of the file that it names: decoded, like
    /// `/assets`, and relative to the root. The longest prefix that fits decides, by the file that is sent.
    pub fn cache_control_under(
        mut self,
        prefix: impl Into<String>,
        value: impl Into<String>,
    ) -> StaticFilesBuilder {
        self.cache_control.push((prefix.into(), value.into()));
        self
    }

    /// Lets scripts of all origins read what is served.
    ///
    /// Source: the Fetch standard, "CORS protocol".
    pub fn cors_any_origin(mut self) -> StaticFilesBuilder {
        self.origins = Origins::Any;
        self
    }

    /// Lets scripts of these origins read what is served. An origin is a scheme and a host, and a
    /// port where it is not the usual one, like `https://app.example`.
    pub fn cors_origins<O: Into<String>>(
        mut self,
        origins: impl IntoIterator<Item = O>,
    ) -> StaticFilesBuilder {
        self.origins = Origins::Listed(origins.into_iter().map(Into::into).collect());
        self
    }

    /// Whether files can be uploaded into the directories that are served. Off if nothing else is
    /// said. Listings then have a form; the crate's documentation says what is taken, and what is
    /// refused.
    ///
    /// Whoever reaches the application can fill the disk, and place pages that browsers run as pages
    /// of this site: have something around it that asks who comes, such as `BasicAuth` of
    /// `gateway-middleware`. What [`cors_any_origin`](StaticFilesBuilder::cors_any_origin) and
    /// [`cors_origins`](StaticFilesBuilder::cors_origins) allow is reading only.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_static::{StaticError, StaticFiles};
    ///
    /// # fn main() -> Result<(), StaticError> {
    /// # let directory = std::env::temp_dir();
    /// let app = StaticFiles::new(directory).listing(true).upload(true).upload_limit(64 << 20).build()?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "upload")]
    pub fn upload(mut self, upload: bool) -> StaticFilesBuilder {
        self.upload = upload;
        self
    }

    /// How many bytes the body of one request may have that uploads files, all files of a form
    /// together; 1 GiB if nothing else is said. It takes the place of the server's body limit.
    #[cfg(feature = "upload")]
    pub fn upload_limit(mut self, bytes: u64) -> StaticFilesBuilder {
        self.upload_limit = bytes;
        self
    }

    /// Opens the root and checks all settings.
    ///
    /// The root stays open: what is later put in its place under the same name is not served.
    ///
    /// # Errors
    ///
    /// [`StaticError::Root`] if the root is no directory or cannot be opened;
    /// [`StaticError::Page`] if a page is not there; [`StaticError::Setting`] for a value that
    /// cannot be meant.
    ///
    /// ```
    /// use gateway_static::StaticFiles;
    ///
    /// let error = StaticFiles::new("/no/such/directory").build().unwrap_err();
    /// assert_eq!(error.to_string(), "cannot serve `/no/such/directory`: there is no such directory");
    /// ```
    pub fn build(self) -> Result<StaticFiles, StaticError> {
        let root = Root::open(&self.root, self.follow_symlinks)
            .map_err(|source| StaticError::Root { path: self.root.clone(), source })?;
        for name in &self.index_files {
            if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
                return Err(setting("index_files", format!("`{name}` is no name of a file")));
            }
        }
        let spa = self.spa_fallback.map(|page| find(&root, "spa_fallback", page)).transpose()?;
        let not_found =
            self.not_found_page.map(|page| find(&root, "not_found_page", page)).transpose()?;
        if let Some(charset) = &self.charset
            && (charset.is_empty() || !charset.bytes().all(is_token_byte))
        {
            let reason = format!("`{charset}` is no charset; write its name, like utf-8");
            return Err(setting("charset", reason));
        }
        check_origins(&self.origins)?;
        Ok(StaticFiles::of(Site {
            root,
            index_files: self.index_files.into_iter().map(String::into_bytes).collect(),
            listing: self.listing,
            hidden_files: self.hidden_files,
            precompressed: self.precompressed,
            compression: self.compression,
            encoders: Encoders::default(),
            max_ranges: self.max_ranges,
            charset: self.charset,
            spa,
            not_found,
            cache_control: cache_rules(self.cache_control)?,
            origins: self.origins,
            uploads: Uploads::new(self.upload, self.upload_limit),
            listings: Recent::default(),
        }))
    }
}

/// Why files cannot be served as they were asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StaticError {
    /// The root cannot be opened as a directory.
    #[error("cannot serve `{}`{}", path.display(), hint(source, "directory"))]
    Root {
        /// The root as it was given.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A page that is to answer for others cannot be opened.
    #[error("the page `{page}` of `{setting}` cannot be sent{}", hint(source, "file"))]
    Page {
        /// The builder's method.
        setting: &'static str,
        /// The page as it was given.
        page: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A value that cannot be meant.
    #[error("the setting `{setting}` is refused: {reason}")]
    Setting {
        /// The builder's method.
        setting: &'static str,
        /// What is wrong and what would do.
        reason: String,
    },
}

fn hint(source: &io::Error, what: &str) -> String {
    match source.kind() {
        io::ErrorKind::NotFound => format!(": there is no such {what}"),
        io::ErrorKind::NotADirectory => {
            ": it is not a directory; name the one that holds the files".to_owned()
        }
        io::ErrorKind::IsADirectory => ": it is a directory; name a file in it".to_owned(),
        io::ErrorKind::PermissionDenied => {
            ": permission denied; the process's user must be able to open it".to_owned()
        }
        _ if Errno::from_io_error(source) == Some(Errno::XDEV) => {
            ": it is outside of the root".to_owned()
        }
        _ => String::new(),
    }
}

fn setting(setting: &'static str, reason: String) -> StaticError {
    StaticError::Setting { setting, reason }
}

/// The page as a name below the root, if it is there.
fn find(root: &Root, setting: &'static str, page: String) -> Result<Vec<u8>, StaticError> {
    let name = Path::new(&page)
        .strip_prefix("/")
        .unwrap_or(Path::new(&page))
        .to_str()
        .unwrap_or_default()
        .as_bytes()
        .to_vec();
    let source = match root.find(&name, &Look::patient()) {
        Ok(Found::File(_)) => return Ok(name),
        Ok(Found::Directory(_)) => io::ErrorKind::IsADirectory.into(),
        Err(error) => error.into(),
    };
    Err(StaticError::Page { setting, page, source })
}

/// The rules with their prefixes as names below the root, the longest first.
fn cache_rules(rules: Vec<(String, String)>) -> Result<Vec<(Vec<u8>, HeaderValue)>, StaticError> {
    let mut checked = Vec::new();
    for (prefix, value) in rules {
        if !prefix.is_empty() && (!prefix.starts_with('/') || prefix.ends_with('/')) {
            let reason = format!(
                "the prefix `{prefix}` must begin with `/` and not end with it, like /assets"
            );
            return Err(setting("cache_control_under", reason));
        }
        let Ok(field) = HeaderValue::from_str(&value) else {
            let reason = format!("{value:?} cannot be the value of a field");
            return Err(setting("cache_control", reason));
        };
        checked.push((prefix.trim_start_matches('/').as_bytes().to_vec(), field));
    }
    // The last one that was said for a prefix goes first.
    checked.reverse();
    checked.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    Ok(checked)
}

fn check_origins(origins: &Origins) -> Result<(), StaticError> {
    let Origins::Listed(origins) = origins else { return Ok(()) };
    for origin in origins {
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        if host.is_empty()
            || host.contains(['/', ' ', '*'])
            || HeaderValue::from_str(origin).is_err()
        {
            let reason = format!("`{origin}` is no origin; write it like https://app.example");
            return Err(setting("cors_origins", reason));
        }
    }
    Ok(())
}

fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
