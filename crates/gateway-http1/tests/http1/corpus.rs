//! Each file in `tests/corpus` is what a peer sends, a line `---`, and the events that follow.
//!
//! In what is sent, the line breaks of the file do not count; `\r`, `\n`, `\t`, `\\` and `\xHH` do. A
//! line `<5 times>TEXT` stands for that many, a last line `<fin>` for the end of the connection, and a
//! `#` line for nothing. Every request is answered with an empty 200 as soon as it is complete.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use gateway_http1::{Event, Next, RequestHead};

use crate::world::World;

macro_rules! corpus {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        #[test]
        fn every_file_is_listed() {
            let listed: BTreeSet<String> =
                [$(concat!(stringify!($name), ".http")),*].map(str::to_owned).into();
            let found: BTreeSet<String> = std::fs::read_dir(directory())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            assert_eq!(found, listed);
        }
    };
}

corpus! {
    get
    get_with_query
    get_http_10
    get_http_10_keep_alive
    get_http_12
    browser
    field_values_are_trimmed
    field_value_obs_text
    field_value_nul
    field_value_delete
    field_value_bare_cr
    field_value_bare_lf
    field_name_blank_before_colon
    field_name_tab_before_colon
    field_name_empty
    field_name_with_blank
    field_name_non_ascii
    field_without_colon
    field_folded
    field_folded_framing
    field_blank_before_first
    fields_100
    fields_101
    head_too_large
    request_line_too_long
    request_line_8192
    method_unknown
    method_lower_case
    method_too_long
    method_not_a_token
    method_missing
    tls_hello
    http2_preface
    version_lower_case
    version_missing
    version_two_digits
    version_3
    blank_twice_in_request_line
    blank_behind_version
    blank_line_first
    blank_lines_endless
    bare_lf_request_line
    bare_lf_end
    target_absolute
    target_absolute_no_path
    target_absolute_no_host_field
    target_absolute_userinfo
    target_absolute_https
    target_absolute_other_scheme
    target_asterisk
    target_asterisk_get
    target_authority
    target_relative
    target_fragment
    target_non_ascii
    target_brackets
    host_missing
    host_twice
    host_empty
    host_list
    host_with_path
    host_userinfo
    host_ipv6
    host_ipv6_unclosed
    host_port_too_large
    body_length
    body_length_zero
    body_none
    body_of_get
    body_cut_short
    body_unfinished
    body_then_empty_line
    length_twice
    length_list
    length_signed
    length_hexadecimal
    length_empty
    length_overflow
    length_and_chunked
    chunked_and_length
    chunked
    chunked_many
    chunked_trailers
    chunked_trailer_folded
    chunked_trailers_too_large
    chunked_http_10
    chunked_twice
    chunked_not_final
    coding_unknown
    coding_quoted
    chunk_size_signed
    chunk_size_blank_behind
    chunk_size_overflow
    chunk_size_bare_lf
    chunk_data_too_long
    chunk_data_bare_lf
    chunk_extension_bare
    chunk_extension_bws
    chunk_extension_lf
    chunk_extensions_too_large
    chunk_line_too_long
    pipelined
    close_first
    half_closed
    half_closed_in_head
    expect
    expect_unknown
    upgrade
    upgrade_http_10
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

#[track_caller]
fn check(name: &str) {
    let text = std::fs::read_to_string(directory().join(format!("{name}.http"))).unwrap();
    let (input, expected) = text.split_once("---\n").expect("a line --- after the input");
    let (bytes, fin) = parse(input);
    for (piece, how) in [(usize::MAX, "whole"), (1, "byte by byte"), (7, "seven bytes at a time")] {
        assert_eq!(events(&bytes, fin, piece), expected, "{name}, {how}");
    }
    // What comes behind an error or a close changes nothing.
    if !expected.ends_with("wait\n") && !fin {
        let behind = [&bytes[..], b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        assert_eq!(events(&behind, fin, usize::MAX), expected, "{name}, with trailing bytes");
    }
}

fn parse(input: &str) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    for line in input.lines().filter(|line| !line.starts_with('#')) {
        if line == "<fin>" {
            return (bytes, true);
        }
        let (times, line) = match line.strip_prefix('<').and_then(|rest| rest.split_once(" times>"))
        {
            Some((times, line)) => (times.parse().unwrap(), line),
            None => (1, line),
        };
        bytes.extend(unescape(line).repeat(times));
    }
    (bytes, false)
}

fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'x' => {
                    let mut digit = || char::from(rest.next().unwrap()).to_digit(16).unwrap() as u8;
                    digit() << 4 | digit()
                }
                b'\\' => b'\\',
                other => panic!("unknown escape {:?}", char::from(other)),
            },
            other => other,
        });
    }
    bytes
}

/// What happens, a line each.
fn events(bytes: &[u8], fin: bool, piece: usize) -> String {
    let mut world = World::new();
    let mut log = String::new();
    let mut data = Vec::new();
    let mut pieces = bytes.chunks(piece.min(bytes.len().max(1)));
    let mut ended = false;
    loop {
        let event = world.connection.next_event();
        if !matches!(event, Ok(Event::Data(_) | Event::NeedData)) && !data.is_empty() {
            writeln!(log, "data {}", abridged(&std::mem::take(&mut data))).unwrap();
        }
        match event {
            Ok(Event::NeedData) => match pieces.next() {
                Some(part) => world.receive(part),
                None if fin && !ended => {
                    world.connection.receive_eof();
                    ended = true;
                }
                None => {
                    if !data.is_empty() {
                        writeln!(log, "data {}", abridged(&data)).unwrap();
                    }
                    log.push_str("wait\n");
                    return log;
                }
            },
            Ok(Event::Request(head)) => describe(&mut log, &world, &head),
            Ok(Event::Data(more)) => data.extend_from_slice(&more),
            Ok(Event::End(trailers)) => {
                for (name, value) in trailers.iter().flatten() {
                    writeln!(log, "trailer {name}: {}", value.as_bytes().escape_ascii()).unwrap();
                }
                log.push_str("end\n");
            }
            Ok(Event::Paused) => {
                world.answer("");
                if let Next::Close(reason) = world.next() {
                    writeln!(log, "close {reason:?}").unwrap();
                    return log;
                }
            }
            Ok(Event::Closed) => {
                log.push_str("closed\n");
                return log;
            }
            Err(error) => {
                writeln!(log, "error {} {error:?}", error.status().as_u16()).unwrap();
                return log;
            }
        }
    }
}

fn describe(log: &mut String, world: &World, head: &RequestHead) {
    let text = |span: gateway_http1::Span| span.of(&head.bytes).escape_ascii().to_string();
    write!(
        log,
        "request {} {} {:?}",
        head.method,
        abridged(head.target.of(&head.bytes)),
        head.version
    )
    .unwrap();
    write!(log, " {:?} {:?}", head.form, head.body).unwrap();
    if let Some(authority) = head.authority {
        write!(log, " authority={}", text(authority)).unwrap();
    }
    if head.form != gateway_http1::TargetForm::Asterisk {
        write!(log, " path={}", abridged(head.path.of(&head.bytes))).unwrap();
    }
    if let Some(query) = head.query {
        write!(log, " query={}", text(query)).unwrap();
    }
    log.push_str(if head.expect_continue { " expect" } else { "" });
    log.push_str(if head.upgrade { " upgrade\n" } else { "\n" });
    let fields = world.connection.fields();
    for field in &fields[..fields.len().min(12)] {
        let value = abridged(field.value.of(&head.bytes));
        writeln!(log, "  {}: {value}", text(field.name)).unwrap();
    }
    if fields.len() > 12 {
        writeln!(log, "  and {} more", fields.len() - 12).unwrap();
    }
}

fn abridged(bytes: &[u8]) -> String {
    if bytes.len() <= 80 {
        bytes.escape_ascii().to_string()
    } else {
        format!("{}… {} bytes", bytes[..20].escape_ascii(), bytes.len())
    }
}
