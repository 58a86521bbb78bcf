//! What can be chosen, by flag, environment variable or config file.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use gateway::limits::ConnectionLimits;
use gateway_connection::Settings;
use gateway_middleware::{ForwardedFields, LogFormat, TrustedProxy};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::failure::Failure;

/// The first that says something, field by field; a field that is not listed does not compile.
macro_rules! or {
    ($options:ident, $first:expr, $second:expr, { $($field:ident),* $(,)? }) => {
        $options { $($field: $first.$field.or($second.$field)),* }
    };
}

/// The options of a command, with those of every server on a network between its own. A struct of them
/// would have to be flattened, and then serde no longer refuses what is unknown.
macro_rules! options {
    ($(#[$doc:meta])* $name:ident { $($before:tt)* } and { $($behind:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Args, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub(crate) struct $name {
            $($before)*

            /// The server: a thread for each connection, or Tokio [default: std]
            #[arg(long, env = "GATEWAY_SERVER", value_name = "NAME")]
            pub(crate) server: Option<ServerChoice>,

            /// How many connections are served at a time; further ones wait [default: 512 on std and
            /// 10000 on tokio, or what the limit on descriptors allows]
            #[arg(long, env = "GATEWAY_MAX_CONNECTIONS", value_name = "N")]
            pub(crate) max_connections: Option<usize>,

            /// How many of them may come from one address, or one /64 network with IPv6; further ones are
            /// closed at once. Not for behind a proxy, where all have the proxy's [default: any number]
            #[arg(long, env = "GATEWAY_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N")]
            pub(crate) max_connections_per_address: Option<usize>,

            /// Believe this proxy, or those in this network, when it says who the client is; unix for
            /// whoever connects by a Unix socket. May be repeated; see "Behind a proxy" [default: nobody]
            #[arg(
                long,
                env = "GATEWAY_TRUSTED_PROXY",
                value_name = "ADDRESS[/BITS]",
                value_delimiter = ','
            )]
            #[serde(deserialize_with = "proxies")]
            pub(crate) trusted_proxy: Option<Vec<TrustedProxy>>,

            /// The fields in which it says so: those that it writes itself [default: x-forwarded]
            #[arg(long, env = "GATEWAY_TRUSTED_FIELDS", value_name = "FIELDS")]
            pub(crate) trusted_fields: Option<FieldsChoice>,

            /// The access log, on standard output [default: common]
            #[arg(long, env = "GATEWAY_LOG", value_name = "FORMAT")]
            pub(crate) log: Option<LogChoice>,

            /// Show each request and response, like curl -v; bodies by size, credentials masked
            #[arg(long, env = "GATEWAY_TRACE", value_name = "BOOL", num_args = 0..=1,
                require_equals = true, default_missing_value = "true",
                value_parser = BoolishValueParser::new(), hide_possible_values = true)]
            pub(crate) trace: Option<bool>,

            $($behind)*
        }
    };
}

options! {
    /// What `gateway serve` can be told. Nothing is filled in yet: defaults come last.
    ServeOptions {
        /// The directory [default: the current one]
        #[arg(env = "GATEWAY_DIR", value_name = "DIR")]
        pub(crate) dir: Option<PathBuf>,

        /// The port; 0 for any free one, which is printed [default: 8000]
        #[arg(long, short, env = "GATEWAY_PORT", value_name = "PORT")]
        pub(crate) port: Option<u16>,

        /// The address or name to listen on; 0.0.0.0 or :: for the network; or unix:PATH
        /// [default: 127.0.0.1]
        #[arg(long, short, env = "GATEWAY_BIND", value_name = "ADDRESS")]
        pub(crate) bind: Option<String>,
    } and {
        /// Show the address as a QR code
        #[arg(long, env = "GATEWAY_QR", value_name = "BOOL", num_args = 0..=1, require_equals = true,
            default_missing_value = "true", value_parser = BoolishValueParser::new(),
            hide_possible_values = true)]
        pub(crate) qr: Option<bool>,

        /// Ask for a user and a password: user:PASSWORD, user:@FILE or user:$VARIABLE. Others can see a
        /// password that is in the command line
        #[arg(long, env = "GATEWAY_AUTH", value_name = "USER:PASSWORD", hide_env_values = true)]
        pub(crate) auth: Option<String>,

        /// Answer with this page where a path names nothing, for applications that route in the browser
        /// [without FILE: index.html]
        #[arg(long, env = "GATEWAY_SPA", value_name = "FILE", num_args = 0..=1, require_equals = true,
            default_missing_value = "true")]
        #[serde(deserialize_with = "text_or_bool")]
        pub(crate) spa: Option<String>,

        /// The page that is sent with a 404
        #[arg(long = "404", env = "GATEWAY_404", value_name = "FILE")]
        #[serde(rename = "404")]
        pub(crate) not_found: Option<String>,

        /// The index file of a directory, the first that is there [default: index.html]
        #[arg(long, env = "GATEWAY_INDEX", value_name = "NAME", value_delimiter = ',')]
        #[serde(deserialize_with = "one_or_many")]
        pub(crate) index: Option<Vec<String>>,

        /// The Cache-Control of files; for some only, '/PREFIX: VALUE'. May be repeated
        #[arg(long, env = "GATEWAY_CACHE", value_name = "VALUE")]
        #[serde(deserialize_with = "one_or_many")]
        pub(crate) cache: Option<Vec<String>>,

        /// Let scripts of these origins read, like https://app.example; * for all
        #[arg(long, env = "GATEWAY_CORS", value_name = "ORIGIN", value_delimiter = ',')]
        #[serde(deserialize_with = "one_or_many")]
        pub(crate) cors: Option<Vec<String>>,

        /// The charset that text is said to have; none to say nothing [default: utf-8]
        #[arg(long, env = "GATEWAY_CHARSET", value_name = "NAME")]
        pub(crate) charset: Option<String>,

        /// Serve names that begin with a dot
        #[arg(long, env = "GATEWAY_HIDDEN", value_name = "BOOL", num_args = 0..=1,
            require_equals = true, default_missing_value = "true",
            value_parser = BoolishValueParser::new(), hide_possible_values = true)]
        pub(crate) hidden: Option<bool>,

        /// Follow symbolic links out of the directory
        #[arg(long, env = "GATEWAY_FOLLOW_SYMLINKS", value_name = "BOOL", num_args = 0..=1,
            require_equals = true, default_missing_value = "true",
            value_parser = BoolishValueParser::new(), hide_possible_values = true)]
        pub(crate) follow_symlinks: Option<bool>,

        /// Do not list directories
        #[arg(long, env = "GATEWAY_NO_LISTING", value_name = "BOOL", num_args = 0..=1,
            require_equals = true, default_missing_value = "true",
            value_parser = BoolishValueParser::new(), hide_possible_values = true)]
        pub(crate) no_listing: Option<bool>,

        /// Send NAME.br, NAME.zst or NAME.gz in place of NAME to those who accept it
        #[arg(long, env = "GATEWAY_PRECOMPRESSED", value_name = "BOOL", num_args = 0..=1,
            require_equals = true, default_missing_value = "true",
            value_parser = BoolishValueParser::new(), hide_possible_values = true)]
        pub(crate) precompressed: Option<bool>,

        /// Compress on the fly, with brotli or gzip
        #[arg(long, env = "GATEWAY_COMPRESS", value_name = "BOOL", num_args = 0..=1,
            require_equals = true, default_missing_value = "true",
            value_parser = BoolishValueParser::new(), hide_possible_values = true)]
        pub(crate) compress: Option<bool>,

        /// Let files be uploaded into the directories, by the form of a listing, curl -T or curl -F
        #[arg(long, env = "GATEWAY_UPLOAD", value_name = "BOOL", num_args = 0..=1,
            require_equals = true, default_missing_value = "true",
            value_parser = BoolishValueParser::new(), hide_possible_values = true)]
        pub(crate) upload: Option<bool>,

        /// How much one upload may have, all files of a form together: a number of bytes, or like 500MB
        /// or 4GiB [default: 1GiB]
        #[arg(long, env = "GATEWAY_UPLOAD_LIMIT", value_name = "SIZE", value_parser = bytes)]
        #[serde(deserialize_with = "number_or_size")]
        pub(crate) upload_limit: Option<u64>,

        /// Reserved for TLS: not built yet
        #[arg(long, env = "GATEWAY_TLS_CERT", value_name = "FILE")]
        pub(crate) tls_cert: Option<PathBuf>,

        /// Reserved for TLS: not built yet
        #[arg(long, env = "GATEWAY_TLS_KEY", value_name = "FILE")]
        pub(crate) tls_key: Option<PathBuf>,
    }
}

options! {
    /// What `gateway run` can be told.
    RunOptions {
        /// A package of this workspace, or the path to a crate; and the path in its library to a
        /// function, a static, or a function that returns an application
        #[arg(env = "GATEWAY_APP", value_name = "CRATE:PATH")]
        pub(crate) app: Option<String>,

        /// Where to listen, HOST:PORT or unix:PATH; port 0 is any free one [default: 127.0.0.1:8000]
        #[arg(long, short, env = "GATEWAY_ADDR", value_name = "ADDRESS")]
        pub(crate) addr: Option<String>,
    } and {
        /// Build and start the application anew when its sources change
        #[arg(long, env = "GATEWAY_RELOAD", value_name = "BOOL", num_args = 0..=1,
            require_equals = true, default_missing_value = "true",
            value_parser = BoolishValueParser::new(), hide_possible_values = true)]
        pub(crate) reload: Option<bool>,

        /// Build with optimizations
        #[arg(long, env = "GATEWAY_RELEASE", value_name = "BOOL", num_args = 0..=1,
            require_equals = true, default_missing_value = "true",
            value_parser = BoolishValueParser::new(), hide_possible_values = true)]
        pub(crate) release: Option<bool>,
    }
}

impl RunOptions {
    /// What is said here, and for the rest what `fallback` says.
    pub(crate) fn or(self, fallback: RunOptions) -> RunOptions {
        or!(RunOptions, self, fallback, {
            app, addr, server, max_connections, max_connections_per_address, trusted_proxy,
            trusted_fields, reload, release, log, trace,
        })
    }
}

impl ServeOptions {
    /// What is said here, and for the rest what `fallback` says.
    pub(crate) fn or(self, fallback: ServeOptions) -> ServeOptions {
        or!(ServeOptions, self, fallback, {
            dir, port, bind, server, max_connections, max_connections_per_address, trusted_proxy,
            trusted_fields, qr, auth, spa, not_found, index, cache, cors, charset, hidden,
            follow_symlinks, no_listing, precompressed, compress, log, trace, upload,
            upload_limit, tls_cert, tls_key,
        })
    }
}

/// Which server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ServerChoice {
    #[default]
    Std,
    Tokio,
}

/// Which access log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogChoice {
    #[default]
    Common,
    Combined,
    Json,
    Off,
}

impl LogChoice {
    pub(crate) fn format(self) -> Option<LogFormat> {
        match self {
            LogChoice::Common => Some(LogFormat::Common),
            LogChoice::Combined => Some(LogFormat::Combined),
            LogChoice::Json => Some(LogFormat::Json),
            LogChoice::Off => None,
        }
    }
}

/// Which fields proxies are believed in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FieldsChoice {
    /// X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host
    #[default]
    XForwarded,
    /// Forwarded (RFC 7239)
    Forwarded,
}

impl From<FieldsChoice> for ForwardedFields {
    fn from(choice: FieldsChoice) -> ForwardedFields {
        match choice {
            FieldsChoice::XForwarded => ForwardedFields::X,
            FieldsChoice::Forwarded => ForwardedFields::Standard,
        }
    }
}

/// The fields in which `proxies` are believed.
pub(crate) fn trusted_fields(
    fields: Option<FieldsChoice>,
    proxies: Option<&[TrustedProxy]>,
) -> Result<FieldsChoice, Failure> {
    match fields.is_some() && proxies.is_none_or(<[_]>::is_empty) {
        true => Err(Failure::NobodyTrusted),
        false => Ok(fields.unwrap_or_default()),
    }
}

/// Both limits, after the servers' own look at them: theirs would come late, as a build is before it.
pub(crate) fn connection_limits(
    connections: Option<usize>,
    per_address: Option<usize>,
) -> Result<ConnectionLimits, Failure> {
    let settings = Settings {
        max_connections: connections,
        max_connections_per_address: per_address,
        ..Settings::default()
    };
    settings.validate()?;
    Ok(ConnectionLimits { connections, per_address })
}

fn proxies<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<TrustedProxy>>, D::Error> {
    let texts = one_or_many(from)?.unwrap_or_default();
    let proxies = texts.iter().map(|text| text.parse());
    proxies.collect::<Result<_, _>>().map(Some).map_err(D::Error::custom)
}

fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a string or a list of strings")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(Some(match OneOrMany::deserialize(from)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    }))
}

fn number_or_size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a number of bytes, or a size like \"4GiB\"")]
    enum NumberOrSize {
        Number(u64),
        Size(String),
    }
    match NumberOrSize::deserialize(from)? {
        NumberOrSize::Number(number) => Ok(Some(number)),
        NumberOrSize::Size(size) => bytes(&size).map(Some).map_err(D::Error::custom),
    }
}

/// A size with its unit, or a number of bytes.
fn bytes(size: &str) -> Result<u64, String> {
    let size: ByteSize =
        size.trim().parse().map_err(|_| format!("{size:?} is no size; write it like 4GiB"))?;
    Ok(size.as_u64())
}

fn text_or_bool<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a file's name, or true or false")]
    enum TextOrBool {
        Text(String),
        Bool(bool),
    }
    Ok(Some(match TextOrBool::deserialize(from)? {
        TextOrBool::Text(text) => text,
        TextOrBool::Bool(bool) => bool.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_units_or_none() {
        for (size, expected) in [
            ("0", 0),
            ("1024", 1024),
            ("500MB", 500_000_000),
            ("4GiB", 4 << 30),
            ("4 GiB", 4 << 30),
            ("1.5kib", 1536),
            ("2G", 2_000_000_000),
        ] {
            assert_eq!(bytes(size), Ok(expected), "{size}");
        }
        for size in ["", "GiB", "-1", "4GiBs", "much", "1e3", "0x10"] {
            let expected = format!("{size:?} is no size; write it like 4GiB");
            assert_eq!(bytes(size), Err(expected));
        }
    }
}
