//! Serves [`examples::mount`] over standard input and output, by [`examples::own_server`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let (input, output) = (std::io::stdin(), std::io::stdout());
    match examples::own_server::serve(&examples::mount::app(), input, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            examples::launch::complain(&error);
            ExitCode::FAILURE
        }
    }
}
