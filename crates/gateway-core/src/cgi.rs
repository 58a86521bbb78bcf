//! The CGI view of an [`Environ`]: PEP 3333 and RFC 3875 names over the same request.

use std::borrow::Cow;

use http::Version;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::{Address, Environ, request_line};

impl Environ {
    /// The variable `name`, as a WSGI or CGI application would find it.
    ///
    /// Text is Latin-1, as PEP 3333 has it: every byte of the request is one character. A header
    /// field `X-Name` is `HTTP_X_NAME`; repeated fields are joined by `", "`, cookies by `"; "`.
    ///
    /// It cannot be spoofed: there is no `HTTP_PROXY`, no `HTTP_CONTENT_LENGTH` and no
    /// `HTTP_CONTENT_TYPE`, and a field whose name has a `_` is not reachable through it. An
    /// authority in the target stands in `HTTP_HOST` in place of the Host field.
    ///
    /// Beyond RFC 3875 there are `REQUEST_URI` (the target as it came), `REQUEST_SCHEME`, `HTTPS`
    /// (`on`, or not there), `REMOTE_PORT` and `wsgi.url_scheme`. Not there are those of which
    /// nothing is known: `CONTENT_LENGTH` and `CONTENT_TYPE` without a body, `REMOTE_PORT` without
    /// an IP address. `REMOTE_ADDR` is empty then.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
    ///
    /// /// Like `printenv` among the CGI scripts.
    /// fn print_variables(environ: Environ, start_response: StartResponse) -> Result<Response> {
    ///     let lines: String = environ.vars().map(|(name, value)| format!("{name}={value}\n")).collect();
    ///     Ok(start_response.start(StatusCode::OK, ()).with_body(lines))
    /// }
    /// ```
    ///
    /// Source: PEP 3333, "`environ` Variables"; RFC 3875 §4.1; for the joins RFC 9110 §5.3 and
    /// RFC 9113 §8.2.3.
    pub fn var(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(value) = self.overrides().and_then(|set| set.vars.get(name)) {
            return Some(Cow::Borrowed(value));
        }
        match name.strip_prefix("HTTP_") {
            Some(field) => self.field_var(field),
            None => self.meta_var(name),
        }
    }

    /// All variables, in no particular order, each once.
    pub fn vars(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let set = self.overrides().map(|set| &set.vars);
        let overridden = move |name: &str| set.is_some_and(|set| set.contains_key(name));
        let meta = META
            .iter()
            .filter(move |name| !overridden(name))
            .filter_map(|name| self.meta_var(name).map(|value| (Cow::Borrowed(*name), value)));
        let host = self
            .stated_authority()
            .filter(|_| !overridden("HTTP_HOST"))
            .map(|host| (Cow::Borrowed("HTTP_HOST"), latin1(Cow::Borrowed(host))));
        let host_is_stated = host.is_some();
        let fields = self.fields().enumerate().filter_map(move |(at, (name, _))| {
            if !is_reachable(name) || self.stood_before(at, name) {
                return None;
            }
            let name = format!("HTTP_{}", cgi_name(name));
            if overridden(&name) || (host_is_stated && name == "HTTP_HOST") {
                return None;
            }
            let value = self.field_var(&name["HTTP_".len()..])?;
            Some((Cow::Owned(name), value))
        });
        let set = set
            .into_iter()
            .flatten()
            .map(|(name, value)| (Cow::Borrowed(name.as_str()), Cow::Borrowed(value.as_str())));
        meta.chain(host).chain(fields).chain(set)
    }

    /// Sets a variable, such as `REMOTE_USER` or one of `SSL_*`, over whatever the request says.
    ///
    /// It changes the CGI view only: for what has a typed form there is
    /// [`set_remote_addr`](Environ::set_remote_addr), [`set_url_scheme`](Environ::set_url_scheme)
    /// and so on, which change both.
    pub fn set_var(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.overrides_mut().vars.insert(name.into(), value.into());
    }

    fn meta_var(&self, name: &str) -> Option<Cow<'_, str>> {
        let connection = self.connection();
        Some(match name {
            "REQUEST_METHOD" => Cow::Borrowed(self.method().as_str()),
            "SCRIPT_NAME" => latin1(request_line::decode(self.raw_script_name().as_bytes())),
            "PATH_INFO" => latin1(self.path_info_bytes()),
            "QUERY_STRING" => Cow::Borrowed(self.query_string().unwrap_or_default()),
            "REQUEST_URI" => Cow::Borrowed(self.raw_target()),
            "CONTENT_TYPE" => latin1(Cow::Borrowed(self.header("content-type")?)),
            "CONTENT_LENGTH" => {
                // Without a body there is none, so a length of 0 counts only where it was said.
                let len = self.declared_len()?;
                if len == 0 && self.header("content-length").is_none() {
                    return None;
                }
                Cow::Owned(len.to_string())
            }
            "SERVER_NAME" => Cow::Borrowed(&*connection.server.name),
            "SERVER_PORT" => match (&connection.local, connection.server.port) {
                (Address::Inet(address), _) => Cow::Owned(address.port().to_string()),
                (_, Some(port)) => Cow::Owned(port.to_string()),
                // PEP 3333: it can never be an empty string.
                (_, None) if self.url_scheme() == "https" => Cow::Borrowed("443"),
                (_, None) => Cow::Borrowed("80"),
            },
            "SERVER_PROTOCOL" => Cow::Borrowed(protocol(self.version())),
            "SERVER_SOFTWARE" => Cow::Borrowed(&*connection.server.software),
            "GATEWAY_INTERFACE" => Cow::Borrowed("CGI/1.1"),
            "REMOTE_ADDR" => match self.remote_addr() {
                Address::Inet(address) => Cow::Owned(address.ip().to_string()),
                _ => Cow::Borrowed(""),
            },
            "REMOTE_PORT" => Cow::Owned(self.remote_addr().inet()?.port().to_string()),
            "REQUEST_SCHEME" | "wsgi.url_scheme" => Cow::Borrowed(self.url_scheme()),
            "HTTPS" if self.url_scheme() == "https" => Cow::Borrowed("on"),
            _ => return None,
        })
    }

    /// The values of the fields whose CGI name is `HTTP_` and `suffix`.
    fn field_var(&self, suffix: &str) -> Option<Cow<'_, str>> {
        if let ("HOST", Some(host)) = (suffix, self.stated_authority()) {
            return Some(latin1(Cow::Borrowed(host)));
        }
        let separator = if suffix == "COOKIE" { "; " } else { ", " };
        let mut values = self
            .fields()
            .filter(|(name, _)| is_reachable(name) && has_cgi_name(name, suffix))
            .map(|(_, value)| latin1(Cow::Borrowed(value)));
        let mut joined = values.next()?;
        for value in values {
            let joined = joined.to_mut();
            joined.push_str(separator);
            joined.push_str(&value);
        }
        Some(joined)
    }

    fn stood_before(&self, at: usize, name: &[u8]) -> bool {
        self.fields().take(at).any(|(earlier, _)| earlier.eq_ignore_ascii_case(name))
    }
}

/// One map of the CGI variables.
impl Serialize for Environ {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.vars() {
            map.serialize_entry(&name, &value)?;
        }
        map.end()
    }
}

const META: [&str; 17] = [
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "REQUEST_URI",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
    "GATEWAY_INTERFACE",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "REQUEST_SCHEME",
    "wsgi.url_scheme",
    "HTTPS",
];

/// `_` would let `X_Forwarded_For` pass for `X-Forwarded-For`; `Proxy` would become `HTTP_PROXY`,
/// which clients take for their proxy setting (CVE-2016-5385).
fn is_reachable(name: &[u8]) -> bool {
    !name.contains(&b'_')
        && !["proxy", "content-length", "content-type"]
            .iter()
            .any(|kept_out| name.eq_ignore_ascii_case(kept_out.as_bytes()))
}

fn has_cgi_name(name: &[u8], suffix: &str) -> bool {
    name.len() == suffix.len() && name.iter().zip(suffix.bytes()).all(|(&b, c)| cgi_byte(b) == c)
}

fn cgi_name(name: &[u8]) -> String {
    name.iter().map(|&b| char::from(cgi_byte(b))).collect()
}

fn cgi_byte(b: u8) -> u8 {
    if b == b'-' { b'_' } else { b.to_ascii_uppercase() }
}

/// Every byte becomes the character of the same number.
fn latin1(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) if bytes.is_ascii() => {
            Cow::Borrowed(std::str::from_utf8(bytes).unwrap_or_default())
        }
        bytes => Cow::Owned(bytes.iter().map(|&b| char::from(b)).collect()),
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}
