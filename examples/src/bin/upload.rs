//! Serves [`examples::upload`].

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::launch::launch(examples::upload::app())
}
