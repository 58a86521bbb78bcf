//! `gateway run`.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::{io, process};

use clap::ValueEnum;
use gateway::runner::variables;
use gateway_connection::{Listener, ListenerSocket, SocketFile};
use gateway_core::Address;

use crate::failure::Failure;
use crate::options::{RunOptions, connection_limits, trusted_fields};
use crate::package::Package;
use crate::reload::Supervisor;
use crate::runner::Runner;

/// Builds an application and runs it until it is stopped.
pub(crate) fn run(options: RunOptions) -> Result<ExitCode, Failure> {
    let (name, path) = application(options.app.as_deref())?;
    let variables = variables_of(&options)?;
    let package = Arc::new(Package::find(name, path)?);
    // First of all, since to build takes longer than to find out that somebody listens there.
    let listener = Listener::bind(options.addr.as_deref().unwrap_or("127.0.0.1:8000"))?;
    let release = options.release == Some(true);
    let server = options.server.unwrap_or_default();
    let runner = Runner::generate(Arc::clone(&package), path, server, release)?;
    let start = Start::new(listener, variables);
    let watched = (options.reload == Some(true)).then(|| package.sources.clone());
    Supervisor::new(runner, start, format!("{name}:{path}"))?.run(watched)
}

/// The crate and the path of `CRATE:PATH`.
fn application(text: Option<&str>) -> Result<(&str, &str), Failure> {
    let (name, path) = text.and_then(|text| text.split_once(':')).ok_or(Failure::NoApplication)?;
    let path = path.trim_start_matches(':');
    let is_identifier = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    match !name.is_empty() && path.split("::").all(is_identifier) {
        true => Ok((name, path)),
        false => Err(Failure::NoApplication),
    }
}

/// What a runner is told. All variables are there, so that none comes from elsewhere.
fn variables_of(options: &RunOptions) -> Result<Variables, Failure> {
    let limits = connection_limits(options.max_connections, options.max_connections_per_address)?;
    let fields = trusted_fields(options.trusted_fields, options.trusted_proxy.as_deref())?;
    let number = |number: Option<usize>| number.map(|n| n.to_string()).unwrap_or_default();
    let proxies = options.trusted_proxy.iter().flatten().map(ToString::to_string);
    Ok(vec![
        (variables::LOG, name(options.log.unwrap_or_default())),
        (variables::TRACE, (options.trace == Some(true)).to_string()),
        (variables::MAX_CONNECTIONS, number(limits.connections)),
        (variables::MAX_CONNECTIONS_PER_ADDRESS, number(limits.per_address)),
        (variables::TRUSTED_PROXY, proxies.collect::<Vec<_>>().join(",")),
        (variables::TRUSTED_FIELDS, name(fields)),
    ])
}

type Variables = Vec<(&'static str, String)>;

fn name(choice: impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// How processes of the application are started. Each gets the listening socket, which stays open
/// here, so nobody is refused between two of them.
#[derive(Debug)]
pub(crate) struct Start {
    /// Where it listens.
    pub(crate) address: Address,
    socket: OwnedFd,
    kind: &'static str,
    variables: Variables,
    _file: Option<SocketFile>,
}

impl Start {
    fn new(listener: Listener, variables: Variables) -> Start {
        let address = listener.local_addr();
        let (socket, file) = listener.split();
        let (socket, kind) = match socket {
            ListenerSocket::Tcp(socket) => (OwnedFd::from(socket), "tcp"),
            ListenerSocket::Unix(socket) => (OwnedFd::from(socket), "unix"),
        };
        Start { address, socket, kind, variables, _file: file }
    }

    /// Starts `program`.
    pub(crate) fn start(&self, program: &PathBuf) -> io::Result<process::Child> {
        Command::new(program)
            .stdin(Stdio::from(self.socket.try_clone()?))
            .env(variables::PARENT, process::id().to_string())
            .env(variables::SOCKET, self.kind)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            // A Ctrl-C is for us, who pass it on.
            .process_group(0)
            .spawn()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_a_crate_and_a_path() {
        let parse = |text| application(Some(text)).ok();
        assert_eq!(parse("examples:hello::app"), Some(("examples", "hello::app")));
        assert_eq!(parse("examples::hello::app"), Some(("examples", "hello::app")));
        assert_eq!(parse("../shop:app"), Some(("../shop", "app")));
        for wrong in ["", "examples", "examples:", ":app", "a:b::", "a:1", "a:b() }", "a:b:c"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
