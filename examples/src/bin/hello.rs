//! Serves [`examples::hello`].

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::launch::launch(examples::hello::app)
}
