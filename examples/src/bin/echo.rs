//! Serves [`examples::echo`].

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::launch::launch(examples::echo::app)
}
