//! The command line.

use std::env;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use gateway::console::note;

use crate::options::{RunOptions, ServeOptions};

/// Serves directories, and applications by their names, on Gateway's HTTP servers.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, after_long_help = MORE, propagate_version = true)]
pub(crate) struct Arguments {
    /// The config file [default: gateway.toml in the current directory, if it is there]
    #[arg(long, global = true, env = "GATEWAY_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// Those of this process; otherwise what is wrong with them is said, and the process ends.
    pub(crate) fn of_process() -> Arguments {
        Arguments::try_parse().unwrap_or_else(|error| {
            let variable = variable_of(&error);
            // Nobody may listen, and there is nobody else to be told.
            let _ = error.print();
            if let Some(variable) = variable {
                note(format_args!("\nThe value is that of the environment variable {variable}."));
            }
            std::process::exit(error.exit_code())
        })
    }
}

/// The environment variable that has the value which `error` blames on its flag.
fn variable_of(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => value,
        _ => "",
    };
    let mut command = Arguments::command();
    command.build();
    let of_subcommands = command.get_subcommands().flat_map(clap::Command::get_arguments);
    command
        .get_arguments()
        .chain(of_subcommands)
        .filter(|argument| argument.to_string() == *flag)
        .filter_map(clap::Arg::get_env)
        .find(|name| env::var_os(name).is_some_and(|set| set == value))
        .map(|name| name.to_string_lossy().into_owned())
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the files of a directory
    #[command(after_help = SERVE_EXAMPLES, after_long_help = SERVE_MORE)]
    Serve(Box<ServeOptions>),
    /// Build and run an application by its name
    #[command(after_help = RUN_EXAMPLES, after_long_help = RUN_MORE)]
    Run(Box<RunOptions>),
    /// Print the completions for a shell
    #[command(after_help = "Example: gateway completions bash > \
        ~/.local/share/bash-completion/completions/gateway")]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page, of the command or of one of its subcommands
    #[command(after_help = "Example: gateway man serve | man -l -")]
    Man {
        /// Which subcommand
        command: Option<String>,
    },
}

/// How every help ends.
macro_rules! more {
    () => {
        "\
Where a value comes from:
  A flag goes before an environment variable, that before the config file, and that before the
  default. The variable of --some-flag is GATEWAY_SOME_FLAG. In gateway.toml, each subcommand has a
  table with the same names as its flags; paths are relative to the current directory:

    [serve]
    dir = \"public\"
    port = 8080
    spa = true                        # or \"app.html\"
    cors = [\"https://app.example\"]

Output:
  The access log goes to standard output, everything else to standard error. Colours are for
  terminals only, and not where NO_COLOR is set.

Behind a proxy:
  With --trusted-proxy ADDRESS, requests from there have the client's address, scheme and host taken
  from X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host, and the access log and the
  application see the client. The proxy has to set all three, or to remove those that it does not
  set: what it passes on as it came is the client's word. In nginx, in one block:

    proxy_set_header Host              $host;
    proxy_set_header X-Forwarded-For   $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host  $host;

  Let nobody reach the server around the proxy: whoever connects from a trusted address, or by a Unix
  socket that is trusted, can claim to be anybody. Several proxies in a row are believed as far as
  each is listed. Without --trusted-proxy nobody is believed.

Signals:
  Ctrl-C (SIGINT) and SIGTERM let requests finish for 25 seconds; a second one ends at once. SIGHUP,
  which comes when a terminal goes away, lets them finish as well; a second one changes nothing, and
  nohup is respected.

Exit codes:
  0        done, or stopped by a signal
  1        the server failed, or the application when it was made
  2        an argument, an environment variable or the config file is wrong
  3        the address cannot be had: in use, not permitted, not of this machine
  4        the directory, or a page in it, cannot be served
  5        there is no such crate or path, or it is no application
  6        the build failed
  130 143  ended at once, by a second SIGINT or SIGTERM"
    };
}

macro_rules! serve_examples {
    () => {
        "\
Examples:
  gateway serve                                 this directory, on http://127.0.0.1:8000/
  gateway serve public --port 8080              another directory and port
  gateway serve --bind 0.0.0.0 --qr             for the phone beside you
  gateway serve --auth 'ada:$PASSWORD'          whoever knows the password in $PASSWORD
  gateway serve inbox --upload                  take files: curl -T FILE http://127.0.0.1:8000/
  gateway serve dist --spa --cache no-cache --cache '/assets: max-age=31536000, immutable'
  gateway serve --log json > access.log"
    };
}

macro_rules! run_examples {
    () => {
        "\
Examples:
  gateway run examples:hello::app                a function of a package in this workspace
  gateway run .:app --server tokio --trace       of the crate in this directory
  gateway run ../shop:build --reload             built anew when its sources change"
    };
}

const MORE: &str = more!();
const SERVE_EXAMPLES: &str = serve_examples!();
const SERVE_MORE: &str = concat!(serve_examples!(), "\n\n", more!());

const RUN_EXAMPLES: &str = run_examples!();
const RUN_MORE: &str = concat!(run_examples!(), "\n\n", more!());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_guide_has_nginx_set_the_same_fields() {
        fn fields(text: &str) -> Vec<String> {
            let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let lines = lines.filter(|words| words.first() == Some(&"proxy_set_header"));
            lines.map(|words| words.join(" ")).collect()
        }
        let guide = include_str!("../../../../../docs/guides/operating.md");
        let (_, guide) = guide.split_once("```nginx\n").expect("there is a configuration");
        let (guide, _) = guide.split_once("```").expect("it ends");
        let mut in_guide = fields(guide);
        in_guide.retain(|line| line != "proxy_set_header Connection \"\";");
        assert_eq!(fields(MORE), in_guide);
        assert_eq!(in_guide.len(), 4);
    }

    #[test]
    fn the_guide_has_the_same_exit_codes() {
        let rows = |text: &'static str, is_row: fn(&str) -> Option<(&str, &str)>| {
            let rows = text.lines().filter_map(is_row);
            let words = rows.map(|(code, means)| (code.replace(',', ""), means.trim().to_owned()));
            words.collect::<Vec<_>>()
        };
        let (_, help) = MORE.split_once("Exit codes:\n").expect("they are in the help");
        let in_help = rows(help, |line| line.trim_start().split_once("  "));
        let guide = include_str!("../../../../../docs/guides/command.md");
        let (_, table) = guide.split_once("| code | means |\n|---|---|\n").expect("a table");
        let (table, _) = table.split_once("\n\n").expect("it ends");
        let in_guide = rows(table, |line| line.trim_matches('|').trim().split_once(" | "));
        assert_eq!(in_help, in_guide);
    }
}
