//! Names in the order that people expect.

/// What to sort `name` by: `file2` before `file10`, `a` beside `A`.
///
/// A run of digits is a zero byte, how many it has without leading zeros, and those: so numbers of any
/// length compare as numbers, and before all letters. A letter is its UTF-8, whose order is that of
/// the characters.
pub(super) fn key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            let letters = first.to_lowercase();
            letters.for_each(|letter| key.extend(letter.encode_utf8(&mut [0; 4]).as_bytes()));
            rest = &rest[first.len_utf8()..];
        } else {
            let number = rest[..digits].trim_start_matches('0');
            key.push(0);
            key.extend((number.len() as u64).to_be_bytes());
            key.extend(number.as_bytes());
            rest = &rest[digits..];
        }
    }
    key
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
