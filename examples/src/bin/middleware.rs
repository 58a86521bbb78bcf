//! Serves [`examples::middleware`].

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::launch::launch(examples::middleware::app())
}
