//! The `gateway` command.

mod arguments;
mod auth;
mod banner;
mod config;
mod failure;
mod generate;
mod manual;
mod options;
mod package;
mod reload;
mod run;
mod runner;
mod serve;

use std::process::ExitCode;

use gateway::console;

use arguments::{Arguments, Command};
use config::Config;
use failure::Failure;

fn main() -> ExitCode {
    let code = run(Arguments::of_process()).unwrap_or_else(|failure| {
        console::error(&failure);
        failure.exit_code()
    });
    console::finish();
    code
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let config = || Config::load(arguments.config.as_deref());
    match arguments.command {
        Command::Serve(options) => serve::serve((*options).or(config()?.serve)),
        Command::Run(options) => run::run((*options).or(config()?.run)),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man { command } => generate::man(command.as_deref()),
    }
}
