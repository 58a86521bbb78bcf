//! Serves [`examples::streaming`].

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::launch::launch(examples::streaming::app)
}
