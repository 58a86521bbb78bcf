//! What a file may be called that somebody else names.

use crate::path::{UNFINISHED, is_hidden};

/// What file systems take, in bytes.
const MAX_LEN: usize = 255;

/// Why a name is refused. Names are taken as they are or not at all: one that was changed on the way
/// is not found again by who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("it is empty")]
    Empty,
    #[error("it stands for a directory")]
    Dots,
    #[error("it has a slash or a backslash in it; send the name alone, without its directory")]
    Separator,
    #[error("it has a control character in it")]
    Control,
    #[error("it is longer than 255 bytes")]
    TooLong,
    #[error("names that begin with a dot are hidden here")]
    Hidden,
    #[error("uploads that are not complete are named like this")]
    Unfinished,
}

/// Whether a file may be called `name`; `hidden` admits a dot at its beginning.
pub(crate) fn check(name: &[u8], hidden: bool) -> Result<(), NameError> {
    match name {
        b"" => Err(NameError::Empty),
        b"." | b".." => Err(NameError::Dots),
        _ if name.iter().any(|b| matches!(b, b'/' | b'\\')) => Err(NameError::Separator),
        _ if has_control(name) => Err(NameError::Control),
        _ if name.len() > MAX_LEN => Err(NameError::TooLong),
        _ if is_hidden(name) && !hidden => Err(NameError::Hidden),
        _ if name.starts_with(UNFINISHED) => Err(NameError::Unfinished),
        _ => Ok(()),
    }
}

/// Also those beyond ASCII, as far as the name is text.
fn has_control(name: &[u8]) -> bool {
    String::from_utf8_lossy(name).chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_component() {
        let long = "n".repeat(256);
        for (name, reason) in [
            ("", NameError::Empty),
            (".", NameError::Dots),
            ("..", NameError::Dots),
            ("a/b", NameError::Separator),
            ("/etc/passwd", NameError::Separator),
            ("../up", NameError::Separator),
            ("C:\\dir\\x", NameError::Separator),
            ("..\\up", NameError::Separator),
            ("a\0b", NameError::Control),
            ("a\nb", NameError::Control),
            ("a\u{7f}", NameError::Control),
            ("a\u{85}", NameError::Control),
            (&long, NameError::TooLong),
            (".hidden", NameError::Hidden),
            ("...", NameError::Hidden),
        ] {
            assert_eq!(check(name.as_bytes(), false), Err(reason), "{name:?}");
        }
        for name in ["a", "a.", "a..b", "~", "-rf", "a b", "C:x", "caf\u{e9}", &long[1..]] {
            assert_eq!(check(name.as_bytes(), false), Ok(()), "{name:?}");
        }
        assert_eq!(check(b"caf\xe9", false), Ok(()), "names are bytes");
    }

    #[test]
    fn hidden_names_can_be_admitted_and_dots_cannot() {
        assert_eq!(check(b".hidden", true), Ok(()));
        assert_eq!(check(b"..", true), Err(NameError::Dots));
        assert_eq!(check(&[UNFINISHED, b"1-1"].concat(), true), Err(NameError::Unfinished));
    }
}
