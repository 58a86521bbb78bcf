//! The manual pages, made of the arguments and of what stands below them in the help.

use std::io::{self, Write};

use clap::Command;
use clap_mangen::Man;

/// The manual page of `command`, in roff.
pub(crate) fn page(command: Command) -> io::Result<Vec<u8>> {
    let more = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let has_subcommands = command.has_subcommands();
    let man = Man::new(command).source(concat!("gateway ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_subcommands {
        man.render_subcommands_section(&mut page)?;
    }
    sections(&more, &mut page)?;
    Ok(page)
}

/// Each `Title:` with its indented paragraphs as a section. A paragraph that is laid out, as a table
/// or as code, stays as it is; others are filled.
fn sections(text: &str, page: &mut Vec<u8>) -> io::Result<()> {
    for paragraph in text.split("\n\n") {
        let (title, body) = match paragraph.split_once('\n') {
            Some((title, body)) if !title.starts_with(' ') && title.ends_with(':') => {
                (Some(title.trim_end_matches(':')), body)
            }
            _ => (None, paragraph),
        };
        match title {
            Some(title) => writeln!(page, ".SH {}", escaped(&title.to_uppercase()))?,
            None => writeln!(page, ".PP")?,
        }
        let lines = || body.lines().map(|line| line.strip_prefix("  ").unwrap_or(line));
        let is_laid_out = lines().any(|line| line.contains("  "));
        if is_laid_out {
            writeln!(page, ".nf")?;
        }
        for line in lines() {
            writeln!(page, "{}", escaped(line))?;
        }
        if is_laid_out {
            writeln!(page, ".fi")?;
        }
    }
    Ok(())
}

/// `line` as roff shows it: it takes backslashes, dashes and quotes for its own, and a dot or a quote
/// that begins a line for a request.
fn escaped(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    if line.starts_with(['.', '\'']) {
        escaped.push_str("\\&");
    }
    for c in line.chars() {
        match c {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            '\'' => escaped.push_str("\\(aq"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_their_lines_and_prose_is_filled() {
        let text =
            "Examples:\n  a 'b'    c\n  .d\\\n\nOutput:\n  some\n  text --x:\n\n    code = 1";
        let mut page = Vec::new();
        sections(text, &mut page).unwrap();
        let expected = ".SH EXAMPLES\n.nf\na \\(aqb\\(aq    c\n\\&.d\\e\n.fi\n\
                        .SH OUTPUT\nsome\ntext \\-\\-x:\n\
                        .PP\n.nf\n  code = 1\n.fi\n";
        assert_eq!(String::from_utf8(page).unwrap(), expected);
    }
}
