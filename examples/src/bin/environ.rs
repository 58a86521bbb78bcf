//! Serves [`examples::environ`].

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::launch::launch(examples::environ::app)
}
