//! Serves [`examples::axum_app`].

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::launch::launch(examples::axum_app::app())
}
