//! Serves [`examples::mount`] over standard input and output, by [`examples::own_server`].

use std::process::ExitCode;

fn main() -> ExitCode {
    match examples::own_server::serve(&examples::mount::app()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            examples::launch::complain(&error);
            ExitCode::FAILURE
        }
    }
}
