//! The requests: the ones that `../../measure.py` sends.

use std::ops::Range;

use gateway_core::bytes::Bytes;

const BROWSER: &str = "\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: http://127.0.0.1/some/page/of/the/same/site?with=a&query=string\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n";

/// The request of that name, as it stands on the wire.
pub fn named(name: &str) -> Option<Bytes> {
    let fields = match name {
        "host" => "",
        "browser" => BROWSER,
        _ => return None,
    };
    Some(format!("GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n").into())
}

/// Where a field's name and its value stand.
type Field = (Range<usize>, Range<usize>);

/// Where the target and the fields stand in `request`, as a server finds them.
pub fn positions(request: &str) -> (Range<usize>, Vec<Field>) {
    let mut lines = request.split("\r\n");
    let first = lines.next().expect("a request has a first line");
    let mut at = first.len() + 2;
    let target = first.split(' ').nth(1).expect("a target stands behind the method");
    let target_at = first.find(target).expect("it was found in there");
    let mut fields = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, _) = line.split_once(": ").expect("a field has a colon");
        fields.push((at..at + name.len(), at + name.len() + 2..at + line.len()));
        at += line.len() + 2;
    }
    (target_at..target_at + target.len(), fields)
}
