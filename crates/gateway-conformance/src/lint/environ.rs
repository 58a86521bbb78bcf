//! What a server hands over with the call.

use gateway_core::exchange::Exchange;
use gateway_core::http::header::{CONTENT_LENGTH, HOST, HeaderName, TRANSFER_ENCODING};
use gateway_core::http::{HeaderValue, Method, Version};
use gateway_core::{Address, Environ};

use super::head::decimal;
use super::record::Record;
use crate::{Check, Level, Rule, Topic};

pub(crate) static TARGET_HAS_A_FORM: Rule = Rule {
    id: "SRV-01",
    level: Level::Must,
    topic: Topic::Paths,
    text: "The request target MUST have a form: a path that begins with `/`, an absolute URL, `*` \
           with OPTIONS, or an authority with CONNECT.",
    source: "RFC 9112 §3.2; wsgiref.validate and Rack: PATH_INFO begins with `/`",
    mend: "refuse other targets with 400; a gateway gives a path its `/`",
    check: Check::Lint,
};

pub(crate) static TARGET_IS_VISIBLE: Rule = Rule {
    id: "SRV-02",
    level: Level::Must,
    topic: Topic::Paths,
    text: "The request target MUST be visible ASCII without a fragment.",
    source: "RFC 9112 §3.2; RFC 3986 §3.5",
    mend: "refuse blanks, control characters and `#` with 400",
    check: Check::Lint,
};

pub(crate) static NAMES_ARE_TOKENS: Rule = Rule {
    id: "SRV-03",
    level: Level::Must,
    topic: Topic::Environ,
    text: "The name of a request's field MUST be a token.",
    source: "RFC 9110 §5.1",
    mend: "refuse the request with 400",
    check: Check::Lint,
};

pub(crate) static VALUES_ARE_CLEAN: Rule = Rule {
    id: "SRV-04",
    level: Level::Must,
    topic: Topic::Environ,
    text: "The value of a request's field MUST have no control character but tab, and no blank at \
           either end.",
    source: "RFC 9110 §5.5",
    mend: "trim blanks, and refuse control characters with 400",
    check: Check::Lint,
};

pub(crate) static SCHEME_IS_HTTP: Rule = Rule {
    id: "SRV-05",
    level: Level::Must,
    topic: Topic::Environ,
    text: "The URL scheme MUST be `http` or `https`.",
    source: "PEP 3333, \"environ Variables\"; wsgiref.validate; Rack",
    mend: "set it by whether the connection, or the proxy before it, is encrypted",
    check: Check::Lint,
};

pub(crate) static AUTHORITY_IS_KNOWN: Rule = Rule {
    id: "SRV-06",
    level: Level::Must,
    topic: Topic::Environ,
    text: "A request by HTTP/1.1 or later MUST name its authority, and no request does so by two \
           Host fields.",
    source: "RFC 9112 §3.2; RFC 9113 §8.3.1",
    mend: "refuse the request with 400; a protocol with `:authority` hands it in as Host",
    check: Check::Lint,
};

pub(crate) static LENGTH_IS_THE_INPUTS: Rule = Rule {
    id: "SRV-07",
    level: Level::Must,
    topic: Topic::Input,
    text: "A request's Content-Length MUST be one decimal number, and the length that the input \
           declares.",
    source: "RFC 9110 §8.6; wsgiref.validate and Rack: CONTENT_LENGTH",
    mend: "refuse other lengths with 400; middleware that replaces the input removes Content-Length",
    check: Check::Lint,
};

pub(crate) static CODED_HAS_NO_LENGTH: Rule = Rule {
    id: "SRV-08",
    level: Level::Must,
    topic: Topic::Input,
    text: "A request with Transfer-Encoding MUST have no Content-Length, and its input declares no \
           length.",
    source: "RFC 9112 §6.3",
    mend: "refuse a request with both, and declare no length for one that is chunked",
    check: Check::Lint,
};

pub(crate) static SERVER_HAS_A_NAME: Rule = Rule {
    id: "SRV-09",
    level: Level::Must,
    topic: Topic::Lifecycle,
    text: "The server's name MUST be a host that a URL can be built with.",
    source: "PEP 3333, \"environ Variables\": SERVER_NAME; RFC 3875 §4.1.14; Rack",
    mend: "take the name from the configuration or the address that is bound; `0.0.0.0` is nobody's",
    check: Check::Lint,
};

pub(crate) static SOFTWARE_IS_A_PRODUCT: Rule = Rule {
    id: "SRV-10",
    level: Level::Must,
    topic: Topic::Lifecycle,
    text: "The server's software MUST be the value of a Server field.",
    source: "RFC 9110 §10.2.4; RFC 3875 §4.1.17",
    mend: "name the product and its version, like `name/1.0`",
    check: Check::Lint,
};

pub(crate) static ADDRESSES_ARE_REAL: Rule = Rule {
    id: "SRV-11",
    level: Level::Must,
    topic: Topic::Environ,
    text: "Addresses MUST be those of the connection: no unspecified IP address, and no port 0 on \
           the server's side.",
    source: "RFC 3875 §4.1.8, §4.1.15; Rack: SERVER_PORT",
    mend: "ask the accepted socket for both its ends, and say `Unnamed` where there are none",
    check: Check::Lint,
};

pub(crate) static NONBLOCKING_IS_SAID: Rule = Rule {
    id: "SRV-12",
    level: Level::Must,
    topic: Topic::Environ,
    text: "Where a call must not block, `nonblocking` MUST be true.",
    source: "design: `Environ::nonblocking`; PEP 3333 knows only threads",
    mend: "say so in the connection's facts; middleware calls the application in its own call and \
           not inside of a future",
    check: Check::Lint,
};

pub(crate) static CGI_VIEW_AGREES: Rule = Rule {
    id: "SRV-20",
    level: Level::Must,
    topic: Topic::Environ,
    text: "A variable of the CGI view MUST say what its typed form says.",
    source: "PEP 3333, \"environ Variables\"; RFC 3875 §4.1",
    mend: "change the typed form: `set_url_scheme`, `set_authority`, `set_remote_addr`, `enter`; \
           `set_var` is for what has none",
    check: Check::Lint,
};

pub(crate) static CGI_VIEW_IS_NOT_SPOOFED: Rule = Rule {
    id: "SRV-21",
    level: Level::Must,
    topic: Topic::Environ,
    text: "The CGI view MUST NOT have HTTP_PROXY, HTTP_CONTENT_LENGTH or HTTP_CONTENT_TYPE.",
    source: "RFC 3875 §4.1.18; CVE-2016-5385; wsgiref.validate; Rack",
    mend: "do not set them: lengths and types are CONTENT_LENGTH and CONTENT_TYPE, and a Proxy field \
           is nobody's setting",
    check: Check::Lint,
};

pub(crate) static CGI_VIEW_IS_LATIN_1: Rule = Rule {
    id: "SRV-22",
    level: Level::Must,
    topic: Topic::Environ,
    text: "A variable of the CGI view MUST have a name, and a value in Latin-1.",
    source: "PEP 3333, \"Unicode Issues\"; Rack: binary strings",
    mend: "encode the value as UTF-8 and set each byte as a character",
    check: Check::Lint,
};

pub(crate) static HEAD_IS_TO_COME: Rule = Rule {
    id: "SRV-24",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "A server MUST call an application with a start_response whose head has not been sent.",
    source: "PEP 3333, \"The Server/Gateway Side\"",
    mend: "begin an exchange for every request",
    check: Check::Lint,
};

pub(crate) static ONE_EXCHANGE: Rule = Rule {
    id: "SRV-25",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "The environ and the start_response of a call MUST belong to one exchange.",
    source: "PEP 3333, \"The Application/Framework Side\"",
    mend: "make both of the same exchange",
    check: Check::Lint,
};

/// Checks what came with a call.
pub(super) fn check(record: &Record, environ: &mut Environ, exchange: &dyn Exchange) {
    check_target(record, environ);
    check_fields(record, environ);
    check_lengths(record, environ);
    check_server(record, environ);
    check_addresses(record, environ);
    check_cgi_view(record, environ);
    if exchange.head_sent() {
        record.report(&HEAD_IS_TO_COME, "the head has been sent");
    }
    if !std::ptr::eq(environ.local_addr(), &exchange.connection().local) {
        record.report(&ONE_EXCHANGE, "the two tell of different connections");
    }
    if !environ.nonblocking() && !exchange.may_block() {
        record
            .report(&NONBLOCKING_IS_SAID, "`nonblocking` is false, and the thread must not block");
    }
}

fn check_target(record: &Record, environ: &Environ) {
    let target = environ.raw_target();
    let path = || environ.raw_script_name().len() + environ.raw_path_info().len();
    let sound = match target {
        "*" => *environ.method() == Method::OPTIONS,
        _ if target.starts_with('/') => true,
        _ if environ.method() == Method::CONNECT => !target.is_empty() && path() == 0,
        // Only an absolute-form has something before its path.
        _ => {
            let rest = environ.query_string().map_or(0, |query| query.len() + 1);
            let before = target.len().saturating_sub(path() + rest);
            let whole = [environ.raw_script_name(), environ.raw_path_info()].concat();
            let server = whole == "*" && *environ.method() == Method::OPTIONS;
            before > 0 && (server || whole.starts_with('/'))
        }
    };
    if !sound {
        record.report(&TARGET_HAS_A_FORM, format_args!("the target is {target:?}"));
    }
    if !target.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        record.report(&TARGET_IS_VISIBLE, format_args!("the target is {target:?}"));
    }
}

fn check_fields(record: &Record, environ: &Environ) {
    for (name, value) in environ.fields() {
        let shown = String::from_utf8_lossy(name);
        if HeaderName::from_bytes(name).is_err() {
            record.report(&NAMES_ARE_TOKENS, format_args!("a field is named {shown:?}"));
        }
        if HeaderValue::from_bytes(value).is_err() || value.trim_ascii().len() < value.len() {
            let value = String::from_utf8_lossy(value);
            record.report(&VALUES_ARE_CLEAN, format_args!("{shown} is {value:?}"));
        }
    }
    if !matches!(environ.url_scheme(), "http" | "https") {
        let scheme = environ.url_scheme();
        record.report(&SCHEME_IS_HTTP, format_args!("the scheme is {scheme:?}"));
    }
    let named = environ.version() <= Version::HTTP_10 || environ.authority().is_some();
    if !named {
        record.report(&AUTHORITY_IS_KNOWN, "neither the target nor a Host field names it");
    }
    if values(environ, &HOST).count() > 1 {
        record.report(&AUTHORITY_IS_KNOWN, "there are two Host fields");
    }
}

fn check_lengths(record: &Record, environ: &mut Environ) {
    let declared = environ.input().declared_len();
    let coded = values(environ, &TRANSFER_ENCODING).next().is_some();
    let mut lengths = values(environ, &CONTENT_LENGTH);
    match (lengths.next(), lengths.next()) {
        (None, _) => {}
        (Some(_), _) if coded => {
            record.report(
                &CODED_HAS_NO_LENGTH,
                "there are both Content-Length and Transfer-Encoding",
            );
        }
        (Some(_), Some(_)) => {
            record.report(&LENGTH_IS_THE_INPUTS, "there are two Content-Length fields");
        }
        (Some(length), None) => {
            let number = decimal(length);
            if number.is_none() || number != declared {
                let length = String::from_utf8_lossy(length);
                let detail = format!("Content-Length is {length:?}, the input's is {declared:?}");
                record.report(&LENGTH_IS_THE_INPUTS, detail);
            }
        }
    }
    if coded && declared.is_some() {
        record.report(&CODED_HAS_NO_LENGTH, "the input declares a length");
    }
}

fn check_server(record: &Record, environ: &Environ) {
    let server = environ.server();
    let name = server.name.trim_matches(['[', ']']);
    let nobody = matches!(name, "" | "0.0.0.0" | "::" | "*");
    let host = |b: u8| b.is_ascii_graphic() && !b"/?#@\\".contains(&b);
    if nobody || !server.name.bytes().all(host) {
        record.report(&SERVER_HAS_A_NAME, format_args!("the name is {:?}", server.name));
    }
    let software = &server.software;
    let sound = |b: u8| b.is_ascii_graphic() || b == b' ';
    if software.trim().len() != software.len()
        || software.is_empty()
        || !software.bytes().all(sound)
    {
        record.report(&SOFTWARE_IS_A_PRODUCT, format_args!("the software is {software:?}"));
    }
    if server.port == Some(0) {
        record.report(&ADDRESSES_ARE_REAL, "the server's port is 0");
    }
}

fn check_addresses(record: &Record, environ: &Environ) {
    let (local, remote) = (environ.local_addr(), environ.remote_addr());
    if let Address::Inet(address) = local
        && (address.ip().is_unspecified() || address.port() == 0)
    {
        record.report(&ADDRESSES_ARE_REAL, format_args!("the local address is {address}"));
    }
    // Middleware that trusts a proxy may know the peer's address and not its port.
    if let Address::Inet(address) = remote
        && address.ip().is_unspecified()
    {
        record.report(&ADDRESSES_ARE_REAL, format_args!("the remote address is {address}"));
    }
}

fn check_cgi_view(record: &Record, environ: &mut Environ) {
    let declared = environ.input().declared_len();
    let environ = &*environ;
    for name in ["HTTP_PROXY", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"] {
        if environ.var(name).is_some() {
            record.report(&CGI_VIEW_IS_NOT_SPOOFED, format_args!("{name} is there"));
        }
    }
    for (name, value) in environ.vars() {
        if name.is_empty() || value.chars().any(|c| u32::from(c) > 0xff) {
            record.report(&CGI_VIEW_IS_LATIN_1, format_args!("{name:?} is {value:?}"));
        }
    }
    let says = |name: &str, typed: &str| {
        let said = environ.var(name).unwrap_or_default();
        if said != typed {
            record.report(&CGI_VIEW_AGREES, format_args!("{name} is {said:?}, not {typed:?}"));
        }
    };
    says("REQUEST_METHOD", environ.method().as_str());
    says("REQUEST_URI", environ.raw_target());
    says("SCRIPT_NAME", &decoded(environ.raw_script_name()));
    says("PATH_INFO", &latin1(&environ.path_info_bytes()));
    says("QUERY_STRING", environ.query_string().unwrap_or_default());
    says("REQUEST_SCHEME", environ.url_scheme());
    says("wsgi.url_scheme", environ.url_scheme());
    says("HTTPS", if environ.url_scheme() == "https" { "on" } else { "" });
    let remote = environ.remote_addr().inet().map(|address| address.ip().to_string());
    says("REMOTE_ADDR", &remote.unwrap_or_default());
    // Two Host fields have been told of already.
    if let Some(authority) = environ.authority()
        && authority.is_ascii()
        && values(environ, &HOST).count() < 2
    {
        says("HTTP_HOST", authority);
    }
    if environ.var("CONTENT_LENGTH").is_some() {
        says("CONTENT_LENGTH", &declared.map(|len| len.to_string()).unwrap_or_default());
    }
}

fn values<'a>(environ: &'a Environ, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    environ
        .fields()
        .filter(move |(other, _)| other.eq_ignore_ascii_case(name.as_str().as_bytes()))
        .map(|(_, value)| value)
}

fn decoded(raw: &str) -> String {
    latin1(&percent_encoding::percent_decode_str(raw).collect::<Vec<u8>>())
}

/// PEP 3333's form of bytes: every byte is the character of the same number.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}
