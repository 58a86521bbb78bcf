//! What an application says in a head.

use gateway_core::http::header::{
    self, ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, HeaderMap,
    HeaderName, PROXY_AUTHENTICATE, TRAILER, UPGRADE, WWW_AUTHENTICATE,
};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{Body, Error, Head};

use super::record::Record;
use crate::{Check, Level, Rule, Topic};

pub(crate) static FINAL_STATUS: Rule = Rule {
    id: "APP-01",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "An application MUST answer with a final status; 101 goes with an upgrade body, and an \
           upgrade body with 101.",
    source: "RFC 9110 §15.2; wsgiref.validate checks the status's range",
    mend: "start with a status from 200 on; for hints there is `early_hints`, for another protocol \
           101 with `Body::upgrade`",
    check: Check::Lint,
};

pub(crate) static KNOWN_CLASS: Rule = Rule {
    id: "APP-02",
    level: Level::Should,
    topic: Topic::StartResponse,
    text: "An application SHOULD use a status below 600.",
    source: "RFC 9110 §15: values outside of 100 to 599 are invalid",
    mend: "choose a status of one of the five classes; clients take others for a 500",
    check: Check::Lint,
};

pub(crate) static CONTENT_TYPE_GIVEN: Rule = Rule {
    id: "APP-03",
    level: Level::Should,
    topic: Topic::StartResponse,
    text: "An application SHOULD name the Content-Type of a response that has content.",
    source: "RFC 9110 §8.3; wsgiref.validate demands it",
    mend: "give `start` a Content-Type, such as `text/plain; charset=utf-8`; otherwise clients guess",
    check: Check::Lint,
};

pub(crate) static CONTENT_TYPE_LEFT_OUT: Rule = Rule {
    id: "APP-04",
    level: Level::Should,
    topic: Topic::StartResponse,
    text: "An application SHOULD NOT name a Content-Type with status 204 or 304.",
    source: "RFC 9110 §15.4.5 for 304; wsgiref.validate and Rack forbid it for both",
    mend: "leave Content-Type out where there is no content",
    check: Check::Lint,
};

pub(crate) static LENGTH_IS_A_NUMBER: Rule = Rule {
    id: "APP-05",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "A Content-Length that an application sets MUST be one decimal number.",
    source: "RFC 9110 §8.6",
    mend: "set it once, from an integer; or leave it out, a server fills in what the body tells",
    check: Check::Lint,
};

pub(crate) static NO_LENGTH_WITHOUT_CONTENT: Rule = Rule {
    id: "APP-07",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "An application MUST NOT set a Content-Length with status 101 or 204.",
    source: "RFC 9110 §8.6; Rack forbids it for 304 too, where RFC 9110 allows it",
    mend: "remove Content-Length",
    check: Check::Lint,
};

pub(crate) static NO_HOP_BY_HOP: Rule = Rule {
    id: "APP-08",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "An application MUST NOT set fields of the hop: Transfer-Encoding, TE, Keep-Alive, \
           Proxy-Connection, Upgrade but with 101 and 426, Connection but for `close`.",
    source: "PEP 3333, \"Other HTTP Features\"; RFC 9110 §7.6.1",
    mend: "remove the field: framing and the connection are the server's; `Connection: close` is \
           honoured",
    check: Check::Lint,
};

pub(crate) static DATE_IS_THE_SERVERS: Rule = Rule {
    id: "APP-09",
    level: Level::Should,
    topic: Topic::StartResponse,
    text: "An application SHOULD leave the Date field to the server.",
    source: "RFC 9110 §6.6.1; PEP 3333, \"The start_response() Callable\"",
    mend: "remove Date; a server with a clock adds it when the head goes out",
    check: Check::Lint,
};

pub(crate) static NO_STATUS_FIELD: Rule = Rule {
    id: "APP-10",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "An application MUST NOT set a field named Status.",
    source: "wsgiref.validate and Rack: under CGI that field is the status line (RFC 3875 §6.3.3)",
    mend: "give the status to `start` and remove the field",
    check: Check::Lint,
};

pub(crate) static PLAIN_NAMES: Rule = Rule {
    id: "APP-11",
    level: Level::Should,
    topic: Topic::StartResponse,
    text: "A field name SHOULD begin with a letter, consist of letters, digits and hyphens, and not \
           end with a hyphen.",
    source: "RFC 9110 §16.3.2.1; wsgiref.validate",
    mend: "rename the field; proxies drop names that look unusual",
    check: Check::Lint,
};

pub(crate) static VALUES_WITHOUT_BLANKS: Rule = Rule {
    id: "APP-12",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "A field value MUST NOT begin or end with a blank.",
    source: "RFC 9110 §5.5: field-value",
    mend: "trim the value; the peer will",
    check: Check::Lint,
};

pub(crate) static FIELDS_OF_THE_STATUS: Rule = Rule {
    id: "APP-13",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "A response MUST have the field without which its status means nothing: 206 Content-Range \
           or multipart content, 401 WWW-Authenticate, 405 Allow, 407 Proxy-Authenticate, 426 \
           Upgrade.",
    source: "RFC 9110 §15.3.7, §15.5.2, §15.5.6, §15.5.8, §15.5.22",
    mend: "add the field that the status asks for, to an error by `with_headers`",
    check: Check::Lint,
};

pub(crate) static NO_CONTENT: Rule = Rule {
    id: "APP-14",
    level: Level::Must,
    topic: Topic::Body,
    text: "An application MUST NOT give content to a response with status 204, 205 or 304.",
    source: "RFC 9110 §15.3.5, §15.3.6, §15.4.5",
    mend: "leave the body empty, or choose a status that has content; a server drops what it gets",
    check: Check::Lint,
};

pub(crate) static UPGRADE_WAS_ASKED_FOR: Rule = Rule {
    id: "APP-15",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "An application MUST answer 101 only to an HTTP/1.1 request that offers the protocol by its \
           Connection and Upgrade fields, and name the protocol in its own Upgrade field.",
    source: "RFC 9110 §7.8",
    mend: "ask `environ.upgrade()` first, answer 426 or a usual response without it, and set Upgrade \
           to what was chosen",
    check: Check::Lint,
};

/// Checks a head that the application started, before hooks have seen it. `body` is what follows;
/// `None` stands for data that are written.
pub(super) fn check(record: &Record, head: &Head, body: Option<&Body>) {
    let status = head.status;
    let upgrades = matches!(body, Some(Body::Upgrade(_)));
    if status.is_informational() && (status != StatusCode::SWITCHING_PROTOCOLS || !upgrades) {
        record.report(&FINAL_STATUS, format_args!("the status is {status}"));
    } else if upgrades && status != StatusCode::SWITCHING_PROTOCOLS {
        record.report(&FINAL_STATUS, format_args!("an upgrade body came with {status}"));
    } else if upgrades {
        check_upgrade(record, head);
    }
    if status.as_u16() >= 600 {
        record.report(&KNOWN_CLASS, format_args!("the status is {}", status.as_u16()));
    }
    for (rule, detail) in faults(head) {
        record.report(rule, detail);
    }
    let has_content = body.is_none_or(|body| !upgrades && !body.is_empty());
    if has_content && has_no_content(status) && !status.is_informational() {
        record.report(&NO_CONTENT, format_args!("a body came with {status}"));
    }
    let mut facts = record.facts();
    facts.answered = true;
    facts.has_content = has_content;
    facts.declared = declared(&head.headers);
    facts.announced = announced(&head.headers);
}

/// Checks a head after the hooks of the application: what they broke, and what nobody has added.
/// `before` is the head that the hooks were given.
pub(super) fn check_passed(record: &Record, before: &Head, head: &Head) {
    let known: Vec<&str> = faults(before).iter().map(|(rule, _)| rule.id).collect();
    for (rule, detail) in faults(head) {
        if !known.contains(&rule.id) {
            record.report(rule, detail);
        }
    }
    let has_content = {
        let mut facts = record.facts();
        if declared(&before.headers) != declared(&head.headers) {
            facts.declared = declared(&head.headers);
        }
        facts.announced.extend(announced(&head.headers));
        // An error's page is the server's.
        facts.answered && facts.has_content
    };
    let status = head.status;
    if has_content && !has_no_content(status) && !head.headers.contains_key(CONTENT_TYPE) {
        record.report(&CONTENT_TYPE_GIVEN, "there is content, and no Content-Type");
    }
    if let Some(missing) = missing(status, &head.headers) {
        record.report(&FIELDS_OF_THE_STATUS, format_args!("{status} came without {missing}"));
    }
}

/// Checks the fields that an error brings for its response.
pub(super) fn check_error(record: &Record, error: &Error) {
    let Some(headers) = error.headers() else { return };
    let mut head = Head::new(error.status(), headers.clone());
    // The server sets its page's own.
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(CONTENT_TYPE);
    for (rule, detail) in faults(&head) {
        record.report(rule, detail);
    }
}

/// Which responses have no content whatever is returned.
pub(super) fn has_no_content(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
        || status.is_informational()
}

/// The Content-Length, if it is sound.
pub(super) fn declared(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let first = decimal(lengths.next()?.as_bytes())?;
    lengths.all(|other| decimal(other.as_bytes()) == Some(first)).then_some(first)
}

/// `1*DIGIT`.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Whether a field belongs to the connection, whatever the status.
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    *name == header::TRANSFER_ENCODING
        || *name == header::TE
        || *name == "keep-alive"
        || *name == "proxy-connection"
}

/// What is wrong with a head by itself.
fn faults(head: &Head) -> Vec<(&'static Rule, String)> {
    let mut faults: Vec<(&'static Rule, String)> = Vec::new();
    let (status, headers) = (head.status, &head.headers);
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if bodiless && headers.contains_key(CONTENT_TYPE) {
        faults.push((&CONTENT_TYPE_LEFT_OUT, format!("{status} has a Content-Type")));
    }
    if headers.contains_key(CONTENT_LENGTH) {
        if matches!(status, StatusCode::NO_CONTENT | StatusCode::SWITCHING_PROTOCOLS) {
            faults.push((&NO_LENGTH_WITHOUT_CONTENT, format!("{status} has a Content-Length")));
        }
        if declared(headers).is_none() || headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
            let lengths: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
            faults.push((&LENGTH_IS_A_NUMBER, format!("Content-Length is {lengths:?}")));
        }
    }
    if headers.contains_key(DATE) {
        faults.push((&DATE_IS_THE_SERVERS, "Date is set".to_owned()));
    }
    for (name, value) in headers {
        if belongs_to_hop(name, value.as_bytes(), status) {
            faults.push((&NO_HOP_BY_HOP, format!("`{name}: {}` is set", value_text(value))));
        }
        if *name == "status" {
            faults.push((&NO_STATUS_FIELD, "there is a field named Status".to_owned()));
        }
        if !is_plain(name.as_str()) {
            faults.push((&PLAIN_NAMES, format!("a field is named `{name}`")));
        }
        if value.as_bytes().trim_ascii().len() < value.len() {
            faults.push((&VALUES_WITHOUT_BLANKS, format!("the value of `{name}` is {value:?}")));
        }
    }
    faults
}

fn belongs_to_hop(name: &HeaderName, value: &[u8], status: StatusCode) -> bool {
    if *name == UPGRADE {
        return !matches!(status, StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED);
    }
    if *name == CONNECTION {
        // With 101 it is the usual way to say what the server says itself.
        let upgrades = status == StatusCode::SWITCHING_PROTOCOLS;
        return !upgrades && !value.trim_ascii().eq_ignore_ascii_case(b"close");
    }
    is_hop_by_hop(name)
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.ends_with('-')
}

fn missing(status: StatusCode, headers: &HeaderMap) -> Option<&'static str> {
    let (name, text) = match status {
        StatusCode::UNAUTHORIZED => (WWW_AUTHENTICATE, "WWW-Authenticate"),
        StatusCode::METHOD_NOT_ALLOWED => (ALLOW, "Allow"),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => (PROXY_AUTHENTICATE, "Proxy-Authenticate"),
        StatusCode::UPGRADE_REQUIRED => (UPGRADE, "Upgrade"),
        StatusCode::PARTIAL_CONTENT if !is_multipart(headers) => (CONTENT_RANGE, "Content-Range"),
        _ => return None,
    };
    (!headers.contains_key(name)).then_some(text)
}

fn is_multipart(headers: &HeaderMap) -> bool {
    let prefix = b"multipart/byteranges";
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..prefix.len()))
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn check_upgrade(record: &Record, head: &Head) {
    if record.upgrade.is_none() {
        record.report(&UPGRADE_WAS_ASKED_FOR, "the request offers no upgrade");
    }
    let chosen: Vec<String> = elements(head.headers.get_all(UPGRADE).iter().map(value_text));
    if chosen.is_empty() {
        record.report(&UPGRADE_WAS_ASKED_FOR, "the 101 names no protocol");
    }
    let asked = elements(record.upgrade.clone().into_iter());
    if let Some(other) = chosen.iter().find(|protocol| !asked.contains(protocol)) {
        let detail = format_args!("the 101 chose {other:?} of {asked:?}");
        record.report(&UPGRADE_WAS_ASKED_FOR, detail);
    }
}

fn announced(headers: &HeaderMap) -> Vec<String> {
    elements(headers.get_all(TRAILER).iter().map(value_text))
}

/// The members of a list that is spread over fields, in lower case.
fn elements(values: impl Iterator<Item = String>) -> Vec<String> {
    values
        .flat_map(|value| {
            value.split(',').map(|one| one.trim().to_ascii_lowercase()).collect::<Vec<_>>()
        })
        .filter(|one| !one.is_empty())
        .collect()
}

fn value_text(value: &header::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Whether the answer is to a HEAD request and may leave its content out.
pub(super) fn may_be_left_out(record: &Record, body: &Body) -> bool {
    record.method == Method::HEAD && body.is_empty()
}
