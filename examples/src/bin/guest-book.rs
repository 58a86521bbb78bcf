//! Serves [`examples::guest_book`].

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::launch::launch(examples::guest_book::app())
}
