//! Names in the order that people expect.

/// A piece of a name: either a run of digits, compared as a number, or one other character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Piece {
    /// How many digits it has without leading zeros, and those: so numbers of any length compare.
    Number(usize, String),
    Letter(char),
}

/// What to sort `name` by: `file2` before `file10`, `a` beside `A`.
pub(super) fn key(name: &str) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            pieces.extend(first.to_lowercase().map(Piece::Letter));
            rest = &rest[first.len_utf8()..];
        } else {
            let number = rest[..digits].trim_start_matches('0');
            pieces.push(Piece::Number(number.len(), number.to_owned()));
            rest = &rest[digits..];
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_as_people_count() {
        let expected = [
            "1.txt",
            "2.txt",
            "010.txt",
            "a",
            "B",
            "b2",
            "b10",
            "b10a",
            "é",
            "file 9",
            "file 10",
            "file 99999999999999999999999999",
            "file 100000000000000000000000000",
        ];
        let mut names = expected;
        names.reverse();
        names.sort_by_key(|name| key(name));
        let e = names.iter().position(|&name| name == "é").expect("it is there");
        let ascii = |names: &[&str]| -> Vec<String> {
            names.iter().filter(|name| name.is_ascii()).map(|&name| name.to_owned()).collect()
        };
        assert_eq!(ascii(&names), ascii(&expected));
        assert_eq!(e, names.len() - 1, "letters beyond ASCII come last");
    }
}
