//! Serves [`examples::mount`].

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::launch::launch(examples::mount::app())
}
