//! Serves [`examples::minimal_framework`].

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::launch::launch(examples::minimal_framework::app())
}
