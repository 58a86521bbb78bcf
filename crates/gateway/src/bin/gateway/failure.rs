//! Why the command ends with a complaint.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use gateway::stop::LaunchError;
use gateway_core::ServerError;
use gateway_static::StaticError;

/// One line, with a hint, and an exit code that `--help` documents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{flag}: not built yet; {reason}")]
    NotBuilt { flag: &'static str, reason: &'static str },
    #[error("--auth: {0}")]
    Auth(String),
    #[error("--trusted-fields: nobody is believed yet; name the proxy with --trusted-proxy")]
    NobodyTrusted,
    #[error("--bind: `{0}` has a port in it; write --bind {1} --port {2}")]
    PortInBind(String, String, u16),
    #[error("there is no subcommand `{0}`; see `gateway --help`")]
    NoSubcommand(String),
    #[error("{}:{line}: {reason}", path.display())]
    Config { path: PathBuf, line: usize, reason: String },
    #[error("cannot read the {what} {}: {source}", path.display())]
    Unreadable { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{}", static_line(.0))]
    Static(#[from] StaticError),
    #[error("{}", server_line(.0))]
    Server(#[from] ServerError),
    #[error("write the application as CRATE:PATH, like examples:hello::app")]
    NoApplication,
    #[error("there is no crate `{name}` {place}{near}")]
    NoCrate { name: String, place: String, near: String },
    #[error("the crate `{name}` {reason}")]
    UnfitCrate { name: String, reason: String },
    #[error(
        "there is no crate `{0}`: this directory is in no workspace of cargo; name the path to the \
         crate, like ../{0}:{1}"
    )]
    NoWorkspace(String, String),
    #[error("cargo does not understand {place}: {reason}")]
    Metadata { place: String, reason: String },
    #[error(
        "the crate `{name}` has no `{path}` that can be used; it must be `pub`, and so its modules"
    )]
    NoPath { name: String, path: String },
    #[error(
        "`{name}:{path}` is no application, and no function without arguments that returns one"
    )]
    NotAnApplication { name: String, path: String },
    #[error("the build failed{0}")]
    Build(String),
    #[error("cannot {action}: {source}")]
    Io { action: &'static str, source: io::Error },
}

impl Failure {
    /// What the help says under "Exit codes".
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Server(ServerError::Bind { .. }) => 3,
            Failure::Static(StaticError::Root { .. } | StaticError::Page { .. }) => 4,
            Failure::NoCrate { .. }
            | Failure::NoWorkspace(..)
            | Failure::UnfitCrate { .. }
            | Failure::NoPath { .. }
            | Failure::NotAnApplication { .. } => 5,
            Failure::Build(_) | Failure::Metadata { .. } => 6,
            Failure::Server(ServerError::Setting { .. }) => 2,
            Failure::Server(_) | Failure::Io { .. } => 1,
            _ => 2,
        })
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Failure {
        match error {
            LaunchError::Server(error) => Failure::Server(error),
            LaunchError::Io(action, source) => Failure::Io { action, source },
        }
    }
}

/// The flag in place of the builder's method, and the system's reason where there is no hint.
fn static_line(error: &StaticError) -> String {
    let flagged = |setting: &str| match setting {
        "spa_fallback" => "--spa",
        "not_found_page" => "--404",
        "index_files" => "--index",
        "cache_control" | "cache_control_under" => "--cache",
        "cors_origins" => "--cors",
        "charset" => "--charset",
        _ => "a setting",
    };
    match error {
        StaticError::Setting { setting, reason } => format!("{}: {reason}", flagged(setting)),
        StaticError::Page { setting, page, source } => {
            let reason = match source.kind() {
                io::ErrorKind::NotFound => "there is no such file in the directory".to_owned(),
                io::ErrorKind::IsADirectory => "it is a directory; name a file in it".to_owned(),
                _ => source.to_string(),
            };
            format!("{}: the page `{page}` cannot be sent: {reason}", flagged(setting))
        }
        StaticError::Root { path, source } => {
            let text = error.to_string();
            match text.ends_with(&format!("{}`", path.display())) {
                true => format!("{text}: {source}"),
                false => text,
            }
        }
        _ => error.to_string(),
    }
}

fn server_line(error: &ServerError) -> String {
    match error {
        ServerError::Bind { address, source }
            if source.kind() == io::ErrorKind::AddrInUse && !address.starts_with("unix:") =>
        {
            format!("{error}; port 0 is any free one")
        }
        ServerError::Bind { address, source } => {
            let text = error.to_string();
            // Where there is no hint, it ends with the address.
            match text == format!("cannot listen on {address}") {
                true => format!("{text}: {source}"),
                false => text,
            }
        }
        ServerError::Io { source, .. } => format!("{error}: {source}"),
        // Each setting that the command passes on has a flag of the same name.
        ServerError::Setting { setting, reason } => {
            format!("--{}: {reason}", setting.replace('_', "-"))
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failure: impl Into<Failure>, code: u8, line: &str) {
        let failure = failure.into();
        assert_eq!(failure.to_string(), line);
        assert_eq!(failure.exit_code(), ExitCode::from(code));
    }

    #[test]
    fn no_permission_is_said_with_a_hint() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        check(
            ServerError::Bind { address: "127.0.0.1:80".into(), source: denied() },
            3,
            "cannot listen on 127.0.0.1:80: permission denied; ports below 1024 need a privilege",
        );
        check(
            StaticError::Root { path: "/root".into(), source: denied() },
            4,
            "cannot serve `/root`: permission denied; the process's user must be able to open it",
        );
    }

    #[test]
    fn an_address_that_cannot_be_had_has_one_hint() {
        let bind = |address: &str, kind: io::ErrorKind| ServerError::Bind {
            address: address.into(),
            source: kind.into(),
        };
        let form = "it is no address; write a host and a port, like 127.0.0.1:8000 or [::1]:8000";
        let line = format!("cannot listen on 8000: {form}");
        check(bind("8000", io::ErrorKind::InvalidInput), 3, &line);
        let busy = "the path is in use; stop the other server or remove what it has left there";
        let line = format!("cannot listen on unix:web.sock: {busy}");
        check(bind("unix:web.sock", io::ErrorKind::AddrInUse), 3, &line);
        let line = "cannot listen on 127.0.0.1:80: the address is in use; stop the other server or \
                    choose another port; port 0 is any free one";
        check(bind("127.0.0.1:80", io::ErrorKind::AddrInUse), 3, line);
    }

    #[test]
    fn a_reason_without_a_hint_is_the_systems() {
        let source = io::Error::from_raw_os_error(28);
        let bind = ServerError::Bind { address: "127.0.0.1:80".into(), source };
        let line = "cannot listen on 127.0.0.1:80: No space left on device (os error 28)";
        check(bind, 3, line);
    }
}
