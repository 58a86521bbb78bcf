//! Which bytes may stand where, and how far they go: tables for short things, whole blocks for long
//! ones. Nothing here knows the grammar around them.

/// What a byte may be a part of, as bits.
const TOKEN: u8 = 1;
const VALUE: u8 = 2;
const PATH: u8 = 4;
const QUESTION: u8 = 8;
const HOST: u8 = 16;
const HEX: u8 = 32;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        // RFC 9110 section 5.6.2.
        let mark = matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
        if byte.is_ascii_alphanumeric() || mark {
            table[i] |= TOKEN;
        }
        // RFC 9110 section 5.5, with the blanks inside a value.
        if byte == b'\t' || (byte >= b' ' && byte != 0x7f) {
            table[i] |= VALUE;
        }
        // Stricter than nginx, more lenient than RFC 3986: browsers leave []{}|\^` in queries as they
        // are, but never these three.
        if byte == b'?' {
            table[i] |= QUESTION;
        } else if byte.is_ascii_graphic() && !matches!(byte, b'#' | b'<' | b'>') {
            table[i] |= PATH;
        }
        // RFC 3986 section 3.2.2, without percent and without the comma, which is a list in disguise.
        let sub =
            matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=');
        if byte.is_ascii_alphanumeric() || sub || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            table[i] |= HOST;
        }
        if byte.is_ascii_hexdigit() {
            table[i] |= HEX;
        }
        i += 1;
    }
    table
}

#[inline(always)]
fn is(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

/// Whether `byte` may stand in a token: a method, a field name, a chunk extension's name.
#[inline(always)]
pub(crate) fn is_token(byte: u8) -> bool {
    is(byte, TOKEN)
}

/// Whether `byte` may stand in a field value, blanks and tabs included.
#[inline(always)]
pub(crate) fn is_value(byte: u8) -> bool {
    is(byte, VALUE)
}

/// Whether `byte` may stand in a registered name as it is.
#[inline(always)]
pub(crate) fn is_host(byte: u8) -> bool {
    is(byte, HOST)
}

/// Whether `byte` is a hexadecimal digit.
#[inline(always)]
pub(crate) fn is_hex(byte: u8) -> bool {
    is(byte, HEX)
}

/// Whether `byte` is a blank in the sense of optional whitespace (RFC 9110 section 5.6.3).
#[inline(always)]
pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Whether `bytes` are a word, given in small letters and hyphens, in any case. They must have been
/// checked to be of a token or a value: among control bytes it would find more.
#[inline(always)]
pub(crate) fn is_word<const N: usize>(bytes: &[u8], word: &[u8; N]) -> bool {
    let Ok(bytes) = <&[u8; N]>::try_from(bytes) else { return false };
    let mut differ = 0;
    for i in 0..N {
        differ |= (bytes[i] | 0x20) ^ word[i];
    }
    differ == 0
}

/// Without the blanks around it.
#[inline]
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

/// The offset of the first byte from `at` on that is in no token, or the length.
#[inline(always)]
pub(crate) fn token_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(block) = bytes[at..].first_chunk::<16>() {
        // Nearly all names are letters, digits and hyphens.
        let odd = |byte: u8| {
            ((byte | 0x20).wrapping_sub(b'a') >= 26)
                & (byte.wrapping_sub(b'0') >= 10)
                & (byte != b'-')
        };
        if let Some(place) = first(block, odd) {
            at += place;
            break;
        }
        at += 16;
    }
    if bytes.get(at) == Some(&b':') {
        return at;
    }
    class_end(bytes, at, TOKEN)
}

/// The offset of the first byte from `at` on that is in no path of a request target (a question
/// mark is not), or the length.
#[inline(always)]
pub(crate) fn path_end(bytes: &[u8], at: usize) -> usize {
    class_end(bytes, at, PATH)
}

/// The offset of the first byte from `at` on that is in no request target, or the length.
#[inline(always)]
pub(crate) fn query_end(bytes: &[u8], at: usize) -> usize {
    let mut rest = &bytes[at..];
    while let Some((block, behind)) = rest.split_first_chunk::<16>() {
        let mut any = false;
        for &byte in block {
            any |= !byte.is_ascii_graphic() | (byte == b'#') | (byte & !2 == b'<');
        }
        if any {
            break;
        }
        rest = behind;
    }
    class_end(bytes, bytes.len() - rest.len(), PATH | QUESTION)
}

/// The offset of the first byte from `at` on that is in no field value, or the length.
#[inline(always)]
pub(crate) fn value_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(block) = bytes[at..].first_chunk::<16>() {
        let odd = |byte| (byte < b' ') & (byte != b'\t') | (byte == 0x7f);
        if let Some(place) = first(block, odd) {
            return at + place;
        }
        at += 16;
    }
    class_end(bytes, at, VALUE)
}

/// The offset of the first byte in the block for which `odd` holds. Written so that the
/// compiler makes vectors of it.
#[inline(always)]
fn first(block: &[u8; 16], odd: impl Fn(u8) -> bool) -> Option<usize> {
    let mut marks = [0; 16];
    for i in 0..16 {
        marks[i] = if odd(block[i]) { 0xff } else { 0 };
    }
    if marks.iter().fold(0, |all, mark| all | mark) == 0 {
        return None;
    }
    Some((u128::from_le_bytes(marks).trailing_zeros() / 8) as usize)
}

/// The offset of the first byte that cannot stand in a registered name as it is, or the length.
#[inline(always)]
pub(crate) fn host_end(bytes: &[u8]) -> usize {
    class_end(bytes, 0, HOST)
}

/// Whether all of `bytes` may stand in a field value or a reason phrase.
#[inline]
pub(crate) fn is_all_value(bytes: &[u8]) -> bool {
    // Two words cover what nearly all of those are, a date the longest of them.
    let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) else {
        return bytes.iter().all(|&byte| is_value(byte));
    };
    let mut found = controls(u64::from_le_bytes(*first)) | controls(u64::from_le_bytes(*last));
    for word in bytes.as_chunks::<8>().0.iter().skip(1) {
        found |= controls(u64::from_le_bytes(*word));
    }
    // A tab is found, too, and allowed.
    found == 0 || bytes.iter().all(|&byte| is_value(byte))
}

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES * 0x80;

/// Marks the high bit of each byte of `word` below 0x20 or equal to 0x7f. Only the lowest mark is
/// certain: a borrow can mark bytes above a marked one. A tab is marked, too.
#[inline(always)]
fn controls(word: u64) -> u64 {
    let below = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7f);
    (below | delete.wrapping_sub(ONES) & !delete) & HIGH
}

#[inline(always)]
fn class_end(bytes: &[u8], at: usize, class: u8) -> usize {
    let mut rest = &bytes[at..];
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        for (i, &byte) in word.iter().enumerate() {
            if !is(byte, class) {
                return bytes.len() - rest.len() + i;
            }
        }
        rest = behind;
    }
    while let [byte, behind @ ..] = rest
        && is(*byte, class)
    {
        rest = behind;
    }
    bytes.len() - rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte at every offset of a run that is long enough for all the strides.
    fn agrees(filler: u8, find: impl Fn(&[u8], usize) -> usize, member: impl Fn(u8) -> bool) {
        for length in [0, 1, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49] {
            for odd in 0..=255 {
                for place in 0..length {
                    let mut bytes = vec![filler; length];
                    bytes[place] = odd;
                    let expected = if member(odd) { length } else { place };
                    assert_eq!(find(&bytes, 0), expected, "{odd:#x} at {place} of {length}");
                }
            }
            assert_eq!(find(&vec![filler; length], length), length);
        }
    }

    #[test]
    fn blocks_agree_with_the_tables() {
        agrees(b'a', token_end, is_token);
        agrees(b'a', value_end, is_value);
        agrees(0xff, value_end, is_value);
        agrees(b'\t', value_end, is_value);
        for filler in [b'a', b'\t', 0xff] {
            let all = |bytes: &[u8], at| {
                if is_all_value(bytes) { bytes.len() } else { value_end(bytes, at) }
            };
            agrees(filler, all, is_value);
        }
        agrees(b'/', path_end, |byte| is(byte, PATH));
        agrees(b'/', query_end, |byte| is(byte, PATH | QUESTION));
    }

    #[test]
    fn a_borrow_hides_nothing() {
        for first in 0..=255 {
            for second in 0..=255 {
                let bytes = [first, second, b'a', b'a', b'a', b'a', b'a', b'a', b'a'];
                let expected = bytes.iter().position(|&b| !is_value(b)).unwrap_or(bytes.len());
                assert_eq!(value_end(&bytes, 0), expected);
            }
        }
    }

    #[test]
    fn the_classes() {
        let count = |class| (0..=255).filter(|&byte| is(byte, class)).count();
        assert_eq!(count(TOKEN), 77);
        assert_eq!(count(VALUE), 256 - 32);
        assert_eq!(count(PATH), 94 - 4);
        assert_eq!(count(HOST), 62 + 10 + 4);
        assert_eq!(count(HEX), 22);
        assert!(!is_token(b':') && !is_token(b' ') && !is_token(0x80));
        assert!(!is_host(b',') && !is_host(b'@') && !is_host(b'/') && !is_host(b'%'));
    }

    #[test]
    fn words_are_found_in_any_case() {
        for good in ["keep-alive", "Keep-Alive", "KEEP-ALIVE"] {
            assert!(is_word(good.as_bytes(), b"keep-alive"), "{good}");
        }
        for place in 0..10 {
            for other in (0..=255).filter(|&byte| is_value(byte)) {
                let mut bytes = *b"keep-alive";
                bytes[place] = other;
                let expected = bytes.eq_ignore_ascii_case(b"keep-alive");
                assert_eq!(is_word(&bytes, b"keep-alive"), expected, "{other:#x} at {place}");
            }
        }
        assert!(!is_word(b"close", b"clos") && !is_word(b"clos", b"close"));
    }

    #[test]
    fn trims_blanks_only() {
        assert_eq!(trim(b" \ta b\t "), b"a b");
        assert_eq!(trim(b" \t "), b"");
        assert_eq!(trim(b"\x0ba\xa0"), b"\x0ba\xa0");
    }
}
