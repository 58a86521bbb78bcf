//! Serves [`examples::counter`].

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::launch::launch(examples::counter::app())
}
