//! What packagers ask for.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::manual;
use gateway::console;

/// Prints the completions for `shell`.
pub(crate) fn completions(shell: Shell) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "gateway", &mut text);
    print(&text)
}

/// Prints the manual page of `gateway`, or of its subcommand.
pub(crate) fn man(subcommand: Option<&str>) -> Result<ExitCode, Failure> {
    let mut command = Arguments::command();
    command.build();
    if let Some(name) = subcommand {
        let Some(found) = command.find_subcommand(name) else {
            return Err(Failure::NoSubcommand(name.to_owned()));
        };
        command = found.clone();
    }
    let page = manual::page(command)
        .map_err(|source| Failure::Io { action: "make the manual page", source })?;
    print(&page)
}

fn print(bytes: &[u8]) -> Result<ExitCode, Failure> {
    match console::output(bytes) {
        // `| head` is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(source) => Err(Failure::Io { action: "write to standard output", source }),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}
