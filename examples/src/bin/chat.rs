//! Serves [`examples::chat`].

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::launch::launch(examples::chat::app())
}
